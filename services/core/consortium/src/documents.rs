//! Documents: rows of the bank beside its items, each of a kind and under a key. What a document says is a
//! message of its kind, which its readers know.

use std::fmt;

use smallvec::SmallVec;
use thiserror::Error;

/// What a document is. A number is permanent: stores hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentKind {
    /// A version of a member's policy, by member and version.
    Policy,
    /// A dispute that waits for an answer, by the time when it is due and item.
    OpenDispute,
    /// A dispute that was resolved, by the time of that and item.
    ResolvedDispute,
    /// A report of a member to the reviewers, by whether it is decided on, and number.
    Report,
    /// A referral of an authorised body, by whether it is done, and number.
    Referral,
    /// An incident, by its stage and number.
    Incident,
    /// A number that is counted, by its cell. Not in the log.
    Count,
    /// A match that is recorded by the charter of its bank, by time and decision. Not in the log.
    MatchRecord,
    /// A match record's key by its decision. Not in the log.
    DecisionKey,
    /// An item that is held for one member, by member and item.
    MemberHold,
    /// A charter that asks for other opinions than before, by bank and change: its bank's items are not all
    /// brought up to it yet.
    CharterChange,
    /// The types of incidents that a member subscribes to, by member.
    IncidentSubscription,
    /// The outcome of a referral at one member, by referral and member.
    ReferralOutcome,
    /// How long something took in a month, by month and kind. Not in the log.
    Latency,
    /// What is counted of the version that a member tries, by member. Not in the log.
    TrialCount,
    /// A version of a model's card, by name and version.
    ModelCard,
}

impl DocumentKind {
    /// All kinds.
    pub const ALL: [Self; 16] = [
        Self::Policy,
        Self::OpenDispute,
        Self::ResolvedDispute,
        Self::Report,
        Self::Referral,
        Self::Incident,
        Self::Count,
        Self::MatchRecord,
        Self::DecisionKey,
        Self::MemberHold,
        Self::CharterChange,
        Self::IncidentSubscription,
        Self::ReferralOutcome,
        Self::Latency,
        Self::TrialCount,
        Self::ModelCard,
    ];

    /// The number by which stores and the log know the kind.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Policy => 1,
            Self::OpenDispute => 2,
            Self::ResolvedDispute => 3,
            Self::Report => 4,
            Self::Referral => 5,
            Self::Incident => 6,
            Self::Count => 7,
            Self::MatchRecord => 8,
            Self::DecisionKey => 9,
            Self::MemberHold => 10,
            Self::CharterChange => 11,
            Self::IncidentSubscription => 12,
            Self::ReferralOutcome => 13,
            Self::Latency => 14,
            Self::TrialCount => 15,
            Self::ModelCard => 16,
        }
    }

    /// The kind with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| u32::from(kind.number()) == number)
    }

    /// Whether the log has each change of a document of this kind. Counts, latencies and records of matches
    /// are too many for that: they come with searches.
    #[must_use]
    pub const fn is_logged(self) -> bool {
        !matches!(
            self,
            Self::Count | Self::MatchRecord | Self::DecisionKey | Self::Latency | Self::TrialCount
        )
    }
}

/// The key of a document among those of its kind. Keys are ordered by their bytes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct DocumentKey(SmallVec<[u8; 24]>);

/// The bytes are no [`DocumentKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the key of a document has at most {max} bytes, not {0}", max = DocumentKey::LEN_MAX)]
pub struct DocumentKeyError(usize);

impl DocumentKey {
    /// The longest, in bytes.
    pub const LEN_MAX: usize = 240;

    /// Checks the length.
    pub fn new(bytes: &[u8]) -> Result<Self, DocumentKeyError> {
        if bytes.len() > Self::LEN_MAX {
            return Err(DocumentKeyError(bytes.len()));
        }
        Ok(Self(SmallVec::from_slice(bytes)))
    }

    /// The key of these numbers, big-endian: keys are in the order of the numbers.
    #[must_use]
    pub fn of_numbers(numbers: &[u64]) -> Self {
        Self(numbers.iter().take(Self::LEN_MAX / 8).flat_map(|number| number.to_be_bytes()).collect())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The number at a place of a key of numbers; 0 beyond its end.
    #[must_use]
    pub fn number(&self, at: usize) -> u64 {
        let (numbers, _) = self.0.as_chunks::<8>();
        numbers.get(at).map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }
}

impl fmt::Debug for DocumentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DocumentKey({} bytes)", self.0.len())
    }
}

/// A document's kind and key.
pub type DocumentId = (DocumentKind, DocumentKey);

/// A document.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// Its kind.
    pub kind: DocumentKind,
    /// Its key.
    pub key: DocumentKey,
    /// What it says.
    pub payload: Box<[u8]>,
}

impl Document {
    /// Bytes of what a document says: the card of a model is the longest.
    pub const PAYLOAD_LEN_MAX: usize = (256 << 10) + 1_024;

    /// The document's kind and key.
    #[must_use]
    pub fn id(&self) -> DocumentId {
        (self.kind, self.key.clone())
    }
}

/// Without what it says.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({:?}, {:?}, {} bytes)", self.kind, self.key, self.payload.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_known_by_their_numbers() {
        for kind in DocumentKind::ALL {
            assert_eq!(DocumentKind::from_number(kind.number().into()), Some(kind));
        }
        assert_eq!(DocumentKind::from_number(0), None);
    }

    #[test]
    fn keys_are_in_the_order_of_their_numbers() {
        let key = |numbers: &[u64]| DocumentKey::of_numbers(numbers);
        assert!(key(&[1, 300]) < key(&[2, 5]) && key(&[1, 255]) < key(&[1, 256]) && key(&[1]) < key(&[1, 0]));
        assert_eq!((key(&[7, 9]).number(1), key(&[7]).number(1)), (9, 0));
        assert!(DocumentKey::new(&[0; 240]).is_ok());
        assert_eq!(DocumentKey::new(&[0; 241]), Err(DocumentKeyError(241)));
    }
}
