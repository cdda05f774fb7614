//! An identity provider on loopback that can be set to give wrong answers.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use http::{HeaderMap, StatusCode, header};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use url::{Url, form_urlencoded};

/// The client id and the secret of the console at the provider.
pub(super) const CLIENT: (&str, &str) = ("console", "s3cret/+ of the console");

/// The provider's way of answering.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answers {
    /// Correctly.
    Well,
    /// With the nonce of another sign-in.
    WithOtherNonce,
    /// With a token that has expired.
    TooLate,
    /// With a token signed by another key, under the id of its own key.
    ByOtherKey,
    /// With a token for another client.
    ToOtherClient,
    /// With a token that is valid for two hours.
    ForLong,
    /// With a token that is too long for a cookie.
    AtLength,
    /// Without ever sending its metadata.
    Never,
    /// With endless metadata.
    TooMuch,
}

/// A key of the provider.
enum Key {
    Ed25519(Ed25519KeyPair),
    P256(EcdsaKeyPair),
}

/// The request for which the provider gave a code, and the subject that signed in.
struct Given {
    asked: BTreeMap<String, String>,
    subject: String,
}

struct Inner {
    issuer: String,
    keys: [Key; 2],
    answers: Mutex<Answers>,
    codes: Mutex<HashMap<String, Given>>,
    /// The audience of its access tokens.
    audience: String,
}

/// An identity provider. Dropping this value stops it.
pub(super) struct StandIn {
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64URL_NOPAD.encode(bytes.as_ref())
}

pub(super) fn query(url: &Url) -> BTreeMap<String, String> {
    url.query_pairs().into_owned().collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Key {
    fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed25519(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn p256() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::P256(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap())
    }

    fn jwk(&self) -> Value {
        match self {
            Self::Ed25519(key) => json!({
                "kid": "own", "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "x": encode(key.public_key()),
            }),
            Self::P256(key) => {
                let point = key.public_key().as_ref();
                let (x, y) = (encode(&point[1..33]), encode(&point[33..]));
                json!({ "kid": "own", "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig", "x": x, "y": y })
            }
        }
    }

    fn sign(&self, claims: &Value) -> String {
        let algorithm = match self {
            Self::Ed25519(_) => "EdDSA",
            Self::P256(_) => "ES256",
        };
        let head = json!({ "alg": algorithm, "typ": "JWT", "kid": "own" }).to_string();
        let signed = format!("{}.{}", encode(head), encode(claims.to_string()));
        let signature = match self {
            Self::Ed25519(key) => key.sign(signed.as_bytes()).as_ref().to_vec(),
            Self::P256(key) => key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap().as_ref().to_vec(),
        };
        format!("{signed}.{}", encode(signature))
    }
}

impl StandIn {
    /// Starts a provider that signs by Ed25519, or by ECDSA. `audience` is the audience of its access tokens.
    pub(super) async fn start(by_ecdsa: bool, audience: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let keys = if by_ecdsa { [Key::p256(), Key::p256()] } else { [Key::ed25519(), Key::ed25519()] };
        let inner = Arc::new(Inner {
            issuer,
            keys,
            answers: Mutex::new(Answers::Well),
            codes: Mutex::default(),
            audience: audience.to_owned(),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(describe))
            .route(
                "/keys",
                get(async |State(inner): State<Arc<Inner>>| Json(json!({ "keys": [inner.keys[0].jwk()] }))),
            )
            .route("/token", post(token))
            .with_state(Arc::clone(&inner));
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { inner, serving }
    }

    pub(super) fn issuer(&self) -> &str {
        &self.inner.issuer
    }

    /// Sets the way of answering from now on.
    pub(super) fn answer(&self, answers: Answers) {
        *self.inner.answers.lock().unwrap() = answers;
    }

    /// A token of a subject, for calls without a browser.
    pub(super) fn token(&self, subject: &str, audience: &str) -> String {
        self.inner.keys[0].sign(&json!({
            "iss": self.inner.issuer, "sub": subject, "aud": audience, "iat": now(), "exp": now() + 600,
        }))
    }

    /// Signs in at the provider as this subject. Returns the console's path to which the provider redirects
    /// the browser.
    pub(super) fn sign_in(&self, at: &str, subject: &str) -> String {
        let at = Url::parse(at).unwrap();
        assert_eq!(at.origin().ascii_serialization(), self.inner.issuer);
        assert_eq!(at.path(), "/authorize");
        let asked = query(&at);
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["client_id"], CLIENT.0);
        assert_eq!(asked["code_challenge_method"], "S256");
        assert_eq!(asked["scope"], "openid groups");
        assert!(asked["state"].len() >= 20 && asked["nonce"].len() >= 20, "{asked:?}");
        let back = Url::parse(&asked["redirect_uri"]).unwrap();
        assert_eq!((back.path(), back.query()), ("/console/sign-in/callback", None));
        let code = encode(rand::random::<[u8; 16]>());
        let mut answer = form_urlencoded::Serializer::new(String::new());
        answer.append_pair("code", &code).append_pair("state", &asked["state"]);
        let answer = answer.append_pair("iss", &self.inner.issuer).finish();
        let given = Given { asked, subject: subject.to_owned() };
        self.inner.codes.lock().unwrap().insert(code, given);
        format!("{}?{answer}", back.path())
    }
}

async fn describe(State(inner): State<Arc<Inner>>) -> Response {
    let answers = *inner.answers.lock().unwrap();
    match answers {
        Answers::Never => std::future::pending().await,
        Answers::TooMuch => vec![b' '; 1 << 20].into_response(),
        Answers::Well
        | Answers::WithOtherNonce
        | Answers::TooLate
        | Answers::ByOtherKey
        | Answers::ToOtherClient
        | Answers::ForLong
        | Answers::AtLength => {
            let at = |path: &str| format!("{}{path}", inner.issuer);
            Json(json!({
                "issuer": inner.issuer,
                "authorization_endpoint": at("/authorize"),
                "token_endpoint": at("/token"),
                "jwks_uri": at("/keys"),
                "response_types_supported": ["code"],
                "subject_types_supported": ["public"],
                "id_token_signing_alg_values_supported": ["EdDSA", "ES256", "HS256"],
            }))
            .into_response()
        }
    }
}

fn refused(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({ "error": code, "error_description": "not for <b>people</b>" })))
        .into_response()
}

