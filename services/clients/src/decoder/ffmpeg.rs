//! The program `ffmpeg`, which decodes what no decoder here does. Found and asked what it can do when it is
//! first needed.
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
//! - Nothing is linked and nothing is fetched: the program is the operator's.
//! - The program's process group is killed as a whole, and its process waited for, before an answer is given.
//! - What the program writes is that of a stranger: only its size is believed, after it was counted.

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

/// How long an absence is believed: the program may be installed while this one runs.
const ABSENT_FOR: Duration = Duration::from_secs(60);

/// The program `ffmpeg`. Clones share what is known of it.
#[derive(Debug, Clone)]
pub(super) struct Ffmpeg {
    known: Arc<Mutex<Option<Known>>>,
}

/// The outcome of the last look for the program, and when that was.
#[derive(Debug)]
struct Known {
    tool: Result<Arc<Tool>, FfmpegAbsence>,
    since: Instant,
}

impl Ffmpeg {
    pub(super) fn new() -> Self {
        Self { known: Arc::default() }
    }

    /// The program, which is looked for if that was not done.
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
