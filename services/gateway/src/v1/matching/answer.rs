//! The answer of a lookup: the matches, and what was searched. The fields are those that the command line
//! prints.

use serde::Serialize;
use utoipa::ToSchema;
use vigie_clients::{MatchAnswer, QueryFailure};
use vigie_model::{Coverage, DecodeFailure, Match, Matched, ShardFailure, SkipReason, Source};
use vigie_rpc::code;

use crate::v1::items::facts::FactsObject;
use crate::v1::matching::classification::ClassificationObject;
use crate::v1::matching::decision::DecisionObject;
use crate::v1::matching::video::{EvidenceObject, VideoObject};
use crate::v1::values::metric_distance;

/// The answer to a lookup.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MatchAnswerObject {
    /// The results, one for each query, in the order of the queries.
    results: Vec<ResultObject>,
    /// The shards and the hashes that were searched.
    coverage: CoverageObject,
    /// The answer holds every change up to this one.
    sequence: u64,
    /// The sequence of the directory of members that decided what was searched and shown; 0 without members.
    directory_sequence: u64,
    /// Whether at least one result does not have all its matches.
    truncated: bool,
    /// Whether the results were left out because they were too large for the answer of a failure.
    results_omitted: bool,
}

/// The result of one query.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum ResultObject {
    /// The matches.
    Matched(Box<MatchedObject>),
    /// The query failed.
    Failed {
        /// The reason.
        error: ErrorObject,
    },
}

/// The matches of one query, and what was searched for it.
#[derive(Debug, Serialize, ToSchema)]
struct MatchedObject {
    /// The items, the nearest first.
    matches: Vec<MatchObject>,
    /// Whether more items match than are returned, because of the limit or the size of the answer.
    limit_reached: bool,
    /// Matches that were left out because the answer would have been too large.
    matches_left_out: u32,
    /// Whether the result repeats an earlier one, because the member's budget of near queries for an item is
    /// spent.
    near_budget_spent: bool,
    /// The decision of the policy of the caller's member; left out where it has no policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<DecisionObject>,
    /// PDQ's quality of the content, 0 to 100; `null` where it is not known.
    quality: Option<u8>,
    /// The floor that the quality was compared with.
    quality_floor: u8,
    /// Hash types that were searched.
    searches: Vec<SearchedObject>,
    /// Hash types that were not searched, and why. "No match" does not cover them.
    skipped: Vec<SkippedObject>,
    /// The frames of an image that were searched, and those that were not.
    #[serde(skip_serializing_if = "Option::is_none")]
    frames: Option<FramesObject>,
    /// The part of a video that was decoded and hashed.
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<VideoObject>,
    /// Frames that occur in so many known videos that not all of those were compared, so that an item may
    /// have been missed.
    #[serde(skip_serializing_if = "is_zero")]
    common_frames: u32,
    /// Why the image's picture, or the video's frames, were not searched; the digests were.
    #[serde(skip_serializing_if = "Option::is_none")]
    decode_failure: Option<ErrorObject>,
    /// The scores of the image's first frame by classifiers, one for each that was asked, by name:
    /// likelihoods, never verdicts. Left out where none was.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    classifications: Vec<ClassificationObject>,
}

/// The failure of a part of the answer.
#[derive(Debug, Serialize, ToSchema)]
struct ErrorObject {
    /// The gRPC code, or the kind of a failure to decode.
    code: String,
    /// The reason, for people.
    message: String,
}

/// A hash type that was searched.
#[derive(Debug, Serialize, ToSchema)]
struct SearchedObject {
    /// Its name.
    hash_type: String,
    /// The largest distance that counted as a match: differing bits, or for vectors millionths of the metric.
    max_distance: u32,
    /// The same distance for vectors, in their metric; left out for other types.
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_distance: Option<f64>,
    /// Whether the index is exact: it finds everything within that distance.
    exact: bool,
}

/// A hash type that was not searched.
#[derive(Debug, Serialize, ToSchema)]
struct SkippedObject {
    /// Its name.
    hash_type: String,
    /// `quality_below_floor`, `not_decoded` or `other`.
    reason: &'static str,
}

/// The frames of an image that an answer covers.
#[derive(Debug, Serialize, ToSchema)]
struct FramesObject {
    /// Frames that were decoded and are not left out.
    seen: u32,
    /// The least number of frames that were not searched.
    left_out: u32,
    /// Frames of `seen` that have too little detail to be searched.
    below_floor: u32,
    /// Hashes, in further ways, of the frames of `seen`, that were not searched.
    ways_left_out: u32,
}

