//! The reasons for which a sign-in fails. Each is logged here once, without any part of a token, code or
//! secret.

use openidconnect::core::CoreErrorResponseType;
use openidconnect::{
    ClaimsVerificationError, DiscoveryError, RequestTokenError, SignatureVerificationError,
    StandardErrorResponse,
};

use crate::console::provider::http::Failed;

/// The longest error code that is shown, in bytes.
const ERROR_BYTES_MAX: usize = 64;

/// The reason for which a sign-in failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The provider does not answer in time.
    Unreachable,
    /// The provider refuses, with this error code of RFC 6749.
    Refused(String),
    /// The provider's answer is not valid proof of a sign-in.
    Unsound {
        /// Whether a newer set of keys may make the answer valid.
        is_of_keys: bool,
    },
    /// The provider's token is not for this deployment.
    Audience,
    /// The provider's token has a longer lifetime than any service accepts.
    LongLived,
}

impl Fault {
    /// Logs and returns the fault of an invalid answer. `why`: the rest of a sentence whose subject is the
    /// provider.
    pub(super) fn unsound(why: &str) -> Self {
        tracing::warn!("sign-in at the identity provider: it {why}");
        Self::Unsound { is_of_keys: false }
    }

    /// Returns a refusal with the error code in the query of the browser's request.
    pub(crate) fn refused(code: &str) -> Self {
        // Text that is no error code is replaced, so a link from another site cannot show a text of its own.
        let is_code = (1..=ERROR_BYTES_MAX).contains(&code.len())
            && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        Self::Refused(if is_code { code.to_owned() } else { "server_error".to_owned() })
    }

    pub(super) const fn is_of_keys(&self) -> bool {
        matches!(self, Self::Unsound { is_of_keys: true })
    }

    pub(super) fn of_discovery(error: DiscoveryError<Failed>) -> Self {
        let unreadable = || Self::unsound("has a description or keys that cannot be read");
        match error {
            DiscoveryError::Request(failed) => Self::of_request(&failed),
            DiscoveryError::Response(status, ..) => {
                tracing::warn!(%status, "sign-in at the identity provider: it gives no description");
                Self::Unreachable
            }
            DiscoveryError::Validation(_) => Self::unsound("describes another issuer"),
            DiscoveryError::Parse(_) | DiscoveryError::UrlParse(_) | DiscoveryError::Other(_) => unreadable(),
            // A variant of a later version of the crate.
            _ => unreadable(),
        }
    }

    pub(super) fn of_token(
        error: RequestTokenError<Failed, StandardErrorResponse<CoreErrorResponseType>>,
    ) -> Self {
        match error {
            RequestTokenError::Request(failed) => Self::of_request(&failed),
            RequestTokenError::ServerResponse(answer) => {
                let refused = Self::refused(answer.error().as_ref());
                tracing::warn!(?refused, "sign-in at the identity provider: it gives no token");
                refused
            }
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                Self::unsound("answers with something that is no token")
            }
        }
    }

    pub(super) fn of_claims(error: ClaimsVerificationError) -> Self {
        let is_of_keys = matches!(
            error,
            ClaimsVerificationError::SignatureVerification(SignatureVerificationError::NoMatchingKey)
        );
        let claim = match error {
            ClaimsVerificationError::Expired(_) => "times",
            ClaimsVerificationError::InvalidAudience(_) => "audience",
            ClaimsVerificationError::InvalidIssuer(_) => "issuer",
            ClaimsVerificationError::InvalidNonce(_) => "nonce",
            ClaimsVerificationError::SignatureVerification(_) => "signature",
            ClaimsVerificationError::InvalidAuthContext(_)
            | ClaimsVerificationError::InvalidAuthTime(_)
            | ClaimsVerificationError::InvalidSubject(_)
            | ClaimsVerificationError::Unsupported(_)
            | ClaimsVerificationError::Other(_) => "form",
            // A variant of a later version of the crate.
            _ => "content",
        };
        tracing::warn!("sign-in at the identity provider: the {claim} of its ID token is wrong");
        Self::Unsound { is_of_keys }
    }

    fn of_request(failed: &Failed) -> Self {
        tracing::warn!("sign-in at the identity provider: {failed}");
        match failed {
            Failed::TooLarge | Failed::Address => Self::Unsound { is_of_keys: false },
            Failed::Busy | Failed::InTime | Failed::Request(_) => Self::Unreachable,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_codes_of_errors_are_shown() {
        assert_eq!(Fault::refused("access_denied"), Fault::Refused("access_denied".to_owned()));
        for odd in ["", "Call 555-0100 to get access", "<b>", &"a".repeat(65)] {
            assert_eq!(Fault::refused(odd), Fault::Refused("server_error".to_owned()), "{odd}");
        }
    }
}
