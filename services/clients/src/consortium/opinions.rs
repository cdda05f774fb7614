//! Client of the bank's service of opinions, disputes, and holds for one member.

use std::time::Duration;

use tokio::time::Instant;
use vigie_consortium::{BankRef, Classification, DocumentKey, OpinionWords, Resolution, Text};
use vigie_model::{Hash, ItemId, MemberId, OpinionKind, Sequence, UnixMillis};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::bank::{class, opinion_kind, opinion_reason, reason_to_wire, resolution};
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::opinion_service_client::OpinionServiceClient;
use vigie_proto::pb::model::v1 as pb_model;

use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: a page of opinions on items with many opinions.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// An opinion that a member puts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOpinion {
    /// The item.
    pub item: ItemId,
    /// The hash of the item that the opinion is about; `None` for the whole item.
    pub hash: Option<Hash>,
    /// The opinion.
    pub kind: OpinionKind,
    /// The opinion's texts. Only negative opinions have a reason and a dispute.
    pub words: OpinionWords,
}

impl From<NewOpinion> for pb::NewOpinion {
    fn from(new: NewOpinion) -> Self {
        let NewOpinion { item, hash, kind, words } = new;
        let OpinionWords { reason, disputes, proposed, foreign } = words;
        Self {
            item_id: item.0,
            hash: hash.map(Into::into),
            kind: pb_model::OpinionKind::from(Some(kind)).into(),
            reason: reason_to_wire(reason),
            disputes,
            proposed: proposed.map(Into::into),
            foreign_value: foreign.to_string(),
        }
    }
}

/// An opinion as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedOpinion {
    /// The item.
    pub item: ItemId,
    /// The index of the hash that it is about among the item's hashes; `None` for the whole item.
    pub hash: Option<u32>,
    /// The opinion; `None` for a withdrawn one.
    pub kind: Option<OpinionKind>,
    /// The opinion's texts.
    pub words: OpinionWords,
    /// The name of the member; empty if the caller may not know it.
    pub member: String,
    /// When it was put.
    pub at: UnixMillis,
    /// The change that put it on the item.
    pub sequence: Sequence,
    /// Whether it comes from the records of programmes, and not from the member's own people.
    pub of_programme: bool,
}

impl TryFrom<pb::Opinion> for ListedOpinion {
    type Error = Invalid;

    fn try_from(message: pb::Opinion) -> Result<Self, Invalid> {
        Ok(Self {
            item: ItemId(message.item_id),
            hash: message.hash,
            kind: opinion_kind("kind", message.kind)?,
            words: OpinionWords {
                reason: opinion_reason("reason", message.reason)?,
                disputes: message.disputes,
                proposed: message.proposed.as_ref().map(|given| class("proposed", given)).transpose()?,
                foreign: Text::new(&message.foreign_value)
                    .map_err(|error| Invalid::new("foreign_value", error))?,
            },
            member: message.member,
            at: UnixMillis(message.at_unix_ms),
            sequence: Sequence(message.sequence),
            of_programme: message.of_programme,
        })
    }
}

/// A page of opinions on items of a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpinionPage {
    /// The opinions, by the latest changes of their items.
    pub opinions: Vec<ListedOpinion>,
    /// The change after which the next page begins.
    pub next_after: Sequence,
    /// Whether there may be more now.
    pub has_more: bool,
}

impl TryFrom<pb::ListOpinionsResponse> for OpinionPage {
    type Error = Invalid;

    fn try_from(message: pb::ListOpinionsResponse) -> Result<Self, Invalid> {
        let opinions = message.opinions.into_iter().map(ListedOpinion::try_from);
        Ok(Self {
            opinions: opinions.collect::<Result<_, _>>()?,
            next_after: Sequence(message.next_after_sequence),
            has_more: message.has_more,
        })
    }
}

