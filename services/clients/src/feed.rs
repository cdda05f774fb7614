//! Client of the bank's feed.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Streaming;
use tonic::transport::Channel;
use vigie_model::change::{Cursor, LogId};
use vigie_model::{FeedRange, Sequence, ShardIdentity};
use vigie_net::{CallError, EndpointError, Network, Target};
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::feed_service_client::FeedServiceClient;

use crate::state::StateStream;

/// The largest message of the feed: one change is never cut, and an item has at most 64 hashes and 32 labels. A state
/// begins with all banks, some 120 bytes each.
const RANGE_BYTES_MAX: usize = 8 << 20;

/// Follows a bank's log.
#[derive(Debug, Clone)]
pub struct FeedClient {
    target: Target,
    stub: FeedServiceClient<Channel>,
}

impl FeedClient {
    /// The bank at `endpoint`, such as `http://127.0.0.1:7742`.
    pub fn new(endpoint: &str) -> Result<Self, EndpointError> {
        Self::new_on(endpoint, &Network::tcp())
    }

    /// The same on another network.
    pub fn new_on(endpoint: &str, network: &Network) -> Result<Self, EndpointError> {
        let target = Target::new("bank", endpoint, network)?;
        let stub = FeedServiceClient::new(target.channel()).max_decoding_message_size(RANGE_BYTES_MAX);
        Ok(Self { target, stub })
    }

    /// Opens the stream of a shard's changes after a cursor, or of all; it has to open by `deadline` and then goes on
    /// for ever.
    ///
    /// `OUT_OF_RANGE`, from here or from the stream: the bank's log does not go on from the cursor. Drop what was
    /// built from it, and begin anew.
    pub async fn watch(
        &self,
        from: Option<Cursor>,
        identity: ShardIdentity,
        deadline: Instant,
    ) -> Result<FeedStream, CallError> {
        let mut stub = self.stub.clone();
        let message = pb::WatchRequest::from((from, identity));
        // A timeout of the request would end the stream, so only the opening is bounded.
        let opened = tokio::time::timeout_at(deadline, stub.watch(message)).await;
        let status = match opened {
            Ok(Ok(stream)) => {
                return Ok(FeedStream {
                    target: self.target.clone(),
                    stream: stream.into_inner(),
                    reached: from.into(),
                });
            }
            Ok(Err(status)) => status,
            Err(_) => tonic::Status::deadline_exceeded("the feed did not open in time"),
        };
        Err(self.target.failed(status))
    }

    /// Opens the stream of a shard's present state, which has to open by `deadline`. The shard then watches from the
    /// cursor that it begins with.
    ///
    /// `UNIMPLEMENTED`: the bank is of a version that has no such stream.
    pub async fn load(&self, identity: ShardIdentity, deadline: Instant) -> Result<StateStream, CallError> {
        let mut stub = self.stub.clone();
        let opened = tokio::time::timeout_at(deadline, stub.load(pb::LoadRequest::from(identity))).await;
        match opened {
            Ok(Ok(stream)) => Ok(StateStream::new(self.target.clone(), stream.into_inner(), identity)),
            Ok(Err(status)) => Err(self.target.failed(status)),
            Err(_) => {
                Err(self.target.failed(tonic::Status::deadline_exceeded("the state did not open in time")))
            }
        }
    }
}

/// An open stream of changes, proven to be without gaps.
#[derive(Debug)]
pub struct FeedStream {
    target: Target,
    stream: Streaming<pb::WatchResponse>,
    reached: Reached,
}

/// How far a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Reached {
    /// The stream's log; the first range tells it where no cursor did.
    log: Option<LogId>,
    sequence: Sequence,
    /// The chain as of it, where it is known.
    chain: Option<[u8; 32]>,
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
    /// A range that does not begin where the one before it ended is refused: the follower would miss changes. So is
    /// one of another log, whose changes have nothing to do with what the follower has.
    pub async fn next(&mut self) -> Result<FeedRange, CallError> {
        let message = match self.stream.message().await {
            Ok(Some(message)) => message,
            Ok(None) => return Err(self.target.failed(tonic::Status::unavailable("the feed has ended"))),
            Err(status) => return Err(self.target.failed(status)),
        };
        let range = FeedRange::try_from(message).map_err(|invalid| self.target.unreadable(&invalid))?;
        self.reached.take(&range).map_err(|status| self.target.failed(status))?;
        Ok(range)
    }
}

impl From<Option<Cursor>> for Reached {
    fn from(from: Option<Cursor>) -> Self {
        Self {
            log: from.map(|cursor| cursor.log),
            sequence: from.map_or(Sequence::ZERO, |cursor| cursor.sequence),
            chain: from.and_then(|cursor| cursor.chain),
        }
    }
}

impl Reached {
    /// Goes on to the end of a range, if it joins.
    fn take(&mut self, range: &FeedRange) -> Result<(), tonic::Status> {
        let Self { log, sequence, chain } = *self;
        if let Some(log) = log.filter(|log| *log != range.log) {
            let other = format!("the feed is of the log {}, and the follower is of {log}", range.log);
            return Err(tonic::Status::out_of_range(other));
        }
        if range.after != sequence {
            let gap = format!("the feed goes on after {}, but {sequence} was reached", range.after);
            return Err(tonic::Status::data_loss(gap));
        }
        if range.through == sequence && chain.zip(range.chain).is_some_and(|(known, told)| known != told) {
            let other = format!("the log has another chain at {sequence}: it was restored from a backup");
            return Err(tonic::Status::out_of_range(other));
        }
        *self = Some(range.end()).into();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    fn range(log: u8, after: u64, through: u64, chain: Option<u8>) -> FeedRange {
        FeedRange {
            log: LogId([log; 16]),
            after: Sequence(after),
            through: Sequence(through),
            head: Sequence(through),
            chain: chain.map(|byte| [byte; 32]),
            changes: Vec::new(),
            digest: None,
        }
    }

    #[track_caller]
    fn check(from: Option<Cursor>, ranges: &[FeedRange], expected: Result<(), Code>) {
        let mut reached = Reached::from(from);
        let (last, before) = ranges.split_last().unwrap();
        for range in before {
            reached.take(range).unwrap();
        }
        assert_eq!(reached.take(last).map_err(|status| status.code()), expected);
    }

    #[test]
    fn ranges_of_one_log_join() {
        check(None, &[range(1, 0, 0, None), range(1, 0, 4, Some(9)), range(1, 4, 4, Some(9))], Ok(()));
        check(Some(range(1, 0, 4, Some(9)).end()), &[range(1, 4, 4, None), range(1, 4, 7, Some(8))], Ok(()));
    }

    #[test]
    fn a_gap_is_refused() {
        check(None, &[range(1, 0, 4, None), range(1, 5, 6, None)], Err(Code::DataLoss));
        check(None, &[range(1, 1, 4, None)], Err(Code::DataLoss));
    }

    #[test]
    fn a_range_of_another_log_is_refused() {
        check(None, &[range(1, 0, 4, None), range(2, 4, 6, None)], Err(Code::OutOfRange));
        check(Some(range(1, 0, 4, None).end()), &[range(2, 4, 6, None)], Err(Code::OutOfRange));
    }

    #[test]
    fn another_chain_at_the_same_place_is_refused() {
        let from = Some(range(1, 0, 4, Some(9)).end());
        check(from, &[range(1, 4, 4, Some(8))], Err(Code::OutOfRange));
    }
}
