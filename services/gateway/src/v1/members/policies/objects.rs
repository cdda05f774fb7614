//! Policies and the matches that they are tried on, in JSON.

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;
use vigie_classifiers::Name;
use vigie_clients::{PolicyFault, TriedScore};
use vigie_consortium::{BankRule, Policy, PolicyDraft, ScoreRuleDraft, VerdictRuleDraft};
use vigie_model::{
    BankId, Distance, Facts, ItemId, Match, MatchRatio, OpinionKind, Rendition, UnixMillis, Variant, Way,
};

use crate::problem::Problem;
use crate::v1::faults::at_most;
use crate::v1::values::value;

/// A policy.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct PolicyObject {
    /// The bank rules, each bank once.
    #[serde(deserialize_with = "at_most::<_, _, 256>")]
    #[schema(max_items = 256)]
    bank: Vec<BankRuleObject>,
    /// The rules, in order: the first whose condition holds gives the verdict. If none holds, the verdict is
    /// `ALLOW` if no match counts, and `REVIEW` otherwise. A rule that fails gives `REVIEW`.
    #[serde(deserialize_with = "at_most::<_, _, 16>")]
    #[schema(max_items = 16)]
    rule: Vec<RuleObject>,
    /// Rules that require a review where a classifier's score is at least a threshold. They apply in addition
    /// to the others, and never lower a verdict.
    #[serde(deserialize_with = "at_most::<_, _, 16>")]
    #[schema(max_items = 16)]
    score: Vec<ScoreRuleObject>,
}

/// A bank rule: the matches of a bank that count.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BankRuleObject {
    /// The bank: `owner/name`, an alias, or the name of an own bank.
    bank: String,
    /// Whether no match of the bank counts.
    #[serde(default)]
    ignored: bool,
    /// The largest distance of a match that counts, in bits; that of the search where it is not given.
    /// Vectors are not compared with it.
    max_distance: Option<u16>,
    /// The least number of members with a positive opinion on the item for its matches to count.
    #[serde(default)]
    positives_min: u32,
    /// Whether matches of items with both positive and negative opinions do not count.
    #[serde(default)]
    ignore_disputed: bool,
    /// The share of queries for which the bank counts, 0 to 1; 1 where it is not given. The same picture is
    /// always treated alike.
    #[schema(minimum = 0, maximum = 1)]
    ratio: Option<f64>,
    /// Whether matches of the bank count only for the shadow verdict.
    #[serde(default)]
    shadow: bool,
}

/// A rule that gives a verdict.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RuleObject {
    /// 1 to 64 of a-z 0-9 -.
    name: String,
    /// An expression of CEL over `matches` and `query`, at most 4096 bytes; empty for a rule that always
    /// holds.
    #[serde(default)]
    when: String,
    /// `ALLOW`, `LOG`, `REVIEW`, `BLOCK` or `ESCALATE`.
    verdict: String,
    /// Whether the rule counts only for the shadow verdict.
    #[serde(default)]
    shadow: bool,
}

/// A rule that raises the verdict to `REVIEW`, and never higher, where a classifier's score is at least a
/// threshold.
#[derive(Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScoreRuleObject {
    /// 1 to 64 of a-z 0-9 -; no other rule has it.
    name: String,
    /// The name of the model. It is asked about every image of the member.
    model: String,
    /// The class.
    class: String,
    /// Selects the threshold of the model's calibration at which at most one in this many other contents is
    /// above; where it is not given, the threshold of the model's card.
    #[schema(minimum = 2, maximum = 1_000_000)]
    at_most_one_in: Option<u64>,
    /// Whether the rule counts only for the shadow verdict.
    #[serde(default)]
    shadow: bool,
}

/// A score of a content, on which a policy is tried.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TriedScoreObject {
    /// The name of the model.
    model: String,
    /// The class.
    class: String,
    /// The score, 0 to 1.
    #[schema(minimum = 0, maximum = 1)]
    score: f32,
    /// The version of the model that gave the score; 0, or left out, for the version of the present card. The
    /// score of another version is not compared.
    #[serde(default)]
    version: u32,
}

