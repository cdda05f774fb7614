//! Reads the program's version and its decoders.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use vigie_media::outside::Coding;
use vigie_sandbox::{Posture, Requirement};

use crate::decoder::settings::DecoderSettings;
use crate::decoder::watch::Bounds;

use super::arguments;
use super::failure::FfmpegAbsence;
use super::found::is_program;
use super::run::Run;
use super::tool::Tool;

/// The longest time of the program's answer, which takes a tenth of a second on a machine that is not busy.
const WITHIN: Duration = Duration::from_secs(10);
/// The longest list of decoders, in bytes. Current lists have 40,000.
const LIST_BYTES_MAX: usize = 1 << 20;
/// The longest version that is shown, in bytes.
const VERSION_BYTES_MAX: usize = 40;

/// Runs the program at this path, and reads its answer.
pub(super) fn probe(settings: &DecoderSettings, program: PathBuf) -> Result<Tool, FfmpegAbsence> {
    let bounds = Bounds { deadline: Instant::now() + WITHIN, processor_time_max: WITHIN };
    let memory_bytes_max = settings.ffmpeg_memory_bytes_max;
    let run =
        Run::start(settings, program.clone(), memory_bytes_max, arguments::probe(), Stdio::null(), bounds);
    let Some(mut run) = run else {
        return Err(match settings.requirement {
            Requirement::Required => FfmpegAbsence::Unprotected,
            Requirement::BestEffort | Requirement::Off => FfmpegAbsence::Foreign,
        });
    };
    let list = run.text(LIST_BYTES_MAX).map_err(|_| FfmpegAbsence::Foreign)?;
    let (posture, words) = (run.posture, run.words());
    run.finish().map_err(|_| FfmpegAbsence::Foreign)?;
    tool(program, &words, &String::from_utf8_lossy(&list), posture).ok_or(FfmpegAbsence::Foreign)
}

fn tool(program: PathBuf, words: &str, list: &str, posture: Posture) -> Option<Tool> {
    let version = words.lines().find_map(|line| line.strip_prefix("ffmpeg version "))?;
    let version: String = version
        .chars()
        .take_while(|&sign| sign.is_ascii_alphanumeric() || "-+.~_:".contains(sign))
        .take(VERSION_BYTES_MAX)
        .collect();
    // A version that is not a number is a build of the newest source.
    let has_fps_mode = number(&version).is_none_or(|number| number >= (5, 1));
    let listed: Vec<&str> = list.lines().filter_map(video_decoder).collect();
    let decoders = Coding::ALL.into_iter().filter_map(|coding| {
        let names: &[&str] = match coding {
            Coding::Jpeg2000 => &["jpeg2000"],
            Coding::Hevc => &["hevc"],
            Coding::JpegXl => &["libjxl", "jpegxl"],
        };
        let name = names.iter().find(|name| listed.contains(name))?;
        Some((coding, (*name).to_owned()))
    });
    let decoders = decoders.collect();
    let prober = prober(&program);
    Some(Tool { program, prober, version, decoders, has_fps_mode, posture })
}

/// Returns the program `ffprobe` of the same installation: beside `ffmpeg`, or beside the target of its link.
fn prober(program: &Path) -> Option<PathBuf> {
    let beside = |program: &Path| {
        let name = program.file_name()?.to_str()?;
        let prober = program.with_file_name(name.replace("ffmpeg", "ffprobe"));
        (prober != program && is_program(&prober)).then_some(prober)
    };
    beside(program).or_else(|| beside(&program.canonicalize().ok()?))
}

/// Returns the name in a line of the list, such as
/// ` V....D hevc                 HEVC (High Efficiency Video Coding)`.
fn video_decoder(line: &str) -> Option<&str> {
    let mut words = line.split_ascii_whitespace();
    let is_video = words.next()?.starts_with('V');
    words.next().filter(|_| is_video)
}

/// Returns the first two numbers of a version.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix('n').unwrap_or(version).split(|sign: char| !sign.is_ascii_digit());
    let first = numbers.next()?.parse().ok()?;
    Some((first, numbers.next().and_then(|second| second.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "Decoders:\n V..... = Video\n ------\n VFS..D hevc                 HEVC (High Efficiency Video Coding)\n \
                        A....D jpeg2000             no picture\n V....D libjxl               libjxl JPEG XL\n";

    #[test]
    fn version_and_decoders_are_read() {
        let words =
            "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers\n  built with gcc";
        let tool = tool("/usr/bin/ffmpeg".into(), words, LIST, Posture::Full).unwrap();
        assert_eq!(tool.version, "5.1.9-0+deb12u1");
        assert!(tool.has_fps_mode);
        assert_eq!(
            (tool.decoder(Coding::Hevc), tool.decoder(Coding::JpegXl)),
            (Some("hevc"), Some("libjxl"))
        );
        assert_eq!(tool.decoder(Coding::Jpeg2000), None);
        assert_eq!(tool.report().formats, ["HEIC", "JPEG XL"]);
        assert_eq!(tool.report().missing, ["JPEG 2000"]);
    }

    #[test]
    fn ffprobe_is_looked_for_beside_ffmpeg_and_beside_what_that_links_to() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};

        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("bin")).unwrap();
        for name in ["ffmpeg", "ffprobe"] {
            std::fs::write(at("bin").join(name), "").unwrap();
            std::fs::set_permissions(at("bin").join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        symlink(at("bin/ffmpeg"), at("ffmpeg")).unwrap();
        assert_eq!(prober(&at("bin/ffmpeg")), Some(at("bin/ffprobe")));
        let linked = at("bin").canonicalize().unwrap().join("ffprobe");
        assert_eq!(prober(&at("ffmpeg")), Some(linked));
        std::fs::remove_file(at("bin/ffprobe")).unwrap();
        assert_eq!(prober(&at("ffmpeg")), None);
        assert_eq!(prober(Path::new("/bin/true")), None);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, has_fps_mode) in [
            ("4.4.2-0ubuntu0.22.04.1", false),
            ("5.0", false),
            ("5.1", true),
            ("n7.1", true),
            ("10.2", true),
            ("N-112233-g1a2b3c4", true),
        ] {
            let words = format!("ffmpeg version {version} Copyright");
            assert_eq!(
                tool("f".into(), &words, "", Posture::None).unwrap().has_fps_mode,
                has_fps_mode,
                "{version}"
            );
        }
        assert!(tool("f".into(), "usage: true", "", Posture::None).is_none());
    }
}
