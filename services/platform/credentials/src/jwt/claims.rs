//! The claims of a token whose signature has been verified.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::jwt::object::Object;
use crate::jwt::refused::TokenRefused;

/// The tolerated difference of clocks, in seconds.
const SKEW_SECONDS: f64 = 60.0;
/// The longest time from `iat` to `exp`, in seconds: a token cannot be revoked before it expires.
const LIFETIME_SECONDS_MAX: u64 = 3_600;
/// The end of the year 9999, in seconds since 1970.
const TIME_MAX: f64 = 253_402_300_799.0;
/// The longest subject and group, in bytes (OpenID Connect Core, section 2).
const NAME_BYTES_MAX: usize = 255;
const GROUPS_MAX: usize = 64;

/// The issuer, subject and groups of a valid token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedToken {
    issuer: Arc<str>,
    subject: Arc<str>,
    groups: Arc<[String]>,
    expires: SystemTime,
}

impl VerifiedToken {
    /// Returns the issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the subject: 1 to 255 bytes without control characters, unique at its issuer.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the groups of the subject, at most 64 of at most 255 bytes; none if the issuer has no claim of
    /// groups.
    #[must_use]
    pub fn groups(&self) -> &[String] {
        &self.groups
    }

    /// Returns the first moment at which the token is refused: `exp` plus the tolerated difference of clocks.
    #[must_use]
    pub const fn expires(&self) -> SystemTime {
        self.expires
    }
}

/// Returns the issuer that the claims name, which is not verified yet.
pub(super) fn issuer(claims: &Object) -> Result<&str, TokenRefused> {
    string(claims, "iss")
}

/// Checks all claims except `iss`.
pub(super) fn check(
    claims: &Object,
    issuer: &Arc<str>,
    audience: &str,
    groups_claim: Option<&str>,
    now: SystemTime,
) -> Result<VerifiedToken, TokenRefused> {
    let is_ours = match claims.get("aud") {
        None => return Err(TokenRefused::ClaimMissing { claim: "aud" }),
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(all)) => {
            if !all.iter().all(Value::is_string) {
                return Err(TokenRefused::ClaimMalformed { claim: "aud" });
            }
            all.iter().any(|one| one.as_str() == Some(audience))
        }
        Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => {
            return Err(TokenRefused::ClaimMalformed { claim: "aud" });
        }
    };
    if !is_ours {
        return Err(TokenRefused::Audience);
    }
    let expires = check_times(claims, now)?;
    let subject = string(claims, "sub")?;
    if !is_name(subject) {
        return Err(TokenRefused::ClaimMalformed { claim: "sub" });
    }
    let groups = groups_claim.and_then(|claim| claims.get(claim)).map_or(Ok(Vec::new()), groups)?;
    Ok(VerifiedToken { issuer: issuer.clone(), subject: subject.into(), groups: groups.into(), expires })
}

/// Checks `exp`, `iat` and `nbf`, and returns the first moment at which the token is too old.
fn check_times(claims: &Object, now: SystemTime) -> Result<SystemTime, TokenRefused> {
    let now = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    let expires = time(claims, "exp")?.ok_or(TokenRefused::ClaimMissing { claim: "exp" })?;
    let issued = time(claims, "iat")?.ok_or(TokenRefused::ClaimMissing { claim: "iat" })?;
    let not_before = time(claims, "nbf")?;
    if now >= expires + SKEW_SECONDS {
        return Err(TokenRefused::Expired);
    }
    if not_before.is_some_and(|not_before| now + SKEW_SECONDS < not_before) {
        return Err(TokenRefused::NotYetValid);
    }
    if now + SKEW_SECONDS < issued {
        return Err(TokenRefused::IssuedInFuture);
    }
    // A token that expires before it is issued counts as lifetime 0; the checks of its two times refuse it.
    let lifetime = Duration::try_from_secs_f64(expires - issued).unwrap_or_default();
    if lifetime > Duration::from_secs(LIFETIME_SECONDS_MAX) {
        let (seconds, max_seconds) = (lifetime.as_secs(), LIFETIME_SECONDS_MAX);
        return Err(TokenRefused::LifetimeTooLong { seconds, max_seconds });
    }
    Ok(SystemTime::UNIX_EPOCH + Duration::from_secs_f64(expires + SKEW_SECONDS))
}

/// Reads a list of names, or a single name.
fn groups(value: &Value) -> Result<Vec<String>, TokenRefused> {
    let names = match value {
        Value::String(_) => std::slice::from_ref(value),
        Value::Array(names) => names,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => &[Value::Null],
    };
    let names: Option<Vec<String>> =
        names.iter().map(|name| name.as_str().filter(|name| is_name(name)).map(str::to_owned)).collect();
    names.filter(|names| names.len() <= GROUPS_MAX).ok_or(TokenRefused::ClaimMalformed { claim: "of groups" })
}

/// Returns whether a text is valid as the name of a subject or a group. Such a text may be written to a log.
fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len()) && !text.contains(char::is_control)
}

fn string<'a>(claims: &'a Object, claim: &'static str) -> Result<&'a str, TokenRefused> {
    let value = claims.get(claim).ok_or(TokenRefused::ClaimMissing { claim })?;
    value.as_str().ok_or(TokenRefused::ClaimMalformed { claim })
}

/// Reads seconds since 1970, with fractions (RFC 7519, section 2).
fn time(claims: &Object, claim: &'static str) -> Result<Option<f64>, TokenRefused> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let seconds = value.as_f64().filter(|seconds| (0.0..=TIME_MAX).contains(seconds));
    seconds.map(Some).ok_or(TokenRefused::ClaimMalformed { claim })
}
