//! The subjects of the statistics, and the counters that the writer keeps in memory.

use std::collections::BTreeMap;

use vigie_consortium::{Class, Details, Document, DocumentId, DocumentKey, DocumentKind, Resolution};
use vigie_model::{BankId, MemberId, OpinionKind, UnixMillis, Verdict};
use vigie_statistics::{CellKey, ClassText, Counts, Histogram, LatencyKind, Measure, Month};

/// The counters that the writer keeps in memory: those of the newest month and of the month before it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    /// The counts of events.
    pub(crate) counts: Counts,
    /// The histograms of the time from a change until searches use it.
    pub(crate) latencies: Latencies,
    /// The number of the newest month with a count; 0 before the first.
    newest: u16,
}

impl Counters {
    /// Builds the counters from the stored ones of the month of `now` and of the month before it.
    pub(crate) fn new(counts: Counts, latencies: Latencies, now: UnixMillis) -> Self {
        Self { counts, latencies, newest: Month::of(now).map_or(0, Month::number) }
    }

    /// Returns the month of a time. When a new month begins, counters older than the month before it are
    /// dropped. Returns `None` for a month whose counters were dropped, and for a time outside the range of
    /// months: nothing may be counted there, because the counts so far are unknown.
    pub(crate) fn begin(&mut self, now: UnixMillis) -> Option<Month> {
        let month = Month::of(now).ok()?;
        if month.number() > self.newest {
            self.newest = month.number();
            if let Ok(last) = Month::from_number(self.newest.saturating_sub(1)) {
                self.counts.drop_before(last);
                self.latencies.retain(|(of, _), _| *of >= last);
            }
        }
        (month.number() >= self.newest.saturating_sub(1)).then_some(month)
    }

    /// Adds `by` to a counter. If the counter is new and there are `counters_max` already, its class and
    /// verdict are left out. Returns the key that was used and its new count.
    pub(crate) fn add(&mut self, key: CellKey, by: u64, counters_max: usize) -> (CellKey, u64) {
        let is_too_many = self.counts.len() >= counters_max && self.counts.get(&key) == 0;
        let key =
            if is_too_many { CellKey { class: ClassText::default(), verdict: None, ..key } } else { key };
        self.counts.add(key.clone(), by);
        let count = self.counts.get(&key);
        (key, count)
    }
}

/// The latency histograms, by month and kind.
pub(crate) type Latencies = BTreeMap<(Month, LatencyKind), Histogram>;

/// Matches or verdicts of a member, as a frontend counted them.
#[derive(Debug, Clone)]
pub(crate) struct CountedMatches {
    /// The member.
    pub(crate) member: MemberId,
    /// The bank; `None` for verdicts.
    pub(crate) bank: Option<BankId>,
    /// The class of the items.
    pub(crate) class: ClassText,
    /// The verdict, where there is one.
    pub(crate) verdict: Option<Verdict>,
    /// The measures and their counts.
    pub(crate) counts: [(Measure, u64); 3],
}

/// Decisions of a member that has a version of its policy on trial, as a frontend counted them.
#[derive(Debug, Clone)]
pub(crate) struct CountedTrial {
    /// The member.
    pub(crate) member: MemberId,
    /// The version on trial.
    pub(crate) version: u32,
    /// The verdict that was answered, and the verdict of the version on trial.
    pub(crate) verdicts: (Verdict, Verdict),
    /// The number of decisions.
    pub(crate) decisions: u64,
}

/// Uses of a class of a model by a member, as a frontend counted them.
#[derive(Debug, Clone)]
pub(crate) struct CountedScores {
    /// The member.
    pub(crate) member: MemberId,
    /// The model, the version of its card and the class.
    pub(crate) class: ClassText,
    /// The measures and their counts.
    pub(crate) counts: [(Measure, u64); 4],
}

/// The counts of one report of a frontend.
#[derive(Debug, Clone)]
pub(crate) struct MatchCounts {
    /// Matches and verdicts.
    pub(crate) matches: Vec<CountedMatches>,
    /// Verdicts of policy versions on trial.
    pub(crate) trials: Vec<CountedTrial>,
    /// Uses of classifiers.
    pub(crate) scores: Vec<CountedScores>,
    /// The BLAKE3 digest of the request.
    pub(crate) request_digest: [u8; 32],
}

impl MatchCounts {
    /// Returns the number of entries.
    pub(crate) const fn len(&self) -> usize {
        self.matches.len() + self.trials.len() + self.scores.len()
    }
}

/// Returns the id of the document that counts the verdicts of a member's version on trial.
pub(crate) fn trial_id(member: MemberId) -> DocumentId {
    (DocumentKind::TrialCount, DocumentKey::of_numbers(&[member.0.into()]))
}

