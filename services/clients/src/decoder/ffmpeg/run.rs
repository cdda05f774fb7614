//! A run of the program: for one picture, or for the list of its decoders.

use std::ffi::OsString;
use std::io::{PipeReader, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use vigie_media::Outside;
use vigie_media::outside::Mosaic;
use vigie_proto::decoder::ProgramOrder;
use vigie_sandbox::Posture;
use vigie_sandbox::child::end;
use vigie_sandbox::pipes::{Clock as _, Halted, read_exact, read_some};

use crate::decoder::child::{START_WITHIN, Stopped, death, greeting, vigie};
use crate::decoder::failure::WorkerDeath;
use crate::decoder::settings::DecoderSettings;
use crate::decoder::watch::{Bounds, Reached, Watch};

use super::failure::RunFault;
use super::tool::Tool;
use super::{arguments, frames, input};

/// The most bytes that are read of the program's standard error.
const WORDS_BYTES_MAX: usize = 16 << 10;
/// The interval of checks whether the program has ended after it has written everything.
const END_EVERY: Duration = Duration::from_micros(500);
/// The number of bytes of pixels that are read at a time: the capacity of a pipe.
const CHUNK_BYTES: usize = 64 << 10;
/// The pipe capacity for a program with large output, in bytes: the default maximum of the system.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;
/// Messages of a program that had no memory, and of the C++ library of one of its decoders.
const NO_MEMORY: [&str; 2] = ["Cannot allocate memory", "bad_alloc"];

/// A running program. Dropping it kills the program and waits for its end.
#[derive(Debug)]
pub(in crate::decoder) struct Run {
    child: Child,
    stdout: ChildStdout,
    words: PipeReader,
    pub(super) posture: Posture,
    watch: Watch,
}

/// The reason why pixels did not pass.
#[derive(Debug)]
pub(in crate::decoder) enum Unpassed {
    /// The program failed. The run cannot be used again.
    Run(Stopped),
    /// The size of a picture is not the declared one.
    OtherSize,
    /// The receiver of the pixels has stopped.
    Sink(Stopped),
}

impl From<Stopped> for Unpassed {
    fn from(stopped: Stopped) -> Self {
        Self::Run(stopped)
    }
}

impl Run {
    /// Starts decoding `outside`, a picture in `content`.
    pub(in crate::decoder) fn decode(
        settings: &DecoderSettings,
        tool: &Tool,
        decoder: &str,
        outside: &Outside,
        content: &[u8],
        bounds: Bounds,
    ) -> Result<Self, RunFault> {
        let file = outside.pieces(content).and_then(|pieces| input::of(&pieces).ok());
        let arguments = arguments::decode(tool, decoder, outside);
        let file = file.ok_or(RunFault::NotStarted)?;
        let memory_bytes_max = settings.ffmpeg_memory_bytes_max;
        Self::start(settings, tool.program.clone(), memory_bytes_max, arguments, file, bounds)
            .ok_or(RunFault::NotStarted)
    }

    /// Starts the program. `None` if it does not start, or not with the required protection.
    pub(super) fn start(
        settings: &DecoderSettings,
        program: PathBuf,
        memory_bytes_max: u64,
        arguments: Vec<OsString>,
        file: Stdio,
        bounds: Bounds,
    ) -> Option<Self> {
        let order = ProgramOrder {
            program,
            memory_bytes_max,
            // The clock of this process is finer, and fires first.
            processor_time_s_max: bounds.processor_time_max.as_secs() + 1,
            requirement: settings.requirement,
            arguments,
        };
        let (_, mut command) = vigie(settings, order.into_arguments()).ok()?;
        let (words, writer) = std::io::pipe().ok()?;
        // A program that writes much to standard error loses some of it, and never blocks.
        rustix::io::ioctl_fionbio(&writer, true).ok()?;
        rustix::io::ioctl_fionbio(&words, true).ok()?;
        command.stdin(file).stdout(Stdio::piped()).stderr(writer).process_group(0);
        let mut child = command.spawn().ok()?;
        // The command holds the writing end of the pipe for standard error.
        drop(command);
        let Some(stdout) = child.stdout.take() else {
            end(&mut child);
            return None;
        };
        let watch = Watch::new(child.id(), bounds);
        let mut run = Self { child, stdout, words, posture: Posture::None, watch };
        rustix::io::ioctl_fionbio(&run.stdout, true).ok()?;
        let within = bounds.deadline.min(Instant::now() + START_WITHIN);
        run.posture = greeting(&mut run.stdout, run.child.id(), within)?;
        settings.requirement.accepts(run.posture).then_some(run)
    }

    /// Waits for the first picture, which shows that the program can decode the file.
    pub(in crate::decoder) fn begun(&mut self, mosaic: &Mosaic) -> Result<(), Unpassed> {
        let size = frames::read_size(&mut self.stdout, &mut self.watch)?;
        if size == (mosaic.tile_width, mosaic.tile_height) { Ok(()) } else { Err(Unpassed::OtherSize) }
    }

    /// Passes the pixels of all pictures on, after [`Self::begun`]. The number of pictures must be the
    /// declared one.
    pub(in crate::decoder) fn pixels(
        &mut self,
        mosaic: &Mosaic,
        mut sink: impl FnMut(&[u8]) -> Result<(), Stopped>,
    ) -> Result<(), Unpassed> {
        let tiles = u64::from(mosaic.tiles()).max(1);
        let tile_bytes = mosaic.pixel_bytes() / tiles;
        let mut chunk = vec![0; CHUNK_BYTES];
        for number in 0..tiles {
            if number > 0 {
                self.begun(mosaic)?;
            }
            let mut left = usize::try_from(tile_bytes).map_err(|_| Unpassed::OtherSize)?;
            while left > 0 {
                let wanted = left.min(CHUNK_BYTES);
                let read = read_some(&mut self.stdout, &mut chunk[..wanted], &mut self.watch)
                    .map_err(|halted| Unpassed::Run(halted.into()))?;
                sink(&chunk[..read]).map_err(Unpassed::Sink)?;
                left -= read;
            }
        }
        // There must be no further byte.
        match read_exact(&mut self.stdout, &mut [0], &mut self.watch) {
            Err(Halted::Ended) => Ok(()),
            Err(halted) => Err(Unpassed::Run(halted.into())),
            Ok(()) => Err(Unpassed::OtherSize),
        }
    }

    /// Reads the program's standard output, up to a bound.
    pub(super) fn text(&mut self, bytes_max: usize) -> Result<Vec<u8>, Stopped> {
        let mut text = vec![0; bytes_max];
        let mut filled = 0;
        while filled < bytes_max {
            match read_some(&mut self.stdout, &mut text[filled..], &mut self.watch) {
                Ok(read) => filled += read,
                Err(Halted::Ended) => break,
                Err(halted) => return Err(halted.into()),
            }
        }
        text.truncate(filled);
        Ok(text)
    }

    /// Waits until the program writes something, and reads as much of it as fits `buffer`.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stopped> {
        Ok(read_some(&mut self.stdout, buffer, &mut self.watch)?)
    }

    /// Checks that there is time left. Needed for a program that writes without a pause, because reading
    /// never waits then.
    pub(super) fn in_time(&mut self) -> Result<(), Stopped> {
        match self.watch.wait() {
            Ok(_) => Ok(()),
            Err(reached) => Err(Stopped::Reached(reached)),
        }
    }

    /// Enlarges the pipe of a program with large output, so that both sides wait less often. Has no effect if
    /// the system refuses it.
    pub(super) fn widen(&self) {
        #[cfg(target_os = "linux")]
        let _refused = rustix::pipe::fcntl_setpipe_size(&self.stdout, PIPE_BYTES);
    }

    /// Returns the program's standard error. It must not be logged: a file may have made the program write
    /// anything.
    pub(super) fn words(&mut self) -> String {
        let mut words = vec![0; WORDS_BYTES_MAX];
        let length = self.words.read(&mut words).unwrap_or_default();
        words.truncate(length);
        String::from_utf8_lossy(&words).into_owned()
    }

    /// Waits for the end of a program that has written everything, and checks that it reports no error.
    pub(in crate::decoder) fn finish(self) -> Result<(), RunFault> {
        self.conclude().0
    }

    /// Does the same, and returns the program's standard error.
    pub(super) fn conclude(mut self) -> (Result<(), RunFault>, String) {
        let status = self.status();
        let words = self.words();
        let outcome = match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(fault_of(status, &words)),
            Err(reached) => Err(reached.into()),
        };
        (outcome, words)
    }

    /// Ends a program that stopped for this reason, and returns the fault.
    pub(in crate::decoder) fn end(mut self, stopped: Stopped) -> RunFault {
        match stopped {
            Stopped::Reached(reached) => reached.into(),
            Stopped::Malformed => RunFault::OtherSize,
            Stopped::Ended => match self.status() {
                Ok(status) => fault_of(status, &self.words()),
                Err(reached) => reached.into(),
            },
        }
    }

    /// Waits for the end of the program, which has closed its output.
    fn status(&mut self) -> Result<ExitStatus, Reached> {
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Ok(status);
            }
            self.watch.wait()?;
            std::thread::sleep(END_EVERY);
        }
    }
}

/// Returns the fault of a program with this exit status and standard error.
fn fault_of(status: ExitStatus, words: &str) -> RunFault {
    if NO_MEMORY.iter().any(|one| words.contains(one)) {
        return RunFault::Died(WorkerDeath::OutOfMemory);
    }
    match status.signal() {
        Some(signal) if signal == Signal::XCPU.as_raw() => RunFault::Died(WorkerDeath::ProcessorTime),
        Some(_) => RunFault::Died(death(status, words.as_bytes())),
        None => RunFault::Refused,
    }
}

impl From<Reached> for RunFault {
    fn from(reached: Reached) -> Self {
        Self::Died(match reached {
            Reached::Deadline => WorkerDeath::Deadline,
            Reached::ProcessorTime => WorkerDeath::ProcessorTime,
        })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Every process that the program has started is in its group. The call fails if all of them have
        // ended.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Some(group), Ok(None)) = (group, self.child.try_wait()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        end(&mut self.child);
    }
}
