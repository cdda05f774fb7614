//! The contradictions between feed and shard that make a shard useless.

use thiserror::Error;
use vigie_model::{LogId, Sequence, SetDigest};

/// A change or digest of the feed contradicts the state of the shard. The shard is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Contradiction {
    #[error("change {0} names a bank that is not there")]
    NoSuchBank(Sequence),
    #[error("change {0} creates a bank that is there already")]
    BankTwice(Sequence),
    #[error("change {0} removes an item that is not there")]
    NoSuchItem(Sequence),
    #[error("change {0} adds an item whose id is another number")]
    OtherId(Sequence),
    #[error("change {0} belongs to another shard")]
    OtherShard(Sequence),
    #[error("the range is of the log {told}, which is not the one that was followed")]
    OtherLog { told: LogId },
    #[error("as of change {sequence} the shard comes to {own}, and the bank to {told}")]
    Digest { sequence: Sequence, own: SetDigest, told: SetDigest },
    #[error("the range begins after {after}, but {applied} was applied")]
    Gap { after: Sequence, applied: Sequence },
}
