//! The installed program and its capabilities.

use std::path::PathBuf;

use vigie_media::outside::Coding;
use vigie_sandbox::Posture;

/// The program, with its capabilities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::decoder) struct Tool {
    pub(in crate::decoder) program: PathBuf,
    /// The program `ffprobe` of the same installation.
    pub(in crate::decoder) prober: Option<PathBuf>,
    /// The version as the program writes it: letters, digits and a few signs.
    pub(in crate::decoder) version: String,
    /// The program's decoder of each coding.
    pub(in crate::decoder) decoders: Vec<(Coding, String)>,
    /// Whether the program has the option `-fps_mode`, added in version 5.1.
    pub(in crate::decoder) has_fps_mode: bool,
    pub(in crate::decoder) posture: Posture,
}

/// The installed `ffmpeg` and its formats, for a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FfmpegReport {
    /// The program.
    pub program: PathBuf,
    /// The version of the program, as the program writes it.
    pub version: String,
    /// The formats that the program decodes.
    pub formats: Vec<&'static str>,
    /// The formats for which the program has no decoder.
    pub missing: Vec<&'static str>,
    /// The protection that the program runs with.
    pub posture: Posture,
}

/// The programs that decode videos, for a log and for health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoReport {
    /// The program `ffmpeg`.
    pub program: PathBuf,
    /// The program `ffprobe`.
    pub prober: PathBuf,
    /// The version of `ffmpeg`, as the program writes it.
    pub version: String,
    /// The protection that the programs run with.
    pub posture: Posture,
}

impl Tool {
    /// Returns how the program decodes videos; `None` if there is no `ffprobe`.
    pub(in crate::decoder) fn video(&self) -> Option<VideoReport> {
        let Self { program, prober, version, posture, .. } = self;
        Some(VideoReport {
            program: program.clone(),
            prober: prober.clone()?,
            version: version.clone(),
            posture: *posture,
        })
    }

    pub(in crate::decoder) fn decoder(&self, coding: Coding) -> Option<&str> {
        self.decoders.iter().find(|(one, _)| *one == coding).map(|(_, name)| name.as_str())
    }

    pub(in crate::decoder) fn report(&self) -> FfmpegReport {
        let (there, missing): (Vec<_>, Vec<_>) =
            Coding::ALL.into_iter().partition(|&coding| self.decoder(coding).is_some());
        let names = |codings: Vec<Coding>| codings.into_iter().map(Coding::format).collect();
        FfmpegReport {
            program: self.program.clone(),
            version: self.version.clone(),
            formats: names(there),
            missing: names(missing),
            posture: self.posture,
        }
    }
}
