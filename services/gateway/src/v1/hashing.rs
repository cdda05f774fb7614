//! `/v1/hash`: the fingerprints of an image, which is looked up nowhere.

use std::collections::BTreeMap;

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;
use vigie_model::{FrameFingerprint, Hash, ImageFingerprint, PictureHashes, Way};

use crate::problem::Problem;
use crate::v1::image::{Image, ImageFile, ImageForm};
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
    /// At least so many frames were not hashed.
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

/// One frame of a file of several.
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
        (ImageFile = "application/octet-stream"), (ImageFile = "image/*"), (ImageForm = "multipart/form-data")
    )),
    responses((status = 200, description = "The fingerprints", body = HashedObject))
)]
pub(super) async fn hash_image(call: Call, image: Image) -> Result<Json<HashedObject>, Problem> {
    let hashed = call.caller.frontends().hash(image.bytes, call.deadline()).await?;
    Ok(Json((&hashed).into()))
}
