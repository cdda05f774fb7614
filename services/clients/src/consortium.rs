//! Client of the bank's service of members, principals, grants, quotas and charters. Each module except
//! `principal` is the client of another service of the consortium.

mod principal;
pub(crate) mod opinions;
mod policies;
mod hash_types;
pub(crate) mod model_cards;
pub(crate) mod statistics;
mod reports;
mod decisions;
mod referrals;
mod incidents;

use std::time::Duration;

use tokio::time::Instant;
use vigie_consortium::{
    BankRef, Capabilities, Charter, Expiry, Grant, Jurisdictions, Member, MemberId, MemberName, MemberState,
    PrincipalId, Quota, Text, TokenIssuers,
};
use vigie_credentials::api_key::ApiKey;
use vigie_model::{BankId, BankName};
use vigie_net::{CallError, Channel};
use vigie_proto::Invalid;
use vigie_proto::consortium as wire;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_proto::pb::consortium::v1::consortium_service_client::ConsortiumServiceClient;

pub use decisions::{DecisionClient, ExplainedDecision, NewDecision};
pub use hash_types::{HashTypeClient, NewHashType};
pub use incidents::{ClosedIncident, IncidentClient, IncidentListing, OpenedIncident};
pub use model_cards::{ModelCardClient, ModelClass, ModelSummary, ReadModelCard};
pub use policies::{
    PolicyClient, PolicyFault, PolicySource, ReadPolicy, TrialCount, TriedContent, TriedPolicy, TriedQuery,
    TriedScore,
};
pub use principal::{
    KeyListing, NewCredential, NewPrincipal, PrincipalCredential, PrincipalListing, PrincipalWithKey,
};
pub use referrals::{MemberMeasure, ReferralClient, ReferralListing, ReferralsListed};
pub use reports::{CasePage, CasesAfter, ReportClient, ReportListing};

use crate::leading_bank::{IdempotencyKey, LeadingBank, Written, among_banks, call};

/// The most bytes of an answer: a page of principals with their keys.
const ANSWER_BYTES_MAX: usize = 16 << 20;

/// The texts and settings of a member, apart from its name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemberWords {
    /// Its name for people; may be empty.
    pub display_name: Text<{ Member::DISPLAY_NAME_LEN_MAX }>,
    /// The countries whose law it applies.
    pub jurisdictions: Jurisdictions,
    /// Whether others may know which opinions are its own; `None` leaves it unchanged.
    pub is_named: Option<bool>,
}

impl MemberWords {
    fn jurisdictions(&self) -> Vec<String> {
        self.jurisdictions.iter().map(str::to_owned).collect()
    }
}

/// A grant as the owner of its bank sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenGrant {
    /// The grant.
    pub grant: Grant,
    /// The name of the member that the bank is shared with. `None`: the bank's program is older than this
    /// field.
    pub member: Option<MemberName>,
}

impl TryFrom<pb::Grant> for GivenGrant {
    type Error = Invalid;

    fn try_from(mut message: pb::Grant) -> Result<Self, Invalid> {
        let name = std::mem::take(&mut message.member_name);
        let member = (!name.is_empty()).then(|| wire::member_name("member_name", &name)).transpose()?;
        Ok(Self { grant: message.try_into()?, member })
    }
}

/// The identity of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhoAmI {
    /// The member for whom it acts.
    pub member: Member,
    /// The principal; `None` while the consortium is off.
    pub principal: Option<PrincipalListing>,
    /// The limits of the member.
    pub quota: Quota,
}

/// Calls the bank, or the serving one of several banks on one database. Every write carries an idempotency
/// key, so writes are retried within their deadline like reads.
#[derive(Debug, Clone)]
pub struct ConsortiumClient {
    bank: LeadingBank<ConsortiumServiceClient<Channel>>,
}

impl ConsortiumClient {
    among_banks!(ConsortiumServiceClient, ANSWER_BYTES_MAX);

