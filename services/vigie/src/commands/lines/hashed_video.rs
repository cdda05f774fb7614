//! The JSON line of a video that was hashed.

use serde::Serialize;
use vigie_model::{Hash, HashType, VideoFingerprint, VideoFrame};

/// A video whose frames were hashed, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(crate) struct VideoLine<'a> {
    /// Path of the file, as it was typed.
    pub(crate) file: &'a str,
    /// Width of the first frame as it is stored, in pixels.
    pub(crate) width: u32,
    /// Height of the first frame as it is stored, in pixels.
    pub(crate) height: u32,
    /// Duration in seconds according to the container; `null` if it gives none.
    pub(crate) duration_s: Option<f64>,
    /// The reason why only a part of the video was sampled; `null` if all of it was.
    pub(crate) partial: Option<&'static str>,
    /// Frames that were hashed, in the order of their numbers.
    pub(crate) frames: Vec<VideoFrameObject>,
    /// MD5 digest of the file's bytes, as 32 hexadecimal digits.
    pub(crate) md5: String,
    /// SHA-1 digest of the file's bytes, as 40 hexadecimal digits.
    pub(crate) sha1: String,
    /// SHA-256 digest of the file's bytes, as 64 hexadecimal digits.
    pub(crate) sha256: String,
}

/// A frame of a video.
#[derive(Debug, Serialize)]
pub(crate) struct VideoFrameObject {
    /// Number of the frame among those that were decoded, from 0.
    pub(crate) frame: u32,
    /// Time of the frame in seconds from the beginning, with three decimals.
    pub(crate) time_s: f64,
    /// PDQ hash, as 64 hexadecimal digits.
    pub(crate) pdq: String,
    /// PDQ's quality, from 0 to 100.
    pub(crate) quality: u8,
}

impl<'a> VideoLine<'a> {
    /// Returns the line of a file with these digests.
    pub(crate) fn new(file: &'a str, video: &VideoFingerprint, digests: &[Hash]) -> Self {
        let digest = |hash_type| {
            let digest = digests.iter().find(|one| one.hash_type() == hash_type);
            digest.map(Hash::to_text).unwrap_or_default()
        };
        Self {
            file,
            width: video.width,
            height: video.height,
            duration_s: video.duration.map(|duration| duration.as_secs_f64()),
            partial: video.partial.map(|reason| reason.name()),
            frames: video.frames.iter().map(Into::into).collect(),
            md5: digest(HashType::MD5),
            sha1: digest(HashType::SHA1),
            sha256: digest(HashType::SHA256),
        }
    }
}

impl From<&VideoFrame> for VideoFrameObject {
    fn from(frame: &VideoFrame) -> Self {
        Self {
            frame: frame.number,
            time_s: f64::from(frame.time_ms) / 1_000.0,
            pdq: Hash::pdq(frame.plain.pdq[0]).to_text(),
            quality: frame.plain.quality.get(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use vigie_model::{PictureHashes, Quality, VideoPartial};

    use super::*;

    #[test]
    fn a_video_has_these_fields_and_no_others() {
        let plain = PictureHashes { pdq: [[0xab; 32]; 8], quality: Quality::new(99).unwrap() };
        let frame = VideoFrame { number: 29, time_ms: 968, plain, unbordered: Some(plain) };
        let mut video = VideoFingerprint {
            width: 320,
            height: 240,
            duration: Some(Duration::from_millis(12_012)),
            frames: vec![frame],
            partial: Some(VideoPartial::CutOff),
        };
        let digests = vigie_media::digest::digests(b"abc");
        let line = |video: &VideoFingerprint| {
            serde_json::to_string(&VideoLine::new("a.mp4", video, &digests)).unwrap()
        };
        let pdq = "ab".repeat(32);
        let (md5, sha1) = ("900150983cd24fb0d6963f7d28e17f72", "a9993e364706816aba3e25717850c26c9cd0d89d");
        let sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = format!(
            r#"{{"file":"a.mp4","width":320,"height":240,"duration_s":12.012,"partial":"cut_off","frames":[{{"frame":29,"time_s":0.968,"pdq":"{pdq}","quality":99}}],"md5":"{md5}","sha1":"{sha1}","sha256":"{sha256}"}}"#
        );
        assert_eq!(line(&video), expected);
        (video.partial, video.duration) = (None, None);
        assert!(line(&video).contains(r#""duration_s":null,"partial":null,"#));
    }
}
