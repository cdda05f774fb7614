//! A policy: a member's rules from matches to a verdict, in their source form.

use std::collections::BTreeSet;

use thiserror::Error;
use vigie_model::Verdict;

use super::bank_rule::BankRule;
use super::score_rule::{ScoreRule, ScoreRuleDraft, ScoreRuleField};
use crate::BankRef;
use crate::text::is_word;

/// A member's policy, checked against the bounds below. The syntax of its conditions is not checked here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    banks: Box<[BankRule]>,
    rules: Box<[VerdictRule]>,
    scores: Box<[ScoreRule]>,
}

/// A policy before it is checked.
#[derive(Debug, Clone, Default)]
pub struct PolicyDraft {
    /// Rules for banks, each bank once.
    pub banks: Vec<BankRule>,
    /// Verdict rules, in the order of evaluation.
    pub rules: Vec<VerdictRuleDraft>,
    /// Rules for classifiers' scores, which are evaluated in addition to the others.
    pub scores: Vec<ScoreRuleDraft>,
}

/// A rule of a [`Policy`] that gives a verdict if its condition is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerdictRule {
    name: Box<str>,
    condition: Box<str>,
    verdict: Verdict,
    shadow: bool,
}

/// A verdict rule before it is checked.
#[derive(Debug, Clone)]
pub struct VerdictRuleDraft {
    /// The name: 1 to 64 of a-z 0-9 -.
    pub name: String,
    /// A CEL expression over `matches` and `query`; empty if the rule always applies.
    pub condition: String,
    /// The verdict if the condition is true.
    pub verdict: Verdict,
    /// The rule counts only for the shadow verdict.
    pub shadow: bool,
}

/// The reason why a [`PolicyDraft`] is not a valid policy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PolicyError {
    /// Too many bank rules.
    #[error("a policy has at most {max} bank rules, not {0}", max = Policy::BANKS_MAX)]
    TooManyBanks(usize),
    /// A second rule for a bank, at this index.
    #[error("the bank {bank} has a rule already")]
    BankTwice {
        /// The index of the second rule.
        index: usize,
        /// The bank.
        bank: BankRef,
    },
    /// Too many verdict rules.
    #[error("a policy has at most {max} verdict rules, not {0}", max = Policy::RULES_MAX)]
    TooManyRules(usize),
    /// The name of the rule at this index is malformed.
    #[error("the name of a verdict rule is 1 to {max} of a-z 0-9 -", max = VerdictRule::NAME_LEN_MAX)]
    RuleName(usize),
    /// A second rule of the same name, at this index.
    #[error("an earlier verdict rule has this name")]
    RuleNameTwice(usize),
    /// The condition of a rule is too long.
    #[error("a condition has at most {max} bytes, not {len}", max = VerdictRule::CONDITION_LEN_MAX)]
    ConditionLength {
        /// The index of the rule.
        index: usize,
        /// The bytes of its condition.
        len: usize,
    },
    /// Too many score rules.
    #[error("a policy has at most {max} score rules, not {0}", max = Policy::SCORES_MAX)]
    TooManyScores(usize),
    /// A field of a score rule is wrong.
    #[error("{}", .field.expected())]
    Score {
        /// The index of the rule.
        index: usize,
        /// The field.
        field: ScoreRuleField,
    },
    /// Another rule has the name of the score rule at this index.
    #[error("another rule has this name")]
    ScoreNameTwice(usize),
}

impl PolicyError {
    /// Returns the path of the invalid field, such as `rules[2].condition`.
    #[must_use]
    pub fn field(&self) -> String {
        match self {
            Self::TooManyBanks(_) => "banks".to_owned(),
            Self::BankTwice { index, .. } => format!("banks[{index}].bank"),
            Self::TooManyRules(_) => "rules".to_owned(),
            Self::RuleName(index) | Self::RuleNameTwice(index) => format!("rules[{index}].name"),
            Self::ConditionLength { index, .. } => format!("rules[{index}].condition"),
            Self::TooManyScores(_) => "scores".to_owned(),
            Self::Score { index, field } => format!("scores[{index}].{}", field.name()),
            Self::ScoreNameTwice(index) => format!("scores[{index}].name"),
        }
    }
}

