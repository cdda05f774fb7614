//! `/v1/hash`, `/v1/hash/video`: computes the fingerprints of an image or a video, without a search.

use std::collections::BTreeMap;

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use vigie_clients::HashedVideo;
use vigie_model::{Frame, FrameFingerprint, Hash, HashType, ImageFingerprint, PictureHashes, Way};

use crate::problem::Problem;
use crate::v1::files::{FileBody, FileForm, Image, SentFile, Video};
use crate::v1::matching::{VideoObject, seconds};
use crate::v1::request::Call;

/// The fingerprints of an image. The fields up to `variants` are of the first frame.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HashedObject {
    /// Pixels.
    width: u32,
    /// Pixels.
    height: u32,
    /// 64 hexadecimal digits.
    pdq: String,
    /// PDQ's quality, 0 to 100. Below 50 the hash is not to be trusted.
    quality: u8,
    /// Original, rotate 90, 180, 270, flip x, flip y, flip +1, flip -1.
    variants: [String; 8],
    /// Further query hashes of the first frame.
    ways: Vec<WayObject>,
    /// Every frame that was hashed, where there are several.
    frames: Vec<FrameObject>,
    /// The least number of frames that were not hashed.
    frames_left_out: u32,
    /// Digests of the file's bytes in hexadecimal digits, by the name of their type: `md5`, `sha256` ...
    #[serde(flatten)]
    digests: BTreeMap<String, String>,
}

/// A further query hash of a frame.
#[derive(Debug, Serialize, ToSchema)]
struct WayObject {
    /// `scaled`, `unbordered`, `palette_indices` or `as_stored`.
    way: &'static str,
    /// 64 hexadecimal digits.
    pdq: String,
    /// 0 to 100.
    quality: u8,
}

/// A frame of a file that has several.
#[derive(Debug, Serialize, ToSchema)]
struct FrameObject {
    /// Its number, from 0.
    frame: u32,
    /// When it is shown, in seconds from the beginning; `null` for a page.
    time_s: Option<f64>,
    /// 64 hexadecimal digits.
    pdq: String,
    /// 0 to 100.
    quality: u8,
    /// Further query hashes of the frame.
    ways: Vec<WayObject>,
}

impl From<&ImageFingerprint> for HashedObject {
    fn from(fingerprint: &ImageFingerprint) -> Self {
        let picture = &fingerprint.picture;
        let variants = picture.first.plain.pdq.map(|bytes| Hash::pdq(bytes).to_text());
        let frames =
            if picture.later.is_empty() { Vec::new() } else { picture.frames().map(Into::into).collect() };
        let digests = fingerprint.digests.iter();
        Self {
            width: picture.width,
            height: picture.height,
            pdq: variants[0].clone(),
            quality: picture.quality().get(),
            variants,
            ways: picture.first.further.iter().map(Into::into).collect(),
            frames,
            frames_left_out: picture.frames_left_out,
            digests: digests.map(|one| (one.hash_type().to_string(), one.to_text())).collect(),
        }
    }
}

impl From<&(Way, PictureHashes)> for WayObject {
    fn from((way, hashes): &(Way, PictureHashes)) -> Self {
        Self { way: way.name(), pdq: Hash::pdq(hashes.pdq[0]).to_text(), quality: hashes.quality.get() }
    }
}

impl From<&FrameFingerprint> for FrameObject {
    fn from(frame: &FrameFingerprint) -> Self {
        Self {
            frame: frame.number,
            time_s: frame.time.map(|time| time.as_secs_f64()),
            pdq: Hash::pdq(frame.plain.pdq[0]).to_text(),
            quality: frame.plain.quality.get(),
            ways: frame.further.iter().map(Into::into).collect(),
        }
    }
}