impl TriedScoreObject {
    /// Converts to a score. `field`: its field, for errors.
    pub(super) fn read(self, field: &str) -> Result<TriedScore, Problem> {
        let Self { model, class, score, version } = self;
        let name = |part: &str, text: &str| value::<Name>(&format!("{field}.{part}"), text);
        let (model, class) = (name("model", &model)?, name("class", &class)?);
        if !(0.0..=1.0).contains(&score) {
            return Err(Problem::field(format!("{field}.score"), "is not from 0 to 1"));
        }
        Ok(TriedScore { model: model.into(), class: class.into(), score, version })
    }
}

/// A value of any kind that is accepted and not read.
#[derive(Debug, Default)]
struct NotRead;

impl<'de> Deserialize<'de> for NotRead {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|IgnoredAny| Self)
    }
}

impl Serialize for NotRead {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_unit()
    }
}

/// A match as a lookup answers it. Fields that no policy sees may be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TriedMatch {
    item_id: u64,
    /// The caller's name for the bank.
    bank: String,
    /// The bank's id.
    bank_id: u32,
    external_reference: Option<String>,
    #[serde(deserialize_with = "at_most::<_, _, 1000>")]
    labels: Vec<String>,
    /// The type of the hash that matched.
    hash_type: String,
    /// Differing bits, or of vectors millionths of the metric.
    distance: u32,
    /// The same of a vector in its metric, which is not read.
    #[schema(value_type = Option<f64>)]
    metric_distance: NotRead,
    /// The evidence of a video, which no policy sees.
    #[schema(value_type = Option<Object>)]
    video: NotRead,
    variant: Option<String>,
    exact: bool,
    other_matches: u32,
    frame: u32,
    way: Option<String>,
    item_time_ms: Option<u32>,
    /// Milliseconds since 1970: when the item was added.
    added_at_unix_ms: Option<u64>,
    /// The members' opinions on the item, and other facts.
    facts: Option<TriedFacts>,
}

/// The members' opinions on an item, and other facts.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TriedFacts {
    positives: u32,
    negatives: u32,
    seen: u32,
    /// `positive`, `negative` or `seen`.
    mine: Option<String>,
    dispute_open: bool,
    contributors: u32,
    is_aside: bool,
    probation: bool,
    #[serde(deserialize_with = "at_most::<_, _, 32>")]
    classes: Vec<String>,
}

impl From<&Policy> for PolicyObject {
    fn from(policy: &Policy) -> Self {
        let bank = |rule: &BankRule| BankRuleObject {
            bank: rule.bank.to_string(),
            ignored: rule.ignored,
            max_distance: rule.max_distance,
            positives_min: rule.positives_min,
            ignore_disputed: rule.ignore_disputed,
            ratio: (rule.ratio != MatchRatio::ALWAYS).then(|| rule.ratio.get()),
            shadow: rule.shadow,
        };
        let rules = policy.rules().iter().map(|rule| RuleObject {
            name: rule.name().to_owned(),
            when: rule.condition().to_owned(),
            verdict: rule.verdict().to_string(),
            shadow: rule.is_shadow(),
        });
        let scores = policy.scores().iter().map(|rule| ScoreRuleObject {
            name: rule.name().to_owned(),
            model: rule.model().to_string(),
            class: rule.class().to_string(),
            at_most_one_in: rule.at_most_one_in().map(u64::from),
            shadow: rule.is_shadow(),
        });
        Self {
            bank: policy.banks().iter().map(bank).collect(),
            rule: rules.collect(),
            score: scores.collect(),
        }
    }
}

impl PolicyObject {
    /// Returns whether the policy has no rules.
    pub(super) fn is_empty(&self) -> bool {
        self.bank.is_empty() && self.rule.is_empty() && self.score.is_empty()
    }

