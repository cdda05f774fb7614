//! Package `vigie.consortium.v1`: members, principals, grants, quotas and charters, and the changes of the
//! log that concern them.

mod policy;
mod principal;
mod hash_type;
mod model_card;
mod rows;
mod cases;

pub use crate::model::bank_ref;
pub use cases::{CASE_PAGE_MAX, case_page_size, decision_id, keep_days, query_digests};
pub(crate) use hash_type::{declared_change, declared_to_wire};
pub use hash_type::{vector_class, vector_elements};
#[cfg(test)]
pub(crate) use model_card::test_card;
pub use model_card::{at_most_one_in, kind_word, mode_word, state_word};
pub(crate) use model_card::{card_change, card_to_wire};
pub(crate) use policy::{policies_change, policies_to_wire};
pub use policy::{verdict, verdict_to_wire};
pub use principal::{answered_principal, certificate, role_numbers, roles, token_subject};
pub use rows::{
    DirectoryAt, DirectoryPart, DirectoryRequest, ROWS_BYTES_MAX, decode_row, directory_parts, encode_row,
    optional_member,
};

use vigie_consortium::{
    Amount, Capabilities, Capability, Charter, CharterDraft, Expiry, Flags, Grant, Jurisdictions, Member,
    MemberId, MemberName, MemberState, Quota, Text, TextError, TokenIssuers,
};
use vigie_model::{BankId, Distance, HashType, UnixMillis};

use crate::invalid::{Invalid, check_len, each};
use crate::model::{Sender, bank_name, hash_type, hash_type_number};
use crate::pb::consortium::v1 as pb;
use crate::pb::model::v1 as model;

/// Reads a member's name. `field`: its field, for errors.
pub fn member_name(field: &str, name: &str) -> Result<MemberName, Invalid> {
    name.parse().map_err(|error| Invalid::new(field, error))
}

/// Reads the display name and the jurisdictions of a member.
pub fn member_words(
    display_name: &str,
    jurisdictions: &[String],
) -> Result<(Text<{ Member::DISPLAY_NAME_LEN_MAX }>, Jurisdictions), Invalid> {
    let display_name = text("display_name", display_name)?;
    let jurisdictions =
        Jurisdictions::new(jurisdictions).map_err(|error| Invalid::new("jurisdictions", error))?;
    Ok((display_name, jurisdictions))
}

/// Reads the identity providers of a member.
pub fn token_issuers(issuers: &[String]) -> Result<TokenIssuers, Invalid> {
    TokenIssuers::new(issuers).map_err(|error| Invalid::new("token_issuers", error))
}

/// Reads the state of a member, which is required.
pub fn member_state(state: i32) -> Result<MemberState, Invalid> {
    match pb::MemberState::try_from(state) {
        Ok(pb::MemberState::Active) => Ok(MemberState::Active),
        Ok(pb::MemberState::Suspended) => Ok(MemberState::Suspended),
        Ok(pb::MemberState::Quarantined) => Ok(MemberState::Quarantined),
        Ok(pb::MemberState::Unspecified) => Err(Invalid::missing("state")),
        Err(_) => Err(Invalid::new("state", format!("is {state}; this version knows 1 to 3"))),
    }
}

/// Returns the number of a state on the wire.
#[must_use]
pub fn member_state_number(state: MemberState) -> i32 {
    match state {
        MemberState::Active => pb::MemberState::Active.into(),
        MemberState::Suspended => pb::MemberState::Suspended.into(),
        MemberState::Quarantined => pb::MemberState::Quarantined.into(),
    }
}

fn text<const MAX: usize>(field: &str, text: &str) -> Result<Text<MAX>, Invalid> {
    Text::new(text).map_err(|error: TextError| Invalid::new(field, error))
}

impl From<Member> for pb::Member {
    fn from(member: Member) -> Self {
        Self {
            id: member.id.0,
            name: member.name.to_string(),
            display_name: member.display_name.to_string(),
            state: member_state_number(member.state),
            jurisdictions: member.jurisdictions.iter().map(str::to_owned).collect(),
            created_at_unix_ms: member.created_at.0,
            token_issuers: member.token_issuers.iter().map(str::to_owned).collect(),
            is_named: member.is_named,
        }
    }
}

impl TryFrom<pb::Member> for Member {
    type Error = Invalid;

    fn try_from(message: pb::Member) -> Result<Self, Invalid> {
        let (display_name, jurisdictions) = member_words(&message.display_name, &message.jurisdictions)?;
        Ok(Self {
            id: MemberId(message.id),
            name: member_name("name", &message.name)?,
            display_name,
            state: member_state(message.state)?,
            jurisdictions,
            token_issuers: token_issuers(&message.token_issuers)?,
            created_at: UnixMillis(message.created_at_unix_ms),
            is_named: message.is_named,
        })
    }
}

