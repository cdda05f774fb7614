//! The frontend: decodes and hashes what is sent, asks the coordinator, answers. It keeps nothing.
//!
//! Always true:
//!
//! - Content lives in memory only, and only until it is hashed. No image is written or logged, no hash
//!   either.
//! - Images and videos are decoded on bounded pools of threads, never on those that answer calls; when its
//!   queue is full the caller is refused at once.
//! - An image of low PDQ quality is answered with that fact: its PDQ hash is not searched, and the answer
//!   says so.
//! - An image that cannot be decoded is searched by its digests, and the answer says that its picture was not
//!   searched.
//! - An answer says how many frames of an image were searched and how many were left out, and a match names
//!   its frame.
//! - An answer says why a part of a video was not sampled.
//! - What classifiers say is a likelihood beside the matches. Whatever they do, the matches are those that
//!   are found without them.
//! - "No match" comes with the coverage that it rests on.
//!
//! Reading order: `config`, `hashing` (bounded decoding), `lost_shards` (what is logged of answers),
//! `searcher` (the way to the coordinator), `prepared` (a content as queries), `matching` (one call from
//! content to answer), `request` (what its caller may search and see, memory for its answer, its answer as it
//! is sent, requests on a stream), `grpc`, `error`, `server`.

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
