//! One decoder process and its pipes.

use std::io::Read as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use prost::Message as _;
use vigie_proto::decoder::{ANSWER_BYTES_MAX, COMMAND, GREETING, HELLO_BYTES_MAX, posture};
use vigie_proto::pb::decoder::v1 as pb;
use vigie_sandbox::Posture;

use super::failure::{StartError, WorkerDeath};
use super::pipes::{Halted, read_exact, write_all};
use super::settings::DecoderSettings;
use super::watch::{Bounds, Reached, Watch};

/// The variable that marks a process as a decoder's, or as what was taken for one. Nobody so marked starts another.
const MARK: &str = "VIGIE_DECODER";

/// The whole environment of a process beside the mark. The allocator of `vigie` reserves a gigabyte of address space at its
/// start by default, which counts against the limit on it; this much it takes at a time. Larger blocks come from the system,
/// and go back to it, so that address space is not used up by blocks of the wrong size.
const ENVIRONMENT: [(&str, &str); 2] =
    [("MIMALLOC_ARENA_RESERVE", "65536"), ("MIMALLOC_ARENA_MAX_OBJECT_SIZE", "32768")];

/// The most that is read of a process's standard error, in bytes.
const LAST_WORDS_BYTES: usize = 4 << 10;
/// How long a process whose pipe has ended may take to be gone.
const GONE_WITHIN: Duration = Duration::from_millis(200);

/// A running process, until [`Self::end`] or [`Self::retire`].
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    posture: Posture,
    answered: u32,
}

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

impl Process {
    /// Starts a process and waits for its first message, until `deadline`.
    pub(super) fn start(settings: &DecoderSettings, deadline: Instant) -> Result<Self, StartError> {
        if std::env::var_os(MARK).is_some() {
            return Err(StartError::Nested);
        }
        let program = settings.program.clone().map_or_else(own_program, Ok)?;
        let failed = |source| StartError::Program { program: program.clone(), source };
        let mut child = Command::new(&program)
            .arg0("vigie")
            .args([COMMAND, &settings.memory_bytes_max.to_string()])
            .env_clear()
            .envs(ENVIRONMENT)
            .env(MARK, "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            end(&mut child);
            return Err(StartError::Foreign { program });
        };
        let mut process = Self { child, stdin, stdout, stderr, posture: Posture::None, answered: 0 };
        let greeted = process.unblock().and_then(|()| {
            process.greeting(deadline).ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
        });
        match greeted {
            Ok(posture) if settings.requirement.accepts(posture) => {
                process.posture = posture;
                Ok(process)
            }
            Ok(posture) => {
                process.retire();
                Err(StartError::Unprotected { posture })
            }
            Err(_) => {
                process.retire();
                Err(StartError::Foreign { program })
            }
        }
    }

    fn unblock(&self) -> std::io::Result<()> {
        rustix::io::ioctl_fionbio(&self.stdin, true)?;
        rustix::io::ioctl_fionbio(&self.stdout, true)?;
        rustix::io::ioctl_fionbio(&self.stderr, true)?;
        Ok(())
    }

    /// The first message: fixed bytes, and the process's protection.
    fn greeting(&mut self, deadline: Instant) -> Option<Posture> {
        let processor_time_max = deadline.saturating_duration_since(Instant::now());
        let mut watch = Watch::new(self.id(), Bounds { deadline, processor_time_max });
        let mut greeting = [0; GREETING.len()];
        read_exact(&mut self.stdout, &mut greeting, &mut watch).ok()?;
        if greeting != GREETING {
            return None;
        }
        let hello = self.read_message(HELLO_BYTES_MAX, &mut watch).ok()?;
        posture(&pb::WorkerHello::decode(hello.as_slice()).ok()?).ok()
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) const fn posture(&self) -> Posture {
        self.posture
    }

    /// Images that it has answered.
    pub(super) const fn answered(&self) -> u32 {
        self.answered
    }

