//! Credentials: the means by which a principal proves its identity.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::api_key::{ApiKeys, KeyId};
use super::member::MemberName;

/// The name in a member's client certificate: `spiffe://<trust domain>/member/<name>/<workload>`. It is
/// compared as a whole, never by a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpiffeId(Box<str>);

/// The identity in a token of an identity provider: its issuer and subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenSubject {
    issuer: Box<str>,
    subject: Box<str>,
}

/// The text is not a valid [`SpiffeId`], or the texts are not a valid [`TokenSubject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CredentialError {
    /// Not a SPIFFE ID of a member.
    #[error(
        "a member's SPIFFE ID is spiffe://DOMAIN/member/NAME/WORKLOAD, with a domain of a-z 0-9 . - _ and a workload of A-Z a-z 0-9 . - _; at most {max} bytes",
        max = SpiffeId::LEN_MAX
    )]
    Spiffe,
    /// An issuer or a subject of the wrong length.
    #[error("issuer and subject of a token have 1 to {max} bytes each, not {0}", max = TokenSubject::LEN_MAX)]
    Length(usize),
    /// An issuer or a subject with a control character.
    #[error("issuer and subject of a token hold no control characters")]
    ControlCharacter,
}

impl SpiffeId {
    /// The largest length, in bytes (SPIFFE-ID, section 2.3).
    pub const LEN_MAX: usize = 2_048;

    /// Returns the ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the member's name in the ID.
    #[must_use]
    pub fn member(&self) -> &str {
        self.0.split('/').nth(4).unwrap_or_default()
    }
}

impl FromStr for SpiffeId {
    type Err = CredentialError;

    fn from_str(text: &str) -> Result<Self, CredentialError> {
        let parts: Vec<&str> = text.strip_prefix("spiffe://").unwrap_or_default().split('/').collect();
        let is_plain = |part: &str| {
            let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            !matches!(part, "" | "." | "..") && part.bytes().all(is_fit)
        };
        let is_good = match parts[..] {
            [domain, "member", member, workload] => {
                text.len() <= Self::LEN_MAX
                    && is_plain(domain)
                    && !domain.bytes().any(|byte| byte.is_ascii_uppercase())
                    && member.parse::<MemberName>().is_ok()
                    && is_plain(workload)
            }
            _ => false,
        };
        if is_good { Ok(Self(text.into())) } else { Err(CredentialError::Spiffe) }
    }
}

impl fmt::Display for SpiffeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TokenSubject {
    /// The longest issuer and the longest subject, in bytes.
    pub const LEN_MAX: usize = 256;

    /// Checks the issuer and the subject.
    pub fn new(issuer: &str, subject: &str) -> Result<Self, CredentialError> {
        for text in [issuer, subject] {
            if !(1..=Self::LEN_MAX).contains(&text.len()) {
                return Err(CredentialError::Length(text.len()));
            }
            if text.chars().any(char::is_control) {
                return Err(CredentialError::ControlCharacter);
            }
        }
        Ok(Self { issuer: issuer.into(), subject: subject.into() })
    }

    /// Returns the token's `iss`.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the token's `sub`.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }
}

/// The credential by which a principal proves its identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// A client certificate.
    Certificate(SpiffeId),
    /// API keys, one or two.
    ApiKeys(Box<ApiKeys>),
    /// A token of an identity provider.
    Token(TokenSubject),
}

/// The lookup key of a credential. At most one living principal has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CredentialId {
    /// The 16 characters of an API key's id.
    Key(u128),
    /// The first 128 bits of BLAKE3 over the kind of the credential and its public parts.
    Digest(u128),
}

impl CredentialId {
    pub(crate) fn of_certificate(id: &str) -> Self {
        Self::digest(1, &[id.as_bytes()])
    }

    pub(crate) fn of_key(id: KeyId) -> Self {
        Self::Key(id.number())
    }

    pub(crate) fn of_token(issuer: &str, subject: &str) -> Self {
        Self::digest(3, &[issuer.as_bytes(), subject.as_bytes()])
    }

    fn digest(kind: u8, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[kind]);
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        let mut id = [0; 16];
        hasher.finalize_xof().fill(&mut id);
        Self::Digest(u128::from_be_bytes(id))
    }
}

impl Credential {
    /// Returns the lookup keys: one for each API key, otherwise one.
    pub(crate) fn ids(&self) -> impl Iterator<Item = CredentialId> {
        let (one, keys) = match self {
            Self::Certificate(id) => (Some(CredentialId::of_certificate(id.as_str())), None),
            Self::Token(token) => (Some(CredentialId::of_token(token.issuer(), token.subject())), None),
            Self::ApiKeys(keys) => (None, Some(keys.iter().map(|key| CredentialId::of_key(key.id)))),
        };
        one.into_iter().chain(keys.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spiffe_ids_are_checked() {
        for good in ["spiffe://vigie.dev/member/acme-2/a", "spiffe://d/member/acme-2/Work-load_1.x"] {
            let id = good.parse::<SpiffeId>().unwrap();
            assert_eq!((id.as_str(), id.member()), (good, "acme-2"));
        }
        let long = format!("spiffe://d/member/a/{}", "a".repeat(2_029));
        for bad in [
            "",
            "spiffe://",
            "spiffe://d/a",
            "spiffe://d/member/a",
            "spiffe://d/member/a/",
            "spiffe://d/member/a/b/c",
            "spiffe://d/members/a/b",
            "spiffe:///member/a/b",
            "spiffe://D/member/a/b",
            "spiffe://d/member/A/b",
            "https://d/member/a/b",
            "spiffe://d/member/a/..",
            "spiffe://d/member/a/b?c",
            &long,
        ] {
            assert_eq!(bad.parse::<SpiffeId>(), Err(CredentialError::Spiffe), "{bad}");
        }
    }

    #[test]
    fn issuer_and_subject_do_not_run_together() {
        assert_ne!(CredentialId::of_token("ab", "c"), CredentialId::of_token("a", "bc"));
        assert_ne!(CredentialId::of_certificate("a"), CredentialId::of_token("a", ""));
        assert_eq!(TokenSubject::new("", "a"), Err(CredentialError::Length(0)));
        assert_eq!(TokenSubject::new("a", &"b".repeat(257)), Err(CredentialError::Length(257)));
        assert_eq!(TokenSubject::new("a\n", "b"), Err(CredentialError::ControlCharacter));
    }
}
