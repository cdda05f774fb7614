//! The hostile member's opinions on items, and its policies.

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use tonic::Status;
use vigie_consortium::Method;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::model::v1 as pb_model;

use super::Attack;

impl Attack {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the methods of two services, which their caller lists"
    )]
    pub(super) async fn word(&mut self, method: Method, idempotency_key: String) -> Result<(), Status> {
        let with = &mut self.with;
        match method {
            Method::PutOpinions => {
                let kinds = [
                    pb_model::OpinionKind::Positive,
                    pb_model::OpinionKind::Negative,
                    pb_model::OpinionKind::Negative,
                    pb_model::OpinionKind::Seen,
                ];
                let kind = *kinds.choose(&mut with.rng).expect("there are four");
                let reason = if with.rng.random_bool(0.4) { with.rng.random_range(0..8) } else { 0 };
                let opinions = with.items().into_iter().map(|item_id| pb::NewOpinion {
                    item_id,
                    hash: with.rng.random_bool(0.2).then(|| with.hash()),
                    kind: kind.into(),
                    reason,
                    disputes: kind == pb_model::OpinionKind::Negative && with.rng.random(),
                    proposed: with.rng.random_bool(0.2).then(|| with.class()),
                    foreign_value: String::new(),
                });
                let opinions = opinions.collect();
                let request = pb::PutOpinionsRequest { opinions, idempotency_key };
                self.put::<pb::PutOpinionsResponse>(method, request).await
            }
            Method::WithdrawOpinions => {
                let item_ids = with.items();
                let request = pb::WithdrawOpinionsRequest { item_ids, idempotency_key };
                self.put::<pb::WithdrawOpinionsResponse>(method, request).await
            }
            Method::ListOpinions => {
                let (bank, mine, page_size) = (with.bank(), with.rng.random(), with.page());
                let request =
                    pb::ListOpinionsRequest { bank, page_size, mine, item_id: 0, ..Default::default() };
                self.put::<pb::ListOpinionsResponse>(method, request).await
            }
            Method::ListDisputes => {
                let (page_size, resolved) = (with.page(), with.rng.random());
                let request = pb::ListDisputesRequest { page_size, resolved, ..Default::default() };
                self.put::<pb::ListDisputesResponse>(method, request).await
            }
            Method::ResolveDispute => {
                let resolution = with.rng.random_range(1..4);
                let classification = if resolution == 3 { vec![with.class()] } else { Vec::new() };
                let item_id = with.item();
                let request =
                    pb::ResolveDisputeRequest { item_id, resolution, classification, idempotency_key };
                self.put::<pb::ResolveDisputeResponse>(method, request).await
            }
            Method::SetMemberHold => {
                let (item_ids, held) = (with.items(), with.rng.random());
                let request = pb::SetMemberHoldRequest { item_ids, held, idempotency_key };
                self.put::<pb::SetMemberHoldResponse>(method, request).await
            }
            Method::ListMemberHolds => {
                let request = pb::ListMemberHoldsRequest { after_id: 0, page_size: with.page() };
                self.put::<pb::ListMemberHoldsResponse>(method, request).await
            }
            Method::SetPolicy => {
                let source = if with.rng.random_bool(0.8) {
                    pb::set_policy_request::Source::Policy(with.policy())
                } else {
                    pb::set_policy_request::Source::FromVersion(with.rng.random_range(0..4))
                };
                let request = pb::SetPolicyRequest {
                    source: Some(source),
                    expected_version: with.rng.random_bool(0.2).then(|| with.rng.random_range(0..4)),
                    trial: with.rng.random_bool(0.3),
                    idempotency_key,
                };
                self.put::<pb::SetPolicyResponse>(method, request).await
            }
            Method::GetPolicy => {
                let request = pb::GetPolicyRequest { version: with.rng.random_range(0..4) };
                self.put::<pb::GetPolicyResponse>(method, request).await
            }
            Method::TryPolicy => {
                let query = Some(pb::PolicyQuery { kind: "hashes".into(), ..Default::default() });
                let request =
                    pb::TryPolicyRequest { policy: Some(with.policy()), query, ..Default::default() };
                self.put::<pb::TryPolicyResponse>(method, request).await
            }
            _ => panic!("{method} is no method of opinions or policies"),
        }
    }
}
