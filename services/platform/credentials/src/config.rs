//! The settings of credentials.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::jwt::Algorithm;

/// The most trust domains and issuers: both are looked through one by one.
const TRUST_DOMAINS_MAX: usize = 16;
const ISSUERS_MAX: usize = 16;
/// The longest issuer, audience, address and name of a claim, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
const WEEK_MS: u64 = 7 * 24 * 60 * 60 * 1_000;

/// The credentials that a server accepts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CredentialsConfig {
    /// The trust domains of members' certificates, `spiffe://<domain>/member/<name>/<workload>`, at most 16.
    /// Such a certificate of another domain is refused.
    #[schemars(length(max = TRUST_DOMAINS_MAX))]
    pub trust_domains: Vec<String>,
    /// The identity providers whose tokens (JWTs) are accepted, at most 16.
    #[schemars(length(max = ISSUERS_MAX))]
    pub issuers: Vec<IssuerConfig>,
    /// How many calls with wrong credentials one host (an IPv4 address, or a /64 of IPv6) may make at once.
    /// Beyond that, all its calls with an API key or token fail with `RESOURCE_EXHAUSTED` and `RetryInfo`.
    /// Behind a proxy all clients are one host.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failed_attempts_burst: u32,
    /// How many further calls with wrong credentials one host may make in a minute.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub failed_attempts_per_minute: u32,
    /// The most hosts whose failed attempts are counted, at about 50 bytes each. Beyond it, a host that would
    /// soonest have all its attempts back is forgotten.
    #[schemars(range(min = 8, max = 1_000_000))]
    pub failed_attempts_hosts_max: usize,
}

/// An identity provider whose tokens are accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IssuerConfig {
    /// The claim `iss` of its tokens, byte for byte.
    pub issuer: String,
    /// The name of this deployment, which the claim `aud` of a token must contain.
    pub audience: String,
    /// The address of its keys (JWKS). HTTPS, or plain HTTP on loopback.
    pub jwks_url: String,
    /// The algorithms with which its tokens may be signed.
    #[serde(default = "Algorithm::all")]
    pub algorithms: Vec<Algorithm>,
    /// The claim that lists the groups of its subjects; without it groups are not read.
    #[serde(default)]
    pub groups_claim: Option<String>,
    /// The age at which keys are fetched again, in milliseconds. A key that the issuer withdraws is refused
    /// after this time.
    #[serde(default = "default_refresh_ms")]
    #[schemars(range(min = 60_000, max = WEEK_MS))]
    pub keys_refresh_ms: u64,
    /// The age at which keys are no longer used, in milliseconds, when the issuer cannot be reached. Then its
    /// tokens fail with `UNAVAILABLE`.
    #[serde(default = "default_age_ms_max")]
    #[schemars(range(min = 60_000, max = WEEK_MS))]
    pub keys_age_ms_max: u64,
}

const fn default_refresh_ms() -> u64 {
    10 * 60 * 1_000
}

const fn default_age_ms_max() -> u64 {
    24 * 60 * 60 * 1_000
}

impl Default for CredentialsConfig {
    fn default() -> Self {
        Self {
            trust_domains: Vec::new(),
            issuers: Vec::new(),
            failed_attempts_burst: 60,
            failed_attempts_per_minute: 60,
            failed_attempts_hosts_max: 16_384,
        }
    }
}

impl CredentialsConfig {
    /// Returns every fault of the values, each beginning with its key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        check(
            self.trust_domains.len() <= TRUST_DOMAINS_MAX,
            format!("trust_domains: there may be at most {TRUST_DOMAINS_MAX}"),
        );
        for domain in &self.trust_domains {
            let is_domain = !domain.contains('/') && vigie_tls::is_spiffe(&format!("spiffe://{domain}/x"));
            let fault = "is no trust domain: 1 to 255 of a-z 0-9 . - _";
            check(is_domain, format!("trust_domains: {domain:?} {fault}"));
        }
        for (key, value) in [
            ("failed_attempts_burst", self.failed_attempts_burst),
            ("failed_attempts_per_minute", self.failed_attempts_per_minute),
        ] {
            check((1..=1_000_000).contains(&value), format!("{key}: must be 1 to 1,000,000"));
        }
        check(
            (8..=1_000_000).contains(&self.failed_attempts_hosts_max),
            "failed_attempts_hosts_max: must be 8 to 1,000,000".to_owned(),
        );
        check(self.issuers.len() <= ISSUERS_MAX, format!("issuers: there may be at most {ISSUERS_MAX}"));
        let mut seen = BTreeSet::new();
        for (index, issuer) in self.issuers.iter().enumerate() {
            check(
                seen.insert(&issuer.issuer),
                format!("issuers[{index}].issuer: {:?} is there twice", issuer.issuer),
            );
            for fault in issuer.faults() {
                check(false, format!("issuers[{index}].{fault}"));
            }
        }
        faults
    }
}

