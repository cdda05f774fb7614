//! Client of the bank's service of referrals.

use tokio::time::Instant;
use vigie_consortium::cases::{Measure, ReferralWords};
use vigie_model::{MemberName, UnixMillis};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::referral_service_client::ReferralServiceClient;

use super::reports::{CasePage, CasesAfter};
use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: a page of referrals, each with the outcomes of 1,000 members at most.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// The outcome of a referral at a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberMeasure {
    /// The name of the member.
    pub member: String,
    /// The outcome; `None` while there is none.
    pub measure: Option<Measure>,
}

/// A referral as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReferralListing {
    /// Its number.
    pub number: u64,
    /// The contents of the referral.
    pub words: ReferralWords,
    /// When it was added.
    pub added_at: UnixMillis,
    /// The outcome at each member that the caller may see, by member.
    pub members: Vec<MemberMeasure>,
    /// Whether the deadline has passed while a member that the caller may see has given no outcome.
    pub overdue: bool,
}

impl TryFrom<pb::Referral> for ReferralListing {
    type Error = Invalid;

    fn try_from(message: pb::Referral) -> Result<Self, Invalid> {
        let member = |one: pb::MemberMeasure| {
            let measure = one.measure.map(Measure::try_from).transpose()?;
            Ok(MemberMeasure { member: one.member, measure })
        };
        Ok(Self {
            number: message.number,
            words: message.referral.ok_or_else(|| Invalid::missing("referral"))?.try_into()?,
            added_at: UnixMillis(message.added_at_unix_ms),
            members: message.members.into_iter().map(member).collect::<Result<_, Invalid>>()?,
            overdue: message.overdue,
        })
    }
}

/// The referrals to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferralsListed {
    /// All referrals.
    All,
    /// Referrals with a pending outcome.
    Open,
    /// Removal orders whose deadline has passed without an outcome.
    Overdue,
}

/// Adds and lists referrals, and sets outcomes.
#[derive(Debug, Clone)]
pub struct ReferralClient {
    bank: LeadingBank<ReferralServiceClient<Channel>>,
}

impl ReferralClient {
    among_banks!(ReferralServiceClient, ANSWER_BYTES_MAX);

    /// Adds a referral to the members with these names; to all members if there are none. Returns its number.
    pub async fn add(
        &self,
        words: ReferralWords,
        members: &[MemberName],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u64>, CallError> {
        let members = members.iter().map(ToString::to_string).collect();
        let referral = Some(pb::NewReferral { members, ..words.into() });
        let request = pb::AddReferralRequest { referral, idempotency_key: key.into_text() };
        let answer: pb::AddReferralResponse = call!(self, deadline, add_referral, AddReferral, request)?;
        self.bank.written(Ok(answer.number), answer.sequence)
    }

    /// Lists a page of referrals.
    pub async fn list(
        &self,
        after: impl Into<CasesAfter>,
        listed: ReferralsListed,
        deadline: Instant,
    ) -> Result<CasePage<ReferralListing>, CallError> {
        let (open, overdue) = (listed == ReferralsListed::Open, listed == ReferralsListed::Overdue);
        let (after_key, page_size) = after.into().into_wire();
        let request = pb::ListReferralsRequest { after_key, page_size, open, overdue };
        let answer: pb::ListReferralsResponse =
            call!(self, deadline, list_referrals, ListReferrals, request)?;
        let referrals = answer.referrals.into_iter().map(ReferralListing::try_from).collect();
        Ok((self.bank.checked(referrals)?, answer.next_key))
    }

    /// Sets the outcome of a referral at the caller's member.
    pub async fn set_outcome(
        &self,
        number: u64,
        measure: Measure,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let (measure, idempotency_key) = (Some(measure.into()), key.into_text());
        let request = pb::SetReferralOutcomeRequest { number, measure, idempotency_key };
        let answer: pb::SetReferralOutcomeResponse =
            call!(self, deadline, set_referral_outcome, SetReferralOutcome, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }
}
