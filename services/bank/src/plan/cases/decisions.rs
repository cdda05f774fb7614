//! Plans records of decisions: the data that is kept of each, and its outcome.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use vigie_consortium::cases::{Action, Complaint, DecisionOutcome, RecordedDecision, Review};
use vigie_consortium::{DocumentId, DocumentKey, DocumentKind, OpinionReason, Text};
use vigie_model::{BankId, ItemId, MemberId, UnixMillis, Verdict};
use vigie_proto::consortium::verdict;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_statistics::statement::Automation;
use vigie_statistics::{ClassText, Measure};

use super::known::decode;
use super::marked::{APPEAL, Mark};
use super::recorded::{self, ByTime, NewDecision};
use crate::error::{CaseError, Error};
use crate::plan::Planner;
use crate::plan::answer::{Answer, CaseAnswer};
use crate::plan::beside::counters::Of;
use crate::plan::write::Author;

impl Planner<'_> {
    /// Records decisions: for each, the matches in banks whose charter asks for records, until these expire.
    pub(super) fn record_decisions(&mut self, decisions: &[NewDecision]) -> Result<Answer, Error> {
        let mut count = 0;
        for decision in decisions {
            count += u32::from(self.record_decision(decision)?);
        }
        Ok(self.case_answer(CaseAnswer { count, ..CaseAnswer::default() }))
    }

    /// Records a decision; returns whether there was anything to record.
    fn record_decision(&mut self, decision: &NewDecision) -> Result<bool, Error> {
        let NewDecision { member, record, digests, digest_key_id } = decision;
        let now = self.now();
        // The clock of a frontend may be ahead of the bank's.
        let decided_at = UnixMillis(record.decided_at.0.min(now.0));
        let mut parts: BTreeMap<BankId, (u64, RecordedDecision)> = BTreeMap::new();
        for found in &record.matches {
            let until = recorded::kept_until(self.state.view.directory(), found.bank, decided_at);
            let Some(until) = until.filter(|until| *until > now.0) else { continue };
            let (_, part) = parts.entry(found.bank).or_insert_with(|| {
                (
                    until,
                    RecordedDecision {
                        matches: Vec::new(),
                        matches_omitted: 0,
                        decided_at,
                        ..record.clone()
                    },
                )
            });
            part.matches.push(found.clone());
        }
        let Some(mut first) = parts.first_entry() else { return Ok(false) };
        first.get_mut().1.matches_omitted = record.matches_omitted;
        let stored_part = |(bank, (until, _)): (&BankId, &(u64, _))| pb::StoredDecisionPart {
            bank_id: bank.0,
            kept_until_unix_ms: *until,
        };
        let key = pb::StoredDecisionKey {
            member_id: member.0,
            decided_at_unix_ms: decided_at.0,
            parts: parts.iter().map(stored_part).collect(),
        };
        self.put_documented(recorded::by_id(record.id), key.encode_to_vec())?;
        let waits = record.decided.as_ref().is_some_and(|decided| decided.verdict == Verdict::Review);
        for list in [Some(ByTime::All), waits.then_some(ByTime::Waiting)].into_iter().flatten() {
            self.put_documented(recorded::by_time(list, *member, decided_at.0, record.id), Vec::new())?;
        }
        for (bank, (until, part)) in parts {
            let stored = pb::StoredDecision {
                member_id: member.0,
                record: Some(part.into()),
                query_digests: digests.clone(),
                digest_key_id: digest_key_id.to_vec(),
                ..Default::default()
            };
            self.put_documented(recorded::part(until, record.id, bank), stored.encode_to_vec())?;
        }
        Ok(true)
    }

    /// Sets the outcome of a decision of the caller's member, counts what is new, and puts opinions if a
    /// complaint was upheld.
    pub(super) fn set_decision_outcome(
        &mut self,
        by: Author,
        id: [u8; 16],
        outcome: &DecisionOutcome,
        expected_at: Option<UnixMillis>,
    ) -> Result<Answer, Error> {
        let now = self.now();
        let member = by.admitted(&self.state.view, now)?.member().ok_or(Error::Broken)?.id;
        let stored = self.stored_parts(member, id);
        let Some(whole) = recorded::joined(stored.iter().map(|(_, part)| part.clone())) else {
            return Err(CaseError::NoDecision.into());
        };
        if expected_at.is_some_and(|expected| expected.0 != whole.outcome_at_unix_ms) {
            return Err(CaseError::OutcomeChanged.into());
        }
        for (field, moment) in [("hosted_since", outcome.hosted_since), ("acted_at", outcome.acted_at)] {
            if moment.is_some_and(|moment| moment > now) {
                return Err(CaseError::InFuture(match field {
                    "acted_at" => "outcome.acted_at_unix_ms",
                    _ => "outcome.hosted_since_unix_ms",
                })
                .into());
            }
        }
        let was_waiting = recorded::is_waiting(&whole);
        let record = whole.record.unwrap_or_default();
        if was_waiting {
            let waiting = recorded::by_time(ByTime::Waiting, member, record.decided_at_unix_ms, id);
            self.take_document(waiting.0, waiting.1)?;
        }
        let verdict = record.decision.as_ref().map(|decision| verdict("verdict", decision.verdict));
        let verdict = verdict.transpose().map_err(|_| Error::Broken)?.flatten();
        let before = whole.outcome.map(DecisionOutcome::try_from).transpose().map_err(|_| Error::Broken)?;
        let decided_at = UnixMillis(record.decided_at_unix_ms);
        let outcome =
            DecisionOutcome { acted_at: acted_at(outcome, before, verdict, decided_at, now), ..*outcome };
        let count = match outcome.complaint {
            Some(Complaint::Upheld) => self.put_appeals(by, &record)?,
            Some(Complaint::Received | Complaint::Rejected) | None => 0,
        };
        let of = of_decision(member, &record, verdict);
        let mut counted: BTreeSet<u32> = whole.counted.iter().copied().collect();
        for measure in measures(&outcome, verdict) {
            if counted.insert(measure.number().into()) {
                self.count_up(&of, measure, 1)?;
            }
        }
        for (key, part) in stored {
            let part = pb::StoredDecision {
                outcome: Some(outcome.into()),
                outcome_at_unix_ms: now.0,
                counted: counted.iter().copied().collect(),
                ..part
            };
            self.put_case(DocumentKind::MatchRecord, key, &part)?;
        }
        Ok(self.case_answer(CaseAnswer { count, ..CaseAnswer::default() }))
    }

    /// Puts a negative opinion of the caller's member on each item on which a decision is based. Returns the
    /// number of items.
    fn put_appeals(&mut self, by: Author, record: &pb::RecordedDecision) -> Result<u32, Error> {
        let mark: Mark = Text::new(APPEAL).map_err(|_| Error::Broken)?;
        let counting = record.matches.iter().filter(|found| found.counts);
        let items = counting.map(|found| (ItemId(found.item_id), BankId(found.bank_id)));
        let items: Vec<(ItemId, BankId)> = items.collect();
        let mut count = 0;
        for item in items {
            count += u32::from(self.put_marked(by, item, OpinionReason::AppealUpheld, &mark)?);
        }
        Ok(count)
    }

    /// Returns the parts of the record of a member's decision.
    fn stored_parts(&self, member: MemberId, id: [u8; 16]) -> Vec<(DocumentKey, pb::StoredDecision)> {
        let of_kind = self.documents_of(DocumentKind::MatchRecord);
        let parts = of_kind.filter(|document| recorded::id_of(&document.key) == id);
        let parts = parts
            .filter_map(|document| Some((document.key.clone(), decode::<pb::StoredDecision>(document)?)));
        parts.filter(|(_, part)| part.member_id == member.0).collect()
    }

    /// Deletes parts of records, and with the last part of a record the documents that refer to it. Skips
    /// parts that no longer exist.
    pub(super) fn forget_decisions(&mut self, keys: &[DocumentKey]) -> Result<Answer, Error> {
        for key in keys {
            let Some(part) = self.document(&(DocumentKind::MatchRecord, key.clone())) else { continue };
            let was_waiting = decode(part).as_ref().is_some_and(recorded::is_waiting);
            self.take_document(DocumentKind::MatchRecord, key.clone())?;
            let (id, until, bank) = (recorded::id_of(key), key.number(0), recorded::bank_of(key));
            let by_id = recorded::by_id(id);
            let Some(mut leads) = self.document(&by_id).and_then(decode::<pb::StoredDecisionKey>) else {
                continue;
            };
            leads.parts.retain(|part| (part.kept_until_unix_ms, part.bank_id) != (until, bank.0));
            if leads.parts.is_empty() {
                let member = MemberId(leads.member_id);
                let lists = [Some(ByTime::All), was_waiting.then_some(ByTime::Waiting)];
                for list in lists.into_iter().flatten() {
                    let (kind, by_time) = recorded::by_time(list, member, leads.decided_at_unix_ms, id);
                    self.take_document(kind, by_time)?;
                }
                self.take_document(by_id.0, by_id.1)?;
            } else {
                self.put_documented(by_id, leads.encode_to_vec())?;
            }
        }
        Ok(self.case_answer(CaseAnswer::default()))
    }

    fn put_documented(&mut self, (kind, key): DocumentId, payload: Vec<u8>) -> Result<(), Error> {
        self.put_document(kind, key, payload)
    }
}

