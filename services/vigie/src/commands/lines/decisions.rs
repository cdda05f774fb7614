//! Decisions of policies, and opinions of members about an item, as JSON objects and as words for a person.

use serde::{Deserialize, Serialize};
use vigie_model::{Decided, Facts, OpinionKind, Verdict};

use crate::output::{counted_as, style};

/// The decision of a policy.
#[derive(Debug, Serialize)]
pub(crate) struct DecisionObject {
    /// The verdict: `ALLOW`, `LOG`, `REVIEW`, `BLOCK` or `ESCALATE`.
    verdict: &'static str,
    /// Name of the rule that gave the verdict; `null` if no rule's condition held.
    rule: Option<String>,
    /// Version of the policy; 0 for a policy that is not stored.
    policy_version: u32,
    /// The verdict if everything in shadow counted; `null` if nothing is in shadow.
    shadow_verdict: Option<&'static str>,
    /// The reason why the rules could not decide alone. The verdict is then at least `REVIEW`.
    failure: Option<String>,
    /// Number of matches that banks of an allow-list suppressed.
    suppressed_count: u32,
    /// Whether the verdict is `REVIEW` because of a classifier's score alone; `rule` is then the score rule.
    by_score: bool,
    /// Id of the recorded decision, as hexadecimal digits; `null` if it is not recorded.
    decision_id: Option<String>,
}

impl From<&Decided> for DecisionObject {
    fn from(decided: &Decided) -> Self {
        Self {
            verdict: decided.verdict.name(),
            rule: (!decided.rule.is_empty()).then(|| decided.rule.to_string()),
            policy_version: decided.policy_version,
            shadow_verdict: decided.shadow_verdict.map(Verdict::name),
            failure: decided.failure.as_deref().map(str::to_owned),
            suppressed_count: decided.suppressed,
            by_score: decided.by_score,
            decision_id: decided.id.map(|id| id.iter().map(|byte| format!("{byte:02x}")).collect()),
        }
    }
}

/// Describes a decision: `BLOCK by rule near (policy version 3)`.
#[must_use]
pub(crate) fn decision_words(decided: &Decided) -> String {
    let Decided { verdict, rule, policy_version, shadow_verdict, failure, suppressed, by_score, id } =
        decided;
    let look = match verdict {
        Verdict::Allow => style::GOOD,
        Verdict::Log | Verdict::Review => style::DOUBTFUL,
        Verdict::Block | Verdict::Escalate => style::BAD,
    };
    let mut text = style::styled(look, verdict.name());
    if let Some(failure) = failure {
        text.push_str(&format!(", because a person has to look: {failure}"));
    } else if rule.is_empty() {
        text.push_str(", since no rule holds");
    } else {
        text.push_str(&format!(" by rule {rule}"));
        if *by_score {
            text.push_str(", because of a classifier's score alone");
        }
    }
    if *policy_version > 0 {
        text.push_str(&format!(" (policy version {policy_version})"));
    }
    if let Some(shadow) = shadow_verdict {
        text.push_str(&format!("; with what is in shadow {shadow}"));
    }
    if *suppressed > 0 {
        let matches = counted_as((*suppressed).into(), "match", "matches");
        text.push_str(&format!("; allow-lists took {matches} away"));
    }
    if let Some(id) = id {
        text.push_str(&format!("; recorded as {:032x}", u128::from_be_bytes(*id)));
    }
    text
}

/// Opinions of members about an item, as `vigie match --json` prints them and `vigie policy try` reads them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FactsObject {
    /// Number of members whose newest opinion is positive.
    positives: u32,
    /// Number of members whose newest opinion is negative.
    negatives: u32,
    /// Number of members at which the item matched, and nobody has looked at it.
    seen: u32,
    /// The newest opinion of the caller's member, `positive`, `negative` or `seen`; `null` for none.
    mine: Option<String>,
    /// Whether a dispute about the item waits for an answer of the bank's owner.
    dispute_open: bool,
    /// Number of members that submitted the item; 0 if the bank does not return it.
    contributors: u32,
    /// Whether the item is set aside for the caller's member, because it is in probation there or held.
    is_aside: bool,
    /// Whether the bank requires more confirmations than the item has.
    probation: bool,
    /// Classes of the item, as `taxonomy/dimension=value`.
    classes: Vec<String>,
}

impl From<&Facts> for FactsObject {
    fn from(facts: &Facts) -> Self {
        Self {
            positives: facts.positives,
            negatives: facts.negatives,
            seen: facts.seen,
            mine: facts.mine.map(|mine| mine.name().to_owned()),
            dispute_open: facts.dispute_open,
            contributors: facts.contributors,
            is_aside: facts.is_aside,
            probation: facts.probation,
            classes: facts.classes.iter().map(ToString::to_string).collect(),
        }
    }
}

impl FactsObject {
    /// Converts the object. The error names the word that is not known.
    pub(crate) fn read(self) -> Result<Facts, String> {
        let known = [OpinionKind::Positive, OpinionKind::Negative, OpinionKind::Seen];
        let mine = self.mine.map(|word| {
            let found = known.into_iter().find(|kind| kind.name() == word);
            found.ok_or("facts.mine: is none of positive, negative and seen")
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
    use super::*;

    #[test]
    fn a_decision_says_who_gave_it_and_why() {
        let by_rule = Decided {
            verdict: Verdict::Block,
            rule: "near".into(),
            policy_version: 3,
            shadow_verdict: None,
            failure: None,
            suppressed: 0,
            id: None,
            by_score: false,
        };
        let words = |decided: &Decided| anstream::adapter::strip_str(&decision_words(decided)).to_string();
        assert_eq!(words(&by_rule), "BLOCK by rule near (policy version 3)");
        let by_score = Decided { verdict: Verdict::Review, by_score: true, ..by_rule.clone() };
        let expected = "REVIEW by rule near, because of a classifier's score alone (policy version 3)";
        assert_eq!(words(&by_score), expected);
        let recorded = Decided { id: Some([15; 16]), ..by_rule.clone() };
        let expected = format!("BLOCK by rule near (policy version 3); recorded as {}", "0f".repeat(16));
        assert_eq!(words(&recorded), expected);
        let none = Decided {
            verdict: Verdict::Allow,
            rule: "".into(),
            policy_version: 0,
            suppressed: 2,
            shadow_verdict: Some(Verdict::Escalate),
            ..by_rule.clone()
        };
        let expected =
            "ALLOW, since no rule holds; with what is in shadow ESCALATE; allow-lists took 2 matches away";
        assert_eq!(words(&none), expected);
        let failed =
            Decided { verdict: Verdict::Review, failure: Some("rule near: overflow".into()), ..by_rule };
        assert_eq!(
            words(&failed),
            "REVIEW, because a person has to look: rule near: overflow (policy version 3)"
        );
    }

    #[test]
    fn facts_are_read_as_they_are_printed() {
        let facts = Facts {
            positives: 2,
            mine: Some(OpinionKind::Seen),
            dispute_open: true,
            classes: ["iwf/category=A".into()].into(),
            ..Facts::default()
        };
        let json = serde_json::to_string(&FactsObject::from(&facts)).unwrap();
        assert_eq!(serde_json::from_str::<FactsObject>(&json).unwrap().read(), Ok(facts));
        let wrong = FactsObject { mine: Some("maybe".to_owned()), ..FactsObject::default() };
        assert!(wrong.read().unwrap_err().contains("facts.mine"));
    }
}
