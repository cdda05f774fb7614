//! A member: an organisation that takes part.

use std::fmt;

use thiserror::Error;
use vigie_model::UnixMillis;
pub use vigie_model::{MemberId, MemberName, MemberNameError};

use crate::text::Text;

/// Whether a member takes part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MemberState {
    /// The member takes part.
    Active,
    /// Its principals are refused everywhere; its items still match for others.
    Suspended,
    /// Its principals are refused everywhere; its banks are not searched.
    Quarantined,
}

impl fmt::Display for MemberState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Quarantined => "quarantined",
        })
    }
}

/// The countries whose law a member applies: ISO 3166-1 codes of two capital letters, sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Jurisdictions(Box<[[u8; 2]]>);

/// The texts are not valid [`Jurisdictions`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum JurisdictionsError {
    /// Too many.
    #[error("a member has at most {max} jurisdictions, not {0}", max = Jurisdictions::COUNT_MAX)]
    TooMany(usize),
    /// Not a country code.
    #[error("a jurisdiction is a country's code of two capital letters (ISO 3166-1), as in FR")]
    NoCountry,
}

impl Jurisdictions {
    /// The largest number for one member.
    pub const COUNT_MAX: usize = 64;

    /// Checks the codes. Their existence is not checked: countries change.
    pub fn new<T: AsRef<str>>(codes: &[T]) -> Result<Self, JurisdictionsError> {
        if codes.len() > Self::COUNT_MAX {
            return Err(JurisdictionsError::TooMany(codes.len()));
        }
        let code = |text: &T| match text.as_ref().as_bytes() {
            [first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
                Ok([*first, *second])
            }
            _ => Err(JurisdictionsError::NoCountry),
        };
        let mut all = codes.iter().map(code).collect::<Result<Vec<_>, _>>()?;
        all.sort_unstable();
        all.dedup();
        Ok(Self(all.into()))
    }

    /// Returns the codes, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        // The constructor has checked the codes: two ASCII letters each.
        self.0.iter().map(|code| str::from_utf8(code).unwrap_or_default())
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_flattened()
    }
}

/// The identity providers that name principals of one member and of no other: values of a token's `iss`,
/// sorted, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenIssuers(Box<[Box<str>]>);

/// The texts are not valid [`TokenIssuers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TokenIssuersError {
    /// Too many.
    #[error("a member has at most {max} issuers of tokens, not {0}", max = TokenIssuers::COUNT_MAX)]
    TooMany(usize),
    /// Not a valid issuer.
    #[error("an issuer of tokens has 1 to {max} bytes and no control characters", max = TokenIssuers::LEN_MAX)]
    NoIssuer,
}

impl TokenIssuers {
    /// The largest number for one member.
    pub const COUNT_MAX: usize = 8;
    /// The longest issuer, in bytes.
    pub const LEN_MAX: usize = 256;

    /// Checks the issuers.
    pub fn new<T: AsRef<str>>(issuers: &[T]) -> Result<Self, TokenIssuersError> {
        if issuers.len() > Self::COUNT_MAX {
            return Err(TokenIssuersError::TooMany(issuers.len()));
        }
        let mut all: Vec<Box<str>> = issuers.iter().map(|issuer| issuer.as_ref().into()).collect();
        let is_issuer =
            |text: &str| (1..=Self::LEN_MAX).contains(&text.len()) && !text.contains(char::is_control);
        if !all.iter().all(|issuer| is_issuer(issuer)) {
            return Err(TokenIssuersError::NoIssuer);
        }
        all.sort_unstable();
        all.dedup();
        Ok(Self(all.into()))
    }

    /// Returns the issuers, sorted.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(|issuer| &**issuer)
    }

    /// Whether the list contains an issuer.
    #[must_use]
    pub fn contains(&self, issuer: &str) -> bool {
        self.iter().any(|one| one == issuer)
    }
}

/// A member as the directory stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The id.
    pub id: MemberId,
    /// The name, unique.
    pub name: MemberName,
    /// The display name; may be empty.
    pub display_name: Text<{ Member::DISPLAY_NAME_LEN_MAX }>,
    /// Whether it takes part.
    pub state: MemberState,
    /// The countries whose law it applies.
    pub jurisdictions: Jurisdictions,
    /// The identity providers whose tokens the member's administrators may assign to principals. No two
    /// members share one.
    pub token_issuers: TokenIssuers,
    /// The time of its creation, by the bank's clock; 0 for the host.
    pub created_at: UnixMillis,
    /// Whether contributors of items, and owners of their banks, may know that an opinion is this member's.
    pub is_named: bool,
}

impl Member {
    /// The longest display name, in bytes.
    pub const DISPLAY_NAME_LEN_MAX: usize = 128;

    /// Returns the host with its initial name and settings: `local`.
    #[must_use]
    pub fn local() -> Self {
        Self {
            id: MemberId::HOST,
            name: MemberName::of_host(),
            display_name: Text::default(),
            state: MemberState::Active,
            jurisdictions: Jurisdictions::default(),
            token_issuers: TokenIssuers::default(),
            created_at: UnixMillis(0),
            is_named: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuers_are_checked() {
        let sorted = TokenIssuers::new(&["b", "a", "b"]).unwrap();
        assert_eq!(sorted.iter().collect::<Vec<_>>(), ["a", "b"]);
        assert!(sorted.contains("a") && !sorted.contains("c"));
        for bad in ["", "a\n", &"x".repeat(257)] {
            assert_eq!(TokenIssuers::new(&[bad]), Err(TokenIssuersError::NoIssuer), "{bad}");
        }
        assert_eq!(TokenIssuers::new(&["a"; 9]), Err(TokenIssuersError::TooMany(9)));
    }

    #[test]
    fn jurisdictions_are_codes_of_countries() {
        let sorted = Jurisdictions::new(&["FR", "DE", "FR"]).unwrap();
        assert_eq!(sorted.iter().collect::<Vec<_>>(), ["DE", "FR"]);
        for bad in ["", "F", "fr", "FRA", "F1", "é"] {
            assert_eq!(Jurisdictions::new(&[bad]), Err(JurisdictionsError::NoCountry), "{bad}");
        }
        assert_eq!(Jurisdictions::new(&["FR"; 65]), Err(JurisdictionsError::TooMany(65)));
    }
}
