//! A charter: what a bank asks of its contributors, what it does by itself, and what it keeps.

use thiserror::Error;
use vigie_model::BankId;

use crate::text::is_word;

/// A bank's demands on contributors and its terms, checked against the bounds below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charter {
    taxonomies: Box<[Box<str>]>,
    two_person_items: u32,
    purge_hours: u16,
    confirmations_min: u16,
    hold_on_negatives: u16,
    shadow: bool,
    suppresses: Box<[BankId]>,
    dispute_days: u16,
    match_record_days: u16,
    frames_answer_images: bool,
    images_answer_videos: bool,
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
    /// Members, the contributors included, that confirm an item before it matches for others; 0 and 1 for at once.
    pub confirmations_min: u32,
    /// Members that call an item wrong until it is held; 0 for never.
    pub hold_on_negatives: u32,
    /// Matches of the bank are counted and answered to nobody.
    pub shadow: bool,
    /// Banks whose matches a match of this bank takes away.
    pub suppresses: Vec<BankId>,
    /// Days that the owner has to resolve a dispute; 0 for [`Charter::DISPUTE_DAYS_DEFAULT`].
    pub dispute_days: u32,
    /// Days for which matches are recorded; 0 for no records.
    pub match_record_days: u32,
    /// An image that is near a frame of one of the bank's videos matches it.
    pub frames_answer_images: bool,
    /// A video with a frame that is near one of the bank's images matches it.
    pub images_answer_videos: bool,
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
    /// More members than there can be.
    #[error("{field} is {members}; it must be at most {max}", max = Charter::MEMBERS_MAX)]
    Members {
        /// The field at fault.
        field: &'static str,
        /// The members that it asks for.
        members: u32,
    },
    /// Too many suppressed banks.
    #[error("a bank suppresses at most {max} others, not {0}", max = Charter::SUPPRESSES_MAX)]
    TooManySuppressed(usize),
    /// Too many days.
    #[error("{field} is {days}; it must be at most {max}")]
    Days {
        /// The field at fault.
        field: &'static str,
        /// The days that it asks for.
        days: u32,
        /// The most.
        max: u16,
    },
}

impl CharterError {
    /// The field of the draft that is at fault.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::TooManyTaxonomies(_) | Self::TaxonomyName => "taxonomies",
            Self::PurgeHours(_) => "purge_hours",
            Self::TooManySuppressed(_) => "suppresses",
            Self::Members { field, .. } | Self::Days { field, .. } => field,
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
    /// Members that a charter can ask for: as many as a deployment may have.
    pub const MEMBERS_MAX: u16 = 1_000;
    /// Banks that one bank suppresses.
    pub const SUPPRESSES_MAX: usize = 64;
    /// Two weeks.
    pub const DISPUTE_DAYS_DEFAULT: u16 = 14;
    /// A quarter.
    pub const DISPUTE_DAYS_MAX: u16 = 90;
    /// Two years.
    pub const MATCH_RECORD_DAYS_MAX: u16 = 730;

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

    /// Members, the contributors included, that confirm an item before it matches for others; `None` for at once.
    #[must_use]
    pub fn confirmations_min(&self) -> Option<u16> {
        (self.confirmations_min > 1).then_some(self.confirmations_min)
    }

    /// Members that call an item wrong until it is held; `None` for never.
    #[must_use]
    pub fn hold_on_negatives(&self) -> Option<u16> {
        (self.hold_on_negatives > 0).then_some(self.hold_on_negatives)
    }

    /// Whether matches of the bank are counted and answered to nobody.
    #[must_use]
    pub const fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// Banks whose matches a match of this bank takes away, ascending.
    #[must_use]
    pub fn suppresses(&self) -> &[BankId] {
        &self.suppresses
    }

    /// Days that the owner has to resolve a dispute.
    #[must_use]
    pub const fn dispute_days(&self) -> u16 {
        self.dispute_days
    }

    /// Days for which matches are recorded; `None` for no records.
    #[must_use]
    pub fn match_record_days(&self) -> Option<u16> {
        (self.match_record_days > 0).then_some(self.match_record_days)
    }

    /// Whether an image that is near a frame of one of the bank's videos matches it.
    #[must_use]
    pub const fn frames_answer_images(&self) -> bool {
        self.frames_answer_images
    }

    /// Whether a video with a frame that is near one of the bank's images matches it.
    #[must_use]
    pub const fn images_answer_videos(&self) -> bool {
        self.images_answer_videos
    }

    /// The charter as a draft, to be changed.
    #[must_use]
    pub fn draft(&self) -> CharterDraft {
        CharterDraft {
            taxonomies: self.taxonomies.iter().map(ToString::to_string).collect(),
            two_person_items: self.two_person_items,
            purge_hours: self.purge_hours.into(),
            confirmations_min: self.confirmations_min.into(),
            hold_on_negatives: self.hold_on_negatives.into(),
            shadow: self.shadow,
            suppresses: self.suppresses.to_vec(),
            dispute_days: self.dispute_days.into(),
            match_record_days: self.match_record_days.into(),
            frames_answer_images: self.frames_answer_images,
            images_answer_videos: self.images_answer_videos,
        }
    }

