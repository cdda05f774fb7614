//! Client of the bank's feed.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Streaming;
use tonic::transport::Channel;
use vigie_model::{FeedRange, Sequence, ShardIdentity};
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::feed_service_client::FeedServiceClient;

use crate::error::CallError;
use crate::target::{Target, TargetError};

/// The largest message of the feed: one change is never cut, and an item has at most 64 hashes and 32 labels.
const RANGE_BYTES_MAX: usize = 8 << 20;

/// Follows a bank's log.
#[derive(Debug, Clone)]
pub struct FeedClient {
    target: Target,
    stub: FeedServiceClient<Channel>,
}

impl FeedClient {
    /// The bank at `endpoint`, such as `http://127.0.0.1:7742`.
    pub fn new(endpoint: &str) -> Result<Self, TargetError> {
        let target = Target::new("bank", endpoint)?;
        let stub = FeedServiceClient::new(target.channel()).max_decoding_message_size(RANGE_BYTES_MAX);
        Ok(Self { target, stub })
    }

    /// Opens the stream of a shard's changes after `after`; it has to open by `deadline` and then goes on for ever.
    pub async fn watch(
        &self,
        after: Sequence,
        identity: ShardIdentity,
        deadline: Instant,
    ) -> Result<FeedStream, CallError> {
        let mut stub = self.stub.clone();
        let message = pb::WatchRequest::from((after, identity));
        // A timeout of the request would end the stream, so only the opening is bounded.
        let opened = tokio::time::timeout_at(deadline, stub.watch(message)).await;
        let status = match opened {
            Ok(Ok(stream)) => {
                return Ok(FeedStream {
                    target: self.target.clone(),
                    stream: stream.into_inner(),
                    reached: after,
                });
            }
            Ok(Err(status)) => status,
            Err(_) => tonic::Status::deadline_exceeded("the feed did not open in time"),
        };
        Err(self.target.failed(status))
    }
}

/// An open stream of changes, proven to be without gaps.
#[derive(Debug)]
pub struct FeedStream {
    target: Target,
    stream: Streaming<pb::WatchResponse>,
    reached: Sequence,
}

impl FeedStream {
    /// The next range of the log, or a failure if none comes within `silence_max`.
    pub async fn next_within(&mut self, silence_max: Duration) -> Result<FeedRange, CallError> {
        match tokio::time::timeout(silence_max, self.next()).await {
            Ok(next) => next,
            Err(_) => Err(self.target.failed(tonic::Status::unavailable("the feed has fallen silent"))),
        }
    }

    /// The next range of the log. An end of the stream is an error like any other: reconnect after the last range.
    ///
    /// A range that does not begin where the one before it ended is refused: the follower would miss changes.
    pub async fn next(&mut self) -> Result<FeedRange, CallError> {
        let message = match self.stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(self.target.failed(tonic::Status::unavailable("the feed has ended"))),
            Err(status) => return Err(self.target.failed(status)),
        };
        let range = FeedRange::try_from(message).map_err(|invalid| self.target.unreadable(&invalid))?;
        if range.after != self.reached {
            let gap = format!("the feed goes on after {}, but {} was reached", range.after, self.reached);
            return Err(self.target.failed(tonic::Status::data_loss(gap)));
        }
        self.reached = range.through;
        Ok(range)
    }
}
