//! Fetches the keys of identity providers over HTTPS.

use std::error::Error;
use std::time::Duration;

use http::{Request, StatusCode, Uri, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use std::sync::Arc;
use vigie_credentials::jwt::{FetchFailed, FetchKeys, Fetched};
use vigie_net::Network;
use vigie_tls::{Sides, Tls, TlsConfig};

/// The most time to connect. The caller gives up the whole request a little later.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// A client of identity providers: one connection for each set of keys, checked against the system's
/// authorities.
#[derive(Debug)]
struct HttpsKeys;

/// Returns the client of identity providers.
#[must_use]
pub fn fetch_keys() -> Arc<dyn FetchKeys> {
    Arc::new(HttpsKeys)
}

impl FetchKeys for HttpsKeys {
    fn fetch(&self, url: &str, bytes_max: usize) -> Fetched {
        let url = url.to_owned();
        Box::pin(async move { fetch(&url, bytes_max).await.map_err(|error| FetchFailed(error.to_string())) })
    }
}

async fn fetch(url: &str, bytes_max: usize) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    let uri: Uri = url.parse()?;
    let authority = uri.authority().ok_or("the address names no host")?.clone();
    let network = if uri.scheme_str() == Some("https") {
        // Read again each time: authorities are renewed, and keys are fetched once in ten minutes.
        let tls = Tls::start(TlsConfig::default(), Sides::Client).map_err(|faults| faults.join("; "))?;
        Network::tcp().with_tls(Some(tls))
    } else {
        Network::tcp()
    };
    let io = network.connect(&uri, Some(CONNECT_MAX)).await?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(io)).await?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority.as_str())
        .header(header::ACCEPT, "application/json")
        .body(Empty::<Bytes>::new())?;
    // The connection is polled beside the answer, and dropped with it.
    let asking = async move {
        let answer = sender.send_request(request).await?;
        if answer.status() != StatusCode::OK {
            return Err(format!("the issuer answers {}", answer.status()).into());
        }
        Limited::new(answer.into_body(), bytes_max).collect().await
    };
    let mut asking = std::pin::pin!(asking);
    let mut connection = std::pin::pin!(connection);
    let body = tokio::select! {
        body = &mut asking => body?,
        ended = &mut connection => {
            ended?;
            asking.await?
        }
    };
    Ok(body.to_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes, and returns the request.
    async fn answer(with: &'static [u8], bytes_max: usize) -> (Result<Vec<u8>, FetchFailed>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?a=b", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            let (mut io, _) = listener.accept().await.unwrap();
            let mut request = [0; 2_048];
            let read = io.read(&mut request).await.unwrap();
            io.write_all(with).await.unwrap();
            String::from_utf8_lossy(&request[..read]).into_owned()
        });
        let fetched = fetch_keys().fetch(&url, bytes_max).await;
        (fetched, serving.await.unwrap())
    }

    #[tokio::test]
    async fn keys_are_fetched_within_their_bound() {
        let good = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n{\"keys\":[]}";
        let (fetched, request) = answer(good, 11).await;
        assert_eq!(fetched.unwrap(), b"{\"keys\":[]}");
        assert!(request.starts_with("GET /keys?a=b HTTP/1.1\r\nhost: 127.0.0.1:"), "{request}");
        assert!(answer(good, 10).await.0.is_err());
        let endless = b"HTTP/1.1 200 OK\r\n\r\n0123456789012345";
        assert!(answer(endless, 10).await.0.is_err());
    }

    #[tokio::test]
    async fn no_redirect_is_followed_and_a_failure_says_what_came() {
        let elsewhere = b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n";
        let failed = answer(elsewhere, 100).await.0.unwrap_err();
        assert!(failed.0.contains("302"), "{failed}");
        assert!(fetch_keys().fetch("http://127.0.0.1:1/", 9).await.is_err());
        assert!(fetch_keys().fetch("no address", 9).await.is_err());
    }
}
