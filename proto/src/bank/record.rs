//! Items with their origins, details and submissions.

use vigie_consortium::{
    Classification, ContentDigest, Details, Expiry, Hold, Holder, Holds, ItemRecord, Jurisdictions, Metadata,
    Opinions, Origin, Submission, Text,
};
use vigie_model::{Hash, ItemContent, MemberName, UnixMillis};

use super::opinion::{class, resolution};
use super::{item_content, member_from_wire, member_to_wire};
use crate::invalid::{Invalid, check_len, each};
use crate::model::standing::{labels_of, standing_from_wire, standing_to_wire};
use crate::model::{Sender, hash};
use crate::pb::bank::v1 as pb;
use crate::pb::model::v1 as pb_model;

/// An item as its contributor sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContributedItem {
    /// The hashes, labels and external reference, which searches use and return.
    pub content: ItemContent,
    /// The origin of the item; `None` if the contributor does not name it.
    pub origin: Option<Origin>,
    /// The other information about the item.
    pub details: Details,
}

/// An item with neither an origin nor details.
impl From<ItemContent> for ContributedItem {
    fn from(content: ItemContent) -> Self {
        Self { content, origin: None, details: Details::default() }
    }
}

impl ContributedItem {
    /// Returns the origin that distinguishes submissions. If the item has none and there are members, the
    /// contributor's external reference is the key of one.
    #[must_use]
    pub fn origin_of_submission(&self, has_members: bool) -> Option<Origin> {
        let of_reference = || {
            let key = self.content.external_reference().filter(|_| has_members)?;
            // A key has the same bounds as an external reference.
            Origin::new("", key, "").ok()
        };
        self.origin.clone().or_else(of_reference)
    }
}

impl From<ContributedItem> for pb::ItemContent {
    fn from(item: ContributedItem) -> Self {
        let ContributedItem { content, origin, details } = item;
        let details = (!details.is_empty()).then(|| details.into());
        Self { origin: origin.map(Into::into), details, ..content.into() }
    }
}

/// Reads an item as its contributor sends it.
pub(super) fn contributed_item(mut message: pb::ItemContent) -> Result<ContributedItem, Invalid> {
    let (origin, details) = (message.origin.take(), message.details.take());
    let content = item_content(message, Sender::Client)?;
    let origin = origin.map(|given| origin_of("origin", given)).transpose()?.flatten();
    let details = details.map_or_else(|| Ok(Details::default()), |given| details_of("details", given))?;
    Ok(ContributedItem { content, origin, details })
}

/// Reads an origin; `None` if it is empty. `field`: its field, for errors.
pub fn origin_of(field: &str, message: pb::Origin) -> Result<Option<Origin>, Invalid> {
    let pb::Origin { programme, key, case } = message;
    let origin = Origin::new(&programme, &key, &case);
    let origin = origin.map_err(|error| Invalid::new(format!("{field}.{}", error.field), error.reason))?;
    Ok((!origin.is_empty()).then_some(origin))
}

/// Reads details. `field`: their field, for errors.
pub fn details_of(field: &str, message: pb::ItemDetails) -> Result<Details, Invalid> {
    let pb::ItemDetails { classification, jurisdictions, note, metadata } = message;
    let read = || {
        check_len("classification", classification.len(), 0, Classification::COUNT_MAX)?;
        let classes = each("classification", classification, |given| class("value", &given))?;
        Ok(Details {
            classification: Classification::new(classes)
                .map_err(|error| Invalid::new("classification", error))?,
            jurisdictions: Jurisdictions::new(&jurisdictions)
                .map_err(|error| Invalid::new("jurisdictions", error))?,
            note: Text::new(&note).map_err(|error| Invalid::new("note", error))?,
            metadata: Metadata::new(&metadata).map_err(|error| Invalid::new("metadata", error))?,
        })
    };
    read().map_err(|invalid: Invalid| invalid.within(field))
}

