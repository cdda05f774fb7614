//! Converts a recorded decision to the record that fills reports and statements, and to the object that
//! `--json` prints.

use serde_json::{Value, json};
use vigie_consortium::Text;
use vigie_consortium::cases::{Complaint, DecisionListing, MediaKind, RecordedMatch};
use vigie_model::{Decided, HashType};
use vigie_statistics::statement::DecisionRecord;

use crate::commands::lines::{DecisionObject, FactsObject};

/// Converts the decision for statements and reports. Bank and class are those of the nearest match.
pub(super) fn decision_record(listing: &DecisionListing) -> anyhow::Result<DecisionRecord> {
    let record = &listing.record;
    // If no recorded match counts, the first one fills the fields. `matches_elsewhere` is then at least 1, so
    // a statement about the decision is rejected.
    let nearest = record.nearest().or(record.matches.first());
    let nearest = nearest.ok_or_else(|| anyhow::anyhow!("the record has no match"))?;
    let outcome = listing.outcome.map(|(outcome, _)| outcome).unwrap_or_default();
    let decided = record.decided.as_ref();
    let verdict = decided.map(|decided| decided.verdict.name().to_ascii_lowercase()).unwrap_or_default();
    let class = nearest.facts.as_ref().and_then(|facts| facts.classes.first());
    let class = class.map(|class| Text::new(class)).transpose()?.unwrap_or_default();
    Ok(DecisionRecord {
        id: record.id,
        at: record.decided_at,
        hosted_since: outcome.hosted_since,
        bank: nearest.bank,
        class,
        verdict: Text::new(&verdict)?,
        rule: decided.map(|decided| decided.rule.to_string()).unwrap_or_default(),
        media: outcome.media.unwrap_or_else(|| media(&record.kind, nearest.hash_type)),
        person_looked: outcome.person_looked,
        action: outcome.action,
        acted_at: outcome.acted_at,
        basis: outcome.basis,
        is_reinstated: outcome.complaint == Some(Complaint::Upheld),
        matches_elsewhere: record.counting_elsewhere().max(u32::from(record.nearest().is_none())),
    })
}

/// Returns the nearest match that the decision rests on.
pub(super) fn nearest(listing: &DecisionListing) -> anyhow::Result<&RecordedMatch> {
    listing.record.nearest().ok_or_else(|| anyhow::anyhow!("the decision rests on no match that is recorded"))
}

/// Returns the kind of the content. If only hashes were sent, the content is an image if the hash type is one
/// of images.
fn media(kind: &str, hash_type: HashType) -> MediaKind {
    let is_of_picture = [HashType::PDQ, HashType::PHOTODNA].contains(&hash_type);
    if kind != "hashes" || is_of_picture { MediaKind::Image } else { MediaKind::Other }
}

/// Returns the name of a match's bank, or its number if the caller may not see the bank.
pub(super) fn bank(found: &RecordedMatch) -> String {
    found.bank_name.as_ref().map_or_else(|| format!("bank {}", found.bank), ToString::to_string)
}

/// Formats an id as it is typed: 32 hexadecimal digits.
pub(super) fn hex(id: [u8; 16]) -> String {
    format!("{:032x}", u128::from_be_bytes(id))
}

/// Returns a decision as `--json` prints it, a contract with scripts. `vigie report submit --decision` reads
/// it.
pub(super) fn object(listing: &DecisionListing) -> Value {
    let DecisionListing { record, outcome, kept_until } = listing;
    let matches = record.matches.iter().map(|found| {
        json!({
            "item_id": found.item.map(|item| item.0),
            "bank": found.bank_name.as_ref().map(ToString::to_string),
            "bank_id": found.bank.0,
            "hash_type": found.hash_type.to_string(),
            "distance": found.distance.0,
            "variant": found.variant.to_string(),
            "counts": found.counts,
            "facts": found.facts.as_deref().map(FactsObject::from),
        })
    });
    let outcome = outcome.map(|(outcome, at)| {
        json!({
            "action": outcome.action.map(|action| action.name()),
            "person_looked": outcome.person_looked,
            "review": outcome.review.map(|review| review.name()),
            "complaint": outcome.complaint.map(|complaint| complaint.name()),
            "basis": outcome.basis.map(|basis| basis.name()),
            "media": outcome.media.map(|media| media.name()),
            "hosted_since_unix_ms": outcome.hosted_since.map(|since| since.0),
            "acted_at_unix_ms": outcome.acted_at.map(|at| at.0),
            "set_at_unix_ms": at.0,
        })
    });
    // The id is included even if the member had no policy, and so no verdict.
    let decided = record.decided.clone().map(|decided| Decided { id: Some(record.id), ..decided });
    json!({
        "decision_id": hex(record.id),
        "decided_at_unix_ms": record.decided_at.0,
        "kind": record.kind,
        "surface": record.surface,
        "matches": matches.collect::<Vec<_>>(),
        "matches_omitted": record.matches_omitted,
        "counting": record.counting,
        "person_looked": listing.outcome.and_then(|(outcome, _)| outcome.person_looked),
        "outcome": outcome,
        "kept_until_unix_ms": kept_until.0,
        "decision": decided.as_ref().map(DecisionObject::from),
    })
}

