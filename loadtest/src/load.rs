//! Puts a cluster under load, and looks at every answer.
//!
//! Always true:
//!
//! - **Arrivals do not wait for answers.** When each request is due is worked out before anything is sent, and latency
//!   counts from then; from the moment of sending too, so that both can be seen.
//! - **The generator is measured like the service.** How late each request was sent is recorded; if more than 1 % were
//!   over 10 ms late, or not sent at all, no threshold on a latency holds.
//! - **No answer is believed.** Each is compared with what is known to be true of its question.
//! - **Nothing is averaged that cannot be.** Histograms of lanes, seconds and processes are added up.
//!
//! Reading order: [`scenario`] says what a run does; `schedule` when, `kind`, `rows` and `truth` what is asked, `oracle` and
//! `ledger` what is right. `drive` sends, `request` is one request, `pace` waits, `target` speaks the protocols, `fill`
//! loads the data. `record` and `hist` keep what happened, [`result`] makes a file of it, and `threshold` and `judge` say
//! whether it is good enough. `session` is the whole of a run of this process, `join` of several,
//! and `interrupt` ends it early; `prepare` is what it needs: the truth, the data, and
//! a `cluster`, to which `fault` does what the scenario says while `probe` looks how soon writes are seen. `report` and
//! `view` show it, `compare` compares two, `search` and `find_max` find the highest rate that
//! holds, `command` is the command line.

pub mod scenario;
pub mod span;
mod schedule;
mod kind;
mod rows;
mod truth;
mod oracle;
mod ledger;
mod pace;
mod target;
mod request;
mod drive;
mod fill;
mod rounding;
mod hist;
pub mod record;
pub mod threshold;
mod judge;
pub mod result;
mod builtin;
mod setting;
mod progress;
mod sheet;
mod text;
mod interrupt;
mod descriptors;
mod session;
mod trace;
mod probe;
mod cluster;
mod fault;
mod prepare;
mod join;
mod view;
mod search;
pub(crate) mod find_max;
mod compare;
mod report;
pub(crate) mod command;
pub(crate) mod export;
mod noop;
#[cfg(test)]
mod tests;
pub(crate) mod ceiling;

pub use hist::Hist;
pub use kind::Kind;
pub use oracle::Verdict;
pub use schedule::{Arrival, Schedule, Spacing, Stage};
