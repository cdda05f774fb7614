//! A process that becomes a program of others, with what rights that needs.

use std::ffi::OsString;
use std::process::ExitCode;

use vigie_proto::decoder::ProgramOrder;

/// Locks this process down, greets, and becomes the program that the arguments name. Returns where that
/// cannot be.
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
    // What went wrong is seen from outside: there are no answers after the greeting, or no greeting.
    if super::greet(std::io::stdout().lock(), posture).is_err() || !requirement.accepts(posture) {
        return;
    }
    // One heap for all of its threads: further ones reserve address space, which has a limit.
    let _failed = Command::new(program).args(arguments).env_clear().env("MALLOC_ARENA_MAX", "1").exec();
}

#[cfg(not(unix))]
fn become_program(_: ProgramOrder) {}
