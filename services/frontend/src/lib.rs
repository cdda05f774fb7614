//! The frontend decodes and hashes the contents of requests, asks the coordinator and answers. It keeps
//! nothing.
//!
//! Always true:
//!
//! - Content is in memory only, and only until it is hashed. Neither images nor hashes are written or logged.
//! - Images and videos are decoded on bounded pools of threads, never on the threads that answer calls. When
//!   a pool's queue is full, the caller is refused at once.
//! - The PDQ hash of an image of low PDQ quality is not searched, and the answer states this.
//! - An image that cannot be decoded is searched by its digests, and the answer states that its picture was
//!   not searched.
//! - An answer states how many frames of an image were searched and how many were left out, and a match names
//!   its frame.
//! - An answer states why a part of a video was not sampled.
//! - Classifiers add likelihoods beside the matches. No answer or failure of a classifier changes the
//!   matches.
//! - "No match" is sent with the coverage of its search.
//!
//! Reading order: `config`, `hashing` (bounded decoding), `lost_shards` (the log lines about missing shards),
//! `searcher` (the connection to the coordinator), `prepared` (a content as queries), `matching` (one call
//! from content to answer), `request` (the caller's rights, memory for the answer, the answer in its wire
//! form, requests on a stream), `grpc`, `error`, `server`.

mod config;
mod server;
mod grpc;
mod error;
mod hashing;
mod lost_shards;
mod searcher;
mod prepared;
mod matching;
mod request;

pub use config::{ClassifiersConfig, Config, CoordinatorAt, QueryWay};
pub use error::RunError;
pub use server::{run, run_simulated, run_with};

#[cfg(test)]
mod tests;