/// An item that matched.
#[derive(Debug, Serialize, ToSchema)]
struct MatchObject {
    /// Its id; 0 where the bank is shared with the caller's member without its details.
    item_id: u64,
    /// Its bank's name.
    bank: String,
    /// Its bank's id.
    bank_id: u32,
    /// The contributor's own name for it.
    external_reference: Option<String>,
    /// The contributor's labels.
    labels: Vec<String>,
    /// The type of the hash that matched.
    hash_type: String,
    /// Differing bits, or for vectors millionths of the metric.
    distance: u32,
    /// The distance of a vector in its metric (for the cosine 0 to 2, where 0 is the same direction); left
    /// out for other types.
    #[serde(skip_serializing_if = "Option::is_none")]
    metric_distance: Option<f64>,
    /// The orientation of the content when it matched, such as `original` or `rotate-90`.
    variant: &'static str,
    /// Whether the index that found it is exact.
    exact: bool,
    /// Further hashes that matched.
    other_matches: u32,
    /// The frame of the content that matched, from 0.
    frame: u32,
    /// The way in which that frame was hashed.
    way: &'static str,
    /// The time, in milliseconds, of the frame of the item's video that the image is near; left out where the
    /// image is near an image.
    #[serde(skip_serializing_if = "Option::is_none")]
    item_time_ms: Option<u32>,
    /// How the video of the query matches the item's; left out where a hash of another type matched.
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<EvidenceObject>,
    /// The members' opinions on the item, and other facts; `null` where there are none.
    facts: Option<FactsObject>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The shards that answered, what was searched, and as of which change and time.
#[derive(Debug, Serialize, ToSchema)]
struct CoverageObject {
    /// Shards of the cluster.
    shards_total: u16,
    /// Shards that answered.
    shards_answered: u16,
    /// Hashes that were searched.
    hashes_searched: u64,
    /// Hashes of all shards.
    hashes_total: u64,
    /// The answer holds every change up to this one.
    sequence_min: u64,
    /// The newest change that any of the shards had applied.
    sequence_max: u64,
    /// Milliseconds since 1970: the answer holds every change that was committed up to then; `null` where it
    /// is not known.
    committed_unix_ms: Option<u64>,
    /// Milliseconds since 1970: when the bank last reported that it had nothing newer; `null` where it is not
    /// known.
    heard_unix_ms: Option<u64>,
    /// Shards that did not answer.
    failures: Vec<ShardFailureObject>,
}

/// A shard that did not answer.
#[derive(Debug, Serialize, ToSchema)]
struct ShardFailureObject {
    /// The number of the shard.
    shard: u16,
    /// The reason.
    reason: String,
}

impl From<&MatchAnswer> for MatchAnswerObject {
    fn from(answer: &MatchAnswer) -> Self {
        let MatchAnswer { results, coverage, sequence, directory, results_omitted } = answer;
        let is_cut = |matched: &Matched| matched.found.limit_reached || matched.found.left_out > 0;
        Self {
            results: results.iter().map(Into::into).collect(),
            coverage: coverage.into(),
            sequence: sequence.0,
            directory_sequence: directory.0,
            truncated: *results_omitted || results.iter().flatten().any(is_cut),
            results_omitted: *results_omitted,
        }
    }
}

impl From<&Result<Matched, QueryFailure>> for ResultObject {
    fn from(result: &Result<Matched, QueryFailure>) -> Self {
        match result {
            Ok(matched) => Self::Matched(Box::new(matched.into())),
            Err(QueryFailure { code, message }) => {
                let error = ErrorObject { code: code::word(*code).to_owned(), message: message.clone() };
                Self::Failed { error }
            }
        }
    }
}

impl From<&Matched> for MatchedObject {
    fn from(matched: &Matched) -> Self {
        let mut searches = Vec::new();
        let mut skipped = Vec::new();
        for search in &matched.searches {
            let hash_type = search.hash_type.to_string();
            match search.skipped {
                None => {
                    let (max_distance, exact) = (search.max_distance.0, search.exact);
                    let metric_distance = metric_distance(search.hash_type, search.max_distance);
                    searches.push(SearchedObject { hash_type, max_distance, metric_distance, exact });
                }
                Some(reason) => skipped.push(SkippedObject { hash_type, reason: reason_name(reason) }),
            }
        }
        let video = match &matched.source {
            Source::Video(video) => Some(video.into()),
            Source::Hashed | Source::Decoded(_) | Source::Undecoded(_) => None,
        };
        let (frames, decode_failure) = match &matched.source {
            Source::Hashed | Source::Video(_) => (None, None),
            Source::Decoded(decoded) => {
                let frames = FramesObject {
                    seen: decoded.frames_seen,
                    left_out: decoded.frames_left_out,
                    below_floor: decoded.frames_below_floor,
                    ways_left_out: decoded.ways_left_out,
                };
                (Some(frames), None)
            }
            Source::Undecoded(DecodeFailure { kind, message }) => {
                (None, Some(ErrorObject { code: kind.name().to_owned(), message: message.clone() }))
            }
        };
        Self {
            matches: matched.found.matches.iter().map(Into::into).collect(),
            limit_reached: matched.found.limit_reached,
            matches_left_out: matched.found.left_out,
            near_budget_spent: matched.near_budget_spent,
            decision: matched.decision.as_ref().map(Into::into),
            quality: matched.pdq_quality.map(|quality| quality.get()),
            quality_floor: matched.quality_floor.get(),
            searches,
            skipped,
            frames,
            video,
            common_frames: matched.found.common_frames,
            decode_failure,
            classifications: matched.classifications.iter().map(Into::into).collect(),
        }
    }
}

const fn reason_name(reason: SkipReason) -> &'static str {
    match reason {
        SkipReason::QualityBelowFloor => "quality_below_floor",
        SkipReason::NotDecoded => "not_decoded",
        SkipReason::Other => "other",
    }
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
            metric_distance: metric_distance(found.hash_type, found.distance),
            variant: found.variant.name(),
            exact: found.exact,
            other_matches: found.other_matches,
            frame: found.rendition.frame,
            way: found.rendition.way.name(),
            item_time_ms: found.item_time_ms,
            video: found.video.as_deref().map(Into::into),
            facts: found.facts.as_deref().map(Into::into),
        }
    }
}

