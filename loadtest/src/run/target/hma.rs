//! The lookups of Meta's Hasher-Matcher-Actioner, by HTTP/1.1.
//!
//! `GET /m/raw_lookup?signal=<64 hex>&signal_type=pdq&include_distance=true` answers `{"matches":[...]}`, each match a
//! number of a content, or an object with `content_id` (`bank_content_id` in some versions) and `distance`. It tells
//! neither coverage nor sequence: an answer is taken as complete. A connection carries one request at a time; a request
//! that finds none free waits, and its time runs.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tonic::Code;
use vigie_hashes::hex::Hex;

use crate::Hash;
use crate::judge::oracle::{Hit, Identity};
use crate::judge::truth::Ask;
use crate::run::target::call::{Answer, Asked, Call, Refusal};

/// The largest answer that is read.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Which row a content is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) enum Contents {
    /// Rows were added in their order, the first as this number.
    From(u64),
    /// Of each content that is a row, which.
    Listed(HashMap<u64, u32>),
}

impl Contents {
    /// Reads a file whose line for each row, from the first, is the number of its content.
    pub(crate) fn read(text: &str) -> anyhow::Result<Self> {
        let mut listed = HashMap::new();
        for (row, line) in (0..).zip(text.lines()) {
            let content = line.trim().parse().with_context(|| format!("line {} is no number", row + 1))?;
            if listed.insert(content, row).is_some() {
                bail!("line {} names content {content} a second time", row + 1);
            }
        }
        Ok(Self::Listed(listed))
    }

    fn row(&self, content: u64) -> Identity {
        let row = match self {
            Self::From(first) => content.checked_sub(*first).and_then(|row| u32::try_from(row).ok()),
            Self::Listed(listed) => listed.get(&content).copied(),
        };
        row.map_or(Identity::Unknown, Identity::Row)
    }
}

/// The host and port of an endpoint such as `http://127.0.0.1:7740`.
fn authority(endpoint: &Uri) -> anyhow::Result<String> {
    ensure!(endpoint.scheme_str() == Some("http"), "{endpoint} is no endpoint; write it as http://host:port");
    let host = endpoint.host().with_context(|| format!("{endpoint} names no host"))?;
    Ok(format!("{host}:{}", endpoint.port_u16().unwrap_or(80)))
}

/// Some connections to one service.
#[derive(Debug, Clone)]
pub(crate) struct Lookups(Arc<Pool>);

#[derive(Debug)]
struct Pool {
    authority: String,
    contents: Arc<Contents>,
    /// One permit for each connection that may be open.
    free: Semaphore,
    idle: Mutex<Vec<SendRequest<Empty<Bytes>>>>,
}

impl Lookups {
    pub(crate) fn new(endpoint: &Uri, connections: usize, contents: Arc<Contents>) -> anyhow::Result<Self> {
        let authority = authority(endpoint)?;
        let free = Semaphore::new(connections);
        Ok(Self(Arc::new(Pool { authority, contents, free, idle: Mutex::default() })))
    }

    /// Opens every connection, and fails with the reason if that takes too long.
    pub(crate) async fn opened(&self, within: Duration) -> anyhow::Result<()> {
        let deadline = Instant::now() + within;
        for _ in 0..self.0.free.available_permits() {
            let sender = loop {
                match self.0.connect().await {
                    Ok(sender) => break sender,
                    Err(error) if Instant::now() >= deadline => {
                        return Err(error.context(format!("cannot connect to {}", self.0.authority)));
                    }
                    Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
                }
            };
            self.0.put_back(sender);
        }
        Ok(())
    }

