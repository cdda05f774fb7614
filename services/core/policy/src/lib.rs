//! Applies a member's policy: from the matches of one query to a verdict.
//!
//! The crate is pure: it has no clock, network or store. A [`Policy`](vigie_consortium::Policy) is compiled
//! once ([`CompiledPolicy::compile`]) and decides about any number of queries. There are four layers, in this
//! order: bank rules drop matches; allow-list banks suppress matches of other banks; verdict rules are
//! evaluated in order, and the first whose condition is true gives the verdict; score rules raise a verdict
//! to REVIEW at most ([`apply_scores`], where there are scores).
//!
//! Always true:
//!
//! - **Nothing that fails gives ALLOW or LOG.** A condition without a value, a spent budget, a panic, more
//!   matches than conditions see and an incomplete answer give at least REVIEW, and [`Decision::failure`]
//!   gives the reason.
//! - **Bounded**: a condition is checked before it is stored (`door`), and its steps are estimated. An
//!   evaluation counts its steps, stops at the estimate, and checks the caller's deadline regularly. It
//!   recurses at most 32 deep and needs less than 128 KiB of the caller's stack in a debug build, which a
//!   test measures.
//! - **Conditions are CEL**, parsed by the crate `cel`. This crate evaluates them itself, because the
//!   interpreter of `cel` can be neither bounded nor interrupted, and takes more than forty times as long;
//!   tests compare the two.
//! - **Equal pictures get equal decisions**: shares of queries are drawn from the query's digest.
//!
//! Reading order: `facts` (the facts about a query and its matches), `described` (facts of a match),
//! `values`, `fields` (the names that conditions use), `tree` (a checked condition), `door` (`refusal`,
//! `scan`, `operators`, `lower`, `calls`, `loops`: the check of conditions), `evaluate`, `bank_rules` (the
//! first two layers), `trace`, `decision`, `compiled`, `scores` (the last layer).

mod facts;
mod described;
mod values;
mod fields;
mod tree;
mod door;
mod evaluate;
mod bank_rules;
mod trace;
mod decision;
mod compiled;
mod scores;
#[cfg(test)]
mod tests;

pub use compiled::{Budget, CompileError, CompiledPolicy};
pub use decision::Decision;
pub use facts::{MatchFacts, NoScore, QueryFacts, ScoreFacts};
pub use scores::{apply_scores, try_scores};