    /// Whether the charter says nothing of opinions, disputes, suppression, shadow, records and videos, as those of earlier versions.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        let plain = Self::default();
        let Self { taxonomies, two_person_items, purge_hours, .. } = self.clone();
        *self == Self { taxonomies, two_person_items, purge_hours, ..plain }
    }
}

impl Default for Charter {
    fn default() -> Self {
        Self {
            taxonomies: Box::default(),
            two_person_items: 0,
            purge_hours: Self::PURGE_HOURS_DEFAULT,
            confirmations_min: 0,
            hold_on_negatives: 0,
            shadow: false,
            suppresses: Box::default(),
            dispute_days: Self::DISPUTE_DAYS_DEFAULT,
            match_record_days: 0,
            frames_answer_images: false,
            images_answer_videos: false,
        }
    }
}

impl TryFrom<CharterDraft> for Charter {
    type Error = CharterError;

    fn try_from(draft: CharterDraft) -> Result<Self, CharterError> {
        let CharterDraft { mut taxonomies, two_person_items, purge_hours, .. } = draft;
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
        let mut suppresses = draft.suppresses;
        if suppresses.len() > Self::SUPPRESSES_MAX {
            return Err(CharterError::TooManySuppressed(suppresses.len()));
        }
        suppresses.sort_unstable();
        suppresses.dedup();
        let dispute_days = match draft.dispute_days {
            0 => Self::DISPUTE_DAYS_DEFAULT,
            days => days_of("dispute_days", days, Self::DISPUTE_DAYS_MAX)?,
        };
        Ok(Self {
            taxonomies,
            two_person_items,
            purge_hours,
            confirmations_min: members_of("confirmations_min", draft.confirmations_min)?,
            hold_on_negatives: members_of("hold_on_negatives", draft.hold_on_negatives)?,
            shadow: draft.shadow,
            suppresses: suppresses.into(),
            dispute_days,
            match_record_days: days_of(
                "match_record_days",
                draft.match_record_days,
                Self::MATCH_RECORD_DAYS_MAX,
            )?,
            frames_answer_images: draft.frames_answer_images,
            images_answer_videos: draft.images_answer_videos,
        })
    }
}

fn members_of(field: &'static str, members: u32) -> Result<u16, CharterError> {
    let checked = u16::try_from(members).ok().filter(|members| *members <= Charter::MEMBERS_MAX);
    checked.ok_or(CharterError::Members { field, members })
}

fn days_of(field: &'static str, days: u32, max: u16) -> Result<u16, CharterError> {
    let checked = u16::try_from(days).ok().filter(|days| *days <= max);
    checked.ok_or(CharterError::Days { field, days, max })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes a draft wrong.
    type Edit = fn(&mut CharterDraft);

    #[test]
    fn every_bound_is_enforced() {
        let check = |taxonomies: &[&str], purge_hours| {
            let taxonomies = taxonomies.iter().map(|name| (*name).to_owned()).collect();
            let draft =
                CharterDraft { taxonomies, two_person_items: 3, purge_hours, ..CharterDraft::default() };
            Charter::try_from(draft)
        };
        let charter = check(&["ncmec", "iwf", "iwf"], 0).unwrap();
        assert_eq!(charter.taxonomies().iter().map(|name| &**name).collect::<Vec<_>>(), ["iwf", "ncmec"]);
        assert_eq!((charter.purge_hours(), charter.two_person_items()), (72, Some(3)));
        assert_eq!(check(&["a"; 9], 1), Err(CharterError::TooManyTaxonomies(9)));
        assert_eq!(check(&["A"], 1), Err(CharterError::TaxonomyName));
        assert_eq!(check(&[], 8_761), Err(CharterError::PurgeHours(8_761)));
        assert_eq!(Charter::default(), Charter::try_from(CharterDraft::default()).unwrap());
        assert!(charter.is_plain());
        let edited = |edit: fn(&mut CharterDraft)| {
            let mut draft = CharterDraft::default();
            edit(&mut draft);
            Charter::try_from(draft)
        };
        let several = edited(|draft| {
            draft.suppresses = [9, 3, 9].map(BankId).into();
            (draft.confirmations_min, draft.hold_on_negatives, draft.match_record_days) = (2, 3, 180);
        });
        let several = several.unwrap();
        assert_eq!(several.suppresses(), [BankId(3), BankId(9)]);
        assert_eq!((several.confirmations_min(), several.hold_on_negatives()), (Some(2), Some(3)));
        assert_eq!((several.dispute_days(), several.match_record_days()), (14, Some(180)));
        assert!(!several.is_plain());
        assert_eq!(Charter::try_from(several.draft()), Ok(several));
        assert_eq!(edited(|draft| draft.confirmations_min = 1).unwrap().confirmations_min(), None);
        let faults: [(Edit, &str); 5] = [
            (|draft| draft.confirmations_min = 1_001, "confirmations_min"),
            (|draft| draft.hold_on_negatives = 70_000, "hold_on_negatives"),
            (|draft| draft.suppresses = (0..65).map(BankId).collect(), "suppresses"),
            (|draft| draft.dispute_days = 91, "dispute_days"),
            (|draft| draft.match_record_days = 731, "match_record_days"),
        ];
        for (edit, field) in faults {
            assert_eq!(edited(edit).unwrap_err().field(), field);
        }
    }
}
