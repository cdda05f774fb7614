//! The picture or video of a request: sent as the one file of a form, or named by a URL.

use axum::body::Body;
use bytes::Bytes;
use http::Request;
use http::request::Parts;
use md5::{Digest as _, Md5};
use serde::Deserialize;
use tokio::sync::OwnedSemaphorePermit;
use vigie_clients::{CallError, Code};
use vigie_model::{Hash, HashType, Quality};

use crate::hma::json::read;
use crate::hma::refusal::Refusal;
use crate::hma::signals::{ContentType, name_of, text_of, type_named};
use crate::media::bodies::ReadBody;
use crate::media::form::{Form, FormFile, is_form};
use crate::problem::Problem;
use crate::shared::Shared;
use crate::upstream::Caller;

/// The parameters that name content by its URL.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct ByUrl {
    /// The URL of the content.
    pub(crate) url: Option<String>,
    /// The kind of content, for hosts that do not state it.
    pub(crate) content_type: Option<String>,
    /// The requested types, separated by commas.
    pub(crate) types: Option<String>,
}

/// A file and its kind.
#[derive(Debug)]
pub(crate) struct Media {
    /// The kind of content.
    pub(crate) content_type: ContentType,
    /// The file's bytes.
    pub(crate) bytes: Bytes,
    _held: Held,
}

/// Reserves the bytes of a file until they are no longer needed.
#[derive(Debug)]
enum Held {
    Body { _body: ReadBody },
    Fetch { _place: OwnedSemaphorePermit },
}

/// A hash that was computed from a file.
#[derive(Debug, Clone)]
pub(crate) struct Computed {
    /// Its type.
    pub(crate) hash_type: HashType,
    /// The hash; `None` if the picture has too little detail for one.
    pub(crate) hash: Option<Hash>,
}

impl Computed {
    /// Returns the hash as text; empty if there is none.
    pub(crate) fn text(&self) -> String {
        self.hash.as_ref().map(text_of).unwrap_or_default()
    }
}

impl ByUrl {
    /// Fetches the content.
    pub(crate) async fn fetch(&self, shared: &Shared, url: &str) -> Result<Media, Refusal> {
        let named = self.content_type.as_deref().filter(|name| !name.is_empty());
        let named = named.map(ContentType::named).transpose()?;
        let fetched = shared.fetcher.fetch(url).await?;
        let found = || fetched.content_type.as_deref().and_then(ContentType::of_media_type);
        let content_type = named.or_else(found).ok_or_else(|| {
            Refusal::bad("the host of the url sent neither an image nor a video type; set content_type")
        })?;
        Ok(Media { content_type, bytes: fetched.bytes, _held: Held::Fetch { _place: fetched.place } })
    }
}

/// Reads the form of a request. Its one file is the content; the name of the part states the kind.
pub(crate) async fn of_form(
    shared: &Shared,
    request: Request<Body>,
) -> Result<(Parts, Form, Media), Refusal> {
    let (head, body) = read(shared, request).await?;
    let (form, media) = form_of(&head, body).await?;
    Ok((head, form, media))
}

/// Reads a form from a body that has been read.
pub(crate) async fn form_of(head: &Parts, body: ReadBody) -> Result<(Form, Media), Refusal> {
    const ONE: &str = "send exactly one file, in a part named photo or video";
    if !is_form(&head.headers) {
        return Err(Refusal::bad(ONE));
    }
    let mut form = Form::parse(&head.headers, body.bytes().clone()).await?;
    if form.files.len() != 1 {
        return Err(Refusal::bad(ONE));
    }
    let Some(FormFile { part: name, bytes, .. }) = form.files.pop() else { return Err(Refusal::bad(ONE)) };
    let media = Media { content_type: ContentType::named(&name)?, bytes, _held: Held::Body { _body: body } };
    Ok((form, media))
}

/// The sampling of a video's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sampled {
    /// Takes one frame a second, for lookups.
    Sparsely,
    /// Takes every frame that differs from the one before, for banking.
    Densely,
}

