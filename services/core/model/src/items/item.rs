//! An item: one piece of known content, never the content itself.

use std::fmt;

use thiserror::Error;

use crate::bank::BankId;
use crate::labels::{Labels, LabelsError};
use crate::member::MemberId;
use crate::sequence::UnixMillis;
use vigie_hashes::{Frames, Hash};

/// The id of an item: the sequence of the change that added it, hence unique, ordered, and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u64);

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The description of an item by its contributor, checked against the limits below.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemContent {
    hashes: Box<[Hash]>,
    labels: Labels,
    external_reference: Option<Box<str>>,
}

/// The description of an item by its contributor, before it is checked.
#[derive(Debug, Clone, Default)]
pub struct ItemDraft {
    /// The hashes of the content, at least one.
    pub hashes: Vec<Hash>,
    /// Classification words, for people who read a match.
    pub labels: Vec<String>,
    /// The contributor's own name for the item; empty for none.
    pub external_reference: String,
}

/// The reasons why an [`ItemDraft`] is not an item. The fault is in `hashes`, `labels` or
/// `external_reference`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ItemContentError {
    /// An item without a hash could never match.
    #[error("an item needs at least one hash")]
    NoHashes,
    /// There are more hashes than one item may have.
    #[error("an item holds at most {max} hashes, not {0}", max = ItemContent::HASHES_MAX)]
    TooManyHashes(usize),
    /// There are more frames of videos than one item may have.
    #[error("an item holds at most {max} frames of videos, not {0}", max = ItemContent::FRAMES_MAX)]
    TooManyFrames(usize),
    /// The vectors are larger than those of one item may be.
    #[error("an item holds at most {max} bytes of vectors, not {0}", max = ItemContent::VECTOR_BYTES_MAX)]
    TooManyVectors(usize),
    /// The labels are not valid.
    #[error(transparent)]
    Labels(LabelsError),
    /// The external reference is too long.
    #[error("an external reference has at most {max} bytes, not {0}", max = ItemContent::EXTERNAL_REFERENCE_LEN_MAX)]
    ExternalReferenceLength(usize),
    /// The external reference contains a control character, which could corrupt a terminal or a log.
    #[error("external references hold no control characters")]
    ControlCharacter,
}

impl ItemContentError {
    /// Returns the field of the draft that has the fault.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::NoHashes | Self::TooManyHashes(_) | Self::TooManyFrames(_) | Self::TooManyVectors(_) => {
                "hashes"
            }
            Self::Labels(_) => "labels",
            Self::ExternalReferenceLength(_) | Self::ControlCharacter => "external_reference",
        }
    }
}

impl ItemContent {
    /// The label of a canary: see [`Labels::CANARY`].
    pub const CANARY_LABEL: &str = Labels::CANARY;

    /// The largest number of hashes of one item: every rendition that a contributor would list, and no more.
    pub const HASHES_MAX: usize = 64;
    /// The largest number of frames of one item, in all its hashes of videos together.
    pub const FRAMES_MAX: usize = vigie_hashes::frames::FRAMES_MAX;
    /// The largest number of bytes of one item's vectors: two of the longest, or twenty of 384 numbers.
    pub const VECTOR_BYTES_MAX: usize = 2 * Hash::VECTOR_LEN_MAX;
    /// The largest number of labels of one item.
    pub const LABELS_MAX: usize = Labels::COUNT_MAX;
    /// The largest length of one label, in bytes.
    pub const LABEL_LEN_MAX: usize = Labels::LEN_MAX;
    /// The largest length of an external reference, in bytes.
    pub const EXTERNAL_REFERENCE_LEN_MAX: usize = 512;

    /// Returns the hashes, sorted and distinct.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Returns the labels, in the contributor's order.
    #[must_use]
    pub fn labels(&self) -> &[Box<str>] {
        &self.labels
    }

    /// Returns the labels as a checked list.
    #[must_use]
    pub const fn checked_labels(&self) -> &Labels {
        &self.labels
    }

    /// Checks whether the item is a canary: see [`Self::CANARY_LABEL`].
    #[must_use]
    pub fn is_canary(&self) -> bool {
        self.labels.are_of_canary()
    }

    /// Returns the same content with other labels.
    #[must_use]
    pub fn with_labels(self, labels: Labels) -> Self {
        Self { labels, ..self }
    }

    /// Returns the contributor's own name for the item.
    #[must_use]
    pub fn external_reference(&self) -> Option<&str> {
        self.external_reference.as_deref()
    }
}

impl TryFrom<ItemDraft> for ItemContent {
    type Error = ItemContentError;

