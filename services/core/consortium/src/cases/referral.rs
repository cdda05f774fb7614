//! Referrals and removal orders of authorised bodies, and the measures that members take.

use std::fmt;

use thiserror::Error;
use vigie_model::{Hash, UnixMillis};

use super::words::{CaseNote, CaseReference, words};
use crate::text::Text;

/// A URL as an authorised body gave it. `Debug` and every error text hide it.
#[derive(Clone, PartialEq, Eq)]
pub struct ReferralUrl(Box<str>);

/// The text is not a valid [`ReferralUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a URL has 1 to {max} bytes without control characters", max = ReferralUrl::LEN_MAX)]
pub struct ReferralUrlError;

impl ReferralUrl {
    /// The largest length, in bytes.
    pub const LEN_MAX: usize = 2_048;

    /// Checks the length and the characters. The form of the URL is not checked.
    pub fn new(url: &str) -> Result<Self, ReferralUrlError> {
        let is_fit = (1..=Self::LEN_MAX).contains(&url.len()) && !url.chars().any(char::is_control);
        if is_fit { Ok(Self(url.into())) } else { Err(ReferralUrlError) }
    }

    /// Returns the URL in plain form, for the person who handles the referral.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ReferralUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReferralUrl({} bytes)", self.0.len())
    }
}

/// The target of a referral.
#[derive(Clone, PartialEq, Eq)]
pub enum ReferralTarget {
    /// A URL.
    Url(ReferralUrl),
    /// A fingerprint.
    Hash(Hash),
}

/// Hides the URL and the hash.
impl fmt::Debug for ReferralTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => url.fmt(f),
            Self::Hash(hash) => write!(f, "Hash({})", hash.hash_type()),
        }
    }
}

/// A member state of the European Union, as two capital letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IssuingState([u8; 2]);

/// The text is not a valid [`IssuingState`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a member state is two letters A-Z, such as FR")]
pub struct IssuingStateError;

impl IssuingState {
    /// Checks the letters.
    pub fn new(text: &str) -> Result<Self, IssuingStateError> {
        match text.as_bytes() {
            [first, second] if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
                Ok(Self([*first, *second]))
            }
            _ => Err(IssuingStateError),
        }
    }
}

impl fmt::Display for IssuingState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.0).unwrap_or_default())
    }
}

/// A removal order (Regulation (EU) 2021/784, Article 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovalOrder {
    /// The order's reference number.
    pub reference: CaseReference,
    /// The time at which it was received.
    pub received_at: UnixMillis,
    /// The member state that issued it.
    pub issuing_state: IssuingState,
}

impl RemovalOrder {
    /// The time for removal, one hour (Article 3(3)), in milliseconds.
    const HOUR_MS: u64 = 60 * 60 * 1_000;

    /// Returns the time by which the content must be removed or disabled: one hour after receipt.
    #[must_use]
    pub fn deadline(&self) -> UnixMillis {
        UnixMillis(self.received_at.0.saturating_add(Self::HOUR_MS))
    }
}

words! {
    /// The urgency of a referral.
    Priority {
        /// No particular urgency.
        Normal = "normal",
        /// To be handled before others.
        High = "high",
        /// To be handled at once.
        Urgent = "urgent",
    }
}

/// A referral, without the members that it is addressed to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralWords {
    /// The name of the authorised body.
    pub body: Text<128>,
    /// The target: a URL or a hash.
    pub target: ReferralTarget,
    /// The details of a removal order; `None` for a referral.
    pub order: Option<RemovalOrder>,
    /// The legal basis.
    pub legal_basis: CaseReference,
    /// The urgency of the referral.
    pub priority: Priority,
}

words! {
    /// The outcome of a referral at one member.
    MeasureOutcome {
        /// The content is removed.
        Removed = "removed",
        /// Access to the content is disabled.
        Disabled = "disabled",
        /// The member has no such content.
        NotFound = "not-found",
        /// The member's terms allow the content.
        Declined = "declined",
        /// The order cannot be carried out.
        NotPossible = "not-possible",
    }
}

words! {
    /// The ground on which an order cannot be carried out (Regulation (EU) 2021/784, Annex III).
    Ground {
        /// Force majeure or de facto impossibility.
        ForceMajeure = "force-majeure",
        /// The order has manifest errors.
        ManifestErrors = "manifest-errors",
        /// The order does not contain sufficient information.
        TooLittleInformation = "too-little-information",
    }
}

/// A member's answer to a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measure {
    /// The outcome.
    pub outcome: MeasureOutcome,
    /// The ground; required for [`MeasureOutcome::NotPossible`] and forbidden otherwise.
    pub ground: Option<Ground>,
    /// Details for the body.
    pub details: CaseNote,
    /// The time of the measure; `None` for the time of the call.
    pub taken_at: Option<UnixMillis>,
}

/// A measure is incomplete or contradicts itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MeasureError {
    /// The ground is missing, or is given with another outcome.
    #[error("goes with the outcome not-possible, and with no other")]
    Ground,
    /// A member that declines must give details.
    #[error("is required where a referral is declined")]
    NoDetails,
}

impl MeasureError {
    /// Returns the name of the invalid field.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Ground => "ground",
            Self::NoDetails => "details",
        }
    }
}

impl Measure {
    /// Checks that the fields are consistent with each other.
    pub fn check(&self) -> Result<(), MeasureError> {
        if (self.outcome == MeasureOutcome::NotPossible) != self.ground.is_some() {
            return Err(MeasureError::Ground);
        }
        if self.outcome == MeasureOutcome::Declined && self.details.as_str().is_empty() {
            return Err(MeasureError::NoDetails);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_url() {
        let url = ReferralUrl::new("https://example.test/secret").unwrap();
        let shown = format!("{url:?} {:?}", ReferralTarget::Url(url.clone()));
        assert!(!shown.contains("secret") && url.reveal().ends_with("secret"), "{shown}");
        for bad in ["", "a\nb", &"x".repeat(2_049)] {
            assert_eq!(ReferralUrl::new(bad), Err(ReferralUrlError));
        }
    }

    #[test]
    fn a_removal_order_is_due_one_hour_after_receipt() {
        let order = RemovalOrder {
            reference: CaseReference::new("FR-1").unwrap(),
            received_at: UnixMillis(5),
            issuing_state: IssuingState::new("FR").unwrap(),
        };
        assert_eq!(order.deadline(), UnixMillis(3_600_005));
        for bad in ["", "F", "fr", "FRA", "F1"] {
            assert_eq!(IssuingState::new(bad), Err(IssuingStateError));
        }
    }

    #[test]
    fn a_measure_has_the_ground_that_its_outcome_asks_for() {
        let check = |outcome, ground, details: &str| {
            Measure { outcome, ground, details: CaseNote::new(details).unwrap(), taken_at: None }.check()
        };
        assert_eq!(check(MeasureOutcome::Removed, None, ""), Ok(()));
        assert_eq!(check(MeasureOutcome::NotPossible, None, ""), Err(MeasureError::Ground));
        assert_eq!(check(MeasureOutcome::NotPossible, Some(Ground::ManifestErrors), ""), Ok(()));
        assert_eq!(check(MeasureOutcome::Removed, Some(Ground::ForceMajeure), ""), Err(MeasureError::Ground));
        assert_eq!(check(MeasureOutcome::Declined, None, ""), Err(MeasureError::NoDetails));
        assert_eq!(check(MeasureOutcome::Declined, None, "allowed"), Ok(()));
    }
}
