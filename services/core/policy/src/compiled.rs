//! A policy that is ready to decide.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;
use vigie_consortium::{Policy, Verdict};

use crate::bank_rules::{BankRules, Counted, Standing, counted};
use crate::decision::Decision;
use crate::door;
use crate::evaluate::{Meter, holds};
use crate::facts::{MatchFacts, QueryFacts};
use crate::trace::Trace;
use crate::tree::Tree;

/// A policy with checked conditions. It is built once for each version of a policy, and shared.
#[derive(Debug, Default)]
pub struct CompiledPolicy {
    banks: BankRules,
    rules: Box<[CompiledRule]>,
}

struct CompiledRule {
    name: Box<str>,
    /// `None` for a rule that always applies.
    condition: Option<Tree>,
    verdict: Verdict,
    is_shadow: bool,
}

/// A condition that is invalid or not supported.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {reason}")]
pub struct CompileError {
    /// The path of the invalid field, such as `rules[2].condition`.
    pub field: String,
    /// The fault and its position.
    pub reason: String,
}

/// A limit on the time of an evaluation: it ends when a function of the caller returns true. The crate itself
/// has no clock.
#[derive(Clone, Copy)]
pub struct Budget<'a> {
    is_spent: Option<&'a dyn Fn() -> bool>,
}

/// The outcome of the verdict rules over one set of matches.
struct Outcome {
    verdict: Verdict,
    rule: Box<str>,
    failure: Option<Box<str>>,
}

impl<'a> Budget<'a> {
    /// A budget without a deadline. The number of steps is still bounded.
    pub const UNLIMITED: Budget<'static> = Budget { is_spent: None };

    /// Returns a budget that is spent when the function returns true. It is called before each rule and about
    /// every 10 us.
    #[must_use]
    pub fn until(is_spent: &'a dyn Fn() -> bool) -> Self {
        Self { is_spent: Some(is_spent) }
    }
}

impl Decision {
    /// Returns the decision for a member without a policy: ALLOW without matches that count, and otherwise
    /// REVIEW. `is_cut` means that the given matches are incomplete.
    #[must_use]
    pub fn default_of(matches: &[MatchFacts], is_cut: bool) -> Self {
        let query = QueryFacts { is_cut, ..QueryFacts::default() };
        CompiledPolicy::default().decide(matches, &query, Budget::UNLIMITED)
    }
}

impl fmt::Debug for Budget<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget").field("is_limited", &self.is_spent.is_some()).finish()
    }
}

impl fmt::Debug for CompiledRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompiledRule")
            .field("name", &self.name)
            .field("verdict", &self.verdict)
            .finish_non_exhaustive()
    }
}

impl CompiledPolicy {
    /// The largest number of steps of all conditions of a policy together. A step takes a few nanoseconds.
    /// The slowest accepted policy takes less than 50 ms in a release build, which a test checks.
    pub const STEPS_MAX: u64 = 2_000_000;
    /// The largest number of matches that conditions see: the nearest ones.
    pub const MATCHES_MAX: usize = door::MATCHES_MAX;

    /// Compiles a policy. Its conditions are parsed and checked on a separate thread.
    pub fn compile(policy: &Policy) -> Result<Self, CompileError> {
        let conditions =
            || policy.rules().iter().enumerate().filter(|(_, rule)| !rule.condition().is_empty());
        let (numbers, sources): (Vec<_>, Vec<_>) =
            conditions().map(|(number, rule)| (number, rule.condition())).unzip();
        let refused =
            |number: usize, reason| CompileError { field: format!("rules[{number}].condition"), reason };
        let read = door::read_all(&sources).map_err(|(index, refusal)| {
            refused(numbers.get(index).copied().unwrap_or_default(), refusal.to_string())
        })?;
        let mut steps = 0_u64;
        for (number, tree) in numbers.iter().zip(&read) {
            steps = steps.saturating_add(tree.steps_max);
            if steps > Self::STEPS_MAX {
                let most = Self::STEPS_MAX;
                let reason =
                    format!("the conditions of a policy take at most {most} steps, and up to here {steps}");
                return Err(refused(*number, reason));
            }
        }
        let mut read = read.into_iter();
        let rules = policy.rules().iter().map(|rule| CompiledRule {
            name: rule.name().into(),
            condition: if rule.condition().is_empty() { None } else { read.next() },
            verdict: rule.verdict(),
            is_shadow: rule.is_shadow(),
        });
        Ok(Self { rules: rules.collect(), banks: BankRules::new(policy.banks()) })
    }

