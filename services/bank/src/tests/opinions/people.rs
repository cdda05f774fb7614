//! A bank of one member, and other members with opinions on it, for tests.

use std::time::Duration;

use vigie_proto::pb::consortium::v1 as members;
use vigie_proto::pb::consortium::v1::consortium_service_client::ConsortiumServiceClient;
use vigie_proto::pb::consortium::v1::opinion_service_client::OpinionServiceClient;

use crate::tests::members::{By, Consortium};
use crate::tests::*;

/// The most time that the bank may take to check its items.
const WITHIN: Duration = Duration::from_secs(30);
/// A day, in milliseconds.
pub(super) const DAY_MS: u64 = 86_400_000;

/// The bank `known` of `acme`, a reviewer of `acme`, and a reviewer of each of the members `one`, `two` and
/// `three`.
///
/// A reviewer of another member reads the bank as `acme/known`.
pub(super) struct People {
    pub(super) consortium: Consortium,
    pub(super) owner: By,
    pub(super) others: Vec<By>,
}

/// The capabilities of the other members on the bank.
pub(super) const EVERYTHING: [members::Capability; 5] = [
    members::Capability::Match,
    members::Capability::SeeHashes,
    members::Capability::SeeDetails,
    members::Capability::Contribute,
    members::Capability::Opine,
];

impl People {
    pub(super) async fn start(config: Config) -> Self {
        let consortium = Consortium::start(config).await;
        consortium.administrator.create_bank("known").await.unwrap();
        let owner = consortium.administrator.principal("", members::Role::Reviewer).await;
        let mut others = Vec::new();
        for member in ["one", "two", "three"] {
            others.push(Self::reviewer(&consortium, member, &EVERYTHING).await);
        }
        Self { consortium, owner, others }
    }

    /// Makes a reviewer of a new member, with which the bank is shared.
    pub(super) async fn reviewer(consortium: &Consortium, member: &str, sees: &[members::Capability]) -> By {
        consortium.operator.member(member).await;
        let administrator = consortium.operator.principal(member, members::Role::Administrator).await;
        if !sees.is_empty() {
            consortium.administrator.share("known", member, sees).await;
        }
        administrator.principal("", members::Role::Reviewer).await
    }

    /// Adds items of the owner.
    pub(super) async fn add(&self, numbers: std::ops::Range<u64>) -> Vec<u64> {
        self.consortium.contributor.add("known", items(numbers)).await.unwrap()
    }

    /// Makes a contributor of one of the other members.
    pub(super) async fn contributor_of(&self, member: &str) -> By {
        let administrator = self.consortium.operator.principal(member, members::Role::Administrator).await;
        administrator.principal("", members::Role::Contributor).await
    }

    /// Returns the newest change.
    pub(super) async fn head(&self) -> u64 {
        let request = self.consortium.operator.carried(pb::GetLogHeadRequest {});
        let mut client = BankServiceClient::new(self.consortium.served.channel.clone());
        client.get_log_head(request).await.unwrap().into_inner().sequence
    }

    /// Sets the clock to `ms` milliseconds after the beginning.
    pub(super) fn later(&self, ms: u64) {
        self.consortium.served.clock.0.store(NOW + ms, Ordering::Relaxed);
    }

    /// Sets the bank's charter: its numbers of confirmations and of negative opinions.
    pub(super) async fn charter(&self, confirmations_min: u32, hold_on_negatives: u32) {
        let charter = members::Charter { confirmations_min, hold_on_negatives, ..Default::default() };
        self.consortium.administrator.set_charter(charter).await.unwrap();
    }

