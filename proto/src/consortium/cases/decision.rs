//! Records of decisions, and their outcomes.

use vigie_consortium::cases::{
    Action, Basis, Complaint, DecisionListing, DecisionOutcome, MediaKind, QueryDigest, RecordedDecision,
    RecordedMatch, Review,
};
use vigie_model::{BankId, Decided, Facts, ItemId, UnixMillis};

use super::{moment, moment_to_wire};
use crate::invalid::{Invalid, check_len};
use crate::model::{Sender, bank_ref, distance, hash_type, hash_type_number, variant};
use crate::pb::consortium::v1 as pb;
use crate::pb::model::v1 as model;

/// The most bytes of a surface, the place where the content appeared.
const SURFACE_LEN_MAX: usize = 64;
/// The most bytes of the kind of a query.
const KIND_LEN_MAX: usize = 16;

/// Implements the conversions of words that have the same names on the wire, with the number 0 for none.
macro_rules! same_words {
    ($($word:ident, $wire:ident, $to:ident, $from:ident, $what:literal: $($name:ident)*;)*) => {$(
        const fn $to(word: Option<$word>) -> i32 {
            match word {
                None => pb::$wire::Unspecified as i32,
                $(Some($word::$name) => pb::$wire::$name as i32,)*
            }
        }

        fn $from(field: &str, number: i32) -> Result<Option<$word>, Invalid> {
            match pb::$wire::try_from(number) {
                Ok(pb::$wire::Unspecified) => Ok(None),
                $(Ok(pb::$wire::$name) => Ok(Some($word::$name)),)*
                Err(_) => Err(Invalid::new(field, format!(concat!("{} is no ", $what), number))),
            }
        }
    )*};
}

same_words! {
    Basis, Basis, basis_to_wire, basis, "basis": Own TrustedFlagger Notice Order Article9Order;
    Action, Action, action_to_wire, action, "action":
        Removed Disabled Demoted AgeRestricted InteractionRestricted Labelled Other;
    MediaKind, MediaKind, media_to_wire, media, "kind of content": Image Video Text Audio Other;
    Review, DecisionReview, review_to_wire, review, "review": Confirmed Overturned;
    Complaint, Complaint, complaint_to_wire, complaint, "state of a complaint": Received Rejected Upheld;
}

/// Reads the id of a decision: 16 bytes.
pub fn decision_id(field: &str, bytes: &[u8]) -> Result<[u8; 16], Invalid> {
    bytes.try_into().map_err(|_| Invalid::new(field, format!("has {} bytes; it must have 16", bytes.len())))
}

/// Reads digests of the hashes of a query, 32 bytes each.
pub fn query_digests(field: &str, digests: &[Vec<u8>]) -> Result<Vec<QueryDigest>, Invalid> {
    check_len(field, digests.len(), 0, RecordedDecision::DIGESTS_MAX)?;
    let digest = |bytes: &Vec<u8>| {
        let bytes = <[u8; 32]>::try_from(&bytes[..]);
        bytes.map(QueryDigest::from).map_err(|_| Invalid::new(field, "has a digest that is not 32 bytes"))
    };
    digests.iter().map(digest).collect()
}

impl From<RecordedMatch> for pb::RecordedMatch {
    fn from(found: RecordedMatch) -> Self {
        Self {
            item_id: found.item.map_or(0, |item| item.0),
            bank_id: found.bank.0,
            bank: found.bank_name.map(|name| name.to_string()).unwrap_or_default(),
            hash_type: hash_type_number(found.hash_type),
            distance: found.distance.0,
            variant: model::Variant::from(found.variant).into(),
            counts: found.counts,
            facts: found.facts.map(|facts| (*facts).into()),
        }
    }
}

impl TryFrom<pb::RecordedMatch> for RecordedMatch {
    type Error = Invalid;

    fn try_from(message: pb::RecordedMatch) -> Result<Self, Invalid> {
        let name = (!message.bank.is_empty()).then(|| bank_ref("bank", &message.bank));
        let facts = message.facts.map(Facts::try_from).transpose();
        let facts = facts.map_err(|invalid| invalid.within("facts"))?;
        if let Some(facts) = &facts {
            check_len("facts.classes", facts.classes.len(), 0, Self::CLASSES_MAX)?;
        }
        let hash_type = hash_type("hash_type", message.hash_type, Sender::Peer)?;
        Ok(Self {
            item: (message.item_id != 0).then_some(ItemId(message.item_id)),
            bank: BankId(message.bank_id),
            bank_name: name.transpose()?,
            hash_type,
            distance: distance(hash_type, message.distance)?,
            variant: variant(message.variant)?,
            counts: message.counts,
            facts: facts.map(Box::new),
        })
    }
}

impl From<RecordedDecision> for pb::RecordedDecision {
    fn from(record: RecordedDecision) -> Self {
        Self {
            decision_id: record.id.into(),
            decided_at_unix_ms: record.decided_at.0,
            decision: record.decided.map(|decided| Decided { id: None, ..decided }.into()),
            kind: record.kind.into(),
            surface: record.surface.into(),
            matches: record.matches.into_iter().map(Into::into).collect(),
            counting: record.counting,
            matches_omitted: record.matches_omitted,
        }
    }
}

impl TryFrom<pb::RecordedDecision> for RecordedDecision {
    type Error = Invalid;

