//! Answers a call: hashes its files, searches once for all contents, and assembles the answers.

mod shareable;

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tokio::time::Instant;
use tonic::Status;
use vigie_media::digest;
use vigie_media::video::Sampling;
use vigie_model::answer::{answer_bytes as bytes_at_most, cut};
use vigie_model::cost;
use vigie_model::{
    ANSWER_BYTES_MAX, Content, Cost, Coverage, DecodeFailure, DecodeFailureKind, HashTypeSet, LITTLE_BYTES,
    Limit, MatchCall, Matched, Quality, Query, QueryMatches, Rendition, SearchAnswer, SearchOptions,
    hash_types,
};
use vigie_proto::Invalid;
use vigie_rpc::Priority;

use crate::error::HashingError;
use crate::hashing::{HashedVideo, HashingPool, Images, Videos};
use crate::prepared::{Found, Prepared, Searched, take_queries};
use crate::request::classifying::asking::Classifiers;
use crate::request::classifying::outcomes::{Outcomes, all_said};
use crate::request::classifying::plan::Plan;
use crate::request::classifying::said::Said;
use crate::request::rooms::Rooms;
use crate::searcher::{SearchFailure, Searcher, Urgency};

pub(crate) use shareable::Shareable;

/// A call with more queries than this has bulk priority behind this frontend, whatever priority the caller
/// asks for.
pub(crate) const INTERACTIVE_QUERIES_MAX: usize = 16;

/// Videos are queried by one frame a second and banked by every frame that differs, so a copy matches however
/// its frames are aligned.
pub(crate) const QUERY_SAMPLING: Sampling = Sampling::QUERY;

/// The most images of one call in the hashing queue at once, so that one large batch does not fill the queue.
const IMAGES_QUEUED_MAX: usize = 4;

/// The answer to a call: one outcome for each content, and what the search covered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) results: Vec<Result<Matched, Status>>,
    pub(crate) coverage: Coverage,
    /// The partial results were too many for the coordinator's status: `results` is empty.
    pub(crate) results_omitted: bool,
    /// The queries that were searched.
    pub(crate) queries: SearchedQueries,
    /// The answers of the classifiers for each content, where some were asked.
    pub(crate) said: Vec<Option<Said>>,
}

impl Answer {
    /// Returns whether the answer holds every match of every shard. If it does not, requests that share it
    /// may each have more matches when answered alone.
    fn is_whole(&self) -> bool {
        let is_cut = |result: &Result<Matched, Status>| result.as_ref().is_ok_and(|one| one.found.is_cut());
        let coverage = &self.coverage;
        coverage.shards_answered == coverage.shards_total
            && !self.results_omitted
            && !self.results.iter().any(is_cut)
    }

    /// Splits the answer to several requests of these numbers of contents, all of which could be searched.
    fn split(self, counts: &[usize]) -> Vec<Self> {
        // Calls that ask classifiers share no search.
        let Self { results, coverage, results_omitted, queries, said: _ } = self;
        let (mut results, mut first) = (results.into_iter(), 0);
        let part = |count: &usize| {
            let queries = SearchedQueries { first, ..queries.clone() };
            first += count;
            let results = results.by_ref().take(*count).collect();
            Self { results, coverage: coverage.clone(), results_omitted, queries, said: Vec::new() }
        };
        counts.iter().map(part).collect()
    }
}

/// The queries of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct SearchedQueries {
    /// For each query the index of its content among those that could be searched, ascending, and its
    /// rendition.
    of: Arc<[(usize, Rendition)]>,
    /// The queries as they were sent. All parts but the last have the length of the first.
    parts: Vec<Arc<[Query]>>,
    /// The index of the request's first content, where several requests share the call.
    first: usize,
}

impl SearchedQueries {
    /// Prepares for these queries, none of which has been sent.
    pub(crate) fn new(queries: &[(usize, Rendition, Query)]) -> Self {
        let of = queries.iter().map(|(at, rendition, _)| (*at, *rendition)).collect();
        Self { of, parts: Vec::new(), first: 0 }
    }

    /// Adds the next queries that are sent.
    pub(crate) fn sent(&mut self, part: &Arc<[Query]>) {
        self.parts.push(Arc::clone(part));
    }

