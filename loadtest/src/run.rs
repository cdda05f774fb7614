//! Puts a cluster under load, and checks every answer.
//!
//! Always true:
//!
//! - **Arrivals do not wait for answers.** The time at which each request is due is computed before anything
//!   is sent, and latency counts from then; latency from the moment of sending is recorded as well. The
//!   exception is a scenario that asks for a closed loop.
//! - **The generator is measured like the service.** The delay with which each request was sent is recorded;
//!   if more than 1 % were over 10 ms late, or not sent at all, no threshold on a latency holds.
//! - **No answer is trusted.** Each is compared with the known right answer to its question.
//! - **Percentiles are never averaged.** Histograms of lanes, seconds and processes are added up.
//!
//! Reading order: [`scenario`] describes a run; `lanes` schedules and sends requests; `target` has the
//! protocols of the service under load. `record` keeps the results. `session` is the run of this process,
//! `join` that of several processes, and `interrupt` ends it early; `prepare` makes what a run needs, and
//! `leftovers` lists what it leaves in a target. `command` has the commands.

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