/// Returns when the platform acted: the time that it reports, the time that it reported before for the same
/// action, the time of the verdict if that blocks, or now.
fn acted_at(
    outcome: &DecisionOutcome,
    before: Option<DecisionOutcome>,
    verdict: Option<Verdict>,
    decided_at: UnixMillis,
    now: UnixMillis,
) -> Option<UnixMillis> {
    outcome.action?;
    let said_before =
        before.filter(|before| before.action == outcome.action).and_then(|before| before.acted_at);
    let acts = verdict.is_some_and(|verdict| verdict >= Verdict::Block);
    Some(outcome.acted_at.or(said_before).unwrap_or(if acts { decided_at } else { now }))
}

/// Returns the dimensions under which a decision is counted: the member, the verdict, and the bank and first
/// class of the nearest counting match.
fn of_decision(member: MemberId, record: &pb::RecordedDecision, verdict: Option<Verdict>) -> Of {
    let nearest = record.matches.iter().find(|found| found.counts);
    let class = nearest.and_then(|found| found.facts.as_ref()?.classes.first());
    Of {
        member: Some(member),
        bank: nearest.map(|found| BankId(found.bank_id)),
        class: class.and_then(|class| ClassText::new(class).ok()).unwrap_or_default(),
        verdict,
    }
}