    /// Decides about a query. The order of the matches matters only among equal distances.
    ///
    /// Every failure (a value of a condition, its time, more matches than conditions see, a missing part of
    /// the answer) gives at least REVIEW, with [`Decision::failure`] set. A condition that fails ends the
    /// evaluation of rules: later ones are skipped, since the failed rule might have applied.
    #[must_use]
    pub fn decide(&self, matches: &[MatchFacts], query: &QueryFacts, budget: Budget<'_>) -> Decision {
        self.decided(matches, query, budget, &mut Trace::Off)
    }

    /// Decides as [`Self::decide`] does, and returns a line for each match that does not count and for each
    /// rule.
    #[must_use]
    pub fn try_with_trace(
        &self,
        matches: &[MatchFacts],
        query: &QueryFacts,
        budget: Budget<'_>,
    ) -> (Decision, Vec<String>) {
        let mut trace = Trace::On(Vec::new());
        let decision = self.decided(matches, query, budget, &mut trace);
        (decision, trace.into_lines())
    }

    fn decided(
        &self,
        matches: &[MatchFacts],
        query: &QueryFacts,
        budget: Budget<'_>,
        trace: &mut Trace,
    ) -> Decision {
        let standings: Vec<_> = matches.iter().map(|facts| self.banks.standing(facts, query)).collect();
        trace.standings(matches, &standings);
        let Counted { indices, suppressed } = counted(matches, &standings, false);
        trace.suppressed(matches, &suppressed);
        let Outcome { verdict, rule, failure } = self.outcome(matches, &indices, query, budget, false, trace);
        let is_in_shadow =
            standings.contains(&Standing::Shadow) || self.rules.iter().any(|rule| rule.is_shadow);
        let shadow_verdict = is_in_shadow.then(|| {
            trace.line(|| "with what is in shadow:".to_owned());
            let in_shadow = counted(matches, &standings, true);
            trace.suppressed(matches, &in_shadow.suppressed);
            self.outcome(matches, &in_shadow.indices, query, budget, true, trace).verdict
        });
        let suppressed_count = suppressed.len();
        Decision { verdict, rule, shadow_verdict, failure, counted: indices, suppressed_count }
    }

    /// Evaluates the rules over the matches at these indices.
    fn outcome(
        &self,
        matches: &[MatchFacts],
        indices: &[usize],
        query: &QueryFacts,
        budget: Budget<'_>,
        with_shadow: bool,
        trace: &mut Trace,
    ) -> Outcome {
        let seen = indices.iter().filter_map(|index| matches.get(*index)).take(Self::MATCHES_MAX);
        let seen: Vec<&MatchFacts> = seen.collect();
        let asked = catch_unwind(AssertUnwindSafe(|| self.asked(&seen, query, budget, with_shadow, trace)));
        let mut outcome = asked.unwrap_or_else(|_| Outcome {
            verdict: Verdict::Review,
            rule: Box::default(),
            failure: Some("the evaluation of the rules panicked".into()),
        });
        let incomplete = if query.is_cut {
            Some("the answer lacks matches")
        } else if indices.len() > Self::MATCHES_MAX {
            Some("more matches than the rules can see")
        } else {
            None
        };
        if let Some(reason) = incomplete {
            trace.line(|| format!("at least REVIEW: {reason}"));
            outcome.verdict = outcome.verdict.max(Verdict::Review);
            outcome.failure.get_or_insert_with(|| reason.into());
        }
        outcome
    }

    fn asked(
        &self,
        seen: &[&MatchFacts],
        query: &QueryFacts,
        budget: Budget<'_>,
        with_shadow: bool,
        trace: &mut Trace,
    ) -> Outcome {
        for rule in self.rules.iter().filter(|rule| with_shadow || !rule.is_shadow) {
            let result = match &rule.condition {
                None => Ok(true),
                Some(tree) => holds(tree, seen, query, &mut Meter::new(tree.steps_max, budget.is_spent)),
            };
            trace.rule(&rule.name, rule.verdict, &result);
            match result {
                Ok(false) => {}
                Ok(true) => return Outcome { verdict: rule.verdict, rule: rule.name.clone(), failure: None },
                Err(failure) => {
                    let failure = Some(format!("rule {}: {failure}", rule.name).into());
                    return Outcome { verdict: Verdict::Review, rule: rule.name.clone(), failure };
                }
            }
        }
        let verdict = if seen.is_empty() { Verdict::Allow } else { Verdict::Review };
        trace.line(|| format!("no rule holds: {verdict}"));
        Outcome { verdict, rule: Box::default(), failure: None }
    }
}
