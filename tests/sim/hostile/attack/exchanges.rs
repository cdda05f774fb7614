//! Exchanges of the hostile member. No process follows them here: items of a programme count as additions of
//! the member.

use rand::RngExt as _;
use rand::seq::IndexedRandom as _;
use tonic::Status;
use vigie_consortium::Method;
use vigie_proto::pb::bank::v1 as pb_bank;

use super::Attack;

impl Attack {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the methods of one service, which their caller lists"
    )]
    pub(super) async fn exchange(&mut self, method: Method, idempotency_key: String) -> Result<(), Status> {
        let with = &mut self.with;
        let name = with.word("exchange");
        match method {
            Method::AddExchange => {
                let (bank, api) = (
                    with.bank(),
                    (*["vigie", "ncmec", "file"].choose(&mut with.rng).expect("three")).to_owned(),
                );
                let request = pb_bank::AddExchangeRequest {
                    name,
                    api,
                    bank,
                    config_json: "{}".into(),
                    interval_seconds: 60,
                    idempotency_key,
                };
                self.put::<pb_bank::AddExchangeResponse>(method, request).await
            }
            Method::GetExchange => {
                self.put::<pb_bank::GetExchangeResponse>(method, pb_bank::GetExchangeRequest { name }).await
            }
            Method::ListExchanges => {
                let request = pb_bank::ListExchangesRequest { after_id: 0, page_size: with.page() };
                self.put::<pb_bank::ListExchangesResponse>(method, request).await
            }
            Method::SetExchangeEnabled => {
                let enabled = with.rng.random();
                let request = pb_bank::SetExchangeEnabledRequest { name, enabled, idempotency_key };
                self.put::<pb_bank::SetExchangeEnabledResponse>(method, request).await
            }
            Method::RemoveExchange => {
                let request = pb_bank::RemoveExchangeRequest { name, idempotency_key };
                self.put::<pb_bank::RemoveExchangeResponse>(method, request).await
            }
            _ => {
                let request = pb_bank::FetchExchangeNowRequest { name, idempotency_key };
                self.put::<pb_bank::FetchExchangeNowResponse>(method, request).await
            }
        }
    }
}
