//! The bounds of decoder processes.

use std::path::PathBuf;
use std::time::Duration;

use vigie_media::Limits;
use vigie_sandbox::Requirement;

/// How decoder processes are started and bounded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecoderSettings {
    /// The program `vigie`; `None` for this process's own.
    pub program: Option<PathBuf>,
    /// The protection that a process must have.
    pub requirement: Requirement,
    /// Memory that a process may take beyond what it has when it starts, in bytes. At the bound the image is
    /// refused.
    pub memory_bytes_max: u64,
    /// Processor time that one image may take. At the bound the image is refused and its process killed.
    pub processor_time_max: Duration,
    /// The program `ffmpeg`: a path, a name that is looked for, or nothing for none.
    pub ffmpeg: PathBuf,
    /// Address space of `ffmpeg` with its libraries, in bytes.
    pub ffmpeg_memory_bytes_max: u64,
    /// Images after which a process is replaced, so that what one of them left behind does not last.
    pub images_max: u32,
}

/// Memory of a process beside the file and what its decoder asks for, in bytes: tables, rows, the hash's own
/// buffers, and what the allocator has not given back.
const MEMORY_BESIDE_BYTES: u64 = 64 << 20;

/// Address space of `ffmpeg` beside what its decoder asks for, in bytes: its libraries, and the stacks of its
/// threads. Nearly all of it is never touched.
const FFMPEG_BYTES: u64 = 1 << 30;

impl DecoderSettings {
    /// The name of the program that decodes what no decoder here does, if nothing else is set.
    pub const FFMPEG: &str = "ffmpeg";

    /// Processor time of one image, if nothing else is set.
    pub const PROCESSOR_TIME_MAX: Duration = Duration::from_secs(5);

    /// Settings whose memory is enough for every image within `limits`.
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
