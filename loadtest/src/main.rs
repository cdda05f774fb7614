//! Reads the command line, runs the command, and exits with the code that `--help` lists.

use std::process::ExitCode;

use clap::Parser as _;
use vigie_loadtest::{Cli, Exit};

fn main() -> ExitCode {
    match vigie_loadtest::run(Cli::parse()) {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::ThresholdMissed) => ExitCode::from(99),
        Ok(Exit::NotMeasurable) => ExitCode::from(98),
        Ok(Exit::WrongCommandLine) => ExitCode::from(2),
        Ok(Exit::Interrupted) => ExitCode::from(130),
        Err(error) => {
            eprintln!("vigie-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}
