//! Sets of at most eight words, stored in one byte.

use std::fmt;
use std::marker::PhantomData;

use thiserror::Error;

/// A word of a small fixed list.
pub trait Flag: Copy + fmt::Debug + Eq + 'static {
    /// All words in order, at most eight.
    const ALL: &'static [Self];

    /// Returns the word's index in [`Self::ALL`].
    fn index(self) -> u8;

    /// Returns the word for commands and scripts, in lower case.
    fn name(self) -> &'static str;

    /// Returns the word with this name.
    #[must_use]
    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|flag| flag.name() == name)
    }
}

/// A set of at least one of the words of `F`.
pub struct Flags<F> {
    bits: u8,
    of: PhantomData<F>,
}

/// The set would be empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("at least one is required")]
pub struct NoFlag;

impl<F: Flag> Flags<F> {
    /// Returns the set of these words; duplicates count once.
    pub fn new(flags: impl IntoIterator<Item = F>) -> Result<Self, NoFlag> {
        let bits = flags.into_iter().fold(0, |bits, flag| bits | 1 << flag.index());
        if bits == 0 { Err(NoFlag) } else { Ok(Self { bits, of: PhantomData }) }
    }

    /// Returns the set of one word.
    #[must_use]
    pub fn one(flag: F) -> Self {
        Self { bits: 1 << flag.index(), of: PhantomData }
    }

    /// Returns the set of all words.
    #[must_use]
    pub fn all() -> Self {
        let bits = F::ALL.iter().fold(0, |bits, flag| bits | 1 << flag.index());
        Self { bits, of: PhantomData }
    }

    /// Whether the word is in the set.
    #[must_use]
    pub fn contains(self, flag: F) -> bool {
        self.bits & 1 << flag.index() != 0
    }

    /// Returns the words in the order of [`Flag::ALL`].
    pub fn iter(self) -> impl Iterator<Item = F> {
        F::ALL.iter().copied().filter(move |flag| self.contains(*flag))
    }

    /// Returns a bit for each word, for digests.
    pub(crate) const fn bits(self) -> u8 {
        self.bits
    }
}

impl<F> Clone for Flags<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Flags<F> {}

impl<F> PartialEq for Flags<F> {
    fn eq(&self, other: &Self) -> bool {
        self.bits == other.bits
    }
}

impl<F> Eq for Flags<F> {}

impl<F: Flag> fmt::Debug for Flags<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Writes the names, separated by commas.
impl<F: Flag> fmt::Display for Flags<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, flag) in self.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            f.write_str(flag.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Capability, Role, Roles};

    fn check<F: Flag>() {
        for (at, flag) in F::ALL.iter().enumerate() {
            assert_eq!(usize::from(flag.index()), at);
            assert_eq!(F::from_name(flag.name()), Some(*flag));
        }
        assert_eq!(Flags::new(F::ALL.iter().copied()), Ok(Flags::<F>::all()));
        assert_eq!(F::from_name(""), None);
    }

    #[test]
    fn words_and_sets_agree() {
        check::<Role>();
        check::<Capability>();
        assert_eq!(Roles::new([]), Err(NoFlag));
        let two = Roles::new([Role::Auditor, Role::Matcher, Role::Auditor]).unwrap();
        assert_eq!(two.iter().collect::<Vec<_>>(), [Role::Matcher, Role::Auditor]);
        assert_eq!(two.to_string(), "matcher,auditor");
        assert!(!two.contains(Role::Operator));
    }
}
