//! The hostile member: every method that is open to members, in random order, with random arguments.
//!
//! The hostile member knows more than a real one could: the ids of honest items, their hashes, and the
//! idempotency keys of others. It avoids two things against which the protocol expects the other side to
//! protect itself. It shares only banks whose charter requires at least two members: a member that accepts
//! any other bank accepts its items. And it submits no content before an honest member does, because class
//! and labels are those of the first submission.

mod arguments;
mod cases;
mod exchanges;
mod members;
mod words;

use std::collections::BTreeMap;

use rand::RngExt as _;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom as _;
use tonic::{Code, Status};
use tonic_health::pb as pb_health;
use tonic_reflection::pb::{v1 as reflection, v1alpha as reflection_alpha};
use vigie_consortium::{Method, Role};
use vigie_proto::pb::bank::v1 as pb_bank;
use vigie_proto::pb::classifier::v1 as pb_classifier;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::matching::v1 as pb_matching;

use super::honest::World;
use crate::caller::Caller;
use arguments::Arguments;
pub(super) use arguments::NAME;

/// The roles that principals of a member may have.
const ROLES: [Role; 5] =
    [Role::Matcher, Role::Contributor, Role::Reviewer, Role::Administrator, Role::Auditor];

/// The methods that others can notice most; half of the calls use them.
const FAVOURITES: [Method; 10] = [
    Method::AddItems,
    Method::UpdateItem,
    Method::RemoveItems,
    Method::RestoreItems,
    Method::SetItemHold,
    Method::PutOpinions,
    Method::WithdrawOpinions,
    Method::ResolveDispute,
    Method::SetCharter,
    Method::PutGrant,
];

/// Number of successful and of refused calls, by method.
pub(super) type Tally = BTreeMap<Method, (u32, u32)>;

/// The hostile member of a run.
pub(super) struct Attack {
    caller: Caller,
    with: Arguments,
    /// The methods that are open to members.
    open: Vec<Method>,
    pub(super) tally: Tally,
}

/// Returns the methods that are open to members; [`Attack::call`] has to call all of them.
pub(super) fn open_to_members() -> Vec<Method> {
    let is_open = |method: &&Method| ROLES.into_iter().any(|role| method.is_open_to(role));
    Method::ALL.iter().filter(is_open).copied().collect()
}

impl Attack {
    /// Begins an attack, with banks of its own, some of which it shares with everybody.
    ///
    /// `asks_two`: the charters of these require at least two members.
    pub(super) async fn begin(
        caller: Caller,
        world: &World<'_>,
        rng: SmallRng,
        asks_two: bool,
    ) -> anyhow::Result<Self> {
        let mut attack = Self {
            caller,
            with: Arguments::new(world, rng, asks_two),
            open: open_to_members(),
            tally: Tally::new(),
        };
        for lure in attack.with.lures.clone() {
            let request = pb_bank::CreateBankRequest { name: lure.clone(), ..Default::default() };
            let made: pb_bank::CreateBankResponse = attack.caller.send(Method::CreateBank, request).await?;
            attack.with.bank_ids.extend(made.bank.map(|bank| bank.id));
            let request = pb::SetCharterRequest {
                bank: lure.clone(),
                charter: Some(attack.with.charter(true)),
                ..Default::default()
            };
            let _: pb::SetCharterResponse = attack.caller.send(Method::SetCharter, request).await?;
            for member in super::plan::HONEST {
                let request = attack.with.grant(lure.clone(), member.to_owned());
                let _: pb::PutGrantResponse = attack.caller.send(Method::PutGrant, request).await?;
            }
        }
        Ok(attack)
    }