    /// Returns the queries of content `at`, an index among the request's contents that could be searched.
    pub(crate) fn of_content(&self, at: usize) -> impl Iterator<Item = (Rendition, &Query)> {
        let at = self.first + at;
        let begin = self.of.partition_point(|(one, _)| *one < at);
        let part = self.parts.first().map_or(1, |first| first.len().max(1));
        let of_content = self.of.iter().enumerate().skip(begin).take_while(move |(_, (one, _))| *one == at);
        of_content.filter_map(move |(number, (_, rendition))| {
            Some((*rendition, self.parts.get(number / part)?.get(number % part)?))
        })
    }
}

/// The reason why a call has no full answer.
#[derive(Debug)]
pub(crate) enum Failed {
    /// There is no answer.
    Call(Status),
    /// The answer covers less than was asked for.
    Incomplete { status: Status, partial: Box<Answer> },
}

/// The settings that the contents of a call have in common.
struct Terms {
    options: SearchOptions,
    quality_floor: Quality,
    /// The largest number of bytes of all matches.
    bytes_max: usize,
}

/// The services and limits for answering calls.
#[derive(Debug, Clone)]
pub(crate) struct Matching {
    pub(crate) images: HashingPool<Images>,
    /// `None` if the frontend has no thread for videos.
    pub(crate) videos: Option<HashingPool<Videos>>,
    pub(crate) searcher: Searcher,
    pub(crate) classifiers: Classifiers,
    pub(crate) quality_floor: Quality,
    /// The largest number of queries of one call.
    pub(crate) queries_max: usize,
    /// The largest number of bytes of one video.
    pub(crate) video_bytes_max: usize,
}

impl Matching {
    /// Answers a call, with the scores of the classifiers of `plan`. A content that cannot be searched fails
    /// the call if it is the only one; in a batch it fails alone.
    pub(crate) async fn answer(
        &self,
        call: MatchCall,
        plan: Option<&Arc<Plan>>,
        urgency: Urgency,
        rooms: &mut Rooms,
        deadline: Instant,
    ) -> Result<Answer, Failed> {
        let MatchCall { contents, options, quality_floor, surface: _, classifiers: _ } = call;
        let floor = quality_floor.unwrap_or(self.quality_floor);
        let alone = contents.len() == 1;
        // Large classifications leave fewer bytes of the answer for matches.
        let bytes_max = ANSWER_BYTES_MAX - plan.map_or(0, |plan| plan.answer_bytes(contents.len()));
        let prepared = self.prepare_all(contents, plan, floor, urgency.priority, deadline).await;
        let (prepared, asking): (Vec<_>, Vec<_>) = prepared.into_iter().unzip();
        if let (true, Some(Err(status))) = (alone, prepared.first()) {
            return Err(Failed::Call(status.clone()));
        }
        // A full queue concerns the whole call, not one content: the caller should retry the call.
        if let Some(Err(refused)) = prepared
            .iter()
            .find(|one| matches!(one, Err(status) if status.code() == tonic::Code::ResourceExhausted))
        {
            return Err(Failed::Call(refused.clone()));
        }
        let terms = Terms { options, quality_floor: floor, bytes_max };
        let searched = self.search(prepared, terms, urgency, rooms, deadline).await;
        let with_said = |mut answer: Answer, said: Vec<Option<Said>>| {
            for (result, said) in answer.results.iter_mut().zip(&said) {
                if let (Ok(matched), Some(said)) = (result, said) {
                    matched.classifications = said.classifications();
                }
            }
            Answer { said, ..answer }
        };
        match searched {
            Ok(answer) => Ok(with_said(answer, rooms.wait_for(all_said(asking)).await)),
            Err(Failed::Incomplete { status, partial }) => {
                let partial = with_said(*partial, rooms.wait_for(all_said(asking)).await);
                Err(Failed::Incomplete { status, partial: Box::new(partial) })
            }
            Err(Failed::Call(status)) => Err(Failed::Call(status)),
        }
    }

