//! `/v1/members/{member}/quota`, `/v1/banks/{bank}/charter`: limits of members, and charters of banks. Each
//! is replaced as a whole, so that leaving a limit out cannot lift it.

use std::collections::BTreeMap;

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_consortium::{Charter, CharterDraft, CharterError, MemberName};
use vigie_model::{BankId, Distance, HashType, PARTS_OF_ONE};

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
    /// The answer is as of this change; after a write, it is the change of the write.
    sequence: u64,
}

/// The rules of a bank: for its contributors, for its matches, and for how long it keeps data.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CharterObject {
    /// The taxonomies that items take their classification from, at most 8; none for any.
    #[serde(deserialize_with = "at_most::<_, _, 8>")]
    #[schema(max_items = 8)]
    taxonomies: Vec<String>,
    /// A removal of this many items or more needs two people; 0 for never.
    two_person_items: u32,
    /// Hours until the hash of a withdrawn item is deleted from every file, 1 to 8760; 0 for 72.
    purge_hours: u32,
    /// Members, the contributors included, that must confirm an item before it matches for others, at most
    /// 1000; 0 for none.
    confirmations_min: u32,
    /// The number of members with a negative opinion at which an item is held and a dispute opens, at most
    /// 1000; 0 for never.
    hold_on_negatives: u32,
    /// Whether matches of the bank are counted and never returned: a trial.
    shadow: bool,
    /// Ids of the banks whose matches do not count if this bank matches, at most 64.
    #[serde(deserialize_with = "at_most::<_, _, 64>")]
    #[schema(max_items = 64)]
    suppresses_bank_ids: Vec<u32>,
    /// Days that the owner has to resolve a dispute, at most 90; 0 for 14.
    dispute_days: u32,
    /// Days for which matches are recorded, at most 730; 0 for no records.
    match_record_days: u32,
    /// Whether an image that is near a frame of one of the bank's videos matches that item.
    #[serde(default)]
    frames_answer_images: bool,
    /// Whether a video with a frame that is near one of the bank's images matches that item.
    #[serde(default)]
    images_answer_videos: bool,
    /// The largest distances of vectors that match in the bank, by the name of their declared hash type, in
    /// its metric; at most 16.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    vector_distances: BTreeMap<String, f64>,
}

/// The charter of a bank.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BankCharter {
    /// The bank.
    bank: String,
    /// Its charter.
    charter: CharterObject,
    /// The answer is as of this change; after a write, it is the change of the write.
    sequence: u64,
}

impl From<&Charter> for CharterObject {
    fn from(charter: &Charter) -> Self {
        Self {
            taxonomies: charter.taxonomies().iter().map(ToString::to_string).collect(),
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
            vector_distances: charter.vector_distances().iter().map(shown_distance).collect(),
        }
    }
}

fn shown_distance((hash_type, distance): &(HashType, Distance)) -> (String, f64) {
    (hash_type.to_string(), f64::from(distance.0) / f64::from(PARTS_OF_ONE))
}

impl CharterObject {
    fn read(self) -> Result<Charter, Problem> {
        let read = |(name, distance): (String, f64)| {
            let read = Charter::read_vector_distance(&name, &format!("{distance:.6}"));
            read.map_err(|why| Problem::field("vector_distances", why))
        };
        let vector_distances = self.vector_distances.into_iter().map(read).collect::<Result<_, _>>()?;
        let draft = CharterDraft {
            taxonomies: self.taxonomies,
            two_person_items: self.two_person_items,
            purge_hours: self.purge_hours,
            confirmations_min: self.confirmations_min,
            hold_on_negatives: self.hold_on_negatives,
            shadow: self.shadow,
            suppresses: self.suppresses_bank_ids.into_iter().map(BankId).collect(),
            dispute_days: self.dispute_days,
            match_record_days: self.match_record_days,
            frames_answer_images: self.frames_answer_images,
            images_answer_videos: self.images_answer_videos,
            vector_distances,
        };
        // In JSON, the field for the suppressed banks is named after their ids.
        let field = |why: CharterError| match why.field() {
            "suppresses" => "suppresses_bank_ids",
            other => other,
        };
        Charter::try_from(draft).map_err(|why| Problem::field(field(why), why))
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
    use vigie_model::{Declaration, VectorClass, declared};

    use super::*;

    fn declared(name: &str) -> HashType {
        let hash_type = VectorClass::ALL[0].hash_type(241);
        let declaration = Declaration {
            hash_type,
            name: name.into(),
            elements: 3,
            distance_default: Distance(100_000),
            distance_max: Distance(500_000),
        };
        declared::register(&declaration).unwrap();
        hash_type
    }

    #[test]
    fn a_charter_is_read_as_it_is_shown() {
        let taxonomies = vec!["iwf".to_owned()];
        let draft = CharterDraft {
            taxonomies,
            two_person_items: 9,
            purge_hours: 5,
            confirmations_min: 2,
            hold_on_negatives: 3,
            shadow: true,
            suppresses: vec![BankId(7)],
            dispute_days: 4,
            match_record_days: 30,
            frames_answer_images: true,
            images_answer_videos: true,
            vector_distances: vec![(declared("v1_charter"), Distance(183_204))],
        };
        let charter = Charter::try_from(draft).unwrap();
        assert_eq!(CharterObject::from(&charter).read(), Ok(charter.clone()));
        let wrong = CharterObject { purge_hours: 9_000, ..(&charter).into() };
        assert_eq!(wrong.read().unwrap_err().field.as_deref(), Some("purge_hours"));
        let wrong = CharterObject { suppresses_bank_ids: (0..65).collect(), ..(&charter).into() };
        assert_eq!(wrong.read().unwrap_err().field.as_deref(), Some("suppresses_bank_ids"));
        for (name, distance) in [("never_declared", 0.1), ("v1_charter", -0.1), ("v1_charter", 0.6)] {
            let vector_distances = BTreeMap::from([(name.to_owned(), distance)]);
            let wrong = CharterObject { vector_distances, ..(&charter).into() };
            assert_eq!(wrong.read().unwrap_err().field.as_deref(), Some("vector_distances"), "{name}");
        }
    }
}
