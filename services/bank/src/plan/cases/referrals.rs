//! Plans referrals, and their outcomes at members.

use vigie_consortium::cases::{Measure, MeasureOutcome, ReferralWords};
use vigie_consortium::rights::Members;
use vigie_consortium::{Denied, DocumentKind, MemberId, MemberState};
use vigie_model::MemberName;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_statistics::Measure as Counted;

use super::known::outcome_id;
use super::stage::Stage;
use crate::error::{CaseError, Error};
use crate::plan::Planner;
use crate::plan::answer::{Answer, CaseAnswer};
use crate::plan::beside::counters::Of;
use crate::plan::write::Author;

const KIND: DocumentKind = DocumentKind::Referral;

impl Planner<'_> {
    pub(super) fn add_referral(
        &mut self,
        by: Author,
        words: &ReferralWords,
        names: &[MemberName],
    ) -> Result<Answer, Error> {
        by.admitted(&self.state.view, self.now())?.host()?;
        if words.order.as_ref().is_some_and(|order| order.received_at > self.now()) {
            return Err(CaseError::InFuture("referral.removal_order.received_at_unix_ms").into());
        }
        let members = self.addressed(names)?;
        let pending = u32::try_from(members.len()).map_err(|_| Error::Broken)?;
        let number = self.draft.last().next().0;
        let referral = pb::StoredReferral {
            referral: Some(words.clone().into()),
            member_ids: members.iter().map(|member| member.0).collect(),
            added_at_unix_ms: self.now().0,
            counts: Some(pb::MeasureCounts { pending, ..Default::default() }),
        };
        self.put_case(KIND, Stage::First.key(number), &referral)?;
        let received =
            if words.order.is_some() { Counted::OrdersReceived } else { Counted::ReferralsReceived };
        for member in members {
            self.count_up(&Of::member(member), received, 1)?;
        }
        Ok(self.case_answer(CaseAnswer { number, count: pending, ..CaseAnswer::default() }))
    }

    pub(super) fn set_referral_outcome(
        &mut self,
        by: Author,
        number: u64,
        measure: &Measure,
    ) -> Result<Answer, Error> {
        let member = self.own_member(by)?;
        let found = self.first_document::<pb::StoredReferral>(&Stage::ids(KIND, number));
        let found = found.filter(|(_, referral)| referral.member_ids.contains(&member.0));
        let (key, mut referral) = found.ok_or(CaseError::NoReferral(number))?;
        let is_order = referral.referral.as_ref().is_some_and(|words| words.removal_order.is_some());
        if is_order && measure.outcome == MeasureOutcome::Declined {
            return Err(CaseError::OrderDeclined(number).into());
        }
        let now = self.now();
        if measure.taken_at.is_some_and(|at| at > now) {
            return Err(CaseError::InFuture("measure.taken_at_unix_ms").into());
        }
        let id = outcome_id(number, member);
        let before =
            self.first_document::<pb::Measure>(std::slice::from_ref(&id)).map(|(_, measure)| measure);
        let after =
            pb::Measure::from(Measure { taken_at: measure.taken_at.or(Some(now)), ..measure.clone() });
        let before = before.map(|before| before.outcome()).unwrap_or_default();
        let counts = referral.counts.get_or_insert_default();
        let former = count_of(counts, before);
        *former = former.saturating_sub(1);
        *count_of(counts, after.outcome()) += 1;
        let stage = if counts.pending == 0 { Stage::Second } else { Stage::First };
        self.put_case(id.0, id.1, &after)?;
        self.move_case(KIND, key, stage.key(number), &referral)?;
        if before != after.outcome() {
            for what in counted(measure.outcome, is_order) {
                self.count_up(&Of::member(member), *what, 1)?;
            }
        }
        Ok(self.case_answer(CaseAnswer { number, count: 1, ..CaseAnswer::default() }))
    }

    /// Returns the members with these names, in ascending order. Without names: every active member but the
    /// host, or the host if it is alone.
    fn addressed(&self, names: &[MemberName]) -> Result<Vec<MemberId>, Error> {
        let directory = self.state.view.directory();
        if names.is_empty() {
            let active = directory.members().iter().filter(|one| one.state == MemberState::Active);
            let others: Vec<MemberId> =
                active.map(|one| one.id).filter(|member| *member != MemberId::HOST).collect();
            return Ok(if others.is_empty() { vec![MemberId::HOST] } else { others });
        }
        let called = |name: &MemberName| {
            let found = directory.member_called(name).map(|member| member.id);
            found.ok_or_else(|| Error::Denied(Denied::MemberNotFound(name.clone())))
        };
        let mut members = names.iter().map(called).collect::<Result<Vec<_>, _>>()?;
        members.sort_unstable();
        members.dedup();
        Ok(members)
    }

    /// Returns the caller's member, whose data the call changes.
    pub(super) fn own_member(&self, by: Author) -> Result<MemberId, Error> {
        match by.admitted(&self.state.view, self.now())?.members()? {
            Members::Only(member) => Ok(member),
            Members::Every => Err(Error::Broken),
        }
    }
}

/// Returns the measures that count an outcome of a referral or a removal order.
const fn counted(outcome: MeasureOutcome, is_order: bool) -> &'static [Counted] {
    match (outcome, is_order) {
        (MeasureOutcome::Removed, false) => &[Counted::ReferralsActedOn, Counted::ActionsRemoved],
        (MeasureOutcome::Removed, true) => &[Counted::OrdersExecuted, Counted::ActionsRemoved],
        (MeasureOutcome::Disabled, false) => &[Counted::ReferralsActedOn, Counted::ActionsDisabled],
        (MeasureOutcome::Disabled, true) => &[Counted::OrdersExecuted, Counted::ActionsDisabled],
        (MeasureOutcome::Declined, false) => &[Counted::ReferralsDeclined],
        (MeasureOutcome::NotFound | MeasureOutcome::NotPossible, false) => &[],
        (MeasureOutcome::Declined | MeasureOutcome::NotFound | MeasureOutcome::NotPossible, true) => {
            &[Counted::OrdersNotExecuted]
        }
    }
}

/// Returns the count of members with an outcome.
pub(crate) const fn count_of(counts: &mut pb::MeasureCounts, outcome: pb::MeasureOutcome) -> &mut u32 {
    match outcome {
        pb::MeasureOutcome::Unspecified => &mut counts.pending,
        pb::MeasureOutcome::Removed => &mut counts.removed,
        pb::MeasureOutcome::Disabled => &mut counts.disabled,
        pb::MeasureOutcome::NotFound => &mut counts.not_found,
        pb::MeasureOutcome::Declined => &mut counts.declined,
        pb::MeasureOutcome::NotPossible => &mut counts.not_possible,
    }
}
