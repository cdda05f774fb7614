//! The program `ffmpeg`, which decodes what no decoder here does. Found and asked what it can do when it is first needed.
//!
//! ```text
//! Ffmpeg::tool(coding)             found? of which version? with this decoder?          -> Tool, or why there is none
//! Run::start(tool, outside, file)  `vigie program-worker` locks itself down, greets, and becomes ffmpeg
//!   |-- the file: a sealed memfd as standard input
//!   |-- pixels:   PPM pictures on standard output, each of the declared size, as many as declared
//!   +-- words:    standard error, bounded, which only decide the kind of a failure
//! ```
//!
//! Always true:
//! - Nothing is linked and nothing is fetched: the program is the operator's.
//! - The program's process group is killed as a whole, and its process waited for, before an answer is given.
//! - What the program writes is that of a stranger: only its size is believed, after it was counted.

mod arguments;
mod failure;
mod frames;
mod input;
mod probe;
mod run;
mod tool;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::settings::DecoderSettings;

pub use failure::FfmpegAbsence;
pub(super) use failure::{RunFault, missing, without_decoder};
pub(super) use run::{Run, Unpassed};
pub use tool::FfmpegReport;
pub(super) use tool::Tool;

/// How long an absence is believed: the program may be installed while this one runs.
const ABSENT_FOR: Duration = Duration::from_secs(60);
/// Where programs are that a service's environment may not name.
const FOLDERS: [&str; 4] = ["/usr/bin", "/usr/local/bin", "/opt/homebrew/bin", "/opt/local/bin"];

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
        let tool = find(&settings.ffmpeg).and_then(|program| probe::probe(settings, program)).map(Arc::new);
        *known = Some(Known { tool: tool.clone(), since: Instant::now() });
        tool
    }
}

/// The program of this name: a path as it is, a bare name by way of `PATH` and where programs usually are.
fn find(name: &Path) -> Result<PathBuf, FfmpegAbsence> {
    if name.as_os_str().is_empty() {
        return Err(FfmpegAbsence::Off);
    }
    if name.components().nth(1).is_some() {
        return if is_program(name) { Ok(name.to_owned()) } else { Err(FfmpegAbsence::NotFound) };
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.iter().map(PathBuf::from));
    // A relative folder is that of whoever has chosen the current one.
    let programs = folders.filter(|folder| folder.is_absolute()).map(|folder| folder.join(name));
    programs.into_iter().find(|program| is_program(program)).ok_or(FfmpegAbsence::NotFound)
}

/// Whether a file is there that this process may run.
#[must_use]
pub fn is_program(path: &Path) -> bool {
    path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_and_a_path_is_taken_as_it_is() {
        assert_eq!(find(Path::new("")), Err(FfmpegAbsence::Off));
        assert!(find(Path::new("true")).unwrap().is_absolute());
        assert_eq!(find(Path::new("/bin/true")), Ok(PathBuf::from("/bin/true")));
        for absent in ["no-such-program", "/no/such/program", "/etc/passwd", "/bin"] {
            assert_eq!(find(Path::new(absent)), Err(FfmpegAbsence::NotFound), "{absent}");
        }
    }
}
