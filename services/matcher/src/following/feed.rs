//! The bank's feed and the bank's present state, as sources for a follower.

use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{CallError, Code, FeedClient, FeedStream, StateStream};
use vigie_follow::{LogId, Place, Position, Source, SourceError, Stream, Stretch};
use vigie_model::{Cursor, FeedRange, Sequence, ShardIdentity, StatePart};

/// Converts a cursor to the follower's type.
pub(crate) fn place(cursor: Cursor) -> Place {
    let Cursor { log, sequence, chain } = cursor;
    Place { log: log_id(log), position: Position(sequence.0), chain }
}

fn cursor(place: Place) -> Cursor {
    let Place { log, position, chain } = place;
    let log = vigie_model::LogId(log.0.to_be_bytes());
    Cursor { log, sequence: Sequence(position.0), chain }
}

/// Returns the part of the log that a range covers.
pub(crate) fn stretch(range: &FeedRange) -> Stretch {
    let FeedRange { log, after, through, head, chain, .. } = range;
    let [after, through, head] = [after, through, head].map(|sequence| Position(sequence.0));
    Stretch { log: log_id(*log), after, through, head, chain: *chain }
}

const fn log_id(log: vigie_model::LogId) -> LogId {
    LogId(u128::from_be_bytes(log.0))
}

/// The feed and the state of one shard at the bank.
#[derive(Debug)]
pub(crate) struct BankFeed {
    pub(crate) client: FeedClient,
    pub(crate) identity: ShardIdentity,
}

/// An open feed.
#[derive(Debug)]
pub(crate) struct Ranges(FeedStream);

/// A state that the bank is sending.
#[derive(Debug)]
pub(crate) struct Parts(StateStream);

impl Source for BankFeed {
    type Range = FeedRange;
    type Part = StatePart;
    type Ranges = Ranges;
    type Parts = Parts;

    async fn watch(&self, from: Option<Place>, deadline: Instant) -> Result<Ranges, SourceError> {
        let opened = self.client.watch(from.map(cursor), self.identity, deadline).await;
        opened.map(Ranges).map_err(failed)
    }

    async fn load(&self, deadline: Instant) -> Result<Parts, SourceError> {
        self.client.load(self.identity, deadline).await.map(Parts).map_err(failed)
    }
}

impl Stream for Ranges {
    type Item = FeedRange;

    async fn next_within(&mut self, silence_max: Duration) -> Result<FeedRange, SourceError> {
        self.0.next_within(silence_max).await.map_err(failed)
    }
}

impl Stream for Parts {
    type Item = StatePart;

    async fn next_within(&mut self, silence_max: Duration) -> Result<StatePart, SourceError> {
        self.0.next_within(silence_max).await.map_err(failed)
    }
}

fn failed(error: CallError) -> SourceError {
    let text = error.to_string();
    if error.code() == Code::OutOfRange {
        SourceError::OutOfRange(text)
    } else if error.code() == Code::DataLoss {
        SourceError::Damaged(text)
    } else {
        SourceError::Lost(text)
    }
}