impl Policy {
    /// The largest number of bank rules of one policy.
    pub const BANKS_MAX: usize = 256;
    /// The largest number of verdict rules of one policy.
    pub const RULES_MAX: usize = 16;
    /// The largest number of score rules of one policy.
    pub const SCORES_MAX: usize = 16;

    /// Returns the bank rules, in the order in which they were given.
    #[must_use]
    pub fn banks(&self) -> &[BankRule] {
        &self.banks
    }

    /// Returns the verdict rules, in the order of evaluation.
    #[must_use]
    pub fn rules(&self) -> &[VerdictRule] {
        &self.rules
    }

    /// Returns the score rules, in the order in which they were given: a decision names the first rule that
    /// applies.
    #[must_use]
    pub fn scores(&self) -> &[ScoreRule] {
        &self.scores
    }
}

impl VerdictRule {
    /// The longest name, in bytes.
    pub const NAME_LEN_MAX: usize = ScoreRule::NAME_LEN_MAX;
    /// The longest condition, in bytes.
    pub const CONDITION_LEN_MAX: usize = 4_096;

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the condition's source; empty if the rule always applies.
    #[must_use]
    pub fn condition(&self) -> &str {
        &self.condition
    }

    /// Returns the verdict if the condition is true.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Whether the rule counts only for the shadow verdict.
    #[must_use]
    pub const fn is_shadow(&self) -> bool {
        self.shadow
    }
}

impl TryFrom<PolicyDraft> for Policy {
    type Error = PolicyError;

