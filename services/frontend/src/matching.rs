//! One call from content to answer: hash what has to be hashed, search once for all of it, put the answers together.

use futures::{StreamExt as _, stream};
use tokio::time::Instant;
use tonic::Status;
use vigie_model::{
    Content, Coverage, HashType, HashTypeSearch, MatchCall, Matched, MaxDistances, Quality, Query, QueryHash,
    QueryMatches, SearchAnswer, SkipReason,
};
use vigie_rpc::Priority;

use crate::error::HashingError;
use crate::hashing_pool::HashingPool;
use crate::searcher::{SearchFailure, Searcher, Urgency};

/// Images of one call that are in the hashing queue at once: so that one large batch does not fill it alone.
const IMAGES_QUEUED_MAX: usize = 4;

/// The answer to a call: one outcome for each content, and what the search covered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) results: Vec<Result<Matched, Status>>,
    pub(crate) coverage: Coverage,
    /// The partial results were too many for the coordinator's status: `results` is empty.
    pub(crate) results_omitted: bool,
}

/// Why a call has no full answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There is no answer.
    Call(Status),
    /// The answer covers less than was asked for.
    Incomplete { status: Status, partial: Box<Answer> },
}

/// Answers calls.
#[derive(Debug, Clone)]
pub(crate) struct Matching {
    pub(crate) pool: HashingPool,
    pub(crate) searcher: Searcher,
    pub(crate) quality_floor: Quality,
}

/// A content that can be searched for.
#[derive(Debug)]
struct Prepared {
    /// Its hashes, without those that are not to be trusted.
    query: Query,
    /// Every hash type of the content, and why it is not searched if it is not.
    hash_types: Vec<(HashType, Option<SkipReason>)>,
    pdq_quality: Option<Quality>,
    size: Option<(u32, u32)>,
}

impl Matching {
    /// Answers a call. One content that cannot be read fails the call if it is alone, and only itself in a batch.
    pub(crate) async fn answer(
        &self,
        call: MatchCall,
        urgency: Urgency,
        deadline: Instant,
    ) -> Result<Answer, Failed> {
        let MatchCall { contents, options, quality_floor } = call;
        let floor = quality_floor.unwrap_or(self.quality_floor);
        let alone = contents.len() == 1;
        let prepared = self.prepare_all(contents, floor, urgency.priority, deadline).await;
        if let (true, Some(Err(status))) = (alone, prepared.first()) {
            return Err(Failed::Call(status.clone()));
        }
        // A refusal for lack of room is about the call, not about one content: the caller should come back with it.
        if let Some(Err(refused)) = prepared
            .iter()
            .find(|one| matches!(one, Err(status) if status.code() == tonic::Code::ResourceExhausted))
        {
            return Err(Failed::Call(refused.clone()));
        }
        let mut queries: Vec<Query> = prepared.iter().flatten().map(|one| one.query.clone()).collect();
        if queries.is_empty() {
            // Nothing could be read; banks and sequence of the call are checked all the same.
            queries.push(Query::default());
        }
        let (query_count, max_distances) = (queries.len(), options.max_distances.clone());
        match self.searcher.search(queries, options, urgency, deadline).await {
            Ok(searched) if searched.results.len() == query_count => {
                Ok(assemble(prepared, searched, &max_distances, floor))
            }
            // A missing result must never be told as "no match".
            Ok(searched) => {
                let answered = searched.results.len();
                tracing::error!(
                    asked = query_count,
                    answered,
                    "the coordinator answered other queries than were asked"
                );
                Err(Failed::Call(Status::internal("the search failed")))
            }
            Err(SearchFailure::Call(status)) => Err(Failed::Call(status)),
            Err(SearchFailure::Incomplete { status, partial }) => {
                let partial = if partial.results.len() == query_count {
                    assemble(prepared, *partial, &max_distances, floor)
                } else {
                    Answer { results: Vec::new(), coverage: partial.coverage, results_omitted: true }
                };
                Err(Failed::Incomplete { status, partial: Box::new(partial) })
            }
        }
    }

    /// Fingerprints every image, a few at a time, in order.
    async fn prepare_all(
        &self,
        contents: Vec<Content>,
        floor: Quality,
        priority: Priority,
        deadline: Instant,
    ) -> Vec<Result<Prepared, Status>> {
        stream::iter(contents.into_iter().enumerate())
            .map(|(index, content)| async move {
                match content {
                    Content::Hashed { hashes, pdq_quality } => Ok(prepare(hashes, pdq_quality, None, floor)),
                    Content::Image(image) => {
                        let hashed = self.pool.fingerprint(image, priority, deadline).await;
                        let fingerprint = hashed.map_err(|error: HashingError| {
                            error.into_status(format!("queries[{index}].image"))
                        })?;
                        let size = Some((fingerprint.width, fingerprint.height));
                        Ok(prepare(fingerprint.query_hashes(), Some(fingerprint.quality), size, floor))
                    }
                }
            })
            .buffered(IMAGES_QUEUED_MAX)
            .collect()
            .await
    }
}

/// Leaves out the perceptual hashes of a content whose quality is below the floor, and remembers that it did.
fn prepare(
    mut hashes: Vec<QueryHash>,
    pdq_quality: Option<Quality>,
    size: Option<(u32, u32)>,
    floor: Quality,
) -> Prepared {
    let too_poor = pdq_quality.is_some_and(|quality| quality < floor);
    let mut hash_types: Vec<_> = hashes
        .iter()
        .map(|one| one.hash.hash_type())
        .map(|hash_type| {
            let skipped =
                (too_poor && hash_type.has_quality_floor()).then_some(SkipReason::QualityBelowFloor);
            (hash_type, skipped)
        })
        .collect();
    hash_types.sort_unstable_by_key(|(hash_type, _)| *hash_type);
    hash_types.dedup();
    hashes.retain(|one| !(too_poor && one.hash.hash_type().has_quality_floor()));
    Prepared { query: Query { hashes }, hash_types, pdq_quality, size }
}

/// Gives each prepared content its part of the search's answer.
fn assemble(
    prepared: Vec<Result<Prepared, Status>>,
    searched: SearchAnswer,
    max_distances: &MaxDistances,
    quality_floor: Quality,
) -> Answer {
    let SearchAnswer { results: found, coverage, approximate } = searched;
    let mut found = found.into_iter();
    let mut matched = |prepared: Prepared| Matched {
        found: found.next().unwrap_or_else(QueryMatches::default),
        searches: prepared
            .hash_types
            .into_iter()
            .map(|(hash_type, skipped)| HashTypeSearch {
                hash_type,
                max_distance: max_distances.get(hash_type),
                exact: !approximate.contains(&hash_type),
                skipped,
            })
            .collect(),
        pdq_quality: prepared.pdq_quality,
        quality_floor,
        size: prepared.size,
    };
    let results = prepared.into_iter().map(|one| one.map(&mut matched)).collect();
    Answer { results, coverage, results_omitted: false }
}
