//! The report of suspected material from a decision.

use serde_json::{Value, json};
use vigie_model::{Distance, Hash, HashType};

use super::digest::FileDigest;
use super::missing::{COM_2022_209, CYBERTIPLINE, Missing};
use crate::statement::{Basis, DecisionRecord};

/// A report of suspected material, filled from a decision.
#[derive(Debug, Clone)]
pub struct Suspected<'a> {
    /// The decision.
    pub decision: &'a DecisionRecord,
    /// The name of the list or bank, as the receiver knows it.
    pub list: &'a str,
    /// The reference of the item in the list.
    pub item: &'a str,
    /// The classes of the item, as `taxonomy/dimension/value`.
    pub classes: &'a [String],
    /// The hash that matched.
    pub matched: MatchedHash<'a>,
    /// The digests of the uploaded bytes, if Vigie computed them.
    pub digests: &'a [FileDigest],
    /// Whether the list has indicators of the EU Centre: only these make material "known" in the sense of
    /// COM(2022) 209.
    pub is_eu_centre_indicator: bool,
}

/// The hash types that describe the appearance of a file. Any other type is a digest and is not a value for
/// `details`.
const PERCEPTUAL: [HashType; 3] = [HashType::PDQ, HashType::PHOTODNA, HashType::TLSH];

/// A match: the hash of the upload and its distance.
#[derive(Debug, Clone, Copy)]
pub struct MatchedHash<'a> {
    /// The hash of the upload; `None` if it may not be passed on.
    pub hash: Option<&'a Hash>,
    /// The hash type.
    pub hash_type: HashType,
    /// The distance.
    pub distance: Distance,
}

impl Suspected<'_> {
    /// Checks whether a person looked at the whole file. Returns false for a match alone, and if that is
    /// unknown.
    #[must_use]
    pub fn is_viewed(&self) -> bool {
        self.decision.person_looked == Some(true)
    }

    /// Returns the text of `additionalInfo`.
    #[must_use]
    pub fn additional_info(&self) -> String {
        let looked = match self.decision.person_looked {
            Some(true) => "A person looked at the whole file.",
            Some(false) => "No person looked at the file.",
            None => "Whether a person looked at the file is not known.",
        };
        format!(
            "Automated match with the list {}, item {}, by hash type {} at distance {}. {looked}",
            self.list,
            self.item,
            name(self.matched.hash_type),
            self.matched.distance
        )
    }

    /// Returns the industry classification (A1, A2, B1, B2), if the list uses the taxonomy ncmec and gives
    /// exactly one.
    #[must_use]
    pub fn industry_classification(&self) -> Option<&str> {
        let value = |class: &String| {
            let value = class.strip_prefix("ncmec/classification/")?;
            ["A1", "A2", "B1", "B2"].into_iter().find(|known| *known == value)
        };
        let mut values = self.classes.iter().filter_map(value);
        let first = values.next()?;
        values.all(|other| other == first).then_some(first)
    }

    /// Returns the name and value of the hash for `details`, if it is a perceptual one.
    pub(super) fn perceptual_hash(&self) -> Option<(String, String)> {
        let hash = self.matched.hash.filter(|hash| PERCEPTUAL.contains(&hash.hash_type()))?;
        Some((name(hash.hash_type()), hash.to_text()))
    }

    /// Returns the fields that the platform adds, for both receivers.
    #[must_use]
    pub fn missing(&self) -> Vec<Missing> {
        CYBERTIPLINE.iter().chain(COM_2022_209).copied().collect()
    }

    /// Returns the report as JSON for Vigie's own interface: the known fields, and those that the platform
    /// adds.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let digests = self
            .digests
            .iter()
            .map(|digest| json!({"type": digest.digest_type().name(), "value": digest.hex()}));
        let hash =
            self.perceptual_hash().map(|(name, value)| json!({"name": name, "value": value, "type": "HASH"}));
        let missing = self.missing();
        let missing =
            missing.iter().map(|one| json!({"report": one.report, "field": one.field, "reason": one.reason}));
        json!({
            "decision": self.decision.id_text(),
            "decided_at_unix_ms": self.decision.at.0,
            "verdict": self.decision.verdict.as_str(),
            "file_details": {
                "fileViewedByEsp": self.is_viewed(),
                "industryClassification": self.industry_classification(),
                "originalFileHash": digests.collect::<Vec<_>>(),
                "details": hash.into_iter().collect::<Vec<_>>(),
                "additionalInfo": [self.additional_info()],
            },
            "annex_iii": {
                "2_known_material": if self.is_eu_centre_indicator { json!(true) } else { Value::Null },
                "8_learned_by": self.decision.basis.map(learned_by),
                "8_details": self.additional_info(),
                "10_action": self.decision.action,
            },
            "missing": missing.collect::<Vec<_>>(),
        })
    }
}

/// Returns the text for section 8 of Annex III: how the provider learned of the material.
const fn learned_by(basis: Basis) -> &'static str {
    match basis {
        Basis::Own => "own motion",
        Basis::TrustedFlagger => "hotline or trusted flagger",
        Basis::Notice => "user",
        Basis::Order | Basis::Article9Order => "authority",
    }
}

fn name(hash_type: HashType) -> String {
    hash_type.name().map_or_else(|| format!("type {}", hash_type.number()), str::to_owned)
}