    fn try_from(draft: ItemDraft) -> Result<Self, ItemContentError> {
        let ItemDraft { mut hashes, labels, external_reference } = draft;
        hashes.sort_unstable();
        hashes.dedup();
        if hashes.is_empty() {
            return Err(ItemContentError::NoHashes);
        }
        if hashes.len() > Self::HASHES_MAX {
            return Err(ItemContentError::TooManyHashes(hashes.len()));
        }
        let frames = hashes.iter().filter_map(Hash::frames).map(Frames::len).sum();
        if frames > Self::FRAMES_MAX {
            return Err(ItemContentError::TooManyFrames(frames));
        }
        let vectors = hashes.iter().filter(|hash| hash.hash_type().vector_class().is_some());
        let vector_bytes = vectors.map(|hash| hash.as_bytes().len()).sum();
        if vector_bytes > Self::VECTOR_BYTES_MAX {
            return Err(ItemContentError::TooManyVectors(vector_bytes));
        }
        let labels = Labels::try_from(labels).map_err(ItemContentError::Labels)?;
        if external_reference.len() > Self::EXTERNAL_REFERENCE_LEN_MAX {
            return Err(ItemContentError::ExternalReferenceLength(external_reference.len()));
        }
        if external_reference.chars().any(char::is_control) {
            return Err(ItemContentError::ControlCharacter);
        }
        Ok(Self {
            hashes: hashes.into(),
            labels,
            external_reference: (!external_reference.is_empty()).then(|| external_reference.into()),
        })
    }
}

/// An item as the bank stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The item's id.
    pub id: ItemId,
    /// The bank that contains the item.
    pub bank: BankId,
    /// The time at which the item was added, by the bank service's clock.
    pub added_at: UnixMillis,
    /// The member that added it.
    pub contributor: MemberId,
    /// The contributor's description of the item.
    pub content: ItemContent,
}

#[cfg(test)]
mod tests {
    use vigie_hashes::{Frame, VectorClass, VectorElement, VectorMetric};

    use super::*;

    fn draft() -> ItemDraft {
        ItemDraft {
            hashes: vec![Hash::md5([2; 16]), Hash::pdq([1; 32]), Hash::md5([2; 16])],
            labels: vec!["known".into()],
            external_reference: "case-7".into(),
        }
    }

    #[test]
    fn hashes_are_sorted_and_kept_once() {
        let content = ItemContent::try_from(draft()).unwrap();
        assert_eq!(content.hashes(), [Hash::pdq([1; 32]), Hash::md5([2; 16])]);
        assert_eq!(content.external_reference(), Some("case-7"));
    }

    #[test]
    fn every_bound_is_enforced() {
        let check = |edit: fn(&mut ItemDraft), expected: ItemContentError| {
            let mut edited = draft();
            edit(&mut edited);
            assert_eq!(ItemContent::try_from(edited), Err(expected));
        };
        check(|draft| draft.hashes.clear(), ItemContentError::NoHashes);
        check(
            |draft| draft.hashes = (0..65).map(|i| Hash::md5([i; 16])).collect(),
            ItemContentError::TooManyHashes(65),
        );
        check(
            |draft| {
                let video = |number: u8| {
                    let frames: Vec<Frame> = (0..2_049)
                        .map(|time_ms| Frame { pdq: [number; 32], quality: 100, time_ms })
                        .collect();
                    Hash::of_frames(&frames).unwrap()
                };
                draft.hashes.extend([video(1), video(2)]);
            },
            ItemContentError::TooManyFrames(4_098),
        );
        check(
            |draft| {
                let vector = |number: u8| {
                    let hash_type =
                        VectorClass { element: VectorElement::U8, metric: VectorMetric::L2 }.hash_type(1);
                    Hash::from_peer(hash_type, &[number; 4_096]).unwrap()
                };
                draft.hashes = (0..9).map(vector).collect();
            },
            ItemContentError::TooManyVectors(9 * 4_096),
        );
        check(
            |draft| draft.labels = vec!["x".into(); 33],
            ItemContentError::Labels(LabelsError::TooMany(33)),
        );
        check(|draft| draft.labels.push(String::new()), ItemContentError::Labels(LabelsError::Length(0)));
        check(|draft| draft.labels.push("x".repeat(129)), ItemContentError::Labels(LabelsError::Length(129)));
        check(
            |draft| draft.external_reference = "x".repeat(513),
            ItemContentError::ExternalReferenceLength(513),
        );
        check(
            |draft| draft.labels.push("\u{1b}[31m".into()),
            ItemContentError::Labels(LabelsError::ControlCharacter),
        );
        check(|draft| draft.external_reference.push('\u{7}'), ItemContentError::ControlCharacter);
    }
}
