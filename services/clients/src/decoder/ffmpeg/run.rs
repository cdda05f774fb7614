//! One run of the program: for one picture, or for the list of what it can do.

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

/// What is read of the program's words, in bytes.
const WORDS_BYTES_MAX: usize = 16 << 10;
/// How often is looked whether the program has ended that has written all.
const END_EVERY: Duration = Duration::from_micros(500);
/// How much of the pixels is read at a time, in bytes: as much as a pipe holds.
const CHUNK_BYTES: usize = 64 << 10;
/// What the pipe of a program that writes much may hold, in bytes: as much as a system without settings
/// allows.
#[cfg(target_os = "linux")]
const PIPE_BYTES: usize = 1 << 20;
/// Words of a program that had no memory, and of the C++ library of one of its decoders.
const NO_MEMORY: [&str; 2] = ["Cannot allocate memory", "bad_alloc"];

/// A running program. It is killed and waited for when this is dropped.
#[derive(Debug)]
pub(in crate::decoder) struct Run {
    child: Child,
    stdout: ChildStdout,
    words: PipeReader,
    pub(super) posture: Posture,
    watch: Watch,
}

/// Why pixels did not pass.
#[derive(Debug)]
pub(in crate::decoder) enum Unpassed {
    /// By the program's fault. The run is of no more use.
    Run(Stopped),
    /// A picture is of another size than declared.
    OtherSize,
    /// Who takes them has stopped.
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

    /// Starts the program. `None` where it does not start, or not with the protection that is required.
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
            // The clock of this side is finer, and comes first.
            processor_time_s_max: bounds.processor_time_max.as_secs() + 1,
            requirement: settings.requirement,
            arguments,
        };
        let (_, mut command) = vigie(settings, order.into_arguments()).ok()?;
        let (words, writer) = std::io::pipe().ok()?;
        // A program that writes many words loses some and does not wait.
        rustix::io::ioctl_fionbio(&writer, true).ok()?;
        rustix::io::ioctl_fionbio(&words, true).ok()?;
        command.stdin(file).stdout(Stdio::piped()).stderr(writer).process_group(0);
        let mut child = command.spawn().ok()?;
        // It holds the writing end of the words.
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

    /// Hands the pixels of all pictures on, after [`Self::begun`]. There must be as many as declared.
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
        // And no more.
        match read_exact(&mut self.stdout, &mut [0], &mut self.watch) {
            Err(Halted::Ended) => Ok(()),
            Err(halted) => Err(Unpassed::Run(halted.into())),
            Ok(()) => Err(Unpassed::OtherSize),
        }
    }

    /// All that the program writes on standard output, up to a bound.
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

    /// Waits until the program writes something, and fills `buffer` as far as that goes.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Stopped> {
        Ok(read_some(&mut self.stdout, buffer, &mut self.watch)?)
    }

    /// Whether there is time left. A program that writes without a pause is never waited for.
    pub(super) fn in_time(&mut self) -> Result<(), Stopped> {
        match self.watch.wait() {
            Ok(_) => Ok(()),
            Err(reached) => Err(Stopped::Reached(reached)),
        }
    }

    /// Makes the pipe of a program that writes much hold more, so that both sides wait less often. Without
    /// effect where the system refuses it.
    pub(super) fn widen(&self) {
        #[cfg(target_os = "linux")]
        let _refused = rustix::pipe::fcntl_setpipe_size(&self.stdout, PIPE_BYTES);
    }

    /// What the program has written on standard error. Not for a log: a file may have made it write anything.
    pub(super) fn words(&mut self) -> String {
        let mut words = vec![0; WORDS_BYTES_MAX];
        let length = self.words.read(&mut words).unwrap_or_default();
        words.truncate(length);
        String::from_utf8_lossy(&words).into_owned()
    }

    /// Waits for the end of a program that has written all, and checks that it reports no error.
    pub(in crate::decoder) fn finish(self) -> Result<(), RunFault> {
        self.conclude().0
    }

    /// The same, and the program's words.
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

    /// Ends a program that stopped as described, and names the fault.
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

    /// Waits for the program, which has closed its output, to be gone.
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

/// The fault of a program that ended so, after these words.
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
        // Whatever it has started is of its group. It fails where all of them have gone.
        let group = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Some(group), Ok(None)) = (group, self.child.try_wait()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        end(&mut self.child);
    }
}
