//! Typed clients of every service.
//!
//! A client speaks in model types; the wire is behind it. Every call has a deadline: it travels to the service as
//! `grpc-timeout`, less what the answer needs to come back, and is kept here too, so a call never outlasts it.
//! [`retry::retryable`] is the one place that decides which failures are worth another attempt.
//!
//! Reading order: [`CallError`], [`Target`], [`retry`], [`lane`], then one module for each service.

mod error;
mod network;
#[cfg(feature = "args")]
mod args;
mod target;
pub mod retry;
pub mod load;
pub mod lane;
mod pool;
mod bank;
mod coordinator;
mod feed;
mod state;
mod matcher;
mod matching;

#[cfg(feature = "args")]
pub use args::{TlsArgs, TlsArgsError};
pub use bank::{BankClient, IdempotencyKey, ItemPage, Written};
pub use coordinator::CoordinatorClient;
pub use error::CallError;
pub use feed::{FeedClient, FeedStream};
pub use matcher::{DescriptionStream, MatcherClient};
pub use matching::{MatchAnswer, MatchClient, MatchStreamAnswer, QueryFailure};
pub use network::{Connect, Connection, Network};
pub use state::StateStream;
pub use target::{Target, TargetError, is_plaintext_off_loopback};
pub use tokio::time::Instant as Deadline;
pub use tonic::Code;
pub use vigie_model::Priority;
pub use vigie_tls::{ClientCertificates, Sides, Tls, TlsConfig, is_for_good};