/// Returns the measures that count an outcome.
fn measures(outcome: &DecisionOutcome, verdict: Option<Verdict>) -> Vec<Measure> {
    let verdict_acts = verdict.is_some_and(|verdict| verdict >= Verdict::Block);
    let action = outcome.action.map(|action| match action {
        Action::Removed => Measure::ActionsRemoved,
        Action::Disabled => Measure::ActionsDisabled,
        Action::Demoted => Measure::ActionsDemoted,
        Action::AgeRestricted => Measure::ActionsAgeRestricted,
        Action::InteractionRestricted => Measure::ActionsInteractionRestricted,
        Action::Labelled => Measure::ActionsLabelled,
        Action::Other => Measure::ActionsOther,
    });
    let automation = action.and_then(|_| Automation::of(outcome.person_looked, verdict_acts).ok());
    let automation = automation.map(|automation| match automation {
        Automation::Fully => Measure::DecisionsFullyAutomated,
        Automation::Partly => Measure::DecisionsPartlyAutomated,
        Automation::Not => Measure::DecisionsNotAutomated,
    });
    let review = outcome.review.map(|review| match review {
        Review::Confirmed => Measure::DecisionsConfirmed,
        Review::Overturned => Measure::DecisionsOverturned,
    });
    let received = outcome.complaint.map(|_| Measure::ComplaintsReceived);
    let upheld = (outcome.complaint == Some(Complaint::Upheld)).then_some(Measure::ComplaintsUpheld);
    [action, automation, review, received, upheld].into_iter().flatten().collect()
}
