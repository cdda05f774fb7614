//! Members, principals and grants in JSON. The fields are those that the command line prints.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_clients::{KeyListing, PrincipalCredential, PrincipalListing};
use vigie_consortium::{Amount, Grant, Member, MemberName, Quota};

use crate::problem::Problem;
use crate::v1::values::{moment, names};

/// A member.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberObject {
    /// Its name.
    member: String,
    /// Its id.
    member_id: u32,
    /// Its name for people; may be empty.
    display_name: String,
    /// `active`, `suspended` or `quarantined`.
    state: String,
    /// The countries whose law it applies.
    jurisdictions: Vec<String>,
    /// The identity providers whose tokens name its principals.
    token_issuers: Vec<String>,
    /// Milliseconds since 1970; 0 for the host.
    created_at_unix_ms: u64,
    /// Whether others may see that an opinion is the member's.
    is_named: bool,
}

impl From<&Member> for MemberObject {
    fn from(member: &Member) -> Self {
        Self {
            member: member.name.to_string(),
            member_id: member.id.0,
            display_name: member.display_name.to_string(),
            state: member.state.to_string(),
            jurisdictions: member.jurisdictions.iter().map(str::to_owned).collect(),
            token_issuers: member.token_issuers.iter().map(str::to_owned).collect(),
            created_at_unix_ms: member.created_at.0,
            is_named: member.is_named,
        }
    }
}

/// A principal.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PrincipalObject {
    /// Its id.
    principal_id: u64,
    /// Its member's id.
    member_id: u32,
    /// Names of roles.
    roles: Vec<&'static str>,
    /// Its credential.
    credential: CredentialObject,
    /// Milliseconds since 1970.
    created_at_unix_ms: u64,
    /// Milliseconds since 1970; `null` for never.
    expires_at_unix_ms: Option<u64>,
    /// A note for people who read a list; may be empty.
    note: String,
}

/// The credential of a principal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum CredentialObject {
    /// A client certificate, by its name.
    SpiffeId(String),
    /// The API keys, one or two, the older one first.
    ApiKeys(Vec<KeyObject>),
    /// A token of an identity provider.
    Token {
        /// The token's `iss`.
        issuer: String,
        /// The token's `sub`.
        subject: String,
    },
}

/// The public part of an API key.
#[derive(Debug, Serialize, ToSchema)]
struct KeyObject {
    /// Its id.
    key_id: String,
    /// Milliseconds since 1970.
    created_at_unix_ms: u64,
    /// Milliseconds since 1970; `null` for never.
    expires_at_unix_ms: Option<u64>,
}

impl From<&PrincipalListing> for PrincipalObject {
    fn from(principal: &PrincipalListing) -> Self {
        let key = |key: &KeyListing| KeyObject {
            key_id: key.id.to_string(),
            created_at_unix_ms: key.created_at.0,
            expires_at_unix_ms: moment(key.expiry),
        };
        let credential = match &principal.credential {
            PrincipalCredential::Certificate(id) => CredentialObject::SpiffeId(id.to_string()),
            PrincipalCredential::ApiKeys(keys) => CredentialObject::ApiKeys(keys.iter().map(key).collect()),
            PrincipalCredential::Token(token) => CredentialObject::Token {
                issuer: token.issuer().to_owned(),
                subject: token.subject().to_owned(),
            },
        };
        Self {
            principal_id: principal.id.0,
            member_id: principal.member.0,
            roles: names(principal.roles),
            credential,
            created_at_unix_ms: principal.created_at.0,
            expires_at_unix_ms: moment(principal.expiry),
            note: principal.note.to_string(),
        }
    }
}

/// A grant: what another member may do with a bank.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GrantObject {
    /// The bank's id.
    bank_id: u32,
    /// The id of the member that it is shared with.
    member_id: u32,
    /// The name of that member, where the caller may know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    member: Option<String>,
    /// Names of capabilities.
    capabilities: Vec<&'static str>,
    /// That member's name for the bank; `null` for none, and for everybody else.
    alias: Option<String>,
    /// Milliseconds since 1970; `null` for never.
    expires_at_unix_ms: Option<u64>,
}

impl GrantObject {
    /// Converts a grant. `member`: the name of the member that receives it.
    pub(crate) fn new(grant: &Grant, member: Option<&MemberName>) -> Self {
        Self {
            bank_id: grant.bank.0,
            member_id: grant.member.0,
            member: member.map(ToString::to_string),
            capabilities: names(grant.capabilities),
            alias: grant.alias.as_ref().map(ToString::to_string),
            expires_at_unix_ms: moment(grant.expiry),
        }
    }
}

/// The limits of a member; 0 for none.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaObject {
    /// Units of searching a second: 1 for a hash and 20 for an image, each times the hash types that are
    /// searched.
    units_per_second: u64,
    /// Units that may be spent at once; those of one second where there is no limit.
    units_burst: u64,
    /// Units of searching a day.
    units_per_day: u64,
    /// Different items a day that may be matched.
    items_matched_per_day: u64,
    /// Items a day that may be added.
    items_added_per_day: u64,
    /// Different queries a day that may match one item without being equal to it; 0 for the default.
    near_queries_per_item_day: u16,
    /// Whether queries have to be images.
    images_only: bool,
}

impl From<&Quota> for QuotaObject {
    fn from(quota: &Quota) -> Self {
        Self {
            units_per_second: quota.units_per_second.to_wire(),
            units_burst: quota.units_burst.to_wire(),
            units_per_day: quota.units_per_day.to_wire(),
            items_matched_per_day: quota.items_matched_per_day.to_wire(),
            items_added_per_day: quota.items_added_per_day.to_wire(),
            near_queries_per_item_day: quota.near_queries_per_item_day,
            images_only: quota.images_only,
        }
    }
}

impl QuotaObject {
    /// Converts to a quota.
    pub(crate) fn read(&self) -> Result<Quota, Problem> {
        let amount = |field: &str, number: u64| Amount::new(number).map_err(|why| Problem::field(field, why));
        Ok(Quota {
            units_per_second: amount("units_per_second", self.units_per_second)?,
            units_burst: amount("units_burst", self.units_burst)?,
            units_per_day: amount("units_per_day", self.units_per_day)?,
            items_matched_per_day: amount("items_matched_per_day", self.items_matched_per_day)?,
            items_added_per_day: amount("items_added_per_day", self.items_added_per_day)?,
            near_queries_per_item_day: self.near_queries_per_item_day,
            images_only: self.images_only,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_as_they_are_shown() {
        let quota = Quota {
            units_per_day: Amount::new(7).unwrap(),
            near_queries_per_item_day: 3,
            images_only: true,
            ..Quota::default()
        };
        let shown = serde_json::to_string(&QuotaObject::from(&quota)).unwrap();
        assert_eq!(serde_json::from_str::<QuotaObject>(&shown).unwrap().read(), Ok(quota));
        let beyond = QuotaObject { units_burst: Amount::MAX + 1, ..(&quota).into() };
        assert_eq!(beyond.read().unwrap_err().field.as_deref(), Some("units_burst"));
        // A missing limit would mean no limit, so it is refused.
        assert!(serde_json::from_str::<QuotaObject>(r#"{"units_per_second":1}"#).is_err());
    }
}
