//! Starts clusters for the tests, the rigs and the load test.
//!
//! Always true: everything that the harness has started ends with its owner, and the folders that it has made
//! are removed.
//!
//! Reading order: [`cluster`] (a process for each role), [`process`] (a single process, which can be killed,
//! stopped and started again), [`delay`] (a slow link), [`isolation`] (hosts that can be cut off), [`binary`]
//! (the programs: found, built and run), [`up`] (`vigie up`). With the feature `in-process` also
//! `in_process`: every role in this process.

pub mod binary;
pub mod cluster;
pub mod delay;
#[cfg(feature = "in-process")]
pub mod in_process;
pub mod isolation;
pub mod process;
pub mod up;
