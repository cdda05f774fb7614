//! A record of a programme, in words that all programmes share.

use std::fmt;

use vigie_consortium::{Class, Classification, EntryDigest, OpinionReason};
use vigie_model::{Frames, Hash, ItemContent, ItemDraft, UnixMillis};

use super::fault::Tally;
use super::hash_text::{HashText, Reading};
use super::key::Key;
use super::media::Media;

/// A record of a programme, in words that all programmes share. A later record with the same key replaces
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key within the programme.
    pub key: Key,
    /// Whether the programme has withdrawn the record. The other fields may then be empty.
    pub withdrawn: bool,
    /// Hashes of types that this build knows.
    pub hashes: Vec<Hash>,
    /// Hashes of other types, as text.
    pub other_hashes: Vec<OtherHash>,
    /// The media that was hashed, if the programme names it.
    pub media: Option<Media>,
    /// Words of a taxonomy that the programme uses.
    pub classes: Vec<Class>,
    /// Classification words without a taxonomy.
    pub labels: Vec<String>,
    /// The contributor of the record, in the programme's words.
    pub owner: Option<String>,
    /// The opinions of the programme's members on the record, as received.
    pub opinions: Vec<Opinion>,
    /// The time at which the programme last changed the record.
    pub changed_at: Option<UnixMillis>,
    /// The digest of the entry from which the record came, if the programme proves its list by such digests.
    pub entry: Option<EntryDigest>,
}

/// A hash of a type for which this build has no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherHash {
    /// The programme's word for the type.
    pub kind: String,
    /// The hash as the programme wrote it.
    pub value: HashText,
}

/// The opinion of one member of a programme on a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opinion {
    /// The member, in the programme's words.
    pub by: Option<String>,
    /// The programme's word for the hash type that the opinion is about; `None` for the whole record.
    pub about: Option<String>,
    /// The nearest of the four opinions of the model.
    pub view: View,
    /// The reason for a negative opinion, in the model's words.
    pub reason: Option<OpinionReason>,
    /// The programme's own words for the opinion, beginning with the word that determined it: status,
    /// reaction, reason, tags.
    pub words: Vec<String>,
    /// The time at which the opinion was given.
    pub at: Option<UnixMillis>,
}

/// An opinion in the words of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// The content is as the record describes it.
    Positive,
    /// The content is not as the record describes it.
    Negative,
    /// Nobody has judged the content yet.
    Seed,
    /// The content was found.
    Seen,
}

impl Record {
    /// Creates a record without content that is not withdrawn.
    #[must_use]
    pub fn new(key: Key) -> Self {
        Self {
            key,
            withdrawn: false,
            hashes: Vec::new(),
            other_hashes: Vec::new(),
            media: None,
            classes: Vec::new(),
            labels: Vec::new(),
            owner: None,
            opinions: Vec::new(),
            changed_at: None,
            entry: None,
        }
    }

    /// Adds the result of reading a programme's word and text, and counts it if it is not a hash.
    pub(crate) fn take(&mut self, kind: &str, value: &HashText, reading: Reading, tally: &mut Tally) {
        match reading {
            Reading::Hash(hash) => self.hashes.push(hash),
            Reading::UnknownType => {
                tally.unknown_types += 1;
                self.other_hashes.push(OtherHash { kind: kind.to_owned(), value: value.clone() });
            }
            Reading::BadValue => tally.bad_values += 1,
        }
    }

    /// Returns the item of the record; `None` if it is withdrawn or has no hash of a known type. Omits labels
    /// that no item can have, and hashes, frames of videos and classes beyond the limits of one item.
    #[must_use]
    pub fn draft(&self) -> Option<ItemDraft> {
        if self.withdrawn || self.hashes.is_empty() {
            return None;
        }
        let mut hashes = self.hashes.clone();
        hashes.sort_unstable();
        hashes.dedup();
        hashes.truncate(ItemContent::HASHES_MAX);
        let mut frames = 0;
        hashes.retain(|hash| {
            let more = hash.frames().map_or(0, Frames::len);
            let has_room = frames + more <= ItemContent::FRAMES_MAX;
            frames += if has_room { more } else { 0 };
            has_room
        });
        let mut labels: Vec<String> = Vec::new();
        for label in &self.labels {
            if labels.len() < ItemContent::LABELS_MAX && is_label(label) && !labels.contains(label) {
                labels.push(label.clone());
            }
        }
        Some(ItemDraft { hashes, labels, external_reference: String::new() })
    }

    /// Returns the record's classification, up to the largest number of classes of one item.
    #[must_use]
    pub fn classification(&self) -> Classification {
        let classes = self.classes.iter().take(Classification::COUNT_MAX).cloned().collect();
        Classification::new(classes).unwrap_or_default()
    }
}

/// Checks whether an item can have the label. The label of canaries is reserved for the bank.
fn is_label(text: &str) -> bool {
    (1..=ItemContent::LABEL_LEN_MAX).contains(&text.len())
        && !text.chars().any(char::is_control)
        && text != ItemContent::CANARY_LABEL
}

impl View {
    /// Returns the word used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Positive => "positive",
            Self::Negative => "negative",
            Self::Seed => "seed",
            Self::Seen => "seen",
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_beyond_the_bounds_of_an_item_makes_one_within_them() {
        let mut record = Record::new(Key::new("k").unwrap());
        assert!(record.draft().is_none());
        record.hashes = (1..=100).map(|byte| Hash::md5([byte; 16])).chain([Hash::md5([1; 16])]).collect();
        record.labels = ["", "a", "a", "\u{7}", ItemContent::CANARY_LABEL].map(str::to_owned).to_vec();
        record.labels.extend((0..50).map(|n| format!("label {n}")));
        record.labels.push("x".repeat(129));
        let content = ItemContent::try_from(record.draft().unwrap()).unwrap();
        assert_eq!((content.hashes().len(), content.labels().len()), (64, 32));
        assert_eq!(&*content.labels()[0], "a");
        record.withdrawn = true;
        assert!(record.draft().is_none());
    }
}
