//! Documents: rows that the bank stores beside its items. Each has a kind and a key. Its payload is an
//! encoded message, and the kind determines the message's type.

use std::fmt;

use smallvec::SmallVec;
use thiserror::Error;

/// The kind of a document. Its number is permanent, since stores contain it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DocumentKind {
    /// A version of a member's policy, keyed by member and version.
    Policy,
    /// A dispute that waits for an answer, keyed by the due time and the item.
    OpenDispute,
    /// A resolved dispute, keyed by the time of its resolution and the item.
    ResolvedDispute,
    /// A report of a member to the reviewers, keyed by whether it is closed, and its number.
    Report,
    /// A referral of an authorised body, keyed by whether it is done, and its number.
    Referral,
    /// An incident, keyed by its stage and number.
    Incident,
    /// A counter of the statistics, keyed by its cell. Not in the log.
    Count,
    /// A match that the charter of its bank requires to be recorded, keyed by time and decision. Not in the
    /// log.
    MatchRecord,
    /// The key of a match record, keyed by its decision. Not in the log.
    DecisionKey,
    /// An item that is held for one member, keyed by member and item.
    MemberHold,
    /// A charter with new requirements on opinions, keyed by bank and change, while not all items of the bank
    /// are updated yet.
    CharterChange,
    /// The types of incidents that a member subscribes to, keyed by member.
    IncidentSubscription,
    /// The outcome of a referral at one member, keyed by referral and member.
    ReferralOutcome,
    /// A month's latencies of one kind, keyed by month and kind. Not in the log.
    Latency,
    /// The counters of a member's trial version of its policy, keyed by member. Not in the log.
    TrialCount,
    /// A version of a model's card, keyed by name and version.
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

    /// Returns the kind's number in stores and in the log.
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

    /// Returns the kind with this number.
    #[must_use]
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| u32::from(kind.number()) == number)
    }

    /// Whether the log has each change of a document of this kind. Counts, latencies and records of matches
    /// are not logged: every search changes some, which is too many.
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

/// The bytes are too long for a [`DocumentKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the key of a document has at most {max} bytes, not {0}", max = DocumentKey::LEN_MAX)]
pub struct DocumentKeyError(usize);

impl DocumentKey {
    /// The largest length, in bytes.
    pub const LEN_MAX: usize = 240;

    /// Checks the length.
    pub fn new(bytes: &[u8]) -> Result<Self, DocumentKeyError> {
        if bytes.len() > Self::LEN_MAX {
            return Err(DocumentKeyError(bytes.len()));
        }
        Ok(Self(SmallVec::from_slice(bytes)))
    }

    /// Returns a key that contains these numbers, big-endian, so that keys sort like the numbers.
    #[must_use]
    pub fn of_numbers(numbers: &[u64]) -> Self {
        Self(numbers.iter().take(Self::LEN_MAX / 8).flat_map(|number| number.to_be_bytes()).collect())
    }

    /// Returns the bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number at index `at` of a key made of numbers; 0 beyond its end.
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

/// A document: a row that the bank stores beside its items.
#[derive(Clone, PartialEq, Eq)]
pub struct Document {
    /// The kind of the document.
    pub kind: DocumentKind,
    /// The key, unique within the kind.
    pub key: DocumentKey,
    /// The encoded message.
    pub payload: Box<[u8]>,
}

impl Document {
    /// The largest payload, in bytes: a model's card is the largest message.
    pub const PAYLOAD_LEN_MAX: usize = (256 << 10) + 1_024;

    /// Returns the document's kind and key.
    #[must_use]
    pub fn id(&self) -> DocumentId {
        (self.kind, self.key.clone())
    }
}

/// Hides the payload, except for its length.
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
