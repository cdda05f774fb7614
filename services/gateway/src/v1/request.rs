//! The parts of a request that handlers use: its caller, deadline, idempotency key and options, the names in
//! its path, and its JSON body.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Path};
use http::request::Parts;
use http::{HeaderMap, Request, StatusCode, header};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::form_urlencoded;
use utoipa::IntoParams;
use vigie_clients::IdempotencyKey;
use vigie_model::Sequence;
use vigie_proto::bank::{IDEMPOTENCY_KEY_LEN_MAX, PAGE_DEFAULT, PAGE_MAX};

use crate::cluster::Cluster;
use crate::entry::client::ClientAddress;
use crate::media::bodies::{Bodies, ReadBody};
use crate::problem::Problem;
use crate::upstream::Caller;
use crate::v1::faults;

/// The most bytes of a body in JSON: 1,000 items of several hashes each.
const JSON_BYTES_MAX: usize = 8 << 20;
/// The header with the idempotency key of a write.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// The query option of every request that shortens its deadline.
pub(crate) const TIMEOUT_MS: &str = "timeout_ms";
/// The largest value of [`TIMEOUT_MS`], in milliseconds.
pub(crate) const TIMEOUT_MS_MAX: u64 = 600_000;

/// The state that the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Handlers {
    /// The state of the cluster.
    pub(crate) cluster: Cluster,
    /// The limits within which bodies are read.
    pub(crate) bodies: Bodies,
}

/// The options of a request that has none of its own.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NoOptions {}

/// The options of a list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageOptions {
    /// The id after which the page begins: the `next_after` of the page before.
    after: Option<u64>,
    /// Entries of the page, 1 to 1000; 100 where it is not given.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u16>,
}

/// The header of a write.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub(crate) struct Once {
    /// 1 to 128 printable ASCII characters that name the write, so that it is done once however often it is
    /// sent. Without it a request that is sent again is another write.
    #[allow(
        dead_code,
        reason = "the field describes the header, which the head of the request is asked for"
    )]
    #[param(rename = "Idempotency-Key")]
    idempotency_key: Option<String>,
}

impl PageOptions {
    /// Returns the size of the page: 1 to 1,000 entries.
    pub(crate) fn size(&self) -> Result<u16, Problem> {
        page_size(self.limit)
    }

    /// Returns the id after which the page begins; `None` for the first page.
    pub(crate) fn after<T, U: TryFrom<u64>>(&self, id: impl Fn(U) -> T) -> Result<Option<T>, Problem> {
        let after = self.after.map(U::try_from).transpose();
        Ok(after.map_err(|_| Problem::field("after", "is no id"))?.map(id))
    }
}

/// Checks the size of a page, and returns it or the default.
pub(crate) fn page_size(limit: Option<u16>) -> Result<u16, Problem> {
    match limit {
        None => Ok(PAGE_DEFAULT),
        Some(limit @ 1..=PAGE_MAX) => Ok(limit),
        Some(limit) => Err(Problem::field("limit", format!("is {limit}; it must be 1 to {PAGE_MAX}"))),
    }
}

/// The head of a request: its caller, options, timeout and idempotency key.
#[derive(Debug)]
pub(crate) struct Call<Q = NoOptions> {
    /// The clients of the services, with the caller's credential.
    pub(crate) caller: Caller,
    /// The options of the query string, except [`TIMEOUT_MS`].
    pub(crate) options: Q,
    within: Option<Duration>,
    key: Option<String>,
}

impl<Q> Call<Q> {
    /// Returns the deadline of the request.
    pub(crate) fn deadline(&self) -> Instant {
        self.caller.deadline_within(self.within)
    }

    /// Records a write, so that the following lookups see it.
    pub(crate) fn wrote(&self, sequence: Sequence) {
        self.caller.newest().wrote(sequence);
    }

    /// Returns the idempotency key of a request with one write. Without a key in the request, it is random.
    pub(crate) fn key(&self) -> IdempotencyKey {
        self.key.as_ref().map_or_else(IdempotencyKey::random, IdempotencyKey::named)
    }

