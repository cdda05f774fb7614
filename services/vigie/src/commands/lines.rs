//! The objects that `--json` prints. Their fields are a contract with scripts.

pub(crate) mod classifications;
mod coverage;
mod decisions;
mod hashed_video;
mod videos;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use vigie_clients::{BankListing, DescribedItem};
use vigie_model::{
    BankRef, DecodeFailure, FrameFingerprint, Hash, ImageFingerprint, Item, Match, PictureHashes, SkipReason,
    Source, Way,
};

use crate::output::ErrorLine;

pub(crate) use classifications::ClassificationObject;
pub(crate) use coverage::CoverageObject;
pub(crate) use decisions::{DecisionObject, FactsObject, decision_words};
pub(crate) use hashed_video::VideoLine;
pub(crate) use videos::{EvidenceObject, VideoObject, evidence_words, likeness};

/// A file whose fingerprints were computed. The fields up to `variants` describe the first frame.
#[derive(Debug, Serialize)]
pub(crate) struct HashLine<'a> {
    /// Path of the file, as it was typed.
    pub(crate) file: &'a str,
    /// Width in pixels.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
    /// PDQ hash, as 64 hexadecimal digits.
    pub(crate) pdq: String,
    /// PDQ's quality, from 0 to 100.
    pub(crate) quality: u8,
    /// PDQ hashes of the eight variants: original, rotate 90, 180, 270, flip x, flip y, flip +1, flip -1.
    pub(crate) variants: [String; 8],
    /// Query hashes of the first frame in further ways.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ways: Vec<WayObject>,
    /// All frames that were hashed, if there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) frames: Vec<FrameObject>,
    /// Minimum number of frames that were not hashed.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) frames_left_out: u32,
    /// Digests of the file's bytes as hexadecimal digits, by the name of their type: `md5`, `sha256` ...
    #[serde(flatten)]
    pub(crate) digests: BTreeMap<String, String>,
}