    /// Waits until a condition holds for an item, as its owner sees it.
    pub(super) async fn until(&self, item: u64, is_so: impl Fn(&pb::Item) -> bool) -> pb::Item {
        let begun = std::time::Instant::now();
        loop {
            let found = self.owner.item(item).await.unwrap();
            if is_so(&found) {
                return found;
            }
            assert!(begun.elapsed() < WITHIN, "{found:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the bank has checked its holds twice, so that anything due has happened.
    pub(super) async fn settle() {
        tokio::time::sleep(Duration::from_millis(2_300)).await;
    }
}

/// Returns the facts of an item; default ones if it has no opinion.
pub(super) fn facts(item: &pb::Item) -> pb_model::Facts {
    item.facts.clone().unwrap_or_default()
}

/// Returns whether the charter holds an item.
pub(super) fn is_held(item: &pb::Item) -> bool {
    item.holds.iter().any(|hold| hold.holder() == pb::Holder::Charter)
}

/// Returns an opinion on an item.
pub(super) fn opinion(item_id: u64, kind: pb_model::OpinionKind) -> members::NewOpinion {
    members::NewOpinion { item_id, kind: kind.into(), ..Default::default() }
}

/// Returns a negative opinion that asks the owner to look again.
pub(super) fn disputing(item_id: u64) -> members::NewOpinion {
    members::NewOpinion { disputes: true, ..opinion(item_id, pb_model::OpinionKind::Negative) }
}

/// The held members and items of a report, and the last change.
pub(super) type Held = (Vec<(u32, u64)>, u64);

impl By {
    fn opinions(&self) -> OpinionServiceClient<Channel> {
        OpinionServiceClient::new(self.0.clone())
    }

    pub(super) async fn put(
        &self,
        opinions: Vec<members::NewOpinion>,
    ) -> Result<members::PutOpinionsResponse, Status> {
        self.put_once(opinions, "").await
    }

    pub(super) async fn put_once(
        &self,
        opinions: Vec<members::NewOpinion>,
        key: &str,
    ) -> Result<members::PutOpinionsResponse, Status> {
        let request = members::PutOpinionsRequest { opinions, idempotency_key: key.into() };
        Ok(self.opinions().put_opinions(self.carried(request)).await?.into_inner())
    }

    /// Puts one opinion on one item. Returns the number of changed items.
    pub(super) async fn says(&self, item: u64, kind: pb_model::OpinionKind) -> u32 {
        self.put(vec![opinion(item, kind)]).await.unwrap().changed_count
    }

    pub(super) async fn takes_back(
        &self,
        items: &[u64],
    ) -> Result<members::WithdrawOpinionsResponse, Status> {
        let request = members::WithdrawOpinionsRequest { item_ids: items.to_vec(), ..Default::default() };
        Ok(self.opinions().withdraw_opinions(self.carried(request)).await?.into_inner())
    }

    pub(super) async fn list(
        &self,
        request: members::ListOpinionsRequest,
    ) -> Result<members::ListOpinionsResponse, Status> {
        Ok(self.opinions().list_opinions(self.carried(request)).await?.into_inner())
    }

    /// Returns every opinion on items of a bank that the caller may see, read page by page.
    pub(super) async fn listed_opinions(
        &self,
        bank: &str,
        page_size: i32,
        mine: bool,
    ) -> Vec<members::Opinion> {
        let (mut all, mut after_sequence) = (Vec::new(), 0);
        loop {
            let request = members::ListOpinionsRequest {
                bank: bank.into(),
                after_sequence,
                page_size,
                mine,
                item_id: 0,
            };
            let page = self.list(request).await.unwrap();
            all.extend(page.opinions);
            after_sequence = page.next_after_sequence;
            if !page.has_more {
                return all;
            }
        }
    }

    pub(super) async fn disputes(&self, resolved: bool) -> Vec<members::Dispute> {
        let (mut all, mut after_key) = (Vec::new(), Vec::new());
        loop {
            let request = members::ListDisputesRequest { after_key, page_size: 2, resolved };
            let page = self.opinions().list_disputes(self.carried(request)).await.unwrap().into_inner();
            all.extend(page.disputes);
            after_key = page.next_key;
            if after_key.is_empty() {
                return all;
            }
        }
    }

    pub(super) async fn resolve(
        &self,
        item_id: u64,
        resolution: pb_model::Resolution,
    ) -> Result<u64, Status> {
        self.resolve_as(item_id, resolution, Vec::new()).await
    }

    pub(super) async fn resolve_as(
        &self,
        item_id: u64,
        resolution: pb_model::Resolution,
        classification: Vec<pb_model::Class>,
    ) -> Result<u64, Status> {
        let resolution = resolution.into();
        let request =
            members::ResolveDisputeRequest { item_id, resolution, classification, ..Default::default() };
        Ok(self.opinions().resolve_dispute(self.carried(request)).await?.into_inner().sequence)
    }

    pub(super) async fn hold_here(
        &self,
        items: &[u64],
        held: bool,
    ) -> Result<members::SetMemberHoldResponse, Status> {
        let request = members::SetMemberHoldRequest { item_ids: items.to_vec(), held, ..Default::default() };
        Ok(self.opinions().set_member_hold(self.carried(request)).await?.into_inner())
    }

    pub(super) async fn held_here(
        &self,
        after_id: u64,
        page_size: i32,
    ) -> Result<Vec<members::MemberHeldItem>, Status> {
        let request = members::ListMemberHoldsRequest { after_id, page_size };
        Ok(self.opinions().list_member_holds(self.carried(request)).await?.into_inner().items)
    }

    pub(super) async fn floods(&self, floods: &[(u32, u64)]) -> Result<Held, Status> {
        self.floods_within(0, floods).await
    }

    /// Reports members and items, counted in a window of `window_ms` milliseconds; 0 for the default.
    pub(super) async fn floods_within(&self, window_ms: u32, floods: &[(u32, u64)]) -> Result<Held, Status> {
        let floods = floods
            .iter()
            .map(|(member_id, item_id)| members::Flood { member_id: *member_id, item_id: *item_id });
        let request = members::ReportFloodsRequest { floods: floods.collect(), window_ms };
        let answer = self.opinions().report_floods(self.carried(request)).await?.into_inner();
        let held = answer.held.iter().map(|flood| (flood.member_id, flood.item_id)).collect();
        Ok((held, answer.sequence))
    }

    pub(super) async fn set_charter(&self, charter: members::Charter) -> Result<(), Status> {
        let charter = Some(charter);
        let request = members::SetCharterRequest { bank: "known".into(), charter, ..Default::default() };
        ConsortiumServiceClient::new(self.0.clone()).set_charter(self.carried(request)).await.map(drop)
    }

    pub(super) async fn agrees_to_be_named(&self, member: &str, is_named: bool) {
        let (name, is_named) = (member.into(), Some(is_named));
        let request = members::UpdateMemberRequest { name, is_named, ..Default::default() };
        let mut client = ConsortiumServiceClient::new(self.0.clone());
        client.update_member(self.carried(request)).await.unwrap();
    }
}
