//! The program `ffmpeg`, which decodes formats without a built-in decoder. On first use the program is
//! located, and its version and decoders are read.
//!
//! ```text
//! Ffmpeg::tool(coding)             found? of which version? with this decoder? -> Tool, or why there is none
//! Run::start(tool, outside, file)  `vigie program-worker` locks itself down, greets, and becomes ffmpeg
//!   |-- the file: a sealed memfd as standard input
//!   |-- pixels:   PPM pictures on standard output, each of the declared size, as many as declared
//!   +-- words:    standard error, bounded, which only decide the kind of a failure
//! VideoOrder::hash()               `ffprobe`, then `ffmpeg`; the calling thread hashes its frames (`video`)
//! ```
//!
//! Always true:
//! - Nothing is linked and nothing is downloaded: the operator installs the program.
//! - The program's process group is killed as a whole, and its process waited for, before an answer is given.
//! - The program's output is untrusted: a size is used only after the bytes have been counted.

mod found;
mod arguments;
mod failure;
mod frames;
mod input;
mod probe;
mod run;
mod tool;
mod video;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::settings::DecoderSettings;

pub use failure::FfmpegAbsence;
pub(super) use failure::{RunFault, missing, without_decoder};
pub use found::is_program;
pub(super) use run::{Run, Unpassed};
pub(super) use tool::Tool;
pub use tool::{FfmpegReport, VideoReport};
pub(super) use video::{VideoFault, VideoOrder, missing as missing_for_video};

/// The time for which the absence of the program is cached: it may be installed while this process runs.
const ABSENT_FOR: Duration = Duration::from_secs(60);

/// The program `ffmpeg`. Clones share its state.
#[derive(Debug, Clone)]
pub(super) struct Ffmpeg {
    known: Arc<Mutex<Option<Known>>>,
}

/// The outcome of the last search for the program, and its time.
#[derive(Debug)]
struct Known {
    tool: Result<Arc<Tool>, FfmpegAbsence>,
    since: Instant,
}

impl Ffmpeg {
    pub(super) fn new() -> Self {
        Self { known: Arc::default() }
    }

    /// Returns the program, and searches for it if that has not been done.
    pub(super) fn tool(&self, settings: &DecoderSettings) -> Result<Arc<Tool>, FfmpegAbsence> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Known { tool, since }) = &*known
            && (tool.is_ok() || since.elapsed() < ABSENT_FOR)
        {
            return tool.clone();
        }
        let tool =
            found::find(&settings.ffmpeg).and_then(|program| probe::probe(settings, program)).map(Arc::new);
        *known = Some(Known { tool: tool.clone(), since: Instant::now() });
        tool
    }
}
