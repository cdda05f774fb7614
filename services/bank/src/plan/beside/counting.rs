//! Counts events for the published statistics. Each counter is a document, written in the transaction of the
//! write that it counts.

use prost::Message as _;
use vigie_consortium::{DocumentKey, DocumentKind};
use vigie_proto::consortium::verdict_to_wire;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_statistics::{CellKey, Histogram, LatencyKind, Measure, VerdictText};

use super::counters::{CountedMatches, CountedScores, CountedTrial, MatchCounts, Of, latency_key, trial_id};
use crate::error::Error;
use crate::plan::Planner;
use crate::plan::answer::Answer;
use crate::plan::cases::known::decode;

/// The largest number of counters of two months with class and verdict. Further counters are kept without
/// them, so that invented classes cannot fill the writer's memory.
const COUNTERS_MAX: usize = 200_000;

impl Planner<'_> {
    /// Adds the counts that a frontend reports.
    pub(in crate::plan) fn count_matches(&mut self, counted: &MatchCounts) -> Result<Answer, Error> {
        for CountedMatches { member, bank, class, verdict, counts } in &counted.matches {
            let of = Of { member: Some(*member), bank: *bank, class: class.clone(), verdict: *verdict };
            for (what, by) in counts {
                self.count_up(&of, *what, *by)?;
            }
        }
        for CountedScores { member, class, counts } in &counted.scores {
            let of = Of { class: class.clone(), ..Of::member(*member) };
            for (what, by) in counts {
                self.count_up(&of, *what, *by)?;
            }
        }
        for trial in &counted.trials {
            self.count_trial(trial)?;
        }
        let changed = u32::try_from(counted.len()).unwrap_or(u32::MAX);
        Ok(Answer::Noted { changed, sequence: crate::store::to_model(self.draft.last()) })
    }

    /// Adds decisions of a member that has a policy version on trial. Decisions of any other version are
    /// ignored.
    fn count_trial(&mut self, counted: &CountedTrial) -> Result<(), Error> {
        let CountedTrial { member, version, verdicts: (verdict, trial), decisions } = counted;
        let policies = self.state.view.directory().policies(*member);
        let tried = policies.and_then(|policies| policies.trial.as_ref());
        if tried.is_none_or(|tried| tried.version != *version) {
            return Ok(());
        }
        let id = trial_id(*member);
        let before = self.document(&id).and_then(decode::<pb::StoredTrialCounts>);
        let mut stored = before.filter(|stored| stored.version == *version).unwrap_or_else(|| {
            pb::StoredTrialCounts { version: *version, since_unix_ms: self.now().0, counts: Vec::new() }
        });
        let [verdict, trial_verdict] = [*verdict, *trial].map(|one| verdict_to_wire(Some(one)));
        let is_it = |one: &&mut pb::TrialCount| (one.verdict, one.trial_verdict) == (verdict, trial_verdict);
        match stored.counts.iter_mut().find(is_it) {
            Some(count) => count.decisions = count.decisions.saturating_add(*decisions),
            None => stored.counts.push(pb::TrialCount { verdict, trial_verdict, decisions: *decisions }),
        }
        self.put_document(id.0, id.1, stored.encode_to_vec())
    }

    /// Adds the latencies of changes that a matcher reports.
    pub(in crate::plan) fn count_latencies(
        &mut self,
        counted: &[(LatencyKind, Histogram)],
    ) -> Result<Answer, Error> {
        if let Some(month) = self.state.counters.begin(self.now()) {
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

    /// Adds `by` to a counter of the present month.
    pub(in crate::plan) fn count_up(&mut self, of: &Of, what: Measure, by: u64) -> Result<(), Error> {
        if by == 0 {
            return Ok(());
        }
        let Some(month) = self.state.counters.begin(self.now()) else { return Ok(()) };
        let Of { member, bank, class, verdict } = of.clone();
        let verdict = verdict.and_then(|verdict| VerdictText::new(&verdict.name().to_ascii_lowercase()).ok());
        let key = CellKey { month, member, bank, class, verdict, what };
        let (key, count) = self.state.counters.add(key, by, COUNTERS_MAX);
        let document = DocumentKey::new(&key.encode()).map_err(|_| Error::Broken)?;
        self.put_document(DocumentKind::Count, document, count.to_be_bytes().to_vec())
    }
}
