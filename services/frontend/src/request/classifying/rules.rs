//! Applies a member's score rules to the scores of a content, with a cache of the rules' thresholds.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use vigie_consortium::ScoreRule;
use vigie_model::Decided;
use vigie_policy::{NoScore, ScoreFacts, apply_scores};

use super::said::{Said, Seen};

/// The most thresholds that are kept; when there are more, all are dropped and computed again. A version of a
/// card has one for each class and rate, and never changes.
const THRESHOLDS_MAX: usize = 4_096;

/// The computed thresholds of the rates in rules.
#[derive(Debug, Clone, Default)]
pub(crate) struct Thresholds(Arc<Mutex<HashMap<Of, Option<f32>>>>);

/// The class and the rate of a threshold.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Of {
    model: Box<str>,
    version: u32,
    class: Box<str>,
    one_in: u32,
}

impl Thresholds {
    /// Returns the threshold of a rule; `None` if the class has none, or the calibration supports none at the
    /// rate.
    fn of(&self, rule: &ScoreRule, seen: &Seen<'_>) -> Option<f32> {
        let Some(one_in) = rule.at_most_one_in() else { return seen.scored.threshold };
        let of = Of {
            model: seen.card.name().into(),
            version: seen.card.version(),
            class: rule.class().as_str().into(),
            one_in,
        };
        // No code that holds this lock can panic between two changes.
        if let Some(known) = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&of) {
            return *known;
        }
        let threshold = rule.threshold_by(seen.card.card());
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= THRESHOLDS_MAX {
            held.clear();
        }
        held.insert(of, threshold);
        threshold
    }

    /// Returns the score that a rule uses, or why there is none.
    fn facts(&self, rule: &ScoreRule, said: &Said) -> Result<ScoreFacts, NoScore> {
        let seen = said.score(rule.model(), rule.class()).ok_or(NoScore::Missing)?;
        let threshold = self.of(rule, &seen);
        Ok(ScoreFacts { score: seen.scored.score, threshold, in_shadow: seen.is_shadow })
    }
}

/// Applies score rules to a decision of the other rules, and notes in `said` which score alone raised it to
/// REVIEW.
pub(crate) fn apply(decided: &mut Decided, rules: &[ScoreRule], said: &mut Said, thresholds: &Thresholds) {
    if let Some(rule) = apply_scores(decided, rules, |rule| thresholds.facts(rule, said)) {
        said.reviewed(rule.model(), rule.class());
    }
}

/// Applies the rules of a trial version, without noting anything.
pub(crate) fn try_out(decided: &mut Decided, rules: &[ScoreRule], said: &Said, thresholds: &Thresholds) {
    let _rule = apply_scores(decided, rules, |rule| thresholds.facts(rule, said));
}

#[cfg(test)]
mod tests;
