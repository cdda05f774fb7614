//! The service of referrals.

use std::collections::HashMap;

use tonic::{Request, Response, Status};
use vigie_consortium::rights::Members;
use vigie_consortium::{Document, DocumentKey, DocumentKind, MemberId};
use vigie_model::UnixMillis;
use vigie_proto::Invalid;
use vigie_proto::consortium::{case_page_size, member_name};
use vigie_proto::pb::consortium::v1 as pb;

use super::{CasePage, case_number};
use crate::error::Error;
use crate::grpc::{BankGrpc, Reading, name_of_member};
use crate::plan::cases::known::{decode, outcome_id};
use crate::plan::cases::referrals::count_of;
use crate::plan::cases::stage::Stage;
use crate::plan::cases::write::CaseAction;
use crate::store::documents::DocumentRange;

/// The most outcomes of one referral: one for each member.
const OUTCOMES_MAX: u16 = 1_000;

/// The referrals that a call lists.
#[derive(Clone, Copy)]
struct Listed {
    members: Members,
    open: bool,
    overdue: bool,
}

impl Reading {
    /// Reads the outcomes of a referral at the members that the caller may see, by member.
    async fn measures(
        &self,
        number: u64,
        members: Members,
    ) -> Result<HashMap<MemberId, pb::Measure>, Status> {
        let documents = match members {
            Members::Only(member) => self.read(self.store.documents(&[outcome_id(number, member)])).await?,
            Members::Every => {
                let range = DocumentRange {
                    kind: DocumentKind::ReferralOutcome,
                    after: DocumentKey::of_numbers(&[number]),
                    before: Some(DocumentKey::of_numbers(&[number + 1])),
                    limit: OUTCOMES_MAX,
                };
                self.read(self.store.document_range(&range)).await?
            }
        };
        let of = |document: &Document| {
            let member = u32::try_from(document.key.number(1)).ok()?;
            Some((MemberId(member), decode::<pb::Measure>(document)?))
        };
        Ok(documents.iter().filter_map(of).collect())
    }

    /// Returns a referral as the caller sees it; `None` if the caller may not see it or did not ask for it.
    async fn shown_referral(
        &self,
        listed: Listed,
        document: &Document,
    ) -> Result<Option<pb::Referral>, Status> {
        let stored = decode::<pb::StoredReferral>(document).ok_or(Error::Broken)?;
        let addressed = stored.member_ids.iter().map(|member| MemberId(*member));
        let addressed: Vec<_> = addressed.filter(|member| listed.members.contain(Some(*member))).collect();
        if addressed.is_empty() {
            return Ok(None);
        }
        let deadline = stored.referral.as_ref().and_then(pb::NewReferral::deadline);
        let now: UnixMillis = self.called.now();
        let is_late = deadline.is_some_and(|deadline| deadline <= now);
        // A referral that is left out anyway needs no further read.
        if listed.overdue && !is_late {
            return Ok(None);
        }
        let number = document.key.number(1);
        let mut measures = self.measures(number, listed.members).await?;
        let mut counts = pb::MeasureCounts::default();
        let member = |member: MemberId| {
            let measure = measures.remove(&member);
            let outcome = measure.as_ref().map(pb::Measure::outcome).unwrap_or_default();
            *count_of(&mut counts, outcome) += 1;
            pb::MemberMeasure { member: name_of_member(self.view.directory(), member), measure }
        };
        let members: Vec<_> = addressed.into_iter().map(member).collect();
        let overdue = is_late && counts.pending > 0;
        if listed.open && counts.pending == 0 || listed.overdue && !overdue {
            return Ok(None);
        }
        Ok(Some(pb::Referral {
            number,
            referral: stored.referral,
            added_at_unix_ms: stored.added_at_unix_ms,
            deadline_unix_ms: deadline.map_or(0, |deadline| deadline.0),
            counts: Some(counts),
            members,
            overdue,
        }))
    }
}

#[tonic::async_trait]
impl pb::referral_service_server::ReferralService for BankGrpc {
    async fn add_referral(
        &self,
        request: Request<pb::AddReferralRequest>,
    ) -> Result<Response<pb::AddReferralResponse>, Status> {
        let action = |message: &pb::AddReferralRequest| {
            let within = |invalid: Invalid| invalid.within("referral");
            let referral = message.referral.clone().ok_or_else(|| Invalid::missing("referral"))?;
            let members = referral.members.iter().map(|name| member_name("members", name));
            let members = members.collect::<Result<Vec<_>, _>>().map_err(within)?;
            if members.len() > usize::from(OUTCOMES_MAX) {
                let reason = format!("has {} entries; it must have at most {OUTCOMES_MAX}", members.len());
                return Err(within(Invalid::new("members", reason)));
            }
            let words = Box::new(referral.try_into().map_err(within)?);
            Ok(CaseAction::AddReferral { words, members })
        };
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::AddReferralResponse { number: answer.number, sequence: answer.sequence.0 }))
    }

    async fn list_referrals(
        &self,
        request: Request<pb::ListReferralsRequest>,
    ) -> Result<Response<pb::ListReferralsResponse>, Status> {
        let reading = self.reading(&request)?;
        let message = request.get_ref();
        let members = reading.case_members()?;
        let listed = Listed { members, open: message.open, overdue: message.overdue };
        let before = (message.open || message.overdue).then_some(Stage::Second);
        let documents = reading.case_documents(DocumentKind::Referral, &message.after_key, before).await?;
        let mut page = CasePage::new(case_page_size(message.page_size)?, &documents);
        for document in &documents {
            let Some(shown) = reading.shown_referral(listed, document).await? else { continue };
            if page.add(shown, &document.key) {
                break;
            }
        }
        let (referrals, next_key) = page.end();
        Ok(Response::new(pb::ListReferralsResponse { referrals, next_key }))
    }

    async fn set_referral_outcome(
        &self,
        request: Request<pb::SetReferralOutcomeRequest>,
    ) -> Result<Response<pb::SetReferralOutcomeResponse>, Status> {
        let action = |message: &pb::SetReferralOutcomeRequest| {
            let measure = message.measure.clone().ok_or_else(|| Invalid::missing("measure"))?;
            let measure = measure.try_into().map_err(|invalid: Invalid| invalid.within("measure"))?;
            Ok(CaseAction::SetOutcome { number: case_number(message.number)?, measure: Box::new(measure) })
        };
        let answer = self.write_case(request, action, |message| message.idempotency_key).await?;
        Ok(Response::new(pb::SetReferralOutcomeResponse { sequence: answer.sequence.0 }))
    }
}
