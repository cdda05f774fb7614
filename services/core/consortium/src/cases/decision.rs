//! Records of decisions about matched content, and what became of them.

use serde::{Deserialize, Serialize};
use vigie_model::{BankId, BankRef, Decided, Distance, Facts, Hash, HashType, ItemId, UnixMillis, Variant};

use super::words::words;

words! {
    /// What a platform did with content.
    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    Action {
        /// The content was removed.
        Removed = "removed",
        /// Access to the content was disabled.
        Disabled = "disabled",
        /// The content was shown less.
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
    /// What content was found by.
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
    /// What a later review said of a decision.
    Review {
        /// The decision was right.
        Confirmed = "confirmed",
        /// The decision was wrong.
        Overturned = "overturned",
    }
}

words! {
    /// A complaint of the user whose content it was.
    Complaint {
        /// It waits for an answer.
        Received = "received",
        /// It was rejected.
        Rejected = "rejected",
        /// It was upheld, and the content was reinstated.
        Upheld = "upheld",
    }
}

/// What a platform says became of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecisionOutcome {
    /// What it did with the content; `None` for nothing.
    pub action: Option<Action>,
    /// Whether a person looked at the whole content before that; `None` where that is not known.
    pub person_looked: Option<bool>,
    /// What a later review said.
    pub review: Option<Review>,
    /// A complaint of the user.
    pub complaint: Option<Complaint>,
    /// What the content was found by; `None` where the platform did not say.
    pub basis: Option<Basis>,
    /// The kind of the content; `None` for that of the query.
    pub media: Option<MediaKind>,
    /// Since when the platform has hosted the content.
    pub hosted_since: Option<UnixMillis>,
    /// When it acted. Where it did not say: when the decision was taken, if its verdict blocks, or else when
    /// the action was first named.
    pub acted_at: Option<UnixMillis>,
}

/// A match as it was when the decision was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedMatch {
    /// The item; `None` where the member may not see it.
    pub item: Option<ItemId>,
    /// The bank.
    pub bank: BankId,
    /// The reader's name for the bank; `None` where it does not see it, and in what a frontend records.
    pub bank_name: Option<BankRef>,
    /// The type of the hash that matched.
    pub hash_type: HashType,
    /// Its distance.
    pub distance: Distance,
    /// Which way round the query was.
    pub variant: Variant,
    /// Whether the decision rests on it: the policy's bank rules and allow-lists let it count.
    pub counts: bool,
    /// What the members said of the item then; `None` where nothing was said, or the member may not see it.
    pub facts: Option<Box<Facts>>,
}

impl RecordedMatch {
    /// Matches of one decision that are recorded.
    pub const MATCHES_MAX: usize = 16;
    /// Classes of one match that are recorded.
    pub const CLASSES_MAX: usize = 4;
}

/// A digest of one hash of a query. It is sent between processes alone; stores have it keyed with a secret,
/// and shorter.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct QueryDigest([u8; 32]);

impl QueryDigest {
    /// Bytes of a digest that are stored.
    pub const STORED_LEN: usize = 16;

    /// The digest of a hash: BLAKE3 of the number of its type in 4 bytes, big-endian, and its value.
    #[must_use]
    pub fn of(hash: &Hash) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&u32::from(hash.hash_type().number()).to_be_bytes()).update(hash.as_bytes());
        Self(hasher.finalize().into())
    }

    /// The bytes that are sent.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes that are stored, keyed with a secret.
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

/// Shows nothing: whoever has a hash can compare it.
impl std::fmt::Debug for QueryDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("QueryDigest(..)")
    }
}

/// The record of a decision about one content, without the content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedDecision {
    /// Its id: random, so that it says nothing of the content.
    pub id: [u8; 16],
    /// When it was taken.
    pub decided_at: UnixMillis,
    /// What the member's policy decided; `None` where the member had none.
    pub decided: Option<Decided>,
    /// What the query brought: `image`, `hashes` or `undecoded`.
    pub kind: Box<str>,
    /// Where the content appeared, as the caller said; may be empty.
    pub surface: Box<str>,
    /// The matches in banks that keep records, those that count first, each the nearest first; at most
    /// [`RecordedMatch::MATCHES_MAX`].
    pub matches: Vec<RecordedMatch>,
    /// Matches that count in all, in whatever bank.
    pub counting: u32,
    /// Further matches in such banks.
    pub matches_omitted: u32,
}

impl RecordedDecision {
    /// The nearest recorded match on which the decision rests.
    #[must_use]
    pub fn nearest(&self) -> Option<&RecordedMatch> {
        self.matches.iter().find(|found| found.counts)
    }

    /// Matches on which the decision rests and that are not recorded, or no longer.
    #[must_use]
    pub fn counting_elsewhere(&self) -> u32 {
        let recorded = self.matches.iter().filter(|found| found.counts).count();
        self.counting.saturating_sub(u32::try_from(recorded).unwrap_or(u32::MAX))
    }

    /// Digests of a query's hashes that are recorded.
    pub const DIGESTS_MAX: usize = 16;
}

/// A record as it is read: with what became of the decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionListing {
    /// The record.
    pub record: RecordedDecision,
    /// What the member says became of it, and when it said so.
    pub outcome: Option<(DecisionOutcome, UnixMillis)>,
    /// When the last part of the record is deleted.
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
