//! Videos made to do harm, and programs that misbehave on order: each gets one answer, and nothing is
//! left behind.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use prometheus_client::registry::Registry;
use rand::RngExt as _;
use tempfile::TempDir;
use vigie_clients::decoder::{DecoderError, DecoderMetrics, Hashing};
use vigie_media::video::{Sampling, VideoLimits};
use vigie_model::{DecodeFailureKind, VideoFingerprint, VideoPartial};
use vigie_tests::material::generator;

use crate::studio::{PATIENCE, Studio, failure, settings};

const STAND_IN: &str = env!("CARGO_BIN_EXE_video-stand-in");

/// The stand-in as both programs, with metrics.
struct Played {
    hashing: Hashing,
    registry: Registry,
    _folder: TempDir,
}

impl Played {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ffmpeg", "ffprobe"] {
            symlink(STAND_IN, folder.path().join(name)).unwrap();
        }
        let mut registry = Registry::default();
        let metrics = DecoderMetrics::register(&mut registry);
        let hashing = Hashing::prepare(settings(folder.path().join("ffmpeg")), metrics).unwrap();
        Self { hashing, registry, _folder: folder }
    }

    fn hash(&self, deed: &str, within: Duration) -> Result<VideoFingerprint, DecoderError> {
        let limits = VideoLimits { within, ..VideoLimits::default() };
        self.hash_until(deed, &limits, PATIENCE)
    }

    fn hash_until(
        &self,
        deed: &str,
        limits: &VideoLimits,
        time: Duration,
    ) -> Result<VideoFingerprint, DecoderError> {
        let content = format!("RIFF\0\0\0\0AVI stand-in: {deed}\n");
        let mut hasher = self.hashing.hasher();
        hasher.hash_video(content.as_bytes(), limits, Sampling::QUERY, Instant::now() + time)
    }

    fn figure(&self, line: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines().find_map(|one| one.strip_prefix(line)?.strip_prefix(' ')).unwrap().parse().unwrap()
    }

    /// Checks that the action ends in this failure, and that the next video is hashed normally.
    #[track_caller]
    fn check_failure(&self, deed: &str, expected: DecodeFailureKind) {
        let before = open_files();
        let counted = format!("vigie_video_failures_total{{kind=\"{}\"}}", expected.name());
        let failures = self.figure(&counted);
        let (kind, message) = failure(self.hash(deed, Duration::from_secs(2)));
        assert_eq!(kind, expected, "{deed}: {message}");
        assert!(message.len() > 20 && !message.contains("words"), "{message}");
        assert_eq!(self.figure(&counted), failures + 1, "{deed}");
        self.check_sound(deed, before);
    }

    /// Checks that the action leaves the frames before it, with this reason.
    #[track_caller]
    fn check_partial(&self, deed: &str, expected: Option<VideoPartial>, frames: usize) {
        let before = open_files();
        // Long enough for both programs to start on a busy machine.
        let video = self.hash(deed, Duration::from_secs(4)).unwrap();
        assert_eq!((video.partial, video.frames.len()), (expected, frames), "{deed}");
        if let Some(reason) = expected {
            assert!(self.figure(&format!("vigie_video_partial_total{{reason=\"{}\"}}", reason.name())) > 0);
        }
        self.check_sound(deed, before);
    }

    #[track_caller]
    fn check_sound(&self, deed: &str, files_before: usize) {
        assert_eq!(running(), Vec::<PathBuf>::new(), "{deed}");
        let video = self.hash("nothing", PATIENCE).unwrap();
        assert_eq!(
            (video.width, video.height, video.frames.len(), video.partial),
            (80, 60, 3, None),
            "{deed}"
        );
        assert!(open_files() <= files_before, "{deed}: {files_before} descriptors before");
    }
}

/// Returns the number of open file descriptors of this process. Other tests in the process would change it,
/// so the tests that use it run alone.
fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Returns the stand-ins that this process has started and that still run, or were not waited for.
fn running() -> Vec<PathBuf> {
    let own = std::process::id().to_string();
    let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    let is_mine = |process: &PathBuf| {
        let stat = fs::read_to_string(process.join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(1));
        let name =
            stat.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map(|(name, _)| name.to_owned());
        // The kernel limits a process's name to 15 bytes of its program's name.
        parent == Some(&own)
            && name.is_some_and(|name| {
                name.starts_with("video-stand-in") || name == "ffmpeg" || name == "ffprobe"
            })
    };
    processes.filter(is_mine).collect()
}