    /// Creates an active member without principals.
    pub async fn create_member(
        &self,
        name: &MemberName,
        words: &MemberWords,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Member>, CallError> {
        let request = pb::CreateMemberRequest {
            name: name.to_string(),
            display_name: words.display_name.to_string(),
            jurisdictions: words.jurisdictions(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::CreateMemberResponse = call!(self, deadline, create_member, CreateMember, request)?;
        self.member_written(answer.member, answer.sequence)
    }

    /// Reads a member and its limits.
    pub async fn get_member(
        &self,
        name: &MemberName,
        deadline: Instant,
    ) -> Result<Written<(Member, Quota)>, CallError> {
        let request = pb::GetMemberRequest { name: name.to_string() };
        let answer: pb::GetMemberResponse = call!(self, deadline, get_member, GetMember, request)?;
        let found = member(answer.member).and_then(|member| Ok((member, quota(answer.quota)?)));
        self.bank.written(found, answer.sequence)
    }

    /// Lists up to `page_size` members after `after` that the caller may read, by id.
    pub async fn list_members(
        &self,
        after: Option<MemberId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<Vec<Member>>, CallError> {
        let after_id = after.map_or(0, |member| member.0);
        let request = pb::ListMembersRequest { after_id, page_size: page_size.into() };
        let answer: pb::ListMembersResponse = call!(self, deadline, list_members, ListMembers, request)?;
        let members = answer.members.into_iter().map(Member::try_from).collect();
        self.bank.written(members, answer.sequence)
    }

    /// Replaces the texts and settings of a member.
    pub async fn update_member(
        &self,
        name: &MemberName,
        words: &MemberWords,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Member>, CallError> {
        let request = pb::UpdateMemberRequest {
            name: name.to_string(),
            display_name: words.display_name.to_string(),
            jurisdictions: words.jurisdictions(),
            is_named: words.is_named,
            idempotency_key: key.into_text(),
        };
        let answer: pb::UpdateMemberResponse = call!(self, deadline, update_member, UpdateMember, request)?;
        self.member_written(answer.member, answer.sequence)
    }

    /// Suspends or quarantines a member, or reactivates it.
    pub async fn set_member_state(
        &self,
        name: &MemberName,
        state: MemberState,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Member>, CallError> {
        let request = pb::SetMemberStateRequest {
            name: name.to_string(),
            state: wire::member_state_number(state),
            idempotency_key: key.into_text(),
        };
        let answer: pb::SetMemberStateResponse =
            call!(self, deadline, set_member_state, SetMemberState, request)?;
        self.member_written(answer.member, answer.sequence)
    }

    /// Sets the identity providers whose tokens name principals of a member.
    pub async fn set_token_issuers(
        &self,
        name: &MemberName,
        issuers: &TokenIssuers,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Member>, CallError> {
        let request = pb::SetTokenIssuersRequest {
            member: name.to_string(),
            token_issuers: issuers.iter().map(str::to_owned).collect(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::SetTokenIssuersResponse =
            call!(self, deadline, set_token_issuers, SetTokenIssuers, request)?;
        self.member_written(answer.member, answer.sequence)
    }

    /// Creates a principal.
    pub async fn create_principal(
        &self,
        new: NewPrincipal,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<PrincipalWithKey>, CallError> {
        let request = pb::CreatePrincipalRequest {
            member: named(new.member.as_ref()),
            roles: wire::role_numbers(new.roles),
            credential: Some(new.credential.into()),
            expires_at_unix_ms: new.expiry.to_wire(),
            note: new.note.to_string(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::CreatePrincipalResponse =
            call!(self, deadline, create_principal, CreatePrincipal, request)?;
        self.bank.written(PrincipalWithKey::new(answer.principal, answer.api_key), answer.sequence)
    }

    /// Lists up to `page_size` living principals of a member, or of the caller's, after `after`, by id.
    pub async fn list_principals(
        &self,
        member: Option<&MemberName>,
        after: Option<PrincipalId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<Vec<PrincipalListing>>, CallError> {
        let request = pb::ListPrincipalsRequest {
            member: named(member),
            after_id: after.map_or(0, |principal| principal.0),
            page_size: page_size.into(),
        };
        let answer: pb::ListPrincipalsResponse =
            call!(self, deadline, list_principals, ListPrincipals, request)?;
        let principals = answer.principals.into_iter().map(PrincipalListing::try_from).collect();
        self.bank.written(principals, answer.sequence)
    }

    /// Adds an API key to a principal that has one or two: the caller's own key, or one that the bank makes.
    /// The newest existing key stays valid for `overlap`, at most 30 days, in whole seconds.
    pub async fn rotate_key(
        &self,
        principal: PrincipalId,
        overlap: Duration,
        own: Option<&ApiKey>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<PrincipalWithKey>, CallError> {
        let request = pb::RotateKeyRequest {
            principal_id: principal.0,
            overlap_seconds: u32::try_from(overlap.as_secs()).unwrap_or(u32::MAX),
            idempotency_key: key.into_text(),
            api_key: own.map(|own| own.reveal().to_string()).unwrap_or_default(),
        };
        let answer: pb::RotateKeyResponse = call!(self, deadline, rotate_key, RotateKey, request)?;
        self.bank.written(PrincipalWithKey::new(answer.principal, answer.api_key), answer.sequence)
    }

    /// Revokes a principal.
    pub async fn revoke_principal(
        &self,
        principal: PrincipalId,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let request =
            pb::RevokePrincipalRequest { principal_id: principal.0, idempotency_key: key.into_text() };
        let answer: pb::RevokePrincipalResponse =
            call!(self, deadline, revoke_principal, RevokePrincipal, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Sets the capabilities of another member on a bank of the caller's member.
    pub async fn put_grant(
        &self,
        bank: &BankRef,
        member: &MemberName,
        capabilities: Capabilities,
        expiry: Expiry,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Grant>, CallError> {
        let request = pb::PutGrantRequest {
            bank: bank.to_string(),
            member: member.to_string(),
            capabilities: wire::capability_numbers(capabilities),
            expires_at_unix_ms: expiry.to_wire(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::PutGrantResponse = call!(self, deadline, put_grant, PutGrant, request)?;
        self.grant_written(answer.grant, answer.sequence)
    }

    /// Revokes a grant.
    pub async fn revoke_grant(
        &self,
        bank: &BankRef,
        member: &MemberName,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let request = pb::RevokeGrantRequest {
            bank: bank.to_string(),
            member: member.to_string(),
            idempotency_key: key.into_text(),
        };
        let answer: pb::RevokeGrantResponse = call!(self, deadline, revoke_grant, RevokeGrant, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Sets or removes the alias of the caller's member for a bank that is shared with it.
    pub async fn set_alias(
        &self,
        bank: &BankRef,
        alias: Option<&BankName>,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<Grant>, CallError> {
        let request = pb::SetAliasRequest {
            bank: bank.to_string(),
            alias: named(alias),
            idempotency_key: key.into_text(),
        };
        let answer: pb::SetAliasResponse = call!(self, deadline, set_alias, SetAlias, request)?;
        self.grant_written(answer.grant, answer.sequence)
    }

    /// Lists up to `page_size` grants of a bank of the caller's member, to members after `after`, by member,
    /// with the members' names.
    pub async fn list_grants_of(
        &self,
        bank: &BankRef,
        after: Option<MemberId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<Vec<GivenGrant>>, CallError> {
        let after_id = after.map_or(0, |member| member.0);
        self.list_grants(bank.to_string(), after_id, page_size, deadline).await
    }

    /// Lists up to `page_size` grants that the caller's member has received, of banks after `after`, by bank.
    pub async fn list_received_grants(
        &self,
        after: Option<BankId>,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<Vec<Grant>>, CallError> {
        self.list_grants(String::new(), after.map_or(0, |bank| bank.0), page_size, deadline).await
    }

    async fn list_grants<T: TryFrom<pb::Grant, Error = Invalid>>(
        &self,
        bank: String,
        after_id: u32,
        page_size: u16,
        deadline: Instant,
    ) -> Result<Written<Vec<T>>, CallError> {
        let request = pb::ListGrantsRequest { bank, after_id, page_size: page_size.into() };
        let answer: pb::ListGrantsResponse = call!(self, deadline, list_grants, ListGrants, request)?;
        self.bank.written(answer.grants.into_iter().map(T::try_from).collect(), answer.sequence)
    }

    /// Sets the limits of a member.
    pub async fn set_quota(
        &self,
        member: &MemberName,
        quota: Quota,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let request = pb::SetQuotaRequest {
            member: member.to_string(),
            quota: Some(quota.into()),
            idempotency_key: key.into_text(),
        };
        let answer: pb::SetQuotaResponse = call!(self, deadline, set_quota, SetQuota, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Sets the charter of a bank.
    pub async fn set_charter(
        &self,
        bank: &BankRef,
        charter: Charter,
        key: IdempotencyKey,
        deadline: Instant,
    ) -> Result<Written<()>, CallError> {
        let request = pb::SetCharterRequest {
            bank: bank.to_string(),
            charter: Some(charter.into()),
            idempotency_key: key.into_text(),
        };
        let answer: pb::SetCharterResponse = call!(self, deadline, set_charter, SetCharter, request)?;
        self.bank.written(Ok(()), answer.sequence)
    }

    /// Reads the charter of a bank.
    pub async fn get_charter(
        &self,
        bank: &BankRef,
        deadline: Instant,
    ) -> Result<Written<Charter>, CallError> {
        let request = pb::GetCharterRequest { bank: bank.to_string() };
        let answer: pb::GetCharterResponse = call!(self, deadline, get_charter, GetCharter, request)?;
        let charter = answer.charter.ok_or_else(|| Invalid::missing("charter")).and_then(Charter::try_from);
        self.bank.written(charter, answer.sequence)
    }

    /// Reads the identity of the caller.
    pub async fn who_am_i(&self, deadline: Instant) -> Result<Written<WhoAmI>, CallError> {
        let answer: pb::WhoAmIResponse = call!(self, deadline, who_am_i, WhoAmI, pb::WhoAmIRequest {})?;
        let sequence = answer.sequence;
        self.bank.written(answer.try_into(), sequence)
    }

    fn member_written(
        &self,
        answered: Option<pb::Member>,
        sequence: u64,
    ) -> Result<Written<Member>, CallError> {
        self.bank.written(member(answered), sequence)
    }

    fn grant_written(&self, grant: Option<pb::Grant>, sequence: u64) -> Result<Written<Grant>, CallError> {
        let grant = grant.ok_or_else(|| Invalid::missing("grant")).and_then(Grant::try_from);
        self.bank.written(grant, sequence)
    }
}

impl TryFrom<pb::WhoAmIResponse> for WhoAmI {
    type Error = Invalid;

    fn try_from(message: pb::WhoAmIResponse) -> Result<Self, Invalid> {
        Ok(Self {
            member: member(message.member)?,
            principal: message.principal.map(PrincipalListing::try_from).transpose()?,
            quota: quota(message.quota)?,
        })
    }
}

fn member(member: Option<pb::Member>) -> Result<Member, Invalid> {
    member.ok_or_else(|| Invalid::missing("member"))?.try_into()
}

/// Reads a quota. A missing quota has no limit.
fn quota(quota: Option<pb::Quota>) -> Result<Quota, Invalid> {
    quota.unwrap_or_default().try_into()
}

/// Returns the text of a name; empty for none.
fn named(name: Option<&impl ToString>) -> String {
    name.map(ToString::to_string).unwrap_or_default()
}