    /// Converts to a policy. Its conditions are not compiled here, so they may be invalid.
    pub(crate) fn read(&self) -> Result<Policy, Problem> {
        let mut draft = PolicyDraft::default();
        for (at, rule) in self.bank.iter().enumerate() {
            let ratio = rule.ratio.map(MatchRatio::try_from).transpose();
            draft.banks.push(BankRule {
                bank: value(&format!("bank[{at}].bank"), &rule.bank)?,
                ignored: rule.ignored,
                max_distance: rule.max_distance,
                positives_min: rule.positives_min,
                ignore_disputed: rule.ignore_disputed,
                ratio: ratio
                    .map_err(|why| Problem::field(format!("bank[{at}].ratio"), why))?
                    .unwrap_or(MatchRatio::ALWAYS),
                shadow: rule.shadow,
            });
        }
        for (at, rule) in self.rule.iter().enumerate() {
            draft.rules.push(VerdictRuleDraft {
                name: rule.name.clone(),
                condition: rule.when.clone(),
                verdict: value(&format!("rule[{at}].verdict"), &rule.verdict)?,
                shadow: rule.shadow,
            });
        }
        let scores = self.score.iter().map(|rule| ScoreRuleDraft {
            name: rule.name.clone(),
            model: rule.model.clone(),
            class: rule.class.clone(),
            at_most_one_in: rule.at_most_one_in.unwrap_or(0),
            shadow: rule.shadow,
        });
        draft.scores.extend(scores);
        Policy::try_from(draft).map_err(|error| {
            let fault = PolicyFault::within(&error.field(), error.to_string());
            fault.map_or_else(|| Problem::bad(error.to_string()), |fault| self.problem(&fault))
        })
    }

    /// Returns the problem of a part of the policy, under the name by which the part was sent.
    pub(crate) fn problem(&self, fault: &PolicyFault) -> Problem {
        let list = match fault.list.as_str() {
            "banks" => "bank",
            "rules" => "rule",
            "scores" => "score",
            other => other,
        };
        let Some(index) = fault.index else { return Problem::field(list, &fault.reason) };
        let field = if fault.field == "condition" { "when" } else { &fault.field };
        let dot = if field.is_empty() { "" } else { "." };
        let path = format!("{list}[{index}]{dot}{field}");
        match self.rule.get(index).filter(|_| list == "rule" && field == "when") {
            Some(rule) => Problem::field(path, format!("rule {}: {}", rule.name, fault.reason)),
            None => Problem::field(path, &fault.reason),
        }
    }
}

impl TriedMatch {
    /// Converts to a match. `field`: its field, for errors.
    pub(super) fn read(self, field: &str) -> Result<Match, Problem> {
        let within = |name: &str| format!("{field}.{name}");
        let variant = self.variant.as_deref().map_or(Some(Variant::Original), |name| {
            Variant::ALL.into_iter().find(|variant| variant.name() == name)
        });
        let facts = self.facts.map(|facts| facts.read(&within("facts"))).transpose()?;
        Ok(Match {
            video: None,
            item_time_ms: self.item_time_ms,
            item: ItemId(self.item_id),
            bank: BankId(self.bank_id),
            bank_name: value(&within("bank"), &self.bank)?,
            external_reference: self.external_reference.map(String::into_boxed_str),
            labels: self.labels.into_iter().map(String::into_boxed_str).collect(),
            hash_type: value(&within("hash_type"), &self.hash_type)?,
            distance: Distance(self.distance),
            variant: variant.ok_or_else(|| Problem::field(within("variant"), "is not a variant"))?,
            exact: self.exact,
            other_matches: self.other_matches,
            // Policies cannot see the way.
            rendition: Rendition { frame: self.frame, way: Way::Plain },
            added_at: self.added_at_unix_ms.map(UnixMillis),
            facts: facts.map(Box::new),
        })
    }
}