/// The subject of a counter.
#[derive(Debug, Clone, Default)]
pub(crate) struct Of {
    pub(crate) member: Option<MemberId>,
    pub(crate) bank: Option<BankId>,
    pub(crate) class: ClassText,
    pub(crate) verdict: Option<Verdict>,
}

impl Of {
    /// Returns the subject "this member, in this bank".
    pub(crate) fn member_and_bank(member: MemberId, bank: BankId) -> Self {
        Self { member: Some(member), bank: Some(bank), ..Self::default() }
    }

    /// Returns the subject "this member".
    pub(crate) fn member(member: MemberId) -> Self {
        Self { member: Some(member), ..Self::default() }
    }

    /// Returns the subject "this bank", for every member.
    pub(crate) fn bank(bank: BankId) -> Self {
        Self { bank: Some(bank), ..Self::default() }
    }

    /// Returns the subject with the first class of an item's classification, if it has one.
    pub(crate) fn classed(self, details: &Details) -> Self {
        let class = details.classification.iter().next().map(Class::to_string).unwrap_or_default();
        Self { class: ClassText::new(&class).unwrap_or_default(), ..self }
    }
}

/// Returns the measure that counts an opinion.
pub(crate) const fn of_opinion(kind: OpinionKind) -> Measure {
    match kind {
        OpinionKind::Positive => Measure::OpinionsPositive,
        OpinionKind::Negative => Measure::OpinionsNegative,
        OpinionKind::Seen => Measure::OpinionsSeen,
    }
}

/// Returns the measure that counts the outcome of a dispute.
pub(crate) const fn of_resolution(resolution: Resolution) -> Measure {
    match resolution {
        Resolution::Kept => Measure::DisputesKept,
        Resolution::Removed => Measure::DisputesRemoved,
        Resolution::Reclassified => Measure::DisputesReclassified,
    }
}

/// Returns a key that sorts before the counters of the month before `now`. Those counters and later ones are
/// kept in memory.
pub(crate) fn counters_from(now: UnixMillis) -> DocumentKey {
    let month = Month::of(now).map_or(0, Month::number).saturating_sub(1);
    let [high, low] = month.to_be_bytes();
    DocumentKey::new(&[CellKey::VERSION, high, low]).unwrap_or_default()
}

/// Returns the document key of a month's latencies of one kind.
pub(crate) fn latency_key(month: Month, kind: LatencyKind) -> DocumentKey {
    let kind = match kind {
        LatencyKind::AddToMatchable => 1,
        LatencyKind::RemovalToGone => 2,
    };
    DocumentKey::of_numbers(&[month.number().into(), kind])
}

/// Returns a key that sorts before the latencies that are kept in memory (see [`counters_from`]).
pub(crate) fn latencies_from(now: UnixMillis) -> DocumentKey {
    DocumentKey::of_numbers(&[Month::of(now).map_or(0, Month::number).saturating_sub(1).into()])
}

/// Reads the latencies of a document; `None` if a newer version wrote it.
pub(crate) fn read_latency(document: &Document) -> Option<((Month, LatencyKind), Histogram)> {
    let month =
        u16::try_from(document.key.number(0)).ok().and_then(|month| Month::from_number(month).ok())?;
    let kind = LatencyKind::ALL.into_iter().find(|kind| latency_key(month, *kind) == document.key)?;
    Some(((month, kind), Histogram::decode(&document.payload).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: u64 = 86_400_000;

    #[test]
    fn counters_of_three_months_keep_their_class_where_two_months_fit() {
        let mut counters = Counters::default();
        let class = |number: u32| ClassText::new(&format!("iwf/category={number}")).unwrap();
        let key = |month, number| CellKey {
            month,
            member: None,
            bank: Some(BankId(1)),
            class: class(number),
            verdict: None,
            what: Measure::MatchesExact,
        };
        // Two classes a month; four counters fit.
        for at in [10, 41, 72, 103].map(|day| UnixMillis(day * DAY_MS)) {
            let month = counters.begin(at).unwrap();
            for number in 0..2 {
                assert_eq!(counters.add(key(month, number), 3, 4), (key(month, number), 3));
                assert_eq!(counters.add(key(month, number), 4, 4), (key(month, number), 7));
            }
            counters.latencies.insert((month, LatencyKind::AddToMatchable), Histogram::default());
        }
        assert_eq!((counters.counts.len(), counters.latencies.len()), (4, 2));
        // Counting in the month before continues; the month before that is no longer known.
        let last = counters.begin(UnixMillis(72 * DAY_MS)).unwrap();
        assert_eq!(counters.add(key(last, 1), 1, 4), (key(last, 1), 8));
        assert_eq!(counters.begin(UnixMillis(41 * DAY_MS)), None);
        // A class beyond the limit is counted without class.
        let unclassed = CellKey { class: ClassText::default(), ..key(last, 2) };
        assert_eq!(counters.add(key(last, 2), 1, 4), (unclassed, 1));
    }
}
