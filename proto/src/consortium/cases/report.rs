//! Reports of members, and their reviews.

use vigie_consortium::cases::{ReportContents, ReportOutcome, ReportReview};
use vigie_consortium::{Classification, Verdict};
use vigie_model::ItemId;

use super::{decision_id, moment, moment_to_wire, text};
use crate::bank::{class, opinion_reason, reason_to_wire};
use crate::invalid::Invalid;
use crate::model::{Sender, distance, hash_type, hash_type_number};
use crate::pb::consortium::v1 as pb;

impl TryFrom<pb::ReportContents> for ReportContents {
    type Error = Invalid;

    fn try_from(message: pb::ReportContents) -> Result<Self, Invalid> {
        let decision =
            (!message.decision_id.is_empty()).then(|| decision_id("decision_id", &message.decision_id));
        let classes = message.classification.iter().map(|given| class("classification", given));
        let classes = classes.collect::<Result<Vec<_>, _>>()?;
        let of_type = |hash_type| Ok::<_, Invalid>((hash_type, distance(hash_type, message.distance)?));
        let matched = match message.hash_type {
            0 if message.distance > 0 => return Err(Invalid::missing("hash_type")),
            0 => None,
            number => Some(of_type(hash_type("hash_type", number, Sender::Peer)?)?),
        };
        let verdict = (!message.verdict.is_empty()).then(|| message.verdict.parse::<Verdict>());
        Ok(Self {
            item: (message.item_id != 0).then_some(ItemId(message.item_id)),
            decision: decision.transpose()?,
            decided_at: moment(message.decided_at_unix_ms),
            classification: Classification::new(classes)
                .map_err(|error| Invalid::new("classification", error))?,
            matched,
            verdict: verdict.transpose().map_err(|error| Invalid::new("verdict", error))?,
            person_looked: message.person_looked,
            urgent: message.urgent,
            legal_basis: text("legal_basis", &message.legal_basis)?,
            third_country_reference: text("third_country_reference", &message.third_country_reference)?,
            note: text("note", &message.note)?,
            adds_to: (message.adds_to != 0).then_some(message.adds_to),
        })
    }
}

impl From<ReportContents> for pb::ReportContents {
    fn from(contents: ReportContents) -> Self {
        Self {
            item_id: contents.item.map_or(0, |item| item.0),
            decision_id: contents.decision.map(Vec::from).unwrap_or_default(),
            decided_at_unix_ms: moment_to_wire(contents.decided_at),
            classification: contents.classification.iter().cloned().map(Into::into).collect(),
            hash_type: contents.matched.map_or(0, |(hash_type, _)| hash_type_number(hash_type)),
            distance: contents.matched.map_or(0, |(_, distance)| distance.0),
            verdict: contents.verdict.map(|verdict| verdict.name().to_ascii_lowercase()).unwrap_or_default(),
            person_looked: contents.person_looked,
            urgent: contents.urgent,
            legal_basis: contents.legal_basis.to_string(),
            third_country_reference: contents.third_country_reference.to_string(),
            note: contents.note.to_string(),
            adds_to: contents.adds_to.unwrap_or_default(),
        }
    }
}

impl From<ReportOutcome> for pb::ReportOutcome {
    fn from(outcome: ReportOutcome) -> Self {
        match outcome {
            ReportOutcome::Founded => Self::Founded,
            ReportOutcome::Unfounded => Self::Unfounded,
            ReportOutcome::Forwarded => Self::Forwarded,
            ReportOutcome::Duplicate => Self::Duplicate,
            ReportOutcome::MoreInformation => Self::MoreInformation,
        }
    }
}

fn outcome(number: i32) -> Result<ReportOutcome, Invalid> {
    let found = ReportOutcome::ALL.iter().find(|one| i32::from(pb::ReportOutcome::from(**one)) == number);
    match (found, number) {
        (Some(outcome), _) => Ok(*outcome),
        (None, 0) => Err(Invalid::missing("outcome")),
        (None, _) => Err(Invalid::new("outcome", format!("{number} is no outcome of a review"))),
    }
}