    fn try_from(draft: PolicyDraft) -> Result<Self, PolicyError> {
        let PolicyDraft { banks, rules, scores } = draft;
        if banks.len() > Self::BANKS_MAX {
            return Err(PolicyError::TooManyBanks(banks.len()));
        }
        let mut seen = BTreeSet::new();
        if let Some((index, rule)) = banks.iter().enumerate().find(|(_, rule)| !seen.insert(&rule.bank)) {
            return Err(PolicyError::BankTwice { index, bank: rule.bank.clone() });
        }
        if rules.len() > Self::RULES_MAX {
            return Err(PolicyError::TooManyRules(rules.len()));
        }
        let mut names = BTreeSet::new();
        for (index, rule) in rules.iter().enumerate() {
            if !is_word(&rule.name, VerdictRule::NAME_LEN_MAX) {
                return Err(PolicyError::RuleName(index));
            }
            if !names.insert(rule.name.as_str()) {
                return Err(PolicyError::RuleNameTwice(index));
            }
            if rule.condition.len() > VerdictRule::CONDITION_LEN_MAX {
                return Err(PolicyError::ConditionLength { index, len: rule.condition.len() });
            }
        }
        if scores.len() > Self::SCORES_MAX {
            return Err(PolicyError::TooManyScores(scores.len()));
        }
        for (index, rule) in scores.iter().enumerate() {
            if !names.insert(rule.name.as_str()) {
                return Err(PolicyError::ScoreNameTwice(index));
            }
        }
        let score =
            |(index, rule)| ScoreRule::try_from(rule).map_err(|field| PolicyError::Score { index, field });
        let scores = scores.iter().cloned().enumerate().map(score).collect::<Result<_, _>>()?;
        let checked = |rule: VerdictRuleDraft| {
            let VerdictRuleDraft { name, condition, verdict, shadow } = rule;
            VerdictRule { name: name.into(), condition: condition.into(), verdict, shadow }
        };
        Ok(Self { banks: banks.into(), rules: rules.into_iter().map(checked).collect(), scores })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(name: &str) -> BankRule {
        BankRule::of(name.parse().unwrap())
    }

    fn rule(name: &str, condition: &str) -> VerdictRuleDraft {
        let (name, condition) = (name.to_owned(), condition.to_owned());
        VerdictRuleDraft { name, condition, verdict: Verdict::Block, shadow: false }
    }

    fn check(banks: Vec<BankRule>, rules: Vec<VerdictRuleDraft>) -> Result<Policy, PolicyError> {
        Policy::try_from(PolicyDraft { banks, rules, scores: Vec::new() })
    }

    fn refused(banks: Vec<BankRule>, rules: Vec<VerdictRuleDraft>) -> (String, String) {
        let error = check(banks, rules).unwrap_err();
        (error.field(), error.to_string())
    }

    #[test]
    fn a_policy_within_its_bounds_is_kept_as_it_is() {
        let banks: Vec<_> = (0..256).map(|number| bank(&format!("bank-{number}"))).collect();
        let condition = " ".repeat(4_096);
        let rules: Vec<_> = (0..16).map(|number| rule(&format!("{number:064}"), &condition)).collect();
        let policy = check(banks.clone(), rules).unwrap();
        assert_eq!(policy.banks(), banks);
        assert_eq!(policy.rules().len(), 16);
        assert_eq!(policy.rules()[0].condition(), condition);
        assert_eq!((policy.rules()[0].verdict(), policy.rules()[0].is_shadow()), (Verdict::Block, false));
        // `owner/name` and a flat name are different banks.
        check(vec![bank("known"), bank("acme/known")], vec![]).unwrap();
        assert_eq!(check(vec![], vec![]).unwrap(), Policy::default());
    }

    #[test]
    fn every_bound_is_enforced_and_names_its_field() {
        let banks = (0..257).map(|number| bank(&format!("bank-{number}"))).collect();
        assert_eq!(refused(banks, vec![]).0, "banks");
        let (field, reason) = refused(vec![bank("acme/known"), bank("x"), bank("acme/known")], vec![]);
        assert_eq!(
            (field.as_str(), reason.as_str()),
            ("banks[2].bank", "the bank acme/known has a rule already")
        );
        let rules = (0..17).map(|number| rule(&format!("rule-{number}"), "")).collect();
        assert_eq!(refused(vec![], rules).0, "rules");
        for bad in ["", "A", "a_b", &"a".repeat(65)] {
            assert_eq!(refused(vec![], vec![rule("a", ""), rule(bad, "")]).0, "rules[1].name");
        }
        assert_eq!(refused(vec![], vec![rule("a", ""), rule("b", ""), rule("a", "")]).0, "rules[2].name");
        let (field, reason) = refused(vec![], vec![rule("a", &"x".repeat(4_097))]);
        assert_eq!(field, "rules[0].condition");
        assert_eq!(reason, "a condition has at most 4096 bytes, not 4097");
    }

    fn score(name: &str) -> ScoreRuleDraft {
        let (name, model, class) = (name.to_owned(), "nsfw".to_owned(), "nude".to_owned());
        ScoreRuleDraft { name, model, class, at_most_one_in: 1_000, shadow: true }
    }

    #[test]
    fn score_rules_are_kept_and_every_bound_names_its_field() {
        let with = |scores: Vec<ScoreRuleDraft>| {
            Policy::try_from(PolicyDraft { rules: vec![rule("near", "")], scores, ..PolicyDraft::default() })
        };
        let all: Vec<_> = (0..16).map(|number| score(&format!("s{number}"))).collect();
        let policy = with(all.clone()).unwrap();
        assert_eq!(policy.scores().iter().map(ScoreRule::draft).collect::<Vec<_>>(), all);
        assert_eq!(policy.scores()[0].at_most_one_in(), Some(1_000));
        let own = with(vec![ScoreRuleDraft { at_most_one_in: 0, ..score("a") }]).unwrap();
        assert_eq!(own.scores()[0].at_most_one_in(), None);
        let refused = |scores| with(scores).unwrap_err().field();
        assert_eq!(refused((0..17).map(|number| score(&format!("s{number}"))).collect()), "scores");
        assert_eq!(refused(vec![score("a"), score("near")]), "scores[1].name");
        assert_eq!(refused(vec![score("a"), score("a")]), "scores[1].name");
        for bad in ["", "A", "a_b"] {
            assert_eq!(refused(vec![score(bad)]), "scores[0].name");
        }
        for bad in ["", "A", "a b"] {
            assert_eq!(refused(vec![ScoreRuleDraft { model: bad.into(), ..score("a") }]), "scores[0].model");
            assert_eq!(refused(vec![ScoreRuleDraft { class: bad.into(), ..score("a") }]), "scores[0].class");
        }
        for bad in [1, 1_000_001, u64::MAX] {
            let rule = ScoreRuleDraft { at_most_one_in: bad, ..score("a") };
            assert_eq!(refused(vec![rule]), "scores[0].at_most_one_in");
        }
        for good in [2, 1_000_000] {
            assert!(with(vec![ScoreRuleDraft { at_most_one_in: good, ..score("a") }]).is_ok());
        }
    }
}