    pub(crate) async fn ask(&self, call: &Call<'_>) -> Result<Answer, Refusal> {
        let [asked] = call.asks else { return Err(Refusal::new(Code::Unimplemented)) };
        let hash = match asked {
            Asked::Hash(hash) | Asked::Pool(Ask::Hash(hash)) => hash,
            Asked::Pool(Ask::Image { .. }) => return Err(Refusal::new(Code::Unimplemented)),
        };
        let unavailable = |_| Refusal::new(Code::Unavailable);
        let _permit = self.0.free.acquire().await.map_err(|_| Refusal::new(Code::Unavailable))?;
        let mut sender = match self.0.take() {
            Some(sender) => sender,
            None => self.0.connect().await.map_err(unavailable)?,
        };
        let request = self.0.request(hash).map_err(|_| Refusal::new(Code::Internal))?;
        let response = sender.send_request(request).await.map_err(|_| Refusal::new(Code::Unavailable))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|_| Refusal::new(Code::Unavailable))?
            .to_bytes();
        self.0.put_back(sender);
        if status != StatusCode::OK {
            return Err(Refusal::new(code(status)));
        }
        let hits = read(&body, &self.0.contents).map_err(|_| Refusal::new(Code::Internal))?;
        Ok(Answer { results: vec![Ok(hits)], coverage: None, complete: true, sequence: None })
    }
}

impl Pool {
    fn take(&self) -> Option<SendRequest<Empty<Bytes>>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that were closed meanwhile are dropped.
        std::iter::from_fn(|| idle.pop()).find(|sender| !sender.is_closed())
    }

    fn put_back(&self, sender: SendRequest<Empty<Bytes>>) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Empty<Bytes>>> {
        let connecting = async {
            let stream = TcpStream::connect(&self.authority).await?;
            stream.set_nodelay(true)?;
            let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
            // Why it ended, the request that it carried is told.
            tokio::spawn(connection);
            sender.ready().await?;
            anyhow::Ok(sender)
        };
        tokio::time::timeout(CONNECT_TIMEOUT, connecting).await?
    }

    fn request(&self, hash: &Hash) -> anyhow::Result<Request<Empty<Bytes>>> {
        let path = format!("/m/raw_lookup?signal={}&signal_type=pdq&include_distance=true", Hex(hash));
        let request = Request::get(path).header(http::header::HOST, &self.authority);
        Ok(request.header(http::header::ACCEPT, "application/json").body(Empty::new())?)
    }
}

/// The gRPC code of an HTTP status, as gRPC's own table has it where that says anything.
const fn code(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::NotFound,
        429 => Code::ResourceExhausted,
        502..=504 => Code::Unavailable,
        500..=599 => Code::Internal,
        _ => Code::Unknown,
    }
}

#[derive(Deserialize)]
struct Matches {
    matches: Vec<Match>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Match {
    Content(u64),
    WithDistance {
        #[serde(alias = "bank_content_id")]
        content_id: u64,
        distance: Option<Distance>,
    },
}

/// A number, or its text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Distance {
    Number(u16),
    Text(String),
}

fn read(body: &[u8], contents: &Contents) -> anyhow::Result<Vec<Hit>> {
    let read: Matches = serde_json::from_slice(body)?;
    let hit = |one: Match| match one {
        Match::Content(content) => Ok(Hit { item: contents.row(content), distance: None }),
        Match::WithDistance { content_id, distance } => {
            let distance = match distance {
                None => None,
                Some(Distance::Number(distance)) => Some(distance),
                Some(Distance::Text(text)) => Some(text.trim().parse().context("a distance is no number")?),
            };
            Ok(Hit { item: contents.row(content_id), distance })
        }
    };
    read.matches.into_iter().map(hit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_match_is_read() {
        let body = br#"{"matches": [7, {"content_id": 8, "distance": "3"}, {"bank_content_id": 9, "distance": 4}, 6]}"#;
        let hits = read(body, &Contents::From(7)).unwrap();
        let expected = [
            (Identity::Row(0), None),
            (Identity::Row(1), Some(3)),
            (Identity::Row(2), Some(4)),
            (Identity::Unknown, None),
        ];
        assert!(hits.iter().map(|hit| (hit.item, hit.distance)).eq(expected));
        assert!(read(b"{}", &Contents::From(1)).is_err());
        assert!(
            read(br#"{"matches": [{"content_id": 1, "distance": "near"}]}"#, &Contents::From(1)).is_err()
        );
    }

    #[test]
    fn contents_are_listed_by_row() {
        let contents = Contents::read("100\n50\n").unwrap();
        assert_eq!(contents.row(50), Identity::Row(1));
        assert_eq!(contents.row(51), Identity::Unknown);
        assert!(Contents::read("1\n1\n").is_err() && Contents::read("x").is_err());
    }
}
