//! `/v1/principals`: the machines and people of a member, and their credentials.

use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize, Serializer};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::{Code, NewCredential, NewPrincipal, PrincipalWithKey, Written};
use vigie_consortium::{MemberName, PrincipalId, TokenSubject};
use vigie_credentials::api_key::ApiKey;
use zeroize::Zeroizing;

use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::members::objects::PrincipalObject;
use crate::v1::request::{Call, In, Once, Sent, page_size};
use crate::v1::values::{expiry, principal, text, value, words};

/// The longest time for which the previous key stays valid after a rotation: 30 days.
const OVERLAP_SECONDS_MAX: u32 = 30 * 24 * 3_600;

/// The options of a list of principals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PrincipalOptions {
    /// The member's name; the caller's member where it is not given.
    member: Option<String>,
    /// The id after which the page begins: the `next_after` of the page before.
    after: Option<u64>,
    /// Entries of the page, 1 to 1000; 100 where it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// A page of principals.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PrincipalPage {
    /// Ordered by id.
    principals: Vec<PrincipalObject>,
    /// The id after which the next page begins; `null` on the last page.
    next_after: Option<u64>,
    /// The answer is as of this change.
    sequence: u64,
}

/// A principal that is to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPrincipalAsked {
    /// Its member's name; the caller's member where it is not given.
    member: Option<String>,
    /// At least one of `matcher`, `contributor`, `reviewer`, `administrator`, `auditor`, `operator`.
    #[serde(deserialize_with = "at_most::<_, _, 8>")]
    #[schema(min_items = 1, max_items = 8)]
    roles: Vec<String>,
    /// Its credential; an API key that the bank makes where it is not given.
    credential: Option<CredentialAsked>,
    /// Milliseconds since 1970: from then on it is refused; `null` for never.
    expires_at_unix_ms: Option<u64>,
    /// A note for people who read a list, at most 256 bytes.
    #[serde(default)]
    note: String,
    /// Confirms that the first principal turns members on, permanently: from then on every call needs a
    /// credential. The first principal is created only if this is `true`.
    #[serde(default)]
    turn_on: bool,
}

/// The credential of a new principal.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum CredentialAsked {
    /// A client certificate, by its name.
    SpiffeId(String),
    /// An API key that the caller has made.
    ApiKey(String),
    /// A token of an identity provider.
    Token {
        /// The token's `iss`.
        issuer: String,
        /// The token's `sub`.
        subject: String,
    },
}

/// A principal with the API key that was made for it.
#[derive(Serialize, ToSchema)]
pub(crate) struct PrincipalMade {
    /// The principal.
    principal: PrincipalObject,
    /// The key that the bank made, returned only in this answer. `null` where the caller named a credential,
    /// and where a lost request was repeated with its `Idempotency-Key`: a rotation then makes another key.
    #[serde(serialize_with = "revealed")]
    #[schema(value_type = Option<String>)]
    api_key: Option<Zeroizing<String>>,
    /// The change.
    sequence: u64,
}

fn revealed<S: Serializer>(key: &Option<Zeroizing<String>>, to: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(|key| key.as_str()).serialize(to)
}

/// A rotation of an API key.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateAsked {
    /// Seconds for which the previous key stays valid, at most 2592000 (30 days); 0 refuses it at once.
    #[schema(maximum = 2_592_000)]
    overlap_seconds: u32,
    /// The new key, if the caller has made it; otherwise the bank makes one.
    api_key: Option<String>,
}

/// A principal that was revoked.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RevokedPrincipal {
    /// Its id.
    revoked_principal_id: u64,
    /// The change.
    sequence: u64,
}

/// Reads an API key that its caller made. The error never repeats the key.
fn own_key(field: &str, key: String) -> Result<ApiKey, Problem> {
    let key = Zeroizing::new(key);
    ApiKey::parse(&key).map_err(|why| Problem::field(field, why))
}

impl CredentialAsked {
    fn read(self) -> Result<NewCredential, Problem> {
        Ok(match self {
            Self::SpiffeId(id) => NewCredential::Certificate(value("credential.spiffe_id", &id)?),
            Self::ApiKey(key) => NewCredential::OwnKey(own_key("credential.api_key", key)?),
            Self::Token { issuer, subject } => {
                let token = TokenSubject::new(&issuer, &subject);
                NewCredential::Token(token.map_err(|why| Problem::field("credential.token", why))?)
            }
        })
    }
}

fn made(made: &Written<PrincipalWithKey>) -> PrincipalMade {
    PrincipalMade {
        principal: (&made.value.principal).into(),
        api_key: made.value.key.as_ref().map(ApiKey::reveal),
        sequence: made.sequence.0,
    }
}

