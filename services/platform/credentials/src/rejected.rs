//! The reasons for which a call's credentials are refused, and the answers to the caller.

use std::time::Duration;

use thiserror::Error;

use crate::api_key::{KeyFault, KeyRefused};
use crate::jwt::TokenRefused;
use crate::spiffe::CertificateFault;

/// The text for every present but wrong credential, whatever its fault.
pub const UNAUTHENTICATED: &str = "the call's credentials are not valid: the server's log has the reason";

/// The reasons for which the credentials of a call are refused: for the log and for metrics, never for the
/// caller. They contain no part of a credential except the public id of an API key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejected {
    /// The host failed so often that no credential was checked.
    #[error("its host has failed to authenticate too often, and may try again in {retry_after:?}")]
    TooManyFailures {
        /// The time until it may try once.
        retry_after: Duration,
    },
    /// The call has more than one header `Authorization`.
    #[error("the call has several Authorization headers")]
    SeveralAuthorizations,
    /// The scheme is not `Bearer`, or there is none.
    #[error("the Authorization header is not of the scheme Bearer")]
    NotBearer,
    /// After the scheme there is no token, or one with invalid characters.
    #[error("the Authorization header has no token after Bearer, or characters that no token has")]
    MalformedBearer,
    /// The certificate's name begins like a member's, but is not valid.
    #[error(transparent)]
    Certificate(#[from] CertificateFault),
    /// The certificate is of a trust domain that is not configured.
    #[error("the certificate's SPIFFE ID is of a trust domain that is not among trust_domains")]
    TrustDomain,
    /// The text of an API key is damaged.
    #[error(transparent)]
    ApiKey(#[from] KeyFault),
    /// An API key is not valid.
    #[error(transparent)]
    ApiKeyRefused(#[from] KeyRefused),
    /// A token is not valid, or cannot be checked now.
    #[error(transparent)]
    Token(#[from] TokenRefused),
    /// The credential is valid, but no principal has it.
    #[error("no principal has this {credential}")]
    NoPrincipal {
        /// The kind of the credential.
        credential: &'static str,
    },
    /// A principal has a certificate with the name of another member.
    #[error("the certificate's SPIFFE ID names another member than its principal's")]
    CertificateOfAnother,
    /// The two credentials belong to two members.
    #[error("the certificate and the Authorization header are of different members")]
    DifferentMembers,
}

impl Rejected {
    /// Returns the reason as a word, one for each kind, for the label of a metric.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::TooManyFailures { .. } => "too_many_failures",
            Self::SeveralAuthorizations => "several_authorizations",
            Self::NotBearer => "not_bearer",
            Self::MalformedBearer => "malformed_bearer",
            Self::Certificate(_) => "certificate_malformed",
            Self::TrustDomain => "trust_domain",
            Self::ApiKey(_) => "api_key_malformed",
            Self::ApiKeyRefused(KeyRefused::Unknown { .. }) => "api_key_unknown",
            Self::ApiKeyRefused(KeyRefused::Secret { .. }) => "api_key_secret",
            Self::ApiKeyRefused(KeyRefused::Expired { .. }) => "api_key_expired",
            Self::Token(refused) => refused.reason(),
            Self::NoPrincipal { .. } => "no_principal",
            Self::CertificateOfAnother => "certificate_of_another",
            Self::DifferentMembers => "different_members",
        }
    }

    /// Returns the answer to the caller.
    #[must_use]
    pub fn answer(&self) -> Answer {
        match self {
            Self::TooManyFailures { retry_after } => Answer::TooManyFailures { retry_after: *retry_after },
            Self::Token(TokenRefused::NoKeys { .. }) => Answer::CannotCheck,
            Self::SeveralAuthorizations
            | Self::NotBearer
            | Self::MalformedBearer
            | Self::Certificate(_)
            | Self::TrustDomain
            | Self::ApiKey(_)
            | Self::ApiKeyRefused(_)
            | Self::Token(_)
            | Self::NoPrincipal { .. }
            | Self::CertificateOfAnother
            | Self::DifferentMembers => Answer::Unauthenticated,
        }
    }

    /// Returns whether the caller failed to authenticate, and not the server to check.
    pub(crate) fn is_a_failed_attempt(&self) -> bool {
        self.answer() == Answer::Unauthenticated
    }
}

/// The answer to a caller whose credentials are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// `UNAUTHENTICATED` with the text [`UNAUTHENTICATED`]. The caller gives up.
    Unauthenticated,
    /// `RESOURCE_EXHAUSTED` with `RetryInfo`: no credential was checked, so calls with valid ones fail too.
    /// The caller retries later.
    TooManyFailures {
        /// The time after which to try again.
        retry_after: Duration,
    },
    /// `UNAVAILABLE`: the keys of the token's issuer are missing, and the token may be valid.
    CannotCheck,
}

impl Answer {
    /// Returns the text for the caller.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        match self {
            Self::Unauthenticated => UNAUTHENTICATED,
            Self::TooManyFailures { .. } => {
                "too many calls of this host had wrong credentials: try again later"
            }
            Self::CannotCheck => {
                "the token cannot be checked, since the keys of its issuer are missing: try again"
            }
        }
    }
}
