//! Makes data with known answers, and measures against it.
//!
//! `vigie-loadtest data` writes hashes of a stated shape, queries, and the right answers by a
//! linear scan. `vigie-loadtest index` builds an index of these hashes, compares its answers with the right
//! ones, and only then measures. `peers/index_peers.py` runs other libraries on the same files.
//!
//! Always true:
//!
//! - **The same files for the same arguments**, on every machine: each row depends on the seed and its number
//!   alone.
//! - **No figure without answers.** An exact engine that answers wrongly ends the run; an approximate one has
//!   its recall beside its figures.
//! - **What is compared alternates.** Quiet and busy, one thread and two, are measured in turn in short slices,
//!   so a noisy neighbour disturbs both alike.
//! - **Files are bounded in memory while they are made**: rows come in chunks, and of the answers to a query
//!   only the nearest thousand or so are listed; all are counted.
//!
//! The other commands put a cluster under load, and look at every answer: [`run`] has their rules and reading order.
//!
//! Reading order: `cli`; `data` (drawn rows, queries and right answers), `index` (the index benchmark), `run` (schedules,
//! lanes, sessions, targets), `judge` (what is true of a question, and thresholds), `report` (results, for each reader), `cluster`
//! (processes of an own cluster, and faults).

mod cli;
mod data;
mod index;
mod run;
mod judge;
mod report;
mod cluster;

use std::io::Write as _;

use crate::cli::Command;

pub use crate::cli::Cli;

/// A 256-bit hash: one record of a data file.
pub(crate) type Hash = [u8; 32];

/// Runs one command. Results go to standard output, progress to standard error.
pub fn run(cli: Cli) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    match cli.command {
        Command::Data(arguments) => {
            data::run(&arguments, &mut out)?;
            data::export::run(&arguments, &mut out)?;
        }
        Command::Index(arguments) => index::run(&arguments, &mut out)?,
        Command::Run(arguments) => return run::command::run(&arguments, &mut out),
        Command::FindMax(arguments) => return run::command::find_max::run(&arguments, &mut out),
        Command::Report(arguments) => return run::command::report(&arguments, &mut out),
        Command::Compare(arguments) => return run::command::compare(&arguments, &mut out),
        Command::Cleanup(arguments) => return run::command::cleanup::run(&arguments, &mut out),
        Command::Cost(arguments) => return run::command::cost::run(&arguments, &mut out),
        Command::Versus(arguments) => return run::command::versus::run(&arguments, &mut out),
        Command::Ceiling(arguments) => return run::command::ceiling::run(&arguments, &mut out),
    }
    out.flush()?;
    Ok(Exit::Done)
}

/// How a command ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// It did what it was told, and all that had to hold does.
    Done,
    /// A threshold does not hold.
    ThresholdMissed,
    /// The generator, or the machine that it shares, was the limit, and not the target: this says nothing of the target.
    NotMeasurable,
    /// The command line is wrong, in a way that its grammar does not see.
    WrongCommandLine,
    /// It was asked to end before it was done.
    Interrupted,
}
