//! Tests of the whole cluster, in one binary, so that all tests share one build.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

mod answers;
mod bounded;
mod gateway;
mod operations;
mod measured;
mod members;
mod processes;
mod clients;
mod repository;
