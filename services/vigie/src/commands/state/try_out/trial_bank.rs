//! The bank of one trial. Its name contains how long the trial may use it.

use std::fmt;

use vigie_clients::BankListing;
use vigie_model::UnixMillis;

use crate::commands::state::try_out::traces::REMOVED_WITHIN;

/// Maximum number of banks in one page of a list.
pub(super) const PAGE: u16 = 500;
/// Time in milliseconds that is added to the timeouts of a trial and its removal, for the time between calls.
const MARGIN_MS: u64 = 5_000;
/// Maximum number of items that a trial has at the same time.
const ITEMS_MAX: u64 = 1;

/// The parts of the name of a trial's bank. Formatting it gives the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TrialBank {
    timeout_ms: u64,
    number: u64,
}

impl fmt::Display for TrialBank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vigie-try-{}ms-{:016x}", self.timeout_ms, self.number)
    }
}

impl TrialBank {
    /// Returns a new name, for a trial with this timeout in milliseconds.
    pub(super) fn new(timeout_ms: u64) -> Self {
        Self { timeout_ms, number: rand::random() }
    }

    /// Parses a name; `None` if no trial would use it.
    fn named(name: &str) -> Option<Self> {
        let (timeout, number) = name.strip_prefix("vigie-try-")?.split_once("ms-")?;
        let bank = Self { timeout_ms: timeout.parse().ok()?, number: u64::from_str_radix(number, 16).ok()? };
        (bank.to_string() == name).then_some(bank)
    }
}

/// Returns whether the bank belongs to a trial that must have ended at `now`, by the clock that dated the
/// bank.
pub(super) fn is_abandoned(bank: &BankListing, now: UnixMillis) -> bool {
    let removed_within = u64::try_from(REMOVED_WITHIN.as_millis()).unwrap_or(u64::MAX);
    let used_for =
        |trial: TrialBank| trial.timeout_ms.saturating_add(removed_within).saturating_add(MARGIN_MS);
    let age = now.0.saturating_sub(bank.created_at.0);
    bank.item_count <= ITEMS_MAX
        && TrialBank::named(&bank.name.to_string()).is_some_and(|trial| age > used_for(trial))
}

#[cfg(test)]
mod tests {
    use vigie_model::BankId;

    use super::*;

    fn bank(name: &str, item_count: u64) -> BankListing {
        let created_at = UnixMillis(1_000_000);
        let name = name.parse().unwrap();
        BankListing {
            id: BankId(1),
            owner: None,
            name,
            enabled: true,
            created_at,
            item_count,
            hash_count: item_count,
            match_ratio: vigie_model::MatchRatio::ALWAYS,
        }
    }

    #[test]
    fn a_trial_that_can_no_longer_be_running_has_abandoned_its_bank() {
        let name = "vigie-try-30000ms-0123456789abcdef";
        assert_eq!(TrialBank::named(name).unwrap().to_string(), name);
        assert!(TrialBank::new(u64::MAX).to_string().parse::<vigie_model::BankName>().is_ok());
        let after = |ms: u64| UnixMillis(1_000_000 + ms);
        assert!(!is_abandoned(&bank(name, 1), after(45_000)));
        assert!(is_abandoned(&bank(name, 1), after(45_001)));
        assert!(is_abandoned(&bank(name, 0), after(45_001)));
        assert!(!is_abandoned(&bank(name, 0), UnixMillis(0)), "a clock that was set back");
    }

    #[test]
    fn a_bank_of_anybody_else_is_never_abandoned() {
        let late = UnixMillis(u64::MAX);
        assert!(!is_abandoned(&bank("vigie-try-1ms-0123456789abcdef", 2), late), "a trial has one item");
        for name in [
            "vigie-try",
            "vigie-try-1ms-0123456789abcde",
            "vigie-try-1ms-0123456789ABCDEF",
            "vigie-try-01ms-0123456789abcdef",
            "vigie-try-1ms-0123456789abcdef-2",
            "my-vigie-try-1ms-0123456789abcdef",
            "vigie-try-ms-0123456789abcdef",
        ] {
            assert!(!is_abandoned(&bank(name, 0), late), "{name}");
        }
        // A trial with an endless timeout is never abandoned.
        let endless = format!("vigie-try-{}ms-0123456789abcdef", u64::MAX);
        assert!(!is_abandoned(&bank(&endless, 0), late));
    }
}