    /// Answers several calls by one search, in order; [`Shareable`] decides which calls may share one.
    /// Returns `None` if each call has to be answered alone, because one of them could then have more
    /// matches, or may have caused what the others lack.
    pub(crate) async fn answer_together(
        &self,
        calls: &[&MatchCall],
        urgency: Urgency,
        rooms: &mut Rooms,
        deadline: Instant,
    ) -> Option<Result<Vec<Answer>, Status>> {
        let MatchCall { options, quality_floor, .. } = calls.first()?;
        let counts: Vec<usize> = calls.iter().map(|call| call.contents.len()).collect();
        let contents = calls.iter().flat_map(|call| call.contents.iter().cloned()).collect();
        let (options, quality_floor) = (options.clone(), *quality_floor);
        let all =
            MatchCall { contents, options, quality_floor, surface: Box::default(), classifiers: Vec::new() };
        match self.answer(all, None, urgency, rooms, deadline).await {
            Ok(answer) => answer.is_whole().then(|| Ok(answer.split(&counts))),
            Err(Failed::Call(status)) => {
                let may_be_of_one = matches!(status.code(), tonic::Code::Internal | tonic::Code::Unknown);
                (!may_be_of_one).then_some(Err(status))
            }
            Err(Failed::Incomplete { .. }) => None,
        }
    }

    /// Returns the largest number of bytes that the matches of a call take here at once.
    fn bytes_of_a_call(&self, queries: usize, limit: Limit, answer_bytes: usize) -> usize {
        // The results of several searches are cut when they exceed twice the size of an answer.
        self.searcher.bytes_of_a_search(queries.min(Query::BATCH_MAX), limit, answer_bytes)
            + 2 * bytes_at_most(queries, limit.get(), answer_bytes)
    }

    /// Returns the time until which requests that may share a search should be gathered; `None` for not at
    /// all.
    pub(crate) fn gather_until(&self) -> Option<Instant> {
        self.searcher.gather_until()
    }

    /// Returns the memory in bytes that a request reserves before work on it begins, given its number of
    /// hashed contents.
    pub(crate) fn bytes_of_a_request(&self, contents: usize, limit: Limit) -> usize {
        self.bytes_of_a_call(contents, limit, little_bytes(contents))
    }

