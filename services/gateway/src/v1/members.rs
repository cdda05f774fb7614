//! `/v1/whoami`, `/v1/members`, `/v1/policy`: the members, the caller's identity, and the policies by which
//! matches are decided.

mod objects;
pub(super) mod principals;
pub(super) mod grants;
pub(super) mod settings;
pub(crate) mod policies;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_clients::{MemberWords, WhoAmI, Written};
use vigie_consortium::{Jurisdictions, Member, MemberId, MemberName, MemberState, TokenIssuers};

use crate::problem::Problem;
use crate::v1::faults::{at_most, some_at_most};
use crate::v1::members::objects::{MemberObject, PrincipalObject, QuotaObject};
use crate::v1::request::{Call, In, Once, PageOptions, Sent};
use crate::v1::values::{text, value};

/// The caller's member and principal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WhoAmIObject {
    /// The member that the caller acts for.
    member: MemberObject,
    /// The principal; `null` in a deployment without members, where every caller acts for the host with every
    /// role.
    principal: Option<PrincipalObject>,
    /// The limits of the member.
    quota: QuotaObject,
    /// The answer is as of this change.
    sequence: u64,
}

/// A page of members.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberPage {
    /// Ordered by id.
    members: Vec<MemberObject>,
    /// The id after which the next page begins; `null` on the last page.
    next_after: Option<u32>,
    /// The answer is as of this change.
    sequence: u64,
}

/// A member and its limits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownMember {
    /// The member.
    member: MemberObject,
    /// Its limits.
    quota: QuotaObject,
    /// The answer is as of this change.
    sequence: u64,
}

/// A member after a change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct WrittenMember {
    /// The member.
    member: MemberObject,
    /// The change.
    sequence: u64,
}

/// A member that is to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewMember {
    /// 1 to 63 of a-z 0-9 - that begin with a letter.
    name: String,
    /// Its name for people, at most 128 bytes.
    #[serde(default)]
    display_name: String,
    /// The countries whose law it applies (ISO 3166-1), at most 64.
    #[serde(default, deserialize_with = "at_most::<_, _, 64>")]
    #[schema(max_items = 64)]
    jurisdictions: Vec<String>,
}

/// The changes to a member; a field that is not given stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MemberPatch {
    /// Its name for people, at most 128 bytes.
    display_name: Option<String>,
    /// The countries whose law it applies (ISO 3166-1), at most 64.
    #[serde(default, deserialize_with = "some_at_most::<_, _, 64>")]
    #[schema(max_items = 64)]
    jurisdictions: Option<Vec<String>>,
    /// The identity providers whose tokens name its principals, at most 8.
    #[serde(default, deserialize_with = "some_at_most::<_, _, 8>")]
    #[schema(max_items = 8)]
    token_issuers: Option<Vec<String>>,
    /// `active`, `suspended` or `quarantined`.
    state: Option<String>,
    /// Whether others may see that an opinion is the member's.
    is_named: Option<bool>,
}

fn state(name: &str) -> Result<MemberState, Problem> {
    match name {
        "active" => Ok(MemberState::Active),
        "suspended" => Ok(MemberState::Suspended),
        "quarantined" => Ok(MemberState::Quarantined),
        _ => Err(Problem::field("state", "is active, suspended or quarantined")),
    }
}

fn jurisdictions(codes: &[String]) -> Result<Jurisdictions, Problem> {
    Jurisdictions::new(codes).map_err(|why| Problem::field("jurisdictions", why))
}

/// Shows who the caller is
#[utoipa::path(
    get, path = "/whoami", tag = "members",
    responses((status = 200, description = "The member, the principal and the limits", body = WhoAmIObject))
)]
pub(super) async fn who_am_i(call: Call) -> Result<Json<WhoAmIObject>, Problem> {
    let Written { value, sequence } = call.caller.members().who_am_i(call.deadline()).await?;
    let WhoAmI { member, principal, quota } = value;
    Ok(Json(WhoAmIObject {
        member: (&member).into(),
        principal: principal.as_ref().map(Into::into),
        quota: (&quota).into(),
        sequence: sequence.0,
    }))
}

