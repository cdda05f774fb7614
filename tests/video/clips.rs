//! Clips that are drawn and encoded by these tests: times, streams, sizes, damage, bars, mirrors.

use std::time::{Duration, Instant};

use vigie_clients::decoder::{DecoderError, DecoderMetrics, FfmpegAbsence, Hashing};
use vigie_media::Limits;
use vigie_media::video::{Sampling, VideoLimits};
use vigie_model::{DecodeFailureKind, PdqHash, VideoFingerprint, VideoFrame, VideoPartial, Way};

use crate::studio::{DECODER, Studio, distance, failure, settings, times};

/// The arguments of an encoder that every build has.
const CODER: &str = "-c:v mpeg4 -q:v 3 -threads 1 -map_metadata -1";
/// Hashes within this many bits are of the same picture.
const BITS_MAX: u32 = 31;

/// Makes a video of a camera that moves over a drawn picture, of this length in seconds, with 25 frames a
/// second.
fn pan(studio: &Studio, name: &str, seconds: u32, more: &str) -> Vec<u8> {
    studio.picture(3, 1_280, 720);
    let crop = format!("crop=w=320:h=180:x=(iw-320)*t/{seconds}:y=(ih-180)*t/{seconds}");
    studio.make(&format!("-loop 1 -framerate 25 -i p003.png -t {seconds} -vf {crop}{more} {CODER} {name}"))
}

fn nearest(frame: &PdqHash, video: &VideoFingerprint) -> u32 {
    video.frames.iter().map(|other| distance(frame, &other.plain.pdq[0])).min().unwrap()
}

/// Returns the number of frames whose hash, selected by `hash`, is near a plain hash of the other video.
fn found<'a>(
    query: &'a VideoFingerprint,
    item: &VideoFingerprint,
    hash: impl Fn(&'a VideoFrame) -> Option<&'a PdqHash>,
) -> usize {
    query.frames.iter().filter_map(hash).filter(|hash| nearest(hash, item) <= BITS_MAX).count()
}

#[test]
fn frames_are_sampled_by_time_by_number_and_densely() {
    let Some(studio) = Studio::open() else { return };
    let clip = pan(&studio, "pan.avi", 4, "");
    let by_time = studio.hash(&clip, Sampling::QUERY).unwrap();
    assert_eq!(times(&by_time), [(0, 0), (25, 1_000), (50, 2_000), (75, 3_000)]);
    assert_eq!((by_time.width, by_time.height, by_time.partial), (320, 180, None));
    assert_eq!(by_time.duration, Some(Duration::from_secs(4)));
    let by_number = studio.hash(&clip, Sampling::ByCount(0.5)).unwrap();
    let expected: Vec<(u32, u32)> = (0..9).map(|step| (step * 12, step * 480)).collect();
    assert_eq!(times(&by_number), expected);
    let all = studio.hash(&clip, Sampling::ByCount(0.0)).unwrap();
    assert_eq!(all.frames.len(), 100);
    let dense = studio.hash(&clip, Sampling::Dense).unwrap();
    assert!((20..=100).contains(&dense.frames.len()), "{}", dense.frames.len());
    assert_eq!((dense.frames[0].number, dense.frames.last().unwrap().number), (0, 99));
    // Each frame has the same hashes, whatever the sampling.
    for frame in by_time.frames.iter().chain(&by_number.frames).chain(&dense.frames) {
        assert_eq!(frame, &all.frames[frame.number as usize]);
    }
    assert!(all.banked(Way::Plain).unwrap() == dense.banked(Way::Plain).unwrap());
}

