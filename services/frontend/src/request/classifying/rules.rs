//! Score rules: a score above its threshold asks for a review by a person, and for nothing more.
//!
//! Always true of a decision to which they are applied: its verdict is unchanged, or it was below REVIEW and
//! is now REVIEW; the same holds for the shadow verdict. No score gives BLOCK, and none lowers a verdict.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use vigie_classifiers::{Rate, choose};
use vigie_consortium::{CardVersion, ScoreRule};
use vigie_model::{Decided, Verdict};

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

/// A rule whose score is at least its threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Holds {
    /// Whether the rule counts toward the shadow verdict alone.
    in_shadow: bool,
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
        let threshold = threshold(seen.card, rule, one_in);
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if held.len() >= THRESHOLDS_MAX {
            held.clear();
        }
        held.insert(of, threshold);
        threshold
    }

    /// Returns whether a rule holds for a score of a content.
    fn holds(&self, rule: &ScoreRule, seen: &Seen<'_>) -> Option<Holds> {
        let is_above = self.of(rule, seen).is_some_and(|threshold| seen.scored.score >= threshold);
        is_above.then(|| Holds { in_shadow: rule.is_shadow() || seen.is_shadow })
    }
}

fn threshold(card: &CardVersion, rule: &ScoreRule, one_in: u32) -> Option<f32> {
    let table = card.card().calibration()?.class(rule.class())?;
    Some(choose(table, Rate::one_in(one_in).ok()?).ok()?.measured.threshold)
}

/// Applies score rules to a decision of the other rules, and notes in `said` which score alone raised it to
/// REVIEW.
pub(crate) fn apply(decided: &mut Decided, rules: &[ScoreRule], said: &mut Said, thresholds: &Thresholds) {
    let review = applied(decided, rules, said, thresholds);
    if let Some((model, class)) = review {
        said.reviewed(model, &class);
    }
}

/// Applies the rules of a trial version, without noting anything.
pub(crate) fn try_out(decided: &mut Decided, rules: &[ScoreRule], said: &Said, thresholds: &Thresholds) {
    let _review = applied(decided, rules, said, thresholds);
}

/// Applies the rules. Returns the index of the model and the class whose score alone gave REVIEW.
fn applied(
    decided: &mut Decided,
    rules: &[ScoreRule],
    said: &Said,
    thresholds: &Thresholds,
) -> Option<(usize, vigie_classifiers::Name)> {
    let (mut by, mut by_shadow) = (None, false);
    // Whether any rule or model is in shadow: only then is there a shadow verdict.
    let mut is_shadow = decided.shadow_verdict.is_some();
    for rule in rules {
        is_shadow |= rule.is_shadow();
        let Some(seen) = said.score(rule.model(), rule.class()) else { continue };
        is_shadow |= seen.is_shadow;
        match thresholds.holds(rule, &seen) {
            Some(Holds { in_shadow: true }) => by_shadow = true,
            Some(Holds { in_shadow: false }) => by = by.or(Some((rule, seen.model))),
            None => {}
        }
    }
    let in_shadow = decided.shadow_verdict.unwrap_or(decided.verdict);
    let in_shadow = if by_shadow || by.is_some() { in_shadow.max(Verdict::Review) } else { in_shadow };
    decided.shadow_verdict = is_shadow.then_some(in_shadow);
    let (rule, model) = by.filter(|_| decided.verdict < Verdict::Review)?;
    decided.verdict = Verdict::Review;
    decided.rule = rule.name().into();
    decided.by_score = true;
    Some((model, rule.class().clone()))
}

#[cfg(test)]
mod tests;
