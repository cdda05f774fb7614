//! Children that are `vigie` again: how they are started, what they write first, and how they end.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use prost::Message as _;
use vigie_proto::decoder::{GREETING, HELLO_BYTES_MAX, posture};
use vigie_proto::pb::decoder::v1 as pb;
use vigie_sandbox::Posture;

use super::failure::{StartError, WorkerDeath};
use super::pipes::{Halted, read_exact};
use super::settings::DecoderSettings;
use super::watch::{Bounds, Reached, Watch};

/// How long a process may take from its start to its first bytes: milliseconds, if the machine is not busy.
pub(super) const START_WITHIN: Duration = Duration::from_secs(10);
/// The variable that marks a process as a decoder's, or as what was taken for one. Nobody so marked starts another.
const MARK: &str = "VIGIE_DECODER";

/// The whole environment of a process beside the mark. The allocator of `vigie` reserves a gigabyte of address space at its
/// start by default, which counts against the limit on it; this much it takes at a time. Larger blocks come from the system,
/// and go back to it, so that address space is not used up by blocks of the wrong size.
const ENVIRONMENT: [(&str, &str); 2] =
    [("MIMALLOC_ARENA_RESERVE", "65536"), ("MIMALLOC_ARENA_MAX_OBJECT_SIZE", "32768")];

/// How long a process whose pipe has ended may take to be gone.
const GONE_WITHIN: Duration = Duration::from_millis(200);

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The process has gone, or is going.
    Ended,
    /// The answer is none.
    Malformed,
    /// A bound was reached; the process goes on.
    Reached(Reached),
}

impl From<Halted> for Stopped {
    fn from(halted: Halted) -> Self {
        match halted {
            Halted::Ended => Self::Ended,
            Halted::Reached(reached) => Self::Reached(reached),
        }
    }
}

/// The command that runs `vigie` with these arguments, and the program's path.
pub(super) fn vigie(
    settings: &DecoderSettings,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(PathBuf, Command), StartError> {
    if std::env::var_os(MARK).is_some() {
        return Err(StartError::Nested);
    }
    let program = settings.program.clone().map_or_else(own_program, Ok)?;
    let mut command = Command::new(&program);
    command.arg0("vigie").args(arguments).env_clear().envs(ENVIRONMENT).env(MARK, "1");
    Ok((program, command))
}

/// Reads the first message of the process with this number: fixed bytes, and the process's protection.
pub(super) fn greeting(
    mut stdout: impl std::io::Read + AsFd,
    process: u32,
    deadline: Instant,
) -> Option<Posture> {
    let processor_time_max = deadline.saturating_duration_since(Instant::now());
    let mut watch = Watch::new(process, Bounds { deadline, processor_time_max });
    let mut greeting = [0; GREETING.len()];
    read_exact(&mut stdout, &mut greeting, &mut watch).ok()?;
    if greeting != GREETING {
        return None;
    }
    let hello = read_message(&mut stdout, HELLO_BYTES_MAX, &mut watch).ok()?;
    posture(&pb::WorkerHello::decode(hello.as_slice()).ok()?).ok()
}

/// Reads a message and the length before it.
pub(super) fn read_message(
    mut stdout: impl std::io::Read + AsFd,
    bytes_max: usize,
    watch: &mut Watch,
) -> Result<Vec<u8>, Stopped> {
    let mut length = [0; 4];
    read_exact(&mut stdout, &mut length, watch)?;
    let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > bytes_max {
        return Err(Stopped::Malformed);
    }
    let mut message = vec![0; length];
    read_exact(&mut stdout, &mut message, watch)?;
    Ok(message)
}

/// This process's own program, by the link of the system, which leads to the program even when its file has been replaced.
fn own_program() -> Result<PathBuf, StartError> {
    let link = PathBuf::from("/proc/self/exe");
    if link.exists() {
        return Ok(link);
    }
    std::env::current_exe().map_err(|source| StartError::Program { program: link, source })
}

/// Kills a process and waits for it.
pub(super) fn end(child: &mut Child) {
    // An error means that the process has been waited for already.
    let _ = child.kill();
    let _ = child.wait();
}

/// The status of a process whose pipe has ended. `None`: the process only closed its pipe, and runs.
pub(super) fn gone(child: &mut Child) -> Option<ExitStatus> {
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

/// The kind of a death by the status that the system gives.
pub(super) fn death(status: ExitStatus, last_words: &[u8]) -> WorkerDeath {
    use rustix::process::Signal;
    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    // The words of the standard library before it aborts.
    let words: &[u8] = b"memory allocation of ";
    if is(Signal::SYS) {
        WorkerDeath::RefusedCall
    } else if is(Signal::ABORT) && last_words.windows(words.len()).any(|one| one == words) {
        WorkerDeath::OutOfMemory
    } else if is(Signal::KILL) {
        // Not by this process: by the system, when a machine or a container has no memory left.
        WorkerDeath::OutOfMemory
    } else {
        WorkerDeath::Crashed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_death_is_named_by_its_signal_and_last_words() {
        let signal = |signal: i32| ExitStatus::from_raw(signal);
        assert_eq!(death(signal(6), b"memory allocation of 12 bytes failed\n"), WorkerDeath::OutOfMemory);
        assert_eq!(death(signal(6), b""), WorkerDeath::Crashed);
        assert_eq!(death(signal(9), b""), WorkerDeath::OutOfMemory);
        assert_eq!(death(signal(11), b""), WorkerDeath::Crashed);
        assert_eq!(death(ExitStatus::from_raw(101 << 8), b""), WorkerDeath::Crashed);
        #[cfg(target_os = "linux")]
        assert_eq!(death(signal(31), b""), WorkerDeath::RefusedCall);
    }
}
