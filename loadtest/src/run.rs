//! Puts a cluster under load, and looks at every answer.
//!
//! Always true:
//!
//! - **Arrivals do not wait for answers.** When each request is due is worked out before anything is sent, and latency
//!   counts from then; from the moment of sending too, so that both can be seen. The exception is a scenario that asks for a closed loop.
//! - **The generator is measured like the service.** How late each request was sent is recorded; if more than 1 % were
//!   over 10 ms late, or not sent at all, no threshold on a latency holds.
//! - **No answer is believed.** Each is compared with what is known to be true of its question.
//! - **Nothing is averaged that cannot be.** Histograms of lanes, seconds and processes are added up.
//!
//! Reading order: [`scenario`] says what a run does; `lanes` when what is sent, and send it; `target` speaks the protocols of
//! what is put under load. `record` keeps what happened. `session` is the whole of a run of this process, `join` of several,
//! and `interrupt` ends it early; `prepare` is what it needs, `leftovers` what of that stays in a target. `command` is the command line.

pub(crate) mod scenario;
pub(crate) mod lanes;
pub(crate) mod target;
pub(crate) mod record;
pub(crate) mod say;
mod establish;
pub(crate) mod descriptors;
pub(crate) mod leftovers;
pub(crate) mod interrupt;
pub(crate) mod session;
pub(crate) mod prepare;
pub(crate) mod join;
pub(crate) mod command;
#[cfg(test)]
mod tests;
