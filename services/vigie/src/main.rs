//! The program `vigie`. Runs a decoder or classifier process if the arguments ask for one. Otherwise parses
//! the command line, sets up logs, runs the command, and exits with its code.

use std::process::ExitCode;

use clap::Parser as _;
use vigie::{Cli, Exit, Output};

fn main() -> ExitCode {
    // This comes first, because such a process must have exactly one thread.
    if let Some(code) = vigie_decoder::run_if_asked(std::env::args_os().skip(1)) {
        return code;
    }
    if let Some(code) = vigie_classifier::run_if_asked(std::env::args_os().skip(1)) {
        return code;
    }
    let cli = Cli::parse();
    let mut output = Output::new(cli.json);
    if let Err(error) = vigie::init_logs(&cli) {
        return output.fail(&error);
    }
    vigie::raise_open_files();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.fail(&anyhow::Error::new(error).context("cannot start the runtime")),
    };
    let outcome = runtime.block_on(vigie::run(cli, &mut output));
    // The process does not wait for blocking work whose result nobody needs any more.
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) if Output::is_closed(&error) => Exit::Done.into(),
        Err(error) => output.fail(&error),
    }
}