/// A variable frame rate: each frame has its own time, and samples by time are those of the whole clip.
#[test]
fn frames_of_a_variable_rate_keep_their_times() {
    let Some(studio) = Studio::open() else { return };
    let whole = pan(&studio, "whole.avi", 6, "");
    // All frames from 0 to 24, and every seventh of the later ones.
    let fewer =
        "-i whole.avi -vf select='lt(n,25)+not(mod(n,7))' -vsync vfr -c:v mpeg4 -q:v 2 -threads 1 fewer.mkv";
    let fewer = studio.make(fewer);
    let numbers: Vec<u32> = (0..25).chain((28..150).step_by(7)).collect();
    let expected: Vec<(u32, u32)> = (0..).zip(numbers.iter().map(|number| number * 40)).collect();
    let all = studio.hash(&fewer, Sampling::ByCount(0.0)).unwrap();
    assert_eq!(all.frames.len(), expected.len());
    let dense = studio.hash(&fewer, Sampling::Dense).unwrap();
    for frame in times(&dense) {
        assert!(expected.contains(&frame), "{frame:?}");
    }
    let by_time = studio.hash(&fewer, Sampling::QUERY).unwrap();
    // The first frame at or after each second: 1000, 2000, 3000 ms and so on.
    let first_of = |second: u32| *expected.iter().find(|(_, time_ms)| *time_ms >= second * 1_000).unwrap();
    assert_eq!(times(&by_time), (0..6).map(first_of).collect::<Vec<_>>());
    let whole = studio.hash(&whole, Sampling::ByCount(0.0)).unwrap();
    for frame in &by_time.frames {
        let same = &whole.frames[frame.time_ms as usize / 40];
        assert!(distance(&frame.plain.pdq[0], &same.plain.pdq[0]) <= 16, "{} ms", frame.time_ms);
    }
}

#[test]
fn a_rotation_in_metadata_is_left_and_a_variant_finds_it() {
    let Some(studio) = Studio::open() else { return };
    let plain = pan(&studio, "plain.mp4", 2, "");
    let turned = studio.try_make(&["-display_rotation", "90", "-i", "plain.mp4", "-c", "copy", "turned.mp4"]);
    // An older program does not have this option.
    let turned =
        turned.unwrap_or_else(|| studio.make("-i plain.mp4 -c copy -metadata:s:v rotate=90 turned.mp4"));
    assert_ne!(plain, turned);
    let (plain, turned) = [plain, turned].map(|clip| studio.hash(&clip, Sampling::QUERY).unwrap()).into();
    assert_eq!(plain, turned);
    let players = studio.make(&format!("-i turned.mp4 -map_metadata -1 {CODER} as-players-show-it.mp4"));
    let players = studio.hash(&players, Sampling::QUERY).unwrap();
    assert_eq!((players.width, players.height), (180, 320));
    assert_eq!(found(&players, &plain, |frame| Some(&frame.plain.pdq[0])), 0);
    let by_variant = |variant: usize| found(&players, &plain, move |frame| Some(&frame.plain.pdq[variant]));
    assert_eq!((1..8).map(by_variant).max(), Some(players.frames.len()));
}

#[test]
fn a_cover_picture_is_no_video() {
    let Some(studio) = Studio::open() else { return };
    let plain = pan(&studio, "plain.mp4", 2, "");
    studio.picture(9, 200, 200);
    // The cover picture is the first stream.
    let covered = studio.make(
        "-i p009.png -i plain.mp4 -map 0:v -map 1:v -c:v:0 mjpeg -c:v:1 copy -disposition:v:0 attached_pic covered.mp4",
    );
    let plain = studio.hash(&plain, Sampling::QUERY).unwrap();
    let covered = studio.hash(&covered, Sampling::QUERY).unwrap();
    assert_eq!((plain.width, plain.frames), (covered.width, covered.frames));
    let sound = "-f lavfi -i sine=duration=2";
    let alone = studio.make(&format!("{sound} -c:a aac sound.m4a"));
    let (kind, message) = failure(studio.hash(&alone, Sampling::QUERY));
    assert_eq!(kind, DecodeFailureKind::NoVideo, "{message}");
    let with_cover = studio.make(&format!(
        "{sound} -i p009.png -map 0:a -map 1:v -c:a aac -c:v mjpeg -disposition:v:0 attached_pic song.mp4"
    ));
    let (kind, message) = failure(studio.hash(&with_cover, Sampling::QUERY));
    assert_eq!(kind, DecodeFailureKind::NoVideo, "{message}");
}

