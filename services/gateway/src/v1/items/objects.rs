//! Conversions of items from and to JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vigie_clients::{DescribedItem, RemovedItem};
use vigie_consortium::{
    Class, ClassError, Classification, Details, Hold, Jurisdictions, Metadata, OpinionReason, Origin,
    Submission,
};
use vigie_model::{BankRef, Item, ItemDraft, OpinionKind};
use vigie_proto::bank::ContributedItem;

use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::items::facts::FactsObject;
use crate::v1::values::{HashObject, given, hashes, moment, text};

/// An item, with its hashes for those who may read them.
#[derive(Serialize, ToSchema)]
pub(crate) struct ItemObject {
    /// Its id.
    item_id: u64,
    /// The caller's name for its bank.
    bank: String,
    /// Milliseconds since 1970.
    added_at_unix_ms: u64,
    /// The name of the member that added it; empty where it is not known, and in lists.
    contributor: String,
    /// The id of that member.
    contributor_id: u32,
    /// The contributor's own name for it.
    external_reference: Option<String>,
    /// The contributor's labels.
    labels: Vec<String>,
    /// Its hashes; none where the caller may not read them.
    hashes: Vec<HashObject>,
    /// Its classification, countries, note and metadata.
    details: DetailsObject,
    /// The submissions that keep it in the bank.
    submissions: Vec<SubmissionObject>,
    /// The holds that keep it from matching; empty for an item that matches.
    holds: Vec<HoldObject>,
    /// The members' opinions on it, and other facts; `null` where there are none.
    facts: Option<FactsObject>,
    /// The dispute about it that is open; `null` for none.
    dispute: Option<ItemDisputeObject>,
}

/// A dispute about an item that waits for the answer of its bank's owner.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ItemDisputeObject {
    /// Milliseconds since 1970.
    opened_at_unix_ms: u64,
    /// Milliseconds since 1970: when it should be resolved.
    due_at_unix_ms: u64,
}

/// An item that was found.
#[derive(Serialize, ToSchema)]
pub(crate) struct FoundItemObject {
    /// Its id.
    item_id: u64,
    /// The caller's name for its bank.
    bank: String,
    /// Milliseconds since 1970.
    added_at_unix_ms: u64,
    /// The contributor's own name for it.
    external_reference: Option<String>,
    /// The contributor's labels.
    labels: Vec<String>,
    /// Its hashes.
    hashes: Vec<HashObject>,
}

/// The details of an item: classification, countries, note and metadata.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct DetailsObject {
    /// Its classes, at most 32.
    #[serde(deserialize_with = "at_most::<_, _, 32>")]
    #[schema(max_items = 32)]
    pub(crate) classification: Vec<ClassObject>,
    /// The countries for which the classification holds (ISO 3166-1), at most 64; none for any.
    #[serde(deserialize_with = "at_most::<_, _, 64>")]
    #[schema(max_items = 64)]
    pub(crate) jurisdictions: Vec<String>,
    /// A note for those who read the item, at most 2048 bytes.
    pub(crate) note: String,
    /// Data that the contributor's own systems read: an object of JSON, as text of at most 4096 bytes.
    pub(crate) metadata: String,
}

/// A class of a classification.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClassObject {
    /// The name of its taxonomy.
    taxonomy: String,
    /// A dimension of the taxonomy.
    dimension: String,
    /// A value of the dimension.
    value: String,
}

/// The origin of an item, which distinguishes the submissions of a member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[derive(Default)]
pub(crate) struct OriginObject {
    /// The programme by which the item was shared, at most 255 bytes.
    programme: String,
    /// The item's key there, or the contributor's own, at most 512 bytes.
    key: String,
    /// The case that the item belongs to, at most 128 bytes.
    case: String,
}

/// The statement of a member that an item belongs in its bank.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SubmissionObject {
    /// The name of the member.
    member: String,
    /// The programme by which the item was shared; empty for none.
    programme: String,
    /// The item's key there; empty for none.
    key: String,
    /// The case that the item belongs to; empty for none.
    case: String,
    /// Milliseconds since 1970.
    at_unix_ms: u64,
    /// The opinion of the programme's members on it; `null` where they have none.
    foreign_opinion: Option<ForeignOpinionObject>,
}

