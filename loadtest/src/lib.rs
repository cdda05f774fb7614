//! Makes data with known answers, and measures with it.
//!
//! `vigie-loadtest data` writes hashes of a given shape, queries, and the right answers from a linear scan.
//! `vigie-loadtest index` builds an index of these hashes, compares its answers with the right ones, and only
//! then measures. `peers/index_peers.py` runs other libraries on the same files.
//!
//! Always true:
//!
//! - **The same arguments give the same files** on every machine: each row depends only on the seed and its
//!   number.
//! - **No figure without answers.** A wrong answer of an exact engine ends the run; the figures of an
//!   approximate engine include its recall.
//! - **Compared conditions alternate.** Idle and busy, one thread and two, are measured in alternation in
//!   short slices, so that other load on the machine affects both equally.
//! - **Memory is bounded while files are written**: rows are made in chunks, and the answers to a query list
//!   only the nearest thousand or so; all are counted.
//!
//! The other commands put a cluster under load and check every answer; [`run`] has their rules and reading
//! order.
//!
//! Reading order: `cli`; `data` (drawn rows, queries and right answers), `index` (the index benchmark), `run`
//! (schedules, lanes, sessions, targets), `judge` (the right answers to questions, and thresholds), `report`
//! (results, for each reader), `cluster` (the processes of the run's own cluster, and faults).

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

/// The outcome of a command that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command has done its work, and every condition that it checks holds.
    Done,
    /// A threshold does not hold.
    ThresholdMissed,
    /// The generator, or the machine that it shares with the target, was the limit: the run gives no result
    /// about the target.
    NotMeasurable,
    /// The command line is wrong in a way that its grammar does not detect.
    WrongCommandLine,
    /// The program was asked to end (Ctrl-C or SIGTERM) before the command was done.
    Interrupted,
}
