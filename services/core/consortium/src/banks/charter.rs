//! A charter: what a bank requires of its contributors, its automatic actions, and the records that it keeps.

use thiserror::Error;
use vigie_model::{BankId, Distance, HashType};

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
    vector_distances: Box<[(HashType, Distance)]>,
}

/// A charter before it is checked.
#[derive(Debug, Clone, Default)]
pub struct CharterDraft {
    /// The taxonomies that classifications of items may use; empty for any taxonomy.
    pub taxonomies: Vec<String>,
    /// The number of items from which a removal needs two people; 0 for never.
    pub two_person_items: u32,
    /// Hours until no file contains the hash of a withdrawn item any more; 0 for
    /// [`Charter::PURGE_HOURS_DEFAULT`].
    pub purge_hours: u32,
    /// The number of members, contributors included, that must confirm an item before it matches for other
    /// members; with 0 or 1 it matches at once.
    pub confirmations_min: u32,
    /// The number of members with a negative opinion at which an item is held; 0 for never.
    pub hold_on_negatives: u32,
    /// Matches of the bank are counted but never returned to callers.
    pub shadow: bool,
    /// Banks whose matches do not count for a query that also matches this bank (an allow-list).
    pub suppresses: Vec<BankId>,
    /// The number of days that the owner has to resolve a dispute; 0 for [`Charter::DISPUTE_DAYS_DEFAULT`].
    pub dispute_days: u32,
    /// Days for which matches are recorded; 0 for no records.
    pub match_record_days: u32,
    /// An image that is near a frame of one of the bank's videos matches it.
    pub frames_answer_images: bool,
    /// A video with a frame that is near one of the bank's images matches it.
    pub images_answer_videos: bool,
    /// The largest distance of a match, for some types of vectors, in place of the type's default distance.
    pub vector_distances: Vec<(HashType, Distance)>,
}

/// The reason why a [`CharterDraft`] is not a valid charter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CharterError {
    /// Too many taxonomies.
    #[error("a charter names at most {max} taxonomies, not {0}", max = Charter::TAXONOMIES_MAX)]
    TooManyTaxonomies(usize),
    /// A taxonomy's name is malformed.
    #[error("a taxonomy's name is 1 to {max} of a-z 0-9 -", max = Charter::TAXONOMY_LEN_MAX)]
    TaxonomyName,
    /// Too many hours.
    #[error("purge_hours is {0}; it must be 1 to {max}, or 0 for {default}", max = Charter::PURGE_HOURS_MAX, default = Charter::PURGE_HOURS_DEFAULT)]
    PurgeHours(u32),
    /// More members than a deployment can have.
    #[error("{field} is {members}; it must be at most {max}", max = Charter::MEMBERS_MAX)]
    Members {
        /// The field at fault.
        field: &'static str,
        /// The number of members that the draft requires.
        members: u32,
    },
    /// Too many suppressed banks.
    #[error("a bank suppresses at most {max} others, not {0}", max = Charter::SUPPRESSES_MAX)]
    TooManySuppressed(usize),
    /// Distances for too many hash types.
    #[error("a charter names distances of at most {max} hash types, not {0}", max = Charter::VECTOR_DISTANCES_MAX)]
    TooManyVectorDistances(usize),
    /// A distance for a hash type that is not a vector type, or a second distance for a type.
    #[error("a charter names a distance once for each type, and of types of vectors alone; {0} is otherwise")]
    VectorType(HashType),
    /// A distance above the type's maximum.
    #[error(
        "the distance for {hash_type} is {}; it must be 0 to {}",
        hash_type.distance_text(*distance),
        hash_type.distance_text(hash_type.distance_max())
    )]
    VectorDistance {
        /// The hash type.
        hash_type: HashType,
        /// The distance that the draft names.
        distance: Distance,
    },
    /// Too many days.
    #[error("{field} is {days}; it must be at most {max}")]
    Days {
        /// The field at fault.
        field: &'static str,
        /// The number of days in the draft.
        days: u32,
        /// The largest number of days that is allowed.
        max: u16,
    },
}

