//! The hostile member's principals, grants, aliases and charters.

use rand::RngExt as _;
use tonic::Status;
use vigie_consortium::Method;
use vigie_proto::pb::consortium::v1 as pb;

use super::Attack;

impl Attack {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the methods of one service, which their caller lists"
    )]
    pub(super) async fn member(&mut self, method: Method, idempotency_key: String) -> Result<(), Status> {
        let with = &mut self.with;
        match method {
            Method::GetMember => {
                let request = pb::GetMemberRequest { name: with.member() };
                self.put::<pb::GetMemberResponse>(method, request).await
            }
            Method::ListMembers => {
                let request = pb::ListMembersRequest { after_id: 0, page_size: with.page() };
                self.put::<pb::ListMembersResponse>(method, request).await
            }
            Method::UpdateMember => {
                let (name, is_named) = (with.member(), Some(with.rng.random()));
                let display_name = with.word("display");
                let request = pb::UpdateMemberRequest {
                    name,
                    display_name,
                    jurisdictions: Vec::new(),
                    idempotency_key,
                    is_named,
                };
                self.put::<pb::UpdateMemberResponse>(method, request).await
            }
            Method::CreatePrincipal => {
                let member = if with.rng.random_bool(0.6) { String::new() } else { with.member() };
                let roles = (1..7).filter(|_| with.rng.random_bool(0.3)).collect();
                let request = pb::CreatePrincipalRequest {
                    member,
                    roles,
                    credential: Some(pb::create_principal_request::Credential::NewApiKey(true)),
                    expires_at_unix_ms: with.moment(),
                    note: String::new(),
                    idempotency_key,
                };
                let made: pb::CreatePrincipalResponse = self.send(method, request).await?;
                self.with.principals.extend(made.principal.map(|made| made.id));
                Ok(())
            }
            Method::ListPrincipals => {
                let (member, page_size) = (with.member(), with.page());
                let request = pb::ListPrincipalsRequest { member, after_id: 0, page_size };
                self.put::<pb::ListPrincipalsResponse>(method, request).await
            }
            Method::RotateKey => {
                let (principal_id, overlap_seconds) = (with.principal(), with.rng.random_range(0..100));
                let request = pb::RotateKeyRequest {
                    principal_id,
                    overlap_seconds,
                    idempotency_key,
                    api_key: String::new(),
                };
                self.put::<pb::RotateKeyResponse>(method, request).await
            }
            Method::RevokePrincipal => {
                let request = pb::RevokePrincipalRequest { principal_id: with.principal(), idempotency_key };
                self.put::<pb::RevokePrincipalResponse>(method, request).await
            }
            Method::PutGrant => {
                // Of its own banks it shares only those whose charter requires two members.
                let bank = if with.rng.random_bool(0.7) { with.lure() } else { with.bank_of_another() };
                let member = with.member();
                let request = pb::PutGrantRequest { idempotency_key, ..with.grant(bank, member) };
                self.put::<pb::PutGrantResponse>(method, request).await
            }
            Method::RevokeGrant => {
                let (bank, member) = (with.bank(), with.member());
                let request = pb::RevokeGrantRequest { bank, member, idempotency_key };
                self.put::<pb::RevokeGrantResponse>(method, request).await
            }
            Method::SetAlias => {
                let (bank, alias) = (with.bank(), with.alias());
                let request = pb::SetAliasRequest { bank, alias, idempotency_key };
                self.put::<pb::SetAliasResponse>(method, request).await
            }
            Method::ListGrants => {
                let bank = if with.rng.random() { String::new() } else { with.bank() };
                let request = pb::ListGrantsRequest { bank, after_id: 0, page_size: with.page() };
                self.put::<pb::ListGrantsResponse>(method, request).await
            }
            Method::SetCharter => {
                let bank = with.bank();
                let charter = with.charter(with.lures.contains(&bank));
                let request = pb::SetCharterRequest { bank, charter: Some(charter), idempotency_key };
                self.put::<pb::SetCharterResponse>(method, request).await
            }
            Method::GetCharter => {
                let request = pb::GetCharterRequest { bank: with.bank() };
                self.put::<pb::GetCharterResponse>(method, request).await
            }
            Method::ListHashTypes => {
                self.put::<pb::ListHashTypesResponse>(method, pb::ListHashTypesRequest {}).await
            }
            Method::GetModelCard => {
                let request = pb::GetModelCardRequest { name: with.word("model"), version: 0 };
                self.put::<pb::GetModelCardResponse>(method, request).await
            }
            Method::ListModelCards => {
                self.put::<pb::ListModelCardsResponse>(method, pb::ListModelCardsRequest {}).await
            }
            Method::WhoAmI => self.put::<pb::WhoAmIResponse>(method, pb::WhoAmIRequest {}).await,
            _ => panic!("{method} is no method of members"),
        }
    }
}
