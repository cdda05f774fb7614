//! The contradictions between feed and shard that make a shard useless.

use thiserror::Error;
use vigie_model::{LogId, Sequence, SetDigest};

/// A change or digest of the feed contradicts the state of the shard. The shard is rebuilt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum Contradiction {
    #[error("change {0} names a bank that does not exist")]
    NoSuchBank(Sequence),
    #[error("change {0} creates a bank that exists already")]
    BankTwice(Sequence),
    #[error("change {0} removes an item that does not exist")]
    NoSuchItem(Sequence),
    #[error("change {0} adds an item whose id is not the number of the change")]
    OtherId(Sequence),
    #[error("change {0} belongs to another shard")]
    OtherShard(Sequence),
    #[error("the range is of log {named}, but the shard follows another log")]
    OtherLog { named: LogId },
    #[error("after change {sequence} the shard's digest is {own}, and the bank's is {bank}")]
    Digest { sequence: Sequence, own: SetDigest, bank: SetDigest },
    #[error("the range begins after {after}, but {applied} was applied")]
    Gap { after: Sequence, applied: Sequence },
}