impl CharterError {
    /// Returns the name of the invalid field of the draft.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::TooManyTaxonomies(_) | Self::TaxonomyName => "taxonomies",
            Self::PurgeHours(_) => "purge_hours",
            Self::TooManySuppressed(_) => "suppresses",
            Self::TooManyVectorDistances(_) | Self::VectorType(_) | Self::VectorDistance { .. } => {
                "vector_distances"
            }
            Self::Members { field, .. } | Self::Days { field, .. } => field,
        }
    }
}

impl Charter {
    /// The largest number of taxonomies that one charter names.
    pub const TAXONOMIES_MAX: usize = 8;
    /// The longest name of a taxonomy, in bytes.
    pub const TAXONOMY_LEN_MAX: usize = 32;
    /// The default for `purge_hours`: three days, the longest time that a known programme allows for a
    /// withdrawal.
    pub const PURGE_HOURS_DEFAULT: u16 = 72;
    /// The largest `purge_hours`: one year.
    pub const PURGE_HOURS_MAX: u16 = 8_760;
    /// The largest number of members that a charter can require: as many as a deployment may have.
    pub const MEMBERS_MAX: u16 = 1_000;
    /// The largest number of banks that one bank suppresses.
    pub const SUPPRESSES_MAX: usize = 64;
    /// The largest number of vector types for which a bank has its own distance.
    pub const VECTOR_DISTANCES_MAX: usize = 16;
    /// The default for `dispute_days`: two weeks.
    pub const DISPUTE_DAYS_DEFAULT: u16 = 14;
    /// The largest `dispute_days`: about a quarter of a year.
    pub const DISPUTE_DAYS_MAX: u16 = 90;
    /// The largest `match_record_days`: two years.
    pub const MATCH_RECORD_DAYS_MAX: u16 = 730;

    /// Returns the taxonomies that classifications of items may use, sorted; empty for any taxonomy.
    #[must_use]
    pub fn taxonomies(&self) -> &[Box<str>] {
        &self.taxonomies
    }

    /// Returns the number of items from which a removal needs two people; `None` for never.
    #[must_use]
    pub fn two_person_items(&self) -> Option<u32> {
        (self.two_person_items > 0).then_some(self.two_person_items)
    }

    /// Returns the number of hours until no file contains the hash of a withdrawn item any more.
    #[must_use]
    pub const fn purge_hours(&self) -> u16 {
        self.purge_hours
    }

    /// Returns the number of members, contributors included, that must confirm an item before it matches for
    /// other members; `None` if it matches at once.
    #[must_use]
    pub fn confirmations_min(&self) -> Option<u16> {
        (self.confirmations_min > 1).then_some(self.confirmations_min)
    }

    /// Returns the number of members with a negative opinion at which an item is held; `None` for never.
    #[must_use]
    pub fn hold_on_negatives(&self) -> Option<u16> {
        (self.hold_on_negatives > 0).then_some(self.hold_on_negatives)
    }

    /// Whether matches of the bank are counted but never returned to callers.
    #[must_use]
    pub const fn is_shadow(&self) -> bool {
        self.shadow
    }

    /// Returns the banks whose matches do not count for a query that also matches this bank, ascending.
    #[must_use]
    pub fn suppresses(&self) -> &[BankId] {
        &self.suppresses
    }

    /// Returns the number of days that the owner has to resolve a dispute.
    #[must_use]
    pub const fn dispute_days(&self) -> u16 {
        self.dispute_days
    }

    /// Returns the number of days for which matches are recorded; `None` for no records.
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

    /// Returns the largest distance of a match for each named vector type, by ascending type. A type that is
    /// not listed has its default distance.
    #[must_use]
    pub fn vector_distances(&self) -> &[(HashType, Distance)] {
        &self.vector_distances
    }

