//! A process that becomes an external program, with only the rights that the program needs.

use std::ffi::OsString;
use std::process::ExitCode;

use vigie_proto::decoder::ProgramOrder;

/// Locks this process down, greets, and becomes the program that the arguments name. Returns only on failure.
pub(crate) fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(order) = ProgramOrder::of_arguments(arguments) else { return ExitCode::FAILURE };
    std::panic::set_hook(Box::new(|_| {}));
    become_program(order);
    ExitCode::FAILURE
}

#[cfg(unix)]
fn become_program(order: ProgramOrder) {
    use std::os::unix::process::CommandExt as _;
    use std::process::Command;

    use vigie_sandbox::{Profile, lock_down};

    let ProgramOrder { program, memory_bytes_max, processor_time_s_max, requirement, arguments } = order;
    let posture =
        lock_down(Profile::Ffmpeg { program: program.clone(), memory_bytes_max, processor_time_s_max });
    // The parent detects a failure: there is no greeting, or no output after it.
    if super::greet(std::io::stdout().lock(), posture).is_err() || !requirement.accepts(posture) {
        return;
    }
    // One heap for all threads of the program: further heaps reserve address space, which is limited.
    let _failed = Command::new(program).args(arguments).env_clear().env("MALLOC_ARENA_MAX", "1").exec();
}

#[cfg(not(unix))]
fn become_program(_: ProgramOrder) {}
