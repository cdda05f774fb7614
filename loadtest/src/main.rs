//! Reads the command line, runs the command, and exits with 0, with 99 if a threshold does not hold, with 1 if the
//! command failed, with 2 if the command line is wrong, or with 130 if it was asked to end before it was done.

use std::process::ExitCode;

use clap::Parser as _;
use vigie_loadtest::{Cli, Exit};

fn main() -> ExitCode {
    match vigie_loadtest::run(Cli::parse()) {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::ThresholdMissed) => ExitCode::from(99),
        Ok(Exit::Interrupted) => ExitCode::from(130),
        Err(error) => {
            eprintln!("vigie-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}