/// A dispute about an item, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDispute {
    /// The item.
    pub item: ItemId,
    /// The caller's name for its bank.
    pub bank: BankRef,
    /// When it was opened.
    pub opened_at: UnixMillis,
    /// When it should be resolved.
    pub due_at: UnixMillis,
    /// The name of the member whose opinion opened it; empty if the caller may not know it.
    pub opened_by: String,
    /// Its outcome and the time of its resolution; `None` while it is open.
    pub resolved: Option<(Resolution, UnixMillis)>,
}

impl TryFrom<pb::Dispute> for ListedDispute {
    type Error = Invalid;

    fn try_from(message: pb::Dispute) -> Result<Self, Invalid> {
        let outcome = resolution("resolution", message.resolution)?;
        Ok(Self {
            item: ItemId(message.item_id),
            bank: bank_ref("bank", &message.bank)?,
            opened_at: UnixMillis(message.opened_at_unix_ms),
            due_at: UnixMillis(message.due_at_unix_ms),
            opened_by: message.opened_by,
            resolved: outcome.map(|outcome| (outcome, UnixMillis(message.resolved_at_unix_ms))),
        })
    }
}

/// A page of disputes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisputePage {
    /// Open disputes by due time, resolved ones by time of resolution. May be empty although there are more.
    pub disputes: Vec<ListedDispute>,
    /// The key after which the next page begins; `None` after the last page.
    pub next: Option<DocumentKey>,
}

impl TryFrom<pb::ListDisputesResponse> for DisputePage {
    type Error = Invalid;

    fn try_from(message: pb::ListDisputesResponse) -> Result<Self, Invalid> {
        let disputes = message.disputes.into_iter().map(ListedDispute::try_from);
        let next = DocumentKey::new(&message.next_key).map_err(|error| Invalid::new("next_key", error))?;
        Ok(Self {
            disputes: disputes.collect::<Result<_, _>>()?,
            next: (!message.next_key.is_empty()).then_some(next),
        })
    }
}

/// The outcome that the owner of a bank gives to a dispute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The item stays unchanged.
    Kept,
    /// The item is removed.
    Removed,
    /// The item stays, with these classes.
    Reclassified(Classification),
}

/// An item that is held for the caller's member alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberHeldItem {
    /// The item.
    pub item: ItemId,
    /// The caller's name for its bank.
    pub bank: BankRef,
    /// The time since which it is held.
    pub since: UnixMillis,
    /// Whether flood control holds it because it matched far too often, and not the member itself.
    pub flooded: bool,
}

impl TryFrom<pb::MemberHeldItem> for MemberHeldItem {
    type Error = Invalid;

    fn try_from(message: pb::MemberHeldItem) -> Result<Self, Invalid> {
        Ok(Self {
            item: ItemId(message.item_id),
            bank: bank_ref("bank", &message.bank)?,
            since: UnixMillis(message.since_unix_ms),
            flooded: message.flooded,
        })
    }
}

/// Calls the bank, or the serving one of several banks on one database. Every write carries an idempotency
/// key, so writes are retried within their deadline like reads.
#[derive(Debug, Clone)]
pub struct OpinionClient {
    bank: LeadingBank<OpinionServiceClient<Channel>>,
}

impl OpinionClient {
    among_banks!(OpinionServiceClient, ANSWER_BYTES_MAX);