impl TryFrom<pb::ReportReview> for ReportReview {
    type Error = Invalid;

    fn try_from(message: pb::ReportReview) -> Result<Self, Invalid> {
        let review = Self {
            outcome: outcome(message.outcome)?,
            reason: text("reason", &message.reason)?,
            opinion_reason: opinion_reason("opinion_reason", message.opinion_reason)?,
            do_not_tell_until: moment(message.do_not_tell_until_unix_ms),
            do_not_remove_until: moment(message.do_not_remove_until_unix_ms),
        };
        review.check().map_err(|error| Invalid::new(error.field(), error))?;
        Ok(review)
    }
}

impl From<ReportReview> for pb::ReportReview {
    fn from(review: ReportReview) -> Self {
        Self {
            outcome: pb::ReportOutcome::from(review.outcome).into(),
            reason: review.reason.to_string(),
            opinion_reason: reason_to_wire(review.opinion_reason),
            do_not_tell_until_unix_ms: moment_to_wire(review.do_not_tell_until),
            do_not_remove_until_unix_ms: moment_to_wire(review.do_not_remove_until),
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_consortium::cases::CaseNote;
    use vigie_consortium::{Class, OpinionReason};
    use vigie_model::{Distance, HashType, UnixMillis};

    use super::*;

    #[test]
    fn a_report_reads_back_and_names_its_fault() {
        let contents = ReportContents {
            item: Some(ItemId(7)),
            decision: Some([3; 16]),
            decided_at: Some(UnixMillis(9)),
            classification: Classification::new(vec![Class::new("own", "kind", "a").unwrap()]).unwrap(),
            matched: Some((HashType::PDQ, Distance(4))),
            verdict: Some(Verdict::Block),
            person_looked: Some(false),
            urgent: true,
            note: CaseNote::new("a note").unwrap(),
            adds_to: Some(5),
            ..ReportContents::default()
        };
        let message = pb::ReportContents::from(contents.clone());
        assert_eq!(ReportContents::try_from(message.clone()), Ok(contents));
        let empty = pb::ReportContents::default();
        assert_eq!(ReportContents::try_from(empty), Ok(ReportContents::default()));
        let fault = |edit: fn(&mut pb::ReportContents)| {
            let mut message = message.clone();
            edit(&mut message);
            ReportContents::try_from(message).unwrap_err().field
        };
        assert_eq!(fault(|one| one.decision_id = vec![1; 15]), "decision_id");
        assert_eq!(fault(|one| one.hash_type = 0), "hash_type");
        assert_eq!(fault(|one| one.distance = 70_000), "distance");
        assert_eq!(fault(|one| one.verdict = "perhaps".into()), "verdict");
        assert_eq!(fault(|one| one.note = "a\nb".into()), "note");
        assert_eq!(fault(|one| one.legal_basis = "x".repeat(65)), "legal_basis");
    }

    #[test]
    fn a_review_reads_back_and_names_its_fault() {
        let review = ReportReview {
            outcome: ReportOutcome::Unfounded,
            reason: CaseNote::new("another picture").unwrap(),
            opinion_reason: Some(OpinionReason::DifferentContent),
            do_not_tell_until: Some(UnixMillis(4)),
            do_not_remove_until: None,
        };
        let message = pb::ReportReview::from(review.clone());
        assert_eq!(ReportReview::try_from(message.clone()), Ok(review));
        let fault = |message: pb::ReportReview| ReportReview::try_from(message).unwrap_err().field;
        assert_eq!(fault(pb::ReportReview { outcome: 0, ..message.clone() }), "outcome");
        assert_eq!(fault(pb::ReportReview { outcome: 9, ..message.clone() }), "outcome");
        assert_eq!(fault(pb::ReportReview { reason: String::new(), ..message.clone() }), "reason");
        assert_eq!(fault(pb::ReportReview { outcome: 1, ..message }), "opinion_reason");
    }
}
