//! Starts and ends child processes that run `vigie` again.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use thiserror::Error;

/// The variable that marks a process as a worker, or as a program that was taken for one. A marked process
/// starts no other.
const MARK: &str = "VIGIE_DECODER";

/// The whole environment of a child beside the mark. By default the allocator of `vigie` reserves a gigabyte
/// of address space at its start, which counts against the limit; here it reserves this much at a time.
/// Larger blocks are taken from the system and returned to it, so that address space is not used up by blocks
/// of the wrong size.
const ENVIRONMENT: [(&str, &str); 2] =
    [("MIMALLOC_ARENA_RESERVE", "65536"), ("MIMALLOC_ARENA_MAX_OBJECT_SIZE", "32768")];

/// The longest time that a process may take to end after its pipe has ended.
const GONE_WITHIN: Duration = Duration::from_millis(200);

/// The reasons for which there is no command.
#[derive(Debug, Error)]
pub enum CommandError {
    /// This process was itself started as a worker, by a process that took its program for `vigie`.
    #[error("this process was itself started as a worker")]
    Nested,
    /// The path of this process's own program is not known.
    #[error("cannot find this process's own program")]
    Unknown(#[source] std::io::Error),
}

/// Returns the command that runs `vigie`, or this process's own program, with these arguments, and the
/// program's path.
///
/// # Errors
/// [`CommandError`].
pub fn vigie(
    program: Option<&Path>,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(PathBuf, Command), CommandError> {
    if std::env::var_os(MARK).is_some() {
        return Err(CommandError::Nested);
    }
    let program = program.map_or_else(own_program, |program| Ok(program.to_owned()));
    let program = program.map_err(CommandError::Unknown)?;
    let mut command = Command::new(&program);
    command.arg0("vigie").args(arguments).env_clear().envs(ENVIRONMENT).env(MARK, "1");
    Ok((program, command))
}

/// Returns this process's own program, by the system's link, which leads to the program even if its file has
/// been replaced.
fn own_program() -> std::io::Result<PathBuf> {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() { Ok(link) } else { std::env::current_exe() }
}

/// Kills a process and waits for it.
pub fn end(child: &mut Child) {
    // An error means that the process has been waited for already.
    let _ = child.kill();
    let _ = child.wait();
}

/// Returns the status of a process whose pipe has ended. `None` if the process only closed its pipe, and
/// still runs.
pub fn gone(child: &mut Child) -> Option<ExitStatus> {
    let begun = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if begun.elapsed() > GONE_WITHIN {
            return None;
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}
