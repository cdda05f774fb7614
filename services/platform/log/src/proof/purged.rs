//! The set of purged changes, in bounded memory.

use std::fmt;

use crate::position::Sequence;

/// The most stretches that are kept; the changes of later ones are only counted.
const STRETCHES_MAX: usize = 100;

/// The purged changes of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    count: u64,
    named: u64,
    stretches: Vec<(Sequence, Sequence)>,
}

impl Purged {
    /// Returns the number of purged changes.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Returns the purged changes as stretches, each from its first to its last change. The first hundred
    /// stretches are kept.
    #[must_use]
    pub fn stretches(&self) -> &[(Sequence, Sequence)] {
        &self.stretches
    }

    /// Adds a change that comes after all others.
    pub(crate) fn add(&mut self, sequence: Sequence) {
        self.count += 1;
        let full = self.stretches.len() == STRETCHES_MAX;
        match self.stretches.last_mut() {
            Some((_, last)) if last.next() == sequence => *last = sequence,
            Some(_) if full => return,
            Some(_) | None => self.stretches.push((sequence, sequence)),
        }
        self.named += 1;
    }
}

/// Lists the changes: `5, 17 to 19`, with `and 12 more` if not all are kept.
impl fmt::Display for Purged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (first, last)) in self.stretches.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            if first == last { write!(f, "{first}")? } else { write!(f, "{first} to {last}")? }
        }
        let more = self.count - self.named;
        if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purged_changes_are_named_in_stretches_and_then_counted() {
        let mut purged = Purged::default();
        assert_eq!((purged.to_string(), purged.count()), (String::new(), 0));
        for sequence in [5, 17, 18, 19, 30] {
            purged.add(Sequence(sequence));
        }
        assert_eq!((purged.to_string().as_str(), purged.count()), ("5, 17 to 19, 30", 5));
        for sequence in 50..200 {
            purged.add(Sequence(sequence * 2));
        }
        assert_eq!((purged.stretches().len(), purged.count()), (100, 155));
        assert!(purged.to_string().ends_with(", 292 and 53 more"), "{purged}");
    }
}