/// Frames of another size are scaled to the first size, and numbers and times continue.
#[test]
fn a_change_of_size_is_no_end() {
    let Some(studio) = Studio::open() else { return };
    studio.picture(5, 640, 360);
    let part = |size: &str, name: &str| {
        studio.make(&format!(
            "-loop 1 -framerate 25 -i p005.png -t 3 -vf scale={size} -c:v mpeg2video -q:v 2 {name}"
        ))
    };
    let both = [part("320:180", "small.ts"), part("640:360", "large.ts")].concat();
    std::fs::write(studio.at("both.ts"), both).unwrap();
    // One stream with a change in its sequence header.
    let both = studio.make("-i both.ts -c copy -fflags +genpts both.mkv");
    let video = studio.hash(&both, Sampling::QUERY).unwrap();
    assert_eq!((video.width, video.height), (320, 180));
    let numbers: Vec<u32> = video.frames.iter().map(|frame| frame.number).collect();
    assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
    assert!(video.frames.len() >= 6 && *numbers.last().unwrap() >= 120, "{numbers:?}");
    let first = &video.frames[0].plain.pdq[0];
    for frame in &video.frames {
        assert!(distance(first, &frame.plain.pdq[0]) <= BITS_MAX, "frame {}", frame.number);
    }
    let counted = studio.hash(&both, Sampling::ByCount(0.0)).unwrap();
    let numbers: Vec<u32> = counted.frames.iter().map(|frame| frame.number).collect();
    assert_eq!(numbers, (0..u32::try_from(numbers.len()).unwrap()).collect::<Vec<_>>());
    assert!(numbers.len() >= 148, "{}", numbers.len());
}

#[test]
fn a_file_that_is_cut_off_is_hashed_in_part_or_not_at_all() {
    let Some(studio) = Studio::open() else { return };
    for name in ["clip.mkv", "clip.avi", "clip.gif"] {
        let clip = pan(&studio, "whole.avi", 4, "");
        let clip = if name == "clip.avi" { clip } else { studio.make(&coded(name)) };
        let whole = studio.hash(&clip, Sampling::QUERY).unwrap();
        let part = studio.hash(&clip[..clip.len() * 6 / 10], Sampling::QUERY).unwrap();
        assert_eq!((whole.partial, part.partial), (None, Some(VideoPartial::CutOff)), "{name}");
        assert!(part.frames.len() < whole.frames.len(), "{name}");
        let both = part.frames.len().min(whole.frames.len()) - 1;
        assert_eq!(part.frames[..both], whole.frames[..both], "{name}");
    }
    let clip = studio.make(&format!("-i whole.avi {CODER} late-index.mp4"));
    let (kind, message) = failure(studio.hash(&clip[..clip.len() * 6 / 10], Sampling::QUERY));
    assert_eq!(kind, DecodeFailureKind::Truncated, "{message}");
    let clip = studio.make(&format!("-i whole.avi {CODER} -movflags +faststart early-index.mp4"));
    let part = studio.hash(&clip[..clip.len() * 6 / 10], Sampling::QUERY).unwrap();
    assert_eq!(part.partial, Some(VideoPartial::CutOff));
    // FLV has no outer structure that declares its size, so the declared duration decides.
    let clip = studio.make("-i whole.avi -c:v flv -q:v 3 clip.flv");
    assert_eq!(studio.hash(&clip, Sampling::QUERY).unwrap().partial, None);
    let clip = pan(&studio, "long.avi", 12, "");
    assert_eq!(studio.hash(&clip, Sampling::QUERY).unwrap().partial, None);
    let clip = studio.make("-i long.avi -c:v flv -q:v 3 long.flv");
    let part = studio.hash(&clip[..clip.len() / 2], Sampling::QUERY).unwrap();
    assert_eq!(part.partial, Some(VideoPartial::CutOff));
}

fn coded(name: &str) -> String {
    match name {
        "clip.gif" => format!("-i whole.avi -vf fps=10 -threads 1 {name}"),
        _ => format!("-i whole.avi {CODER} {name}"),
    }
}

#[test]
fn damage_is_passed_over_and_said() {
    let Some(studio) = Studio::open() else { return };
    let clip = pan(&studio, "whole.avi", 4, "");
    let mut damaged = clip.clone();
    let from = damaged.len() / 2;
    for (at, byte) in damaged[from..from + 3_000].iter_mut().enumerate() {
        *byte = u8::try_from(at * 7 % 256).unwrap();
    }
    let (whole, damaged) = (studio.hash(&clip, Sampling::QUERY), studio.hash(&damaged, Sampling::QUERY));
    let (whole, damaged) = (whole.unwrap(), damaged.unwrap());
    assert_eq!((whole.partial, damaged.partial), (None, Some(VideoPartial::Damaged)));
    assert_eq!(whole.frames[0], damaged.frames[0]);
    assert!(damaged.frames.len() >= 3);
}

