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

/// A file whose fingerprints were computed. The fields up to `variants` are of the first frame.
#[derive(Debug, Serialize)]
pub(crate) struct HashLine<'a> {
    /// The path as it was typed.
    pub(crate) file: &'a str,
    /// Pixels.
    pub(crate) width: u32,
    /// Pixels.
    pub(crate) height: u32,
    /// 64 hexadecimal digits.
    pub(crate) pdq: String,
    /// 0 to 100.
    pub(crate) quality: u8,
    /// Original, rotate 90, 180, 270, flip x, flip y, flip +1, flip -1.
    pub(crate) variants: [String; 8],
    /// Further query hashes of the first frame.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ways: Vec<WayObject>,
    /// Every frame that was hashed, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) frames: Vec<FrameObject>,
    /// At least so many frames were not hashed.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) frames_left_out: u32,
    /// Digests of the file's bytes in hexadecimal digits, by the name of their type: `md5`, `sha256` ...
    #[serde(flatten)]
    pub(crate) digests: BTreeMap<String, String>,
}

impl<'a> HashLine<'a> {
    /// The line of a file.
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

/// A further query hash of a frame.
#[derive(Debug, Serialize)]
pub(crate) struct WayObject {
    /// `scaled`, `unbordered`, `palette_indices` or `as_stored`.
    pub(crate) way: &'static str,
    /// 64 hexadecimal digits.
    pub(crate) pdq: String,
    /// 0 to 100.
    pub(crate) quality: u8,
}

impl From<&(Way, PictureHashes)> for WayObject {
    fn from((way, hashes): &(Way, PictureHashes)) -> Self {
        Self { way: way.name(), pdq: Hash::pdq(hashes.pdq[0]).to_text(), quality: hashes.quality.get() }
    }
}

/// One frame of a file of several.
#[derive(Debug, Serialize)]
pub(crate) struct FrameObject {
    /// Its number, from 0.
    pub(crate) frame: u32,
    /// When it is shown, in seconds from the beginning; `null` for a page.
    pub(crate) time_s: Option<f64>,
    /// 64 hexadecimal digits.
    pub(crate) pdq: String,
    /// 0 to 100.
    pub(crate) quality: u8,
    /// Further query hashes of the frame.
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

/// A file that could not be used.
#[derive(Debug, Serialize)]
pub(crate) struct FailedFileLine<'a> {
    /// The path as it was typed, or found in a folder.
    pub(crate) file: &'a str,
    /// Why.
    pub(crate) error: ErrorLine,
}

/// What `vigie match` was asked about, as its lines name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub(crate) enum Subject {
    /// An image file.
    File {
        /// The path as it was typed, or found in a folder; `-` for an image of standard input.
        file: String,
    },
    /// A hash that was typed.
    Hash {
        /// As it was typed.
        hash: String,
    },
    /// A line of standard input.
    Line {
        /// Its number, from 1.
        line: u64,
        /// What the line calls its hashes.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
}

impl Subject {
    /// The name in a message of an error, in which no hash is repeated in full.
    pub(crate) fn in_errors(&self) -> String {
        match self {
            Self::Hash { hash } => {
                let begin: String = hash.chars().take(Self::HASH_BEGIN).collect();
                format!("{begin}...")
            }
            other @ (Self::File { .. } | Self::Line { .. }) => other.to_string(),
        }
    }

    /// Letters by which a person finds a hash among those that were typed.
    const HASH_BEGIN: usize = 8;
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { file } => f.write_str(file),
            Self::Hash { hash } => f.write_str(hash),
            Self::Line { line, name: None } => write!(f, "line {line}"),
            Self::Line { line, name: Some(name) } => write!(f, "line {line} ({name})"),
        }
    }
}

/// Something that was asked about in vain.
#[derive(Debug, Serialize)]
pub(crate) struct UnmatchedLine<'a> {
    /// What.
    #[serde(flatten)]
    pub(crate) subject: &'a Subject,
    /// Why.
    pub(crate) error: ErrorLine,
}

/// A file or a hash that was asked about.
#[derive(Debug, Serialize)]
pub(crate) struct MatchLine<'a> {
    /// Which.
    #[serde(flatten)]
    pub(crate) subject: &'a Subject,
    /// The items, the nearest first.
    pub(crate) matches: Vec<MatchObject>,
    /// More items match than are given: than the limit let through, or than the answer holds.
    pub(crate) limit_reached: bool,
    /// Matches that were left out because the answer would have been too large.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) matches_left_out: u32,
    /// The answer repeats an earlier one: the member's budget of near queries for an item is spent.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) near_budget_spent: bool,
    /// What the caller's policy decided. Left out where it has none, and where the call failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decision: Option<DecisionObject>,
    /// What classifiers say of the image's first frame: likelihoods, never verdicts. Left out where none was
    /// asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) classifications: Vec<ClassificationObject>,
    /// PDQ's quality of the image.
    pub(crate) quality: Option<u8>,
    /// The frames of the image that were searched, and those that were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) frames: Option<FramesObject>,
    /// What was decoded of a video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) video: Option<VideoObject>,
    /// Frames of a video that are in so many known videos that not all of these were compared.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) common_frames: u32,
    /// Why the image's picture, or the video's frames, were not searched; the digests were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decode_failure: Option<ErrorLine>,
    /// Hash types that were not searched, and why.
    pub(crate) skipped: Vec<SkippedObject>,
    /// Hash types whose index may have missed a match.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) approximate: Vec<String>,
    /// What was searched.
    pub(crate) coverage: CoverageObject,
    /// The answer holds every change up to this one.
    pub(crate) sequence: u64,
    /// The call failed, and what was found was too much to come with the error: `matches` is empty for that
    /// reason.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) results_omitted: bool,
    /// The call failed, because less was searched than was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<ErrorLine>,
}

