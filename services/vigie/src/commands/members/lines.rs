//! Members, principals, grants, quotas and charters: as `--json` prints them, a contract with scripts, and as
//! words for a person.

use std::collections::BTreeMap;

use serde::Serialize;
use vigie_clients::{KeyListing, PrincipalCredential, PrincipalListing};
use vigie_consortium::{Amount, Charter, Expiry, Flag, Flags, Grant, Member, Quota};

use crate::commands::date::date;

/// A member, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct MemberObject {
    /// Name of the member.
    member: String,
    /// Id of the member.
    member_id: u32,
    /// Display name for people; may be empty.
    display_name: String,
    /// State of the member: `active`, `suspended` or `quarantined`.
    state: String,
    /// Countries whose jurisdiction the member is in.
    jurisdictions: Vec<String>,
    /// Identity providers of the member, as the issuers of its tokens.
    token_issuers: Vec<String>,
    /// Time at which the member was added, in milliseconds since 1970; 0 for the host.
    created_at_unix_ms: u64,
    /// Whether contributors of items and owners of their banks may know that an opinion is this member's.
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

/// A principal, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct PrincipalObject {
    /// Id of the principal.
    principal_id: u64,
    /// Id of its member.
    member_id: u32,
    /// Names of its roles.
    roles: Vec<&'static str>,
    /// Its credential.
    credential: CredentialObject,
    /// Time at which it was created, in milliseconds since 1970.
    created_at_unix_ms: u64,
    /// Time at which it expires, in milliseconds since 1970; `null` for never.
    expires_at_unix_ms: Option<u64>,
    /// A note about the principal; may be empty.
    note: String,
}

/// The credential of a principal, as `--json` prints it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum CredentialObject {
    SpiffeId(String),
    ApiKeys(Vec<KeyObject>),
    Token { issuer: String, subject: String },
}

/// The public part of an API key.
#[derive(Debug, Serialize)]
struct KeyObject {
    key_id: String,
    created_at_unix_ms: u64,
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

/// A grant, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct GrantObject {
    /// Id of the bank.
    bank_id: u32,
    /// Id of the member that the bank is shared with.
    member_id: u32,
    /// Names of the capabilities that are granted.
    capabilities: Vec<&'static str>,
    /// That member's name for the bank; `null` if it has none, and for every other caller.
    alias: Option<String>,
    /// Time at which the grant expires, in milliseconds since 1970; `null` for never.
    expires_at_unix_ms: Option<u64>,
}

impl From<&Grant> for GrantObject {
    fn from(grant: &Grant) -> Self {
        Self {
            bank_id: grant.bank.0,
            member_id: grant.member.0,
            capabilities: names(grant.capabilities),
            alias: grant.alias.as_ref().map(ToString::to_string),
            expires_at_unix_ms: moment(grant.expiry),
        }
    }
}

/// The limits of a member; 0 for no limit.
#[derive(Debug, Serialize)]
pub(crate) struct QuotaObject {
    units_per_second: u64,
    units_burst: u64,
    units_per_day: u64,
    items_matched_per_day: u64,
    items_added_per_day: u64,
    near_queries_per_item_day: u16,
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

/// A charter, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct CharterObject {
    /// Taxonomies that classes of items must be from; empty for any.
    taxonomies: Vec<String>,
    /// Removals of this many items or more need a second person; 0 for never.
    two_person_items: u32,
    purge_hours: u16,
    /// Members, contributors included, that must confirm an item before it matches for others; 0 for none.
    confirmations_min: u16,
    /// Members with a negative opinion at which an item is held; 0 for never.
    hold_on_negatives: u16,
    shadow: bool,
    /// Ids of the banks whose matches a match of this bank suppresses.
    suppresses_bank_ids: Vec<u32>,
    dispute_days: u16,
    /// Days for which records of matches are kept; 0 for no records.
    match_record_days: u16,
    frames_answer_images: bool,
    images_answer_videos: bool,
    /// Distance within which vectors match, in the metric of the type, by the name of the type.
    vector_distances: BTreeMap<String, String>,
}

impl From<&Charter> for CharterObject {
    fn from(charter: &Charter) -> Self {
        Self {
            taxonomies: charter.taxonomies().iter().map(ToString::to_string).collect(),
            two_person_items: charter.two_person_items().unwrap_or(0),
            purge_hours: charter.purge_hours(),
            confirmations_min: charter.confirmations_min().unwrap_or(0),
            hold_on_negatives: charter.hold_on_negatives().unwrap_or(0),
            shadow: charter.is_shadow(),
            suppresses_bank_ids: charter.suppresses().iter().map(|bank| bank.0).collect(),
            dispute_days: charter.dispute_days(),
            match_record_days: charter.match_record_days().unwrap_or(0),
            frames_answer_images: charter.frames_answer_images(),
            images_answer_videos: charter.images_answer_videos(),
            vector_distances: vector_distances(charter).collect(),
        }
    }
}