/// A single test, since it counts the descriptors and the children of this process. It starts this program
/// again for itself alone.
#[test]
fn a_program_that_misbehaves_costs_one_video_and_leaves_nothing_behind() {
    if !is_alone("hostile::a_program_that_misbehaves_costs_one_video_and_leaves_nothing_behind") {
        return;
    }
    let played = Played::new();
    assert_eq!(played.hash("nothing", PATIENCE).unwrap().frames.len(), 3);
    for (deed, expected) in [
        ("probe: abort", DecodeFailureKind::Crashed),
        ("probe: refuse", DecodeFailureKind::Corrupt),
        ("probe: say nothing", DecodeFailureKind::Corrupt),
        ("probe: no text", DecodeFailureKind::Corrupt),
        ("probe: wait", DecodeFailureKind::TimedOut),
        ("probe: flood", DecodeFailureKind::Corrupt),
        ("probe: wide", DecodeFailureKind::SideTooLong),
        ("refuse", DecodeFailureKind::Corrupt),
        ("say nothing", DecodeFailureKind::Corrupt),
        ("head alone", DecodeFailureKind::Corrupt),
        ("abort", DecodeFailureKind::Crashed),
        ("no memory", DecodeFailureKind::OutOfMemory),
        ("wait", DecodeFailureKind::TimedOut),
        ("noise", DecodeFailureKind::Corrupt),
        ("huge", DecodeFailureKind::SideTooLong),
        ("empty", DecodeFailureKind::Corrupt),
    ] {
        played.check_failure(deed, expected);
    }
    for (deed, expected, frames) in [
        ("wait later", Some(VideoPartial::TimedOut), 2),
        ("loop later", Some(VideoPartial::TimedOut), 2),
        ("half and wait", Some(VideoPartial::TimedOut), 2),
        ("abort later", Some(VideoPartial::DecoderFailed), 2),
        ("refuse later", Some(VideoPartial::Damaged), 2),
        ("long frame", Some(VideoPartial::DecoderFailed), 2),
        ("short frame", Some(VideoPartial::DecoderFailed), 2),
        ("noise later", Some(VideoPartial::DecoderFailed), 2),
        ("half", Some(VideoPartial::Damaged), 2),
        ("flood", None, 3),
        ("backwards", None, 3),
    ] {
        played.check_partial(deed, expected, frames);
    }
    let backwards = played.hash("backwards", PATIENCE).unwrap();
    assert!(backwards.frames.iter().map(|frame| frame.time_ms).is_sorted(), "a hash needs ascending times");
    // Endless videos: limited by frames, by time, and by the caller.
    let few = played.hash("endless", PATIENCE).unwrap();
    assert_eq!((few.frames.len(), few.partial), (4_096, Some(VideoPartial::TooManyFrames)));
    let limits = VideoLimits { frames_max: u32::MAX, ..VideoLimits::default() };
    let begun = Instant::now();
    let until = played.hash_until("endless", &limits, Duration::from_secs(3)).unwrap();
    assert_eq!(until.partial, Some(VideoPartial::TimedOut));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let late = played.hash_until("wait", &limits, Duration::from_millis(500));
    assert!(matches!(late, Err(DecoderError::OutOfTime)), "{late:?}");
    assert_eq!(played.figure("vigie_video_failures_total{kind=\"deadline\"}"), 1);
    assert_eq!(running(), Vec::<PathBuf>::new());
}

/// Returns whether this process runs only one test. If not, starts such a process, which has to succeed.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "VIGIE_VIDEO_TEST_ALONE";
    if env::var_os(ALONE).is_some() {
        return true;
    }
    let mut again = std::process::Command::new(env::current_exe().unwrap());
    let ended = again.args([test, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&ended.stderr).into_owned() + &String::from_utf8_lossy(&ended.stdout);
    assert!(ended.status.success() && text.contains("1 passed"), "{text}");
    false
}