/// How much of an image an answer covers.
#[derive(Debug, Serialize)]
pub(crate) struct FramesObject {
    /// Frames that were decoded and are not left out.
    pub(crate) seen: u32,
    /// At least so many were not searched.
    pub(crate) left_out: u32,
    /// Of the frames seen, those that hold too little detail to be searched.
    pub(crate) below_floor: u32,
    /// Of the frames seen, hashes in further ways that were not searched.
    pub(crate) ways_left_out: u32,
}

impl FramesObject {
    /// The frames of a content; `None` where none were decoded.
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

/// The object of a failure to decode.
#[must_use]
pub(crate) fn decode_failure(failure: &DecodeFailure) -> ErrorLine {
    ErrorLine { code: failure.kind.name().to_owned(), message: failure.message.clone() }
}

/// A hash type that was not searched.
#[derive(Debug, Serialize)]
pub(crate) struct SkippedObject {
    /// Its name.
    pub(crate) hash_type: String,
    /// `quality_below_floor`, `not_decoded`, or `other` for a reason that this version does not know.
    pub(crate) reason: &'static str,
}

impl SkippedObject {
    /// The object of a skipped type.
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
    /// Its id; 0 where the bank is shared with the caller's member without its details.
    pub(crate) item_id: u64,
    /// Its bank's name.
    pub(crate) bank: String,
    /// Its bank's id.
    pub(crate) bank_id: u32,
    /// The contributor's own name for it.
    pub(crate) external_reference: Option<String>,
    /// The contributor's labels.
    pub(crate) labels: Vec<String>,
    /// The type of the hash that matched.
    pub(crate) hash_type: String,
    /// Differing bits.
    pub(crate) distance: u32,
    /// Which way round the image was when it matched.
    pub(crate) variant: &'static str,
    /// Whether the index that found it finds everything.
    pub(crate) exact: bool,
    /// Further hashes that matched.
    pub(crate) other_matches: u32,
    /// The frame of the image that matched, from 0.
    pub(crate) frame: u32,
    /// The way in which that frame was hashed.
    pub(crate) way: &'static str,
    /// Milliseconds since 1970: when the item was added; `null` where it is not known.
    pub(crate) added_at_unix_ms: Option<u64>,
    /// When the frame of the item's video is shown that the image is near, in milliseconds; left out where it
    /// is near an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) item_time_ms: Option<u32>,
    /// How the video that was asked about matches the item's; left out where a hash of another type matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) video: Option<EvidenceObject>,
    /// What the members say of the item; `null` where they say nothing.
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
    /// The caller's name for it.
    pub(crate) bank: String,
    /// Its id.
    pub(crate) bank_id: u32,
    /// The name of the member that it belongs to; `null` where the bank names none.
    pub(crate) owner: Option<String>,
    /// Whether it is searched.
    pub(crate) enabled: bool,
    /// Milliseconds since 1970.
    pub(crate) created_at_unix_ms: u64,
    /// Living items.
    pub(crate) items: u64,
    /// Their hashes.
    pub(crate) hashes: u64,
    /// The share of lookups over the HMA-compatible API in which it takes part.
    pub(crate) match_ratio: f64,
    /// As of this change, or the change that made it so.
    pub(crate) sequence: u64,
}

impl BankObject {
    /// The object of a bank as of a sequence.
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

/// An item, with its hashes: for those who may read the bank.
#[derive(Debug, Serialize)]
pub(crate) struct ItemObject {
    /// Its id.
    pub(crate) item_id: u64,
    /// Its bank's name.
    pub(crate) bank: String,
    /// Milliseconds since 1970.
    pub(crate) added_at_unix_ms: u64,
    /// The contributor's own name for it.
    pub(crate) external_reference: Option<String>,
    /// The contributor's labels.
    pub(crate) labels: Vec<String>,
    /// Its hashes.
    pub(crate) hashes: Vec<HashObject>,
}

/// One hash of an item.
#[derive(Debug, Serialize)]
pub(crate) struct HashObject {
    /// Its type.
    pub(crate) hash_type: String,
    /// Hexadecimal digits.
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
    /// The object of an item of the bank called `bank`.
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
