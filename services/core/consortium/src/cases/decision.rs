//! Records of decisions about matched content, and the outcomes that members report for them.

use serde::{Deserialize, Serialize};
use vigie_model::{BankId, BankRef, Decided, Distance, Facts, Hash, HashType, ItemId, UnixMillis, Variant};

use super::words::words;

words! {
    /// The action of a platform on content.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Action {
        /// The content was removed.
        Removed = "removed",
        /// Access to the content was disabled.
        Disabled = "disabled",
        /// The content's visibility was reduced.
        Demoted = "demoted",
        /// The content was restricted by age.
        AgeRestricted = "age-restricted",
        /// Interaction with the content was restricted.
        InteractionRestricted = "interaction-restricted",
        /// The content was labelled.
        Labelled = "labelled",
        /// Something else, which the platform's template of statements describes.
        Other = "other",
    }
}

words! {
    /// The source that made a platform look at content.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Basis {
        /// The platform's own initiative.
        Own = "own",
        /// A trusted flagger.
        TrustedFlagger = "trusted-flagger",
        /// A notice under Article 16 of Regulation (EU) 2022/2065.
        Notice = "notice",
        /// An order outside Article 9 of that regulation.
        Order = "order",
        /// An order under Article 9, for which no statement of reasons is due (Article 17(5)).
        Article9Order = "article-9-order",
    }
}

words! {
    /// The kind of content.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    MediaKind {
        /// A picture.
        Image = "image",
        /// A video.
        Video = "video",
        /// A text.
        Text = "text",
        /// A sound.
        Audio = "audio",
        /// Anything else, which the platform's template of statements describes.
        Other = "other",
    }
}

words! {
    /// The result of a later review of a decision.
    Review {
        /// The decision was right.
        Confirmed = "confirmed",
        /// The decision was wrong.
        Overturned = "overturned",
    }
}

words! {
    /// The state of a complaint by the user who posted the content.
    Complaint {
        /// The complaint waits for an answer.
        Received = "received",
        /// The complaint was rejected.
        Rejected = "rejected",
        /// The complaint was upheld, and the content was reinstated.
        Upheld = "upheld",
    }
}

/// The outcome of a decision, as the platform reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecisionOutcome {
    /// The platform's action on the content; `None` for no action.
    pub action: Option<Action>,
    /// Whether a person looked at the whole content before that; `None` if unknown.
    pub person_looked: Option<bool>,
    /// The result of a later review.
    pub review: Option<Review>,
    /// The state of the user's complaint.
    pub complaint: Option<Complaint>,
    /// The source that pointed to the content; `None` if the platform did not name it.
    pub basis: Option<Basis>,
    /// The kind of the content; `None` for the kind of the query.
    pub media: Option<MediaKind>,
    /// The time since which the platform has hosted the content.
    pub hosted_since: Option<UnixMillis>,
    /// The time of the platform's action. If the platform does not give it: the time of the decision if its
    /// verdict blocks, otherwise the time at which the action was first reported.
    pub acted_at: Option<UnixMillis>,
}

/// A match, as of the time of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedMatch {
    /// The item; `None` if the member may not see it.
    pub item: Option<ItemId>,
    /// The bank.
    pub bank: BankId,
    /// The reader's name for the bank; `None` if the reader does not see the bank, and in records that a
    /// frontend sends.
    pub bank_name: Option<BankRef>,
    /// The type of the hash that matched.
    pub hash_type: HashType,
    /// The distance between that hash and the query's hash.
    pub distance: Distance,
    /// The variant of the query image (rotated or mirrored) that matched.
    pub variant: Variant,
    /// Whether the match counts for the decision under the policy's bank rules and allow-lists.
    pub counts: bool,
    /// The members' opinions on the item at that time; `None` if there were none, or the member may not see
    /// them.
    pub facts: Option<Box<Facts>>,
}

impl RecordedMatch {
    /// The largest number of recorded matches of one decision.
    pub const MATCHES_MAX: usize = 16;
    /// The largest number of recorded classes of one match.
    pub const CLASSES_MAX: usize = 4;
}

/// A digest of one hash of a query. This form is sent between processes only; stores hold a keyed, shorter
/// digest of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QueryDigest([u8; 32]);

impl QueryDigest {
    /// Length of a stored digest, in bytes.
    pub const STORED_LEN: usize = 16;