/// Reads the capabilities of a grant.
pub fn capabilities(numbers: &[i32]) -> Result<Capabilities, Invalid> {
    let capability = |number: &i32| match pb::Capability::try_from(*number) {
        Ok(pb::Capability::Match) => Ok(Capability::Match),
        Ok(pb::Capability::SeeDetails) => Ok(Capability::SeeDetails),
        Ok(pb::Capability::Opine) => Ok(Capability::Opine),
        Ok(pb::Capability::Contribute) => Ok(Capability::Contribute),
        Ok(pb::Capability::SeeHashes) => Ok(Capability::SeeHashes),
        Ok(pb::Capability::Unspecified) | Err(_) => {
            Err(Invalid::new("capabilities", format!("has {number}; this version knows 1 to 5")))
        }
    };
    check_len("capabilities", numbers.len(), 1, 5)?;
    let all = numbers.iter().map(capability).collect::<Result<Vec<_>, _>>()?;
    Flags::new(all).map_err(|error| Invalid::new("capabilities", error))
}

/// Returns the numbers of the capabilities on the wire.
#[must_use]
pub fn capability_numbers(capabilities: Capabilities) -> Vec<i32> {
    let number = |capability| match capability {
        Capability::Match => pb::Capability::Match.into(),
        Capability::SeeDetails => pb::Capability::SeeDetails.into(),
        Capability::Opine => pb::Capability::Opine.into(),
        Capability::Contribute => pb::Capability::Contribute.into(),
        Capability::SeeHashes => pb::Capability::SeeHashes.into(),
    };
    capabilities.iter().map(number).collect()
}

impl From<Grant> for pb::Grant {
    fn from(grant: Grant) -> Self {
        Self {
            bank_id: grant.bank.0,
            member_id: grant.member.0,
            capabilities: capability_numbers(grant.capabilities),
            alias: grant.alias.map(|alias| alias.to_string()).unwrap_or_default(),
            expires_at_unix_ms: grant.expiry.to_wire(),
            member_name: String::new(),
        }
    }
}

impl TryFrom<pb::Grant> for Grant {
    type Error = Invalid;

    fn try_from(message: pb::Grant) -> Result<Self, Invalid> {
        let alias = (!message.alias.is_empty()).then(|| bank_name("alias", &message.alias)).transpose()?;
        Ok(Self {
            bank: BankId(message.bank_id),
            member: MemberId(message.member_id),
            capabilities: capabilities(&message.capabilities)?,
            alias,
            expiry: Expiry::from_wire(message.expires_at_unix_ms),
        })
    }
}

impl From<Quota> for pb::Quota {
    fn from(quota: Quota) -> Self {
        Self {
            units_per_second: quota.units_per_second.to_wire(),
            units_burst: quota.units_burst.to_wire(),
            units_per_day: quota.units_per_day.to_wire(),
            items_matched_per_day: quota.items_matched_per_day.to_wire(),
            items_added_per_day: quota.items_added_per_day.to_wire(),
            near_queries_per_item_day: quota.near_queries_per_item_day.into(),
            images_only: quota.images_only,
        }
    }
}

impl TryFrom<pb::Quota> for Quota {
    type Error = Invalid;

    fn try_from(message: pb::Quota) -> Result<Self, Invalid> {
        let amount = |field: &str, number| Amount::new(number).map_err(|error| Invalid::new(field, error));
        let near = message.near_queries_per_item_day;
        Ok(Self {
            units_per_second: amount("units_per_second", message.units_per_second)?,
            units_burst: amount("units_burst", message.units_burst)?,
            units_per_day: amount("units_per_day", message.units_per_day)?,
            items_matched_per_day: amount("items_matched_per_day", message.items_matched_per_day)?,
            items_added_per_day: amount("items_added_per_day", message.items_added_per_day)?,
            near_queries_per_item_day: near.try_into().map_err(|_| {
                let reason = format!("is {near}; it must be at most {}", u16::MAX);
                Invalid::new("near_queries_per_item_day", reason)
            })?,
            images_only: message.images_only,
        })
    }
}

impl From<Charter> for pb::Charter {
    fn from(charter: Charter) -> Self {
        let of_type = |(hash_type, distance): &(HashType, Distance)| model::MaxDistance {
            hash_type: hash_type_number(*hash_type),
            distance: distance.0,
        };
        let vector_distances = charter.vector_distances().iter().map(of_type);
        Self {
            taxonomies: charter.taxonomies().iter().map(|name| name.to_string()).collect(),
            two_person_items: charter.two_person_items().unwrap_or(0),
            purge_hours: charter.purge_hours().into(),
            confirmations_min: charter.confirmations_min().unwrap_or(0).into(),
            hold_on_negatives: charter.hold_on_negatives().unwrap_or(0).into(),
            shadow: charter.is_shadow(),
            suppresses_bank_ids: charter.suppresses().iter().map(|bank| bank.0).collect(),
            dispute_days: charter.dispute_days().into(),
            match_record_days: charter.match_record_days().unwrap_or(0).into(),
            frames_answer_images: charter.frames_answer_images(),
            images_answer_videos: charter.images_answer_videos(),
            vector_distances: vector_distances.collect(),
        }
    }
}

impl TryFrom<pb::Charter> for Charter {
    type Error = Invalid;

