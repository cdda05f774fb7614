//! Videos: the hashes of frames, decoded by `ffmpeg` as a locked-down process.

use std::time::Instant;

use vigie_clients::decoder::{DecoderError, Hasher, Hashing};
use vigie_media::video::{Sampling, VideoLimits};
use vigie_model::{DecodeFailureKind, VideoFingerprint, VideoPartial};

use super::pool::{Hashed, Media, Names};

/// The hashes of one video file.
pub(crate) type HashedVideo = Hashed<VideoFingerprint>;

/// The settings and limits for hashing videos.
#[derive(Debug, Clone)]
pub(crate) struct Videos {
    pub(crate) hashing: Hashing,
    pub(crate) limits: VideoLimits,
}

impl Media for Videos {
    type Hashes = VideoFingerprint;
    type Order = Sampling;
    type Hasher = Hasher;

    const NAMES: Names = Names {
        file: "video",
        span: "hash a video",
        hashed: ("vigie_videos_hashed", "Videos that were decoded and hashed, in part at least"),
        failures: (
            "vigie_video_decode_failures",
            "Videos that could not be decoded, or not to their end by a fault of the decoder, by what was wrong; crashed and refused_call \
             are a decoder's faults, and unavailable is a lack of decoders",
        ),
        queued: ("vigie_videos_queued", "Videos that wait for a thread to hash them"),
    };

    fn hasher(&self) -> Hasher {
        self.hashing.hasher()
    }

    fn hash(
        &self,
        hasher: &mut Hasher,
        file: &[u8],
        sampling: &Sampling,
        decode_by: Instant,
    ) -> Result<VideoFingerprint, DecoderError> {
        hasher.hash_video(file, &self.limits, *sampling, decode_by)
    }

    fn later_fault(video: &VideoFingerprint) -> Option<DecodeFailureKind> {
        (video.partial == Some(VideoPartial::DecoderFailed)).then_some(DecodeFailureKind::Crashed)
    }
}
