//! A form that a person has sent. Its CSRF token is checked before anything else in it is used.

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode};
use rand::distr::{Alphanumeric, SampleString as _};
use serde::de::DeserializeOwned;
use url::form_urlencoded;
use vigie_clients::IdempotencyKey;

use crate::console::page::Failed;
use crate::console::paths::is_open;
use crate::console::session::Arrived;
use crate::console::state::Console;
use crate::entry::client::ClientAddress;
use crate::media::bodies::ReadBody;
use crate::media::form::{Form, FormFile, is_form};
use crate::problem::Problem;

/// The form field and the header with the CSRF token.
pub(crate) const CSRF_FIELD: &str = "csrf";
const CSRF_HEADER: &str = "x-csrf";
/// The field with the idempotency key of a form.
pub(crate) const ONCE_FIELD: &str = "once";
/// The largest form without files, in bytes.
const FIELDS_BYTES_MAX: usize = 1 << 20;
/// The most fields in a form without files.
const FIELDS_MAX: usize = 2_048;

/// A form that a person has sent.
#[derive(Debug)]
pub(crate) struct Posted {
    form: Form,
    /// Counts the bytes of the body until the request ends.
    _held: ReadBody,
}

impl Posted {
    /// Returns the text of a field, trimmed; `""` if the form has no such field.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.form.field(name).unwrap_or_default().trim()
    }

    /// Returns the texts of all fields with a name, such as those of checkboxes.
    pub(crate) fn fields(&self, name: &str) -> impl Iterator<Item = &str> {
        self.form.fields.iter().filter(move |(field, _)| field == name).map(|(_, text)| text.trim())
    }

    /// Returns the files that were chosen for a field. Without a choice a browser sends an empty file, which
    /// is left out.
    pub(crate) fn files(&self, name: &str) -> impl Iterator<Item = &FormFile> {
        self.form.files.iter().filter(move |file| file.part == name && !file.bytes.is_empty())
    }

    /// Like [`Self::files`], but includes empty files that a person has chosen: these have a name.
    pub(crate) fn chosen(&self, name: &str) -> impl Iterator<Item = &FormFile> {
        let is_chosen = |file: &&FormFile| !file.bytes.is_empty() || !file.name.is_empty();
        self.form.files.iter().filter(move |file| file.part == name).filter(is_chosen)
    }

    /// Parses the number in a field.
    ///
    /// # Errors
    ///
    /// The field holds no number. The problem names the field.
    pub(crate) fn number<T: std::str::FromStr>(&self, name: &str) -> Result<T, Problem> {
        self.field(name).parse().map_err(|_| Problem::field(name, "is no number that fits here"))
    }

    /// Returns the idempotency key of the form: the same however often the form is sent.
    pub(crate) fn once(&self) -> IdempotencyKey {
        self.once_for("")
    }

    /// Returns the idempotency key of one of several writes of this form.
    pub(crate) fn once_for(&self, part: &str) -> IdempotencyKey {
        let once = self.field(ONCE_FIELD);
        let fits = (8..=64).contains(&once.len()) && once.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits { IdempotencyKey::named(format!("console-{once}{part}")) } else { IdempotencyKey::random() }
    }
}

/// The query of a page. A bad value is an error that names its field; an unknown field is ignored, since
/// links from elsewhere may add some.
#[derive(Debug)]
pub(crate) struct Asked<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Asked<T> {
    type Rejection = Failed;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Failed> {
        let query = form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes());
        // An empty field counts as a missing one.
        let mut filled = form_urlencoded::Serializer::new(String::new());
        filled.extend_pairs(query.filter(|(_, value)| !value.is_empty()));
        let filled = filled.finish();
        let fields = serde_urlencoded::Deserializer::new(form_urlencoded::parse(filled.as_bytes()));
        let asked = serde_path_to_error::deserialize(fields);
        asked.map(Self).map_err(|error| Problem::field(error.path().to_string(), "does not fit").into())
    }
}

/// Returns a new idempotency key.
pub(crate) fn new_once() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 22)
}

impl FromRequest<Console> for Posted {
    type Rejection = Failed;

    async fn from_request(request: Request<Body>, console: &Console) -> Result<Self, Failed> {
        let (head, body) = request.into_parts();
        let client = head.extensions.get::<ClientAddress>().copied().unwrap_or_default();
        // A person who is not signed in may not send files.
        let takes_files = is_form(&head.headers) && !is_open(head.uri.path());
        let max = if takes_files { usize::MAX } else { FIELDS_BYTES_MAX };
        let held = console.bodies.read(client.0, &head.headers, body, max).await?;
        let form = match is_form(&head.headers) {
            true => Form::parse(&head.headers, held.bytes().clone()).await?,
            false => fields(held.bytes())?,
        };
        let session = head.extensions.get::<Arrived>().map(|arrived| &arrived.session);
        let token = token(&head.headers, &form);
        if !session.is_some_and(|session| console.sessions.is_csrf_token(session, token)) {
            return Err(Failed::cross_site());
        }
        Ok(Self { form, _held: held })
    }
}

fn token<'a>(headers: &'a HeaderMap, form: &'a Form) -> &'a str {
    let header = headers.get(CSRF_HEADER).and_then(|value| value.to_str().ok());
    header.or_else(|| form.field(CSRF_FIELD)).unwrap_or_default()
}

/// Parses the fields of a form without files.
fn fields(body: &Bytes) -> Result<Form, Problem> {
    let mut form = Form::default();
    for (name, value) in form_urlencoded::parse(body) {
        if form.fields.len() == FIELDS_MAX {
            let why = format!("a form has at most {FIELDS_MAX} fields");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, why));
        }
        form.fields.push((name.into_owned(), value.into_owned()));
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_in_order_and_bounded() {
        let form = fields(&Bytes::from_static(b"a=1&b=x+y&a=%C3%A9")).unwrap();
        assert_eq!(
            form.fields,
            [("a", "1"), ("b", "x y"), ("a", "é")].map(|(n, v)| (n.to_owned(), v.to_owned()))
        );
        let many = "a=1&".repeat(FIELDS_MAX + 1);
        assert_eq!(fields(&Bytes::from(many)).unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[test]
    fn each_form_is_another_write() {
        let (one, other) = (new_once(), new_once());
        assert_ne!(one, other);
        assert!(one.len() == 22 && one.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
