//! Counters of what is published: each is a document, set in the transaction of the write that it counts.

use std::sync::Arc;

use vigie_consortium::{Class, Details, DocumentKey, DocumentKind, Resolution};
use vigie_model::{BankId, MemberId, OpinionKind, UnixMillis, Verdict};
use vigie_statistics::{CellKey, ClassText, Counts, Measure, Month, VerdictText};

use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;

/// The counters that the writer keeps in memory: those of the month of its start and of the month before, and all later ones.
pub(crate) type Counters = Arc<Counts>;

/// Counters beyond this many are counted without class and verdict: whoever makes classes up must not fill the writer's memory.
const COUNTERS_MAX: usize = 200_000;

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

/// What a counter is of.
#[derive(Debug, Clone, Default)]
pub(in crate::plan) struct Of {
    pub(in crate::plan) member: Option<MemberId>,
    pub(in crate::plan) bank: Option<BankId>,
    pub(in crate::plan) class: ClassText,
    pub(in crate::plan) verdict: Option<Verdict>,
}

impl Of {
    /// A member and a bank.
    pub(in crate::plan) fn member_and_bank(member: MemberId, bank: BankId) -> Self {
        Self { member: Some(member), bank: Some(bank), ..Self::default() }
    }

    /// A bank, whoever did it.
    pub(in crate::plan) fn bank(bank: BankId) -> Self {
        Self { bank: Some(bank), ..Self::default() }
    }

    /// With the first class of an item.
    pub(in crate::plan) fn classed(self, details: &Details) -> Self {
        let class = details.classification.iter().next().map(Class::to_string).unwrap_or_default();
        Self { class: ClassText::new(&class).unwrap_or_default(), ..self }
    }
}

/// The measure of an opinion.
pub(in crate::plan) const fn of_opinion(kind: OpinionKind) -> Measure {
    match kind {
        OpinionKind::Positive => Measure::OpinionsPositive,
        OpinionKind::Negative => Measure::OpinionsNegative,
        OpinionKind::Seen => Measure::OpinionsSeen,
    }
}

/// The measure of the outcome of a dispute.
pub(in crate::plan) const fn of_resolution(resolution: Resolution) -> Measure {
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

impl Planner<'_> {
    /// Counts what a frontend reports.
    pub(in crate::plan) fn count_matches(&mut self, counted: &[CountedMatches]) -> Result<Answer, Error> {
        for CountedMatches { member, bank, class, verdict, counts } in counted {
            let of = Of { member: Some(*member), bank: *bank, class: class.clone(), verdict: *verdict };
            for (what, by) in counts {
                self.count_up(&of, *what, *by)?;
            }
        }
        let changed = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        Ok(Answer::Noted { changed, sequence: crate::store::to_model(self.draft.last()) })
    }

    /// Adds to a counter of the present month.
    pub(in crate::plan) fn count_up(&mut self, of: &Of, what: Measure, by: u64) -> Result<(), Error> {
        // Of a clock that is far off nothing is counted.
        let (Ok(month), true) = (Month::of(self.now()), by > 0) else { return Ok(()) };
        let Of { member, bank, class, verdict } = of.clone();
        let verdict = verdict.and_then(|verdict| VerdictText::new(&verdict.name().to_ascii_lowercase()).ok());
        let mut key = CellKey { month, member, bank, class, verdict, what };
        let counters = Arc::make_mut(&mut self.state.counters);
        if counters.len() >= COUNTERS_MAX && counters.get(&key) == 0 {
            key = CellKey { class: ClassText::default(), verdict: None, ..key };
        }
        counters.add(key.clone(), by);
        let (count, encoded) = (counters.get(&key), key.encode());
        let document = DocumentKey::new(&encoded).map_err(|_| Error::Broken)?;
        self.put_document(DocumentKind::Count, document, count.to_be_bytes().to_vec())
    }
}
