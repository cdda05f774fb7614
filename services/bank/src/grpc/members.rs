//! The service of members, principals, grants, quotas and charters. Reads use only the directory.

use std::time::Duration;

use prost::Message;
use tonic::{Request, Response, Status};
use vigie_access::Called;
use vigie_consortium::rights::Members;
use vigie_consortium::{Change, Credential, Expiry, Grant, Member, Principal, PrincipalId, Text, View};
use vigie_credentials::api_key::ApiKey;
use vigie_model::{BankId, MemberId, Sequence};
use vigie_proto::Invalid;
use vigie_proto::bank::{name, page_size};
use vigie_proto::consortium::{
    answered_principal, bank_ref, capabilities, certificate, member_name, member_state, member_words,
    optional_member, roles, token_issuers, token_subject,
};
use vigie_proto::pb::consortium::v1 as pb;
use zeroize::Zeroizing;

use super::{BankGrpc, name_of_member, refused};
use crate::error::Error;
use crate::plan::answer::Answer;
use crate::plan::members::{MembersAction, MembersWrite, NewCredential, NewKey};
use crate::plan::write::Action;

/// The longest overlap of two API keys.
const OVERLAP_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);

/// A request that changes the directory.
pub(super) trait MembersRequest: Message + Clone + Default {
    /// Takes the idempotency key out of the request.
    fn take_key(&mut self) -> String;

    /// Takes out the API key that the caller has made, if there is one.
    fn take_secret(&mut self) -> Zeroizing<String> {
        Zeroizing::default()
    }
}

impl MembersRequest for pb::CreatePrincipalRequest {
    fn take_key(&mut self) -> String {
        std::mem::take(&mut self.idempotency_key)
    }

    fn take_secret(&mut self) -> Zeroizing<String> {
        match &mut self.credential {
            Some(pb::create_principal_request::Credential::ApiKey(key)) => std::mem::take(key).into(),
            _ => Zeroizing::default(),
        }
    }
}

impl MembersRequest for pb::RotateKeyRequest {
    fn take_key(&mut self) -> String {
        std::mem::take(&mut self.idempotency_key)
    }

    fn take_secret(&mut self) -> Zeroizing<String> {
        std::mem::take(&mut self.api_key).into()
    }
}

macro_rules! members_request {
    ($($request:ident),*) => {$(
        impl MembersRequest for pb::$request {
            fn take_key(&mut self) -> String {
                std::mem::take(&mut self.idempotency_key)
            }
        }
    )*};
}

members_request!(
    CreateMemberRequest,
    UpdateMemberRequest,
    SetMemberStateRequest,
    SetTokenIssuersRequest,
    RevokePrincipalRequest,
    PutGrantRequest,
    RevokeGrantRequest,
    SetAliasRequest,
    SetQuotaRequest,
    SetPolicyRequest,
    SetCharterRequest,
    DeclareHashTypeRequest,
    PutModelCardRequest
);

/// A new API key: the text that the caller gets once, and the digest that the bank keeps.
struct MadeKey {
    text: Zeroizing<String>,
    kept: NewKey,
}

impl BankGrpc {
    /// Converts a request to a change of the directory, and writes it.
    pub(super) async fn change<T: MembersRequest>(
        &self,
        request: Request<T>,
        action: impl FnOnce(&T) -> Result<MembersAction, Status>,
    ) -> Result<(Change, u64), Status> {
        let method = Called::of(&request)?.method();
        let write = |message: &T| {
            let mut keyless = message.clone();
            keyless.take_key();
            let mut hasher = blake3::Hasher::new();
            let secret = keyless.take_secret();
            hasher.update(method.path().as_bytes()).update(&[0]).update(&keyless.encode_to_vec());
            // The digest must hold nothing of a key that could be checked without the pepper.
            if !secret.is_empty() {
                hasher.update(&self.kept_of(&secret)?.digest.0);
            }
            let request_digest = hasher.finalize().into();
            Ok(Action::Members(MembersWrite { action: action(message)?, request_digest }))
        };
        let (_, answer) = self.write(request, write, |mut message| message.take_key()).await?;
        let Answer::Directory { change, sequence } = answer else { return Err(Error::Broken.into()) };
        Ok((change, sequence.0))
    }

