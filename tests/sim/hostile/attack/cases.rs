//! Reports, referrals, incidents, statistics and the audit, as the hostile member calls them. Some calls are
//! meant for the host's principals, which have the same roles.

use rand::RngExt as _;
use tonic::Status;
use vigie_consortium::Method;
use vigie_proto::pb::consortium::v1 as pb;

use super::Attack;

impl Attack {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the methods of some services, which their caller lists"
    )]
    pub(super) async fn case(&mut self, method: Method, idempotency_key: String) -> Result<(), Status> {
        let with = &mut self.with;
        match method {
            Method::GetStatistics => {
                let request = pb::GetStatisticsRequest {
                    from_month: "2023-11".into(),
                    to_month: "2023-12".into(),
                    format: with.rng.random_range(0..4),
                    public: with.rng.random(),
                };
                self.put::<pb::GetStatisticsResponse>(method, request).await
            }
            Method::SubmitReport => {
                let contents = pb::ReportContents {
                    item_id: with.item(),
                    classification: vec![with.class()],
                    verdict: "BLOCK".into(),
                    person_looked: Some(with.rng.random()),
                    urgent: with.rng.random(),
                    ..Default::default()
                };
                let (bank, contents) = (with.bank(), Some(contents));
                let request = pb::SubmitReportRequest { bank, contents, idempotency_key };
                self.put::<pb::SubmitReportResponse>(method, request).await
            }
            Method::ListReports => {
                let request = pb::ListReportsRequest { page_size: with.page(), ..Default::default() };
                self.put::<pb::ListReportsResponse>(method, request).await
            }
            Method::ReviewReport => {
                let (number, outcome) = (with.rng.random_range(1..4), with.rng.random_range(0..6));
                let review =
                    Some(pb::ReportReview { outcome, reason: with.word("why"), ..Default::default() });
                let request = pb::ReviewReportRequest { number, review, idempotency_key };
                self.put::<pb::ReviewReportResponse>(method, request).await
            }
            Method::AddReferral => {
                let referral = pb::NewReferral {
                    body: with.word("body"),
                    target: Some(pb::new_referral::Target::Hash(with.hash())),
                    legal_basis: "none".into(),
                    ..Default::default()
                };
                let request = pb::AddReferralRequest { referral: Some(referral), idempotency_key };
                self.put::<pb::AddReferralResponse>(method, request).await
            }
            Method::ListReferrals => {
                let (page_size, open) = (with.page(), with.rng.random());
                let request = pb::ListReferralsRequest { page_size, open, ..Default::default() };
                self.put::<pb::ListReferralsResponse>(method, request).await
            }
            Method::SetReferralOutcome => {
                let (number, outcome) = (with.rng.random_range(1..4), with.rng.random_range(0..6));
                let measure = Some(pb::Measure { outcome, details: with.word("what"), ..Default::default() });
                let request = pb::SetReferralOutcomeRequest { number, measure, idempotency_key };
                self.put::<pb::SetReferralOutcomeResponse>(method, request).await
            }
            Method::GetDecision => {
                let (decision_id, query_digests) = (with.decision(), vec![vec![with.rng.random(); 32]]);
                let request = pb::GetDecisionRequest { decision_id, query_digests };
                self.put::<pb::GetDecisionResponse>(method, request).await
            }
            Method::ListDecisions => {
                let request = pb::ListDecisionsRequest { page_size: with.page(), ..Default::default() };
                let listed: pb::ListDecisionsResponse = self.send(method, request).await?;
                let records = listed.decisions.into_iter().filter_map(|listing| listing.record);
                self.with.decisions.extend(records.map(|record| record.decision_id));
                Ok(())
            }
            Method::SetDecisionOutcome => {
                let outcome = pb::DecisionOutcome {
                    action: with.rng.random_range(0..8),
                    person_looked: Some(with.rng.random()),
                    review: with.rng.random_range(0..3),
                    // If it is upheld, each matching item gets a negative opinion.
                    complaint: with.rng.random_range(0..4),
                    ..Default::default()
                };
                let (decision_id, outcome) = (with.decision(), Some(outcome));
                let request = pb::SetDecisionOutcomeRequest {
                    decision_id,
                    outcome,
                    idempotency_key,
                    ..Default::default()
                };
                self.put::<pb::SetDecisionOutcomeResponse>(method, request).await
            }
            Method::OpenIncident => {
                let (incident_type, title, reason) = ("attack".into(), with.word("title"), with.word("why"));
                let bank = with.den();
                let request = pb::OpenIncidentRequest { incident_type, title, reason, bank, idempotency_key };
                self.put::<pb::OpenIncidentResponse>(method, request).await
            }
            Method::ListIncidents => {
                let request = pb::ListIncidentsRequest { page_size: with.page(), ..Default::default() };
                self.put::<pb::ListIncidentsResponse>(method, request).await
            }
            Method::CloseIncident => {
                let (number, reason) = (with.rng.random_range(1..4), with.word("why"));
                let request =
                    pb::CloseIncidentRequest { number, reason, keep_days: Some(0), idempotency_key };
                self.put::<pb::CloseIncidentResponse>(method, request).await
            }
            Method::SetIncidentSubscription => {
                let every_type = with.rng.random();
                let incident_types = if every_type { Vec::new() } else { vec!["attack".into()] };
                let request =
                    pb::SetIncidentSubscriptionRequest { incident_types, every_type, idempotency_key };
                self.put::<pb::SetIncidentSubscriptionResponse>(method, request).await
            }
            Method::ListEntries => {
                let from_index = with.rng.random_range(0..50);
                let member = if with.rng.random() { String::new() } else { with.member() };
                let request = pb::ListEntriesRequest { from_index, page_size: with.page(), member };
                self.put::<pb::ListEntriesResponse>(method, request).await
            }
            Method::GetCheckpoint => {
                self.put::<pb::GetCheckpointResponse>(method, pb::GetCheckpointRequest {}).await
            }
            Method::ProveInclusion => {
                let request = pb::ProveInclusionRequest { index: with.rng.random_range(0..50), tree_size: 0 };
                self.put::<pb::ProveInclusionResponse>(method, request).await
            }
            Method::ProveConsistency => {
                let request =
                    pb::ProveConsistencyRequest { old_size: with.rng.random_range(0..9), new_size: 0 };
                self.put::<pb::ProveConsistencyResponse>(method, request).await
            }
            _ => panic!("{method} is no method of cases"),
        }
    }
}
