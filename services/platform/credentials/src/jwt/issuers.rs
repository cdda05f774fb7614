//! The configured issuers, and the whole check of a token.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::config::IssuerConfig;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::claims::{self, VerifiedToken};
use crate::jwt::compact::Compact;
use crate::jwt::jwks::KeyMissing;
use crate::jwt::key_cache::{FetchKeys, KeyCache};
use crate::jwt::refused::TokenRefused;

/// The issuers whose tokens are accepted.
#[derive(Debug)]
pub struct Issuers(Vec<Issuer>);

#[derive(Debug)]
struct Issuer {
    issuer: Arc<str>,
    audience: String,
    algorithms: Vec<Algorithm>,
    groups_claim: Option<String>,
    keys: KeyCache,
}

impl Issuers {
    /// Takes the issuers of a configuration without faults. Fetches nothing yet.
    #[must_use]
    pub fn new(configs: &[IssuerConfig], fetch: &Arc<dyn FetchKeys>) -> Self {
        let issuer = |config: &IssuerConfig| Issuer {
            issuer: config.issuer.as_str().into(),
            audience: config.audience.clone(),
            algorithms: config.algorithms.clone(),
            groups_claim: config.groups_claim.clone(),
            keys: KeyCache::new(config, fetch.clone()),
        };
        Self(configs.iter().map(issuer).collect())
    }

    /// Fetches the keys of all issuers at once, before there are calls. Takes at most 5 s. A failure is
    /// logged, and the first token of that issuer fetches again. Must be called within a tokio runtime.
    pub async fn fetch_keys(&self) {
        let fetches: Vec<_> = self.0.iter().map(|issuer| issuer.keys.fetch()).collect();
        for fetch in fetches {
            fetch.await;
        }
    }

    /// Returns the age of each issuer's keys; `None` if there are none, or they are too old to be used.
    pub fn key_ages(&self) -> impl Iterator<Item = (&str, Option<Duration>)> {
        self.0.iter().map(|issuer| (&*issuer.issuer, issuer.keys.age()))
    }

    /// Checks a token. Fetches the keys of its issuer if they are due or one is missing, and waits for that,
    /// at most 5 s, if the token cannot be checked without it. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The token is not valid, or its issuer's keys are missing.
    pub async fn verify(&self, text: &str, now: SystemTime) -> Result<VerifiedToken, TokenRefused> {
        let token = Compact::read(text)?;
        let name = claims::issuer(&token.claims)?;
        let issuer = self.0.iter().find(|issuer| *issuer.issuer == *name).ok_or(TokenRefused::Issuer)?;
        if !issuer.algorithms.contains(&token.algorithm) {
            return Err(TokenRefused::Algorithm);
        }
        let key = issuer.keys.find(token.key_id.as_deref(), token.algorithm).await;
        let key = key.map_err(|missing| issuer.refused(missing))?;
        if !key.has_signed(token.signed, &token.signature) {
            return Err(TokenRefused::Signature { issuer: issuer.issuer.clone() });
        }
        let groups_claim = issuer.groups_claim.as_deref();
        claims::check(&token.claims, &issuer.issuer, &issuer.audience, groups_claim, now)
    }
}

impl Issuer {
    fn refused(&self, missing: KeyMissing) -> TokenRefused {
        let issuer = self.issuer.clone();
        match missing {
            KeyMissing::NoKeys => TokenRefused::NoKeys { issuer },
            KeyMissing::Unknown => TokenRefused::KeyUnknown { issuer },
            KeyMissing::NotNamed => TokenRefused::KeyNotNamed { issuer },
            KeyMissing::OtherAlgorithm => TokenRefused::KeyOfOtherAlgorithm { issuer },
            KeyMissing::Unusable(why) => TokenRefused::KeyUnusable { issuer, why },
        }
    }
}
