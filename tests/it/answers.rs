//! Answers are right, complete, and as fresh as requested.

mod matching;
mod pictures;
mod approximate;
mod bank_sets;
mod classifiers;
mod coverage;
mod freshness;
mod hash_types;
mod packed;
mod shard_groups;
mod streams;
mod vectors;
mod wrong_requests;