async fn token(State(inner): State<Arc<Inner>>, headers: HeaderMap, body: String) -> Response {
    let form: BTreeMap<String, String> = form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let escaped = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = format!("Basic {}", BASE64.encode(format!("{}:{}", CLIENT.0, escaped(CLIENT.1)).as_bytes()));
    if headers.get(header::AUTHORIZATION).is_none_or(|sent| sent.to_str().unwrap() != basic) {
        return refused("invalid_client");
    }
    // A code is valid once, whether or not the exchange succeeds.
    let given = inner.codes.lock().unwrap().remove(form.get("code").map_or("", String::as_str));
    let Some(Given { asked, subject }) = given else { return refused("invalid_grant") };
    let challenge = encode(digest(&SHA256, form["code_verifier"].as_bytes()));
    let fits = form["grant_type"] == "authorization_code"
        && form["redirect_uri"] == asked["redirect_uri"]
        && challenge == asked["code_challenge"];
    if !fits {
        return refused("invalid_grant");
    }
    let answers = *inner.answers.lock().unwrap();
    let (issued, expires) = match answers {
        Answers::TooLate => (now() - 600, now() - 300),
        Answers::ForLong => (now(), now() + 7_200),
        Answers::Well
        | Answers::WithOtherNonce
        | Answers::ByOtherKey
        | Answers::ToOtherClient
        | Answers::AtLength
        | Answers::Never
        | Answers::TooMuch => (now(), now() + 600),
    };
    let nonce = if answers == Answers::WithOtherNonce { "another" } else { &asked["nonce"] };
    let client = if answers == Answers::ToOtherClient { "other" } else { CLIENT.0 };
    let groups = if answers == Answers::AtLength { vec!["g".repeat(200); 20] } else { Vec::new() };
    let mut claims = json!({
        "iss": inner.issuer, "sub": subject, "aud": client, "iat": issued, "exp": expires, "nonce": nonce, "groups": groups,
    });
    let key = &inner.keys[usize::from(answers == Answers::ByOtherKey)];
    let id_token = key.sign(&claims);
    claims["aud"] = json!([inner.audience, "another"]);
    Json(json!({
        "access_token": key.sign(&claims), "token_type": "Bearer", "expires_in": 600, "id_token": id_token,
    }))
    .into_response()
}
