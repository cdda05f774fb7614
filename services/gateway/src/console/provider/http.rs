//! The HTTP client for requests to the provider: limited in time, bytes and concurrency, over HTTPS or
//! loopback, without redirects.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use reqwest::redirect::Policy;
use thiserror::Error;
use tokio::sync::Semaphore;
use vigie_credentials::is_safe_address;

/// The longest time for a request, with the wait for a slot.
const WITHIN: Duration = Duration::from_secs(5);
/// The longest time to connect.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The largest answer, in bytes. The largest is a set of keys.
const BYTES_MAX: usize = 256 << 10;
/// The most concurrent requests.
const AT_ONCE: usize = 16;

/// An HTTP client for the provider.
#[derive(Debug)]
pub(super) struct Http {
    client: reqwest::Client,
    turns: Semaphore,
}

/// The reason for which a request failed.
#[derive(Debug, Error)]
pub(super) enum Failed {
    /// Too many requests are under way.
    #[error("too many requests to it are under way")]
    Busy,
    /// The answer did not come in time.
    #[error("it does not answer within {} s", WITHIN.as_secs())]
    InTime,
    /// The answer is too large.
    #[error("it answers with more than {BYTES_MAX} bytes")]
    TooLarge,
    /// An address is neither HTTPS nor on loopback.
    #[error("it names an address that is neither https nor on loopback")]
    Address,
    /// The request failed.
    #[error("it cannot be reached")]
    Request(#[source] reqwest::Error),
}

impl Http {
    /// # Errors
    ///
    /// TLS cannot be set up.
    pub(super) fn new() -> Result<Self, reqwest::Error> {
        // Selects the cryptography of all TLS in this process. Another part may have selected it already,
        // which is no error.
        let _chosen = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .connect_timeout(CONNECT_WITHIN)
            .timeout(WITHIN)
            .user_agent(concat!("vigie/", env!("CARGO_PKG_VERSION")))
            .build()?;
        Ok(Self { client, turns: Semaphore::new(AT_ONCE) })
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Failed> {
        if !is_safe_address(&request.uri().to_string()) {
            return Err(Failed::Address);
        }
        tokio::time::timeout(WITHIN, self.answer(request)).await.map_err(|_| Failed::InTime)?
    }

    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, Failed> {
        let _turn = self.turns.acquire().await.map_err(|_| Failed::Busy)?;
        // URLs may contain secrets, so they are kept out of the log.
        let failed = |error: reqwest::Error| Failed::Request(error.without_url());
        let request = request.try_into().map_err(failed)?;
        let mut answer = self.client.execute(request).await.map_err(failed)?;
        let mut head = http::Response::builder().status(answer.status());
        if let Some(headers) = head.headers_mut() {
            *headers = answer.headers().clone();
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(failed)? {
            if body.len() + chunk.len() > BYTES_MAX {
                return Err(Failed::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        head.body(body).map_err(|_| Failed::TooLarge)
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Failed>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
