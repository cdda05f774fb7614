//! Whole calls: their credentials, their principals, the answers to the caller and the log.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use vigie_credentials::api_key::{ApiKey, KeyId, Pepper, StoredKey};
use vigie_credentials::jwt::FetchKeys;
use vigie_credentials::{
    Answer, Authenticator, Authorization, Carried, CredentialsConfig, PrincipalReference, Rejected,
    UNAUTHENTICATED, Verified, VerifiedBearer,
};

use crate::issuer::{Published, Signer, claims, config, now, with};

const ACME: &str = "spiffe://vigie.example/member/acme/uploads";
const OTHER: &str = "spiffe://vigie.example/member/other/uploads";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A server with one issuer and one stored key, and a directory in which both belong to acme.
pub(crate) struct Server {
    authenticator: Authenticator,
    signer: Signer,
    key: ApiKey,
    stored: StoredKey,
    /// The number of key lookups.
    lookups: Cell<u32>,
}

impl Server {
    pub(crate) fn new() -> Self {
        Self::with_issuer(true)
    }

    fn with_issuer(is_there: bool) -> Self {
        let signer = Signer::new();
        let config = CredentialsConfig {
            trust_domains: vec!["vigie.example".to_owned()],
            issuers: vec![config(json!({}))],
            failed_attempts_burst: 5,
            failed_attempts_per_minute: 6,
            ..CredentialsConfig::default()
        };
        assert_eq!(config.faults(), Vec::<String>::new());
        let fetch: Arc<dyn FetchKeys> = Arc::new(Published(is_there.then(|| signer.jwks())));
        let pepper = Pepper::new([9; 32]);
        let key = ApiKey::generate().unwrap();
        let expires = Some(now() + Duration::from_secs(100));
        let stored = StoredKey { id: key.id(), digest: pepper.digest(&key), expires };
        let authenticator = Authenticator::new(&config, pepper, &fetch);
        Self { authenticator, signer, key, stored, lookups: Cell::new(0) }
    }

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", *self.key.reveal())
    }

    fn token(&self) -> String {
        format!("Bearer {}", self.signer.sign(&claims()))
    }

    pub(crate) async fn verify(
        &self,
        certificate: Option<&str>,
        authorization: &[&str],
    ) -> Result<Verified, Rejected> {
        self.verify_from(HERE, certificate, authorization).await
    }

    async fn verify_from(
        &self,
        address: IpAddr,
        certificate_name: Option<&str>,
        authorization: &[&str],
    ) -> Result<Verified, Rejected> {
        let authorization = Authorization::of(authorization.iter().map(|value| value.as_bytes()));
        let carried = Carried { address: Some(address), certificate_name, authorization };
        let stored = |id: KeyId| {
            self.lookups.set(self.lookups.get() + 1);
            (id == self.stored.id).then_some(self.stored)
        };
        self.authenticator.verify(&carried, stored, now()).await
    }

    /// Returns the principal according to the directory, as a word.
    fn resolve(&self, address: IpAddr, verified: &Verified) -> Result<Option<&'static str>, Rejected> {
        self.authenticator.resolve(Some(address), verified, |reference| match reference {
            PrincipalReference::Certificate(id) if id.as_str() == ACME => Some(("workload", "acme")),
            PrincipalReference::Certificate(id) if id.as_str() == OTHER => {
                Some(("other's workload", "other"))
            }
            // A principal that was registered with the certificate of another member.
            PrincipalReference::Certificate(id) if id.member() == "stolen" => Some(("thief", "acme")),
            PrincipalReference::ApiKey(id) if id == self.stored.id => Some(("key", "acme")),
            PrincipalReference::Token(token) if token.subject() == "uploads" => Some(("person", "acme")),
            PrincipalReference::Certificate(_)
            | PrincipalReference::ApiKey(_)
            | PrincipalReference::Token(_) => None,
        })
    }

    async fn who(
        &self,
        certificate: Option<&str>,
        authorization: &[&str],
    ) -> Result<Option<&'static str>, Rejected> {
        self.who_from(HERE, certificate, authorization).await
    }

    async fn who_from(
        &self,
        address: IpAddr,
        certificate: Option<&str>,
        authorization: &[&str],
    ) -> Result<Option<&'static str>, Rejected> {
        let verified = self.verify_from(address, certificate, authorization).await?;
        self.resolve(address, &verified)
    }
}