/// A copy with bars is far from its source with them, and near it without them.
#[test]
fn bars_are_taken_away() {
    let Some(studio) = Studio::open() else { return };
    let plain = pan(&studio, "plain.avi", 5, "");
    let dense = studio.hash(&plain, Sampling::Dense).unwrap();
    assert!(dense.frames.iter().all(|frame| frame.unbordered.is_none()), "there are none");
    for (name, pad) in [
        ("letterbox", "pad=iw:ih*4/3:0:(oh-ih)/2"),
        ("letterbox5", "pad=iw:ih*1.1:0:(oh-ih)/2"),
        ("pillarbox", "pad=iw*4/3:ih:(ow-iw)/2:0"),
        ("window", "pad=iw*1.2:ih*1.2:(ow-iw)/2:(oh-ih)/3"),
    ] {
        for quality in [3, 20] {
            let file = format!("{name}-{quality}.mp4");
            let bordered =
                studio.make(&format!("-i plain.avi -vf {pad} -c:v mpeg4 -q:v {quality} -threads 1 {file}"));
            let query = studio.hash(&bordered, Sampling::QUERY).unwrap();
            let plain = found(&query, &dense, |frame| Some(&frame.plain.pdq[0]));
            let without = found(&query, &dense, |frame| Some(&frame.unbordered.as_ref()?.pdq[0]));
            println!("{file}: {plain} of {} frames as they are, {without} without bars", query.frames.len());
            assert_eq!((without, query.partial), (query.frames.len(), None), "{file}");
        }
    }
}

#[test]
fn a_mirrored_copy_is_found_by_a_variant() {
    let Some(studio) = Studio::open() else { return };
    let plain = pan(&studio, "plain.avi", 5, "");
    let dense = studio.hash(&plain, Sampling::Dense).unwrap();
    for filter in ["hflip", "vflip", "transpose=1"] {
        let mirrored = studio.make(&format!("-i plain.avi -vf {filter} {CODER} mirrored.mp4"));
        let query = studio.hash(&mirrored, Sampling::QUERY).unwrap();
        assert_eq!(found(&query, &dense, |frame| Some(&frame.plain.pdq[0])), 0, "{filter}");
        let by_variant = |variant: usize| found(&query, &dense, move |frame| Some(&frame.plain.pdq[variant]));
        assert_eq!((1..8).map(by_variant).max(), Some(query.frames.len()), "{filter}");
    }
}

#[test]
fn each_container_is_decoded_by_its_own_demuxer() {
    let Some(studio) = Studio::open() else { return };
    let plain = pan(&studio, "plain.avi", 3, "");
    let expected = studio.hash(&plain, Sampling::QUERY).unwrap();
    for (coder, name) in [
        ("mpeg4", "a.mp4"),
        ("mpeg4", "a.mov"),
        ("mpeg4", "a.mkv"),
        ("mpeg4", "a.avi"),
        ("mpeg2video", "a.ts"),
        ("mpeg2video", "a.m2ts"),
        ("mpeg2video", "a.vob"),
        ("flv", "a.flv"),
        ("wmv2", "a.wmv"),
        ("gif", "a.gif"),
    ] {
        let clip = studio.make(&format!("-i plain.avi -c:v {coder} -q:v 2 -threads 1 {name}"));
        let video = studio.hash(&clip, Sampling::QUERY).unwrap();
        assert_eq!((video.partial, video.frames.len()), (None, 3), "{name}");
        assert_eq!(video.frames[0].time_ms, 0, "{name}");
        for (frame, expected) in video.frames.iter().zip(&expected.frames) {
            assert!(frame.time_ms.abs_diff(expected.time_ms) <= 40, "{name}: {} ms", frame.time_ms);
            let bits = distance(&frame.plain.pdq[0], &expected.plain.pdq[0]);
            assert!(bits <= BITS_MAX, "{name}: {bits} bits");
        }
    }
}

