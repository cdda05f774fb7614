//! A call and its answer, independent of the protocol.

use std::time::Duration;

use bytes::Bytes;
use tonic::Code;
use vigie_model::Sequence;

use crate::Hash;
use crate::judge::oracle::Hit;
use crate::judge::truth::Ask;
use crate::run::lanes::kind::Kind;

/// A call with one or more questions.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    pub(crate) asks: &'a [Asked<'a>],
    /// The lowest sequence of the log that the answer has to include.
    pub(crate) min_sequence: Sequence,
    /// The kind of the request. A protocol that has no streams or no packed form sends it like any other.
    pub(crate) kind: Kind,
}

/// The subject of one question.
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

/// An answer to a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    /// The matches of each question, or the code with which this question failed.
    pub(crate) results: Vec<Result<Vec<Hit>, Code>>,
    /// The share of shards that answered (0 to 1), where the protocol reports it.
    pub(crate) coverage: Option<f64>,
    /// Whether the answer claims to be complete.
    pub(crate) complete: bool,
    /// Frames of a video that were too common to be searched; with any, the answer reports that it may lack
    /// matches.
    pub(crate) common_frames: u64,
    /// The sequence of the log that the answer includes, where the protocol reports it.
    pub(crate) sequence: Option<Sequence>,
    /// Number of verdicts of the member's policy.
    pub(crate) decided: u64,
    /// Number of verdicts that are wrong, missing, or without a policy.
    pub(crate) misjudged: u64,
}

/// The reason why there is no answer, or only a partial one.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    /// The time after which to retry.
    pub(crate) retry_after: Option<Duration>,
    /// The answer of those shards that did answer.
    pub(crate) partial: Option<Answer>,
}

impl Refusal {
    pub(crate) const fn new(code: Code) -> Self {
        Self { code, retry_after: None, partial: None }
    }
}