    /// Searches for all contents in as few calls as possible, and gives each content its part of the answers.
    async fn search(
        &self,
        mut prepared: Vec<Result<Prepared, Status>>,
        terms: Terms,
        urgency: Urgency,
        rooms: &mut Rooms,
        deadline: Instant,
    ) -> Result<Answer, Failed> {
        let Terms { options, quality_floor, bytes_max } = terms;
        let mut queries = take_queries(prepared.iter_mut().flatten(), self.queries_max);
        if queries.is_empty() {
            // No content could be read; the banks and the sequence of the call are checked all the same.
            queries.push((usize::MAX, Rendition::default(), Query::default()));
        }
        // Many queries are bulk work, even of few contents.
        let each = queries.iter().map(|(.., query)| std::slice::from_ref(query));
        let cost = each.clone().map(|query| Cost::of(query, &options)).sum::<Cost>();
        let hash_types = each.flat_map(|query| hash_types(query).iter().collect::<Vec<_>>()).collect();
        let is_much = queries.len() > INTERACTIVE_QUERIES_MAX || cost.slots() > 1;
        let priority = if is_much { Priority::Bulk } else { urgency.priority };
        let urgency = Urgency { priority, ..urgency };
        let mut found: Vec<Found> = prepared.iter().flatten().map(|_| Found::new(options.limit)).collect();
        let (mut coverage, mut approximate, mut incomplete) = (None::<Coverage>, Vec::new(), None);
        let mut results_omitted = false;
        let mut sent = SearchedQueries::new(&queries);
        let mut answer_bytes = little_bytes(prepared.len());
        let query_count = queries.len();
        let bytes = |answer_bytes| self.bytes_of_a_call(query_count, options.limit, answer_bytes);
        rooms.take(bytes(answer_bytes), deadline).await.map_err(Failed::Call)?;
        let mut turn = None;
        let mut weight = rooms.weigh(cost, deadline).await.map_err(Failed::Call)?;
        for queries in queries.chunks_mut(queries_per_call(&options, &hash_types)) {
            let asked: Arc<[Query]> = queries.iter_mut().map(|(.., query)| std::mem::take(query)).collect();
            sent.sent(&asked);
            let search =
                |bytes| self.searcher.search(Arc::clone(&asked), options.clone(), bytes, urgency, deadline);
            let mut searched = search(answer_bytes).await;
            if answer_bytes < ANSWER_BYTES_MAX && found_of(&searched).is_some_and(SearchAnswer::is_cut) {
                // The search finds many matches. Its results are dropped, and the search is repeated with
                // memory for a full answer.
                drop(searched);
                answer_bytes = ANSWER_BYTES_MAX;
                // Its slots are released before more memory is awaited.
                drop(weight);
                rooms.take(bytes(answer_bytes), deadline).await.map_err(Failed::Call)?;
                turn = Some(rooms.turn(cost).await);
                weight = rooms.weigh(cost, deadline).await.map_err(Failed::Call)?;
                searched = search(answer_bytes).await;
            }
            let searched = match searched {
                Ok(searched) if searched.results.len() == queries.len() => searched,
                // A missing result must never be reported as "no match".
                Ok(searched) => {
                    let (asked, answered) = (queries.len(), searched.results.len());
                    tracing::error!(
                        asked,
                        answered,
                        "the coordinator answered another number of queries than it was asked"
                    );
                    return Err(Failed::Call(Status::internal("the search failed")));
                }
                Err(SearchFailure::Call(status)) => return Err(Failed::Call(status)),
                Err(SearchFailure::Incomplete { status, partial }) => {
                    results_omitted |= partial.results.len() != queries.len();
                    incomplete.get_or_insert(status);
                    *partial
                }
            };
            coverage = Some(match coverage {
                None => searched.coverage,
                Some(others) => others.and(searched.coverage),
            });
            approximate.extend(searched.approximate);
            for ((at, rendition, _), answer) in queries.iter().zip(searched.results) {
                if let Some(found) = found.get_mut(*at) {
                    found.add(*rendition, answer);
                }
            }
            if found.iter().map(Found::bytes).sum::<usize>() > 2 * ANSWER_BYTES_MAX {
                found = Found::cut_all(found, ANSWER_BYTES_MAX);
            }
        }
        drop(weight);
        let mut found: Vec<QueryMatches> = found.into_iter().map(Found::finish).collect();
        cut(&mut found, bytes_max);
        rooms.shrink(found.iter().map(QueryMatches::bytes).sum());
        let searched = Searched { options: &options, approximate: &approximate, quality_floor };
        let mut found = found.into_iter();
        let mut answered = |content: Prepared| {
            let found = found.next().unwrap_or_default();
            content.answered(found, searched)
        };
        let results = if results_omitted {
            Vec::new()
        } else {
            prepared.into_iter().map(|one| one.map(&mut answered)).collect()
        };
        drop(turn);
        let coverage = coverage.unwrap_or_default();
        let answer = Answer { results, coverage, results_omitted, queries: sent, said: Vec::new() };
        match incomplete {
            None => Ok(answer),
            Some(status) => Err(Failed::Incomplete { status, partial: Box::new(answer) }),
        }
    }

    /// Searches for queries that follow from an answer. Shards that do not answer contribute no matches.
    pub(crate) async fn search_again(
        &self,
        queries: &[Query],
        options: &SearchOptions,
        urgency: Urgency,
        rooms: &mut Rooms,
        deadline: Instant,
    ) -> Result<Vec<QueryMatches>, Status> {
        let mut found = Vec::with_capacity(queries.len());
        for part in queries.chunks(queries_per_call(options, &hash_types(queries))) {
            let answer_bytes = little_bytes(part.len());
            rooms.take(self.bytes_of_a_call(part.len(), options.limit, answer_bytes), deadline).await?;
            let _weight = rooms.weigh(Cost::of(part, options), deadline).await?;
            let (asked, options) = (part.into(), options.clone());
            let searched = self.searcher.search(asked, options, answer_bytes, urgency, deadline).await;
            let answer = match searched {
                Ok(answer) => answer,
                Err(SearchFailure::Incomplete { partial, .. }) if partial.results.len() == part.len() => {
                    *partial
                }
                Err(SearchFailure::Incomplete { status, .. } | SearchFailure::Call(status)) => {
                    return Err(status);
                }
            };
            found.extend(answer.results);
        }
        Ok(found)
    }

