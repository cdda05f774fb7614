//! Sends HTTP requests, and reads files of one folder, bounded in bytes, time and redirects.

use std::path::{Component, Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{Client, redirect};
use tokio::time::timeout;
use url::Url;

use super::fetch::{Fetch, FetchError};
use super::origins::Origins;
use super::request::{Method, Request, Response, Target};
use crate::secret::Secret;

/// The time limit of opening a connection.
const CONNECT_MAX: Duration = Duration::from_secs(10);

/// The bounds of one request.
#[derive(Debug, Clone)]
pub struct Bounds {
    /// The time limit of the whole request with its answer, in milliseconds.
    pub request_ms_max: u64,
    /// The most bytes of the body of an answer, or of a file.
    pub body_bytes_max: usize,
    /// The most redirects of one request.
    pub redirects_max: usize,
}

/// Sends HTTP requests, and reads files of one folder.
#[derive(Debug, Clone)]
pub struct HttpFetch {
    client: Client,
    origins: Origins,
    files: Option<PathBuf>,
    bounds: Bounds,
}

impl HttpFetch {
    /// Sends requests to these origins, and reads files of this folder.
    pub fn new(origins: Origins, files: Option<PathBuf>, bounds: Bounds) -> Result<Self, FetchError> {
        // Several cryptography libraries may be linked, so reqwest has to know which one to use. If another
        // part of the process has chosen already, it has chosen the same one.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(CONNECT_MAX)
            .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(connection)?;
        Ok(Self { client, origins, files, bounds })
    }

    async fn ask(&self, request: &Request, first: &Url) -> Result<Response, FetchError> {
        let mut url = first.clone();
        for _ in 0..=self.bounds.redirects_max {
            if !self.origins.allow(&url) {
                return Err(FetchError::Origin(url.origin().ascii_serialization()));
            }
            let answer = self.send(request, first, &url).await?;
            let status = answer.status().as_u16();
            if !matches!(status, 301 | 302 | 303 | 307 | 308) {
                return self.read(answer).await;
            }
            // A body must only go to the requested address, and a `DELETE` names its document by that
            // address.
            if request.method != Method::Get {
                return Err(FetchError::Redirect);
            }
            let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
            url = location.and_then(|location| url.join(location).ok()).ok_or(FetchError::Redirect)?;
        }
        Err(FetchError::Redirect)
    }

    async fn send(&self, request: &Request, first: &Url, url: &Url) -> Result<reqwest::Response, FetchError> {
        let post = |media_type: &'static str, body: &Secret| {
            self.client.post(url.clone()).header(CONTENT_TYPE, media_type).body(body.reveal().to_owned())
        };
        let mut builder = match &request.method {
            Method::Get => self.client.get(url.clone()),
            Method::Form(form) => post("application/x-www-form-urlencoded", form),
            Method::Json(document) => post("application/json", document),
            Method::PutXml(document) => self
                .client
                .put(url.clone())
                .header(CONTENT_TYPE, "application/xml; charset=utf-8")
                .body(document.reveal().to_owned()),
            Method::Delete => self.client.delete(url.clone()),
        };
        // Headers hold credentials, which are only for the requested origin.
        if url.origin() == first.origin() {
            for (name, value) in &request.headers {
                builder = builder.header(*name, value.reveal());
            }
        }
        builder.send().await.map_err(connection)
    }

    async fn read(&self, mut answer: reqwest::Response) -> Result<Response, FetchError> {
        let max = self.bounds.body_bytes_max;
        let status = answer.status().as_u16();
        let retry_after = retry_after(answer.headers());
        let tag = answer.headers().get(ETAG).and_then(|tag| tag.to_str().ok()).map(str::to_owned);
        let mut body = BytesMut::new();
        while let Some(chunk) = answer.chunk().await.map_err(connection)? {
            if body.len() + chunk.len() > max {
                return Err(FetchError::TooLong(max));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Response { status, retry_after, tag, body: body.freeze() })
    }

    async fn file(&self, name: &str) -> Result<Response, FetchError> {
        let path = self.files.as_deref().and_then(|folder| below(folder, name));
        let path =
            path.ok_or_else(|| FetchError::File("it must lie in the folder `files_folder`".to_owned()))?;
        let max = self.bounds.body_bytes_max;
        let read = tokio::task::spawn_blocking(move || {
            let metadata = std::fs::metadata(&path)?;
            if usize::try_from(metadata.len()).is_ok_and(|len| len > max) {
                return Ok(None);
            }
            let changed = metadata.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            Ok(Some((format!("{}-{}", metadata.len(), changed.as_nanos()), std::fs::read(&path)?)))
        });
        let read: std::io::Result<_> = read.await.map_err(|error| FetchError::File(error.to_string()))?;
        match read.map_err(|error| FetchError::File(error.kind().to_string()))? {
            Some((tag, body)) if body.len() <= max => {
                Ok(Response { tag: Some(tag), ..Response::ok(Bytes::from(body)) })
            }
            Some(_) | None => Err(FetchError::TooLong(max)),
        }
    }
}

impl Fetch for HttpFetch {
    async fn fetch(&self, request: &Request) -> Result<Response, FetchError> {
        let within = Duration::from_millis(self.bounds.request_ms_max);
        let asked = async {
            match &request.target {
                Target::Url(url) => self.ask(request, url).await,
                Target::File(name) => self.file(name).await,
            }
        };
        timeout(within, asked).await.map_err(|_elapsed| FetchError::Slow(within.as_millis()))?
    }
}

/// Returns the path of a file below a folder, or `None` if the name leads out of it.
fn below(folder: &Path, name: &str) -> Option<PathBuf> {
    let name = Path::new(name);
    let is_within = name.components().all(|component| matches!(component, Component::Normal(_)));
    (is_within && name.components().next().is_some()).then(|| folder.join(name))
}

/// Converts an error without its URL, whose query may hold a credential.
fn connection(error: reqwest::Error) -> FetchError {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(reason) = cause {
        text = reason.to_string();
        cause = reason.source();
    }
    FetchError::Connection(text)
}

/// Returns the pause that the server requests, if it is in seconds. A date is ignored, because the machine's
/// clock may differ from the server's.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_lead_out_of_the_folder_are_none() {
        let folder = Path::new("/files");
        assert_eq!(below(folder, "a/b.csv"), Some(PathBuf::from("/files/a/b.csv")));
        for bad in ["", ".", "..", "/etc/passwd", "a/../../b", "./a"] {
            assert_eq!(below(folder, bad), None, "{bad}");
        }
    }
}