    async fn change_member<T: MembersRequest>(
        &self,
        request: Request<T>,
        action: impl FnOnce(&T) -> Result<MembersAction, Status>,
    ) -> Result<(Option<pb::Member>, u64), Status> {
        let (Change::MemberPut(member), sequence) = self.change(request, action).await? else {
            return Err(Error::Broken.into());
        };
        Ok((Some(member.into()), sequence))
    }

    /// Returns the answer to a change of a principal, with the API key if this change made it.
    async fn change_principal<T: MembersRequest>(
        &self,
        request: Request<T>,
        action: impl FnOnce(&T) -> Result<MembersAction, Status>,
        made: Option<MadeKey>,
    ) -> Result<(Option<pb::Principal>, String, u64), Status> {
        let (Change::PrincipalPut(principal), sequence) = self.change(request, action).await? else {
            return Err(Error::Broken.into());
        };
        // A repeated request is answered with the principal of the first one, which has another key.
        let is_made = |made: &MadeKey| match &principal.credential {
            Credential::ApiKeys(keys) => keys.get(made.kept.id).is_some(),
            Credential::Certificate(_) | Credential::Token(_) => false,
        };
        let key = made.filter(is_made).map(|made| made.text.to_string()).unwrap_or_default();
        Ok((Some(answered_principal(&principal)), key, sequence))
    }

    fn make_key(&self) -> Result<MadeKey, Status> {
        let key = ApiKey::generate().map_err(|error| {
            tracing::error!(%error, "cannot make an API key");
            Error::Broken
        })?;
        Ok(MadeKey { kept: self.kept(&key)?, text: key.reveal() })
    }

    /// Returns the id of a key and its digest by the pepper, which the bank keeps.
    fn kept(&self, key: &ApiKey) -> Result<NewKey, Status> {
        let id = key.id().characters().try_into().map_err(|_| Error::Broken)?;
        Ok(NewKey { id, digest: vigie_consortium::KeyDigest(*self.pepper.digest(key).as_bytes()) })
    }

    /// Returns the same for the text of a key that a caller has made.
    fn kept_of(&self, text: &str) -> Result<NewKey, Status> {
        self.kept(&ApiKey::parse(text).map_err(|fault| Invalid::new("api_key", fault))?)
    }
}

/// A read of the directory by one caller.
struct Look {
    called: Called,
    view: std::sync::Arc<View>,
}

impl Look {
    fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let called = Called::of(request)?;
        let view = called.view()?;
        Ok(Self { called, view })
    }

    fn sequence(&self) -> u64 {
        let Sequence(sequence) = self.view.directory().sequence();
        sequence
    }

    /// Returns the living principals of these members after an id.
    fn principals(&self, of: Members, after: PrincipalId) -> impl Iterator<Item = &Principal> {
        let directory = self.view.directory();
        let all = match of {
            Members::Only(member) => directory.principals_of(member),
            Members::Every => directory.principals(),
        };
        all.iter().map(AsRef::as_ref).filter(move |principal: &&Principal| principal.id > after)
    }
}

fn expiry(unix_ms: u64) -> Expiry {
    Expiry::from_wire(unix_ms)
}

#[tonic::async_trait]
impl pb::consortium_service_server::ConsortiumService for BankGrpc {
    async fn create_member(
        &self,
        request: Request<pb::CreateMemberRequest>,
    ) -> Result<Response<pb::CreateMemberResponse>, Status> {
        let action = |message: &pb::CreateMemberRequest| {
            let name = member_name("name", &message.name)?;
            let (display_name, jurisdictions) = member_words(&message.display_name, &message.jurisdictions)?;
            Ok(MembersAction::CreateMember { name, display_name, jurisdictions })
        };
        let (member, sequence) = self.change_member(request, action).await?;
        Ok(Response::new(pb::CreateMemberResponse { member, sequence }))
    }

    async fn get_member(
        &self,
        request: Request<pb::GetMemberRequest>,
    ) -> Result<Response<pb::GetMemberResponse>, Status> {
        let look = Look::of(&request)?;
        let name = member_name("name", &request.get_ref().name)?;
        let admitted = look.called.admitted(&look.view)?;
        let member = admitted.member_called(&name).map_err(refused)?;
        let quota = Some(look.view.directory().quota(member.id).into());
        let member = Some(Member::clone(member).into());
        Ok(Response::new(pb::GetMemberResponse { member, quota, sequence: look.sequence() }))
    }

