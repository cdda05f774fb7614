//! What a platform asks of a frontend, and what it is told.

use bytes::Bytes;

use crate::fingerprint::Quality;
use crate::query::{QueryHash, QueryMatches, SearchOptions};
use vigie_hashes::{Distance, HashType};

/// One piece of content that is asked about.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// An image file, to be decoded and hashed.
    Image(Bytes),
    /// Hashes that the caller has computed.
    Hashed {
        /// The hashes, of any types and variants.
        hashes: Vec<QueryHash>,
        /// PDQ's quality of the image, if the caller knows it.
        pdq_quality: Option<Quality>,
    },
}

/// Shows sizes only: content and hashes are sensitive.
impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(bytes) => write!(f, "Image({} bytes)", bytes.len()),
            Self::Hashed { hashes, .. } => write!(f, "Hashed({} hashes)", hashes.len()),
        }
    }
}

/// A batch of content and how to look for it.
#[derive(Debug, Clone, PartialEq)]
pub struct MatchCall {
    /// What is asked about, at most [`crate::Query::BATCH_MAX`].
    pub contents: Vec<Content>,
    /// How to search.
    pub options: SearchOptions,
    /// The PDQ quality from which on a hash is trusted; `None` for the frontend's own floor.
    pub quality_floor: Option<Quality>,
}

/// Why a hash type was not searched for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// The image holds too little detail for a trustworthy hash.
    QualityBelowFloor,
}

/// How one hash type of one query was searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashTypeSearch {
    /// The type.
    pub hash_type: HashType,
    /// The largest distance that counted as a match.
    pub max_distance: Distance,
    /// Whether the index finds everything within that distance.
    pub exact: bool,
    /// Set where the type was not searched: "no match" then says nothing of it.
    pub skipped: Option<SkipReason>,
}

/// What was found for one piece of content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched {
    /// The items.
    pub found: QueryMatches,
    /// Every hash type of the content, searched or skipped.
    pub searches: Vec<HashTypeSearch>,
    /// PDQ's quality of the content, if known.
    pub pdq_quality: Option<Quality>,
    /// The floor that the quality was held against.
    pub quality_floor: Quality,
    /// Width and height of the decoded image in pixels; `None` where hashes were sent.
    pub size: Option<(u32, u32)>,
}