#[cfg(test)]
pub(super) mod tests {
    use vigie_consortium::cases::{Action, DecisionOutcome, RecordedDecision};
    use vigie_model::{BankId, Distance, Facts, ItemId, UnixMillis, Variant, Verdict};

    use super::*;

    pub(in crate::commands::cases) fn listing() -> DecisionListing {
        let outcome = DecisionOutcome {
            action: Some(Action::Removed),
            person_looked: Some(false),
            hosted_since: Some(UnixMillis(1_795_000_000_000)),
            ..DecisionOutcome::default()
        };
        DecisionListing {
            record: RecordedDecision {
                id: [15; 16],
                decided_at: UnixMillis(1_795_882_800_000),
                decided: Some(Decided {
                    verdict: Verdict::Block,
                    rule: "near".into(),
                    policy_version: 3,
                    shadow_verdict: None,
                    failure: None,
                    suppressed: 0,
                    id: None,
                    by_score: false,
                }),
                kind: "image".into(),
                surface: "avatar".into(),
                matches: vec![RecordedMatch {
                    item: Some(ItemId(7)),
                    bank: BankId(2),
                    bank_name: Some("known".parse().unwrap()),
                    hash_type: HashType::PDQ,
                    distance: Distance(4),
                    variant: Variant::Original,
                    counts: true,
                    facts: Some(Box::new(Facts {
                        positives: 2,
                        classes: ["ncmec/classification=A1".into()].into(),
                        ..Facts::default()
                    })),
                }],
                matches_omitted: 0,
                counting: 1,
            },
            outcome: Some((outcome, UnixMillis(1_795_882_900_000))),
            kept_until: UnixMillis(1_800_000_000_000),
        }
    }

    #[test]
    fn a_record_fills_a_decision() {
        let record = decision_record(&listing()).unwrap();
        assert_eq!((record.class.as_str(), record.verdict.as_str()), ("ncmec/classification=A1", "block"));
        assert_eq!((record.action, record.media), (Some(Action::Removed), MediaKind::Image));
        let mut without = listing();
        (without.record.decided, without.outcome) = (None, None);
        let record = decision_record(&without).unwrap();
        assert_eq!((record.verdict.as_str(), record.action, record.person_looked), ("", None, None));
        assert_eq!(
            (without.record.counting_elsewhere(), record.matches_elsewhere, record.basis),
            (0, 0, None)
        );
        without.record.counting = 2;
        assert_eq!(decision_record(&without).unwrap().matches_elsewhere, 1);
        without.record.matches[0].counts = false;
        (without.record.counting, without.outcome) = (0, listing().outcome);
        assert_eq!(decision_record(&without).unwrap().matches_elsewhere, 1);
        assert!(nearest(&without).is_err());
        assert_eq!(media("hashes", HashType::MD5), MediaKind::Other);
        assert_eq!(media("hashes", HashType::PDQ), MediaKind::Image);
    }

    #[test]
    fn an_object_has_the_fields_of_a_match() {
        let object = object(&listing());
        let decision = &object["decision"];
        let expected = (&json!("BLOCK"), &json!("0f".repeat(16)));
        assert_eq!((&decision["verdict"], &decision["decision_id"]), expected);
        assert_eq!(object["matches"][0]["facts"]["positives"], 2);
        assert_eq!(object["outcome"]["action"], "removed");
    }
}
