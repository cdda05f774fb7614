//! Is a decoder or classifier process if that is asked for; else reads the command line, sets up logs, runs
//! the command, and exits with its code.

use std::process::ExitCode;

use clap::Parser as _;
use vigie::{Cli, Exit, Output};

fn main() -> ExitCode {
    // Before anything else: such a process has one thread, and no more than that.
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
    // Blocking work that nobody waits for any more does not keep the process.
    runtime.shutdown_background();
    match outcome {
        Ok(exit) => exit.into(),
        Err(error) if Output::is_closed(&error) => Exit::Done.into(),
        Err(error) => output.fail(&error),
    }
}
