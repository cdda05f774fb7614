//! The thresholds of suppression, and the published numbers.

use std::fmt;

use serde::{Serialize, Serializer};

/// The thresholds of suppression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// The smallest number that is shown.
    pub threshold: u64,
    /// The smallest number of members that contribute to a shown total.
    pub members_min: usize,
}

impl Default for Rule {
    /// Returns the threshold ten, and three members: with two, each could compute the other's number.
    fn default() -> Self {
        Self { threshold: 10, members_min: 3 }
    }
}

/// A number of a published table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cell {
    /// The number is shown.
    Shown(u64),
    /// The number is not shown.
    Suppressed,
}

impl Cell {
    /// Returns the number, if it is shown.
    #[must_use]
    pub const fn shown(self) -> Option<u64> {
        match self {
            Self::Shown(number) => Some(number),
            Self::Suppressed => None,
        }
    }

    /// Checks whether the number is not shown.
    #[must_use]
    pub const fn is_suppressed(self) -> bool {
        matches!(self, Self::Suppressed)
    }

    /// Adds two numbers; the sum is shown if both are.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        match (self, other) {
            (Self::Shown(one), Self::Shown(other)) => Self::Shown(one.saturating_add(other)),
            (Self::Suppressed, _) | (_, Self::Suppressed) => Self::Suppressed,
        }
    }
}

/// Writes the number, or `suppressed`.
impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shown(number) => number.fmt(f),
            Self::Suppressed => f.pad("suppressed"),
        }
    }
}

/// Serialised as the number, or as null if it is suppressed.
impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.shown().serialize(serializer)
    }
}
