//! Clips that are drawn and encoded for a test, and their hashes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

use tempfile::TempDir;
use vigie_clients::decoder::{DecoderError, DecoderMetrics, DecoderSettings, Hashing};
use vigie_media::Limits;
use vigie_media::video::{Sampling, VideoLimits};
use vigie_model::{DecodeFailureKind, PdqHash, VideoFingerprint};
use vigie_pictures::{Format, draw};

/// The stand-in of `vigie`, which runs other programs as `vigie` does.
pub(crate) const DECODER: &str = env!("CARGO_BIN_EXE_decoder-stand-in");
/// A time limit far longer than a test's video needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) fn settings(ffmpeg: impl Into<PathBuf>) -> DecoderSettings {
    DecoderSettings {
        program: Some(PathBuf::from(DECODER)),
        ffmpeg: ffmpeg.into(),
        ..DecoderSettings::for_limits(&Limits::default())
    }
}

/// The installed programs, and a folder for clips.
pub(crate) struct Studio {
    pub(crate) hashing: Hashing,
    ffmpeg: PathBuf,
    folder: TempDir,
}

impl Studio {
    /// Finds the programs; returns `None`, and reports it, where they are missing.
    pub(crate) fn open() -> Option<Self> {
        let name = env::var("VIGIE_FFMPEG").unwrap_or_else(|_| DecoderSettings::FFMPEG.to_owned());
        let hashing = Hashing::prepare(settings(name), DecoderMetrics::default()).unwrap();
        match hashing.video() {
            Ok(report) => {
                eprintln!("{report:?}");
                Some(Self { hashing, ffmpeg: report.program, folder: tempfile::tempdir().unwrap() })
            }
            Err(absence) => {
                assert!(
                    env::var_os("VIGIE_REQUIRE_FFMPEG").is_none(),
                    "{absence}, and VIGIE_REQUIRE_FFMPEG is set"
                );
                eprintln!(
                    "SKIPPED: {absence}, so videos are not tested. Debian and Ubuntu: apt-get install ffmpeg"
                );
                None
            }
        }
    }

    /// Returns the path of a file with this name, whether or not it exists.
    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Draws a picture to a file, and returns its path.
    pub(crate) fn picture(&self, number: u64, width: u32, height: u32) -> PathBuf {
        let path = self.at(&format!("p{number:03}.png"));
        fs::write(&path, Format::Png.encode(&draw(number, width, height))).unwrap();
        path
    }

    /// Runs `ffmpeg` in the folder with these arguments, the last of which names the file, and returns the
    /// file's content. `None` where it fails, such as without an encoder.
    pub(crate) fn try_make(&self, words: &[&str]) -> Option<Vec<u8>> {
        let made = Command::new(&self.ffmpeg)
            .current_dir(self.folder.path())
            .args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y"])
            .args(words)
            .output()
            .unwrap();
        let name = words.last().unwrap();
        if !made.status.success() {
            eprintln!("{name} cannot be made: {}", String::from_utf8_lossy(&made.stderr));
            return None;
        }
        Some(fs::read(self.at(name)).unwrap())
    }

    /// Runs `ffmpeg` with the arguments in one line, and returns the file's content.
    #[track_caller]
    pub(crate) fn make(&self, line: &str) -> Vec<u8> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        self.try_make(&words).unwrap()
    }

    pub(crate) fn hash(&self, content: &[u8], sampling: Sampling) -> Result<VideoFingerprint, DecoderError> {
        self.hash_within(content, &VideoLimits::default(), sampling)
    }

    pub(crate) fn hash_within(
        &self,
        content: &[u8],
        limits: &VideoLimits,
        sampling: Sampling,
    ) -> Result<VideoFingerprint, DecoderError> {
        self.hashing.hasher().hash_video(content, limits, sampling, Instant::now() + PATIENCE)
    }
}

/// Returns the path of reference data with this name, where `VIGIE_REFERENCE_DATA` names a folder.
pub(crate) fn reference(name: &str) -> Option<PathBuf> {
    let Some(folder) = env::var_os("VIGIE_REFERENCE_DATA") else {
        eprintln!("SKIPPED: VIGIE_REFERENCE_DATA names no folder with the reference's data ({name})");
        return None;
    };
    Some(Path::new(&folder).join(name))
}

pub(crate) fn distance(one: &PdqHash, other: &PdqHash) -> u32 {
    one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum()
}

/// Returns kind and message of a failure that the file caused.
#[track_caller]
pub(crate) fn failure(outcome: Result<VideoFingerprint, DecoderError>) -> (DecodeFailureKind, String) {
    match outcome {
        Err(DecoderError::Decode(failure)) => (failure.kind, failure.message),
        other => panic!("{other:?}"),
    }
}

/// Returns numbers and times of the frames; times are in milliseconds.
pub(crate) fn times(video: &VideoFingerprint) -> Vec<(u32, u32)> {
    video.frames.iter().map(|frame| (frame.number, frame.time_ms)).collect()
}