/// `VIGIE_MUTATIONS` sets the number of videos, and `VIGIE_SEED` the seed.
#[test]
fn mutated_videos_are_hashed_in_part_or_refused() {
    if !is_alone("hostile::mutated_videos_are_hashed_in_part_or_refused") {
        return;
    }
    let Some(studio) = Studio::open() else { return };
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    let (count, seed) = (number("VIGIE_MUTATIONS").unwrap_or(40), number("VIGIE_SEED").unwrap_or(7));
    println!("VIGIE_SEED={seed} VIGIE_MUTATIONS={count}");
    let clips: Vec<Vec<u8>> = ["a.mp4", "a.mkv", "a.avi", "a.ts", "a.flv", "a.gif", "a.ogv", "a.wmv"]
        .into_iter()
        .filter_map(|name| {
            studio.try_make(&[
                "-f",
                "lavfi",
                "-i",
                "testsrc2=size=160x120:rate=10:duration=2",
                "-threads",
                "1",
                name,
            ])
        })
        .collect();
    assert!(clips.len() >= 5);
    let mut rng = generator(seed);
    assert!(studio.hash(&clips[0], Sampling::QUERY).is_ok());
    let before = open_files();
    let (mut whole, mut partial, mut refused) = (0, 0, 0);
    for _ in 0..count {
        let mut clip = clips[rng.random_range(0..clips.len())].clone();
        let end = if rng.random_ratio(1, 2) { clip.len().min(400) } else { clip.len() };
        for _ in 0..rng.random_range(1..=16) {
            let at = rng.random_range(0..end);
            clip[at] = match rng.random_range(0..3) {
                0 => 0xff,
                1 => clip[at] ^ (1 << rng.random_range(0..8)),
                _ => rng.random(),
            };
        }
        if rng.random_ratio(1, 5) {
            clip.truncate(rng.random_range(1..clip.len()));
        }
        let limits = VideoLimits { within: Duration::from_secs(5), ..VideoLimits::default() };
        let begun = Instant::now();
        match studio.hash_within(&clip, &limits, Sampling::QUERY) {
            Ok(VideoFingerprint { partial: None, .. }) => whole += 1,
            Ok(_) => partial += 1,
            Err(DecoderError::Decode(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
    }
    println!("{whole} whole, {partial} in part, {refused} refused");
    assert!(open_files() <= before);
}

#[test]
fn what_only_begins_as_a_video_is_refused() {
    let Some(studio) = Studio::open() else { return };
    let mut rng = generator(5);
    let packets = |bytes: usize| {
        let mut packets: Vec<u8> = (0..bytes * 3).map(|_| rng.random()).collect();
        packets.iter_mut().step_by(bytes).for_each(|byte| *byte = 0x47);
        packets
    };
    let stream = [188].map(packets).concat();
    let mut rng = generator(6);
    for magic in [
        b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2".to_vec(),
        b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81".to_vec(),
        b"RIFF\xff\xff\0\0AVI LIST".to_vec(),
        b"FLV\x01\x05\0\0\0\x09".to_vec(),
        b"GIF89a".to_vec(),
        b"OggS\0\x02".to_vec(),
        b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\0\xaa\0\x62\xce\x6c".to_vec(),
        b"\0\0\x01\xba\x44".to_vec(),
        stream,
    ] {
        let garbage: Vec<u8> = (0..50_000).map(|_| rng.random()).collect();
        let limits = VideoLimits { within: Duration::from_secs(10), ..VideoLimits::default() };
        let begun = Instant::now();
        match studio.hash_within(&[magic.clone(), garbage].concat(), &limits, Sampling::QUERY) {
            // A GIF with random content is still a picture.
            Ok(video) => assert!(magic.starts_with(b"GIF") && video.partial.is_some()),
            Err(DecoderError::Decode(failure)) => println!("{}: {}", magic[..4].escape_ascii(), failure.kind),
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
    // Playlists and scripts, which name other files, are not videos.
    for script in ["ffconcat version 1.0\nfile '/etc/passwd'\n", "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n"]
    {
        let (kind, _) = failure(studio.hash(script.as_bytes(), Sampling::QUERY));
        assert_eq!(kind, DecodeFailureKind::UnknownFormat);
    }
}

/// A file of some kilobytes that shows one picture for hours.
#[test]
fn a_video_that_hardly_ends_is_ended() {
    let Some(studio) = Studio::open() else { return };
    let clip = studio.make("-f lavfi -i color=gray:size=64x64:rate=1:duration=20000 -c:v mpeg4 -q:v 31 -g 600 -threads 1 long.mkv");
    let limits = VideoLimits { length_max: Duration::from_secs(600), ..VideoLimits::default() };
    let video = studio.hash_within(&clip, &limits, Sampling::QUERY).unwrap();
    assert_eq!((video.frames.len(), video.partial), (601, Some(VideoPartial::TooLong)));
    let dense = studio.hash_within(&clip, &limits, Sampling::Dense).unwrap();
    assert_eq!(dense.partial, Some(VideoPartial::TooLong));
    let soon = VideoLimits {
        within: Duration::from_millis(700),
        length_max: VideoLimits::LENGTH_MAX,
        frames_max: u32::MAX,
        ..limits
    };
    let begun = Instant::now();
    match studio.hash_within(&clip, &soon, Sampling::BySeconds(1)) {
        Ok(video) => assert!(matches!(video.partial, Some(VideoPartial::TimedOut | VideoPartial::TooLong))),
        Err(DecoderError::Decode(failure)) => assert_eq!(failure.kind, DecodeFailureKind::TimedOut),
        Err(error) => panic!("{error}"),
    }
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
