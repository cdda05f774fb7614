//! An image that is sent: as the body, or as the one file of a form.

use axum::body::Body;
use axum::extract::FromRequest;
use bytes::Bytes;
use http::{Request, StatusCode};
use utoipa::ToSchema;

use crate::media::bodies::ReadBody;
use crate::media::form::{Form, is_form};
use crate::problem::Problem;
use crate::v1::request::{Handlers, media_type, read};

/// An image.
#[derive(Debug)]
pub(crate) struct Image {
    /// Its bytes.
    pub(crate) bytes: Bytes,
    /// Counts the bytes until the request is done.
    _held: ReadBody,
}

/// An image file, for the description of requests.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
pub(crate) struct ImageFile(#[allow(dead_code, reason = "the body is read as bytes")] String);

/// A form with an image, for the description of requests.
#[derive(ToSchema)]
pub(crate) struct ImageForm {
    /// The image. The part may have any name.
    #[allow(dead_code, reason = "the field describes a part of the form, which is read as bytes")]
    file: ImageFile,
}

impl FromRequest<Handlers> for Image {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, handlers: &Handlers) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let is_form = is_form(&head.headers);
        let kind = media_type(&head.headers).unwrap_or_else(|| "image/*".to_owned());
        if !is_form && kind != "application/octet-stream" && !kind.starts_with("image/") {
            let message = "send the image as Content-Type: application/octet-stream or image/*, or as the one file of a form";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        let held = read(handlers, &head, body, usize::MAX).await?;
        let bytes = if is_form {
            of_form(Form::parse(&head.headers, held.bytes().clone()).await?)?
        } else {
            held.bytes().clone()
        };
        if bytes.is_empty() {
            return Err(Problem::bad("the request holds no image"));
        }
        Ok(Self { bytes, _held: held })
    }
}

fn of_form(form: Form) -> Result<Bytes, Problem> {
    let Form { mut files, fields } = form;
    match (files.pop(), files.is_empty() && fields.is_empty()) {
        (Some((_, bytes)), true) => Ok(bytes),
        _ => Err(Problem::bad("the form has to have one file and nothing else; options are in the query")),
    }
}
