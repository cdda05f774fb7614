//! `/v1/members/{member}/quota`, `/v1/banks/{bank}/charter`: limits of members, and the terms of banks. Both are set as a whole, so that
//! nothing is lifted by being forgotten.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_consortium::{Charter, CharterDraft, MemberName};

use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::members::objects::QuotaObject;
use crate::v1::request::{Call, In, Once, Sent};
use crate::v1::values::{bank_of, value};

/// The limits of a member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberQuota {
    /// The member.
    member: String,
    /// Its limits.
    quota: QuotaObject,
    /// As of this change, or the change that made it so.
    sequence: u64,
}

/// What a bank asks of its contributors, and what it keeps.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CharterObject {
    /// The taxonomies that items take their classification from, at most 8; none for any.
    #[serde(deserialize_with = "at_most::<_, _, 8>")]
    #[schema(max_items = 8)]
    taxonomies: Vec<String>,
    /// A removal of this many items or more needs two people; 0 for never.
    two_person_items: u32,
    /// Hours until the hash of a withdrawn item is in no file any more, 1 to 8760; 0 for 72.
    purge_hours: u32,
}

/// The charter of a bank.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BankCharter {
    /// The bank.
    bank: String,
    /// Its charter.
    charter: CharterObject,
    /// As of this change, or the change that made it so.
    sequence: u64,
}

impl From<&Charter> for CharterObject {
    fn from(charter: &Charter) -> Self {
        Self {
            taxonomies: charter.taxonomies().iter().map(ToString::to_string).collect(),
            two_person_items: charter.two_person_items().unwrap_or(0),
            purge_hours: charter.purge_hours().into(),
        }
    }
}

impl CharterObject {
    fn read(self) -> Result<Charter, Problem> {
        let Self { taxonomies, two_person_items, purge_hours } = self;
        let draft = CharterDraft { taxonomies, two_person_items, purge_hours, ..CharterDraft::default() };
        Charter::try_from(draft).map_err(|why| Problem::field(why.field(), why))
    }
}

/// Shows the limits of a member
#[utoipa::path(
    get, path = "/members/{member}/quota", tag = "members",
    params(("member" = String, Path, description = "Its name")),
    responses((status = 200, description = "The limits", body = MemberQuota))
)]
pub(crate) async fn show_quota(call: Call, In(name): In<String>) -> Result<Json<MemberQuota>, Problem> {
    let name: MemberName = value("member", &name)?;
    let found = call.caller.members().get_member(&name, call.deadline()).await?;
    let (member, quota) = &found.value;
    let member = member.name.to_string();
    Ok(Json(MemberQuota { member, quota: quota.into(), sequence: found.sequence.0 }))
}

/// Sets the limits of a member
#[utoipa::path(
    put, path = "/members/{member}/quota", tag = "members",
    params(("member" = String, Path, description = "Its name"), Once), request_body = QuotaObject,
    responses((status = 200, description = "The limits", body = MemberQuota))
)]
pub(crate) async fn set_quota(
    call: Call,
    In(name): In<String>,
    sent: Sent<QuotaObject>,
) -> Result<Json<MemberQuota>, Problem> {
    let (name, quota) = (value::<MemberName>("member", &name)?, sent.asked.read()?);
    let set = call.caller.members().set_quota(&name, quota, call.key(), call.deadline()).await?;
    Ok(Json(MemberQuota { member: name.to_string(), quota: (&quota).into(), sequence: set.sequence.0 }))
}

/// Shows the charter of a bank
#[utoipa::path(
    get, path = "/banks/{bank}/charter", tag = "members",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded")),
    responses((status = 200, description = "The charter", body = BankCharter))
)]
pub(crate) async fn show_charter(call: Call, In(bank): In<String>) -> Result<Json<BankCharter>, Problem> {
    let bank = bank_of(&bank)?;
    let found = call.caller.members().get_charter(&bank, call.deadline()).await?;
    Ok(Json(BankCharter {
        bank: bank.to_string(),
        charter: (&found.value).into(),
        sequence: found.sequence.0,
    }))
}

/// Sets the charter of a bank
#[utoipa::path(
    put, path = "/banks/{bank}/charter", tag = "members",
    params(("bank" = String, Path, description = "Its name, or `owner/name`, percent-encoded"), Once),
    request_body = CharterObject,
    responses((status = 200, description = "The charter", body = BankCharter))
)]
pub(crate) async fn set_charter(
    call: Call,
    In(bank): In<String>,
    sent: Sent<CharterObject>,
) -> Result<Json<BankCharter>, Problem> {
    let (bank, charter) = (bank_of(&bank)?, sent.asked.read()?);
    let shown = (&charter).into();
    let set = call.caller.members().set_charter(&bank, charter, call.key(), call.deadline()).await?;
    Ok(Json(BankCharter { bank: bank.to_string(), charter: shown, sequence: set.sequence.0 }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charter_is_read_as_it_is_shown() {
        let taxonomies = vec!["iwf".to_owned()];
        let draft =
            CharterDraft { taxonomies, two_person_items: 9, purge_hours: 5, ..CharterDraft::default() };
        let charter = Charter::try_from(draft).unwrap();
        assert_eq!(CharterObject::from(&charter).read(), Ok(charter.clone()));
        let wrong = CharterObject { purge_hours: 9_000, ..(&charter).into() };
        assert_eq!(wrong.read().unwrap_err().field.as_deref(), Some("purge_hours"));
    }
}
