//! `/v1/banks/{bank}/grants`, `/v1/banks/{bank}/alias`, `/v1/grants`: banks that are shared with other
//! members.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_consortium::{MemberId, MemberName};
use vigie_model::{BankId, BankName};

use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::members::objects::GrantObject;
use crate::v1::request::{Call, In, Once, PageOptions, Sent};
use crate::v1::values::{bank_of, expiry, value, words};

/// The capabilities that another member is to have in a bank, and until when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantAsked {
    /// At least one of `match`, `see-details`, `opine`, `contribute`, `see-hashes`.
    #[serde(deserialize_with = "at_most::<_, _, 8>")]
    #[schema(min_items = 1, max_items = 8)]
    capabilities: Vec<String>,
    /// Milliseconds since 1970, from which on the bank is not shared any more; `null` for never.
    expires_at_unix_ms: Option<u64>,
}

/// The caller's member's own name for a bank that is shared with it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AliasAsked {
    /// A name, unique among those of its banks and aliases.
    alias: String,
}

/// A page of grants.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantPage {
    /// The grants of a bank, ordered by member, or those of a member, ordered by bank.
    grants: Vec<GrantObject>,
    /// The id of the member, or of the bank, after which the next page begins; `null` on the last page.
    next_after: Option<u32>,
    /// The answer is as of this change.
    sequence: u64,
}

/// A grant after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WrittenGrant {
    /// The grant.
    grant: GrantObject,
    /// The change.
    sequence: u64,
}

/// A grant that was taken back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokedGrant {
    /// The bank.
    bank: String,
    /// The member that it was shared with.
    member: String,
    /// The change.
    sequence: u64,
}

/// Lists the grants of a bank of the caller's member
#[utoipa::path(
    get, path = "/banks/{bank}/grants", tag = "members",
    params(("bank" = String, Path, description = "Its name"), PageOptions),
    responses((status = 200, description = "A page of grants", body = GrantPage))
)]
pub(crate) async fn list_grants(
    call: Call<PageOptions>,
    In(bank): In<String>,
) -> Result<Json<GrantPage>, Problem> {
    let (bank, size, after) = (bank_of(&bank)?, call.options.size()?, call.options.after(MemberId)?);
    let listed = call.caller.members().list_grants_of(&bank, after, size, call.deadline()).await?;
    let is_full = listed.value.len() >= usize::from(size);
    Ok(Json(GrantPage {
        next_after: listed.value.last().filter(|_| is_full).map(|given| given.grant.member.0),
        grants: listed
            .value
            .iter()
            .map(|given| GrantObject::new(&given.grant, given.member.as_ref()))
            .collect(),
        sequence: listed.sequence.0,
    }))
}

/// Lists the grants that the caller's member has received
#[utoipa::path(
    get, path = "/grants", tag = "members", params(PageOptions),
    responses((status = 200, description = "A page of grants", body = GrantPage))
)]
pub(crate) async fn list_received_grants(call: Call<PageOptions>) -> Result<Json<GrantPage>, Problem> {
    let (size, after) = (call.options.size()?, call.options.after(BankId)?);
    let listed = call.caller.members().list_received_grants(after, size, call.deadline()).await?;
    let is_full = listed.value.len() >= usize::from(size);
    Ok(Json(GrantPage {
        next_after: listed.value.last().filter(|_| is_full).map(|grant| grant.bank.0),
        grants: listed.value.iter().map(|grant| GrantObject::new(grant, None)).collect(),
        sequence: listed.sequence.0,
    }))
}

/// Grants another member capabilities in a bank of the caller's member
#[utoipa::path(
    put, path = "/banks/{bank}/grants/{member}", tag = "members",
    params(
        ("bank" = String, Path, description = "Its name"),
        ("member" = String, Path, description = "The other member's name"),
        Once
    ),
    request_body = GrantAsked,
    responses((status = 200, description = "The grant", body = WrittenGrant))
)]
pub(crate) async fn put_grant(
    call: Call,
    In((bank, member)): In<(String, String)>,
    sent: Sent<GrantAsked>,
) -> Result<Json<WrittenGrant>, Problem> {
    let (bank, member) = (bank_of(&bank)?, value::<MemberName>("member", &member)?);
    let capabilities = words("capabilities", &sent.asked.capabilities)?;
    let end = expiry("expires_at_unix_ms", sent.asked.expires_at_unix_ms)?;
    let members = call.caller.members();
    let put = members.put_grant(&bank, &member, capabilities, end, call.key(), call.deadline()).await?;
    call.wrote(put.sequence);
    Ok(Json(WrittenGrant { grant: GrantObject::new(&put.value, Some(&member)), sequence: put.sequence.0 }))
}

/// Revokes a grant
#[utoipa::path(
    delete, path = "/banks/{bank}/grants/{member}", tag = "members",
    params(
        ("bank" = String, Path, description = "Its name"),
        ("member" = String, Path, description = "The other member's name"),
        Once
    ),
    responses((status = 200, description = "The bank is not shared any more", body = RevokedGrant))
)]
pub(crate) async fn revoke_grant(
    call: Call,
    In((bank, member)): In<(String, String)>,
) -> Result<Json<RevokedGrant>, Problem> {
    let (bank, member) = (bank_of(&bank)?, value::<MemberName>("member", &member)?);
    let revoked = call.caller.members().revoke_grant(&bank, &member, call.key(), call.deadline()).await?;
    call.wrote(revoked.sequence);
    let (bank, member) = (bank.to_string(), member.to_string());
    Ok(Json(RevokedGrant { bank, member, sequence: revoked.sequence.0 }))
}

/// Sets the alias of the caller's member for a bank that is shared with it
#[utoipa::path(
    put, path = "/banks/{bank}/alias", tag = "members",
    params(("bank" = String, Path, description = "`owner/name`, percent-encoded"), Once), request_body = AliasAsked,
    responses((status = 200, description = "The grant", body = WrittenGrant))
)]
pub(crate) async fn set_alias(
    call: Call,
    In(bank): In<String>,
    sent: Sent<AliasAsked>,
) -> Result<Json<WrittenGrant>, Problem> {
    let alias: BankName = value("alias", &sent.asked.alias)?;
    alias_of(&call, &bank, Some(&alias)).await
}

/// Removes the alias of the caller's member for a shared bank
#[utoipa::path(
    delete, path = "/banks/{bank}/alias", tag = "members",
    params(("bank" = String, Path, description = "`owner/name` or the alias, percent-encoded"), Once),
    responses((status = 200, description = "The grant", body = WrittenGrant))
)]
pub(crate) async fn remove_alias(call: Call, In(bank): In<String>) -> Result<Json<WrittenGrant>, Problem> {
    alias_of(&call, &bank, None).await
}

async fn alias_of(call: &Call, bank: &str, alias: Option<&BankName>) -> Result<Json<WrittenGrant>, Problem> {
    let bank = bank_of(bank)?;
    let set = call.caller.members().set_alias(&bank, alias, call.key(), call.deadline()).await?;
    call.wrote(set.sequence);
    Ok(Json(WrittenGrant { grant: GrantObject::new(&set.value, None), sequence: set.sequence.0 }))
}