/// The opinion of a programme's members on one of its records.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ForeignOpinionObject {
    /// `positive`, `negative` or `seen`; `disputed` where there are both positive and negative opinions.
    kind: &'static str,
    /// The reason; `null` where none was given.
    reason: Option<&'static str>,
    /// The programme's own word; empty for none.
    foreign_value: String,
}

/// A hold of an item.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HoldObject {
    /// `owner`, `operator`, `quarantine` or `charter`.
    by: &'static str,
    /// Milliseconds since 1970.
    since_unix_ms: u64,
    /// Milliseconds since 1970; `null`: until it is lifted.
    until_unix_ms: Option<u64>,
}

/// An item that is to be added.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewItem {
    /// Its hashes, 1 to 64.
    #[serde(deserialize_with = "at_most::<_, _, 64>")]
    #[schema(min_items = 1, max_items = 64)]
    hashes: Vec<HashObject>,
    /// Labels for those who read a match, at most 32 of 1 to 128 bytes.
    #[serde(default, deserialize_with = "at_most::<_, _, 32>")]
    #[schema(max_items = 32)]
    labels: Vec<String>,
    /// The contributor's own name for it, at most 512 bytes.
    #[serde(default)]
    external_reference: String,
    /// Where it comes from. Without an origin, every request adds another item, even with the same hashes.
    origin: Option<OriginObject>,
    /// Its classification, countries, note and metadata.
    #[serde(default)]
    details: DetailsObject,
}

/// A removed item that can be restored.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RemovedItemObject {
    /// Its id.
    item_id: u64,
    /// Milliseconds since 1970.
    removed_at_unix_ms: u64,
    /// The name of the member that removed it.
    removed_by: String,
    /// Milliseconds since 1970: until when it can be restored.
    until_unix_ms: u64,
    /// Milliseconds since 1970: when it was first submitted; `null` where it is not known.
    submitted_at_unix_ms: Option<u64>,
}

impl DetailsObject {
    /// Converts to details. `within`: the object that holds them.
    pub(crate) fn read(&self, within: &str) -> Result<Details, Problem> {
        let at = |name: &str| if within.is_empty() { name.to_owned() } else { format!("{within}.{name}") };
        let class =
            |(index, class): (usize, &ClassObject)| class.read(&format!("{}[{index}]", at("classification")));
        let classes = self.classification.iter().enumerate().map(class).collect::<Result<Vec<_>, _>>()?;
        let of = |field: &str, why: &dyn std::fmt::Display| Problem::field(at(field), why);
        Ok(Details {
            classification: Classification::new(classes).map_err(|why| of("classification", &why))?,
            jurisdictions: Jurisdictions::new(&self.jurisdictions)
                .map_err(|why| of("jurisdictions", &why))?,
            note: text(&at("note"), &self.note)?,
            metadata: Metadata::new(&self.metadata).map_err(|_| {
                of("metadata", &format!("is an object of JSON as text, at most {} bytes", Metadata::LEN_MAX))
            })?,
        })
    }
}

/// Returns the reason for which a class is refused, without the word that was sent.
fn fault(why: &ClassError) -> String {
    match why {
        ClassError::Word(_) => {
            format!("has a word that is not 1 to {} of A-Z a-z 0-9 . _ - +", Class::WORD_LEN_MAX)
        }
        ClassError::Dimension { known, .. } => {
            format!("has no such dimension; there are {}", known.join(", "))
        }
        ClassError::Value { known, .. } => format!("has no such value; there are {}", known.join(", ")),
        ClassError::NotOfTheBank { allowed, .. } => {
            format!("is of another taxonomy than {}", allowed.join(", "))
        }
    }
}

impl ClassObject {
    /// Converts to a class. `field`: its field, for errors.
    pub(crate) fn read(&self, field: &str) -> Result<Class, Problem> {
        let Self { taxonomy, dimension, value } = self;
        Class::new(taxonomy, dimension, value).map_err(|why| Problem::field(field, fault(&why)))
    }
}

