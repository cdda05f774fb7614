//! Counts what is published: each counter is a document, set in the transaction of the write that it counts.

use vigie_consortium::{DocumentKey, DocumentKind};
use vigie_statistics::{CellKey, ClassText, Histogram, LatencyKind, Measure, Month, VerdictText};

use super::counters::{CountedMatches, Of, latency_key};
use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;

/// Counters beyond this many are counted without class and verdict: whoever makes classes up must not fill the writer's memory.
const COUNTERS_MAX: usize = 200_000;

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

    /// Counts how long changes took, as a matcher reports it.
    pub(in crate::plan) fn count_latencies(
        &mut self,
        counted: &[(LatencyKind, Histogram)],
    ) -> Result<Answer, Error> {
        if let Ok(month) = Month::of(self.now()) {
            for (kind, histogram) in counted {
                let held = self.state.counters.latencies.entry((month, *kind)).or_default();
                held.merge(histogram);
                let payload = held.encode();
                self.put_document(DocumentKind::Latency, latency_key(month, *kind), payload)?;
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
        let counters = &mut self.state.counters.counts;
        if counters.len() >= COUNTERS_MAX && counters.get(&key) == 0 {
            key = CellKey { class: ClassText::default(), verdict: None, ..key };
        }
        counters.add(key.clone(), by);
        let (count, encoded) = (counters.get(&key), key.encode());
        let document = DocumentKey::new(&encoded).map_err(|_| Error::Broken)?;
        self.put_document(DocumentKind::Count, document, count.to_be_bytes().to_vec())
    }
}