impl TriedFacts {
    fn read(self, field: &str) -> Result<Facts, Problem> {
        let known = [OpinionKind::Positive, OpinionKind::Negative, OpinionKind::Seen];
        let mine = self.mine.map(|word| {
            let found = known.into_iter().find(|kind| kind.name() == word);
            found.ok_or_else(|| Problem::field(format!("{field}.mine"), "is positive, negative or seen"))
        });
        Ok(Facts {
            positives: self.positives,
            negatives: self.negatives,
            seen: self.seen,
            mine: mine.transpose()?,
            dispute_open: self.dispute_open,
            contributors: self.contributors,
            is_aside: self.is_aside,
            probation: self.probation,
            classes: self.classes.into_iter().map(String::into_boxed_str).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_policy_is_read_as_it_is_shown() {
        let asked = json!({
            "bank": [{ "bank": "acme/known", "max_distance": 10, "ratio": 0.5 }, { "bank": "old", "ignored": true }],
            "rule": [{ "name": "near", "when": "matches.size() > 0", "verdict": "block" }, { "name": "x", "verdict": "LOG" }],
            "score": [{ "name": "nude", "model": "nsfw", "class": "nude", "at_most_one_in": 1000 }],
        });
        let object: PolicyObject = serde_json::from_value(asked).unwrap();
        let policy = object.read().unwrap();
        assert_eq!(policy.scores()[0].at_most_one_in(), Some(1_000));
        let shown = serde_json::to_string(&PolicyObject::from(&policy)).unwrap();
        let read: PolicyObject = serde_json::from_str(&shown).unwrap();
        assert_eq!(read.read().unwrap(), policy);
    }

    #[test]
    fn faults_are_named_as_they_were_sent() {
        let field = |value: serde_json::Value| {
            serde_json::from_value::<PolicyObject>(value).unwrap().read().unwrap_err().field.unwrap()
        };
        assert_eq!(field(json!({ "rule": [{ "name": "A", "verdict": "LOG" }] })), "rule[0].name");
        assert_eq!(field(json!({ "rule": [{ "name": "a", "verdict": "NO" }] })), "rule[0].verdict");
        assert_eq!(field(json!({ "bank": [{ "bank": "a b" }] })), "bank[0].bank");
        let score = |model: &str| json!({ "score": [{ "name": "a", "model": model, "class": "c" }] });
        assert_eq!(field(score("M")), "score[0].model");
        assert_eq!(field(json!({ "bank": [{ "bank": "a" }, { "bank": "a" }] })), "bank[1].bank");
        let object: PolicyObject =
            serde_json::from_value(json!({ "rule": [{ "name": "near", "verdict": "LOG" }] })).unwrap();
        let fault = PolicyFault::within("rules[0].condition", "there is no `x`".to_owned()).unwrap();
        assert_eq!(object.problem(&fault).message, "rule[0].when: rule near: there is no `x`");
    }

    #[test]
    fn a_match_is_read_as_a_lookup_answers_it() {
        let read = |value: serde_json::Value| {
            serde_json::from_value::<TriedMatch>(value).unwrap().read("matches[0]")
        };
        let found = read(json!({
            "item_id": 9, "bank": "acme/known", "bank_id": 2, "external_reference": null, "labels": ["a"],
            "hash_type": "pdq", "distance": 4, "variant": "flip-x", "exact": true, "other_matches": 0, "frame": 0,
            "way": "plain", "item_time_ms": 3_400,
            "facts": { "positives": 2, "mine": "seen", "classes": ["iwf/category=A"] },
        }))
        .unwrap();
        let facts = found.facts.unwrap();
        assert_eq!((facts.positives, facts.mine), (2, Some(OpinionKind::Seen)));
        assert_eq!((found.distance, found.variant), (Distance(4), Variant::FlipX));
        assert_eq!(found.item_time_ms, Some(3_400));
        for (wrong, field) in [
            (json!({ "bank": "a", "hash_type": "x" }), "matches[0].hash_type"),
            (json!({ "bank": "", "hash_type": "pdq" }), "matches[0].bank"),
            (json!({ "bank": "a", "hash_type": "pdq", "variant": "up" }), "matches[0].variant"),
            (json!({ "bank": "a", "hash_type": "pdq", "facts": { "mine": "no" } }), "matches[0].facts.mine"),
        ] {
            assert_eq!(read(wrong).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