    /// Returns the digest of a hash: BLAKE3 of the number of its type in 4 bytes, big-endian, and its value.
    #[must_use]
    pub fn of(hash: &Hash) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&u32::from(hash.hash_type().number()).to_be_bytes()).update(hash.as_bytes());
        Self(hasher.finalize().into())
    }

    /// Returns the 32 bytes that processes exchange.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the bytes that are stored: BLAKE3 of the digest under a secret key, cut to
    /// [`Self::STORED_LEN`] bytes.
    #[must_use]
    pub fn stored(&self, key: &[u8; 32]) -> Vec<u8> {
        blake3::keyed_hash(key, &self.0).as_bytes()[..Self::STORED_LEN].to_vec()
    }
}

impl From<[u8; 32]> for QueryDigest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// Hides the digest: anybody with a hash could compare the two.
impl std::fmt::Debug for QueryDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueryDigest(..)")
    }
}

/// The record of a decision about one content, without the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDecision {
    /// The decision's id: random, so that nothing about the content follows from it.
    pub id: [u8; 16],
    /// The time of the decision.
    pub decided_at: UnixMillis,
    /// The decision of the member's policy; `None` if the member had no policy.
    pub decided: Option<Decided>,
    /// The kind of the query: `image`, `hashes` or `undecoded`.
    pub kind: Box<str>,
    /// The place where the content appeared, as given by the caller; may be empty.
    pub surface: Box<str>,
    /// The matches in banks that keep records: the counting ones first, each group nearest first; at most
    /// [`RecordedMatch::MATCHES_MAX`].
    pub matches: Vec<RecordedMatch>,
    /// The number of counting matches, in all banks.
    pub counting: u32,
    /// The number of further matches in banks that keep records.
    pub matches_omitted: u32,
}

impl RecordedDecision {
    /// Returns the nearest recorded match that counts.
    #[must_use]
    pub fn nearest(&self) -> Option<&RecordedMatch> {
        self.matches.iter().find(|found| found.counts)
    }

    /// Returns the number of counting matches that are not recorded, or whose record was deleted.
    #[must_use]
    pub fn counting_elsewhere(&self) -> u32 {
        let recorded = self.matches.iter().filter(|found| found.counts).count();
        self.counting.saturating_sub(u32::try_from(recorded).unwrap_or(u32::MAX))
    }

    /// The largest number of recorded digests of a query's hashes.
    pub const DIGESTS_MAX: usize = 16;
}

/// A record of a decision, together with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionListing {
    /// The record.
    pub record: RecordedDecision,
    /// The outcome that the member reported, and the time of that report.
    pub outcome: Option<(DecisionOutcome, UnixMillis)>,
    /// The time at which the last part of the record is deleted.
    pub kept_until: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_lead_back_to_what_they_name() {
        assert!(Action::ALL.iter().all(|one| Action::from_name(one.name()) == Some(*one)));
        assert!(Basis::ALL.iter().all(|one| Basis::from_name(one.name()) == Some(*one)));
        assert!(MediaKind::ALL.iter().all(|one| MediaKind::from_name(one.name()) == Some(*one)));
        assert_eq!(Complaint::from_name("withdrawn"), None);
        assert_eq!(Review::from_name("overturned"), Some(Review::Overturned));
    }

    #[test]
    fn a_digest_is_of_type_and_value_and_is_stored_keyed() {
        let digest = |hash: Hash| QueryDigest::of(&hash);
        assert_eq!(digest(Hash::md5([7; 16])), digest(Hash::md5([7; 16])));
        assert_ne!(digest(Hash::md5([7; 16])), digest(Hash::md5([8; 16])));
        let expected = blake3::hash(&[&[0, 0, 0, 2][..], &[7; 16]].concat());
        assert_eq!(HashType::MD5.number(), 2, "the digest below is of this number");
        assert_eq!(digest(Hash::md5([7; 16])).as_bytes(), expected.as_bytes());
        let (one, other) =
            (digest(Hash::md5([7; 16])).stored(&[1; 32]), digest(Hash::md5([7; 16])).stored(&[2; 32]));
        assert!(one != other && one.len() == QueryDigest::STORED_LEN);
        assert_eq!(format!("{:?}", digest(Hash::md5([7; 16]))), "QueryDigest(..)");
    }
}
