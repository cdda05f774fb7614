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
//! Reading order: [`scenario`] says what a run does; `schedule` when, `kind` and `truth` what is asked, `oracle` and
//! `ledger` what is right. `drive` sends, `request` is one request, `pace` waits, `target` speaks the protocols, `fill`
//! loads the data. `record` and `hist` keep what happened, [`result`] makes a file of it, and `threshold` judges it.
//! `session` is the whole of a run, `command` its command.

pub mod scenario;
pub mod span;
mod schedule;
mod kind;
mod truth;
mod oracle;
mod ledger;
mod pace;
mod target;
mod request;
mod drive;
mod fill;
mod hist;
pub mod record;
pub mod threshold;
pub mod result;
mod builtin;
mod setting;
mod progress;
mod text;
mod session;
pub(crate) mod command;
mod noop;
pub(crate) mod ceiling;

pub use hist::Hist;
pub use kind::Kind;
pub use oracle::Verdict;
pub use schedule::{Arrival, Schedule, Spacing, Stage};
