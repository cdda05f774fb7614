//! Starts clusters for all who need one: tests, the rigs and the load test.
//!
//! Always true: what the harness has started ends with its owner, and the folder that it has made goes with it.
//!
//! Reading order: [`cluster`] (a process for each role), [`process`] (one of them, to be killed, stopped and started again),
//! [`delay`] (a slow link), [`isolation`] (hosts for processes, to be cut off), [`binary`] (the programs: found, built and run),
//! [`up`] (`vigie up`). With the feature `in-process` also `in_process`: every role in this process.

pub mod binary;
pub mod cluster;
pub mod delay;
#[cfg(feature = "in-process")]
pub mod in_process;
pub mod isolation;
pub mod process;
pub mod up;