    fn try_from(message: pb::RecordedDecision) -> Result<Self, Invalid> {
        check_len("matches", message.matches.len(), 1, RecordedMatch::MATCHES_MAX)?;
        check_len("kind", message.kind.len(), 0, KIND_LEN_MAX)?;
        check_len("surface", message.surface.len(), 0, SURFACE_LEN_MAX)?;
        let matches = message.matches.into_iter().enumerate().map(|(at, found)| {
            found.try_into().map_err(|invalid: Invalid| invalid.within(format!("matches[{at}]")))
        });
        Ok(Self {
            id: decision_id("decision_id", &message.decision_id)?,
            decided_at: UnixMillis(message.decided_at_unix_ms),
            decided: message.decision.map(Decided::try_from).transpose()?,
            kind: message.kind.into(),
            surface: message.surface.into(),
            matches: matches.collect::<Result<_, _>>()?,
            counting: message.counting,
            matches_omitted: message.matches_omitted,
        })
    }
}

impl From<DecisionOutcome> for pb::DecisionOutcome {
    fn from(outcome: DecisionOutcome) -> Self {
        Self {
            action: action_to_wire(outcome.action),
            person_looked: outcome.person_looked,
            review: review_to_wire(outcome.review),
            complaint: complaint_to_wire(outcome.complaint),
            basis: basis_to_wire(outcome.basis),
            media: media_to_wire(outcome.media),
            hosted_since_unix_ms: moment_to_wire(outcome.hosted_since),
            acted_at_unix_ms: moment_to_wire(outcome.acted_at),
        }
    }
}

impl TryFrom<pb::DecisionOutcome> for DecisionOutcome {
    type Error = Invalid;

    fn try_from(message: pb::DecisionOutcome) -> Result<Self, Invalid> {
        Ok(Self {
            action: action("action", message.action)?,
            person_looked: message.person_looked,
            review: review("review", message.review)?,
            complaint: complaint("complaint", message.complaint)?,
            basis: basis("basis", message.basis)?,
            media: media("media", message.media)?,
            hosted_since: moment(message.hosted_since_unix_ms),
            acted_at: moment(message.acted_at_unix_ms),
        })
    }
}

impl TryFrom<pb::DecisionListing> for DecisionListing {
    type Error = Invalid;

    fn try_from(message: pb::DecisionListing) -> Result<Self, Invalid> {
        let record = message.record.ok_or_else(|| Invalid::missing("record"))?;
        let outcome = message.outcome.map(DecisionOutcome::try_from).transpose()?;
        Ok(Self {
            record: record.try_into().map_err(|invalid: Invalid| invalid.within("record"))?,
            outcome: outcome.map(|outcome| (outcome, UnixMillis(message.outcome_at_unix_ms))),
            kept_until: UnixMillis(message.kept_until_unix_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{Distance, HashType, Variant, Verdict};

    use super::*;

    fn record() -> RecordedDecision {
        RecordedDecision {
            id: [9; 16],
            decided_at: UnixMillis(5),
            decided: Some(Decided {
                verdict: Verdict::Block,
                rule: "near".into(),
                policy_version: 3,
                shadow_verdict: None,
                failure: None,
                suppressed: 1,
                id: None,
                by_score: false,
            }),
            kind: "image".into(),
            surface: "avatar".into(),
            matches: vec![RecordedMatch {
                item: Some(ItemId(7)),
                bank: BankId(2),
                bank_name: Some("acme/known".parse().unwrap()),
                hash_type: HashType::PDQ,
                distance: Distance(4),
                variant: Variant::FlipX,
                counts: true,
                facts: Some(Box::new(Facts { positives: 2, ..Facts::default() })),
            }],
            matches_omitted: 1,
            counting: 2,
        }
    }

    #[test]
    fn records_and_outcomes_survive_the_wire() {
        assert_eq!(RecordedDecision::try_from(pb::RecordedDecision::from(record())), Ok(record()));
        let outcomes = Action::ALL.iter().map(|action| DecisionOutcome {
            action: Some(*action),
            person_looked: Some(false),
            hosted_since: Some(UnixMillis(4)),
            ..DecisionOutcome::default()
        });
        let bases = Basis::ALL.iter().map(|basis| DecisionOutcome {
            basis: Some(*basis),
            acted_at: Some(UnixMillis(6)),
            media: Some(MediaKind::Video),
            review: Some(Review::Overturned),
            complaint: Some(Complaint::Upheld),
            ..DecisionOutcome::default()
        });
        for outcome in outcomes.chain(bases) {
            assert_eq!(DecisionOutcome::try_from(pb::DecisionOutcome::from(outcome)), Ok(outcome));
        }
    }

    #[test]
    fn faults_are_named_by_their_fields() {
        type Fault = (fn(&mut pb::RecordedDecision), &'static str);
        let faults: [Fault; 5] = [
            (|message| message.decision_id = vec![1; 15], "decision_id"),
            (|message| message.matches.clear(), "matches"),
            (|message| message.surface = "x".repeat(65), "surface"),
            (|message| message.matches[0].distance = 70_000, "matches[0].distance"),
            (|message| message.decision.as_mut().unwrap().verdict = 9, "decision.verdict"),
        ];
        for (fault, field) in faults {
            let mut message = pb::RecordedDecision::from(record());
            fault(&mut message);
            let refused = RecordedDecision::try_from(message).unwrap_err().to_string();
            assert!(refused.starts_with(field), "{refused}");
        }
        let outcome = pb::DecisionOutcome { basis: 99, ..Default::default() };
        assert!(DecisionOutcome::try_from(outcome).unwrap_err().to_string().starts_with("basis"));
        assert!(query_digests("query_digests", &[vec![0; 31]]).is_err());
        assert!(query_digests("query_digests", &vec![vec![0; 32]; 17]).is_err());
    }
}