/// Reads a class of the form `taxonomy/dimension=value`. `field`: its field, for errors.
pub(crate) fn class_of_text(field: &str, text: &str) -> Result<Class, Problem> {
    let parts = text.split_once('/').and_then(|(taxonomy, rest)| Some((taxonomy, rest.split_once('=')?)));
    let (taxonomy, (dimension, value)) =
        parts.ok_or_else(|| Problem::field(field, "is not taxonomy/dimension=value"))?;
    Class::new(taxonomy, dimension, value).map_err(|why| Problem::field(field, fault(&why)))
}

impl OriginObject {
    /// Converts to an origin. `field`: its object, for errors.
    pub(crate) fn read(&self, field: &str) -> Result<Origin, Problem> {
        let origin = Origin::new(&self.programme, &self.key, &self.case);
        origin.map_err(|why| Problem::field(format!("{field}.{}", why.field), why.reason))
    }
}

impl NewItem {
    /// Converts to an item. `field`: its object, for errors.
    pub(crate) fn read(self, field: &str) -> Result<ContributedItem, Problem> {
        let Self { hashes: asked, labels, external_reference, origin, details } = self;
        let hashes = hashes(&format!("{field}.hashes"), &asked)?;
        let draft = ItemDraft { hashes, labels, external_reference };
        let content = draft.try_into();
        Ok(ContributedItem {
            content: content.map_err(|why: vigie_model::ItemContentError| {
                Problem::field(format!("{field}.{}", why.field()), why)
            })?,
            origin: origin.map(|origin| origin.read(&format!("{field}.origin"))).transpose()?,
            details: details.read(&format!("{field}.details"))?,
        })
    }
}

impl From<&Class> for ClassObject {
    fn from(class: &Class) -> Self {
        Self {
            taxonomy: class.taxonomy().to_owned(),
            dimension: class.dimension().to_owned(),
            value: class.value().to_owned(),
        }
    }
}

impl From<&Details> for DetailsObject {
    fn from(details: &Details) -> Self {
        Self {
            classification: details.classification.iter().map(ClassObject::from).collect(),
            jurisdictions: details.jurisdictions.iter().map(str::to_owned).collect(),
            note: details.note.to_string(),
            metadata: details.metadata.as_str().to_owned(),
        }
    }
}

impl From<&DescribedItem> for ItemObject {
    fn from(item: &DescribedItem) -> Self {
        let submission = |(member, one): &(String, Submission)| SubmissionObject {
            member: member.clone(),
            programme: one.origin.programme().to_owned(),
            key: one.origin.key().to_owned(),
            case: one.origin.case().to_owned(),
            at_unix_ms: one.at.0,
            foreign_opinion: one.foreign.as_ref().map(|foreign| ForeignOpinionObject {
                kind: foreign.kind.map_or("disputed", OpinionKind::name),
                reason: foreign.reason.map(OpinionReason::name),
                foreign_value: foreign.word.to_string(),
            }),
        };
        let hold = |Hold { holder, since, until }: Hold| HoldObject {
            by: holder.name(),
            since_unix_ms: since.0,
            until_unix_ms: moment(until),
        };
        Self {
            item_id: item.id.0,
            bank: item.bank.to_string(),
            added_at_unix_ms: item.added_at.0,
            contributor: item.contributor.clone(),
            contributor_id: item.contributor_id.0,
            external_reference: given(&item.external_reference),
            labels: item.labels.clone(),
            hashes: item.hashes.iter().map(Into::into).collect(),
            details: (&item.details).into(),
            submissions: item.submissions.iter().map(submission).collect(),
            holds: item.holds.iter().map(hold).collect(),
            facts: item.facts.as_ref().map(Into::into),
            dispute: item.dispute.map(|(opened_at, due_at)| ItemDisputeObject {
                opened_at_unix_ms: opened_at.0,
                due_at_unix_ms: due_at.0,
            }),
        }
    }
}

impl From<&(Item, BankRef)> for FoundItemObject {
    fn from((item, bank): &(Item, BankRef)) -> Self {
        Self {
            item_id: item.id.0,
            bank: bank.to_string(),
            added_at_unix_ms: item.added_at.0,
            external_reference: item.content.external_reference().map(str::to_owned),
            labels: item.content.labels().iter().map(ToString::to_string).collect(),
            hashes: item.content.hashes().iter().map(Into::into).collect(),
        }
    }
}