impl From<Origin> for pb::Origin {
    fn from(origin: Origin) -> Self {
        Self {
            programme: origin.programme().to_owned(),
            key: origin.key().to_owned(),
            case: origin.case().to_owned(),
        }
    }
}

impl From<Details> for pb::ItemDetails {
    fn from(details: Details) -> Self {
        Self {
            classification: details.classification.iter().cloned().map(Into::into).collect(),
            jurisdictions: details.jurisdictions.iter().map(str::to_owned).collect(),
            note: details.note.to_string(),
            metadata: details.metadata.as_str().to_owned(),
        }
    }
}

/// Reads a hash in an answer, of a known or unknown type.
pub fn answered_hash(message: crate::pb::model::v1::Hash) -> Result<Hash, Invalid> {
    hash(message, Sender::Peer)
}

/// Returns a submission for readers, with the name of its member.
#[must_use]
pub fn answered_submission(submission: Submission, member: Option<&MemberName>) -> pb::Submission {
    let member = member.map(ToString::to_string).unwrap_or_default();
    pb::Submission { member, ..submission.into() }
}

impl From<Submission> for pb::Submission {
    fn from(submission: Submission) -> Self {
        Self {
            member_id: member_to_wire(submission.member),
            member: String::new(),
            origin: Some(submission.origin.into()),
            at_unix_ms: submission.at.0,
            foreign_opinion: submission.foreign.map(Into::into),
        }
    }
}

impl TryFrom<pb::Submission> for Submission {
    type Error = Invalid;

    fn try_from(message: pb::Submission) -> Result<Self, Invalid> {
        let origin = message.origin.map(|origin| origin_of("origin", origin)).transpose()?;
        let foreign = message.foreign_opinion.map(TryInto::try_into).transpose();
        Ok(Self {
            member: member_from_wire(message.member_id),
            origin: origin.flatten().unwrap_or_default(),
            at: UnixMillis(message.at_unix_ms),
            foreign: foreign.map_err(|invalid: Invalid| invalid.within("foreign_opinion"))?,
        })
    }
}

impl From<ItemRecord> for pb::ItemRecord {
    fn from(record: ItemRecord) -> Self {
        let ItemRecord {
            content,
            details,
            submissions,
            holds,
            was_own,
            opinions,
            dispute,
            resolved,
            held_for,
            flood_lifts,
            labels,
            standing,
        } = record;
        Self {
            content_digest: content.0.to_vec(),
            details: (!details.is_empty()).then(|| details.into()),
            submissions: submissions.into_iter().map(Into::into).collect(),
            holds: holds.iter().map(Into::into).collect(),
            was_own,
            opinions: opinions.iter().cloned().map(Into::into).collect(),
            dispute: dispute.map(Into::into),
            resolution: resolved
                .map_or(pb_model::Resolution::Unspecified, |(outcome, _)| outcome.into())
                .into(),
            resolved_at_unix_ms: resolved.map_or(0, |(_, at)| at.0),
            held_for: held_for.into_iter().map(Into::into).collect(),
            flood_lifts: flood_lifts.into_iter().map(Into::into).collect(),
            labels: labels.as_ref().map(Into::into),
            standing: standing_to_wire(&standing),
        }
    }
}

impl TryFrom<pb::ItemRecord> for ItemRecord {
    type Error = Invalid;