    /// Puts 1 to 1,000 opinions of the caller's member, all or none. Returns the number of items whose
    /// opinions changed.
    pub async fn put_opinions(
        &self,
        opinions: Vec<NewOpinion>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        let request = pb::PutOpinionsRequest {
            opinions: opinions.into_iter().map(Into::into).collect(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::PutOpinionsResponse = call!(self, deadline, put_opinions, PutOpinions, request)?;
        self.bank.written(Ok(answer.changed_count), answer.sequence)
    }

    /// Withdraws all opinions of the caller's member on items. Returns the number of items that had any.
    pub async fn withdraw_opinions(
        &self,
        items: &[ItemId],
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        let request = pb::WithdrawOpinionsRequest { item_ids: ids(items), idempotency_key: key.into_text() };
        let answer: pb::WithdrawOpinionsResponse =
            call!(self, deadline, withdraw_opinions, WithdrawOpinions, request)?;
        self.bank.written(Ok(answer.changed_count), answer.sequence)
    }

    /// Lists opinions on items of a bank that changed after a change: on up to `page_size` items, and only
    /// the caller's own if `mine`.
    pub async fn list_opinions(
        &self,
        bank: &BankRef,
        after: Sequence,
        mine: bool,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<OpinionPage>, CallError> {
        let request = pb::ListOpinionsRequest {
            bank: bank.to_string(),
            after_sequence: after.0,
            page_size: page_size.into(),
            mine,
            item_id: 0,
        };
        let answer: pb::ListOpinionsResponse = call!(self, deadline, list_opinions, ListOpinions, request)?;
        let sequence = answer.sequence;
        self.bank.written(answer.try_into(), sequence)
    }

    /// Lists the opinions on an item of a bank that the caller may see; empty if the bank has no such item.
    pub async fn list_opinions_on(
        &self,
        bank: &BankRef,
        item: ItemId,
        deadline: Instant,
    ) -> Result<Vec<ListedOpinion>, CallError> {
        let request =
            pb::ListOpinionsRequest { bank: bank.to_string(), item_id: item.0, ..Default::default() };
        let answer: pb::ListOpinionsResponse = call!(self, deadline, list_opinions, ListOpinions, request)?;
        Ok(self.bank.checked(OpinionPage::try_from(answer))?.opinions)
    }

    /// Lists disputes: the resolved ones, or the open ones.
    pub async fn list_disputes(
        &self,
        resolved: bool,
        after: Option<&DocumentKey>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<DisputePage, CallError> {
        let after_key = after.map(|key| key.as_bytes().to_vec()).unwrap_or_default();
        let request = pb::ListDisputesRequest { after_key, page_size: page_size.into(), resolved };
        let answer: pb::ListDisputesResponse = call!(self, deadline, list_disputes, ListDisputes, request)?;
        self.bank.checked(answer.try_into())
    }

    /// Resolves the dispute about an item of an own bank.
    pub async fn resolve_dispute(
        &self,
        item: ItemId,
        outcome: &Outcome,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let (resolution, classification) = match outcome {
            Outcome::Kept => (pb_model::Resolution::Kept, Vec::new()),
            Outcome::Removed => (pb_model::Resolution::Removed, Vec::new()),
            Outcome::Reclassified(classes) => {
                (pb_model::Resolution::Reclassified, classes.iter().cloned().map(Into::into).collect())
            }
        };
        let request = pb::ResolveDisputeRequest {
            item_id: item.0,
            resolution: resolution.into(),
            classification,
            idempotency_key: key.into_text(),
        };
        let answer: pb::ResolveDisputeResponse =
            call!(self, deadline, resolve_dispute, ResolveDispute, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Holds items for the caller's member alone, or lifts these holds. Returns the number of changed items.
    pub async fn set_member_hold(
        &self,
        items: &[ItemId],
        held: bool,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<u32>, CallError> {
        let request =
            pb::SetMemberHoldRequest { item_ids: ids(items), held, idempotency_key: key.into_text() };
        let answer: pb::SetMemberHoldResponse =
            call!(self, deadline, set_member_hold, SetMemberHold, request)?;
        self.bank.written(Ok(answer.changed_count), answer.sequence)
    }

    /// Lists up to `page_size` items that are held for the caller's member, after `after`, by id.
    pub async fn list_member_holds(
        &self,
        after: Option<ItemId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Vec<MemberHeldItem>, CallError> {
        let after_id = after.map_or(0, |item| item.0);
        let request = pb::ListMemberHoldsRequest { after_id, page_size: page_size.into() };
        let answer: pb::ListMemberHoldsResponse =
            call!(self, deadline, list_member_holds, ListMemberHolds, request)?;
        self.bank.checked(answer.items.into_iter().map(MemberHeldItem::try_from).collect())
    }

    /// Holds items for members at which they match far too often in a window of up to a day. For frontends.
    /// The call has no idempotency key, because an existing hold stays unchanged. Returns the members and
    /// items that are held now; the others were skipped.
    pub async fn report_floods(
        &self,
        floods: &[(MemberId, ItemId)],
        window: Duration,
        deadline: Instant,
    ) -> Result<Written<Vec<(MemberId, ItemId)>>, CallError> {
        let flood = |(member, item): &(MemberId, ItemId)| pb::Flood { member_id: member.0, item_id: item.0 };
        let request = pb::ReportFloodsRequest {
            floods: floods.iter().map(flood).collect(),
            window_ms: u32::try_from(window.as_millis()).unwrap_or(u32::MAX),
        };
        let answer: pb::ReportFloodsResponse = call!(self, deadline, report_floods, ReportFloods, request)?;
        let held = answer.held.iter().map(|flood| (MemberId(flood.member_id), ItemId(flood.item_id)));
        self.bank.written(Ok(held.collect()), answer.sequence)
    }
}

fn ids(items: &[ItemId]) -> Vec<u64> {
    items.iter().map(|item| item.0).collect()
}

#[cfg(test)]
mod tests {
    use vigie_consortium::OpinionReason;

    use super::*;

    fn opinion() -> pb::Opinion {
        pb::Opinion {
            item_id: 7,
            kind: pb_model::OpinionKind::Negative.into(),
            reason: pb_model::OpinionReason::PoorHash.into(),
            disputes: true,
            foreign_value: "NOT_HELPFUL".into(),
            at_unix_ms: 9,
            sequence: 11,
            ..Default::default()
        }
    }

    #[test]
    fn an_answer_is_checked_before_it_is_believed() {
        let listed = ListedOpinion::try_from(opinion()).unwrap();
        assert_eq!(
            (listed.kind, listed.words.reason),
            (Some(OpinionKind::Negative), Some(OpinionReason::PoorHash))
        );
        let taken_back = pb::Opinion { kind: 0, ..opinion() };
        assert_eq!(ListedOpinion::try_from(taken_back).unwrap().kind, None);
        for (bad, field) in [
            (pb::Opinion { kind: 9, ..opinion() }, "kind"),
            (pb::Opinion { reason: 99, ..opinion() }, "reason"),
            (pb::Opinion { proposed: Some(pb_model::Class::default()), ..opinion() }, "proposed"),
            (pb::Opinion { foreign_value: "x".repeat(65), ..opinion() }, "foreign_value"),
        ] {
            assert!(ListedOpinion::try_from(bad).unwrap_err().to_string().contains(field), "{field}");
        }
        let dispute = pb::Dispute { item_id: 7, bank: "acme/known".into(), ..Default::default() };
        assert_eq!(ListedDispute::try_from(dispute.clone()).unwrap().resolved, None);
        let resolved = pb::Dispute { resolution: 1, resolved_at_unix_ms: 5, ..dispute.clone() };
        let resolved = ListedDispute::try_from(resolved).unwrap().resolved;
        assert_eq!(resolved, Some((Resolution::Kept, UnixMillis(5))));
        for bad in
            [pb::Dispute { bank: "a//b".into(), ..dispute.clone() }, pb::Dispute { resolution: 8, ..dispute }]
        {
            assert!(ListedDispute::try_from(bad).is_err());
        }
        let page =
            pb::ListDisputesResponse { next_key: vec![0; DocumentKey::LEN_MAX + 1], ..Default::default() };
        assert!(DisputePage::try_from(page).is_err());
        assert_eq!(DisputePage::try_from(pb::ListDisputesResponse::default()).unwrap().next, None);
    }

    #[test]
    fn an_opinion_is_sent_as_it_is_listed() {
        let words = ListedOpinion::try_from(opinion()).unwrap().words;
        let new = NewOpinion { item: ItemId(7), hash: None, kind: OpinionKind::Negative, words };
        let sent = pb::NewOpinion::from(new);
        let of = opinion();
        assert_eq!((sent.kind, sent.reason, sent.disputes), (of.kind, of.reason, of.disputes));
        assert_eq!((sent.item_id, sent.foreign_value), (of.item_id, of.foreign_value));
    }
}
