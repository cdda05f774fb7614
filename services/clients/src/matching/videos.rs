//! Videos, which are sent to a frontend in parts.

use bytes::Bytes;
use futures::stream;
use tokio::time::Instant;
use tonic::Code;
use vigie_model::{Content, DecodedVideo, Hash, MatchCall};
use vigie_net::CallError;
use vigie_proto::pb::matching::v1 as pb;
use vigie_proto::{Invalid, hashes_of_video};

use super::{Endpoint, MatchAnswer, MatchClient, explained};

const MATCH_VIDEO: &str = "vigie.matching.v1.MatchService/MatchVideo";
const HASH_VIDEO: &str = "vigie.matching.v1.MatchService/HashVideo";

const DESCRIBE_DECODING: &str = "vigie.matching.v1.MatchService/DescribeDecoding";

/// Number of bytes of one part of a file.
const PART_BYTES: usize = 1 << 20;

/// The hashes of a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedVideo {
    /// The properties of the decoded video.
    pub decoded: DecodedVideo,
    /// The frames as they are; then without black bars, if the video has any; then digests of the file.
    pub hashes: Vec<Hash>,
}

/// The capability of a frontend to decode with the program ffmpeg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoding {
    /// The reason why videos are not decoded; `None` if they are.
    pub no_videos: Option<String>,
    /// The version of ffmpeg; `None` if there is none.
    pub ffmpeg: Option<String>,
    /// The protection of the processes that decode: `full`, `seccomp_only` or `none`.
    pub protection: String,
}

/// Returns the parts of a file, which share its memory.
fn parts(file: &Bytes) -> impl Iterator<Item = Bytes> + Send + use<> {
    let file = file.clone();
    (0..file.len()).step_by(PART_BYTES).map(move |at| file.slice(at..file.len().min(at + PART_BYTES)))
}

impl MatchClient {
    /// Matches one video, of any size that the frontend accepts. `call` is the same as for
    /// [`Self::match_content`], and has one content, the video.
    pub async fn match_video(&self, call: MatchCall, deadline: Instant) -> Result<MatchAnswer, CallError> {
        use pb::match_video_request::Part;
        let MatchCall { contents, options, quality_floor, surface, classifiers } = call;
        if !classifiers.is_empty() {
            return Err(self.refused(Code::InvalidArgument, "classifiers read no videos"));
        }
        let [Content::Video(file)] = &contents[..] else {
            return Err(self.refused(Code::InvalidArgument, "a call holds one video"));
        };
        let start = pb::MatchVideoStart {
            options: Some(options.into()),
            quality_floor: quality_floor.map(|floor| floor.get().into()),
            surface: surface.into(),
            content_bytes: file.len() as u64,
        };
        let start = &start;
        let ask = |Endpoint { target, mut stub }: Endpoint| async move {
            let target = target.bearing(self.bearer.clone());
            let call = target.call(MATCH_VIDEO, deadline, start.clone(), |request| {
                let content = parts(file).map(Part::Content);
                stub.match_video(request.map(|start| {
                    stream::iter(
                        std::iter::once(Part::Start(start))
                            .chain(content)
                            .map(|part| pb::MatchVideoRequest { part: Some(part) }),
                    )
                }))
            });
            let answer = explained(&target, call.await).await?;
            let answer = answer.response.ok_or_else(|| Invalid::missing("response"));
            answer.and_then(MatchAnswer::try_from).map_err(|invalid| target.unreadable(&invalid))
        };
        self.pool.call(ask).await
    }

    /// Computes the fingerprints of a video, without a search: of one frame a second, or, if `dense`, of
    /// every frame that differs.
    pub async fn hash_video(
        &self,
        file: Bytes,
        dense: bool,
        deadline: Instant,
    ) -> Result<HashedVideo, CallError> {
        use pb::hash_video_request::Part;
        let start = &pb::HashVideoStart { dense, content_bytes: file.len() as u64 };
        let file = &file;
        let ask = |Endpoint { target, mut stub }: Endpoint| async move {
            let target = target.bearing(self.bearer.clone());
            let call = target.call(HASH_VIDEO, deadline, *start, |request| {
                let content = parts(file).map(Part::Content);
                stub.hash_video(request.map(|start| {
                    stream::iter(
                        std::iter::once(Part::Start(start))
                            .chain(content)
                            .map(|part| pb::HashVideoRequest { part: Some(part) }),
                    )
                }))
            });
            let answer = explained(&target, call.await).await?;
            let decoded = answer.video.ok_or_else(|| target.unreadable(&Invalid::missing("video")))?.into();
            let hashes = hashes_of_video(answer.hashes).map_err(|invalid| target.unreadable(&invalid))?;
            Ok(HashedVideo { decoded, hashes })
        };
        self.pool.call(ask).await
    }

    /// Reads what one of the frontends can decode.
    pub async fn decoding(&self, deadline: Instant) -> Result<Decoding, CallError> {
        let ask = |Endpoint { target, mut stub }: Endpoint| async move {
            let target = target.bearing(self.bearer.clone());
            let request = pb::DescribeDecodingRequest {};
            let call =
                target.call(DESCRIBE_DECODING, deadline, request, |request| stub.describe_decoding(request));
            let answer = explained(&target, call.await).await?;
            let said = |text: String| (!text.is_empty()).then_some(text);
            Ok(Decoding {
                no_videos: (!answer.decodes_videos).then_some(answer.reason),
                ffmpeg: said(answer.ffmpeg_version),
                protection: answer.protection,
            })
        };
        self.pool.call(ask).await
    }
}
