//! Counts how often the reports of each member about each bank were right.

use std::collections::BTreeMap;

use vigie_clients::ReportListing;
use vigie_consortium::cases::ReportOutcome;

/// Numbers of reports of a member about a bank, by outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Outcomes {
    pub(super) founded: u64,
    pub(super) unfounded: u64,
    pub(super) forwarded: u64,
    pub(super) duplicate: u64,
    pub(super) waiting: u64,
}

impl Outcomes {
    fn add(&mut self, outcome: Option<ReportOutcome>) {
        *match outcome {
            Some(ReportOutcome::Founded) => &mut self.founded,
            Some(ReportOutcome::Unfounded) => &mut self.unfounded,
            Some(ReportOutcome::Forwarded) => &mut self.forwarded,
            Some(ReportOutcome::Duplicate) => &mut self.duplicate,
            Some(ReportOutcome::MoreInformation) | None => &mut self.waiting,
        } += 1;
    }

    /// Returns how many thousandths of the founded, forwarded and unfounded reports were not unfounded;
    /// `None` if there are no such reports. Duplicates are not counted.
    pub(super) fn accuracy_permille(self) -> Option<u64> {
        let right = self.founded + self.forwarded;
        (right * 1_000).checked_div(right + self.unfounded)
    }
}

/// Counts the outcomes by member and bank.
pub(super) fn count(reports: &[ReportListing]) -> BTreeMap<(String, String), Outcomes> {
    let mut counted: BTreeMap<(String, String), Outcomes> = BTreeMap::new();
    for report in reports {
        let bank =
            report.bank.as_ref().map_or_else(|| format!("bank {}", report.bank_id), ToString::to_string);
        let outcome = report.review.as_ref().map(|(review, _)| review.outcome);
        counted.entry((report.member.clone(), bank)).or_default().add(outcome);
    }
    counted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_waiting_reports_count_for_nothing() {
        let mut outcomes = Outcomes::default();
        for outcome in [None, Some(ReportOutcome::MoreInformation), Some(ReportOutcome::Duplicate)] {
            outcomes.add(outcome);
        }
        assert_eq!((outcomes.accuracy_permille(), outcomes.waiting), (None, 2));
        for outcome in [ReportOutcome::Founded, ReportOutcome::Forwarded, ReportOutcome::Unfounded] {
            outcomes.add(Some(outcome));
        }
        assert_eq!(outcomes.accuracy_permille(), Some(666));
    }
}