    /// Returns the idempotency key of one of several writes of a request. `part` must differ for each of
    /// them.
    pub(crate) fn key_of(&self, part: &str) -> Result<IdempotencyKey, Problem> {
        let Some(key) = &self.key else { return Ok(IdempotencyKey::random()) };
        let max = IDEMPOTENCY_KEY_LEN_MAX - part.len() - 1;
        if key.len() > max {
            let why = format!("has {} bytes; for several changes at once it has at most {max}", key.len());
            return Err(Problem::field("Idempotency-Key", why));
        }
        Ok(IdempotencyKey::named(format!("{key}.{part}")))
    }
}

impl<Q: DeserializeOwned> FromRequestParts<Handlers> for Call<Q> {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, _: &Handlers) -> Result<Self, Problem> {
        let caller = head.extensions.get::<Caller>().cloned();
        // The entry of the gateway inserts the caller.
        let caller = caller.ok_or_else(|| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no caller"))?;
        let (within, options) = options(head.uri.query().unwrap_or_default())?;
        Ok(Self { caller, options, within, key: key(&head.headers)? })
    }
}

/// Reads the idempotency key in the headers.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=IDEMPOTENCY_KEY_LEN_MAX).contains(&text.len()));
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.to_owned())),
        _ => {
            let why = format!("is one text of 1 to {IDEMPOTENCY_KEY_LEN_MAX} printable ASCII characters");
            Err(Problem::field("Idempotency-Key", why))
        }
    }
}

/// Reads a query string: the timeout of the request, and its other options.
fn options<Q: DeserializeOwned>(query: &str) -> Result<(Option<Duration>, Q), Problem> {
    let mut within = None;
    let mut others = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if name != TIMEOUT_MS {
            others.append_pair(&name, &value);
            continue;
        }
        let ms = value.parse().ok().filter(|ms| within.is_none() && (1..=TIMEOUT_MS_MAX).contains(ms));
        let wrong = || {
            Problem::field(TIMEOUT_MS, format!("must be one number of milliseconds, 1 to {TIMEOUT_MS_MAX}"))
        };
        within = Some(Duration::from_millis(ms.ok_or_else(wrong)?));
    }
    let others = others.finish();
    let others = serde_urlencoded::Deserializer::new(form_urlencoded::parse(others.as_bytes()));
    let options = serde_path_to_error::deserialize(others);
    Ok((within, options.map_err(|error| faults::of(error.path(), &error.inner().to_string()))?))
}

/// The names in the path of a request.
#[derive(Debug)]
pub(crate) struct In<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Handlers> for In<T> {
    type Rejection = Problem;

    async fn from_request_parts(head: &mut Parts, handlers: &Handlers) -> Result<Self, Problem> {
        let path = Path::<T>::from_request_parts(head, handlers).await;
        path.map(|Path(names)| Self(names)).map_err(|_| Problem::bad("the path is not UTF-8"))
    }
}

/// The JSON body of a request. An absent body is read as an empty object.
#[derive(Debug)]
pub(crate) struct Sent<T> {
    /// The deserialized body.
    pub(crate) asked: T,
    /// Counts the bytes against the gateway's limit until the request is done.
    _held: ReadBody,
}

impl<T: DeserializeOwned> FromRequest<Handlers> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request<Body>, handlers: &Handlers) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let held = read(handlers, &head, body, JSON_BYTES_MAX).await?;
        let bytes: &[u8] = if held.bytes().is_empty() { b"{}" } else { held.bytes() };
        if !held.bytes().is_empty() && !is_json(&head.headers) {
            let message = "the body has to be JSON, and announced as Content-Type: application/json";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
        }
        Ok(Self { asked: parsed(bytes)?, _held: held })
    }
}

/// Reads a body of at most `max` bytes.
pub(crate) async fn read(
    handlers: &Handlers,
    head: &Parts,
    body: Body,
    max: usize,
) -> Result<ReadBody, Problem> {
    let client = head.extensions.get::<ClientAddress>().copied().unwrap_or_default();
    handlers.bodies.read(client.0, &head.headers, body, max).await
}

