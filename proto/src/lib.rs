//! The wire contract: protocol files, generated code, and the checked conversions to and from the model.
//!
//! [`pb`] is what `proto/` generates; only the `grpc.rs` of a service and the clients see it. On receipt every
//! message passes through `TryFrom<pb::X>` for a model type, which checks each bound that the protocol's comments
//! state and names the field at fault ([`Invalid`]). On sending, `From` cannot fail.
//!
//! Reading order: [`pb`], [`invalid`], [`status`], then one module for each package.

pub mod pb;
pub mod invalid;
pub mod status;
mod time;
mod model;
mod cost;
mod picture;
mod matching;
mod coordinator;
mod matcher;
pub mod bank;
#[cfg(feature = "decoder")]
pub mod decoder;

pub use invalid::Invalid;

/// The encoded descriptors of every package, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
