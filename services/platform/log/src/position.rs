//! Positions in a log, and the identifiers of a log and of its state.

use std::fmt;

/// The position of a change: 1, 2, 3 and so on without gaps, in commit order. 0 is before the first change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The position before the first change.
    pub const ZERO: Self = Self(0);

    /// Returns the position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// Returns the position before this one; [`Self::ZERO`] for itself.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The id of a log, drawn at random when it begins. A follower never mistakes another log for its own.
///
/// Sequences do not suffice: a new log soon passes every number of an old one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub [u8; 16]);

/// A value of the chain, which depends on every change up to the end of one batch. [`crate::Link`] computes
/// it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Chain(pub [u8; 32]);

impl Chain {
    /// The chain of an empty log.
    pub const GENESIS: Self = Self([0; 32]);
}

/// The BLAKE3-256 of the stored bytes of one change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

/// Prints bytes as hexadecimal digits.
macro_rules! hexadecimal {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    )*};
}

hexadecimal!(LogId, Chain, Digest);

/// A position in one log: every change up to it, and none after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The log.
    pub log: LogId,
    /// The last change.
    pub sequence: Sequence,
    /// The chain as of the last change, if it is known, which it is at the ends of batches. It distinguishes
    /// a log from one that was restored from a backup and has continued differently.
    pub chain: Option<Chain>,
}

/// The part of the changes that a follower asks for: those whose partition has a given remainder, and those
/// without a partition, which concern every slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    number: u16,
    count: u16,
}

impl Slice {
    /// Every change.
    pub const ALL: Self = Self { number: 0, count: 1 };

    /// Returns the slice of the partitions with `partition % count == number`; `None` unless `number <
    /// count`.
    #[must_use]
    pub const fn new(number: u16, count: u16) -> Option<Self> {
        if number < count { Some(Self { number, count }) } else { None }
    }

    /// Returns the remainder.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.number
    }

    /// Returns the divisor, at least 1.
    #[must_use]
    pub const fn count(self) -> u16 {
        self.count
    }

    /// Returns whether a change of this partition is in the slice.
    #[must_use]
    pub fn has(self, partition: Option<u16>) -> bool {
        partition.is_none_or(|partition| partition % self.count == self.number)
    }
}

/// Wall time in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnixMillis(pub u64);
