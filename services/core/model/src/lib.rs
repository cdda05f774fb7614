//! The types of the domain: ids, hashes, distances, sequences, coverage.
//!
//! Every crate of the project uses these types. None of them depends on a wire format, a database or a
//! runtime. A value of these types has been checked: a [`BankName`] is a valid name, a [`Hash`](struct@Hash)
//! has the length of its type, and [`MaxDistances`] are within the limits of the index.
//!
//! A hash is sensitive, because it can be partly inverted. No type here prints one by accident: `Debug` shows
//! only the hash type, and the digits are written only by [`Hash::to_text`] and `Hash::to_line`.
//!
//! Reading order: [`rendition`], [`failure`], [`fingerprint`], [`bank`], [`member`], [`bank_ref`],
//! [`bank_set`], [`match_ratio`], [`labels`], [`item`], [`sequence`], [`shard`], [`shard_group`], [`tiling`],
//! [`digest`], [`change`], [`video`], [`query`], [`answer`], [`cost`], [`standing`], [`verdict`],
//! [`classification`], [`coverage`], [`matching`], [`topology`].

pub mod rendition;
pub mod failure;
pub mod fingerprint;
/// Banks: names, owners, sets of banks, and their shares of lookups.
pub mod banks {
    pub mod bank;
    pub mod member;
    pub mod bank_ref;
    pub mod bank_set;
    pub mod match_ratio;
}
/// Items, and their labels.
pub mod items {
    pub mod labels;
    pub mod item;
}
pub mod sequence;
/// The assignment of items to shards, and of shards to matchers.
pub mod shards {
    pub mod shard;
    pub mod shard_group;
    pub mod tiling;
}
pub mod digest;
pub mod change;
pub mod video;
pub mod query;
/// The limits of one call and of its answer.
pub mod bounds {
    pub mod answer;
    pub mod cost;
}
/// The opinions of members on items, the verdicts of policies on queries, and the scores of classifiers.
pub mod judgement {
    pub mod standing;
    pub mod verdict;
    pub mod classification;
}
pub mod coverage;
pub mod matching;
pub mod topology;

/// The frames of a video, and their text.
pub use vigie_hashes::frames;
pub use vigie_hashes::{Declaration, DeclarationError, declared, vectors};
pub use vigie_hashes::{
    Distance, DistinctFrames, FRAME_BYTES, Frame, Frames, FramesError, Hash, HashError, HashType,
    HashTypeSet, Md5Hash, Metric, PARTS_OF_ONE, PdqHash, Sha256Hash, TimeLeft, UnknownHashType,
    VECTOR_ELEMENTS_MAX, VectorClass, VectorElement, VectorMetric,
};

pub use banks::{bank, bank_ref, bank_set, match_ratio, member};
pub use bounds::{answer, cost};
pub use items::{item, labels};
pub use judgement::{classification, standing, verdict};
pub use shards::{shard, shard_group, tiling};

pub use answer::{ANSWER_BYTES_MAX, Filling, LITTLE_BYTES};
pub use bank::{Bank, BankId, BankName, BankNameError};
pub use bank_ref::{BankRef, BankRefError};
pub use bank_set::BankSet;
pub use change::{Change, ChangeKind, Cursor, FeedRange, LogId, StatePart};
pub use classification::{
    ClassScore, Classification, RateEstimate, ScoreFailure, ScoreFailureKind, ScoreThreshold,
};
pub use cost::{Cost, CostError};
pub use coverage::{AsOf, Coverage, MinCoverage, MinCoverageError, ShardFailure};
pub use digest::SetDigest;
pub use failure::{DecodeFailure, DecodeFailureKind};
pub use fingerprint::{
    FrameFingerprint, ImageFingerprint, PictureFingerprint, PictureHashes, Quality, QualityError,
    VideoFingerprint, VideoFrame, VideoPartial,
};
pub use item::{Item, ItemContent, ItemContentError, ItemDraft, ItemId};
pub use labels::{Labels, LabelsError};
pub use match_ratio::{MatchRatio, MatchRatioError};
pub use matching::{Content, Decoded, DecodedVideo, HashTypeSearch, MatchCall, Matched, SkipReason, Source};
pub use member::{MemberId, MemberName, MemberNameError};
pub use query::{
    Limit, LimitError, Match, MaxDistanceError, MaxDistances, Query, QueryHash, QueryMatches, Rank,
    SearchAnswer, SearchOptions, ShardAnswer, Stills, Threshold, hash_types,
};
pub use rendition::{Rendition, Variant, Way};
pub use sequence::{Sequence, UnixMillis};
pub use shard::{Partition, ShardCount, ShardId, ShardIdentity, ShardIdentityError};
pub use shard_group::{ShardGroup, ShardGroupError};
pub use standing::{Facts, OpinionKind, Standing};
pub use topology::{HashCount, LogHead, Recall, ReplicaDescription, ReplicaState, ReplicaView, Topology};
pub use verdict::{Decided, UnknownVerdict, Verdict};
pub use video::{
    Percent, VideoEvidence, VideoRule, VideoRuleKind, VideoRuleSet, VideoRules, VideoRulesError, VideoSide,
};
