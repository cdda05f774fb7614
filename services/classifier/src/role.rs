//! The role: follows the cards of the directory, serves the models that agree with theirs, and answers raw
//! scores.
//!
//! ```text
//! bank --directory--> cards --keeper--> check: same file or version, test vector met --> served
//! frontend --Score--> grpc --> scoring: card, version, content --> tensor --> engine --> raw scores
//!                                          |                       +--> distributions, drift, metrics
//!                                          +--> or why there are none, item by item
//! ```
//!
//! Always true:
//! - A model is run only as its card specifies, and only after the card's test vector passed on the whole
//!   path.
//! - A fault of one item, one model or one engine does not affect another one, and ends by the call's
//!   deadline.
//! - Nothing of a content remains after its call: not in a count, an error, a log or a trace.
//!
//! Reading order: `cards`, `distributions`, `models`, `check`, `keeper`; `failure`, `content`, `scoring`;
//! `metrics`, `grpc`, `error`, `server`.

mod cards;
mod distributions;
mod models;
mod check;
mod keeper;
mod failure;
mod content;
mod scoring;
mod metrics;
mod grpc;
mod error;
mod server;
#[cfg(test)]
mod tests;

pub use error::RunError;
pub use server::{run, run_with};