    /// Hashes a video for a call that asks for hashes alone.
    pub(crate) async fn hash_video(
        &self,
        video: Bytes,
        sampling: Sampling,
        priority: Priority,
        deadline: Instant,
    ) -> Result<HashedVideo, Status> {
        if video.is_empty() {
            return Err(Invalid::new("content", "is empty; send the bytes of a video file").into());
        }
        let hashed = match &self.videos {
            Some(pool) => pool.hash(video, sampling, priority, deadline).await,
            None => undecoded(video).await,
        };
        hashed.map_err(HashingError::into_status)
    }

    /// Hashes every image and video, a few at a time, in order, and starts the classifiers on the first frame
    /// of each image.
    async fn prepare_all(
        &self,
        contents: Vec<Content>,
        plan: Option<&Arc<Plan>>,
        floor: Quality,
        priority: Priority,
        deadline: Instant,
    ) -> Vec<(Result<Prepared, Status>, Option<Outcomes>)> {
        stream::iter(contents.into_iter().enumerate())
            .map(|(index, content)| async move {
                let unread = || plan.map(|plan| self.classifiers.about_other_content(plan));
                match content {
                    Content::Hashed { hashes, pdq_quality } => {
                        (Ok(Prepared::of_hashes(hashes, pdq_quality, floor)), unread())
                    }
                    Content::Image(image) if image.is_empty() => {
                        let field = format!("queries[{index}].image");
                        (Err(Invalid::new(field, "is empty; send the bytes of an image file").into()), None)
                    }
                    Content::Video(video) if video.is_empty() => {
                        let field = format!("queries[{index}].video");
                        (Err(Invalid::new(field, "is empty; send the bytes of a video file").into()), None)
                    }
                    Content::Video(video) => {
                        let hashed = match &self.videos {
                            Some(pool) => {
                                pool.hash_for_search(video, QUERY_SAMPLING, priority, deadline).await
                            }
                            None => undecoded(video).await,
                        };
                        let hashed = hashed.map_err(HashingError::into_status);
                        (hashed.map(|hashed| Prepared::of_video(hashed, floor)), unread())
                    }
                    Content::Image(image) => {
                        let forms = plan.map(|plan| Arc::clone(plan.forms())).unwrap_or_default();
                        let hashed = self.images.hash_for_search(image, forms, priority, deadline).await;
                        match hashed.map_err(HashingError::into_status) {
                            Ok(mut hashed) => {
                                // Classifiers score the first frame while the hashes are searched.
                                let pixels = hashed
                                    .hashes
                                    .as_mut()
                                    .ok()
                                    .map(|picture| std::mem::take(&mut picture.pixels));
                                let outcomes = plan.map(|plan| {
                                    self.classifiers.about_image(plan, pixels, priority, deadline)
                                });
                                (Ok(Prepared::of_image(hashed, floor)), outcomes)
                            }
                            Err(status) => (Err(status), None),
                        }
                    }
                }
            })
            .buffered(IMAGES_QUEUED_MAX)
            .collect()
            .await
    }
}

/// Returns the digests of a video in a frontend that decodes no videos.
async fn undecoded(video: Bytes) -> Result<HashedVideo, HashingError> {
    let digests = tokio::task::spawn_blocking(move || digest::digests(&video)).await;
    let message = "this frontend decodes no videos (video_threads is 0)".to_owned();
    let failure = DecodeFailure { kind: DecodeFailureKind::DecoderMissing, message };
    Ok(HashedVideo { digests: digests.map_err(|_| HashingError::Closed)?, hashes: Err(failure) })
}

/// Returns the bytes of an answer with few matches to this number of contents.
fn little_bytes(contents: usize) -> usize {
    contents.saturating_mul(LITTLE_BYTES).min(ANSWER_BYTES_MAX)
}

/// Returns the matches of a search, whether or not all shards answered.
fn found_of(searched: &Result<SearchAnswer, SearchFailure>) -> Option<&SearchAnswer> {
    match searched {
        Ok(answer) => Some(answer),
        Err(SearchFailure::Incomplete { partial, .. }) => Some(partial),
        Err(SearchFailure::Call(_)) => None,
    }
}

/// Returns how many queries fit one call: its bounds of queries, of matches and of cost.
fn queries_per_call(options: &SearchOptions, hash_types: &HashTypeSet) -> usize {
    let affordable = cost::queries_max(hash_types, options);
    Query::BATCH_MAX.min(Query::ANSWERS_MAX / options.limit.get()).min(affordable).max(1)
}
