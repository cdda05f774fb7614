//! The configuration of signing in at an identity provider.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_credentials::{CredentialsConfig, IssuerConfig, is_safe_address};
use zeroize::Zeroizing;

/// The longest issuer and the longest client id, in bytes.
const TEXT_BYTES_MAX: usize = 1_024;
/// The longest client secret, in bytes.
const SECRET_BYTES_MAX: usize = 1_024;
/// The most scopes in a request to the provider.
const SCOPES_MAX: usize = 16;
/// The longest scope, in bytes.
const SCOPE_BYTES_MAX: usize = 256;

/// Signing in to the console at an identity provider, by OpenID Connect.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OidcConfig {
    /// The identity provider, such as `https://id.example`: the claim `iss` of its tokens, byte for byte. Its
    /// endpoints are read from its discovery document. It must be one of `access.credentials.issuers`.
    /// Without it, people sign in with API keys.
    #[schemars(extend("x-value" = "URL"))]
    pub issuer: Option<String>,
    /// The name of the console at the provider. If it is the same as the issuer's `audience`, a person's ID
    /// token is the credential of the session; otherwise the access token is, which must then be a JWT.
    #[schemars(extend("x-value" = "NAME"))]
    pub client_id: Option<String>,
    /// A file with the client secret of the console at the provider, at most 1,024 bytes. Without it, the
    /// console is a public client, which PKCE protects.
    #[schemars(extend("x-value" = "FILE"))]
    pub client_secret_file: Option<PathBuf>,
    /// The scopes that are requested of the provider besides `openid`, at most 16, such as `groups`.
    #[schemars(length(max = SCOPES_MAX), extend("x-value" = "NAME"))]
    pub scopes: Vec<String>,
}

impl OidcConfig {
    /// Returns the issuer and the client id if a provider is configured.
    pub(crate) fn provider(&self) -> Option<(&str, &str)> {
        Some((self.issuer.as_deref()?, self.client_id.as_deref()?))
    }

    /// Reads the client secret from its file.
    ///
    /// # Errors
    ///
    /// Returns the fault of the file, prefixed with its configuration key.
    pub(crate) fn client_secret(&self) -> Result<Option<Zeroizing<String>>, String> {
        let Some(path) = &self.client_secret_file else { return Ok(None) };
        let cannot = |why: String| format!("client_secret_file: {} {why}", path.display());
        let text =
            std::fs::read_to_string(path).map_err(|error| cannot(format!("cannot be read: {error}")))?;
        let text = Zeroizing::new(text);
        let secret = Zeroizing::new(text.trim().to_owned());
        let is_fit = (1..=SECRET_BYTES_MAX).contains(&secret.len()) && !secret.contains(char::is_control);
        let fault = format!("must have 1 to {SECRET_BYTES_MAX} bytes without control characters");
        if is_fit { Ok(Some(secret)) } else { Err(cannot(fault)) }
    }

