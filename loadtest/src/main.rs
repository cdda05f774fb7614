//! Reads the command line, runs the command, and exits with 0, with 99 if a threshold does not hold, with 1 if the
//! command failed, or with 2 if the command line is wrong.

use std::process::ExitCode;

use clap::Parser as _;
use vigie_loadtest::Exit;
use vigie_loadtest::cli::Cli;

fn main() -> ExitCode {
    match vigie_loadtest::run(Cli::parse()) {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::ThresholdMissed) => ExitCode::from(99),
        Err(error) => {
            eprintln!("vigie-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}
