//! A video as queries: one for the frames as they are, with the file's digests, and one for the frames
//! without black bars, if there are any. Each query holds a list of frames in every variant.

use vigie_model::{
    DecodedVideo, Frame, Hash, HashType, Quality, Query, QueryHash, Rendition, SkipReason, Source, Variant,
    VideoFingerprint, Way,
};

use super::Prepared;
use crate::hashing::HashedVideo;

impl Prepared {
    /// Prepares the hashes of a video file. Frames below the floor are left out; frames below a quality of 50
    /// are never searched.
    pub(crate) fn of_video(video: HashedVideo, floor: Quality) -> Self {
        let HashedVideo { digests, hashes } = video;
        match hashes {
            Ok(video) => Self::of_frames(&video, digests, floor),
            Err(failure) => Self::of_digests(HashType::VPDQ, digests, failure),
        }
    }

    fn of_frames(video: &VideoFingerprint, digests: Vec<Hash>, floor: Quality) -> Self {
        let floor = floor.get().max(Frame::QUALITY_FLOOR);
        let source = DecodedVideo::of(video, floor);
        let skipped =
            (source.frames_below_floor == source.frames_seen).then_some(SkipReason::QualityBelowFloor);
        let mut prepared = Self::of_file(digests, (HashType::VPDQ, skipped), None, Source::Video(source));
        for way in video.ways() {
            let hashes: Vec<QueryHash> = Variant::ALL
                .into_iter()
                .filter_map(|variant| {
                    let frames: Vec<Frame> =
                        video.frames_in(way, variant).map(|frame| poorer(frame, floor)).collect();
                    let hash = frames.iter().any(Frame::is_usable).then(|| Hash::of_frames(&frames).ok());
                    Some(QueryHash { hash: hash.flatten()?, variant })
                })
                .collect();
            if way == Way::Plain {
                prepared.queries[0].1.hashes.extend(hashes);
            } else if !hashes.is_empty() {
                prepared.queries.push((Rendition { frame: 0, way }, Query { hashes }));
            }
        }
        // All ways are searched, whatever other contents the call has.
        prepared.first_queries = prepared.queries.len();
        prepared
    }
}

/// Sets the quality of a frame below the caller's floor to 0, so that it is not searched. The frame stays in
/// the list, so that the one before it does not seem to last longer.
const fn poorer(frame: Frame, floor: u8) -> Frame {
    if frame.quality < floor { Frame { quality: 0, ..frame } } else { frame }
}
