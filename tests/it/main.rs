//! The whole cluster under test. One binary: every test shares one build.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

mod matching;
mod approximate;
mod figures;
mod freshness;
mod feed_mutations;
mod cost;
mod traces;
mod slow_replica;
mod rolling_restart;
mod coverage;
mod reshard;
mod wrong_requests;
mod streams;
mod serving;
mod cli;
mod processes;
mod repository;
mod chart;
mod compose;
