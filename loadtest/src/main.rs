//! Reads the command line, runs the command, and exits with 1 if it failed.

use std::process::ExitCode;

use clap::Parser as _;
use vigie_loadtest::cli::Cli;

fn main() -> ExitCode {
    match vigie_loadtest::run(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vigie-loadtest: {error:#}");
            ExitCode::FAILURE
        }
    }
}
