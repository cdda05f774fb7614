//! The credential that calls carry: an API key or a token, in the header `Authorization` (RFC 6750).

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use thiserror::Error;
use vigie_credentials::api_key::{self, ApiKey, KeyFault};
use vigie_credentials::{TOKEN_BYTES_MAX, is_bearer_credential};
use zeroize::Zeroizing;

const SCHEME: &str = "Bearer ";

/// A bearer credential. Clones share its text, which is never displayed and is wiped when the last clone is
/// dropped. Copies that a connection makes in its buffers are not wiped.
#[derive(Clone)]
pub struct Bearer {
    value: HeaderValue,
    name: Arc<str>,
}

/// The reasons for which a text is no bearer credential. The messages repeat no part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BearerFault {
    /// The text begins as an API key does, but is not valid.
    #[error(transparent)]
    ApiKey(#[from] KeyFault),
    /// The text is not a token.
    #[error("a token is 1 to {TOKEN_BYTES_MAX} of A-Z a-z 0-9 - . _ ~ + / =, in one line")]
    Token,
}

impl Bearer {
    /// Checks a credential: an API key, `vgk_...`, in full; a token by its length and characters. `source` is
    /// the name of the credential's origin in messages, such as `VIGIE_API_KEY`.
    ///
    /// # Errors
    ///
    /// The text is neither.
    pub fn new(credential: &str, source: &str) -> Result<Self, BearerFault> {
        let name = if credential.starts_with(api_key::PREFIX) {
            format!("API key {} of {source}", ApiKey::parse(credential)?.id())
        } else {
            format!("token of {source}")
        };
        if credential.len() > TOKEN_BYTES_MAX || !is_bearer_credential(credential) {
            return Err(BearerFault::Token);
        }
        let mut text = Zeroizing::new(Vec::with_capacity(SCHEME.len() + credential.len()));
        text.extend_from_slice(SCHEME.as_bytes());
        text.extend_from_slice(credential.as_bytes());
        let mut value =
            HeaderValue::from_maybe_shared(Bytes::from_owner(text)).map_err(|_| BearerFault::Token)?;
        value.set_sensitive(true);
        Ok(Self { value, name: name.into() })
    }

    /// Returns the name of the credential in messages, such as `API key abcdefghijklmnop of VIGIE_API_KEY`.
    /// The id of a key is public.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts the credential into the headers of a request, in place of any other.
    pub fn write(&self, headers: &mut HeaderMap) {
        headers.insert(AUTHORIZATION, self.value.clone());
    }
}

/// Compares the text of two credentials. Compare only checked credentials: the comparison does not take
/// constant time.
impl PartialEq for Bearer {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Bearer {}

/// Shows only the name.
impl fmt::Debug for Bearer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Bearer({})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_or_a_token_is_written_and_never_shown() {
        let key = ApiKey::generate().unwrap();
        let (text, id) = (key.reveal(), key.id().to_string());
        let (secret, token) = (&text[text.len() - 58..], "header.claims.signature");
        for (credential, name) in
            [(text.as_str(), format!("API key {id} of a test")), (token, "token of a test".to_owned())]
        {
            let bearer = Bearer::new(credential, "a test").unwrap();
            assert_eq!(bearer.name(), name);
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic other"));
            bearer.write(&mut headers);
            let values: Vec<_> = headers.get_all(AUTHORIZATION).iter().collect();
            assert_eq!(values, [format!("Bearer {credential}").as_str()]);
            let shown = format!("{bearer:?} {headers:?}");
            assert!(!shown.contains(secret) && !shown.contains("claims"), "{shown}");
        }
    }

    #[test]
    fn what_no_server_would_accept_is_refused() {
        let key = ApiKey::generate().unwrap().reveal();
        let fault = |credential: &str| Bearer::new(credential, "a test").unwrap_err();
        assert_eq!(fault(&key[..78]), BearerFault::ApiKey(KeyFault::Length { bytes: 78 }));
        assert!(matches!(fault("vgk_"), BearerFault::ApiKey(_)));
        for bad in ["", "a b", "a\n", "\"a\"", "é", &"a".repeat(TOKEN_BYTES_MAX + 1)] {
            assert_eq!(fault(bad), BearerFault::Token, "{bad}");
        }
    }
}
