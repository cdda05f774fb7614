//! Points and stretches of a log, and the check that stretches join.

use std::fmt;

use thiserror::Error;

/// Position of a change in a log: 1, 2, 3 ... without gaps. 0 is before the first change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(pub u64);

impl Position {
    /// The position before the first change.
    pub const ZERO: Self = Self(0);
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The identity of a log. Positions do not distinguish two logs: a new log passes every number that an old
/// one had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogId(pub u128);

/// Formats the id as 32 hexadecimal digits.
impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A point in a log: every change up to it, and none after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The log.
    pub log: LogId,
    /// The last change.
    pub position: Position,
    /// The log's chain as of the last change, if it is known. It distinguishes a log from one that was
    /// restored from a backup and has continued differently.
    pub chain: Option<[u8; 32]>,
}

/// The extent of a range of a log, without its changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// The log.
    pub log: LogId,
    /// The range begins after this change.
    pub after: Position,
    /// The range ends with this change; equal to `after` in a heartbeat.
    pub through: Position,
    /// The newest change of the log when the range was sent.
    pub head: Position,
    /// The log's chain as of `through`, if it is known.
    pub chain: Option<[u8; 32]>,
}

/// The reasons for which a stretch does not continue the last one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Disjoint {
    /// The stretch is of another log.
    #[error("the feed is of the log {received}, and the state is of {own}")]
    OtherLog {
        /// The log that was followed.
        own: LogId,
        /// The log of the stretch.
        received: LogId,
    },
    /// Changes are missing, or occur twice.
    #[error("the feed continues after {after}, but {reached} was reached")]
    Gap {
        /// The beginning of the stretch.
        after: Position,
        /// The end of the stretch before it.
        reached: Position,
    },
    /// The stretch ends before it begins.
    #[error("the feed goes back from {after} to {through}")]
    Backwards {
        /// The beginning of the stretch.
        after: Position,
        /// The end of the stretch.
        through: Position,
    },
    /// The log has another chain at the same position.
    #[error("the log has another chain at {at}: it was restored from a backup")]
    OtherChain {
        /// The position.
        at: Position,
    },
}

impl Disjoint {
    /// Returns whether the log will never continue the state, so that the state must be dropped.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        match self {
            Self::OtherLog { .. } | Self::OtherChain { .. } => true,
            Self::Gap { .. } | Self::Backwards { .. } => false,
        }
    }
}

/// The position that a feed has reached. Checks that each stretch continues the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reached {
    /// The log; `None` until the first stretch names it.
    log: Option<LogId>,
    position: Position,
    chain: Option<[u8; 32]>,
}

impl From<Option<Place>> for Reached {
    fn from(from: Option<Place>) -> Self {
        let Some(Place { log, position, chain }) = from else { return Self::default() };
        Self { log: Some(log), position, chain }
    }
}

impl Reached {
    /// Moves to the end of a stretch, if the stretch continues this position.
    pub fn take(&mut self, stretch: &Stretch) -> Result<(), Disjoint> {
        let Self { log, position, chain } = *self;
        let Stretch { log: received, after, through, chain: received_chain, .. } = *stretch;
        if let Some(own) = log.filter(|own| *own != received) {
            return Err(Disjoint::OtherLog { own, received });
        }
        if after != position {
            return Err(Disjoint::Gap { after, reached: position });
        }
        if through < after {
            return Err(Disjoint::Backwards { after, through });
        }
        let mut next = received_chain;
        if through == position {
            if chain.zip(received_chain).is_some_and(|(known, received)| known != received) {
                return Err(Disjoint::OtherChain { at: position });
            }
            // A heartbeat may omit a chain that is known already.
            next = received_chain.or(chain);
        }
        *self = Self { log: Some(received), position: through, chain: next };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn stretch(log: u128, after: u64, through: u64, chain: Option<u8>) -> Stretch {
        let chain = match chain {
            Some(byte) => Some([byte; 32]),
            None => None,
        };
        let (after, through) = (Position(after), Position(through));
        Stretch { log: LogId(log), after, through, head: through, chain }
    }

    const fn place(position: u64, chain: Option<u8>) -> Option<Place> {
        let Stretch { log, through, chain, .. } = stretch(1, 0, position, chain);
        Some(Place { log, position: through, chain })
    }

    #[track_caller]
    fn check(from: Option<Place>, stretches: &[Stretch], expected: Result<(), Disjoint>) {
        let mut reached = Reached::from(from);
        let (last, before) = stretches.split_last().unwrap();
        for stretch in before {
            reached.take(stretch).unwrap();
        }
        assert_eq!(reached.take(last), expected);
    }

    #[test]
    fn stretches_of_one_log_join() {
        check(None, &[stretch(1, 0, 0, None), stretch(1, 0, 4, Some(9)), stretch(1, 4, 4, Some(9))], Ok(()));
        check(place(4, Some(9)), &[stretch(1, 4, 4, None), stretch(1, 4, 7, Some(8))], Ok(()));
    }

    #[test]
    fn a_gap_is_refused() {
        let gap = |after, reached| Err(Disjoint::Gap { after: Position(after), reached: Position(reached) });
        check(None, &[stretch(1, 0, 4, None), stretch(1, 5, 6, None)], gap(5, 4));
        check(None, &[stretch(1, 0, 4, None), stretch(1, 3, 6, None)], gap(3, 4));
        check(None, &[stretch(1, 1, 4, None)], gap(1, 0));
        let back = Disjoint::Backwards { after: Position(4), through: Position(3) };
        check(place(4, None), &[stretch(1, 4, 3, None)], Err(back));
        assert!(!back.is_final());
    }

    #[test]
    fn a_stretch_of_another_log_is_refused() {
        let other = Disjoint::OtherLog { own: LogId(1), received: LogId(2) };
        check(None, &[stretch(1, 0, 4, None), stretch(2, 4, 6, None)], Err(other));
        check(place(4, None), &[stretch(2, 4, 6, None)], Err(other));
        assert!(other.is_final());
    }

    #[test]
    fn another_chain_at_the_same_position_is_refused() {
        let other = Disjoint::OtherChain { at: Position(4) };
        check(place(4, Some(9)), &[stretch(1, 4, 4, Some(8))], Err(other));
        // The same after a heartbeat without a chain.
        check(place(4, Some(9)), &[stretch(1, 4, 4, None), stretch(1, 4, 4, Some(8))], Err(other));
        assert!(other.is_final());
    }
}