    fn try_from(message: pb::ItemRecord) -> Result<Self, Invalid> {
        let pb::ItemRecord {
            content_digest,
            details,
            submissions,
            holds,
            was_own,
            opinions,
            dispute,
            resolution: outcome,
            resolved_at_unix_ms,
            held_for,
            flood_lifts,
            labels,
            standing,
        } = message;
        let length = |bytes: Vec<u8>| {
            Invalid::new("content_digest", format!("has {} bytes; it must have 32", bytes.len()))
        };
        check_len("submissions", submissions.len(), 1, Self::SUBMISSIONS_MAX)?;
        check_len("opinions", opinions.len(), 0, Opinions::COUNT_MAX)?;
        Ok(Self {
            content: ContentDigest(content_digest.try_into().map_err(length)?),
            details: details.map_or_else(|| Ok(Details::default()), |given| details_of("details", given))?,
            submissions: each("submissions", submissions, TryInto::try_into)?,
            holds: Holds::new(each("holds", holds, Hold::try_from)?),
            was_own,
            opinions: Opinions::new(each("opinions", opinions, TryInto::try_into)?),
            dispute: dispute.map(Into::into),
            resolved: resolution("resolution", outcome)?.map(|one| (one, UnixMillis(resolved_at_unix_ms))),
            held_for: held_for.into_iter().map(Into::into).collect(),
            flood_lifts: flood_lifts.into_iter().map(Into::into).collect(),
            labels: labels.map(|labels| labels_of("labels", labels)).transpose()?,
            standing: standing_from_wire(standing)?,
        })
    }
}

impl From<Hold> for pb::Hold {
    fn from(hold: Hold) -> Self {
        let holder = match hold.holder {
            Holder::Owner => pb::Holder::Owner,
            Holder::Operator => pb::Holder::Operator,
            Holder::Quarantine => pb::Holder::Quarantine,
            Holder::Charter => pb::Holder::Charter,
        };
        Self { holder: holder.into(), since_unix_ms: hold.since.0, until_unix_ms: hold.until.to_wire() }
    }
}

impl TryFrom<pb::Hold> for Hold {
    type Error = Invalid;

