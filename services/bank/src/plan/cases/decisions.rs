//! Plans records of decisions: what is kept of each, and what became of it.

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
use super::marked::Mark;
use super::recorded::{self, NewDecision};
use crate::error::{CaseError, Error};
use crate::plan::Planner;
use crate::plan::answer::{Answer, CaseAnswer};
use crate::plan::beside::counters::Of;
use crate::plan::write::Author;

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// The word by which an opinion is known as that of an upheld complaint. It is the same for all: the id of a decision is published in
/// statements of reasons, and would name the member's statement to whoever reads the opinion.
const MARK: &str = "appeal";

impl Planner<'_> {
    /// Records decisions: of each the matches in banks whose charter asks for that, until their days are over.
    pub(super) fn record_decisions(&mut self, decisions: &[NewDecision]) -> Result<Answer, Error> {
        let mut count = 0;
        for decision in decisions {
            count += u32::from(self.record_decision(decision)?);
        }
        Ok(self.case_answer(CaseAnswer { count, ..CaseAnswer::default() }))
    }

    /// Returns whether there was anything to record.
    fn record_decision(&mut self, decision: &NewDecision) -> Result<bool, Error> {
        let NewDecision { member, record, digests } = decision;
        let now = self.now();
        let mut parts: BTreeMap<u64, RecordedDecision> = BTreeMap::new();
        for found in &record.matches {
            let Some(days) = self.record_days(found.bank) else { continue };
            let until = now.0.saturating_add(u64::from(days) * DAY_MS);
            let part = parts.entry(until).or_insert_with(|| RecordedDecision {
                matches: Vec::new(),
                matches_omitted: 0,
                // The clock of a frontend may be ahead.
                decided_at: UnixMillis(record.decided_at.0.min(now.0)),
                ..record.clone()
            });
            part.matches.push(found.clone());
        }
        let Some(mut last) = parts.last_entry() else { return Ok(false) };
        last.get_mut().matches_omitted = record.matches_omitted;
        let key = pb::StoredDecisionKey {
            member_id: member.0,
            decided_at_unix_ms: record.decided_at.0.min(now.0),
            kept_until_unix_ms: parts.keys().copied().collect(),
        };
        self.put_documented(recorded::by_id(record.id), key.encode_to_vec())?;
        self.put_documented(recorded::by_time(*member, key.decided_at_unix_ms, record.id), Vec::new())?;
        for (until, part) in parts {
            let stored = pb::StoredDecision {
                member_id: member.0,
                record: Some(part.into()),
                query_digests: digests.clone(),
                ..Default::default()
            };
            self.put_documented(recorded::part(until, record.id), stored.encode_to_vec())?;
        }
        Ok(true)
    }

    fn record_days(&self, bank: BankId) -> Option<u16> {
        self.state.view.directory().bank(bank)?.charter.match_record_days()
    }

    /// Sets what became of a decision of the caller's member, counts what is new, and puts opinions where a complaint was upheld.
    pub(super) fn set_decision_outcome(
        &mut self,
        by: Author,
        id: [u8; 16],
        outcome: &DecisionOutcome,
    ) -> Result<Answer, Error> {
        let now = self.now();
        let member = by.admitted(&self.state.view, now)?.member().ok_or(Error::Broken)?.id;
        if outcome.hosted_since.is_some_and(|since| since > now) {
            return Err(CaseError::InFuture("outcome.hosted_since_unix_ms").into());
        }
        let stored = self.stored_parts(member, id);
        let Some(whole) = recorded::joined(stored.iter().map(|(_, part)| part.clone())) else {
            return Err(CaseError::NoDecision.into());
        };
        let record = whole.record.unwrap_or_default();
        let items = record.matches.iter().map(|found| (ItemId(found.item_id), BankId(found.bank_id)));
        let items: Vec<(ItemId, BankId)> = items.collect();
        let was_upheld = whole.outcome.is_some_and(|before| before.complaint() == pb::Complaint::Upheld);
        let mark: Mark = Text::new(MARK).map_err(|_| Error::Broken)?;
        let mut count = 0;
        for item in items {
            if outcome.complaint == Some(Complaint::Upheld) {
                count += u32::from(self.put_marked(by, item, OpinionReason::AppealUpheld, &mark)?);
            } else if was_upheld {
                self.withdraw_marked(by, item, &mark)?;
            }
        }
        let verdict = record.decision.as_ref().map(|decision| verdict("verdict", decision.verdict));
        let verdict = verdict.transpose().map_err(|_| Error::Broken)?.flatten();
        let of = of_decision(member, &record, verdict);
        let mut counted: BTreeSet<u32> = whole.counted.iter().copied().collect();
        for measure in measures(outcome, verdict) {
            if counted.insert(measure.number().into()) {
                self.count_up(&of, measure, 1)?;
            }
        }
        for (key, part) in stored {
            let part = pb::StoredDecision {
                outcome: Some((*outcome).into()),
                outcome_at_unix_ms: now.0,
                counted: counted.iter().copied().collect(),
                ..part
            };
            self.put_case(DocumentKind::MatchRecord, key, &part)?;
        }
        Ok(self.case_answer(CaseAnswer { count, ..CaseAnswer::default() }))
    }

    /// The parts of the record of a decision of a member.
    fn stored_parts(&self, member: MemberId, id: [u8; 16]) -> Vec<(DocumentKey, pb::StoredDecision)> {
        let of_kind = self.documents_of(DocumentKind::MatchRecord);
        let parts = of_kind.filter(|document| recorded::id_of(&document.key) == id);
        let parts = parts
            .filter_map(|document| Some((document.key.clone(), decode::<pb::StoredDecision>(document)?)));
        parts.filter(|(_, part)| part.member_id == member.0).collect()
    }

    /// Takes parts of records out, and what leads to them with the last part of each. Those that are gone are passed over.
    pub(super) fn forget_decisions(&mut self, keys: &[DocumentKey]) -> Result<Answer, Error> {
        for key in keys {
            if self.document(&(DocumentKind::MatchRecord, key.clone())).is_none() {
                continue;
            }
            self.take_document(DocumentKind::MatchRecord, key.clone())?;
            let (id, until) = (recorded::id_of(key), key.number(0));
            let by_id = recorded::by_id(id);
            let Some(mut leads) = self.document(&by_id).and_then(decode::<pb::StoredDecisionKey>) else {
                continue;
            };
            leads.kept_until_unix_ms.retain(|other| *other != until);
            if leads.kept_until_unix_ms.is_empty() {
                let member = MemberId(leads.member_id);
                let (kind, by_time) = recorded::by_time(member, leads.decided_at_unix_ms, id);
                self.take_document(kind, by_time)?;
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

/// What counters of a decision are of: the bank and the first class of its nearest match.
fn of_decision(member: MemberId, record: &pb::RecordedDecision, verdict: Option<Verdict>) -> Of {
    let nearest = record.matches.first();
    let class = nearest.and_then(|found| found.facts.as_ref()?.classes.first());
    Of {
        member: Some(member),
        bank: nearest.map(|found| BankId(found.bank_id)),
        class: class.and_then(|class| ClassText::new(class).ok()).unwrap_or_default(),
        verdict,
    }
}

/// What an outcome is counted as.
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
