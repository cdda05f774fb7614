//! The names by which callers refer to banks.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::bank::BankName;
use super::member::MemberName;

/// A bank as a caller names it: `owner/name`, or a plain name, which is that of one of its own banks or an
/// alias.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BankRef {
    /// The owner, if it is named.
    pub owner: Option<MemberName>,
    /// The name, or an alias.
    pub name: BankName,
}

/// The text is not a valid name of a bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "a bank is called NAME or OWNER/NAME; a name is 1 to 255 of A-Z a-z 0-9 . _ - and begins with a letter, a digit or _"
)]
pub struct BankRefError;

impl BankRef {
    /// Returns the length of the name as text, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.name.as_str().len() + self.owner.as_ref().map_or(0, |owner| owner.as_str().len() + 1)
    }
}

impl FromStr for BankRef {
    type Err = BankRefError;

    fn from_str(text: &str) -> Result<Self, BankRefError> {
        let (owner, name) = match text.split_once('/') {
            Some((owner, name)) => (Some(owner.parse().map_err(|_| BankRefError)?), name),
            None => (None, text),
        };
        Ok(Self { owner, name: name.parse().map_err(|_| BankRefError)? })
    }
}

impl From<&BankName> for BankRef {
    fn from(name: &BankName) -> Self {
        name.clone().into()
    }
}

impl From<&Self> for BankRef {
    fn from(name: &Self) -> Self {
        name.clone()
    }
}

impl From<BankName> for BankRef {
    fn from(name: BankName) -> Self {
        Self { owner: None, name }
    }
}

impl fmt::Display for BankRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.owner {
            Some(owner) => write!(f, "{owner}/{}", self.name),
            None => self.name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn banks_are_named_with_and_without_an_owner() {
        for good in ["known", "acme/known", "a-1/X.y_z", "_KNOWN", "acme/_"] {
            assert_eq!(good.parse::<BankRef>().unwrap().to_string(), good);
        }
        for bad in ["", "/", "acme/", "/known", "Acme/known", "a/b/c", "acme/-x", "a b"] {
            assert_eq!(bad.parse::<BankRef>(), Err(BankRefError), "{bad}");
        }
    }
}