    fn try_from(message: pb::Hold) -> Result<Self, Invalid> {
        let holder = match pb::Holder::try_from(message.holder) {
            Ok(pb::Holder::Owner) => Holder::Owner,
            Ok(pb::Holder::Operator) => Holder::Operator,
            Ok(pb::Holder::Quarantine) => Holder::Quarantine,
            Ok(pb::Holder::Charter) => Holder::Charter,
            Ok(pb::Holder::Unspecified) | Err(_) => {
                return Err(Invalid::new("holder", format!("{} is no holder", message.holder)));
            }
        };
        let until = Expiry::from_wire(message.until_unix_ms);
        Ok(Self { holder, since: UnixMillis(message.since_unix_ms), until })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use vigie_consortium::{
        Charter, Class, Dispute, FloodLift, ForeignOpinion, MemberHold, Opinion, OpinionReason, OpinionWords,
        Resolution,
    };
    use vigie_model::{BankId, Labels, MemberId, OpinionKind, Sequence};

    use super::*;

    fn content() -> pb::ItemContent {
        let hash = Hash::md5([1; 16]);
        pb::ItemContent { hashes: vec![hash.into()], external_reference: "ref".into(), ..Default::default() }
    }

    #[test]
    fn records_survive_the_wire() {
        let class = |value: &str| pb_model::Class {
            taxonomy: "iwf".into(),
            dimension: "category".into(),
            value: value.into(),
        };
        let details = pb::ItemDetails {
            classification: vec![class("B"), class("A")],
            jurisdictions: vec!["FR".into()],
            note: "seen twice".into(),
            metadata: "{\"a\": 1}".into(),
        };
        let details = details_of("details", details).unwrap();
        let origin = Origin::new("programme", "key", "case").unwrap();
        let foreign = ForeignOpinion {
            kind: Some(OpinionKind::Negative),
            reason: Some(OpinionReason::OutOfScope),
            word: Text::new("NON_MALICIOUS").unwrap(),
        };
        let first = Submission { member: MemberId::HOST, origin, at: UnixMillis(5), foreign: Some(foreign) };
        let content = ContentDigest::of(BankId(2), &[Hash::md5([1; 16])]);
        let record = ItemRecord::new(content, details, first);
        let other = Submission {
            member: MemberId(3),
            origin: Origin::default(),
            at: UnixMillis(6),
            foreign: Some(ForeignOpinion::disputed()),
        };
        let mut record = record.with(other).unwrap();
        let hold = |holder| Hold { holder, since: UnixMillis(7), until: Expiry::at(UnixMillis(9)) };
        record.holds = Holds::new(Holder::ALL.map(hold));
        let opinion = |member, hash| Opinion {
            member: MemberId(member),
            hash,
            of_programme: member == 6,
            kind: (member != 5).then_some(OpinionKind::Negative),
            words: OpinionWords {
                reason: Some(OpinionReason::PoorHash),
                disputes: true,
                proposed: Class::new("iwf", "category", "C").ok(),
                foreign: Text::new("NotBlocked").unwrap(),
            },
            at: UnixMillis(11),
            sequence: Sequence(12),
        };
        record.opinions =
            Opinions::new(vec![opinion(3, None), opinion(3, Some(0)), opinion(5, None), opinion(6, None)]);
        let (opened_at, due_at) = (UnixMillis(11), UnixMillis(12));
        record.dispute = Some(Dispute { opened_at, due_at, opened_by: MemberId(3) });
        record.resolved = Some((Resolution::Reclassified, UnixMillis(10)));
        record.held_for = vec![MemberHold { member: MemberId(2), since: UnixMillis(1), flooded: true }];
        record.flood_lifts = vec![FloodLift { member: MemberId(3), at: UnixMillis(2) }];
        record.labels = Labels::try_from(vec!["b".to_owned(), "a".to_owned()]).ok();
        record.standing = Arc::new(record.standing_under(&Charter::default()));
        assert_eq!(ItemRecord::try_from(pb::ItemRecord::from(record.clone())), Ok(record.clone()));
        // An earlier version wrote more submissions of one member than can be added now, but no version wrote
        // more than these bounds.
        let of_one_member = |count: usize| {
            let submissions = vec![record.submissions[0].clone(); count];
            ItemRecord { submissions, ..record.clone() }
        };
        let former = of_one_member(64);
        assert_eq!(ItemRecord::try_from(pb::ItemRecord::from(former.clone())), Ok(former));
        assert!(ItemRecord::try_from(pb::ItemRecord::from(of_one_member(577))).is_err());
    }

    #[test]
    fn among_members_a_reference_is_an_origin_unless_another_is_given() {
        let origin = |message: pb::ItemContent, has_members| {
            contributed_item(message).unwrap().origin_of_submission(has_members)
        };
        let of_case = |case: &str| {
            let origin = Some(pb::Origin { case: case.into(), ..Default::default() });
            pb::ItemContent { origin, ..content() }
        };
        for plain in [content(), of_case("")] {
            assert_eq!(origin(plain.clone(), true), Origin::new("", "ref", "").ok());
            assert_eq!(origin(plain, false), None);
        }
        for has_members in [false, true] {
            assert_eq!(origin(of_case("c"), has_members), Origin::new("", "", "c").ok());
            let silent = pb::ItemContent { external_reference: String::new(), ..content() };
            assert_eq!(origin(silent, has_members), None);
        }
    }

    #[test]
    fn faults_are_named_by_their_fields() {
        let class = pb_model::Class { taxonomy: "iwf".into(), dimension: "age".into(), value: "9".into() };
        let faulty = [
            (
                pb::ItemDetails { classification: vec![class], ..Default::default() },
                "details.classification[0].value",
            ),
            (
                pb::ItemDetails { jurisdictions: vec!["fr".into()], ..Default::default() },
                "details.jurisdictions",
            ),
            (pb::ItemDetails { note: "a\nb".into(), ..Default::default() }, "details.note"),
            (pb::ItemDetails { metadata: "[]".into(), ..Default::default() }, "details.metadata"),
        ];
        for (details, field) in faulty {
            let item = pb::ItemContent { details: Some(details), ..content() };
            assert_eq!(contributed_item(item).unwrap_err().field, field);
        }
        let origin = Some(pb::Origin { programme: "x".repeat(256), ..Default::default() });
        let item = pb::ItemContent { origin, ..content() };
        assert_eq!(contributed_item(item).unwrap_err().field, "origin.programme");
    }
}
