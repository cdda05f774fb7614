//! Policies, and the decisions that they make.

use std::sync::Arc;

use vigie_consortium::policies::{
    BankRule, MemberPolicies, Policy, PolicyDraft, PolicyVersion, ScoreRule, ScoreRuleDraft, Verdict,
    VerdictRule, VerdictRuleDraft,
};
use vigie_consortium::{Change, MemberId};
use vigie_model::{Decided, MatchRatio};

use crate::invalid::{Invalid, check_len};
use crate::model::bank_ref;
use crate::pb::consortium::v1 as pb;

impl From<Verdict> for pb::Verdict {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Allow => Self::Allow,
            Verdict::Log => Self::Log,
            Verdict::Review => Self::Review,
            Verdict::Block => Self::Block,
            Verdict::Escalate => Self::Escalate,
        }
    }
}

/// Returns the number of a verdict; 0 for none.
#[must_use]
pub fn verdict_to_wire(verdict: Option<Verdict>) -> i32 {
    verdict.map_or(pb::Verdict::Unspecified, Into::into).into()
}

/// Reads a verdict. `field`: its field, for errors. Returns `None` for the unspecified one.
pub fn verdict(field: &str, number: i32) -> Result<Option<Verdict>, Invalid> {
    let found = Verdict::ALL.into_iter().find(|one| verdict_to_wire(Some(*one)) == number);
    match (found, number) {
        (Some(verdict), _) => Ok(Some(verdict)),
        (None, 0) => Ok(None),
        (None, _) => Err(Invalid::new(field, format!("{number} is no verdict"))),
    }
}

impl From<BankRule> for pb::BankRule {
    fn from(rule: BankRule) -> Self {
        let BankRule { bank, ignored, max_distance, positives_min, ignore_disputed, ratio, shadow } = rule;
        Self {
            bank: bank.to_string(),
            ignored,
            max_distance: max_distance.map(u32::from),
            positives_min,
            ignore_disputed,
            ratio: (ratio != MatchRatio::ALWAYS).then(|| ratio.get()),
            shadow,
        }
    }
}

impl TryFrom<pb::BankRule> for BankRule {
    type Error = Invalid;

    fn try_from(message: pb::BankRule) -> Result<Self, Invalid> {
        let pb::BankRule { bank, ignored, max_distance, positives_min, ignore_disputed, ratio, shadow } =
            message;
        let too_far = |_| Invalid::new("max_distance", "is more bits than a hash has");
        Ok(Self {
            bank: bank_ref("bank", &bank)?,
            ignored,
            max_distance: max_distance.map(u16::try_from).transpose().map_err(too_far)?,
            positives_min,
            ignore_disputed,
            ratio: ratio.map_or(Ok(MatchRatio::ALWAYS), |ratio| {
                MatchRatio::try_from(ratio).map_err(|error| Invalid::new("ratio", error))
            })?,
            shadow,
        })
    }
}

impl From<&VerdictRule> for pb::VerdictRule {
    fn from(rule: &VerdictRule) -> Self {
        Self {
            name: rule.name().to_owned(),
            condition: rule.condition().to_owned(),
            verdict: verdict_to_wire(Some(rule.verdict())),
            shadow: rule.is_shadow(),
        }
    }
}

impl From<&ScoreRule> for pb::ScoreRule {
    fn from(rule: &ScoreRule) -> Self {
        let ScoreRuleDraft { name, model, class, at_most_one_in, shadow } = rule.draft();
        Self { name, model, class, at_most_one_in, shadow }
    }
}

impl From<&Policy> for pb::Policy {
    fn from(policy: &Policy) -> Self {
        Self {
            banks: policy.banks().iter().cloned().map(Into::into).collect(),
            rules: policy.rules().iter().map(Into::into).collect(),
            scores: policy.scores().iter().map(Into::into).collect(),
        }
    }
}

impl TryFrom<pb::Policy> for Policy {
    type Error = Invalid;

    fn try_from(message: pb::Policy) -> Result<Self, Invalid> {
        let pb::Policy { banks, rules, scores } = message;
        check_len("banks", banks.len(), 0, Self::BANKS_MAX)?;
        check_len("rules", rules.len(), 0, Self::RULES_MAX)?;
        check_len("scores", scores.len(), 0, Self::SCORES_MAX)?;
        let bank = |(at, rule): (usize, pb::BankRule)| {
            BankRule::try_from(rule).map_err(|invalid| invalid.within(format!("banks[{at}]")))
        };
        let rule = |(at, rule): (usize, pb::VerdictRule)| {
            let given = verdict("verdict", rule.verdict)
                .and_then(|verdict| verdict.ok_or_else(|| Invalid::missing("verdict")));
            let verdict = given.map_err(|invalid| invalid.within(format!("rules[{at}]")))?;
            let pb::VerdictRule { name, condition, shadow, .. } = rule;
            Ok(VerdictRuleDraft { name, condition, verdict, shadow })
        };
        let score = |rule: pb::ScoreRule| {
            let pb::ScoreRule { name, model, class, at_most_one_in, shadow } = rule;
            ScoreRuleDraft { name, model, class, at_most_one_in, shadow }
        };
        let draft = PolicyDraft {
            banks: banks.into_iter().enumerate().map(bank).collect::<Result<_, _>>()?,
            rules: rules.into_iter().enumerate().map(rule).collect::<Result<_, Invalid>>()?,
            scores: scores.into_iter().map(score).collect(),
        };
        Self::try_from(draft).map_err(|error| Invalid::new(error.field(), error))
    }
}

impl From<&PolicyVersion> for pb::PolicyVersion {
    fn from(version: &PolicyVersion) -> Self {
        Self { version: version.version, policy: Some((&*version.policy).into()) }
    }
}

