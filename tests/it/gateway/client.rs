//! A client of the gateway that sends requests and returns answers unchanged.

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use vigie::local_cluster::{HttpAt, LocalClusterConfig};
use vigie_harness::in_process::Cluster;

/// Starts a cluster with a gateway.
pub(crate) async fn cluster() -> Cluster {
    cluster_with(|_| {}).await
}

/// Starts a cluster with a gateway and a changed configuration.
pub(crate) async fn cluster_with(edit: impl FnOnce(&mut LocalClusterConfig)) -> Cluster {
    let started = Cluster::start_with(|config| {
        config.shard_count = 2;
        config.http = HttpAt::Beside;
        edit(config);
    });
    started.await.unwrap()
}

/// A caller of a gateway.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    authority: String,
    key: Option<String>,
}

/// An answer of the gateway.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The body as JSON; `null` where it is not JSON.
    pub(crate) body: Value,
    /// The body as bytes.
    pub(crate) bytes: Bytes,
}

impl Http {
    /// Returns a caller without a credential.
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let url = cluster.http_url().unwrap();
        Self { authority: url.strip_prefix("http://").unwrap().to_owned(), key: None }
    }

    /// Returns the address and port of the gateway.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// Returns the same caller with a credential.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self.clone() }
    }

    /// Returns the credential.
    #[track_caller]
    pub(crate) fn key(&self) -> &str {
        self.key.as_deref().expect("the caller has a credential")
    }

    /// Sends a request with these headers and this body.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let stream = TcpStream::connect(&self.authority).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header(header::HOST, &self.authority);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        let answer = sender.send_request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or(Value::Null),
            bytes: body,
        }
    }

    /// Sends JSON.
    pub(crate) async fn json(&self, method: Method, path: &str, body: &Value) -> Answer {
        self.send(method, path, &[("content-type", "application/json")], body.to_string()).await
    }

    /// Sends a GET request.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], Bytes::new()).await
    }

    /// Sends JSON by POST.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::POST, path, body).await
    }

    /// Sends JSON by PATCH.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::PATCH, path, body).await
    }

    /// Sends JSON by PUT.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Answer {
        self.json(Method::PUT, path, body).await
    }

    /// Sends a DELETE request.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, &[], Bytes::new()).await
    }
}

impl Answer {
    /// Checks the status, and returns the body.
    #[track_caller]
    pub(crate) fn body(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{}", self.body);
        assert_eq!(self.headers["cache-control"], "no-store");
        self.body
    }

    /// Checks that the answer is a problem with this status and code, and returns the field at fault, if one
    /// is named.
    #[track_caller]
    pub(crate) fn problem(self, status: u16, code: &str) -> Option<String> {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.body);
        assert_eq!((self.status.as_u16(), self.body["code"].as_str()), (status, Some(code)), "{}", self.body);
        assert_eq!(self.body["status"], status);
        assert!(self.body["detail"].as_str().is_some_and(|text| !text.is_empty()), "{}", self.body);
        self.body["field"].as_str().map(str::to_owned)
    }
}