/// Returns the charter's distances of vectors, each with the name of its type.
pub(crate) fn vector_distances(charter: &Charter) -> impl Iterator<Item = (String, String)> {
    let distances = charter.vector_distances().iter();
    distances.map(|(hash_type, distance)| (hash_type.to_string(), hash_type.distance_text(*distance)))
}

fn moment(expiry: Expiry) -> Option<u64> {
    expiry.moment().map(|at| at.0)
}

fn names<F: Flag>(flags: Flags<F>) -> Vec<&'static str> {
    flags.iter().map(Flag::name).collect()
}

/// Formats the end of a right in UTC, for a column whose title says so.
pub(crate) fn until(expiry: Expiry) -> String {
    expiry.moment().map_or_else(|| "never".to_owned(), date)
}

/// Formats the end of a right, for a sentence.
pub(crate) fn expires(expiry: Expiry) -> String {
    match expiry.moment() {
        Some(at) => format!("expires {} UTC", date(at)),
        None => "never expires".to_owned(),
    }
}

/// Returns the earlier of two ends.
fn sooner(one: Expiry, other: Expiry) -> Expiry {
    match (one.moment(), other.moment()) {
        (Some(at), Some(then)) => Expiry::at(at.min(then)),
        (at, then) => at.or(then).map_or(Expiry::NEVER, Expiry::at),
    }
}

/// Returns each credential of a principal in words, with the time from which it is refused.
pub(crate) fn credentials(principal: &PrincipalListing) -> Vec<(String, Expiry)> {
    let end = |of: Expiry| sooner(of, principal.expiry);
    match &principal.credential {
        PrincipalCredential::Certificate(id) => vec![(id.to_string(), end(Expiry::NEVER))],
        PrincipalCredential::Token(token) => {
            let shown = format!("token of {} by {}", token.subject(), token.issuer());
            vec![(shown, end(Expiry::NEVER))]
        }
        PrincipalCredential::ApiKeys(keys) => {
            keys.iter().map(|key| (format!("key {}", key.id), end(key.expiry))).collect()
        }
    }
}

/// Describes a member in one sentence.
pub(crate) fn describe(member: &Member) -> String {
    let name = match member.display_name.as_str() {
        "" => member.name.to_string(),
        display_name => format!("{} ({display_name})", member.name),
    };
    format!("{name} is {}", member.state)
}

/// Returns the limits of a member as rows of name and value.
pub(crate) fn limits(quota: &Quota) -> Vec<Vec<String>> {
    let or =
        |amount: Amount, none: &str| amount.get().map_or_else(|| none.to_owned(), |limit| limit.to_string());
    let no_limit = "no limit";
    let near = match quota.near_queries_per_item_day {
        0 => format!("{} (the default)", Quota::NEAR_QUERIES_DEFAULT),
        queries => queries.to_string(),
    };
    let queries = if quota.images_only { "images only" } else { "images and hashes" };
    [
        ("units per second", or(quota.units_per_second, no_limit)),
        ("units at once", or(quota.units_burst, "those of one second")),
        ("units per day", or(quota.units_per_day, no_limit)),
        ("items matched per day", or(quota.items_matched_per_day, no_limit)),
        ("items added per day", or(quota.items_added_per_day, no_limit)),
        ("near queries per item and day", near),
        ("queries", queries.to_owned()),
    ]
    .map(|(what, limit)| vec![what.to_owned(), limit])
    .into()
}

#[cfg(test)]
mod tests {
    use vigie_consortium::{MemberId, PrincipalId, Role, Roles, Text};
    use vigie_model::UnixMillis;

    use super::*;

    #[test]
    fn a_key_is_refused_at_the_sooner_end_of_its_own_and_its_principals() {
        let key = |letter: &str, expiry| KeyListing {
            id: letter.repeat(16).parse().unwrap(),
            created_at: UnixMillis(0),
            expiry,
        };
        let at = |minutes: u64| Expiry::at(UnixMillis(minutes * 60_000));
        let principal = PrincipalListing {
            id: PrincipalId(1),
            member: MemberId(1),
            roles: Roles::one(Role::Matcher),
            credential: PrincipalCredential::ApiKeys(vec![key("a", at(3)), key("b", Expiry::NEVER)]),
            created_at: UnixMillis(0),
            expiry: at(5),
            note: Text::default(),
        };
        let ends: Vec<String> = credentials(&principal).into_iter().map(|(_, end)| until(end)).collect();
        assert_eq!(ends, ["1970-01-01 00:03", "1970-01-01 00:05"]);
        assert_eq!(expires(at(5)), "expires 1970-01-01 00:05 UTC");
        let forever = PrincipalListing { expiry: Expiry::NEVER, ..principal };
        assert_eq!(credentials(&forever)[1], (format!("key {}", "b".repeat(16)), Expiry::NEVER));
    }
}