#[test]
fn bounds_end_a_video_with_what_was_hashed_until_then() {
    let Some(studio) = Studio::open() else { return };
    let clip = pan(&studio, "plain.avi", 6, "");
    let usual = VideoLimits::default();
    let within = |limits: VideoLimits, sampling| studio.hash_within(&clip, &limits, sampling).unwrap();
    let few = within(VideoLimits { frames_max: 3, ..usual }, Sampling::QUERY);
    assert_eq!((few.frames.len(), few.partial), (3, Some(VideoPartial::TooManyFrames)));
    let exact = within(VideoLimits { frames_max: 6, ..usual }, Sampling::QUERY);
    assert_eq!((exact.frames.len(), exact.partial), (6, None));
    let thin = within(VideoLimits { frames_max: 10, ..usual }, Sampling::Dense);
    assert_eq!((thin.partial, thin.frames.last().unwrap().number), (None, 149));
    assert!((4..=10).contains(&thin.frames.len()), "{}", thin.frames.len());
    let short = within(VideoLimits { length_max: Duration::from_millis(3_500), ..usual }, Sampling::QUERY);
    assert_eq!((short.frames.len(), short.partial), (4, Some(VideoPartial::TooLong)));
    let kind = |limits: VideoLimits| failure(studio.hash_within(&clip, &limits, Sampling::QUERY)).0;
    assert_eq!(kind(VideoLimits { side_px_max: 319, ..usual }), DecodeFailureKind::SideTooLong);
    assert_eq!(kind(VideoLimits { pixels_max: 57_599, ..usual }), DecodeFailureKind::TooManyPixels);
    assert_eq!(kind(VideoLimits { input_bytes_max: 1_000, ..usual }), DecodeFailureKind::TooLargeInput);
    assert_eq!(kind(VideoLimits { within: Duration::ZERO, ..usual }), DecodeFailureKind::TimedOut);
    let late = studio.hashing.hasher().hash_video(&clip, &usual, Sampling::QUERY, Instant::now());
    assert!(matches!(late, Err(DecoderError::OutOfTime)), "{late:?}");
}

#[test]
fn without_the_programs_the_answer_says_what_to_install() {
    let prepared = |ffmpeg: &str| Hashing::prepare(settings(ffmpeg), DecoderMetrics::default()).unwrap();
    let clip = b"\0\0\0\x18ftypisom\0\0\x02\0isomiso2";
    let deadline = || Instant::now() + Duration::from_secs(30);
    for (ffmpeg, absence) in [
        ("", FfmpegAbsence::Off),
        ("no-such-program", FfmpegAbsence::NotFound),
        (DECODER, FfmpegAbsence::Foreign),
    ] {
        let hashing = prepared(ffmpeg);
        assert_eq!(hashing.video(), Err(absence), "{ffmpeg}");
        let outcome = hashing.hasher().hash_video(clip, &VideoLimits::default(), Sampling::QUERY, deadline());
        let (kind, message) = failure(outcome);
        assert_eq!(kind, DecodeFailureKind::DecoderMissing);
        assert!(message.contains("apt install ffmpeg"), "{message}");
    }
    let mut off = settings("ffmpeg");
    off.requirement = vigie_sandbox::Requirement::Off;
    let hashing = Hashing::prepare(off, DecoderMetrics::default()).unwrap();
    assert_eq!(hashing.video(), Err(FfmpegAbsence::NoProcesses));
    let outcome = hashing.hasher().hash_video(clip, &VideoLimits::default(), Sampling::QUERY, deadline());
    assert_eq!(failure(outcome).0, DecodeFailureKind::DecoderMissing);
    assert_eq!(Limits::default().frames_max, 64, "pictures have bounds of their own");
}

/// vPDQ's reference converts every video with the same matrix, whatever colour space the file declares.
#[test]
fn what_a_file_says_of_its_colours_changes_no_hash() {
    let Some(studio) = Studio::open() else { return };
    studio.picture(8, 640, 360);
    let plain = "-loop 1 -framerate 10 -i p008.png -t 2 -c:v libx264 -preset veryfast -pix_fmt yuv420p -threads 1 plain.mp4";
    let Some(plain) = studio.try_make(&plain.split_ascii_whitespace().collect::<Vec<_>>()) else {
        eprintln!("SKIPPED: this ffmpeg is built without libx264");
        return;
    };
    let plain = studio.hash(&plain, Sampling::QUERY).unwrap();
    for tags in ["matrix_coefficients=1:colour_primaries=1", "matrix_coefficients=9:colour_primaries=9"] {
        let tagged = studio.make(&format!("-i plain.mp4 -c copy -bsf:v h264_metadata={tags} tagged.mp4"));
        assert_eq!(studio.hash(&tagged, Sampling::QUERY).unwrap().frames, plain.frames, "{tags}");
    }
}