/// Computes the fingerprints of an image
///
/// The body is the image, or a form with it as its one file. Nothing is looked up and nothing is kept.
#[utoipa::path(
    post, path = "/hash", tag = "lookups",
    request_body(content(
        (FileBody = "application/octet-stream"), (FileBody = "image/*"), (FileForm = "multipart/form-data")
    )),
    responses((status = 200, description = "The fingerprints", body = HashedObject))
)]
pub(super) async fn hash_image(call: Call, image: Image) -> Result<Json<HashedObject>, Problem> {
    let Image(SentFile { bytes, .. }) = &image;
    let hashed = call.caller.frontends().hash(bytes.clone(), call.deadline()).await?;
    Ok(Json((&hashed).into()))
}

/// The options of hashing a video.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VideoHashing {
    /// Hash every frame that differs by more than 8 bits from the one before it, as known videos are banked;
    /// otherwise one frame a second, as videos are asked about.
    #[serde(default)]
    dense: bool,
}

/// The fingerprints of a video.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HashedVideoObject {
    /// The part of the video that was decoded and hashed.
    #[serde(flatten)]
    video: VideoObject,
    /// The frames as they are.
    frames: Vec<VideoFrameObject>,
    /// The frames without the black bars that all of them have; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unbordered: Vec<VideoFrameObject>,
    /// The frames as the text of a hash of the type `vpdq`: a line each,
    /// `number,quality,64 hexadecimal digits,seconds`.
    vpdq: String,
    /// Digests of the file's bytes in hexadecimal digits, by the name of their type: `md5`, `sha256` ...
    #[serde(flatten)]
    digests: BTreeMap<String, String>,
}

/// A frame of a video.
#[derive(Debug, Serialize, ToSchema)]
struct VideoFrameObject {
    /// When it is shown, in seconds from the beginning.
    time_s: f64,
    /// 64 hexadecimal digits.
    pdq: String,
    /// 0 to 100.
    quality: u8,
}

impl From<&HashedVideo> for HashedVideoObject {
    fn from(hashed: &HashedVideo) -> Self {
        let mut of_frames = hashed.hashes.iter().filter_map(Hash::frames);
        let objects = |frames: Option<vigie_model::Frames<'_>>| -> Vec<VideoFrameObject> {
            frames.into_iter().flat_map(vigie_model::Frames::iter).map(Into::into).collect()
        };
        let (plain, unbordered) = (of_frames.next(), of_frames.next());
        let vpdq = hashed.hashes.iter().find(|hash| hash.hash_type() == HashType::VPDQ);
        let digests = hashed.hashes.iter().filter(|hash| hash.frames().is_none());
        Self {
            video: (&hashed.decoded).into(),
            frames: objects(plain),
            unbordered: objects(unbordered),
            vpdq: vpdq.map(Hash::to_text).unwrap_or_default(),
            digests: digests.map(|one| (one.hash_type().to_string(), one.to_text())).collect(),
        }
    }
}

impl From<Frame> for VideoFrameObject {
    fn from(frame: Frame) -> Self {
        Self { time_s: seconds(frame.time_ms), pdq: Hash::pdq(frame.pdq).to_text(), quality: frame.quality }
    }
}

/// Computes the fingerprints of a video
///
/// The body is the video, or a form with it as its one file. Nothing is looked up and nothing is kept.
#[utoipa::path(
    post, path = "/hash/video", tag = "lookups", params(VideoHashing),
    request_body(content(
        (FileBody = "application/octet-stream"), (FileBody = "video/*"), (FileForm = "multipart/form-data")
    )),
    responses((status = 200, description = "The fingerprints", body = HashedVideoObject))
)]
pub(super) async fn hash_video(
    call: Call<VideoHashing>,
    video: Video,
) -> Result<Json<HashedVideoObject>, Problem> {
    let Video(SentFile { bytes, .. }) = &video;
    let frontends = call.caller.frontends();
    let hashed = frontends.hash_video(bytes.clone(), call.options.dense, call.deadline()).await?;
    Ok(Json((&hashed).into()))
}