/// Lists the living principals of a member
#[utoipa::path(
    get, path = "/principals", tag = "members", params(PrincipalOptions),
    responses((status = 200, description = "A page of principals", body = PrincipalPage))
)]
pub(crate) async fn list_principals(call: Call<PrincipalOptions>) -> Result<Json<PrincipalPage>, Problem> {
    let PrincipalOptions { member, after, limit } = &call.options;
    let (size, after) = (page_size(*limit)?, after.map(PrincipalId));
    let member: Option<MemberName> = member.as_deref().map(|name| value("member", name)).transpose()?;
    let members = call.caller.members();
    let listed = members.list_principals(member.as_ref(), after, size, call.deadline()).await?;
    let is_full = listed.value.len() >= usize::from(size);
    Ok(Json(PrincipalPage {
        next_after: listed.value.last().filter(|_| is_full).map(|principal| principal.id.0),
        principals: listed.value.iter().map(Into::into).collect(),
        sequence: listed.sequence.0,
    }))
}

/// Creates a principal
///
/// Only this answer has its API key. The first principal of a deployment turns members on: see `turn_on`.
#[utoipa::path(
    post, path = "/principals", tag = "members", params(Once), request_body = NewPrincipalAsked,
    responses((status = 201, description = "The principal, and its key", body = PrincipalMade))
)]
pub(crate) async fn create_principal(call: Call, sent: Sent<NewPrincipalAsked>) -> Result<Response, Problem> {
    let NewPrincipalAsked { member, roles, credential, expires_at_unix_ms, note, turn_on } = sent.asked;
    let new = NewPrincipal {
        member: member.as_deref().map(|name| value("member", name)).transpose()?,
        roles: words("roles", &roles)?,
        credential: credential.map_or(Ok(NewCredential::ApiKey), CredentialAsked::read)?,
        expiry: expiry("expires_at_unix_ms", expires_at_unix_ms)?,
        note: text("note", &note)?,
    };
    let (members, deadline) = (call.caller.members(), call.deadline());
    if !turn_on && members.who_am_i(deadline).await?.value.principal.is_none() {
        let why = "this would be the first principal: from then on every call needs a credential; send \"turn_on\": true";
        return Err(Problem::of_code(Code::FailedPrecondition, why));
    }
    let answer = made(&members.create_principal(new, call.key(), deadline).await?);
    Ok((StatusCode::CREATED, Json(answer)).into_response())
}

/// Gives a principal another API key
///
/// Only this answer has the key.
#[utoipa::path(
    post, path = "/principals/{principal_id}/rotate", tag = "members",
    params(("principal_id" = u64, Path, description = "Its id"), Once), request_body = RotateAsked,
    responses((status = 200, description = "The principal, and its new key", body = PrincipalMade))
)]
pub(crate) async fn rotate_key(
    call: Call,
    In(id): In<String>,
    sent: Sent<RotateAsked>,
) -> Result<Json<PrincipalMade>, Problem> {
    let id = principal(&id)?;
    let RotateAsked { overlap_seconds, api_key } = sent.asked;
    if overlap_seconds > OVERLAP_SECONDS_MAX {
        let why = format!("is {overlap_seconds}; it must be 0 to {OVERLAP_SECONDS_MAX}");
        return Err(Problem::field("overlap_seconds", why));
    }
    let (own, overlap) = (
        api_key.map(|key| own_key("api_key", key)).transpose()?,
        Duration::from_secs(overlap_seconds.into()),
    );
    let members = call.caller.members();
    let rotated = members.rotate_key(id, overlap, own.as_ref(), call.key(), call.deadline()).await?;
    Ok(Json(made(&rotated)))
}

/// Revokes a principal
#[utoipa::path(
    delete, path = "/principals/{principal_id}", tag = "members",
    params(("principal_id" = u64, Path, description = "Its id"), Once),
    responses((status = 200, description = "The principal was revoked", body = RevokedPrincipal))
)]
pub(crate) async fn revoke_principal(
    call: Call,
    In(id): In<String>,
) -> Result<Json<RevokedPrincipal>, Problem> {
    let id = principal(&id)?;
    let revoked = call.caller.members().revoke_principal(id, call.key(), call.deadline()).await?;
    Ok(Json(RevokedPrincipal { revoked_principal_id: id.0, sequence: revoked.sequence.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_read_and_a_key_never_repeated() {
        let read = |text: &str| serde_json::from_str::<CredentialAsked>(text).unwrap().read();
        let certificate = read(r#"{"spiffe_id":"spiffe://d/member/acme/a"}"#).unwrap();
        assert!(matches!(certificate, NewCredential::Certificate(_)));
        let token = read(r#"{"token":{"issuer":"https://idp","subject":"a"}}"#).unwrap();
        assert!(matches!(token, NewCredential::Token(_)));
        let key = ApiKey::generate().unwrap().reveal();
        let own = read(&format!(r#"{{"api_key":"{}"}}"#, key.as_str())).unwrap();
        assert!(matches!(own, NewCredential::OwnKey(_)));
        let problem = read(&format!(r#"{{"api_key":"{}"}}"#, &key[..70])).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("credential.api_key"));
        assert!(!format!("{problem:?}").contains(&key[30..40]));
        assert!(serde_json::from_str::<CredentialAsked>(r#"{"password":"x"}"#).is_err());
    }
}
