//! A bank: a named collection of known items.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::match_ratio::MatchRatio;
use super::member::MemberId;
use crate::sequence::UnixMillis;

/// The id of a bank: 1, 2, 3 ... in order of creation, never reused, and unchanged when the bank is renamed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BankId(pub u32);

impl fmt::Display for BankId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of a bank: 1 to 255 characters of `A-Z a-z 0-9 . _ -`, beginning with a letter, a digit or `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BankName(Box<str>);

/// The text is not a valid [`BankName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a bank name is 1 to 255 of A-Z a-z 0-9 . _ - and begins with a letter, a digit or _")]
pub struct BankNameError;

impl BankName {
    /// The largest length of a name, in bytes.
    pub const LEN_MAX: usize = 255;

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for BankName {
    type Err = BankNameError;

    fn from_str(text: &str) -> Result<Self, BankNameError> {
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let fits = text.len() <= Self::LEN_MAX
            && text.as_bytes().first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
            && text.as_bytes().iter().all(inner);
        if fits { Ok(Self(text.into())) } else { Err(BankNameError) }
    }
}

impl fmt::Display for BankName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A bank as the bank service stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bank {
    /// The bank's id.
    pub id: BankId,
    /// The member that owns the bank.
    pub owner: MemberId,
    /// The bank's name, unique among the existing banks of its owner.
    pub name: BankName,
    /// Whether the bank's items are searched. A disabled bank keeps its items.
    pub enabled: bool,
    /// The time of creation, by the bank service's clock.
    pub created_at: UnixMillis,
    /// The number of items in the bank.
    pub item_count: u64,
    /// The number of hashes of the bank's items.
    pub hash_count: u64,
    /// The share of lookups over the HMA-compatible API that include the bank.
    pub match_ratio: MatchRatio,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked() {
        for good in ["a", "Terror-2024", "x.y_z", "_A", "_", &"n".repeat(255)] {
            assert_eq!(good.parse::<BankName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".", "a b", "é", "a/b", &"n".repeat(256)] {
            assert_eq!(bad.parse::<BankName>(), Err(BankNameError), "{bad}");
        }
    }
}
