//! The bounds of decoder processes.

use std::path::PathBuf;
use std::time::Duration;

use vigie_media::Limits;
use vigie_sandbox::Requirement;

/// The start parameters and bounds of decoder processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderSettings {
    /// The path of the program `vigie`; `None` for this process's program.
    pub program: Option<PathBuf>,
    /// The protection that a process must have.
    pub requirement: Requirement,
    /// Memory that a process may use beyond its memory at the start, in bytes. At the bound the image is
    /// refused.
    pub memory_bytes_max: u64,
    /// The longest processor time of one image. At the bound the image is refused and its process killed.
    pub processor_time_max: Duration,
    /// The program `ffmpeg`: a path, a name to search for, or empty for none.
    pub ffmpeg: PathBuf,
    /// The largest address space of `ffmpeg` with its libraries, in bytes.
    pub ffmpeg_memory_bytes_max: u64,
    /// The number of images after which a process is replaced, so that state left by one of them does not
    /// last.
    pub images_max: u32,
}

/// Memory of a process in addition to the file and its decoder's buffers, in bytes: tables, rows, the hash's
/// buffers, and memory that the allocator has not returned.
const MEMORY_BESIDE_BYTES: u64 = 64 << 20;

/// Address space of `ffmpeg` in addition to its decoder's memory, in bytes: its libraries, and the stacks of
/// its threads. Nearly all of it is never touched.
const FFMPEG_BYTES: u64 = 1 << 30;

impl DecoderSettings {
    /// The default name of the program that decodes formats without a built-in decoder.
    pub const FFMPEG: &str = "ffmpeg";

    /// The default processor time of one image.
    pub const PROCESSOR_TIME_MAX: Duration = Duration::from_secs(5);

    /// Returns settings whose memory is enough for every image within `limits`.
    #[must_use]
    pub fn for_limits(limits: &Limits) -> Self {
        let input = u64::try_from(limits.input_bytes_max).unwrap_or(u64::MAX);
        Self {
            program: None,
            requirement: Requirement::default(),
            memory_bytes_max: limits
                .alloc_bytes_max
                .saturating_add(input)
                .saturating_add(MEMORY_BESIDE_BYTES),
            processor_time_max: Self::PROCESSOR_TIME_MAX,
            ffmpeg: PathBuf::from(Self::FFMPEG),
            ffmpeg_memory_bytes_max: limits.alloc_bytes_max.saturating_add(FFMPEG_BYTES),
            images_max: 1_000,
        }
    }
}