impl From<&Coverage> for CoverageObject {
    fn from(coverage: &Coverage) -> Self {
        let failure = |failure: &ShardFailure| ShardFailureObject {
            shard: failure.shard.0,
            reason: failure.reason.clone(),
        };
        Self {
            shards_total: coverage.shards_total,
            shards_answered: coverage.shards_answered,
            hashes_searched: coverage.hashes_searched,
            hashes_total: coverage.hashes_total,
            sequence_min: coverage.sequence_min.0,
            sequence_max: coverage.sequence_max.0,
            committed_unix_ms: coverage.as_of.committed.map(|at| at.0),
            heard_unix_ms: coverage.as_of.heard.map(|at| at.0),
            failures: coverage.failures.iter().map(failure).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_clients::Code;
    use vigie_model::vectors::VectorClass;
    use vigie_model::{
        BankId, Distance, HashType, HashTypeSearch, ItemId, Quality, QueryMatches, Rendition, Sequence,
        Variant,
    };

    use super::*;

    #[test]
    fn the_distance_of_a_vector_has_its_number_in_the_metric_beside_it() {
        let shown = |hash_type, distance| {
            let found = Match {
                video: None,
                item_time_ms: None,
                item: ItemId(9),
                bank: BankId(1),
                bank_name: "known".parse().unwrap(),
                external_reference: None,
                labels: [].into(),
                hash_type,
                distance: Distance(distance),
                variant: Variant::Original,
                exact: false,
                other_matches: 0,
                rendition: Rendition::default(),
                added_at: None,
                facts: None,
            };
            serde_json::to_value(MatchObject::from(&found)).unwrap()
        };
        let vector = shown(VectorClass::ALL[0].hash_type(63), 183_204);
        assert_eq!((&vector["distance"], &vector["metric_distance"]), (&183_204.into(), &0.183_204.into()));
        let pdq = shown(HashType::PDQ, 31);
        assert_eq!((&pdq["distance"], pdq.get("metric_distance")), (&31.into(), None));
    }

    #[test]
    fn a_partial_result_never_looks_complete() {
        let search = |hash_type, skipped| HashTypeSearch {
            hash_type,
            max_distance: Distance(3),
            exact: true,
            skipped,
        };
        let matched = Matched {
            found: QueryMatches { left_out: 2, ..QueryMatches::default() },
            searches: vec![
                search(HashType::MD5, None),
                search(HashType::PDQ, Some(SkipReason::QualityBelowFloor)),
            ],
            pdq_quality: Quality::new(9).ok(),
            quality_floor: Quality::FLOOR_DEFAULT,
            source: Source::Hashed,
            near_budget_spent: false,
            decision: None,
            classifications: Vec::new(),
        };
        let failure = QueryFailure { code: Code::InvalidArgument, message: "no hash".to_owned() };
        let answer = MatchAnswer {
            results: vec![Ok(matched), Err(failure)],
            coverage: Coverage::default(),
            sequence: Sequence(5),
            directory: Sequence(4),
            results_omitted: false,
        };
        let shown = serde_json::to_value(MatchAnswerObject::from(&answer)).unwrap();
        assert_eq!((&shown["truncated"], &shown["sequence"]), (&true.into(), &5.into()));
        let [first, second] = &shown["results"].as_array().unwrap()[..] else { panic!("{shown}") };
        assert_eq!(first["searches"][0]["hash_type"], "md5");
        assert_eq!(first["skipped"][0]["reason"], "quality_below_floor");
        assert_eq!((&first["quality"], &first["matches_left_out"]), (&9.into(), &2.into()));
        assert_eq!(second["error"]["code"], "INVALID_ARGUMENT");
        assert!(second.get("matches").is_none());
    }
}
