//! The reasons for which a token is refused.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::jwt::jwks::UnusableKey;

/// The reasons for which a token is refused. They contain no part of the token: issuers are named as in the
/// configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TokenRefused {
    /// The token is too long, and none of it is read.
    #[error("the token has {bytes} bytes, more than {max}")]
    TooLong {
        /// The token's length, in bytes.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A part is not of the compact form, not base64url, or not a JSON object, or a field of the header has
    /// another type.
    #[error("the token's {part} is malformed")]
    Malformed {
        /// The part with the fault.
        part: Part,
    },
    /// A name occurs twice, and readers differ in which of the two counts.
    #[error("the token's {part} has a name twice")]
    NameTwice {
        /// The part with the fault.
        part: Part,
    },
    /// The algorithm is `none`, HMAC, another that is not supported, or one that this issuer may not use.
    #[error("the token's algorithm is not among those that are allowed")]
    Algorithm,
    /// The token is for another purpose.
    #[error("the token's typ is neither JWT nor at+jwt")]
    Type,
    /// The header names extensions that a reader must understand. None is supported.
    #[error("the token's header has crit")]
    Critical,
    /// A required claim is missing.
    #[error("the token has no claim {claim}")]
    ClaimMissing {
        /// The claim's name.
        claim: &'static str,
    },
    /// A claim has another type, or is out of its bounds.
    #[error("the token's claim {claim} has the wrong type, or is too long or too large")]
    ClaimMalformed {
        /// The claim's name.
        claim: &'static str,
    },
    /// The issuer is not configured.
    #[error("the token's issuer is none of those that are configured")]
    Issuer,
    /// The keys could not be fetched, or are too old. The token may be valid.
    #[error("there are no keys of {issuer} to check the token with")]
    NoKeys {
        /// The issuer.
        issuer: Arc<str>,
    },
    /// The issuer has no such key.
    #[error("{issuer} has no key of the id that the token names")]
    KeyUnknown {
        /// The issuer.
        issuer: Arc<str>,
    },
    /// The header names no key, and the issuer does not have exactly one.
    #[error("the token names no key, and {issuer} does not have exactly one")]
    KeyNotNamed {
        /// The issuer.
        issuer: Arc<str>,
    },
    /// The key with this name is of another algorithm than the header's.
    #[error("the token's algorithm is not that of the key of {issuer} that it names")]
    KeyOfOtherAlgorithm {
        /// The issuer.
        issuer: Arc<str>,
    },
    /// The issuer has this key, but it cannot be used.
    #[error("the token's key of {issuer} cannot be used: {why}")]
    KeyUnusable {
        /// The issuer.
        issuer: Arc<str>,
        /// The reason.
        why: UnusableKey,
    },
    /// Another key signed the token, or it was changed.
    #[error("the token's signature does not verify with the key of {issuer}")]
    Signature {
        /// The issuer.
        issuer: Arc<str>,
    },
    /// The token is for another audience.
    #[error("the token is for another audience")]
    Audience,
    /// The time `exp` has passed.
    #[error("the token has expired")]
    Expired,
    /// The time `nbf` has not been reached.
    #[error("the token is not valid yet")]
    NotYetValid,
    /// The time `iat` has not been reached, so one of the two clocks is wrong.
    #[error("the token is issued in the future: compare the clocks of this server and the issuer")]
    IssuedInFuture,
    /// The token is valid for longer than an hour.
    #[error("the token is valid for {seconds} s, longer than the limit of {max_seconds} s")]
    LifetimeTooLong {
        /// The time from `iat` to `exp`, in seconds.
        seconds: u64,
        /// The limit.
        max_seconds: u64,
    },
}

impl TokenRefused {
    /// Returns the reason as a word, for the label of a metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "token_too_long",
            Self::Malformed { .. } | Self::NameTwice { .. } => "token_malformed",
            Self::Algorithm => "token_algorithm",
            Self::Type | Self::Critical => "token_header",
            Self::ClaimMissing { .. } | Self::ClaimMalformed { .. } => "token_claims",
            Self::Issuer => "token_issuer",
            Self::NoKeys { .. } => "token_no_keys",
            Self::KeyUnknown { .. } | Self::KeyNotNamed { .. } => "token_key_unknown",
            Self::KeyOfOtherAlgorithm { .. } | Self::KeyUnusable { .. } => "token_key_unusable",
            Self::Signature { .. } => "token_signature",
            Self::Audience => "token_audience",
            Self::Expired => "token_expired",
            Self::NotYetValid | Self::IssuedInFuture => "token_not_yet_valid",
            Self::LifetimeTooLong { .. } => "token_lifetime",
        }
    }
}

/// A part of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The three parts and the dots between them.
    Form,
    /// The first part.
    Header,
    /// The second part.
    Claims,
    /// The third part.
    Signature,
}

impl fmt::Display for Part {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Form => "form",
            Self::Header => "header",
            Self::Claims => "set of claims",
            Self::Signature => "signature",
        })
    }
}
