//! A charter: what a bank asks of its contributors, and what it keeps.

use thiserror::Error;

use crate::text::is_word;

/// A bank's demands on contributors and its terms, checked against the bounds below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charter {
    taxonomies: Box<[Box<str>]>,
    two_person_items: u32,
    purge_hours: u16,
}

/// A charter before it is checked.
#[derive(Debug, Clone, Default)]
pub struct CharterDraft {
    /// The taxonomies that items take their classification from; none for any.
    pub taxonomies: Vec<String>,
    /// A removal of this many items or more needs two people; 0 for never.
    pub two_person_items: u32,
    /// Hours until the hash of a withdrawn item is in no file any more; 0 for [`Charter::PURGE_HOURS_DEFAULT`].
    pub purge_hours: u32,
}

/// Why a [`CharterDraft`] is no charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CharterError {
    /// Too many taxonomies.
    #[error("a charter names at most {max} taxonomies, not {0}", max = Charter::TAXONOMIES_MAX)]
    TooManyTaxonomies(usize),
    /// A taxonomy's name is none.
    #[error("a taxonomy's name is 1 to {max} of a-z 0-9 -", max = Charter::TAXONOMY_LEN_MAX)]
    TaxonomyName,
    /// Too many hours.
    #[error("purge_hours is {0}; it must be 1 to {max}, or 0 for {default}", max = Charter::PURGE_HOURS_MAX, default = Charter::PURGE_HOURS_DEFAULT)]
    PurgeHours(u32),
}

impl CharterError {
    /// The field of the draft that is at fault.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::TooManyTaxonomies(_) | Self::TaxonomyName => "taxonomies",
            Self::PurgeHours(_) => "purge_hours",
        }
    }
}

impl Charter {
    /// Taxonomies of one bank.
    pub const TAXONOMIES_MAX: usize = 8;
    /// The longest name of a taxonomy, in bytes.
    pub const TAXONOMY_LEN_MAX: usize = 32;
    /// Three days: the longest that the programmes we know give to a withdrawal.
    pub const PURGE_HOURS_DEFAULT: u16 = 72;
    /// A year.
    pub const PURGE_HOURS_MAX: u16 = 8_760;

    /// The taxonomies that items take their classification from, sorted; none for any.
    #[must_use]
    pub fn taxonomies(&self) -> &[Box<str>] {
        &self.taxonomies
    }

    /// A removal of this many items or more needs two people; `None` for never.
    #[must_use]
    pub fn two_person_items(&self) -> Option<u32> {
        (self.two_person_items > 0).then_some(self.two_person_items)
    }

    /// Hours until the hash of a withdrawn item is in no file any more.
    #[must_use]
    pub const fn purge_hours(&self) -> u16 {
        self.purge_hours
    }
}

impl Default for Charter {
    fn default() -> Self {
        Self { taxonomies: Box::default(), two_person_items: 0, purge_hours: Self::PURGE_HOURS_DEFAULT }
    }
}

impl TryFrom<CharterDraft> for Charter {
    type Error = CharterError;

    fn try_from(draft: CharterDraft) -> Result<Self, CharterError> {
        let CharterDraft { mut taxonomies, two_person_items, purge_hours } = draft;
        if taxonomies.len() > Self::TAXONOMIES_MAX {
            return Err(CharterError::TooManyTaxonomies(taxonomies.len()));
        }
        if !taxonomies.iter().all(|name| is_word(name, Self::TAXONOMY_LEN_MAX)) {
            return Err(CharterError::TaxonomyName);
        }
        taxonomies.sort_unstable();
        taxonomies.dedup();
        let purge_hours = match u16::try_from(purge_hours) {
            Ok(0) => Self::PURGE_HOURS_DEFAULT,
            Ok(hours @ 1..=Self::PURGE_HOURS_MAX) => hours,
            _ => return Err(CharterError::PurgeHours(purge_hours)),
        };
        let taxonomies = taxonomies.into_iter().map(String::into_boxed_str).collect();
        Ok(Self { taxonomies, two_person_items, purge_hours })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_is_enforced() {
        let check = |taxonomies: &[&str], purge_hours| {
            let taxonomies = taxonomies.iter().map(|name| (*name).to_owned()).collect();
            Charter::try_from(CharterDraft { taxonomies, two_person_items: 3, purge_hours })
        };
        let charter = check(&["ncmec", "iwf", "iwf"], 0).unwrap();
        assert_eq!(charter.taxonomies().iter().map(|name| &**name).collect::<Vec<_>>(), ["iwf", "ncmec"]);
        assert_eq!((charter.purge_hours(), charter.two_person_items()), (72, Some(3)));
        assert_eq!(check(&["a"; 9], 1), Err(CharterError::TooManyTaxonomies(9)));
        assert_eq!(check(&["A"], 1), Err(CharterError::TaxonomyName));
        assert_eq!(check(&[], 8_761), Err(CharterError::PurgeHours(8_761)));
        assert_eq!(Charter::default(), Charter::try_from(CharterDraft::default()).unwrap());
    }
}