#[tokio::test]
async fn each_credential_finds_its_principal_and_two_have_to_be_of_one_member() {
    let server = Server::new();
    let (key, token) = (server.bearer(), server.token());
    for (certificate, authorization, principal) in [
        (None, None, None),
        (Some("frontend.example"), None, None),
        (Some("spiffe://vigie.dev/frontend"), None, None),
        (Some(ACME), None, Some("workload")),
        (None, Some(&key), Some("key")),
        (None, Some(&token), Some("person")),
        (Some(ACME), Some(&key), Some("key")),
        (Some(ACME), Some(&token), Some("person")),
        (Some("spiffe://vigie.dev/frontend"), Some(&key), Some("key")),
    ] {
        let authorization: Vec<&str> = authorization.into_iter().map(String::as_str).collect();
        assert_eq!(server.who(certificate, &authorization).await, Ok(principal), "{certificate:?}");
    }
    for authorization in [&key, &token] {
        let refused = server.who(Some(OTHER), &[authorization]).await.unwrap_err();
        assert_eq!(refused, Rejected::DifferentMembers);
    }
}

#[tokio::test]
async fn a_call_knows_until_when_its_credentials_are_good() {
    let server = Server::new();
    let verified = server.verify(Some(ACME), &[&server.bearer()]).await.unwrap();
    assert_eq!(verified.certificate().unwrap().as_str(), ACME);
    assert!(matches!(verified.bearer(), Some(VerifiedBearer::ApiKey { id, .. }) if *id == server.key.id()));
    assert_eq!(verified.expires(), server.stored.expires);
    let verified = server.verify(None, &[&server.token()]).await.unwrap();
    assert_eq!(verified.expires(), Some(now() + Duration::from_secs(660)));
    let verified = server.verify(None, &[]).await.unwrap();
    assert!(verified.is_anonymous() && verified.expires().is_none());
}