impl<'a> HashLine<'a> {
    /// Returns the line of a file.
    #[must_use]
    pub(crate) fn new(file: &'a str, fingerprint: &ImageFingerprint) -> Self {
        let picture = &fingerprint.picture;
        let variants = picture.first.plain.pdq.map(|bytes| Hash::pdq(bytes).to_text());
        let frames =
            if picture.later.is_empty() { Vec::new() } else { picture.frames().map(Into::into).collect() };
        Self {
            file,
            width: picture.width,
            height: picture.height,
            pdq: variants[0].clone(),
            quality: picture.quality().get(),
            variants,
            ways: picture.first.further.iter().map(Into::into).collect(),
            frames,
            frames_left_out: picture.frames_left_out,
            digests: fingerprint
                .digests
                .iter()
                .map(|one| (one.hash_type().to_string(), one.to_text()))
                .collect(),
        }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The query hash of a frame in a further way.
#[derive(Debug, Serialize)]
pub(crate) struct WayObject {
    /// The way: `scaled`, `unbordered`, `palette_indices` or `as_stored`.
    pub(crate) way: &'static str,
    /// PDQ hash, as 64 hexadecimal digits.
    pub(crate) pdq: String,
    /// PDQ's quality, from 0 to 100.
    pub(crate) quality: u8,
}

impl From<&(Way, PictureHashes)> for WayObject {
    fn from((way, hashes): &(Way, PictureHashes)) -> Self {
        Self { way: way.name(), pdq: Hash::pdq(hashes.pdq[0]).to_text(), quality: hashes.quality.get() }
    }
}

/// A frame of a file that has several.
#[derive(Debug, Serialize)]
pub(crate) struct FrameObject {
    /// Number of the frame, from 0.
    pub(crate) frame: u32,
    /// Time of the frame, in seconds from the beginning; `null` for a page.
    pub(crate) time_s: Option<f64>,
    /// PDQ hash, as 64 hexadecimal digits.
    pub(crate) pdq: String,
    /// PDQ's quality, from 0 to 100.
    pub(crate) quality: u8,
    /// Query hashes of the frame in further ways.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ways: Vec<WayObject>,
}

impl From<&FrameFingerprint> for FrameObject {
    fn from(frame: &FrameFingerprint) -> Self {
        Self {
            frame: frame.number,
            time_s: frame.time.map(|time| time.as_secs_f64()),
            pdq: Hash::pdq(frame.plain.pdq[0]).to_text(),
            quality: frame.plain.quality.get(),
            ways: frame.further.iter().map(Into::into).collect(),
        }
    }
}

/// A file that could not be read or hashed.
#[derive(Debug, Serialize)]
pub(crate) struct FailedFileLine<'a> {
    /// Path of the file, as it was typed or found in a folder.
    pub(crate) file: &'a str,
    /// The reason.
    pub(crate) error: ErrorLine,
}

/// The input of a query, as the lines of `vigie match` name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Subject {
    /// An image file.
    File {
        /// Path of the file, as it was typed or found in a folder; `-` for an image from standard input.
        file: String,
    },
    /// A hash that was typed.
    Hash {
        /// The hash, as it was typed.
        hash: String,
    },
    /// A line of standard input.
    Line {
        /// Number of the line, from 1.
        line: u64,
        /// Name that the line gives to its hashes.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

impl Subject {
    /// Returns the name for error messages. It shortens a hash, so that no message contains one in full.
    pub(crate) fn in_errors(&self) -> String {
        match self {
            Self::Hash { hash } => {
                let begin: String = hash.chars().take(Self::HASH_BEGIN).collect();
                format!("{begin}...")
            }
            other @ (Self::File { .. } | Self::Line { .. }) => other.to_string(),
        }
    }

    /// Number of characters by which a person recognises a hash among those that were typed.
    const HASH_BEGIN: usize = 8;

    /// The longest hash that is shown in full, in characters: one of 64 bytes with the name of its type. A
    /// vector would fill the terminal.
    const HASH_SHOWN_MAX: usize = 160;
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => f.write_str(file),
            Self::Hash { hash } if hash.chars().count() > Self::HASH_SHOWN_MAX => {
                let begin: String = hash.chars().take(Self::HASH_SHOWN_MAX / 4).collect();
                write!(f, "{begin}...")
            }
            Self::Hash { hash } => f.write_str(hash),
            Self::Line { line, name: None } => write!(f, "line {line}"),
            Self::Line { line, name: Some(name) } => write!(f, "line {line} ({name})"),
        }
    }
}

/// An input that could not be looked up.
#[derive(Debug, Serialize)]
pub(crate) struct UnmatchedLine<'a> {
    /// The input.
    #[serde(flatten)]
    pub(crate) subject: &'a Subject,
    /// The reason.
    pub(crate) error: ErrorLine,
}

/// An input that was looked up, with its matches.
#[derive(Debug, Serialize)]
pub(crate) struct MatchLine<'a> {
    /// The input.
    #[serde(flatten)]
    pub(crate) subject: &'a Subject,
    /// Items that match, the nearest first.
    pub(crate) matches: Vec<MatchObject>,
    /// Whether more items match than `matches` has, because of the limit or of the size of the answer.
    pub(crate) limit_reached: bool,
    /// Number of matches that were left out because the answer would have been too large.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) matches_left_out: u32,
    /// Whether the answer repeats an earlier one, because the member's budget of near queries for an item is
    /// spent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) near_budget_spent: bool,
    /// The decision of the caller's policy. Left out if the caller has no policy, and if the call failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<DecisionObject>,
    /// Results of classifiers for the image's first frame: scores, never verdicts. Left out if no classifier
    /// was requested.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) classifications: Vec<ClassificationObject>,
    /// PDQ's quality of the image, from 0 to 100.
    pub(crate) quality: Option<u8>,
    /// Numbers of the image's frames that were searched, and that were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) frames: Option<FramesObject>,
    /// The decoded part of a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) video: Option<VideoObject>,
    /// Number of frames of a video that are in so many known videos that not all of those were compared.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) common_frames: u32,
    /// The reason why the image, or the frames of the video, could not be decoded. Only the digests were
    /// searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decode_failure: Option<ErrorLine>,
    /// Hash types that were not searched, with the reasons.
    pub(crate) skipped: Vec<SkippedObject>,
    /// Names of the hash types whose index may have missed a match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) approximate: Vec<String>,
    /// Shards and hashes that were searched.
    pub(crate) coverage: CoverageObject,
    /// The answer includes every change up to this sequence.
    pub(crate) sequence: u64,
    /// Whether the call failed and its results were too large to be sent with the error; `matches` is then
    /// empty.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) results_omitted: bool,
    /// The error of a call that failed because less was searched than requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<ErrorLine>,
}