impl IssuerConfig {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        let texts = [("issuer", &self.issuer), ("audience", &self.audience), ("jwks_url", &self.jwks_url)];
        let groups = self.groups_claim.as_ref().map(|claim| ("groups_claim", claim));
        for (key, text) in texts.into_iter().chain(groups) {
            let is_fit = (1..=TEXT_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control);
            check(is_fit, format!("{key}: must be 1 to {TEXT_BYTES_MAX} bytes without control characters"));
        }
        check(
            is_safe_address(&self.jwks_url),
            format!("jwks_url: {:?} is neither an https address nor an http one on loopback", self.jwks_url),
        );
        check(!self.algorithms.is_empty(), "algorithms: names none".to_owned());
        for (key, value) in
            [("keys_refresh_ms", self.keys_refresh_ms), ("keys_age_ms_max", self.keys_age_ms_max)]
        {
            let fault = format!("{key}: must be 60,000 (a minute) to {WEEK_MS} (a week)");
            check((60_000..=WEEK_MS).contains(&value), fault);
        }
        check(
            self.keys_refresh_ms <= self.keys_age_ms_max,
            "keys_age_ms_max: must be at least keys_refresh_ms".to_owned(),
        );
        faults
    }

    pub(crate) const fn refresh_after(&self) -> Duration {
        Duration::from_millis(self.keys_refresh_ms)
    }

    pub(crate) const fn age_max(&self) -> Duration {
        Duration::from_millis(self.keys_age_ms_max)
    }
}

/// Returns whether nobody on the way can read or change what comes from an address: HTTPS, or plain HTTP on
/// loopback. Addresses with a user are refused: they end up in logs.
#[must_use]
pub fn is_safe_address(text: &str) -> bool {
    let Ok(address) = text.parse::<http::Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (address.scheme_str(), address.authority()) else { return false };
    if authority.as_str().contains('@') || authority.host().is_empty() {
        return false;
    }
    let host = authority.host().trim_matches(['[', ']']);
    let is_loopback = host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback());
    scheme == "https" || (scheme == "http" && is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUER: &str =
        r#"{"issuer": "https://id.example", "audience": "vigie", "jwks_url": "https://id.example/keys"}"#;

    fn issuer() -> IssuerConfig {
        serde_json::from_str(ISSUER).unwrap()
    }

    #[test]
    fn an_issuer_needs_three_texts_and_the_rest_has_defaults() {
        let issuer = issuer();
        assert_eq!(issuer.algorithms, [Algorithm::EdDsa, Algorithm::Es256, Algorithm::Rs256]);
        assert_eq!((issuer.keys_refresh_ms, issuer.keys_age_ms_max), (600_000, 86_400_000));
        let config = CredentialsConfig {
            issuers: vec![issuer],
            trust_domains: vec!["vigie.example".into()],
            ..CredentialsConfig::default()
        };
        assert_eq!(config.faults(), Vec::<String>::new());
        assert_eq!(CredentialsConfig::default().faults(), Vec::<String>::new());
        let text = serde_json::to_string(&config).unwrap();
        assert!(text.contains(r#""algorithms":["EdDSA","ES256","RS256"]"#), "{text}");
        assert_eq!(serde_json::from_str::<CredentialsConfig>(&text).unwrap(), config);
        for unsafe_name in ["none", "HS256", "RS512", "PS256"] {
            let text = text.replace("RS256", unsafe_name);
            assert!(serde_json::from_str::<CredentialsConfig>(&text).is_err(), "{unsafe_name}");
        }
    }

    #[test]
    fn every_fault_is_named_with_its_key() {
        let wrong = IssuerConfig {
            audience: String::new(),
            jwks_url: "http://id.example/keys".into(),
            algorithms: Vec::new(),
            groups_claim: Some("a\nb".into()),
            keys_refresh_ms: 100_000,
            keys_age_ms_max: 90_000,
            ..issuer()
        };
        let config = CredentialsConfig {
            trust_domains: vec!["Vigie".into(), "a/b".into(), String::new()],
            issuers: vec![issuer(), wrong],
            failed_attempts_burst: 0,
            failed_attempts_per_minute: 0,
            failed_attempts_hosts_max: 0,
        };
        let faults = config.faults();
        for key in [
            "trust_domains: \"Vigie\"",
            "trust_domains: \"a/b\"",
            "trust_domains: \"\"",
            "failed_attempts_burst",
            "failed_attempts_per_minute",
            "failed_attempts_hosts_max",
            "issuers[1].issuer: \"https://id.example\" is there twice",
            "issuers[1].audience",
            "issuers[1].jwks_url",
            "issuers[1].algorithms",
            "issuers[1].groups_claim",
            "issuers[1].keys_age_ms_max",
        ] {
            assert!(faults.iter().any(|fault| fault.starts_with(key)), "{key}: {faults:#?}");
        }
        assert_eq!(faults.len(), 12, "{faults:#?}");
    }

    #[test]
    fn keys_come_by_https_or_from_this_host() {
        for address in [
            "https://id.example/keys",
            "https://id.example:8443/keys?x=1",
            "http://127.0.0.1:80/keys",
            "http://[::1]/",
            "http://localhost/",
        ] {
            assert!(is_safe_address(address), "{address}");
        }
        for address in [
            "http://id.example",
            "http://127.0.0.1.example/",
            "http://localhost.example/",
            "https://user:password@id.example/",
            "http://127.0.0.1@id.example/",
            "https://",
            "/keys",
            "file:///keys",
            "ftp://127.0.0.1/",
            "id.example",
            "",
        ] {
            assert!(!is_safe_address(address), "{address}");
        }
    }
}
