//! A member's policy, applied: from the matches of one query to a verdict.
//!
//! Pure: no clock, network or store. A [`Policy`](vigie_consortium::Policy) is compiled once
//! ([`CompiledPolicy::compile`]) and decides about any number of queries. Three layers, in this order: bank
//! rules drop matches; allow-list banks take matches of other banks away; verdict rules are asked in order,
//! and the first whose condition holds gives the verdict.
//!
//! Always true:
//!
//! - **Nothing that fails gives ALLOW or LOG.** A condition without a value, a spent budget, a panic, more
//!   matches than conditions see and an incomplete answer give at least REVIEW, and [`Decision::failure`]
//!   says why.
//! - **Bounded**: what a condition may be is checked before it is stored (`door`), with an estimate of its
//!   steps; an evaluation counts its steps, stops at the estimate, and looks at the caller's deadline on the
//!   way. It recurses at most 32 deep and needs less than 128 KiB of the caller's stack in a debug build,
//!   which a test measures.
//! - **Conditions are CEL**, of which the crate `cel` is the parser. They are evaluated by this crate,
//!   because the interpreter of `cel` can be neither bounded nor interrupted, and takes more than forty times
//!   as long; tests compare the two.
//! - **The same picture fares alike**: shares of queries are drawn from the query's digest.
//!
//! Reading order: `facts` (what is known of a query), `described` (facts of a match), `values`, `fields` (the
//! names that conditions use), `tree` (a checked condition), `door` (`refusal`, `scan`, `operators`, `lower`,
//! `calls`, `loops`: which conditions are let through), `evaluate`, `bank_rules` (the first two layers),
//! `trace`, `decision`, `compiled`.

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
#[cfg(test)]
mod tests;

pub use compiled::{Budget, CompileError, CompiledPolicy};
pub use decision::Decision;
pub use facts::{MatchFacts, QueryFacts};