/// Every kind of wrong credential, each beside one that would be sufficient.
#[tokio::test]
async fn a_wrong_credential_fails_the_call_with_one_text_and_its_own_reason() {
    let server = Server::new();
    let (key, token) = (server.bearer(), server.token());
    let fresh = ApiKey::generate().unwrap();
    let unknown = format!("Bearer {}", *fresh.reveal());
    let mut cut = key.clone();
    cut.pop();
    let nobody = format!("Bearer {}", server.signer.sign(&with("sub", "nobody")));
    let late = format!("Bearer {}", server.signer.sign(&with("exp", 1)));
    let unsigned = format!("Bearer {}", token.rsplit_once('.').unwrap().0.trim_start_matches("Bearer "));
    let rows = [
        (Some(ACME), vec![unknown.as_str()], "api_key_unknown"),
        (Some(ACME), vec![cut.as_str()], "api_key_malformed"),
        (Some(ACME), vec![late.as_str()], "token_expired"),
        (Some(ACME), vec![unsigned.as_str()], "token_malformed"),
        (Some(ACME), vec![nobody.as_str()], "no_principal"),
        (Some(ACME), vec!["Basic YTpi"], "not_bearer"),
        (Some(ACME), vec!["Bearer "], "malformed_bearer"),
        (Some(ACME), vec![key.as_str(), key.as_str()], "several_authorizations"),
        (Some(ACME), vec![key.as_str(), token.as_str()], "several_authorizations"),
        (Some("spiffe://elsewhere.example/member/acme/uploads"), vec![key.as_str()], "trust_domain"),
        (Some("spiffe://vigie.example/member/acme/unknown"), vec![key.as_str()], "no_principal"),
        (Some("spiffe://vigie.example/member/acme/uploads2"), vec![], "no_principal"),
        (Some("spiffe://vigie.example/member/acme"), vec![key.as_str()], "certificate_malformed"),
        (Some("spiffe://vigie.example/member/stolen/uploads"), vec![], "certificate_of_another"),
        (Some(OTHER), vec![token.as_str()], "different_members"),
    ];
    // One host for each row, so that none is refused because of earlier failures.
    for (host, (certificate, authorization, reason)) in (1..).zip(rows) {
        let address = Ipv4Addr::from_bits(host).into();
        let refused = server.who_from(address, certificate, &authorization).await.unwrap_err();
        assert_eq!(refused.reason(), reason, "{certificate:?} {refused}");
        assert_eq!(refused.answer(), Answer::Unauthenticated);
        assert_eq!(refused.answer().text(), UNAUTHENTICATED);
        let shown = format!("{refused} {refused:?}");
        for value in authorization {
            // Words of a scheme are no secret.
            for part in value.split(['.', ' ', '_']).filter(|part| part.len() > 20) {
                assert!(!shown.contains(part), "{shown}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_host_that_failed_too_often_is_refused_before_anything_is_computed() {
    let server = Server::new();
    let (key, other_key) = (server.bearer(), ApiKey::generate().unwrap());
    let wrong = format!("Bearer {}", *other_key.reveal());
    let here: IpAddr = "2001:db8::1".parse().unwrap();
    let neighbour: IpAddr = "2001:db8::ffff".parse().unwrap();
    let elsewhere: IpAddr = "2001:db8:0:1::1".parse().unwrap();
    for _ in 0..5 {
        assert!(server.verify_from(here, None, &[&wrong]).await.is_err());
    }
    assert_eq!(server.lookups.get(), 5);
    for value in [&wrong, &key, "Basic x", &server.token()] {
        let refused = server.verify_from(neighbour, None, &[value]).await.unwrap_err();
        assert_eq!(refused, Rejected::TooManyFailures { retry_after: Duration::from_secs(10) });
        assert_eq!(refused.answer(), Answer::TooManyFailures { retry_after: Duration::from_secs(10) });
    }
    assert_eq!(server.lookups.get(), 5, "nothing was looked up");
    // Other hosts, and calls with only a certificate, are not affected.
    assert!(server.verify_from(elsewhere, None, &[&key]).await.is_ok());
    assert!(server.verify_from(here, Some(ACME), &[]).await.is_ok());
    assert!(server.verify_from(here, None, &[]).await.is_ok());

    tokio::time::advance(Duration::from_secs(10)).await;
    for _ in 0..100 {
        assert!(server.verify_from(here, None, &[&key]).await.is_ok(), "what is right takes no token");
    }
    assert!(server.verify_from(here, None, &["Basic x"]).await.is_err());
    assert!(matches!(server.verify_from(here, None, &[&key]).await, Err(Rejected::TooManyFailures { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_principal_that_is_not_there_counts_as_a_failure_and_an_issuer_that_is_away_does_not() {
    let server = Server::new();
    let nobody = format!("Bearer {}", server.signer.sign(&with("sub", "nobody")));
    for _ in 0..5 {
        let refused = server.who(None, &[&nobody]).await.unwrap_err();
        assert_eq!(refused.reason(), "no_principal");
    }
    assert_eq!(server.who(None, &[&nobody]).await.unwrap_err().reason(), "too_many_failures");

    let away = Server::with_issuer(false);
    for _ in 0..20 {
        let refused = away.who(None, &[&away.token()]).await.unwrap_err();
        assert_eq!((refused.reason(), refused.answer()), ("token_no_keys", Answer::CannotCheck));
    }
    assert_eq!(away.who(None, &[&away.bearer()]).await, Ok(Some("key")));
}
