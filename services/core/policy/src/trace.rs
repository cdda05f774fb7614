//! The trace of a decision that `TryPolicy` returns, a line for each step.

use vigie_consortium::{ScoreRule, Verdict};

use crate::bank_rules::Standing;
use crate::evaluate::Failure;
use crate::facts::{MatchFacts, NoScore, ScoreFacts};

/// The lines of a decision, or nothing if the trace is off.
pub(crate) enum Trace {
    Off,
    On(Vec<String>),
}

impl Trace {
    pub(crate) fn line(&mut self, line: impl FnOnce() -> String) {
        if let Self::On(lines) = self {
            lines.push(line());
        }
    }

    pub(crate) fn into_lines(self) -> Vec<String> {
        match self {
            Self::Off => Vec::new(),
            Self::On(lines) => lines,
        }
    }

    pub(crate) fn standings(&mut self, matches: &[MatchFacts], standings: &[Standing]) {
        for (index, (facts, standing)) in matches.iter().zip(standings).enumerate() {
            match standing {
                Standing::Counts => {}
                Standing::Shadow => self.line(|| format!("match {index} of {}: in shadow", facts.bank)),
                Standing::Dropped(reason) => {
                    self.line(|| format!("match {index} of {}: dropped, {reason}", facts.bank));
                }
            }
        }
    }

    pub(crate) fn suppressed(&mut self, matches: &[MatchFacts], suppressed: &[usize]) {
        for index in suppressed {
            if let Some(facts) = matches.get(*index) {
                self.line(|| format!("match {index} of {}: taken away by an allow-list bank", facts.bank));
            }
        }
    }

    pub(crate) fn score(&mut self, rule: &ScoreRule, seen: Result<ScoreFacts, NoScore>) {
        self.line(|| {
            let (name, of) = (rule.name(), format!("{}/{}", rule.model(), rule.class()));
            let ScoreFacts { score, threshold, in_shadow } = match seen {
                Ok(seen) => seen,
                Err(reason) => return format!("score rule {name}: not compared, {of}: {reason}"),
            };
            let shadow = if rule.is_shadow() || in_shadow { ", in shadow" } else { "" };
            match threshold {
                None => format!("score rule {name}: not compared, {of}: there is no threshold"),
                Some(threshold) if score >= threshold => {
                    format!("score rule {name}: {of} {score} is at least {threshold}, REVIEW{shadow}")
                }
                Some(threshold) => format!("score rule {name}: {of} {score} is below {threshold}{shadow}"),
            }
        });
    }

    pub(crate) fn rule(&mut self, name: &str, verdict: Verdict, result: &Result<bool, Failure>) {
        self.line(|| match result {
            Ok(true) => format!("rule {name}: holds, {verdict}"),
            Ok(false) => format!("rule {name}: does not hold"),
            Err(failure) => format!("rule {name}: {failure}, REVIEW"),
        });
    }
}