/// Computes the requested hashes of content; all types if `types` is not given. If a video's frames cannot be
/// decoded, its frame hashes are left out.
pub(crate) async fn hashes(
    caller: &Caller,
    media: &Media,
    types: Option<&str>,
    sampled: Sampled,
) -> Result<Vec<Computed>, Refusal> {
    let wanted = wanted(media.content_type, types)?;
    // Fetching and reading have limits of their own, so the deadline starts here.
    caller.begin_anew();
    let mut computed = Vec::with_capacity(wanted.len());
    for hash_type in wanted {
        let hash = match hash_type {
            HashType::PDQ => pdq(caller, media.bytes.clone()).await?,
            HashType::VPDQ => match vpdq(caller, media.bytes.clone(), sampled).await {
                Ok(hash) => Some(hash),
                Err(error) if types.is_none() && is_without_frames(&error) => continue,
                Err(error) => return Err(undecodable("video", error)),
            },
            _ => {
                let bytes = media.bytes.clone();
                let digest = tokio::task::spawn_blocking(move || <[u8; 16]>::from(Md5::digest(&bytes))).await;
                Some(Hash::md5(digest.map_err(|_| Problem::busy("the server stops"))?))
            }
        };
        computed.push(Computed { hash_type, hash });
    }
    Ok(computed)
}

/// Returns the types to compute for content of this kind: the named ones, or all of the kind.
fn wanted(content_type: ContentType, types: Option<&str>) -> Result<Vec<HashType>, Refusal> {
    let (of_kind, kind) = (content_type.hash_types(), content_type.name());
    let Some(types) = types else { return Ok(of_kind.to_vec()) };
    let mut wanted = Vec::new();
    for name in types.split(',') {
        let hash_type = type_named(name.trim())?;
        if !of_kind.contains(&hash_type) {
            let of: Vec<String> = of_kind.iter().copied().map(name_of).collect();
            return Err(Refusal::bad(format!("a {kind} has no such signal type; it has {}", of.join(", "))));
        }
        if !wanted.contains(&hash_type) {
            wanted.push(hash_type);
        }
    }
    Ok(wanted)
}

/// Computes the frame hashes of a video, without variants of the frames.
async fn vpdq(caller: &Caller, video: Bytes, sampled: Sampled) -> Result<Hash, CallError> {
    let frontends = caller.frontends();
    let hashed = frontends.hash_video(video, sampled == Sampled::Densely, caller.deadline()).await?;
    let mut frames = hashed.hashes.into_iter().filter(|hash| hash.hash_type() == HashType::VPDQ);
    frames
        .next()
        .ok_or_else(|| frontends.refused(Code::InvalidArgument, "it has more frames than a hash may have"))
}

/// Returns whether the video cannot be decoded, or the frontend decodes no videos.
fn is_without_frames(error: &CallError) -> bool {
    matches!(error.code(), Code::InvalidArgument | Code::Unimplemented)
}

async fn pdq(caller: &Caller, image: Bytes) -> Result<Option<Hash>, Refusal> {
    let hashed = caller.frontends().hash(image, caller.deadline()).await;
    let picture = hashed.map_err(|error| undecodable("picture", error))?.picture;
    let is_trusted = picture.quality() >= Quality::FLOOR_DEFAULT;
    Ok(is_trusted.then(|| Hash::pdq(picture.first.plain.pdq[0])))
}

/// Converts an error of decoding: a picture or video that cannot be decoded is the caller's fault.
fn undecodable(what: &str, error: CallError) -> Refusal {
    if error.code() == Code::InvalidArgument {
        return Refusal::bad(format!("the {what} cannot be hashed: {}", error.message()));
    }
    error.into()
}

/// Reads a boolean in the words that HMA's schemas accept; `None` for other words.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "on" | "t" | "y" | "yes" => Some(true),
        "false" | "0" | "off" | "f" | "n" | "no" => Some(false),
        _ => None,
    }
}
