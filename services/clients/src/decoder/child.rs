//! Children that run `vigie` again: their start, their first message, and their end.

use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use prost::Message as _;
use vigie_proto::decoder::{GREETING, HELLO_BYTES_MAX, posture};
use vigie_proto::pb::decoder::v1 as pb;
use vigie_sandbox::Posture;
use vigie_sandbox::child::{self, CommandError};
use vigie_sandbox::pipes::{Halted, read_exact};

use super::failure::{StartError, WorkerDeath};
use super::settings::DecoderSettings;
use super::watch::{Bounds, Reached, Watch};

/// The longest time from the start of a process to its first bytes. It takes milliseconds if the machine is
/// not busy.
pub(super) const START_WITHIN: Duration = Duration::from_secs(10);
/// The reason why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stopped {
    /// The process has ended, or is ending.
    Ended,
    /// The answer is malformed.
    Malformed,
    /// A bound was reached; the process goes on.
    Reached(Reached),
}

impl From<Halted<Reached>> for Stopped {
    fn from(halted: Halted<Reached>) -> Self {
        match halted {
            Halted::Ended => Self::Ended,
            Halted::Reached(reached) => Self::Reached(reached),
        }
    }
}

/// Returns the command that runs `vigie` with these arguments, and the program's path.
pub(super) fn vigie(
    settings: &DecoderSettings,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<(PathBuf, Command), StartError> {
    child::vigie(settings.program.as_deref(), arguments).map_err(|error| match error {
        CommandError::Nested => StartError::Nested,
        CommandError::Unknown(source) => StartError::Program { program: "/proc/self/exe".into(), source },
    })
}

/// Reads the first message of the process with this id: fixed bytes, and the process's protection.
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

/// Reads a message and its length prefix.
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

/// Returns the kind of a death, by the status that the system reports.
pub(super) fn death(status: ExitStatus, last_words: &[u8]) -> WorkerDeath {
    use rustix::process::Signal;
    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    // The standard library's message before it aborts.
    let words: &[u8] = b"memory allocation of ";
    if is(Signal::SYS) {
        WorkerDeath::RefusedCall
    } else if is(Signal::ABORT) && last_words.windows(words.len()).any(|one| one == words) {
        WorkerDeath::OutOfMemory
    } else if is(Signal::KILL) {
        // Not killed by this process: by the system, when a machine or a container has no memory left.
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