/// The part of an image that an answer covers.
#[derive(Debug, Serialize)]
pub(crate) struct FramesObject {
    /// Number of frames that were decoded and not left out.
    pub(crate) seen: u32,
    /// Minimum number of frames that were not searched.
    pub(crate) left_out: u32,
    /// Number of the seen frames that have too little detail to be searched.
    pub(crate) below_floor: u32,
    /// Number of hashes of the seen frames in further ways that were not searched.
    pub(crate) ways_left_out: u32,
}

impl FramesObject {
    /// Returns the object for an image; `None` if no frames were decoded.
    #[must_use]
    pub(crate) fn of(source: &Source) -> Option<Self> {
        let Source::Decoded(decoded) = source else { return None };
        Some(Self {
            seen: decoded.frames_seen,
            left_out: decoded.frames_left_out,
            below_floor: decoded.frames_below_floor,
            ways_left_out: decoded.ways_left_out,
        })
    }
}

/// Returns the object of a failure to decode.
#[must_use]
pub(crate) fn decode_failure(failure: &DecodeFailure) -> ErrorLine {
    ErrorLine { code: failure.kind.name().to_owned(), message: failure.message.clone() }
}

/// A hash type that was not searched.
#[derive(Debug, Serialize)]
pub(crate) struct SkippedObject {
    /// Name of the hash type.
    pub(crate) hash_type: String,
    /// The reason: `quality_below_floor`, `not_decoded`, or `other` for one that this version does not know.
    pub(crate) reason: &'static str,
}

impl SkippedObject {
    /// Returns the object of a hash type that was not searched.
    #[must_use]
    pub(crate) fn new(hash_type: vigie_model::HashType, reason: SkipReason) -> Self {
        let reason = match reason {
            SkipReason::QualityBelowFloor => "quality_below_floor",
            SkipReason::NotDecoded => "not_decoded",
            SkipReason::Other => "other",
        };
        Self { hash_type: hash_type.to_string(), reason }
    }
}

/// An item that matched.
#[derive(Debug, Serialize)]
pub(crate) struct MatchObject {
    /// Id of the item; 0 if its bank is shared with the caller's member without details.
    pub(crate) item_id: u64,
    /// Name of its bank.
    pub(crate) bank: String,
    /// Id of its bank.
    pub(crate) bank_id: u32,
    /// The contributor's own reference for the item.
    pub(crate) external_reference: Option<String>,
    /// The contributor's labels.
    pub(crate) labels: Vec<String>,
    /// Name of the type of the hash that matched.
    pub(crate) hash_type: String,
    /// Number of differing bits.
    pub(crate) distance: u32,
    /// The variant of the image that matched, such as turned or mirrored.
    pub(crate) variant: &'static str,
    /// Whether the index that found the item finds all matches.
    pub(crate) exact: bool,
    /// Number of further hashes of the item that matched.
    pub(crate) other_matches: u32,
    /// Number of the image's frame that matched, from 0.
    pub(crate) frame: u32,
    /// The way in which that frame was hashed.
    pub(crate) way: &'static str,
    /// Time at which the item was added, in milliseconds since 1970; `null` if it is not known.
    pub(crate) added_at_unix_ms: Option<u64>,
    /// Time in milliseconds of the frame in the item's video that the image is near; left out if the item is
    /// an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item_time_ms: Option<u32>,
    /// Evidence that the queried video matches the item's; left out if a hash of another type matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) video: Option<EvidenceObject>,
    /// Opinions of members about the item; `null` if there are none.
    pub(crate) facts: Option<FactsObject>,
}