    /// Sends a request and returns its answer. After an error the process is of no more use.
    pub(super) fn exchange(
        &mut self,
        head: &[u8],
        content: &[u8],
        bounds: Bounds,
    ) -> Result<Vec<u8>, Stopped> {
        let mut watch = Watch::new(self.id(), bounds);
        let length = u32::try_from(head.len()).map_err(|_| Stopped::Malformed)?.to_le_bytes();
        let framed = [&length, head].concat();
        write_all(&mut self.stdin, &framed, &mut watch)?;
        write_all(&mut self.stdin, content, &mut watch)?;
        let answer = self.read_message(ANSWER_BYTES_MAX, &mut watch)?;
        self.answered += 1;
        Ok(answer)
    }

    fn read_message(&mut self, bytes_max: usize, watch: &mut Watch) -> Result<Vec<u8>, Stopped> {
        let mut length = [0; 4];
        read_exact(&mut self.stdout, &mut length, watch)?;
        let length = usize::try_from(u32::from_le_bytes(length)).unwrap_or(usize::MAX);
        if length > bytes_max {
            return Err(Stopped::Malformed);
        }
        let mut message = vec![0; length];
        read_exact(&mut self.stdout, &mut message, watch)?;
        Ok(message)
    }

    /// Ends a process that stopped in the middle of an image, and names the kind of its death.
    pub(super) fn end(mut self, stopped: Stopped) -> WorkerDeath {
        let by_itself = match stopped {
            Stopped::Ended => gone(&mut self.child),
            Stopped::Malformed | Stopped::Reached(_) => None,
        };
        if by_itself.is_none() {
            end(&mut self.child);
        }
        match (stopped, by_itself) {
            (Stopped::Reached(Reached::Deadline), _) => WorkerDeath::Deadline,
            (Stopped::Reached(Reached::ProcessorTime), _) => WorkerDeath::ProcessorTime,
            (Stopped::Malformed, _) | (Stopped::Ended, None) => WorkerDeath::Crashed,
            (Stopped::Ended, Some(status)) => death(status, &self.last_words()),
        }
    }

    /// Ends a process that waits for its next image.
    pub(super) fn retire(mut self) {
        end(&mut self.child);
    }

    /// The process's standard error. Not for a log: a process that was taken over may write anything.
    fn last_words(&mut self) -> Vec<u8> {
        let mut words = vec![0; LAST_WORDS_BYTES];
        let length = self.stderr.read(&mut words).unwrap_or_default();
        words.truncate(length);
        words
    }
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
fn end(child: &mut Child) {
    // An error means that the process has been waited for already.
    let _ = child.kill();
    let _ = child.wait();
}

/// The status of a process whose pipe has ended. `None`: the process only closed its pipe, and runs.
fn gone(child: &mut Child) -> Option<ExitStatus> {
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
fn death(status: ExitStatus, last_words: &[u8]) -> WorkerDeath {
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

    #[track_caller]
    fn check_foreign(program: &str) {
        let settings = DecoderSettings {
            program: Some(program.into()),
            ..DecoderSettings::for_limits(&vigie_media::Limits::default())
        };
        let started = Process::start(&settings, Instant::now() + Duration::from_millis(200));
        assert!(matches!(started, Err(StartError::Foreign { .. })), "{program}: {started:?}");
    }

    #[test]
    fn a_program_that_is_not_vigie_is_refused_and_ended() {
        check_foreign("true");
        check_foreign("echo");
        // A program that writes nothing.
        check_foreign("cat");
        let own = std::env::current_exe().unwrap();
        check_foreign(own.to_str().unwrap());
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let settings = DecoderSettings {
            program: Some("/nowhere/vigie".into()),
            ..DecoderSettings::for_limits(&vigie_media::Limits::default())
        };
        let error = Process::start(&settings, Instant::now()).unwrap_err();
        assert_eq!(error.to_string(), "cannot run /nowhere/vigie");
    }
}