    async fn list_members(
        &self,
        request: Request<pb::ListMembersRequest>,
    ) -> Result<Response<pb::ListMembersResponse>, Status> {
        let look = Look::of(&request)?;
        let message = request.get_ref();
        let limit = page_size(message.page_size)?;
        let readable = look.called.admitted(&look.view)?.members().map_err(refused)?;
        let members = look.view.directory().members().iter();
        let after =
            members.filter(|member| member.id.0 > message.after_id && readable.contain(Some(member.id)));
        let members = after.take(limit.into()).map(|member| Member::clone(member).into()).collect();
        Ok(Response::new(pb::ListMembersResponse { members, sequence: look.sequence() }))
    }

    async fn update_member(
        &self,
        request: Request<pb::UpdateMemberRequest>,
    ) -> Result<Response<pb::UpdateMemberResponse>, Status> {
        let action = |message: &pb::UpdateMemberRequest| {
            let name = member_name("name", &message.name)?;
            let (display_name, jurisdictions) = member_words(&message.display_name, &message.jurisdictions)?;
            Ok(MembersAction::UpdateMember { name, display_name, jurisdictions, is_named: message.is_named })
        };
        let (member, sequence) = self.change_member(request, action).await?;
        Ok(Response::new(pb::UpdateMemberResponse { member, sequence }))
    }

    async fn set_member_state(
        &self,
        request: Request<pb::SetMemberStateRequest>,
    ) -> Result<Response<pb::SetMemberStateResponse>, Status> {
        let action = |message: &pb::SetMemberStateRequest| {
            let (name, state) = (member_name("name", &message.name)?, member_state(message.state)?);
            Ok(MembersAction::SetMemberState { name, state })
        };
        let (member, sequence) = self.change_member(request, action).await?;
        Ok(Response::new(pb::SetMemberStateResponse { member, sequence }))
    }

    async fn set_token_issuers(
        &self,
        request: Request<pb::SetTokenIssuersRequest>,
    ) -> Result<Response<pb::SetTokenIssuersResponse>, Status> {
        let action = |message: &pb::SetTokenIssuersRequest| {
            let name = member_name("member", &message.member)?;
            Ok(MembersAction::SetTokenIssuers { name, issuers: token_issuers(&message.token_issuers)? })
        };
        let (member, sequence) = self.change_member(request, action).await?;
        Ok(Response::new(pb::SetTokenIssuersResponse { member, sequence }))
    }

    async fn create_principal(
        &self,
        request: Request<pb::CreatePrincipalRequest>,
    ) -> Result<Response<pb::CreatePrincipalResponse>, Status> {
        use pb::create_principal_request::Credential as Asked;
        let wants_key = matches!(request.get_ref().credential, Some(Asked::NewApiKey(true)));
        let made = if wants_key { Some(self.make_key()?) } else { None };
        let kept = made.as_ref().map(|made| made.kept);
        let action = |message: &pb::CreatePrincipalRequest| {
            let credential = match (&message.credential, kept) {
                (Some(Asked::NewApiKey(true)), Some(key)) => NewCredential::Key(key),
                (Some(Asked::ApiKey(text)), _) => NewCredential::Key(self.kept_of(text)?),
                (Some(Asked::SpiffeId(id)), _) => NewCredential::Certificate(certificate(id)?),
                (Some(Asked::TokenSubject(token)), _) => NewCredential::Token(token_subject(token)?),
                (Some(Asked::NewApiKey(_)), _) => {
                    let reason = "is false; leave it out, or set it to true";
                    return Err(Invalid::new("new_api_key", reason).into());
                }
                (None, _) => return Err(Invalid::missing("credential").into()),
            };
            Ok(MembersAction::CreatePrincipal {
                member: optional_member("member", &message.member)?,
                roles: roles(&message.roles)?,
                credential,
                expiry: expiry(message.expires_at_unix_ms),
                note: Text::new(&message.note).map_err(|error| Invalid::new("note", error))?,
            })
        };
        let (principal, api_key, sequence) = self.change_principal(request, action, made).await?;
        Ok(Response::new(pb::CreatePrincipalResponse { principal, api_key, sequence }))
    }

