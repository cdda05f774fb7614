//! A call and its answer, whatever the protocol.

use std::time::Duration;

use bytes::Bytes;
use tonic::Code;
use vigie_model::Sequence;

use crate::Hash;
use crate::judge::oracle::Hit;
use crate::judge::truth::Ask;

/// One call.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) asks: &'a [Asked<'a>],
    /// The answer has to hold the log up to here.
    pub(crate) min_sequence: Sequence,
    /// On the stream of the connection, where the protocol has one.
    pub(crate) streamed: bool,
}

/// What one question asks about.
pub(crate) enum Asked<'a> {
    Pool(&'a Ask),
    Hash(Hash),
    /// The hash of a video.
    Video(&'a Bytes),
}

impl std::fmt::Debug for Asked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pool(_) => "Pool",
            Self::Hash(_) => "Hash",
            Self::Video(_) => "Video",
        })
    }
}

/// What came back.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// The matches of each question, or the code with which it failed alone.
    pub(crate) results: Vec<Result<Vec<Hit>, Code>>,
    /// The share of shards that answered, where the protocol tells it.
    pub(crate) coverage: Option<f64>,
    /// Whether it says that nothing is missing.
    pub(crate) complete: bool,
    /// Frames of a video that were too common to be searched, so that the answer says that it may miss something.
    pub(crate) common_frames: u64,
    /// Up to where it holds the log, where the protocol tells it.
    pub(crate) sequence: Option<Sequence>,
    /// Verdicts of a member's policy.
    pub(crate) decided: u64,
    /// Verdicts that are wrong, or missing, or nobody's.
    pub(crate) misjudged: u64,
}

/// Why nothing came back, or not all.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// When to ask again.
    pub(crate) retry_after: Option<Duration>,
    /// The answer of those shards that did answer.
    pub(crate) partial: Option<Answer>,
}

impl Refusal {
    pub(crate) const fn new(code: Code) -> Self {
        Self { code, retry_after: None, partial: None }
    }
}