impl From<&Match> for MatchObject {
    fn from(found: &Match) -> Self {
        Self {
            item_id: found.item.0,
            bank: found.bank_name.to_string(),
            bank_id: found.bank.0,
            external_reference: found.external_reference.as_deref().map(str::to_owned),
            labels: found.labels.iter().map(ToString::to_string).collect(),
            hash_type: found.hash_type.to_string(),
            distance: found.distance.0,
            variant: found.variant.name(),
            exact: found.exact,
            other_matches: found.other_matches,
            frame: found.rendition.frame,
            way: found.rendition.way.name(),
            added_at_unix_ms: found.added_at.map(|at| at.0),
            item_time_ms: found.item_time_ms,
            video: found.video.as_deref().map(Into::into),
            facts: found.facts.as_deref().map(Into::into),
        }
    }
}

/// A bank.
#[derive(Debug, Serialize)]
pub(crate) struct BankObject {
    /// The caller's name for the bank.
    pub(crate) bank: String,
    /// Id of the bank.
    pub(crate) bank_id: u32,
    /// Name of the member that owns the bank; `null` if the answer does not contain it.
    pub(crate) owner: Option<String>,
    /// Whether the bank is searched.
    pub(crate) enabled: bool,
    /// Time at which the bank was created, in milliseconds since 1970.
    pub(crate) created_at_unix_ms: u64,
    /// Number of its items, without removed ones.
    pub(crate) items: u64,
    /// Number of the hashes of these items.
    pub(crate) hashes: u64,
    /// Share of lookups over the HMA-compatible API that search the bank, from 0 to 1.
    pub(crate) match_ratio: f64,
    /// Sequence of the state that is shown, or of the change that was made.
    pub(crate) sequence: u64,
}

impl BankObject {
    /// Returns the object of a bank, as of a sequence.
    #[must_use]
    pub(crate) fn new(bank: &BankListing, sequence: vigie_model::Sequence) -> Self {
        Self {
            bank: bank.name.to_string(),
            bank_id: bank.id.0,
            owner: bank.owner.as_ref().map(ToString::to_string),
            enabled: bank.enabled,
            created_at_unix_ms: bank.created_at.0,
            items: bank.item_count,
            hashes: bank.hash_count,
            match_ratio: bank.match_ratio.get(),
            sequence: sequence.0,
        }
    }
}

/// An item with its hashes, for callers that may read the bank.
#[derive(Debug, Serialize)]
pub(crate) struct ItemObject {
    /// Id of the item.
    pub(crate) item_id: u64,
    /// Name of its bank.
    pub(crate) bank: String,
    /// Time at which the item was added, in milliseconds since 1970.
    pub(crate) added_at_unix_ms: u64,
    /// The contributor's own reference for the item.
    pub(crate) external_reference: Option<String>,
    /// The contributor's labels.
    pub(crate) labels: Vec<String>,
    /// Hashes of the item.
    pub(crate) hashes: Vec<HashObject>,
}

/// A hash of an item.
#[derive(Debug, Serialize)]
pub(crate) struct HashObject {
    /// Name of the hash type.
    pub(crate) hash_type: String,
    /// The hash, as hexadecimal digits.
    pub(crate) hash: String,
}

impl From<&DescribedItem> for ItemObject {
    fn from(item: &DescribedItem) -> Self {
        let reference = Some(item.external_reference.clone()).filter(|reference| !reference.is_empty());
        Self {
            item_id: item.id.0,
            bank: item.bank.to_string(),
            added_at_unix_ms: item.added_at.0,
            external_reference: reference,
            labels: item.labels.clone(),
            hashes: item.hashes.iter().map(HashObject::of).collect(),
        }
    }
}

impl HashObject {
    fn of(hash: &Hash) -> Self {
        Self { hash_type: hash.hash_type().to_string(), hash: hash.to_text() }
    }
}

impl ItemObject {
    /// Returns the object of an item in the bank `bank`.
    #[must_use]
    pub(crate) fn new(item: &Item, bank: &BankRef) -> Self {
        Self {
            item_id: item.id.0,
            bank: bank.to_string(),
            added_at_unix_ms: item.added_at.0,
            external_reference: item.content.external_reference().map(str::to_owned),
            labels: item.content.labels().iter().map(ToString::to_string).collect(),
            hashes: item.content.hashes().iter().map(HashObject::of).collect(),
        }
    }
}
