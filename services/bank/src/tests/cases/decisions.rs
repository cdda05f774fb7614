//! Tests of records of decisions: their contents, readers, retention, and later outcomes.

use vigie_consortium::DocumentKind;
use vigie_proto::pb::consortium::v1 as cases;
use vigie_proto::pb::consortium::v1::consortium_service_client::ConsortiumServiceClient;
use vigie_proto::pb::consortium::v1::decision_service_client::DecisionServiceClient;
use vigie_proto::pb::consortium::v1::opinion_service_client::OpinionServiceClient;
use vigie_proto::pb::consortium::v1::policy_service_client::PolicyServiceClient;

use crate::store::documents::DocumentRange;
use crate::tests::beside::statistics::own;
use crate::tests::members::{By, Consortium};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    a_decision_is_explained_to_its_member_alone,
    parts_of_a_record_end_with_the_days_of_their_banks,
    a_record_ends_with_a_charter_that_asks_for_less_and_with_its_bank,
    what_became_of_a_decision_is_counted_once,
    an_upheld_complaint_is_an_opinion_on_what_counted,
    an_outcome_that_somebody_else_set_is_not_overwritten,
    what_is_no_record_is_refused,
}

const DAY: u64 = 24 * 60 * 60 * 1_000;

async fn a_decision_is_explained_to_its_member_alone(bed: Bed) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.key");
    std::fs::write(&path, "0123456789abcdef".repeat(4)).unwrap();
    let mut config = bed.config();
    config.processes.cluster_key = Some(path.clone());
    let consortium = Consortium::start(config).await;
    let Consortium { operator, administrator, contributor, .. } = &consortium;
    let bearer = ClusterKey::read(&path).unwrap().bearer(Process::Frontend);
    let frontend = By(consortium.served.channel.clone(), bearer.to_string());
    let reviewer = administrator.principal("", cases::Role::Reviewer).await;
    let auditor = administrator.principal("", cases::Role::Auditor).await;
    operator.member("other").await;
    let other = operator.principal("other", cases::Role::Administrator).await;
    for bank in ["known", "silent"] {
        administrator.create_bank(bank).await.unwrap();
    }
    administrator.records("known", 30).await;
    let item = contributor.add("known", items(0..1)).await.unwrap()[0];
    let condition = "matches.exists(m, m.distance < 9)";
    administrator.policy(condition).await;

    // `acme` is the member 2, with the banks 1 and 2.
    let asked = new(2, [7; 16], NOW - 5, vec![found(item, 1, 4), found(99, 2, 1)]);
    assert_eq!(frontend.record(vec![asked.clone()]).await.unwrap(), 1);
    // A bank whose charter asks for no records has none.
    let silent = new(2, [8; 16], NOW, vec![found(99, 2, 1)]);
    assert_eq!(frontend.record(vec![silent]).await.unwrap(), 0);
    refused(reviewer.explain([8; 16]).await, Code::NotFound, "nothing is recorded");
    refused(reviewer.record(vec![asked]).await, Code::PermissionDenied, "");

    for by in [&reviewer, administrator, &auditor] {
        let explained = by.explain([7; 16]).await.unwrap();
        assert_eq!((explained.rule_condition.as_str(), explained.same_query), (condition, None));
        let listing = explained.decision.unwrap();
        assert_eq!((listing.kept_until_unix_ms, listing.outcome), (NOW - 5 + 30 * DAY, None));
        let record = listing.record.unwrap();
        assert_eq!((record.decided_at_unix_ms, record.kind.as_str()), (NOW - 5, "image"));
        let decision = record.decision.unwrap();
        assert_eq!((decision.rule.as_str(), decision.policy_version), ("near", 1));
        let [found] = &record.matches[..] else { panic!("{:?}", record.matches) };
        assert_eq!((found.item_id, found.bank.as_str(), found.distance), (item, "known", 4));
        assert_eq!(found.facts.as_ref().map(|facts| facts.positives), Some(2));
    }
    // A score rule has its condition in words.
    let mut by_score = new(2, [6; 16], NOW - 5, vec![found(item, 1, 4)]);
    let decision = by_score.record.as_mut().unwrap().decision.as_mut().unwrap();
    (decision.rule, decision.by_score) = ("nude".into(), true);
    frontend.record(vec![by_score]).await.unwrap();
    let condition = reviewer.explain([6; 16]).await.unwrap().rule_condition;
    assert!(condition.ends_with("threshold for at most 1 false positive in 10000"), "{condition}");
    refused(contributor.explain([7; 16]).await, Code::PermissionDenied, "roles");
    refused(other.explain([7; 16]).await, Code::NotFound, "nothing is recorded");
    let outcome = cases::DecisionOutcome::default();
    refused(other.became([7; 16], outcome).await, Code::NotFound, "nothing is recorded");
    refused(auditor.became([7; 16], outcome).await, Code::PermissionDenied, "roles");

    // A picture is compared by its hashes, of which the bank is sent only digests.
    assert_eq!(reviewer.is_about([7; 16], vec![vec![1; 32], vec![3; 32]]).await, Some(true));
    assert_eq!(reviewer.is_about([7; 16], vec![vec![3; 32]]).await, Some(false));

    // A member that may not see the details of a bank does not get them from a record.
    administrator.share("known", "other", &[cases::Capability::Match]).await;
    frontend.record(vec![new(3, [9; 16], NOW, vec![found(item, 1, 4)])]).await.unwrap();
    let seen = async || other.explain([9; 16]).await.unwrap().decision.unwrap().record.unwrap().matches;
    let [found] = &seen().await[..] else { panic!() };
    assert_eq!((found.item_id, found.bank.as_str(), found.facts.is_none()), (0, "acme/known", true));
    let both = [cases::Capability::Match, cases::Capability::SeeDetails];
    administrator.share("known", "other", &both).await;
    assert_eq!(seen().await[0].item_id, item);
    // The same holds after its grant has expired.
    let request = cases::PutGrantRequest {
        bank: "known".into(),
        member: "other".into(),
        capabilities: both.map(Into::into).to_vec(),
        expires_at_unix_ms: NOW + DAY,
        ..Default::default()
    };
    let mut client = ConsortiumServiceClient::new(administrator.0.clone());
    client.put_grant(administrator.carried(request)).await.unwrap();
    assert_eq!(seen().await[0].item_id, item);
    consortium.served.clock.0.store(NOW + 2 * DAY, Ordering::Relaxed);
    let [found] = &seen().await[..] else { panic!() };
    assert_eq!((found.item_id, found.bank.as_str(), found.facts.is_none()), (0, "", true));
    consortium.served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn parts_of_a_record_end_with_the_days_of_their_banks(bed: Bed) {
    let (served, everyone) = alone(&bed).await;
    for (bank, days) in [("short", 30), ("long", 180)] {
        served.create_bank(bank).await.unwrap();
        everyone.records(bank, days).await;
    }
    let asked = cases::NewDecision {
        record: Some(cases::RecordedDecision {
            matches_omitted: 3,
            ..new(1, [7; 16], NOW, vec![found(5, 1, 4), found(6, 2, 9), found(7, 1, 12)]).record.unwrap()
        }),
        ..new(1, [7; 16], NOW, Vec::new())
    };
    everyone.record(vec![asked]).await.unwrap();
    // A frontend whose clock is ahead does not decide in the future.
    everyone.record(vec![new(1, [8; 16], NOW + DAY, vec![found(5, 1, 4)])]).await.unwrap();
    let matches = async || {
        let explained = everyone.explain([7; 16]).await.ok()?;
        Some(explained.decision?.record?.matches.iter().map(|found| found.item_id).collect::<Vec<_>>())
    };
    assert_eq!(matches().await, Some(vec![5, 6, 7]));
    let listed: Vec<u64> = everyone.decisions(0, 0).await.iter().map(|one| one.1).collect();
    assert_eq!(listed, [NOW, NOW]);
    served.clock.0.store(NOW + 30 * DAY, Ordering::Relaxed);
    until(async || matches().await == Some(vec![6])).await;
    until(async || everyone.decisions(0, 0).await.len() == 1).await;
    refused(everyone.explain([8; 16]).await, Code::NotFound, "nothing is recorded");
    served.clock.0.store(NOW + 180 * DAY, Ordering::Relaxed);
    until(async || matches().await.is_none()).await;
    until(async || everyone.decisions(0, 0).await.is_empty()).await;
    // No part of the record is left, and no document that refers to it.
    let store = open_beside(&bed.config()).await;
    for kind in [DocumentKind::MatchRecord, DocumentKind::DecisionKey] {
        let range = DocumentRange::all(kind, 10);
        until(async || store.document_range(&range).await.unwrap().is_empty()).await;
    }
    store.close().await;
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn a_record_ends_with_a_charter_that_asks_for_less_and_with_its_bank(bed: Bed) {
    let (served, everyone) = alone(&bed).await;
    for bank in ["less", "nothing", "gone", "kept"] {
        served.create_bank(bank).await.unwrap();
        everyone.records(bank, 100).await;
    }
    let matches = (1..=4).map(|bank| found(u64::from(bank), bank, bank)).collect();
    everyone.record(vec![new(1, [7; 16], NOW, matches)]).await.unwrap();
    let items = async || {
        let record = everyone.explain([7; 16]).await.unwrap().decision.unwrap().record.unwrap();
        (record.matches.iter().map(|found| found.item_id).collect::<Vec<_>>(), record.counting)
    };
    assert_eq!(items().await, (vec![1, 2, 3, 4], 4));
    // The part is hidden at once.
    everyone.records("nothing", 0).await;
    everyone.records("less", 10).await;
    everyone.delete_bank("gone").await.unwrap();
    assert_eq!(items().await, (vec![1, 4], 4));
    served.clock.0.store(NOW + 10 * DAY, Ordering::Relaxed);
    // A longer retention restores no part, and extends none.
    everyone.records("kept", 700).await;
    assert_eq!(items().await, (vec![4], 4));
    let store = open_beside(&bed.config()).await;
    let range = DocumentRange::all(DocumentKind::MatchRecord, 10);
    let parts = async || store.document_range(&range).await.unwrap();
    until(async || parts().await.len() == 1).await;
    assert_eq!(parts().await[0].key.number(0), NOW + 100 * DAY);
    store.close().await;
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn what_became_of_a_decision_is_counted_once(bed: Bed) {
    let (served, everyone) = alone(&bed).await;
    served.create_bank("known").await.unwrap();
    everyone.records("known", 30).await;
    everyone.record(vec![new(1, [7; 16], NOW, vec![found(5, 1, 4)])]).await.unwrap();
    let removed = cases::DecisionOutcome {
        action: cases::Action::Removed.into(),
        person_looked: Some(false),
        review: cases::DecisionReview::Confirmed.into(),
        complaint: cases::Complaint::Received.into(),
        hosted_since_unix_ms: NOW - DAY,
        ..Default::default()
    };
    for _ in 0..2 {
        everyone.became([7; 16], removed).await.unwrap();
    }
    let figures = async |names: &[&str]| {
        let mut all = Vec::new();
        for name in names {
            all.push(own(&served, name).await.unwrap_or_default());
        }
        all
    };
    let names = [
        "actions_removed",
        "decisions_fully_automated",
        "decisions_confirmed",
        "complaints_received",
        "complaints_upheld",
        "actions_disabled",
        "decisions_partly_automated",
    ];
    assert_eq!(figures(&names).await, [1, 1, 1, 1, 0, 0, 0]);
    // Later outcomes are counted as well, and nothing is counted twice.
    let later = cases::DecisionOutcome {
        action: cases::Action::Disabled.into(),
        person_looked: Some(true),
        complaint: cases::Complaint::Upheld.into(),
        ..removed
    };
    everyone.became([7; 16], later).await.unwrap();
    everyone.became([7; 16], removed).await.unwrap();
    assert_eq!(figures(&names).await, [1, 1, 1, 1, 1, 1, 1]);
    let listing = everyone.explain([7; 16]).await.unwrap().decision.unwrap();
    let removed_then = cases::DecisionOutcome { acted_at_unix_ms: NOW, ..removed };
    assert_eq!((listing.outcome, listing.outcome_at_unix_ms), (Some(removed_then), NOW));
    let ahead = cases::DecisionOutcome { hosted_since_unix_ms: NOW + 1, ..removed };
    refused(everyone.became([7; 16], ahead).await, Code::InvalidArgument, "hosted_since");
    let wrong = cases::DecisionOutcome { action: 99, ..removed };
    refused(everyone.became([7; 16], wrong).await, Code::InvalidArgument, "outcome.action");
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn an_outcome_that_somebody_else_set_is_not_overwritten(bed: Bed) {
    let (served, everyone) = alone(&bed).await;
    served.create_bank("known").await.unwrap();
    everyone.records("known", 30).await;
    everyone.record(vec![new(1, [7; 16], NOW - DAY, vec![found(5, 1, 4)])]).await.unwrap();
    let set = async |complaint: cases::Complaint, expected| {
        let outcome = cases::DecisionOutcome { complaint: complaint.into(), ..Default::default() };
        let request = cases::SetDecisionOutcomeRequest {
            decision_id: vec![7; 16],
            outcome: Some(outcome),
            expected_outcome_at_unix_ms: expected,
            ..Default::default()
        };
        everyone.decision_service().set_decision_outcome(request).await.map(drop)
    };
    refused(set(cases::Complaint::Received, Some(NOW)).await, Code::FailedPrecondition, "since it was read");
    set(cases::Complaint::Received, Some(0)).await.unwrap();
    refused(set(cases::Complaint::Upheld, Some(0)).await, Code::FailedPrecondition, "since it was read");
    set(cases::Complaint::Upheld, Some(NOW)).await.unwrap();
    set(cases::Complaint::Rejected, None).await.unwrap();
    // The platform's own time of its action is used. A block acted when the verdict was given, and a later
    // outcome does not change that.
    let acted = async |outcome: cases::DecisionOutcome| {
        everyone.became([7; 16], outcome).await.unwrap();
        everyone.explain([7; 16]).await.unwrap().decision.unwrap().outcome.unwrap().acted_at_unix_ms
    };
    let removed = cases::DecisionOutcome { action: cases::Action::Removed.into(), ..Default::default() };
    assert_eq!(acted(removed).await, NOW - DAY);
    served.clock.0.store(NOW + DAY, Ordering::Relaxed);
    let reviewed = cases::DecisionOutcome { review: cases::DecisionReview::Confirmed.into(), ..removed };
    assert_eq!(acted(reviewed).await, NOW - DAY);
    assert_eq!(acted(cases::DecisionOutcome { acted_at_unix_ms: NOW, ..removed }).await, NOW);
    assert_eq!(acted(cases::DecisionOutcome::default()).await, 0);
    let ahead = cases::DecisionOutcome { acted_at_unix_ms: NOW + 2 * DAY, ..removed };
    refused(everyone.became([7; 16], ahead).await, Code::InvalidArgument, "outcome.acted_at");
    served.stop().await;
}

async fn an_upheld_complaint_is_an_opinion_on_what_counted(bed: Bed) {
    let (served, everyone) = alone(&bed).await;
    served.create_bank("known").await.unwrap();
    everyone.records("known", 30).await;
    let ids = served.add("known", items(0..4)).await.unwrap().item_ids;
    // One item has been removed in the meantime, and one did not count by the policy.
    let aside = cases::RecordedMatch { counts: false, ..found(ids[2], 1, 1) };
    let matches = vec![found(ids[0], 1, 4), found(ids[1], 1, 9), found(99, 1, 9), aside, found(ids[3], 1, 9)];
    // On one item the member's people have put this opinion before, and asked its owner to look again.
    let said = cases::NewOpinion {
        item_id: ids[3],
        kind: pb_model::OpinionKind::Negative.into(),
        reason: pb_model::OpinionReason::PoorHash.into(),
        disputes: true,
        ..Default::default()
    };
    let request = cases::PutOpinionsRequest { opinions: vec![said], ..Default::default() };
    OpinionServiceClient::new(served.channel.clone()).put_opinions(request).await.unwrap();
    everyone.record(vec![new(1, [7; 16], NOW, matches)]).await.unwrap();
    let outcome = |complaint: cases::Complaint| cases::DecisionOutcome {
        complaint: complaint.into(),
        ..Default::default()
    };
    let negatives = async |item| {
        let facts = everyone.item(item).await.unwrap().facts;
        facts.map_or(0, |facts| facts.negatives)
    };
    let put = everyone.became([7; 16], outcome(cases::Complaint::Received)).await.unwrap();
    assert_eq!((put.opinions_put, negatives(ids[0]).await), (0, 0));
    let put = everyone.became([7; 16], outcome(cases::Complaint::Upheld)).await.unwrap();
    assert_eq!(put.opinions_put, 2);
    let all = async || {
        let mut all = Vec::new();
        for id in &ids {
            all.push(negatives(*id).await);
        }
        all
    };
    assert_eq!(all().await, [1, 1, 0, 1]);
    assert_eq!(own(&served, "appeals_upheld").await, Some(2));
    assert!(everyone.item(ids[3]).await.unwrap().facts.unwrap().dispute_open);
    // Another complaint may rely on the opinions, so no later outcome withdraws them.
    everyone.became([7; 16], outcome(cases::Complaint::Rejected)).await.unwrap();
    assert_eq!(all().await, [1, 1, 0, 1]);
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

async fn what_is_no_record_is_refused(bed: Bed) {
    let (served, everyone) = alone(&bed).await;
    served.create_bank("known").await.unwrap();
    everyone.records("known", 30).await;
    let good = || new(1, [7; 16], NOW, vec![found(5, 1, 4)]);
    refused(everyone.record(Vec::new()).await, Code::InvalidArgument, "decisions");
    refused(everyone.record(vec![good(); 101]).await, Code::InvalidArgument, "decisions");
    let bad = cases::NewDecision { query_digests: vec![vec![0; 16]], ..good() };
    refused(everyone.record(vec![good(), bad]).await, Code::InvalidArgument, "decisions[1].query_digests");
    let bad = new(1, [7; 16], NOW, vec![found(5, 1, 4); 17]);
    refused(everyone.record(vec![bad]).await, Code::InvalidArgument, "decisions[0].record.matches");
    // A refused request records nothing.
    refused(everyone.explain([7; 16]).await, Code::NotFound, "nothing is recorded");
    let mut client = DecisionServiceClient::new(served.channel.clone());
    let bad = cases::GetDecisionRequest { decision_id: vec![7; 15], ..Default::default() };
    refused(client.get_decision(bad).await, Code::InvalidArgument, "decision_id");
    // A decision that is sent twice under one key is recorded once, and an outcome set in between stays.
    let request = cases::RecordDecisionsRequest { decisions: vec![good()], idempotency_key: "k".into() };
    client.record_decisions(request.clone()).await.unwrap();
    let outcome = cases::DecisionOutcome { person_looked: Some(true), ..Default::default() };
    everyone.became([7; 16], outcome).await.unwrap();
    client.record_decisions(request).await.unwrap();
    assert_eq!(everyone.explain([7; 16]).await.unwrap().decision.unwrap().outcome, Some(outcome));
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}

/// Starts a deployment without members.
pub(super) async fn alone(bed: &Bed) -> (Served, By) {
    let served = Served::start(bed.config()).await;
    let everyone = By(served.channel.clone(), String::new());
    (served, everyone)
}

pub(super) async fn until(is: impl AsyncFn() -> bool) {
    let begun = std::time::Instant::now();
    while !is().await {
        assert!(begun.elapsed().as_secs() < 30, "it did not come about");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

pub(super) fn found(item_id: u64, bank_id: u32, distance: u32) -> cases::RecordedMatch {
    cases::RecordedMatch {
        item_id,
        bank_id,
        hash_type: pb_model::HashType::Pdq.into(),
        distance,
        facts: Some(pb_model::Facts { positives: 2, ..Default::default() }),
        counts: true,
        ..Default::default()
    }
}

pub(super) fn new(
    member_id: u32,
    id: [u8; 16],
    at: u64,
    matches: Vec<cases::RecordedMatch>,
) -> cases::NewDecision {
    let decision = cases::Decision {
        verdict: cases::Verdict::Block.into(),
        rule: "near".into(),
        policy_version: 1,
        ..Default::default()
    };
    let record = cases::RecordedDecision {
        decision_id: id.into(),
        decided_at_unix_ms: at,
        decision: Some(decision),
        kind: "image".into(),
        surface: "avatar".into(),
        counting: u32::try_from(matches.len()).unwrap(),
        matches,
        matches_omitted: 0,
    };
    cases::NewDecision { member_id, record: Some(record), query_digests: vec![vec![1; 32], vec![2; 32]] }
}

impl By {
    fn decision_service(&self) -> DecisionServiceClient<Channel> {
        DecisionServiceClient::new(self.0.clone())
    }

    pub(super) async fn records(&self, bank: &str, match_record_days: u32) {
        let charter = Some(cases::Charter { match_record_days, ..Default::default() });
        let request = cases::SetCharterRequest { bank: bank.into(), charter, ..Default::default() };
        let mut client = ConsortiumServiceClient::new(self.0.clone());
        client.set_charter(self.carried(request)).await.unwrap();
    }

    async fn policy(&self, condition: &str) {
        let rule = cases::VerdictRule {
            name: "near".into(),
            condition: condition.into(),
            verdict: cases::Verdict::Block.into(),
            shadow: false,
        };
        let score = cases::ScoreRule {
            name: "nude".into(),
            model: "nsfw".into(),
            class: "nude".into(),
            at_most_one_in: 10_000,
            shadow: false,
        };
        let policy = cases::Policy { rules: vec![rule], scores: vec![score], ..Default::default() };
        let source = Some(cases::set_policy_request::Source::Policy(policy));
        let request = cases::SetPolicyRequest { source, ..Default::default() };
        PolicyServiceClient::new(self.0.clone()).set_policy(self.carried(request)).await.unwrap();
    }

    pub(super) async fn record(&self, decisions: Vec<cases::NewDecision>) -> Result<u32, Status> {
        let request = cases::RecordDecisionsRequest { decisions, ..Default::default() };
        let answer = self.decision_service().record_decisions(self.carried(request)).await?;
        Ok(answer.into_inner().recorded_count)
    }

    async fn explain(&self, id: [u8; 16]) -> Result<cases::GetDecisionResponse, Status> {
        let request = cases::GetDecisionRequest { decision_id: id.into(), ..Default::default() };
        Ok(self.decision_service().get_decision(self.carried(request)).await?.into_inner())
    }

    async fn is_about(&self, id: [u8; 16], query_digests: Vec<Vec<u8>>) -> Option<bool> {
        let request = cases::GetDecisionRequest { decision_id: id.into(), query_digests };
        self.decision_service().get_decision(self.carried(request)).await.unwrap().into_inner().same_query
    }

    pub(super) async fn became(
        &self,
        id: [u8; 16],
        outcome: cases::DecisionOutcome,
    ) -> Result<cases::SetDecisionOutcomeResponse, Status> {
        let request = cases::SetDecisionOutcomeRequest {
            decision_id: id.into(),
            outcome: Some(outcome),
            ..Default::default()
        };
        Ok(self.decision_service().set_decision_outcome(self.carried(request)).await?.into_inner())
    }

    /// Returns the ids and times of all decisions in a period, read two to a page.
    pub(super) async fn decisions(&self, from_unix_ms: u64, before_unix_ms: u64) -> Vec<(Vec<u8>, u64)> {
        self.decisions_of((from_unix_ms, before_unix_ms), false).await
    }

    /// Returns the ids and times of all decisions in a period, or only of those that wait for a person; read
    /// two to a page.
    pub(super) async fn decisions_of(
        &self,
        (from_unix_ms, before_unix_ms): (u64, u64),
        waiting: bool,
    ) -> Vec<(Vec<u8>, u64)> {
        let (mut all, mut after_key) = (Vec::new(), Vec::new());
        loop {
            let request = cases::ListDecisionsRequest {
                after_key,
                page_size: 2,
                from_unix_ms,
                before_unix_ms,
                waiting,
            };
            let page = self.decision_service().list_decisions(self.carried(request)).await.unwrap();
            let cases::ListDecisionsResponse { decisions, next_key } = page.into_inner();
            let records = decisions.into_iter().filter_map(|listing| listing.record);
            all.extend(records.map(|record| (record.decision_id, record.decided_at_unix_ms)));
            after_key = next_key;
            if after_key.is_empty() {
                return all;
            }
        }
    }
}