/// Lists the members that the caller may read
#[utoipa::path(
    get, path = "/members", tag = "members", params(PageOptions),
    responses((status = 200, description = "A page of members", body = MemberPage))
)]
pub(super) async fn list_members(call: Call<PageOptions>) -> Result<Json<MemberPage>, Problem> {
    let (size, after) = (call.options.size()?, call.options.after(MemberId)?);
    let members = call.caller.members();
    let Written { value: members, sequence } = members.list_members(after, size, call.deadline()).await?;
    let is_full = members.len() >= usize::from(size);
    Ok(Json(MemberPage {
        next_after: members.last().filter(|_| is_full).map(|member| member.id.0),
        members: members.iter().map(Into::into).collect(),
        sequence: sequence.0,
    }))
}

/// Creates an active member without principals
#[utoipa::path(
    post, path = "/members", tag = "members", params(Once), request_body = NewMember,
    responses((status = 201, description = "The member", body = WrittenMember))
)]
pub(super) async fn create_member(call: Call, sent: Sent<NewMember>) -> Result<Response, Problem> {
    let NewMember { name, display_name, jurisdictions: countries } = sent.asked;
    let name: MemberName = value("name", &name)?;
    let words = MemberWords {
        display_name: text("display_name", &display_name)?,
        jurisdictions: jurisdictions(&countries)?,
        is_named: None,
    };
    let made = call.caller.members().create_member(&name, &words, call.key(), call.deadline()).await?;
    // The letters of a member's name need no escape in a path.
    let location = [(header::LOCATION, format!("/v1/members/{name}"))];
    Ok((StatusCode::CREATED, location, Json(written(&made))).into_response())
}

/// Shows a member and its limits
#[utoipa::path(
    get, path = "/members/{member}", tag = "members",
    params(("member" = String, Path, description = "Its name")),
    responses((status = 200, description = "The member", body = ShownMember))
)]
pub(super) async fn show_member(call: Call, In(name): In<String>) -> Result<Json<ShownMember>, Problem> {
    let name: MemberName = value("member", &name)?;
    let Written { value, sequence } = call.caller.members().get_member(&name, call.deadline()).await?;
    let (member, quota) = value;
    Ok(Json(ShownMember { member: (&member).into(), quota: (&quota).into(), sequence: sequence.0 }))
}

/// Changes a member
///
/// The fields `display_name`, `jurisdictions` and `is_named` are one write, `token_issuers` and `state` one
/// each, in that order. If one fails, those before it are done, and the request can be sent again.
#[utoipa::path(
    patch, path = "/members/{member}", tag = "members",
    params(("member" = String, Path, description = "Its name"), Once), request_body = MemberPatch,
    responses((status = 200, description = "The member", body = WrittenMember))
)]
pub(super) async fn change_member(
    call: Call,
    In(name): In<String>,
    sent: Sent<MemberPatch>,
) -> Result<Json<WrittenMember>, Problem> {
    let name: MemberName = value("member", &name)?;
    let MemberPatch { display_name, jurisdictions: countries, token_issuers, state: new_state, is_named } =
        sent.asked;
    let display_name = display_name.map(|given| text("display_name", &given)).transpose()?;
    let countries = countries.map(|codes| jurisdictions(&codes)).transpose()?;
    let issuers = token_issuers.map(|issuers| TokenIssuers::new(&issuers)).transpose();
    let issuers = issuers.map_err(|why| Problem::field("token_issuers", why))?;
    let new_state = new_state.map(|name| state(&name)).transpose()?;
    let (members, deadline) = (call.caller.members(), call.deadline());
    let Written { value: (before, _), sequence } = members.get_member(&name, deadline).await?;
    let mut changed = Written { value: before, sequence };
    if display_name.is_some() || countries.is_some() || is_named.is_some() {
        let words = MemberWords {
            display_name: display_name.unwrap_or_else(|| changed.value.display_name.clone()),
            jurisdictions: countries.unwrap_or_else(|| changed.value.jurisdictions.clone()),
            is_named,
        };
        changed = members.update_member(&name, &words, call.key_of("words")?, deadline).await?;
    }
    if let Some(issuers) = issuers {
        changed = members.set_token_issuers(&name, &issuers, call.key_of("issuers")?, deadline).await?;
    }
    if let Some(new_state) = new_state {
        changed = members.set_member_state(&name, new_state, call.key_of("state")?, deadline).await?;
    }
    Ok(Json(written(&changed)))
}

fn written(made: &Written<Member>) -> WrittenMember {
    WrittenMember { member: (&made.value).into(), sequence: made.sequence.0 }
}
