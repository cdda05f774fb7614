//! A request to a programme and its answer, for the sources that make and read them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use url::Url;

use crate::secret::Secret;

/// A request to a programme. `Debug` shows only its host, because queries and headers hold credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct Request {
    /// The requested document or file.
    pub target: Target,
    /// Headers, in addition to those of every request.
    pub headers: Vec<(&'static str, Secret)>,
    /// The method, with its body.
    pub method: Method,
}

/// The method of a request. Bodies hold credentials and hashes.
#[derive(Clone, PartialEq, Eq)]
pub enum Method {
    /// `GET`.
    Get,
    /// `POST` of an encoded form.
    Form(Secret),
    /// `POST` of a JSON document.
    Json(Secret),
    /// `PUT` of an XML document.
    PutXml(Secret),
    /// `DELETE`.
    Delete,
}

/// The object of a request.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// A document at a URL.
    Url(Url),
    /// A file in the folder of files, by its name.
    File(String),
}

/// The answer to a request. `Debug` shows no content.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The HTTP status; 200 for a file.
    pub status: u16,
    /// The pause that the server requests.
    pub retry_after: Option<Duration>,
    /// The version of the document, as the server names it.
    pub tag: Option<String>,
    /// The complete body.
    pub body: Bytes,
}

impl Request {
    /// Returns a `GET` of a document.
    #[must_use]
    pub fn get(url: Url) -> Self {
        Self::of(Target::Url(url), Method::Get)
    }

    /// Returns a `POST` of an encoded form.
    #[must_use]
    pub fn form(url: Url, form: Secret) -> Self {
        Self::of(Target::Url(url), Method::Form(form))
    }

    /// Returns a `POST` of a JSON document.
    #[must_use]
    pub fn json(url: Url, document: Secret) -> Self {
        Self::of(Target::Url(url), Method::Json(document))
    }

    /// Returns a `PUT` of an XML document.
    #[must_use]
    pub fn put_xml(url: Url, document: Secret) -> Self {
        Self::of(Target::Url(url), Method::PutXml(document))
    }

    /// Returns a `DELETE` of a document.
    #[must_use]
    pub fn delete(url: Url) -> Self {
        Self::of(Target::Url(url), Method::Delete)
    }

    /// Returns a request for a file in the folder of files.
    #[must_use]
    pub fn file(name: &str) -> Self {
        Self::of(Target::File(name.to_owned()), Method::Get)
    }

    const fn of(target: Target, method: Method) -> Self {
        Self { target, headers: Vec::new(), method }
    }

    /// Adds a header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: Secret) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl Response {
    /// Returns the answer of a server that has the document.
    #[must_use]
    pub fn ok(body: impl Into<Bytes>) -> Self {
        Self { status: 200, retry_after: None, tag: None, body: body.into() }
    }

    /// Returns an answer with this status and without a body.
    #[must_use]
    pub fn of_status(status: u16) -> Self {
        Self { status, ..Self::ok(Bytes::new()) }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Url(url) => write!(f, "Request({})", url.host_str().unwrap_or("no host")),
            Target::File(_) => f.write_str("Request(file)"),
        }
    }
}

impl fmt::Debug for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Get => "Get",
            Self::Form(_) => "Form",
            Self::Json(_) => "Json",
            Self::PutXml(_) => "PutXml",
            Self::Delete => "Delete",
        })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(url) => write!(f, "Url({})", url.host_str().unwrap_or("no host")),
            Self::File(_) => f.write_str("File"),
        }
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} bytes)", self.status, self.body.len())
    }
}