    /// Returns the entry of this provider among the issuers whose tokens the gateway accepts.
    pub(crate) fn issuer_in<'c>(&self, credentials: &'c CredentialsConfig) -> Option<&'c IssuerConfig> {
        let issuer = self.issuer.as_deref()?;
        credentials.issuers.iter().find(|known| known.issuer == issuer)
    }

    /// Returns every fault of the values, each prefixed with its configuration key. Reads the file.
    /// `credentials`: the issuers whose tokens the gateway accepts. `public_url`: the URL to which the
    /// provider sends browsers back.
    pub(crate) fn faults(&self, credentials: &CredentialsConfig, public_url: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        let is_text = |text: &str| {
            (1..=TEXT_BYTES_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        if let Some(issuer) = &self.issuer {
            let is_url = |url: url::Url| url.query().is_none() && url.fragment().is_none();
            let is_issuer = is_text(issuer) && is_safe_address(issuer) && issuer.parse().is_ok_and(is_url);
            let fault = "is neither an https address nor an http one on loopback, without query and fragment";
            check(is_issuer, format!("issuer: {issuer:?} {fault}"));
            check(
                self.issuer_in(credentials).is_some(),
                format!(
                    "issuer: {issuer:?} is none of access.credentials.issuers, so none of its tokens would be taken"
                ),
            );
            check(self.client_id.is_some(), "client_id: is missing, beside issuer".to_owned());
            check(
                public_url.is_none_or(is_safe_address),
                "issuer: public_url is plain http, and codes of the provider would travel over it; make it https".to_owned(),
            );
        } else {
            let is_alone =
                self.client_id.is_none() && self.client_secret_file.is_none() && self.scopes.is_empty();
            check(is_alone, "issuer: is missing, beside the other keys of this table".to_owned());
        }
        if let Some(client_id) = &self.client_id {
            let fault = format!("client_id: must have 1 to {TEXT_BYTES_MAX} printable characters of ASCII");
            check(is_text(client_id), fault);
        }
        check(self.scopes.len() <= SCOPES_MAX, format!("scopes: there may be at most {SCOPES_MAX}"));
        for scope in &self.scopes {
            // The syntax of a scope: RFC 6749, section 3.3.
            let is_scope = (1..=SCOPE_BYTES_MAX).contains(&scope.len())
                && scope.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
            check(is_scope, format!("scopes: {scope:?} is no scope"));
        }
        faults.extend(self.client_secret().err());
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credentials(issuer: &str) -> CredentialsConfig {
        let issuer = format!(
            r#"{{"issuer": "{issuer}", "audience": "console", "jwks_url": "https://id.example/keys"}}"#
        );
        CredentialsConfig {
            issuers: vec![serde_json::from_str(&issuer).unwrap()],
            ..CredentialsConfig::default()
        }
    }

    fn config(issuer: &str) -> OidcConfig {
        OidcConfig {
            issuer: Some(issuer.to_owned()),
            client_id: Some("console".to_owned()),
            ..OidcConfig::default()
        }
    }

    #[test]
    fn a_provider_whose_tokens_are_taken_has_no_fault() {
        for issuer in ["https://id.example", "https://id.example/realms/a/", "http://127.0.0.1:8080"] {
            let (config, credentials) = (config(issuer), credentials(issuer));
            assert_eq!(config.faults(&credentials, Some("https://v.example")), Vec::<String>::new());
            assert_eq!(config.provider(), Some((issuer, "console")));
        }
        assert_eq!(OidcConfig::default().faults(&CredentialsConfig::default(), None), Vec::<String>::new());
        assert_eq!(OidcConfig::default().provider(), None);
    }

    #[test]
    fn every_fault_begins_with_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        let wrong = OidcConfig {
            client_id: Some(String::new()),
            client_secret_file: Some(empty),
            scopes: vec!["a b".to_owned(), String::new(), "groups".to_owned()],
            ..config("http://id.example")
        };
        let faults = wrong.faults(&credentials("https://other.example"), Some("http://v.example"));
        for (fault, text) in faults.iter().zip([
            "issuer: \"http://id.example\" is neither",
            "issuer: \"http://id.example\" is none of access.credentials.issuers",
            "issuer: public_url is plain http",
            "client_id: must have",
            "scopes: \"a b\"",
            "scopes: \"\"",
            "client_secret_file: ",
        ]) {
            assert!(fault.starts_with(text), "{fault}");
        }
        assert_eq!(faults.len(), 7, "{faults:?}");
        let alone = OidcConfig { scopes: vec!["groups".to_owned()], ..OidcConfig::default() };
        assert_eq!(
            alone.faults(&CredentialsConfig::default(), None),
            ["issuer: is missing, beside the other keys of this table"]
        );
        let nameless = OidcConfig { client_id: None, ..config("https://id.example") };
        let faults = nameless.faults(&credentials("https://id.example"), None);
        assert_eq!(faults, ["client_id: is missing, beside issuer"]);
        for odd in [
            "https://id.example?x",
            "https://id.example#x",
            "https://u@id.example",
            "id.example",
            "https://a b",
        ] {
            assert!(!config(odd).faults(&credentials("https://id.example"), None).is_empty(), "{odd}");
        }
    }

    #[test]
    fn a_secret_is_the_text_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "s3cret\n").unwrap();
        let config = OidcConfig { client_secret_file: Some(path), ..config("https://id.example") };
        assert_eq!(&**config.client_secret().unwrap().unwrap(), "s3cret");
    }
}