impl From<&RemovedItem> for RemovedItemObject {
    fn from(item: &RemovedItem) -> Self {
        Self {
            item_id: item.id.0,
            removed_at_unix_ms: item.removed_at.0,
            removed_by: item.removed_by.clone(),
            until_unix_ms: item.until.0,
            submitted_at_unix_ms: item.submitted_at.map(|at| at.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use vigie_model::vectors::VectorClass;
    use vigie_model::{Declaration, Distance, Hash, declared};

    use super::*;

    fn read(value: serde_json::Value) -> Result<ContributedItem, Problem> {
        serde_json::from_value::<NewItem>(value).unwrap().read("items[3]")
    }

    #[test]
    fn an_item_arrives_with_all_that_is_said_of_it() {
        let item = read(json!({
            "hashes": [{ "type": "md5", "hash": "01".repeat(16) }], "labels": ["a", "b"], "external_reference": "r",
            "origin": { "programme": "p", "case": "c" },
            "details": {
                "classification": [{ "taxonomy": "iwf", "dimension": "category", "value": "A" }],
                "jurisdictions": ["FR"], "note": "n", "metadata": "{\"k\":1}"
            }
        }))
        .unwrap();
        assert_eq!(item.content.hashes(), [Hash::md5([1; 16])]);
        assert_eq!(item.content.external_reference(), Some("r"));
        assert_eq!(item.origin, Origin::new("p", "", "c").ok());
        let shown = serde_json::to_value(DetailsObject::from(&item.details)).unwrap();
        assert_eq!(shown["classification"][0]["value"], "A");
        assert_eq!((&shown["jurisdictions"][0], &shown["metadata"]), (&"FR".into(), &"{\"k\":1}".into()));
        let bare = read(json!({ "hashes": [{ "type": "md5", "hash": "01".repeat(16) }] })).unwrap();
        assert_eq!((bare.origin, bare.details), (None, Details::default()));
    }

    #[test]
    fn a_vector_arrives_by_its_elements_and_is_shown_as_base64() {
        let hash_type = VectorClass::ALL[1].hash_type(64);
        let (distance_default, distance_max, name) = (Distance(1), Distance(2), "gateway_items".into());
        declared::register(&Declaration { hash_type, name, elements: 2, distance_default, distance_max })
            .unwrap();
        let item = read(json!({ "hashes": [{ "type": "gateway_items", "hash": [1.5, -2] }] })).unwrap();
        let shown = serde_json::to_value(HashObject::from(&item.content.hashes()[0])).unwrap();
        assert_eq!(shown, json!({ "hash_type": "gateway_items", "hash": "AADAPwAAAMA=" }));
        assert_eq!(read(json!({ "hashes": [shown] })).unwrap().content.hashes(), item.content.hashes());
        let refused = read(json!({ "hashes": [{ "type": "gateway_items", "hash": [1.5] }] })).unwrap_err();
        assert_eq!(refused.field.as_deref(), Some("items[3].hashes[0].hash"));
    }

    #[test]
    fn the_field_of_a_wrong_item_is_named() {
        let with = |field: &str, value: serde_json::Value| {
            let mut item = json!({ "hashes": [{ "type": "md5", "hash": "01".repeat(16) }] });
            item[field] = value;
            read(item).unwrap_err()
        };
        let long = "x".repeat(600);
        for (field, value, at) in [
            ("hashes", json!([]), "items[3].hashes"),
            ("hashes", json!([{ "type": "md5", "hash": "0" }]), "items[3].hashes[0].hash"),
            ("labels", json!([""]), "items[3].labels"),
            ("external_reference", json!(long), "items[3].external_reference"),
            ("origin", json!({ "case": long }), "items[3].origin.case"),
            ("details", json!({ "note": "x\u{7}" }), "items[3].details.note"),
            ("details", json!({ "metadata": "[1]" }), "items[3].details.metadata"),
            ("details", json!({ "jurisdictions": ["fr"] }), "items[3].details.jurisdictions"),
            (
                "details",
                json!({ "classification": [{ "taxonomy": "iwf", "dimension": "category", "value": "Z" }] }),
                "items[3].details.classification[0]",
            ),
        ] {
            assert_eq!(with(field, value).field.as_deref(), Some(at));
        }
    }
}
