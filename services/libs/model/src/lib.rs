//! The words of the domain as types: ids, hashes, distances, sequences, coverage.
//!
//! Every crate of the project speaks in these types; none of them knows a wire format, a database or a runtime.
//! What is constructed here has been checked: a [`BankName`] is a valid name, a [`Hash`] has the length of its
//! type, a [`MaxDistances`] lies within what the index accepts.
//!
//! A hash is sensitive (it can be partly inverted), so no type here prints one by accident: `Debug` shows the hash
//! type alone, and the digits come only from [`Hash::to_hex`].
//!
//! Reading order: [`hash`], [`fingerprint`], [`bank`], [`item`], [`sequence`], [`shard`], [`change`], [`query`],
//! [`coverage`].

pub mod hash;
pub mod fingerprint;
pub mod bank;
pub mod item;
pub mod sequence;
pub mod shard;
pub mod change;
pub mod query;
pub mod coverage;

pub use bank::{Bank, BankId, BankName, BankNameError};
pub use change::{Change, ChangeKind};
pub use coverage::{Coverage, MinCoverage, MinCoverageError, ShardFailure};
pub use fingerprint::{ImageFingerprint, Quality, QualityError, Variant};
pub use hash::{Distance, Hash, HashError, HashType, Md5Hash, PdqHash, Sha256Hash};
pub use item::{Item, ItemContent, ItemContentError, ItemDraft, ItemId};
pub use query::{
    Limit, LimitError, Match, MaxDistanceError, MaxDistances, Query, QueryHash, QueryMatches, SearchOptions,
};
pub use sequence::{Sequence, UnixMillis};
pub use shard::{Partition, ShardCount, ShardId, ShardIdentity, ShardIdentityError};