    async fn list_principals(
        &self,
        request: Request<pb::ListPrincipalsRequest>,
    ) -> Result<Response<pb::ListPrincipalsResponse>, Status> {
        let look = Look::of(&request)?;
        let message = request.get_ref();
        let limit = page_size(message.page_size)?;
        let admitted = look.called.admitted(&look.view)?;
        let of = match optional_member("member", &message.member)? {
            Some(name) => Members::Only(admitted.member_called(&name).map_err(refused)?.id),
            None => Members::Only(admitted.member().ok_or(Error::Broken)?.id),
        };
        admitted.members().map_err(refused)?;
        let principals = look.principals(of, PrincipalId(message.after_id));
        let principals = principals.take(limit.into()).map(answered_principal).collect();
        Ok(Response::new(pb::ListPrincipalsResponse { principals, sequence: look.sequence() }))
    }

    async fn rotate_key(
        &self,
        request: Request<pb::RotateKeyRequest>,
    ) -> Result<Response<pb::RotateKeyResponse>, Status> {
        let made = if request.get_ref().api_key.is_empty() { Some(self.make_key()?) } else { None };
        let kept = made.as_ref().map(|made| made.kept);
        let action = |message: &pb::RotateKeyRequest| {
            let key = kept.map_or_else(|| self.kept_of(&message.api_key), Ok)?;
            let overlap = Duration::from_secs(message.overlap_seconds.into());
            if overlap > OVERLAP_MAX {
                let reason =
                    format!("is {}; it must be at most {}", message.overlap_seconds, OVERLAP_MAX.as_secs());
                return Err(Invalid::new("overlap_seconds", reason).into());
            }
            Ok(MembersAction::RotateKey { principal: PrincipalId(message.principal_id), key, overlap })
        };
        let (principal, api_key, sequence) = self.change_principal(request, action, made).await?;
        Ok(Response::new(pb::RotateKeyResponse { principal, api_key, sequence }))
    }

    async fn revoke_principal(
        &self,
        request: Request<pb::RevokePrincipalRequest>,
    ) -> Result<Response<pb::RevokePrincipalResponse>, Status> {
        let action = |message: &pb::RevokePrincipalRequest| {
            Ok(MembersAction::RevokePrincipal { principal: PrincipalId(message.principal_id) })
        };
        let (_, sequence) = self.change(request, action).await?;
        Ok(Response::new(pb::RevokePrincipalResponse { sequence }))
    }

    async fn put_grant(
        &self,
        request: Request<pb::PutGrantRequest>,
    ) -> Result<Response<pb::PutGrantResponse>, Status> {
        let action = |message: &pb::PutGrantRequest| {
            Ok(MembersAction::PutGrant {
                bank: bank_ref("bank", &message.bank)?,
                member: member_name("member", &message.member)?,
                capabilities: capabilities(&message.capabilities)?,
                expiry: expiry(message.expires_at_unix_ms),
            })
        };
        let (change, sequence) = self.change(request, action).await?;
        let Change::GrantPut(grant) = change else { return Err(Error::Broken.into()) };
        let grant = Some(Grant { alias: None, ..grant }.into());
        Ok(Response::new(pb::PutGrantResponse { grant, sequence }))
    }

    async fn revoke_grant(
        &self,
        request: Request<pb::RevokeGrantRequest>,
    ) -> Result<Response<pb::RevokeGrantResponse>, Status> {
        let action = |message: &pb::RevokeGrantRequest| {
            let member = member_name("member", &message.member)?;
            Ok(MembersAction::RevokeGrant { bank: bank_ref("bank", &message.bank)?, member })
        };
        let (_, sequence) = self.change(request, action).await?;
        Ok(Response::new(pb::RevokeGrantResponse { sequence }))
    }

