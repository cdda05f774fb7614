//! A decoder process and its pipes.

use std::io::Read as _;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Stdio};
use std::time::Instant;

use vigie_proto::decoder::COMMAND;
use vigie_sandbox::Posture;
use vigie_sandbox::child::{end, gone};
use vigie_sandbox::pipes::{unblock, write_all};

use super::child::{Stopped, death, greeting, read_message, vigie};
use super::failure::{StartError, WorkerDeath};
use super::settings::DecoderSettings;
use super::watch::{Bounds, Reached, Watch};

/// The most bytes that are read of a process's standard error.
const LAST_WORDS_BYTES: usize = 4 << 10;

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

impl Process {
    /// Starts a process and waits for its first message, until `deadline`.
    pub(super) fn start(settings: &DecoderSettings, deadline: Instant) -> Result<Self, StartError> {
        let arguments = [COMMAND.into(), settings.memory_bytes_max.to_string().into()];
        let (program, mut command) = vigie(settings, arguments)?;
        let failed = |source| StartError::Program { program: program.clone(), source };
        let mut child = command
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
            let greeting = greeting(&mut process.stdout, process.child.id(), deadline);
            greeting.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidData))
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
        unblock(&self.stdin)?;
        unblock(&self.stdout)?;
        unblock(&self.stderr)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) const fn posture(&self) -> Posture {
        self.posture
    }

    /// Returns the number of images that the process has answered.
    pub(super) const fn answered(&self) -> u32 {
        self.answered
    }

    /// Sends a request and its content, and returns its answer, of at most `answer_bytes_max` bytes. After an
    /// error the process cannot be used again.
    pub(super) fn exchange(
        &mut self,
        head: &[u8],
        content: &[u8],
        answer_bytes_max: usize,
        bounds: Bounds,
    ) -> Result<Vec<u8>, Stopped> {
        let mut exchange = self.begin(head, bounds)?;
        exchange.send(content)?;
        exchange.answer(answer_bytes_max)
    }

    /// Sends a request. The caller then sends its content.
    pub(super) fn begin(&mut self, head: &[u8], bounds: Bounds) -> Result<Exchange<'_>, Stopped> {
        let watch = Watch::new(self.id(), bounds);
        let mut exchange = Exchange { process: self, watch };
        let length = u32::try_from(head.len()).map_err(|_| Stopped::Malformed)?.to_le_bytes();
        exchange.send(&[&length, head].concat())?;
        Ok(exchange)
    }

    /// Ends a process that stopped in the middle of an image, and returns the kind of its death.
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

    /// Returns the process's standard error. It must not be logged: a hostile process may write anything.
    fn last_words(&mut self) -> Vec<u8> {
        let mut words = vec![0; LAST_WORDS_BYTES];
        let length = self.stderr.read(&mut words).unwrap_or_default();
        words.truncate(length);
        words
    }
}

/// A request whose content is being sent. If it is not sent completely, the process cannot be used again.
#[derive(Debug)]
pub(super) struct Exchange<'a> {
    process: &'a mut Process,
    watch: Watch,
}

impl Exchange<'_> {
    /// Sends more of the content.
    pub(super) fn send(&mut self, content: &[u8]) -> Result<(), Stopped> {
        Ok(write_all(&mut self.process.stdin, content, &mut self.watch)?)
    }

    /// Waits for the answer to the content, of at most `bytes_max` bytes.
    pub(super) fn answer(mut self, bytes_max: usize) -> Result<Vec<u8>, Stopped> {
        let answer = read_message(&mut self.process.stdout, bytes_max, &mut self.watch)?;
        self.process.answered += 1;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
        // A program without output.
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
