//! What is counted, and the counters that the writer keeps in memory.

use std::collections::BTreeMap;

use vigie_consortium::{Class, Details, Document, DocumentId, DocumentKey, DocumentKind, Resolution};
use vigie_model::{BankId, MemberId, OpinionKind, UnixMillis, Verdict};
use vigie_statistics::{CellKey, ClassText, Counts, Histogram, LatencyKind, Measure, Month};

/// The counters that the writer keeps in memory: those of the month of its start and of the month before, and all later ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters {
    /// What happened how often.
    pub(crate) counts: Counts,
    /// How long changes took to be searched.
    pub(crate) latencies: Latencies,
}

/// The latencies of months.
pub(crate) type Latencies = BTreeMap<(Month, LatencyKind), Histogram>;

/// Matches or verdicts of a member, as a frontend has counted them.
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
    /// What was counted, and how often.
    pub(crate) counts: [(Measure, u64); 3],
}

/// Decisions of a member that tries a version of its policy, as a frontend has counted them.
#[derive(Debug, Clone)]
pub(crate) struct CountedTrial {
    /// The member.
    pub(crate) member: MemberId,
    /// The version.
    pub(crate) version: u32,
    /// The verdicts: what was answered, and what the version says.
    pub(crate) verdicts: (Verdict, Verdict),
    /// How many.
    pub(crate) decisions: u64,
}

/// What a frontend has counted.
#[derive(Debug, Clone)]
pub(crate) struct MatchCounts {
    /// Matches and verdicts.
    pub(crate) matches: Vec<CountedMatches>,
    /// Verdicts of versions that are tried.
    pub(crate) trials: Vec<CountedTrial>,
    /// A digest of the request.
    pub(crate) request_digest: [u8; 32],
}

impl MatchCounts {
    /// How many counts there are.
    pub(crate) const fn len(&self) -> usize {
        self.matches.len() + self.trials.len()
    }
}

/// The document of what is counted of the version that a member tries.
pub(crate) fn trial_id(member: MemberId) -> DocumentId {
    (DocumentKind::TrialCount, DocumentKey::of_numbers(&[member.0.into()]))
}

/// What a counter is of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Of {
    pub(crate) member: Option<MemberId>,
    pub(crate) bank: Option<BankId>,
    pub(crate) class: ClassText,
    pub(crate) verdict: Option<Verdict>,
}

impl Of {
    /// A member and a bank.
    pub(crate) fn member_and_bank(member: MemberId, bank: BankId) -> Self {
        Self { member: Some(member), bank: Some(bank), ..Self::default() }
    }

    /// A member.
    pub(crate) fn member(member: MemberId) -> Self {
        Self { member: Some(member), ..Self::default() }
    }

    /// A bank, whoever did it.
    pub(crate) fn bank(bank: BankId) -> Self {
        Self { bank: Some(bank), ..Self::default() }
    }

    /// With the first class of an item.
    pub(crate) fn classed(self, details: &Details) -> Self {
        let class = details.classification.iter().next().map(Class::to_string).unwrap_or_default();
        Self { class: ClassText::new(&class).unwrap_or_default(), ..self }
    }
}

/// The measure of an opinion.
pub(crate) const fn of_opinion(kind: OpinionKind) -> Measure {
    match kind {
        OpinionKind::Positive => Measure::OpinionsPositive,
        OpinionKind::Negative => Measure::OpinionsNegative,
        OpinionKind::Seen => Measure::OpinionsSeen,
    }
}

/// The measure of the outcome of a dispute.
pub(crate) const fn of_resolution(resolution: Resolution) -> Measure {
    match resolution {
        Resolution::Kept => Measure::DisputesKept,
        Resolution::Removed => Measure::DisputesRemoved,
        Resolution::Reclassified => Measure::DisputesReclassified,
    }
}

/// The key before the counters of the month before a time: those and later ones are kept in memory.
pub(crate) fn counters_from(now: UnixMillis) -> DocumentKey {
    let month = Month::of(now).map_or(0, Month::number).saturating_sub(1);
    let [high, low] = month.to_be_bytes();
    DocumentKey::new(&[CellKey::VERSION, high, low]).unwrap_or_default()
}

/// The key of the latencies of a month.
pub(crate) fn latency_key(month: Month, kind: LatencyKind) -> DocumentKey {
    let kind = match kind {
        LatencyKind::AddToMatchable => 1,
        LatencyKind::RemovalToGone => 2,
    };
    DocumentKey::of_numbers(&[month.number().into(), kind])
}

/// The key before the latencies that are kept in memory; see [`counters_from`].
pub(crate) fn latencies_from(now: UnixMillis) -> DocumentKey {
    DocumentKey::of_numbers(&[Month::of(now).map_or(0, Month::number).saturating_sub(1).into()])
}

/// The latencies of a document; `None` for those that a newer version has kept.
pub(crate) fn read_latency(document: &Document) -> Option<((Month, LatencyKind), Histogram)> {
    let month =
        u16::try_from(document.key.number(0)).ok().and_then(|month| Month::from_number(month).ok())?;
    let kind = LatencyKind::ALL.into_iter().find(|kind| latency_key(month, *kind) == document.key)?;
    Some(((month, kind), Histogram::decode(&document.payload).ok()?))
}