    async fn set_alias(
        &self,
        request: Request<pb::SetAliasRequest>,
    ) -> Result<Response<pb::SetAliasResponse>, Status> {
        let action = |message: &pb::SetAliasRequest| {
            let alias = (!message.alias.is_empty()).then(|| name("alias", &message.alias)).transpose()?;
            Ok(MembersAction::SetAlias { bank: bank_ref("bank", &message.bank)?, alias })
        };
        let (change, sequence) = self.change(request, action).await?;
        let Change::GrantPut(grant) = change else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::SetAliasResponse { grant: Some(grant.into()), sequence }))
    }

    async fn list_grants(
        &self,
        request: Request<pb::ListGrantsRequest>,
    ) -> Result<Response<pb::ListGrantsResponse>, Status> {
        let look = Look::of(&request)?;
        let message = request.get_ref();
        let limit = usize::from(page_size(message.page_size)?);
        let admitted = look.called.admitted(&look.view)?;
        let directory = look.view.directory();
        let grants: Vec<pb::Grant> = if message.bank.is_empty() {
            let member = admitted.member().ok_or(Error::Broken)?.id;
            let received = directory.grants_to(member).iter();
            let now = look.called.now();
            let living =
                received.filter(|grant| grant.bank > BankId(message.after_id) && !grant.expiry.is_over(now));
            living.take(limit).map(|grant| Grant::clone(grant).into()).collect()
        } else {
            let bank = admitted.bank(&bank_ref("bank", &message.bank)?).map_err(refused)?.id;
            let given = directory.grants_of(bank).iter();
            let after = given.filter(|grant| grant.member > MemberId(message.after_id));
            // The alias belongs to the other member. The other member's name is known to the member that
            // shared the bank with it.
            let given = |grant: &Grant| pb::Grant {
                member_name: name_of_member(directory, grant.member),
                ..Grant { alias: None, ..grant.clone() }.into()
            };
            after.take(limit).map(|grant| given(grant)).collect()
        };
        Ok(Response::new(pb::ListGrantsResponse { grants, sequence: look.sequence() }))
    }

    async fn set_quota(
        &self,
        request: Request<pb::SetQuotaRequest>,
    ) -> Result<Response<pb::SetQuotaResponse>, Status> {
        let action = |message: &pb::SetQuotaRequest| {
            let quota = message.quota.ok_or_else(|| Invalid::missing("quota"))?;
            let quota = quota.try_into().map_err(|invalid: Invalid| invalid.within("quota"))?;
            Ok(MembersAction::SetQuota { member: member_name("member", &message.member)?, quota })
        };
        let (_, sequence) = self.change(request, action).await?;
        Ok(Response::new(pb::SetQuotaResponse { sequence }))
    }

    async fn set_charter(
        &self,
        request: Request<pb::SetCharterRequest>,
    ) -> Result<Response<pb::SetCharterResponse>, Status> {
        let action = |message: &pb::SetCharterRequest| {
            let charter = message.charter.clone().ok_or_else(|| Invalid::missing("charter"))?;
            let charter = charter.try_into().map_err(|invalid: Invalid| invalid.within("charter"))?;
            Ok(MembersAction::SetCharter { bank: bank_ref("bank", &message.bank)?, charter })
        };
        let (_, sequence) = self.change(request, action).await?;
        Ok(Response::new(pb::SetCharterResponse { sequence }))
    }

    async fn get_charter(
        &self,
        request: Request<pb::GetCharterRequest>,
    ) -> Result<Response<pb::GetCharterResponse>, Status> {
        let look = Look::of(&request)?;
        let bank = bank_ref("bank", &request.get_ref().bank)?;
        let admitted = look.called.admitted(&look.view)?;
        let charter = Some(admitted.bank(&bank).map_err(refused)?.charter.clone().into());
        Ok(Response::new(pb::GetCharterResponse { charter, sequence: look.sequence() }))
    }

    async fn who_am_i(
        &self,
        request: Request<pb::WhoAmIRequest>,
    ) -> Result<Response<pb::WhoAmIResponse>, Status> {
        let look = Look::of(&request)?;
        let admitted = look.called.admitted(&look.view)?;
        let member = admitted.member().ok_or(Error::Broken)?;
        let quota = Some(look.view.directory().quota(member.id).into());
        let principal = admitted.principal().map(answered_principal);
        let member = Some(Member::clone(member).into());
        Ok(Response::new(pb::WhoAmIResponse { member, principal, quota, sequence: look.sequence() }))
    }
}
