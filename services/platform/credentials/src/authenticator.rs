//! Identifies callers. No other type does.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::SystemTime;

use crate::api_key::{KeyId, Pepper, StoredKey};
use crate::attempts::FailedAttempts;
use crate::config::CredentialsConfig;
use crate::jwt::{FetchKeys, Issuers};
use crate::presented::{Bearer, Carried, Presented};
use crate::rejected::Rejected;
use crate::spiffe::{CertificateName, MemberSpiffeId};
use crate::verified::{PrincipalReference, Verified, VerifiedBearer};

/// The host of calls without an address.
const NO_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

/// Checks the credentials of calls.
#[derive(Debug)]
pub struct Authenticator {
    trust_domains: Vec<String>,
    pepper: Pepper,
    issuers: Issuers,
    attempts: FailedAttempts,
}

impl Authenticator {
    /// Returns an authenticator for a configuration without faults. `fetch` gets the keys of issuers.
    #[must_use]
    pub fn new(config: &CredentialsConfig, pepper: Pepper, fetch: &Arc<dyn FetchKeys>) -> Self {
        let (burst, per_minute) = (config.failed_attempts_burst, config.failed_attempts_per_minute);
        Self {
            trust_domains: config.trust_domains.clone(),
            pepper,
            issuers: Issuers::new(&config.issuers, fetch),
            attempts: FailedAttempts::new(burst, per_minute, config.failed_attempts_hosts_max),
        }
    }

    /// Returns the issuers of tokens, to fetch their keys at the start, and for metrics.
    #[must_use]
    pub const fn issuers(&self) -> &Issuers {
        &self.issuers
    }

    /// Checks the credentials of a call. `stored` finds an API key in the directory.
    ///
    /// Calls without the header `Authorization` are not limited: the handshake has proven the certificate,
    /// which costs nothing here.
    ///
    /// # Errors
    ///
    /// A credential is wrong or cannot be checked, or the host failed too often.
    pub async fn verify(
        &self,
        carried: &Carried<'_>,
        stored: impl Fn(KeyId) -> Option<StoredKey>,
        now: SystemTime,
    ) -> Result<Verified, Rejected> {
        if !carried.authorization.is_present() {
            let certificate = self.certificate(Presented::read(carried)?.certificate)?;
            return Ok(Verified { certificate, bearer: None });
        }
        let address = carried.address.unwrap_or(NO_ADDRESS);
        self.attempts.check(address).map_err(|retry_after| Rejected::TooManyFailures { retry_after })?;
        let proven = self.prove(carried, stored, now).await;
        self.count(address, &proven);
        proven
    }

    /// Finds the principal of a call in a directory: that of the API key or token, otherwise that of the
    /// certificate; `None` if the call has neither. `find` looks up one reference and returns the principal
    /// with its member's name.
    ///
    /// # Errors
    ///
    /// A credential has no principal, the certificate names another member than its principal's, or the two
    /// credentials belong to different members.
    pub fn resolve<P, M: AsRef<str>>(
        &self,
        address: Option<IpAddr>,
        verified: &Verified,
        find: impl FnMut(PrincipalReference<'_>) -> Option<(P, M)>,
    ) -> Result<Option<P>, Rejected> {
        let resolved = verified.resolve(find);
        if verified.bearer.is_some() {
            self.count(address.unwrap_or(NO_ADDRESS), &resolved);
        }
        resolved
    }

    async fn prove(
        &self,
        carried: &Carried<'_>,
        stored: impl Fn(KeyId) -> Option<StoredKey>,
        now: SystemTime,
    ) -> Result<Verified, Rejected> {
        let presented = Presented::read(carried)?;
        let certificate = self.certificate(presented.certificate)?;
        let bearer = match presented.bearer {
            Some(Bearer::ApiKey(key)) => {
                let stored = stored(key.id());
                StoredKey::prove(stored.as_ref(), &key, &self.pepper, now)?;
                let expires = stored.and_then(|stored| stored.expires);
                Some(VerifiedBearer::ApiKey { id: key.id(), expires })
            }
            Some(Bearer::Token(text)) => {
                Some(VerifiedBearer::Token(self.issuers.verify(text.as_str(), now).await?))
            }
            None => None,
        };
        Ok(Verified { certificate, bearer })
    }

    fn certificate(&self, name: Option<CertificateName>) -> Result<Option<MemberSpiffeId>, Rejected> {
        match name {
            Some(CertificateName::Member(id)) => {
                let is_ours = self.trust_domains.iter().any(|domain| domain == id.trust_domain());
                if is_ours { Ok(Some(id)) } else { Err(Rejected::TrustDomain) }
            }
            Some(CertificateName::Deployment(_)) | None => Ok(None),
        }
    }

    /// Counts a failed attempt, if the caller is at fault.
    fn count<T>(&self, address: IpAddr, outcome: &Result<T, Rejected>) {
        if outcome.as_ref().is_err_and(Rejected::is_a_failed_attempt) {
            self.attempts.failed(address);
        }
    }
}
