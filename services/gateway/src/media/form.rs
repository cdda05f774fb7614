//! Forms with files (`multipart/form-data`).

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request};
use bytes::Bytes;
use http::{HeaderMap, header};

use crate::problem::Problem;

/// The most parts of a form: the files of a page of the console, and its fields.
const PARTS_MAX: usize = 24;
/// The most bytes of a field other than a file: the text of the longest video hash.
const FIELD_BYTES_MAX: usize = 512 << 10;

/// A file of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FormFile {
    /// The name of the part.
    pub(crate) part: String,
    /// The name that the client gives the file; may be empty.
    pub(crate) name: String,
    /// The content.
    pub(crate) bytes: Bytes,
}

/// A form that was read.
#[derive(Debug, Default)]
pub(crate) struct Form {
    /// Its files.
    pub(crate) files: Vec<FormFile>,
    /// Its other fields.
    pub(crate) fields: Vec<(String, String)>,
}

/// Returns whether the body's content type is a form with files.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("multipart/form-data"))
}

impl Form {
    /// Parses a form from a body that was read.
    pub(crate) async fn parse(headers: &HeaderMap, body: Bytes) -> Result<Self, Problem> {
        let mut request = Request::new(Body::from(body));
        if let Some(kind) = headers.get(header::CONTENT_TYPE) {
            request.headers_mut().insert(header::CONTENT_TYPE, kind.clone());
        }
        // The body is already bounded in bytes.
        DefaultBodyLimit::disable().apply(&mut request);
        let malformed = |_| Problem::bad("the form is malformed");
        let parts = Multipart::from_request(request, &()).await;
        let mut parts = parts.map_err(|_| Problem::bad("the form is malformed"))?;
        let mut form = Self::default();
        while let Some(part) = parts.next_field().await.map_err(malformed)? {
            if form.files.len() + form.fields.len() == PARTS_MAX {
                return Err(Problem::bad(format!("a form has at most {PARTS_MAX} parts")));
            }
            let name = part.name().unwrap_or_default().to_owned();
            let file = part.file_name().map(ToOwned::to_owned);
            let bytes = part.bytes().await.map_err(malformed)?;
            if let Some(file) = file {
                form.files.push(FormFile { part: name, name: file, bytes });
            } else if bytes.len() > FIELD_BYTES_MAX {
                return Err(Problem::bad(format!("a field has at most {FIELD_BYTES_MAX} bytes")));
            } else {
                let text = String::from_utf8(bytes.into());
                form.fields.push((name, text.map_err(|_| Problem::bad("a field is not UTF-8"))?));
            }
        }
        Ok(form)
    }

    /// Returns the text of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, text)| text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    async fn parse(body: &str) -> Result<Form, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("multipart/form-data; boundary=X"));
        assert!(is_form(&headers));
        Form::parse(&headers, Bytes::from(body.replace('\n', "\r\n"))).await
    }

    #[tokio::test]
    async fn files_and_fields_are_distinguished() {
        let form = parse(
            "--X\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\n\nabc\n--X\n\
             Content-Disposition: form-data; name=\"note\"\n\nhello\n--X--\n",
        );
        let form = form.await.unwrap();
        let photo =
            FormFile { part: "photo".into(), name: "a.jpg".into(), bytes: Bytes::from_static(b"abc") };
        assert_eq!(form.files, [photo]);
        assert_eq!((form.field("note"), form.field("other")), (Some("hello"), None));
    }

    #[tokio::test]
    async fn a_file_may_have_as_many_bytes_as_the_body() {
        let video = "v".repeat(5 << 20);
        let head = "--X\nContent-Disposition: form-data; name=\"video\"; filename=\"a.mp4\"\n\n";
        let form = parse(&format!("{head}{video}\n--X--\n")).await.unwrap();
        assert_eq!(form.files[0].bytes.len(), 5 << 20);
    }

    #[tokio::test]
    async fn a_form_that_breaks_off_is_refused() {
        let broken = "--X\nContent-Disposition: form-data; name=\"photo\"; filename=\"a.jpg\"\n\nabc";
        assert_eq!(parse(broken).await.unwrap_err(), Problem::bad("the form is malformed"));
    }
}