/// Returns the media type of a body in lower case, without its parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let kind = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = media_type(headers).unwrap_or_default();
    kind == "application/json" || kind.starts_with("application/") && kind.ends_with("+json")
}

fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let asked = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let fault = error.inner();
        match fault.classify() {
            serde_json::error::Category::Data => faults::of(error.path(), &fault.to_string()),
            serde_json::error::Category::Syntax
            | serde_json::error::Category::Eof
            | serde_json::error::Category::Io => no_json(fault),
        }
    })?;
    json.end().map_err(|fault| no_json(&fault))?;
    Ok(asked)
}

fn no_json(fault: &serde_json::Error) -> Problem {
    Problem::bad(format!("the body is not JSON (line {}, column {})", fault.line(), fault.column()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        name: String,
        #[serde(default)]
        count: u16,
        #[serde(default)]
        inner: Vec<Self>,
    }

    #[track_caller]
    fn check(body: &str, field: Option<&str>, words: &str) {
        let problem = parsed::<Asked>(body.as_bytes()).unwrap_err();
        assert_eq!(
            (problem.status, problem.field.as_deref()),
            (StatusCode::BAD_REQUEST, field),
            "{problem:?}"
        );
        assert!(problem.message.contains(words), "{problem:?}");
    }

    #[test]
    fn the_field_at_fault_is_named_and_its_value_is_not() {
        let hash = "f8f8f0cee0f4a84f06370a22038f63f0b36e2ed596621e1d33e6b39c4e9c9b22";
        check("{", None, "not JSON");
        check(r#"{"name":"a"} x"#, None, "not JSON");
        check(r#"{"count":1}"#, Some("name"), "is required");
        check(r#"{"name":"a","inner":[{"name":"b"},{"name":3}]}"#, Some("inner[1].name"), "a string");
        check(r#"{"name":"a","cuont":1}"#, Some("cuont"), "is unknown");
        check(r#"{"name":"a","inner":[{"nmae":"b"}]}"#, Some("inner[0].nmae"), "is unknown");
        for body in [format!(r#"{{"name":"a","count":"{hash}"}}"#), format!(r#"{{"name":"a","{hash}":1}}"#)] {
            let problem = parsed::<Asked>(body.as_bytes()).unwrap_err();
            assert!(!format!("{problem:?}").contains(&hash[..16]), "{problem:?}");
        }
        assert_eq!(parsed::<Asked>(br#"{"name":"a"}"#).unwrap().count, 0);
    }

    #[test]
    fn the_time_of_a_request_is_one_number_beside_its_options() {
        let of = options::<PageOptions>;
        let (within, page) = of("limit=7&timeout_ms=250&after=9").unwrap();
        assert_eq!((within, page.limit, page.after), (Some(Duration::from_millis(250)), Some(7), Some(9)));
        for (query, field) in [
            ("timeout_ms=0", TIMEOUT_MS),
            ("timeout_ms=x", TIMEOUT_MS),
            ("timeout_ms=5&timeout_ms=6", TIMEOUT_MS),
            ("limit=x", "limit"),
            ("limti=7", "limti"),
        ] {
            assert_eq!(of(query).unwrap_err().field.as_deref(), Some(field), "{query}");
        }
        assert!(page_size(Some(0)).is_err() && page_size(Some(1_001)).is_err());
        assert_eq!(page.after(|id: u32| id).unwrap(), Some(9));
        let (_, far) = of("after=5000000000").unwrap();
        assert_eq!(far.after(|id: u32| id).unwrap_err().field.as_deref(), Some("after"));
    }

    #[test]
    fn a_key_has_one_to_128_bytes() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(IDEMPOTENCY_KEY, value.parse().unwrap());
            }
            key(&headers)
        };
        assert_eq!(of(&[]), Ok(None));
        assert_eq!(of(&["import-7"]), Ok(Some("import-7".to_owned())));
        for wrong in [&[""][..], &["a", "b"], &[&"x".repeat(129)], &["é"]] {
            assert_eq!(of(wrong).unwrap_err().field.as_deref(), Some("Idempotency-Key"), "{wrong:?}");
        }
    }
}
