//! Client of the bank's feed.

mod state;

use std::time::Duration;

use tokio::time::Instant;
use tonic::Streaming;
use vigie_model::change::Cursor;
use vigie_model::{FeedRange, ShardIdentity};
use vigie_net::{CallError, Channel, EndpointError, Network, Target};
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::feed_service_client::FeedServiceClient;

pub use self::state::StateStream;

/// The most bytes of a feed message. A change is never split, and an item has at most 64 hashes and 32
/// labels. A state begins with all banks, at most 320 bytes each: 16 MB for 50,000 banks.
const RANGE_BYTES_MAX: usize = 20 << 20;

/// Follows a bank's log.
///
/// Each stream has a connection of its own, opened with the stream. So a follower whose endpoint names
/// several banks leaves a standby: its next attempt goes to another of the name's addresses.
#[derive(Debug, Clone)]
pub struct FeedClient {
    target: Target,
    network: Network,
}

impl FeedClient {
    /// Makes a client of the bank at `endpoint`, such as `http://127.0.0.1:7742`.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Self::new_on(endpoint, &Network::tcp())
    }

    /// Makes a client of the bank at `endpoint`, on another network.
    pub fn new_on(endpoint: &str, network: &Network) -> Result<Self, EndpointError> {
        let target = Target::new("bank", endpoint, network)?;
        Ok(Self { target, network: network.clone() })
    }

    /// Returns the endpoint on a new connection.
    fn connected_anew(&self) -> (Target, FeedServiceClient<Channel>) {
        // The endpoint was valid before.
        let anew = Target::new("bank", self.target.endpoint(), &self.network);
        let target = anew.unwrap_or_else(|_| self.target.clone());
        let stub = FeedServiceClient::new(target.channel()).max_decoding_message_size(RANGE_BYTES_MAX);
        (target, stub)
    }

    /// Opens the stream of a shard's changes after a cursor, or of all changes. It must open by `deadline`,
    /// and then continues without limit.
    ///
    /// `OUT_OF_RANGE`, from this call or from the stream: the bank's log does not continue from the cursor.
    /// The follower must drop its state and start again.
    pub async fn watch(
        &self,
        from: Option<Cursor>,
        identity: ShardIdentity,
        deadline: Instant,
    ) -> Result<FeedStream, CallError> {
        let (target, mut stub) = self.connected_anew();
        let message = pb::WatchRequest::from((from, identity));
        // A timeout of the request would end the stream, so only the opening is bounded.
        let opened = tokio::time::timeout_at(deadline, stub.watch(message)).await;
        let status = match opened {
            Ok(Ok(stream)) => {
                return Ok(FeedStream { target, stream: stream.into_inner() });
            }
            Ok(Err(status)) => status,
            Err(_) => tonic::Status::deadline_exceeded("the feed did not open in time"),
        };
        Err(self.target.failed(status))
    }

    /// Opens the stream of a shard's present state, which must open by `deadline`. The shard then watches
    /// from the cursor at its beginning.
    ///
    /// `UNIMPLEMENTED`: the bank's version has no such stream.
    pub async fn load(&self, identity: ShardIdentity, deadline: Instant) -> Result<StateStream, CallError> {
        let (target, mut stub) = self.connected_anew();
        let opened = tokio::time::timeout_at(deadline, stub.load(pb::LoadRequest::from(identity))).await;
        match opened {
            Ok(Ok(stream)) => Ok(StateStream::new(target, stream.into_inner(), identity)),
            Ok(Err(status)) => Err(self.target.failed(status)),
            Err(_) => {
                Err(self.target.failed(tonic::Status::deadline_exceeded("the state did not open in time")))
            }
        }
    }
}

/// An open stream of changes. Its follower must check that the ranges are contiguous.
#[derive(Debug)]
pub struct FeedStream {
    target: Target,
    stream: Streaming<pb::WatchResponse>,
}

impl FeedStream {
    /// Returns the next range of the log, or an error if none arrives within `silence_max`.
    pub async fn next_within(&mut self, silence_max: Duration) -> Result<FeedRange, CallError> {
        match tokio::time::timeout(silence_max, self.next()).await {
            Ok(next) => next,
            Err(_) => Err(self.target.failed(tonic::Status::unavailable("the feed has fallen silent"))),
        }
    }

    /// Returns the next range of the log. The end of the stream is an error too: the follower should
    /// reconnect after the last range.
    pub async fn next(&mut self) -> Result<FeedRange, CallError> {
        let message = match self.stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(self.target.failed(tonic::Status::unavailable("the feed has ended"))),
            Err(status) => return Err(self.target.failed(status)),
        };
        FeedRange::try_from(message).map_err(|invalid| self.target.unreadable(&invalid))
    }
}