    fn try_from(message: pb::Charter) -> Result<Self, Invalid> {
        let pb::Charter {
            taxonomies,
            two_person_items,
            purge_hours,
            confirmations_min,
            hold_on_negatives,
            shadow,
            suppresses_bank_ids,
            dispute_days,
            match_record_days,
            frames_answer_images,
            images_answer_videos,
            vector_distances,
        } = message;
        let vector_distances = each("vector_distances", vector_distances, |one| {
            Ok((hash_type("hash_type", one.hash_type, Sender::Peer)?, Distance(one.distance)))
        })?;
        let draft = CharterDraft {
            taxonomies,
            two_person_items,
            purge_hours,
            confirmations_min,
            hold_on_negatives,
            shadow,
            suppresses: suppresses_bank_ids.into_iter().map(BankId).collect(),
            dispute_days,
            match_record_days,
            frames_answer_images,
            images_answer_videos,
            vector_distances,
        };
        Self::try_from(draft).map_err(|error| Invalid::new(error.field(), error))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use vigie_model::VectorClass;

    use super::*;

    fn returns<M, P>(model: &M)
    where
        M: Clone + Debug + PartialEq + TryFrom<P, Error = Invalid>,
        P: From<M>,
    {
        assert_eq!(M::try_from(P::from(model.clone())).as_ref(), Ok(model));
    }

    #[test]
    fn everything_survives_the_wire() {
        let member = Member {
            id: MemberId(7),
            name: "acme".parse().unwrap(),
            display_name: Text::new("Acme, Ltd.").unwrap(),
            jurisdictions: Jurisdictions::new(&["FR", "DE"]).unwrap(),
            token_issuers: TokenIssuers::new(&["https://id.test"]).unwrap(),
            created_at: UnixMillis(5),
            ..Member::local()
        };
        for state in [MemberState::Active, MemberState::Suspended, MemberState::Quarantined] {
            returns::<_, pb::Member>(&Member { state, ..member.clone() });
        }
        let grant = Grant {
            bank: BankId(3),
            member: MemberId(4),
            capabilities: Flags::all(),
            alias: None,
            expiry: Expiry::NEVER,
        };
        returns::<_, pb::Grant>(&grant);
        let alias = Some("theirs".parse().unwrap());
        returns::<_, pb::Grant>(&Grant { alias, expiry: Expiry::at(UnixMillis(9)), ..grant });
        returns::<_, pb::Quota>(&Quota::default());
        let amount = |number| Amount::new(number).unwrap();
        returns::<_, pb::Quota>(&Quota {
            units_per_second: amount(1),
            units_burst: amount(2),
            units_per_day: amount(3),
            items_matched_per_day: amount(4),
            items_added_per_day: amount(5),
            near_queries_per_item_day: 6,
            images_only: true,
        });
        returns::<_, pb::Charter>(&Charter::default());
        let draft = CharterDraft {
            taxonomies: vec!["iwf".into()],
            two_person_items: 3,
            purge_hours: 24,
            confirmations_min: 2,
            hold_on_negatives: 3,
            shadow: true,
            suppresses: vec![BankId(4), BankId(7)],
            dispute_days: 5,
            match_record_days: 180,
            frames_answer_images: true,
            images_answer_videos: true,
            vector_distances: vec![(VectorClass::ALL[0].hash_type(7), Distance(200_000))],
        };
        returns::<_, pb::Charter>(&Charter::try_from(draft).unwrap());
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let check = |invalid: Invalid, expected: &str| assert_eq!(invalid.field, expected);
        let member = || pb::Member::from(Member::local());
        let of = |edit: fn(&mut pb::Member)| {
            let mut message = member();
            edit(&mut message);
            Member::try_from(message).unwrap_err()
        };
        check(of(|member| member.name = "A".into()), "name");
        check(of(|member| member.state = 0), "state");
        check(of(|member| member.state = 9), "state");
        check(of(|member| member.display_name = "x".repeat(129)), "display_name");
        check(of(|member| member.jurisdictions = vec!["fr".into()]), "jurisdictions");
        check(of(|member| member.token_issuers = vec![String::new()]), "token_issuers");
        let grant = |capabilities: &[i32], alias: &str| {
            let message =
                pb::Grant { capabilities: capabilities.into(), alias: alias.into(), ..Default::default() };
            Grant::try_from(message).unwrap_err()
        };
        check(grant(&[], ""), "capabilities");
        check(grant(&[0], ""), "capabilities");
        check(grant(&[6], ""), "capabilities");
        check(grant(&[1; 6], ""), "capabilities");
        check(grant(&[1], "a/b"), "alias");
        let quota = pb::Quota { units_per_day: Amount::MAX + 1, ..Default::default() };
        check(Quota::try_from(quota).unwrap_err(), "units_per_day");
        let quota = pb::Quota { near_queries_per_item_day: 65_536, ..Default::default() };
        check(Quota::try_from(quota).unwrap_err(), "near_queries_per_item_day");
        let charter = pb::Charter { purge_hours: 9_000, ..Default::default() };
        check(Charter::try_from(charter).unwrap_err(), "purge_hours");
        check(bank_ref("bank", "a/b/c").unwrap_err(), "bank");
    }
}
