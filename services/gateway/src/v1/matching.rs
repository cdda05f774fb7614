//! `/v1/match`, `/v1/match/image`, `/v1/match/video`: whether content is known, and the classifiers' scores
//! of it.
//!
//! An answer reports what was searched. An answer that covers less than requested is a failure (503), which
//! carries the partial answer.

mod asked;
mod answer;
mod classification;
pub(super) mod conversation;
mod decision;
mod video;

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use vigie_clients::{MatchAnswer, partial_match};
use vigie_model::{Content, MatchCall};

use crate::problem::Problem;
use crate::upstream::Caller;
use crate::v1::files::{FileBody, FileForm, Image, SentFile, Video};
use crate::v1::request::{Call, Sent};
pub(super) use answer::MatchAnswerObject;
pub(super) use asked::{ImageOptions, MatchAsked};
pub(super) use decision::DecisionObject;
pub(super) use video::{VideoObject, seconds};

/// The header with the sequence of an answer, which reflects every change up to this one.
const SEQUENCE: &str = "x-vigie-sequence";
/// The header with the share of shards that answered, 0 to 1.
const COVERAGE: &str = "x-vigie-coverage";

/// Looks up contents by their hashes
///
/// Returns one result for each query, in the order of the queries. A query that fails alone has an `error`
/// instead of matches.
#[utoipa::path(
    post, path = "/match", tag = "lookups", request_body = MatchAsked,
    responses((status = 200, description = "The matches, and what was searched", body = MatchAnswerObject))
)]
pub(super) async fn match_hashes(call: Call, sent: Sent<MatchAsked>) -> Result<Response, Problem> {
    let asked = sent.asked.read(call.caller.newest().sequence())?;
    let answer = ask(&call.caller, asked, call.deadline()).await?;
    Ok(answer)
}

/// Looks up an image
///
/// The body is the image, or a form with it as its one file. Options are in the query. An image that cannot
/// be decoded is looked up by its digests alone, and the result states this (`decode_failure`).
#[utoipa::path(
    post, path = "/match/image", tag = "lookups", params(ImageOptions),
    request_body(content(
        (FileBody = "application/octet-stream"), (FileBody = "image/*"), (FileForm = "multipart/form-data")
    )),
    responses((status = 200, description = "The matches, and what was searched", body = MatchAnswerObject))
)]
pub(super) async fn match_image(call: Call<ImageOptions>, image: Image) -> Result<Response, Problem> {
    let Image(SentFile { bytes, .. }) = &image;
    let asked = of_file(&call, Content::Image(bytes.clone()))?;
    ask(&call.caller, asked, call.deadline()).await
}

/// Looks up a video
///
/// The body is the video, or a form with it as its one file. Options are in the query. A video that cannot be
/// decoded is looked up by its digests alone, and the result states this (`decode_failure`). If only a part
/// of it can be decoded, the result states why (`video.partial`).
#[utoipa::path(
    post, path = "/match/video", tag = "lookups", params(ImageOptions),
    request_body(content(
        (FileBody = "application/octet-stream"), (FileBody = "video/*"), (FileForm = "multipart/form-data")
    )),
    responses((status = 200, description = "The matches, and what was searched", body = MatchAnswerObject))
)]
pub(super) async fn match_video(call: Call<ImageOptions>, video: Video) -> Result<Response, Problem> {
    let Video(SentFile { bytes, .. }) = &video;
    let asked = of_file(&call, Content::Video(bytes.clone()))?;
    ask(&call.caller, asked, call.deadline()).await
}

/// Returns the lookup of one file.
fn of_file(call: &Call<ImageOptions>, file: Content) -> Result<MatchCall, Problem> {
    let (options, quality_floor) = call.options.read(call.caller.newest().sequence())?;
    Ok(MatchCall {
        contents: vec![file],
        options,
        quality_floor,
        surface: call.options.surface()?,
        classifiers: call.options.classifiers()?,
    })
}

/// Calls a frontend. If the call has one file and its lookup fails, the whole request fails.
async fn ask(caller: &Caller, call: MatchCall, deadline: Instant) -> Result<Response, Problem> {
    let is_one_file = matches!(call.contents[..], [Content::Image(_) | Content::Video(_)]);
    let frontends = caller.frontends();
    let answered = match call.contents[..] {
        [Content::Video(_)] => frontends.match_video(call, deadline).await,
        _ => frontends.match_content(call, deadline).await,
    };
    match answered {
        Ok(answer) => {
            if let ([Err(failure)], true) = (&answer.results[..], is_one_file) {
                return Err(Problem::of_code(failure.code, failure.message.clone()));
            }
            let headers = headers(&answer);
            Ok((headers, Json(MatchAnswerObject::from(&answer))).into_response())
        }
        Err(error) => {
            let partial = partial_match(&error);
            let mut problem = Problem::from(error);
            let Some(partial) = partial else { return Err(problem) };
            // An object of texts and numbers can always be serialized.
            problem.partial = serde_json::to_value(MatchAnswerObject::from(&partial)).ok().map(Box::new);
            Ok((headers(&partial), problem).into_response())
        }
    }
}

fn headers(answer: &MatchAnswer) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(SEQUENCE, answer.sequence.0.into());
    if let Ok(share) = HeaderValue::from_str(&answer.coverage.fraction().to_string()) {
        headers.insert(COVERAGE, share);
    }
    headers
}
