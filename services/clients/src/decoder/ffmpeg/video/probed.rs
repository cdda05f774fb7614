//! The answer of `ffprobe` about a file: its streams, and the size, rate and length of the decoded stream.
//!
//! The answer is untrusted, because the program has read a hostile file: each number is checked, and a size
//! is used only when frames of that size have been counted.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use vigie_media::video::{Container, Rate, VideoLimits};
use vigie_model::DecodeFailure;

use super::{Running, arguments, fault};
use crate::decoder::ffmpeg::failure::RunFault;
use crate::decoder::ffmpeg::run::Run;

/// The longest answer, in bytes. A stream takes some hundred.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// The stream that is decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Probed {
    /// The index of the stream in the file.
    pub(super) stream: u32,
    pub(super) width: u32,
    pub(super) height: u32,
    /// The average frame rate; if there is none, the rate of which all times are multiples.
    pub(super) rate: Option<Rate>,
    /// The length of the stream, or else that of the whole file.
    pub(super) duration: Option<Duration>,
}

/// The streams of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Streams {
    /// The first stream with moving pictures that is not a cover.
    first: Option<Probed>,
}

impl Streams {
    pub(super) fn video(self, container: Container) -> Result<Probed, DecodeFailure> {
        self.first.ok_or_else(|| fault::no_video(container))
    }
}

/// Runs the program at this path, and reads its answer.
pub(super) fn probe(running: &Running<'_>, prober: &Path) -> Result<Streams, RunFault> {
    let Running { settings, container, input, memory_bytes_max, bounds, .. } = *running;
    let file = input.stdio().map_err(|_| RunFault::NotStarted)?;
    let arguments = arguments::probe(container);
    let run = Run::start(settings, prober.to_owned(), memory_bytes_max, arguments, file, bounds);
    let mut run = run.ok_or_else(|| running.not_started())?;
    match run.text(ANSWER_BYTES_MAX) {
        // A program with so long an answer is not waited for.
        Ok(answer) if answer.len() == ANSWER_BYTES_MAX => Err(RunFault::Refused),
        Ok(answer) => {
            run.finish()?;
            streams(&String::from_utf8_lossy(&answer)).ok_or(RunFault::Refused)
        }
        Err(stopped) => Err(run.end(stopped)),
    }
}

/// Reads lines such as `streams.stream.0.width=320` and `format.duration="6.000000"`. `None` if there is
/// no stream.
fn streams(answer: &str) -> Option<Streams> {
    let mut streams: BTreeMap<u32, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut duration = None;
    for line in answer.lines() {
        let Some((key, value)) = line.split_once('=') else { continue };
        let value = value.trim_matches('"');
        if let Some(key) = key.strip_prefix("streams.stream.")
            && let Some((number, key)) = key.split_once('.')
            && let Ok(number) = number.parse()
        {
            streams.entry(number).or_default().insert(key, value);
        } else if key == "format.duration" {
            duration = seconds(value);
        }
    }
    if streams.is_empty() {
        return None;
    }
    let is_moving = |stream: &&BTreeMap<&str, &str>| {
        stream.get("codec_type") == Some(&"video") && stream.get("disposition.attached_pic") != Some(&"1")
    };
    let first = streams.values().find(is_moving).map(|stream| {
        let number = |key| stream.get(key).and_then(|value: &&str| value.parse().ok()).unwrap_or(0);
        let rate = |key| stream.get(key).and_then(|value: &&str| rate(value));
        Probed {
            stream: number("index"),
            width: number("width"),
            height: number("height"),
            rate: rate("avg_frame_rate").or_else(|| rate("r_frame_rate")),
            duration: stream.get("duration").and_then(|value| seconds(value)).or(duration),
        }
    });
    Some(Streams { first })
}

/// Reads a rate such as `30000/1001`. `0/0` is no rate.
fn rate(text: &str) -> Option<Rate> {
    let (frames, seconds) = text.split_once('/')?;
    Rate::new(frames.parse().ok()?, seconds.parse().ok()?)
}

/// Reads a length in seconds, cut to the longest length of a hash.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok().filter(|seconds| *seconds > 0.0)?;
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).min(VideoLimits::LENGTH_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "streams.stream.0.index=0\nstreams.stream.0.codec_type=\"audio\"\nstreams.stream.0.r_frame_rate=\"0/0\"\n\
        streams.stream.1.index=1\nstreams.stream.1.codec_type=\"video\"\nstreams.stream.1.width=600\nstreams.stream.1.height=600\n\
        streams.stream.1.avg_frame_rate=\"0/0\"\nstreams.stream.1.disposition.attached_pic=1\n\
        streams.stream.2.index=2\nstreams.stream.2.codec_type=\"video\"\nstreams.stream.2.width=640\nstreams.stream.2.height=360\n\
        streams.stream.2.r_frame_rate=\"30/1\"\nstreams.stream.2.avg_frame_rate=\"30000/1001\"\nstreams.stream.2.duration=\"N/A\"\n\
        streams.stream.2.disposition.attached_pic=0\nformat.duration=\"6.500000\"\n";

    #[test]
    fn the_first_video_that_is_no_cover_is_decoded() {
        let probed = streams(ANSWER).unwrap().video(Container::Mov).unwrap();
        let rate = Rate::new(30_000, 1_001);
        let duration = Some(Duration::from_millis(6_500));
        assert_eq!(probed, Probed { stream: 2, width: 640, height: 360, rate, duration });
    }

    #[test]
    fn without_an_average_the_other_rate_counts_and_the_streams_own_length_comes_first() {
        let answer = ANSWER.replace("30000/1001", "0/0").replace("N/A", "5.25");
        let probed = streams(&answer).unwrap().video(Container::Mov).unwrap();
        assert_eq!((probed.rate, probed.duration), (Rate::new(30, 1), Some(Duration::from_millis(5_250))));
        let answer = answer.replace("30/1", "-30/1").replace("5.25", "-1").replace("6.500000", "1e300");
        let probed = streams(&answer).unwrap().video(Container::Mov).unwrap();
        assert_eq!((probed.rate, probed.duration), (None, Some(VideoLimits::LENGTH_MAX)));
    }

    #[test]
    fn sound_and_covers_are_no_video_and_an_empty_answer_is_none() {
        let answer = ANSWER.replace("attached_pic=0", "attached_pic=1");
        let failure = streams(&answer).unwrap().video(Container::Mov).unwrap_err();
        assert_eq!(failure.kind, vigie_model::DecodeFailureKind::NoVideo);
        for answer in
            ["", "format.duration=\"1\"\n", "streams.stream.=1\nx", "streams.stream.99999999999.index=1"]
        {
            assert_eq!(streams(answer), None, "{answer}");
        }
        let odd = "streams.stream.0.codec_type=\"video\"\nstreams.stream.0.width=-5\nstreams.stream.0.height=99999999999\n";
        let probed = streams(odd).unwrap().video(Container::Avi).unwrap();
        assert_eq!((probed.width, probed.height, probed.rate, probed.duration), (0, 0, None, None));
    }
}
