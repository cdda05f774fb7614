//! Score rules: a score above its threshold asks for a review by a person, and for nothing more.
//!
//! Always true of a decision to which they are applied: its verdict is unchanged, or it was below REVIEW and
//! is now REVIEW; the same holds for the shadow verdict. No score gives BLOCK, and none lowers a verdict.

use vigie_consortium::ScoreRule;
use vigie_model::{Decided, Verdict};

use crate::facts::{NoScore, ScoreFacts};
use crate::trace::Trace;

/// Applies score rules to a decision of the other rules. `facts` returns the score of a rule's model and
/// class, or why there is none. Returns the rule whose score alone raised the verdict to REVIEW.
pub fn apply_scores<'a>(
    decided: &mut Decided,
    rules: &'a [ScoreRule],
    facts: impl Fn(&ScoreRule) -> Result<ScoreFacts, NoScore>,
) -> Option<&'a ScoreRule> {
    applied(decided, rules, facts, &mut Trace::Off)
}

/// Applies score rules as [`apply_scores`] does, and returns a line for each rule.
pub fn try_scores(
    decided: &mut Decided,
    rules: &[ScoreRule],
    facts: impl Fn(&ScoreRule) -> Result<ScoreFacts, NoScore>,
) -> Vec<String> {
    let mut trace = Trace::On(Vec::new());
    let _rule = applied(decided, rules, facts, &mut trace);
    trace.into_lines()
}

fn applied<'a>(
    decided: &mut Decided,
    rules: &'a [ScoreRule],
    facts: impl Fn(&ScoreRule) -> Result<ScoreFacts, NoScore>,
    trace: &mut Trace,
) -> Option<&'a ScoreRule> {
    let (mut by, mut by_shadow) = (None, false);
    // Whether any rule or model is in shadow: only then is there a shadow verdict.
    let mut is_shadow = decided.shadow_verdict.is_some();
    for rule in rules {
        is_shadow |= rule.is_shadow();
        let seen = facts(rule);
        trace.score(rule, seen);
        let Ok(seen) = seen else { continue };
        is_shadow |= seen.in_shadow;
        if seen.threshold.is_some_and(|threshold| seen.score >= threshold) {
            if rule.is_shadow() || seen.in_shadow {
                by_shadow = true;
            } else {
                by = by.or(Some(rule));
            }
        }
    }
    let in_shadow = decided.shadow_verdict.unwrap_or(decided.verdict);
    let in_shadow = if by_shadow || by.is_some() { in_shadow.max(Verdict::Review) } else { in_shadow };
    decided.shadow_verdict = is_shadow.then_some(in_shadow);
    let rule = by.filter(|_| decided.verdict < Verdict::Review)?;
    decided.verdict = Verdict::Review;
    decided.rule = rule.name().into();
    decided.by_score = true;
    Some(rule)
}
