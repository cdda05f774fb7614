//! Reads bodies with bounds on their bytes (each body, the bodies of one client, all bodies together) and on
//! their time.
//!
//! Bytes count when they have arrived, not when they are announced: a client that announces much and sends
//! nothing takes no capacity from others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode, header};
use http_body_util::BodyExt as _;
use tokio::time::Instant;
use vigie_serving::host;

use crate::config::Config;
use crate::problem::Problem;

/// The time after which a body's rate is checked.
const GRACE: Duration = Duration::from_secs(5);

/// The budget of bytes of all bodies.
#[derive(Debug, Clone)]
pub(crate) struct Bodies(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    each_max: usize,
    all_max: usize,
    rate_min: u32,
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    /// Bytes by client host.
    of_clients: HashMap<Option<IpAddr>, usize>,
}

/// A body that was read; its bytes count until it is dropped.
#[derive(Debug)]
pub(crate) struct ReadBody {
    bytes: Bytes,
    _share: Share,
}

/// The bytes that one request holds.
#[derive(Debug)]
struct Share {
    of: Bodies,
    client: Option<IpAddr>,
    bytes: usize,
}

impl ReadBody {
    /// Returns the bytes of the body.
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }
}

impl Bodies {
    pub(crate) fn new(config: &Config) -> Self {
        Self(Arc::new(Inner {
            each_max: config.body_bytes_max,
            all_max: config.bodies_bytes_max,
            rate_min: config.body_bytes_per_second_min,
            held: Mutex::default(),
        }))
    }

    /// Reads the body of a client's request, at most `max` bytes.
    pub(crate) async fn read(
        &self,
        client: Option<IpAddr>,
        headers: &HeaderMap,
        body: Body,
        max: usize,
    ) -> Result<ReadBody, Problem> {
        let max = max.min(self.0.each_max);
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > max) {
            return Err(too_large(max));
        }
        let mut share = self.share(client);
        let (begun, mut body) = (Instant::now(), pin!(body));
        let mut bytes = BytesMut::new();
        loop {
            // The time by which this many bytes must have arrived at the lowest rate.
            let arrived = Duration::from_secs_f64(bytes.len() as f64 / f64::from(self.0.rate_min));
            let Ok(frame) = tokio::time::timeout_at(begun + GRACE + arrived, body.frame()).await else {
                return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body arrives too slowly"));
            };
            let Some(frame) = frame else { break };
            let frame = frame.map_err(|_| Problem::bad("the body broke off"))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > max {
                return Err(too_large(max));
            }
            share.take(data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(ReadBody { bytes: bytes.freeze(), _share: share })
    }

    /// Returns an empty share of the budget, for a client.
    fn share(&self, client: Option<IpAddr>) -> Share {
        Share { of: self.clone(), client: client.map(host), bytes: 0 }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Share {
    /// Adds bytes to the share.
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        let mut held = self.of.held();
        let of_client = held.of_clients.get(&self.client).copied().unwrap_or_default();
        if held.bytes + bytes > self.of.0.all_max || of_client + bytes > self.of.0.all_max / 2 {
            return Err(Problem::busy("too many bytes are being worked on; try again"));
        }
        held.bytes += bytes;
        *held.of_clients.entry(self.client).or_default() += bytes;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.of.held();
        held.bytes -= self.bytes;
        if let Some(of_client) = held.of_clients.get_mut(&self.client) {
            *of_client -= self.bytes;
            if *of_client == 0 {
                held.of_clients.remove(&self.client);
            }
        }
    }
}

pub(crate) fn too_large(max: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body may have at most {max} bytes"))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures::stream;

    use super::*;

    fn bodies(body_bytes_max: usize, bodies_bytes_max: usize) -> Bodies {
        Bodies::new(&Config {
            body_bytes_max,
            bodies_bytes_max,
            body_bytes_per_second_min: 100,
            ..Config::default()
        })
    }

    fn client(last: u8) -> Option<IpAddr> {
        Some(Ipv4Addr::new(192, 0, 2, last).into())
    }

    async fn read(bodies: &Bodies, last: u8, body: impl Into<Body>) -> Result<ReadBody, Problem> {
        bodies.read(client(last), &HeaderMap::new(), body.into(), usize::MAX).await
    }

    #[tokio::test]
    async fn one_client_gets_half_of_the_bytes_and_gives_them_back() {
        let bodies = bodies(40, 100);
        let first = read(&bodies, 1, vec![0; 40]).await.unwrap();
        assert_eq!(first.bytes().len(), 40);
        let refused = read(&bodies, 1, vec![0; 11]).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        let second = read(&bodies, 2, vec![0; 40]).await.unwrap();
        assert_eq!(read(&bodies, 3, vec![0; 21]).await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop((first, second));
        assert!(bodies.held().of_clients.is_empty() && bodies.held().bytes == 0);
        read(&bodies, 1, vec![0; 40]).await.unwrap();
    }

    #[tokio::test]
    async fn all_addresses_of_a_64_are_one_client() {
        let bodies = bodies(50, 100);
        let read = async |address: &str| {
            bodies.read(address.parse().ok(), &HeaderMap::new(), vec![0; 30].into(), usize::MAX).await
        };
        let first = read("2001:db8::1").await.unwrap();
        assert_eq!(read("2001:db8::2").await.unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        let other = read("2001:db8:0:1::1").await.unwrap();
        drop((first, other));
        assert!(bodies.held().of_clients.is_empty());
    }

    #[tokio::test]
    async fn a_body_that_is_too_large_is_refused_by_its_announcement_and_by_its_bytes() {
        let bodies = bodies(40, 100);
        assert_eq!(read(&bodies, 1, vec![0; 41]).await.unwrap_err().status, StatusCode::PAYLOAD_TOO_LARGE);
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_LENGTH, 41.into());
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let refused = bodies.read(client(1), &headers, never, usize::MAX).await.unwrap_err();
        assert_eq!(refused.status, StatusCode::PAYLOAD_TOO_LARGE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_ends() {
        let bodies = bodies(1 << 20, 4 << 20);
        let never = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
        let begun = Instant::now();
        assert_eq!(read(&bodies, 1, never).await.unwrap_err().status, StatusCode::REQUEST_TIMEOUT);
        assert_eq!(begun.elapsed(), GRACE);
    }
}
