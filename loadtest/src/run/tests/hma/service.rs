//! A small service that speaks HMA's protocol, with configurable faults.
//!
//! A lookup compares the query with all contents that were added. As with HMA, lookups use an index
//! that is older than the bank.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use vigie_hashes::hex;

use crate::Hash;
use crate::data::scan::distance;

/// The first content id, and the gap between two, so that no id equals the number of its row.
const ID_STEP: u64 = 3;

/// The faults of the service. A fault of `Some(n)` happens at every n-th lookup that it can change.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Faults {
    /// Answers with 503.
    pub(super) refuse: Option<u64>,
    /// Omits the last match of an answer.
    pub(super) drop: Option<u64>,
    /// Adds an id that does not exist.
    pub(super) invent: Option<u64>,
    /// Returns a distance that is one too large.
    pub(super) bend: Option<u64>,
    /// How long a new content is not found.
    pub(super) stale: Duration,
}

/// Counts of each fault, and of lookups.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) lookups: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) invented: AtomicU64,
    pub(super) bent: AtomicU64,
}

struct Content {
    id: u64,
    hash: Hash,
    bank: String,
    added: Instant,
}

pub(super) struct Service {
    faults: Faults,
    pub(super) counts: Counts,
    banks: Mutex<Vec<String>>,
    contents: Mutex<Vec<Content>>,
}

impl Service {
    /// Serves on a thread of its own, which ends with the process.
    pub(super) fn start(faults: Faults) -> (String, Arc<Self>) {
        let service = Arc::new(Self {
            faults,
            counts: Counts::default(),
            banks: Mutex::default(),
            contents: Mutex::default(),
        });
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::clone(&service);
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { serve(served, TcpListener::from_std(listener).unwrap()).await });
        });
        (url, service)
    }

    /// Adds contents to the bank `A`, in this order.
    pub(super) fn add(&self, hashes: impl IntoIterator<Item = Hash>) {
        for hash in hashes {
            self.add_one("A", hash);
        }
    }

    /// Returns the id of each content, in the order in which they were added.
    pub(super) fn ids(&self) -> Vec<u64> {
        self.contents.lock().unwrap().iter().map(|content| content.id).collect()
    }

    fn add_one(&self, bank: &str, hash: Hash) -> u64 {
        let mut contents = self.contents.lock().unwrap();
        let id = (contents.len() as u64 + 1) * ID_STEP;
        contents.push(Content { id, hash, bank: bank.to_owned(), added: Instant::now() });
        id
    }

    fn answer(&self, method: &Method, path: &str, query: &HashMap<&str, &str>, body: &[u8]) -> (u16, Value) {
        let path: Vec<&str> = path.split('/').skip(1).collect();
        match (method, path.as_slice()) {
            (&Method::POST, ["c", "banks"]) => {
                let name = json_of(body)["name"].as_str().unwrap().to_owned();
                let mut banks = self.banks.lock().unwrap();
                if banks.contains(&name) {
                    return (403, json!({ "message": format!("bank {name} already exists") }));
                }
                banks.push(name.clone());
                (201, json!({ "name": name, "matching_enabled_ratio": 1.0 }))
            }
            (&Method::POST, ["c", "bank", bank, "signal"]) => {
                let hash = json_of(body)["pdq"].as_str().and_then(hex::decode_array).unwrap();
                let id = self.add_one(bank, hash);
                (200, json!({ "id": id, "signals": { "pdq": hex::encode(&hash) } }))
            }
            (&Method::GET, ["m", call @ ("lookup" | "raw_lookup")]) => self.lookup(call, query),
            _ => (404, json!({ "message": "no such path" })),
        }
    }

    fn lookup(&self, call: &str, query: &HashMap<&str, &str>) -> (u16, Value) {
        assert_eq!(query["signal_type"], "pdq");
        let counts = &self.counts;
        let number = counts.lookups.fetch_add(1, Ordering::Relaxed);
        if happens(self.faults.refuse, number) {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            return (503, json!({ "message": "index not yet ready" }));
        }
        let asked: Hash = hex::decode_array(query["signal"]).unwrap();
        let contents = self.contents.lock().unwrap();
        let found = contents.iter().filter(|content| content.added.elapsed() >= self.faults.stale);
        let found = found.map(|content| (content, distance(&asked, &content.hash)));
        let mut found: Vec<(&str, u64, u16)> = found
            .filter(|(_, distance)| *distance <= 31)
            .map(|(content, distance)| (content.bank.as_str(), content.id, distance))
            .collect();
        if !found.is_empty() && happens(self.faults.drop, number) {
            found.pop();
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
        if let Some((.., distance)) = found.first_mut()
            && happens(self.faults.bend, number)
        {
            *distance += 1;
            counts.bent.fetch_add(1, Ordering::Relaxed);
        }
        if happens(self.faults.invent, number) {
            found.push(("A", 1_000_000_000, 7));
            counts.invented.fetch_add(1, Ordering::Relaxed);
        }
        if call == "raw_lookup" {
            let include = query.get("include_distance") == Some(&"true");
            let one = |&(_, id, distance): &(&str, u64, u16)| {
                let full = json!({ "bank_content_id": id, "distance": distance.to_string() });
                if include { full } else { json!(id) }
            };
            return (200, json!({ "matches": found.iter().map(one).collect::<Vec<_>>() }));
        }
        let mut banks: HashMap<&str, Vec<Value>> = HashMap::new();
        for (bank, id, distance) in found {
            let one = json!({ "bank_content_id": id, "distance": distance.to_string() });
            banks.entry(bank).or_default().push(one);
        }
        (200, json!(banks))
    }
}

fn happens(once_in: Option<u64>, number: u64) -> bool {
    once_in.is_some_and(|once_in| number % once_in == once_in / 2)
}

fn json_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap()
}

async fn serve(service: Arc<Service>, listener: TcpListener) {
    while let Ok((stream, _)) = listener.accept().await {
        let service = Arc::clone(&service);
        let answering = service_fn(move |request: Request<Incoming>| {
            let service = Arc::clone(&service);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let query = head.uri.query().unwrap_or_default();
                let query = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
                let (status, value) = service.answer(&head.method, head.uri.path(), &query, &body);
                let mut response = Response::new(Full::new(Bytes::from(value.to_string())));
                *response.status_mut() = StatusCode::from_u16(status).unwrap();
                Ok::<_, Infallible>(response)
            }
        });
        let connection = hyper::server::conn::http1::Builder::new();
        tokio::spawn(connection.serve_connection(TokioIo::new(stream), answering));
    }
}
