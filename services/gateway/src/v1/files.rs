//! An image or a video that is sent as the body, or as the single file of a form.

use axum::body::Body;
use axum::extract::FromRequest;
use bytes::Bytes;
use http::{Request, StatusCode};
use utoipa::ToSchema;

use crate::media::bodies::ReadBody;
use crate::media::form::{Form, is_form};
use crate::problem::Problem;
use crate::v1::request::{Handlers, media_type, read};

/// An image file.
#[derive(Debug)]
pub(crate) struct Image(pub(crate) SentFile);

/// A video file.
#[derive(Debug)]
pub(crate) struct Video(pub(crate) SentFile);

/// A file of at least one byte.
#[derive(Debug)]
pub(crate) struct SentFile {
    /// The bytes of the file.
    pub(crate) bytes: Bytes,
    /// Counts the bytes against the gateway's limit until the request is done.
    _held: ReadBody,
}

/// A file, for the description of requests.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct FileBody(#[allow(dead_code, reason = "the body is read as bytes")] String);

/// A form with a file, for the description of requests.
#[derive(ToSchema)]
pub(crate) struct FileForm {
    /// The file. The part may have any name.
    #[allow(dead_code, reason = "the field describes a part of the form, which is read as bytes")]
    file: FileBody,
}

impl FromRequest<Handlers> for Image {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, handlers: &Handlers) -> Result<Self, Problem> {
        SentFile::read(request, handlers, "image").await.map(Self)
    }
}

impl FromRequest<Handlers> for Video {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, handlers: &Handlers) -> Result<Self, Problem> {
        SentFile::read(request, handlers, "video").await.map(Self)
    }
}

impl SentFile {
    /// Reads a file whose media type begins with `kind`.
    async fn read(request: Request<Body>, handlers: &Handlers, kind: &str) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let is_form = is_form(&head.headers);
        let sent = media_type(&head.headers).unwrap_or_else(|| format!("{kind}/*"));
        let is_of_kind = sent.strip_prefix(kind).is_some_and(|rest| rest.starts_with('/'));
        if !is_form && sent != "application/octet-stream" && !is_of_kind {
            let message = format!(
                "send the {kind} as Content-Type: application/octet-stream or {kind}/*, or as the one file of a form"
            );
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let held = read(handlers, &head, body, usize::MAX).await?;
        let bytes = if is_form {
            of_form(Form::parse(&head.headers, held.bytes().clone()).await?)?
        } else {
            held.bytes().clone()
        };
        if bytes.is_empty() {
            return Err(Problem::bad(format!("the request holds no {kind}")));
        }
        Ok(Self { bytes, _held: held })
    }
}

fn of_form(form: Form) -> Result<Bytes, Problem> {
    let Form { mut files, fields } = form;
    match (files.pop(), files.is_empty() && fields.is_empty()) {
        (Some(file), true) => Ok(file.bytes),
        _ => Err(Problem::bad("the form has to have one file and nothing else; options are in the query")),
    }
}
