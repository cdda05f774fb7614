//! Videos that arrive in parts.
//!
//! The received bytes of a file count toward the bytes of its client's requests, because the server accounts
//! for all messages until the answer begins.

use bytes::{Bytes, BytesMut};
use tonic::{Status, Streaming};
use vigie_model::{DecodedVideo, Frame, Hash, MatchCall, Variant, VideoFingerprint, Way};
use vigie_proto::Invalid;
use vigie_proto::pb::matching::v1 as pb;

/// A message type of an upload.
pub(crate) trait Part: Sized {
    /// The type of the first message.
    type Start;

    /// Returns the part of a message; `None` if it is empty.
    fn into_part(self) -> Option<Either<Self::Start>>;
}

/// The part that a message holds.
pub(crate) enum Either<Start> {
    Start(Start),
    Content(Bytes),
}

impl Part for pb::MatchVideoRequest {
    type Start = pb::MatchVideoStart;

    fn into_part(self) -> Option<Either<pb::MatchVideoStart>> {
        use pb::match_video_request::Part;
        self.part.map(|part| match part {
            Part::Start(start) => Either::Start(start),
            Part::Content(content) => Either::Content(content),
        })
    }
}

impl Part for pb::HashVideoRequest {
    type Start = pb::HashVideoStart;

    fn into_part(self) -> Option<Either<pb::HashVideoStart>> {
        use pb::hash_video_request::Part;
        self.part.map(|part| match part {
            Part::Start(start) => Either::Start(start),
            Part::Content(content) => Either::Content(content),
        })
    }
}

/// Reads the first message, which holds the options of the call.
pub(crate) async fn start<P: Part>(parts: &mut Streaming<P>) -> Result<P::Start, Status> {
    match parts.message().await?.and_then(P::into_part) {
        Some(Either::Start(start)) => Ok(start),
        Some(Either::Content(_)) | None => {
            Err(Invalid::new("start", "is missing: the first message must have it, and no content").into())
        }
    }
}

/// Reads the file from the remaining messages.
pub(crate) async fn file<P: Part>(parts: &mut Streaming<P>, bytes_max: usize) -> Result<Bytes, Status> {
    let mut file = BytesMut::new();
    while let Some(message) = parts.message().await? {
        let content = match message.into_part() {
            Some(Either::Content(content)) => content,
            Some(Either::Start(_)) | None => {
                let reason = "is missing: every message after the first has bytes of the file";
                return Err(Invalid::new("content", reason).into());
            }
        };
        check_bytes((file.len() + content.len()) as u64, bytes_max)?;
        file.extend_from_slice(&content);
    }
    if file.is_empty() {
        return Err(Invalid::new("content", "is empty; send the bytes of a video file").into());
    }
    Ok(file.freeze())
}

/// Checks that a file is not too large.
pub(crate) fn check_bytes(bytes: u64, bytes_max: usize) -> Result<(), Status> {
    if bytes > bytes_max as u64 {
        let reason =
            format!("has more than {bytes_max} bytes, the most that a video may have (video_bytes_max)");
        return Err(Invalid::new("content", reason).into());
    }
    Ok(())
}

/// Converts the first message to a call without the file.
pub(crate) fn asked(start: pb::MatchVideoStart, bytes_max: usize) -> Result<MatchCall, Status> {
    let pb::MatchVideoStart { options, quality_floor, surface, content_bytes } = start;
    check_bytes(content_bytes, bytes_max)?;
    let video = pb::MatchQuery { content: Some(pb::match_query::Content::Video(Bytes::new())) };
    let request =
        pb::MatchRequest { queries: vec![video], options, quality_floor, surface, ..Default::default() };
    Ok(MatchCall::try_from(request)?)
}

/// Converts the hashes of a video to the answer.
pub(crate) fn hashed(video: &VideoFingerprint, digests: Vec<Hash>) -> pb::HashVideoResponse {
    let of_way = |way: Way| {
        let frames: Vec<Frame> = video.frames_in(way, Variant::Original).collect();
        Hash::of_frames(&frames).ok()
    };
    let hashes = video.ways().filter_map(of_way).chain(digests);
    pb::HashVideoResponse {
        video: Some(DecodedVideo::of(video, Frame::QUALITY_FLOOR).into()),
        hashes: hashes.map(Into::into).collect(),
    }
}