    /// Makes some calls. A refusal is not a fault, unless the cluster is its cause.
    pub(super) async fn burst(&mut self, world: &World<'_>, calls: usize) -> anyhow::Result<()> {
        self.with.learn(world);
        for _ in 0..calls {
            let from = if self.with.rng.random() { &FAVOURITES[..] } else { &self.open[..] };
            let method = *from.choose(&mut self.with.rng).expect("there are methods");
            let done = self.call(method).await;
            let (did, refused) = self.tally.entry(method).or_default();
            match done {
                Ok(()) => *did += 1,
                Err(status) => {
                    let is_broken = matches!(
                        status.code(),
                        Code::Internal
                            | Code::Unknown
                            | Code::DataLoss
                            | Code::Unavailable
                            | Code::Unimplemented
                    );
                    anyhow::ensure!(!is_broken, "{method}: {status:?}");
                    *refused += 1;
                }
            }
        }
        Ok(())
    }

    async fn send<Q, A>(&self, method: Method, request: Q) -> Result<A, Status>
    where
        Q: prost::Message + 'static,
        A: prost::Message + Default + 'static,
    {
        self.caller.send(method, request).await
    }

    /// Sends a request whose answer is not used.
    async fn put<A>(&self, method: Method, request: impl prost::Message + 'static) -> Result<(), Status>
    where
        A: prost::Message + Default + 'static,
    {
        self.send::<_, A>(method, request).await.map(drop)
    }

    /// Calls a method. A new method of the protocol does not compile here, and one that becomes open to
    /// members panics.
    async fn call(&mut self, method: Method) -> Result<(), Status> {
        let with = &mut self.with;
        let idempotency_key = with.key();
        match method {
            Method::Match => {
                let request = with.lookup();
                let answer: pb_matching::MatchResponse = self.send(method, request).await?;
                self.with.decided(&answer);
                Ok(())
            }
            Method::MatchStream => {
                let request = pb_matching::MatchStreamRequest { request_id: 1, request: Some(with.lookup()) };
                self.caller.open::<_, pb_matching::MatchStreamResponse>(method, request).await
            }
            Method::Hash => {
                let image = with.bytes().into();
                self.put::<pb_matching::HashResponse>(method, pb_matching::HashRequest { image }).await
            }
            Method::MatchVideo => {
                use pb_matching::match_video_request::Part;
                let start =
                    pb_matching::MatchVideoStart { options: with.lookup().options, ..Default::default() };
                let request = pb_matching::MatchVideoRequest { part: Some(Part::Start(start)) };
                self.put::<pb_matching::MatchVideoResponse>(method, request).await
            }
            Method::HashVideo => {
                use pb_matching::hash_video_request::Part;
                let request =
                    pb_matching::HashVideoRequest { part: Some(Part::Content(with.bytes().into())) };
                self.put::<pb_matching::HashVideoResponse>(method, request).await
            }
            Method::DescribeDecoding => {
                let request = pb_matching::DescribeDecodingRequest {};
                self.put::<pb_matching::DescribeDecodingResponse>(method, request).await
            }
            Method::ScoreConversation => {
                let message = pb_classifier::ConversationMessage {
                    role: "a".into(),
                    sent_unix_ms: None,
                    text: with.word("text"),
                };
                let conversation =
                    pb_classifier::Conversation { messages: vec![message], language: String::new() };
                let request = pb_matching::ScoreConversationRequest {
                    conversation: Some(conversation),
                    classifiers: vec![with.word("model")],
                };
                self.put::<pb_matching::ScoreConversationResponse>(method, request).await
            }
            Method::MeasureScores => {
                use pb_matching::measure_scores_request::Content;
                let content = Some(Content::Image(with.bytes().into()));
                let request = pb_matching::MeasureScoresRequest { model: with.word("model"), content };
                self.put::<pb_matching::MeasureScoresResponse>(method, request).await
            }
            Method::CreateBank => {
                let (name, match_ratio) = (with.den(), with.rng.random_bool(0.3).then_some(0.5));
                let request = pb_bank::CreateBankRequest { name, idempotency_key, match_ratio };
                let made: pb_bank::CreateBankResponse = self.send(method, request).await?;
                self.with.made(made.bank);
                Ok(())
            }
            Method::GetBank => {
                let name = with.bank();
                self.put::<pb_bank::GetBankResponse>(method, pb_bank::GetBankRequest { name }).await
            }
            Method::ListBanks => {
                let (after_id, page_size) = (with.rng.random_range(0..9), with.page());
                let request = pb_bank::ListBanksRequest { after_id, page_size };
                self.put::<pb_bank::ListBanksResponse>(method, request).await
            }
            Method::RenameBank => {
                let (name, new_name) = (with.bank(), with.den());
                let request = pb_bank::RenameBankRequest { name: name.clone(), new_name, idempotency_key };
                let renamed: pb_bank::RenameBankResponse = self.send(method, request).await?;
                self.with.renamed(&name, renamed.bank);
                Ok(())
            }
            Method::SetBankEnabled => {
                let (name, enabled) = (with.bank(), with.rng.random_bool(0.7));
                let request = pb_bank::SetBankEnabledRequest { name, enabled, idempotency_key };
                self.put::<pb_bank::SetBankEnabledResponse>(method, request).await
            }
            Method::SetBankMatchRatio => {
                let (name, ratio) = (with.bank(), with.rng.random());
                let request = pb_bank::SetBankMatchRatioRequest { name, ratio, idempotency_key };
                self.put::<pb_bank::SetBankMatchRatioResponse>(method, request).await
            }
            Method::DeleteBank => {
                let name = with.bank();
                let request = pb_bank::DeleteBankRequest { name: name.clone(), idempotency_key };
                self.put::<pb_bank::DeleteBankResponse>(method, request).await?;
                self.with.deleted(&name);
                Ok(())
            }
            Method::AddItems => {
                let (bank, items) = (with.bank(), with.contents());
                let request = pb_bank::AddItemsRequest { bank, items, idempotency_key };
                let added: pb_bank::AddItemsResponse = self.send(method, request).await?;
                self.with.own_items.extend(added.item_ids);
                Ok(())
            }
            Method::GetItem => {
                let item_id = with.item();
                self.put::<pb_bank::GetItemResponse>(method, pb_bank::GetItemRequest { item_id }).await
            }
            Method::ListItems => {
                let (bank, page_size) = (with.bank(), with.page());
                let request = pb_bank::ListItemsRequest { bank, page_size, ..Default::default() };
                let listed: pb_bank::ListItemsResponse = self.send(method, request).await?;
                self.with.seen_items.extend(listed.items.iter().map(|item| item.id));
                Ok(())
            }
            Method::FindItems => {
                let (bank, hashes) = (with.bank(), vec![with.hash()]);
                let request = pb_bank::FindItemsRequest { bank, hashes, ..Default::default() };
                self.put::<pb_bank::FindItemsResponse>(method, request).await
            }
            Method::RestoreItems => {
                let item_ids = with.items();
                let request = pb_bank::RestoreItemsRequest { item_ids, idempotency_key };
                let restored: pb_bank::RestoreItemsResponse = self.send(method, request).await?;
                self.with.own_items.extend(restored.item_ids);
                Ok(())
            }
            Method::ListRemovedItems => {
                let (bank, page_size) = (with.bank(), with.page());
                let request = pb_bank::ListRemovedItemsRequest { bank, page_size, after_id: 0 };
                self.put::<pb_bank::ListRemovedItemsResponse>(method, request).await
            }
            Method::UpdateItem => {
                let (item_id, details) = (with.item(), Some(with.details()));
                let labels = with.labels();
                let request = pb_bank::UpdateItemRequest { item_id, details, idempotency_key, labels };
                self.put::<pb_bank::UpdateItemResponse>(method, request).await
            }
            Method::SetItemHold => {
                let (item_ids, held, until_unix_ms) = (with.items(), with.rng.random(), with.moment());
                let request = pb_bank::SetItemHoldRequest { item_ids, held, until_unix_ms, idempotency_key };
                self.put::<pb_bank::SetItemHoldResponse>(method, request).await
            }
            Method::RemoveItems => {
                let (item_ids, origin) = (with.items(), with.origin());
                let request = pb_bank::RemoveItemsRequest { item_ids, idempotency_key, origin };
                self.put::<pb_bank::RemoveItemsResponse>(method, request).await
            }
            Method::ReadBankChanges => {
                let (bank, page_size) = (with.bank(), with.page());
                let request = pb_bank::ReadBankChangesRequest { bank, page_size, ..Default::default() };
                self.put::<pb_bank::ReadBankChangesResponse>(method, request).await
            }
            Method::ReadPublishedList => {
                let (bank, page_size) = (with.bank(), with.page());
                let request = pb_bank::ReadPublishedListRequest { bank, page_size, ..Default::default() };
                self.put::<pb_bank::ReadPublishedListResponse>(method, request).await
            }
            Method::GetLogHead => {
                self.put::<pb_bank::GetLogHeadResponse>(method, pb_bank::GetLogHeadRequest {}).await
            }
            Method::AddExchange
            | Method::GetExchange
            | Method::ListExchanges
            | Method::SetExchangeEnabled
            | Method::RemoveExchange
            | Method::FetchExchangeNow => self.exchange(method, idempotency_key).await,
            Method::PutOpinions
            | Method::WithdrawOpinions
            | Method::ListOpinions
            | Method::ListDisputes
            | Method::ResolveDispute
            | Method::SetMemberHold
            | Method::ListMemberHolds
            | Method::SetPolicy
            | Method::GetPolicy
            | Method::TryPolicy => self.word(method, idempotency_key).await,
            Method::GetStatistics
            | Method::SubmitReport
            | Method::ListReports
            | Method::ReviewReport
            | Method::AddReferral
            | Method::ListReferrals
            | Method::SetReferralOutcome
            | Method::GetDecision
            | Method::ListDecisions
            | Method::SetDecisionOutcome
            | Method::OpenIncident
            | Method::ListIncidents
            | Method::CloseIncident
            | Method::SetIncidentSubscription
            | Method::ListEntries
            | Method::GetCheckpoint
            | Method::ProveInclusion
            | Method::ProveConsistency => self.case(method, idempotency_key).await,
            Method::GetMember
            | Method::ListMembers
            | Method::UpdateMember
            | Method::CreatePrincipal
            | Method::ListPrincipals
            | Method::RotateKey
            | Method::RevokePrincipal
            | Method::PutGrant
            | Method::RevokeGrant
            | Method::SetAlias
            | Method::ListGrants
            | Method::SetCharter
            | Method::GetCharter
            | Method::ListHashTypes
            | Method::GetModelCard
            | Method::ListModelCards
            | Method::WhoAmI => self.member(method, idempotency_key).await,
            Method::HealthCheck => {
                let request = pb_health::HealthCheckRequest::default();
                self.put::<pb_health::HealthCheckResponse>(method, request).await
            }
            Method::HealthWatch => {
                let request = pb_health::HealthCheckRequest::default();
                self.caller.open::<_, pb_health::HealthCheckResponse>(method, request).await
            }
            Method::Reflection => {
                let request = reflection::ServerReflectionRequest::default();
                self.caller.open::<_, reflection::ServerReflectionResponse>(method, request).await
            }
            Method::ReflectionAlpha => {
                let request = reflection_alpha::ServerReflectionRequest::default();
                self.caller.open::<_, reflection_alpha::ServerReflectionResponse>(method, request).await
            }
            // For the deployment's own processes, or for operators.
            Method::CoordinatorSearch
            | Method::DescribeTopology
            | Method::MatcherSearch
            | Method::MatcherDescribe
            | Method::MatcherWatch
            | Method::AcquireExchangeLease
            | Method::ApplyExchangePage
            | Method::ListExchangeRecords
            | Method::ReportExchange
            | Method::FeedWatch
            | Method::FeedLoad
            | Method::ReadDirectory
            | Method::CreateMember
            | Method::SetMemberState
            | Method::SetTokenIssuers
            | Method::SetQuota
            | Method::DeclareHashType
            | Method::PutModelCard
            | Method::ClassifierScore
            | Method::DescribeModels
            | Method::ReportFloods
            | Method::RecordMatches
            | Method::RecordDecisions
            | Method::RecordLatencies
            | Method::RecordCalls => panic!("{method} is open to members: call it here"),
        }
    }
}
