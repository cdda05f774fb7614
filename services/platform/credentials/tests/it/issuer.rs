//! An issuer of tokens in this process, which signs with `ring` and publishes its keys.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use vigie_credentials::IssuerConfig;
use vigie_credentials::jwt::{FetchFailed, FetchKeys, Fetched, Issuers, TokenRefused, VerifiedToken};

/// The time in all tests, in seconds since 1970.
pub(crate) const NOW: u64 = 1_800_000_000;
pub(crate) const ISSUER: &str = "https://id.example";

pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Returns the same bytes for each fetch; with `None`, the issuer cannot be reached.
#[derive(Debug)]
pub(crate) struct Published(pub(crate) Option<Vec<u8>>);

impl FetchKeys for Published {
    fn fetch(&self, _: &str, _: usize) -> Fetched {
        let answer = self.0.clone().ok_or_else(|| FetchFailed("it is away".to_owned()));
        Box::pin(async move { answer })
    }
}

pub(crate) fn config(more: Value) -> IssuerConfig {
    let mut config = json!({
        "issuer": ISSUER, "audience": "vigie", "jwks_url": "https://id.example/keys", "groups_claim": "groups",
    });
    for (name, value) in more.as_object().unwrap() {
        config[name] = value.clone();
    }
    serde_json::from_value(config).unwrap()
}

pub(crate) fn issuers(config: IssuerConfig, published: Option<Vec<u8>>) -> Issuers {
    let fetch: Arc<dyn FetchKeys> = Arc::new(Published(published));
    Issuers::new(&[config], &fetch)
}

/// Returns the claims of a valid token.
pub(crate) fn claims() -> Value {
    json!({ "iss": ISSUER, "aud": "vigie", "sub": "uploads", "iat": NOW, "exp": NOW + 600 })
}

pub(crate) fn with(name: &str, value: impl Into<Value>) -> Value {
    let mut claims = claims();
    claims[name] = value.into();
    claims
}

pub(crate) fn without(name: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(name);
    claims
}

/// Two keys: `ed` for Ed25519, `p256` for P-256.
pub(crate) struct Signer {
    ed: Ed25519KeyPair,
    p256: EcdsaKeyPair,
}

impl Signer {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let ed = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let p256 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self {
            ed: Ed25519KeyPair::from_pkcs8(ed.as_ref()).unwrap(),
            p256: EcdsaKeyPair::from_pkcs8(algorithm, p256.as_ref(), &random).unwrap(),
        }
    }

    pub(crate) fn jwks(&self) -> Vec<u8> {
        let point = self.p256.public_key().as_ref();
        let ed = json!({ "kid": "ed", "kty": "OKP", "crv": "Ed25519", "x": encode(self.ed.public_key()) });
        let p256 = json!({
            "kid": "p256", "kty": "EC", "crv": "P-256", "x": encode(&point[1..33]), "y": encode(&point[33..]),
        });
        json!({ "keys": [ed, p256] }).to_string().into_bytes()
    }

    pub(crate) fn issuers(&self) -> Issuers {
        issuers(config(json!({})), Some(self.jwks()))
    }

    /// Signs any text of a header and of claims, so that faulty ones can be signed too.
    pub(crate) fn sign_text(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", encode(header), encode(claims));
        let signature = if header.contains("ES256") {
            self.p256.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec()
        } else {
            self.ed.sign(signed.as_bytes()).as_ref().to_vec()
        };
        format!("{signed}.{}", encode(signature))
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        self.sign_text(r#"{"alg":"EdDSA","typ":"JWT","kid":"ed"}"#, &claims.to_string())
    }
}

pub(crate) async fn verify(issuers: &Issuers, token: &str) -> Result<VerifiedToken, TokenRefused> {
    issuers.verify(token, now()).await
}