impl TryFrom<pb::PolicyVersion> for PolicyVersion {
    type Error = Invalid;

    fn try_from(message: pb::PolicyVersion) -> Result<Self, Invalid> {
        let policy = message.policy.ok_or_else(|| Invalid::missing("policy"))?;
        let policy = Policy::try_from(policy).map_err(|invalid| invalid.within("policy"))?;
        Ok(Self { version: message.version, policy: Arc::new(policy) })
    }
}

impl From<Decided> for pb::Decision {
    fn from(decided: Decided) -> Self {
        let Decided { verdict, rule, policy_version, shadow_verdict, failure, suppressed, by_score, id } =
            decided;
        Self {
            verdict: verdict_to_wire(Some(verdict)),
            rule: rule.into(),
            policy_version,
            shadow_verdict: verdict_to_wire(shadow_verdict),
            failure: failure.map(String::from).unwrap_or_default(),
            suppressed_count: suppressed,
            decision_id: id.map(Vec::from).unwrap_or_default(),
            by_score,
        }
    }
}

impl TryFrom<pb::Decision> for Decided {
    type Error = Invalid;

    fn try_from(message: pb::Decision) -> Result<Self, Invalid> {
        let id = (!message.decision_id.is_empty()).then(|| message.decision_id.try_into());
        let given = verdict("decision.verdict", message.verdict)?;
        Ok(Self {
            verdict: given.ok_or_else(|| Invalid::missing("decision.verdict"))?,
            rule: message.rule.into(),
            policy_version: message.policy_version,
            shadow_verdict: verdict("decision.shadow_verdict", message.shadow_verdict)?,
            failure: (!message.failure.is_empty()).then(|| message.failure.into()),
            suppressed: message.suppressed_count,
            by_score: message.by_score,
            id: id.transpose().map_err(|_| Invalid::new("decision.decision_id", "must have 16 bytes"))?,
        })
    }
}

/// Returns the message of a member's policies.
pub(crate) fn policies_to_wire(member: MemberId, policies: &MemberPolicies) -> pb::PoliciesPut {
    let message = pb::MemberPolicies {
        used_version: policies.used,
        current: policies.current.as_ref().map(Into::into),
        trial: policies.trial.as_ref().map(Into::into),
    };
    let policies = (!policies.is_none()).then_some(message);
    pb::PoliciesPut { member_id: member.0, policies }
}

/// Reads the policies of a member.
pub(crate) fn policies_of(message: pb::PoliciesPut) -> Result<(MemberId, Arc<MemberPolicies>), Invalid> {
    let pb::MemberPolicies { used_version, current, trial } = message.policies.unwrap_or_default();
    let version = |field: &str, version: Option<pb::PolicyVersion>| {
        let version = version.map(PolicyVersion::try_from).transpose();
        version.map_err(|invalid| invalid.within(format!("policies.{field}")))
    };
    let policies = MemberPolicies {
        used: used_version,
        current: version("current", current)?,
        trial: version("trial", trial)?,
    };
    Ok((MemberId(message.member_id), Arc::new(policies)))
}

/// Reads a change of a member's policies.
pub(crate) fn policies_change(message: pb::PoliciesPut) -> Result<Change, Invalid> {
    let (member, policies) = policies_of(message)?;
    Ok(Change::PoliciesPut { member, policies })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a message invalid.
    type Edit = fn(&mut pb::Policy);

    fn policy() -> pb::Policy {
        let bank = pb::BankRule {
            bank: "owner/known".into(),
            max_distance: Some(10),
            positives_min: 2,
            ratio: Some(0.5),
            ..Default::default()
        };
        let rule = pb::VerdictRule {
            name: "near".into(),
            condition: "matches.size() > 0".into(),
            verdict: pb::Verdict::Block.into(),
            shadow: true,
        };
        let score = pb::ScoreRule {
            name: "nude".into(),
            model: "nsfw".into(),
            class: "nude".into(),
            at_most_one_in: 1_000,
            shadow: false,
        };
        pb::Policy { banks: vec![bank], rules: vec![rule], scores: vec![score] }
    }

    #[test]
    fn policies_survive_the_wire() {
        let read = Policy::try_from(policy()).unwrap();
        assert_eq!(pb::Policy::from(&read), policy());
        let policies = MemberPolicies::default().with(Arc::new(read.clone()), false);
        let both = policies.with(Arc::new(read), true);
        for policies in [MemberPolicies::default(), policies, both] {
            let message = policies_to_wire(MemberId(3), &policies);
            assert_eq!(policies_of(message), Ok((MemberId(3), Arc::new(policies))));
        }
    }

    #[test]
    fn faults_are_named_by_their_fields() {
        let faults: [(Edit, &str); 8] = [
            (|policy| policy.banks[0].bank = "a b".into(), "banks[0].bank"),
            (|policy| policy.banks[0].ratio = Some(1.5), "banks[0].ratio"),
            (|policy| policy.rules[0].verdict = 0, "rules[0].verdict"),
            (|policy| policy.rules[0].name = "A".into(), "rules[0].name"),
            (|policy| policy.rules = vec![policy.rules[0].clone(); 17], "rules"),
            (|policy| policy.scores[0].name = "near".into(), "scores[0].name"),
            (|policy| policy.scores[0].at_most_one_in = 1, "scores[0].at_most_one_in"),
            (|policy| policy.scores = vec![policy.scores[0].clone(); 17], "scores"),
        ];
        for (edit, field) in faults {
            let mut message = policy();
            edit(&mut message);
            assert_eq!(Policy::try_from(message).unwrap_err().field, field);
        }
    }
}