    /// Returns the charter as a draft, which can be changed.
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
            vector_distances: self.vector_distances.to_vec(),
        }
    }

    /// Parses a distance of vectors: the name of the hash type, and a decimal number in the type's metric.
    pub fn read_vector_distance(name: &str, distance: &str) -> Result<(HashType, Distance), String> {
        let hash_type: HashType =
            name.parse().map_err(|_| format!("{name} is no hash type that is declared here"))?;
        let far = hash_type.distance_of_text(distance);
        let far =
            far.ok_or_else(|| format!("{distance} is no distance: a number such as 0.25 is expected"))?;
        Ok((hash_type, far))
    }

    /// Whether the charter has the defaults for opinions, disputes, suppression, shadow, records, videos and
    /// vectors. Charters of earlier versions had only the other fields.
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
            vector_distances: Box::default(),
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
            vector_distances: distances_of(draft.vector_distances)?,
        })
    }
}

/// Checks the distances and sorts them by type. A type that is not declared in this process accepts any
/// distance of its metric: the bank, which has all declarations, has checked the charter.
fn distances_of(
    mut distances: Vec<(HashType, Distance)>,
) -> Result<Box<[(HashType, Distance)]>, CharterError> {
    if distances.len() > Charter::VECTOR_DISTANCES_MAX {
        return Err(CharterError::TooManyVectorDistances(distances.len()));
    }
    distances.sort_unstable();
    for (at, (hash_type, distance)) in distances.iter().copied().enumerate() {
        let is_twice = at > 0 && distances[at - 1].0 == hash_type;
        if is_twice || hash_type.vector_serial().is_none() {
            return Err(CharterError::VectorType(hash_type));
        }
        if distance > hash_type.distance_max() {
            return Err(CharterError::VectorDistance { hash_type, distance });
        }
    }
    Ok(distances.into())
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
    use vigie_model::VectorClass;

    use super::*;

    fn vector(serial: u8, distance: u32) -> (HashType, Distance) {
        (VectorClass::ALL[0].hash_type(serial), Distance(distance))
    }

    /// A change that makes a draft invalid.
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
        let vectors = edited(|draft| {
            draft.vector_distances = vec![vector(7, 200_000), vector(3, 0)];
        });
        let vectors = vectors.unwrap();
        assert_eq!(vectors.vector_distances(), [vector(3, 0), vector(7, 200_000)]);
        assert!(!vectors.is_plain());
        assert_eq!(Charter::try_from(vectors.draft()), Ok(vectors));
        assert_eq!(edited(|draft| draft.confirmations_min = 1).unwrap().confirmations_min(), None);
        let faults: [(Edit, &str); 10] = [
            (|draft| draft.confirmations_min = 1_001, "confirmations_min"),
            (|draft| draft.hold_on_negatives = 70_000, "hold_on_negatives"),
            (|draft| draft.suppresses = (0..65).map(BankId).collect(), "suppresses"),
            (|draft| draft.dispute_days = 91, "dispute_days"),
            (|draft| draft.match_record_days = 731, "match_record_days"),
            (
                |draft| draft.vector_distances = (1..=17).map(|serial| vector(serial, 1)).collect(),
                "vector_distances",
            ),
            (|draft| draft.vector_distances = vec![vector(1, 1), vector(1, 2)], "vector_distances"),
            (|draft| draft.vector_distances = vec![vector(1, 2_000_001)], "vector_distances"),
            (|draft| draft.vector_distances = vec![(HashType::PDQ, Distance(31))], "vector_distances"),
            (
                |draft| draft.vector_distances = vec![(VectorClass::ALL[0].marker(), Distance(1))],
                "vector_distances",
            ),
        ];
        for (edit, field) in faults {
            assert_eq!(edited(edit).unwrap_err().field(), field);
        }
    }
}
