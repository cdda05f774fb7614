//! The packed form of a request of hashes, and the sparse form of its answer.
//!
//! Nearly all queries of a caller that sends many hashes match nothing, and their results are equal. The
//! answer has that result once, and the results of the other queries with their numbers.

use vigie_model::{Content, MatchCall, Query};

use crate::invalid::{Invalid, check_len};
use crate::model::Sender;
use crate::model::packed::packed_queries;
use crate::pb::matching::v1 as pb;
use crate::pb::matching::v1::match_result::Outcome;
use crate::pb::model::v1::PackedQueries;
use crate::search::Form;

/// The most different results without matches that are compared with all others. Results of one call differ
/// by the types of the hashes and the verdicts, so more are rare.
const CANDIDATES_MAX: usize = 8;

impl pb::MatchRequest {
    /// Returns the request for a call. It is packed if that is the form and all contents are hashes without
    /// a quality; other contents have no packed form.
    #[must_use]
    pub fn of(mut call: MatchCall, form: Form) -> Self {
        let is_packable =
            |content: &Content| matches!(content, Content::Hashed { pdq_quality: None, hashes: _ });
        if form == Form::Plain || !call.contents.iter().all(is_packable) {
            return call.into();
        }
        let query = |content| match content {
            Content::Hashed { hashes, .. } => Some(Query { hashes }),
            Content::Image(_) | Content::Video(_) => None,
        };
        let queries: Vec<Query> = std::mem::take(&mut call.contents).into_iter().filter_map(query).collect();
        Self { packed: Some(PackedQueries::of(&queries)), ..call.into() }
    }

    /// Returns the form of the queries, in which the results must be sent too.
    #[must_use]
    pub const fn form(&self) -> Form {
        if self.packed.is_some() { Form::Packed } else { Form::Plain }
    }
}

/// Reads the queries of a packed request, with all checks of hashes in the plain form.
pub(super) fn contents(packed: PackedQueries) -> Result<Vec<Content>, Invalid> {
    let queries = packed_queries(packed, Sender::Client).map_err(|invalid| invalid.within("packed"))?;
    Ok(queries.into_iter().map(|Query { hashes }| Content::Hashed { hashes, pdq_quality: None }).collect())
}

impl pb::MatchResponse {
    /// Returns the answer in the form of the request. `self` has a result for each query, or none.
    #[must_use]
    pub fn in_form(self, form: Form) -> Self {
        match form {
            Form::Plain => self,
            Form::Packed => self.packed(),
        }
    }

    /// Leaves out the results that are equal to the most frequent result without matches.
    fn packed(mut self) -> Self {
        let without_match = most_frequent(&self.results);
        let results = std::mem::take(&mut self.results);
        self.query_count = u32::try_from(results.len()).unwrap_or(u32::MAX);
        for (number, result) in (0..).zip(results) {
            let is_left_out = without_match.is_some() && matched(&result) == without_match.as_ref();
            if !is_left_out {
                self.result_queries.push(number);
                self.results.push(result);
            }
        }
        Self { without_match, ..self }
    }

    /// Returns the answer with a result for each query, whichever form it has.
    pub fn expanded(mut self) -> Result<Self, Invalid> {
        let queries = usize::try_from(self.query_count).unwrap_or(usize::MAX);
        check_len("query_count", queries, 0, Query::BATCH_MAX)?;
        let numbers = std::mem::take(&mut self.result_queries);
        let without_match = self.without_match.take();
        if queries == 0 {
            // Without this check, the result of an unknown number of queries would be dropped.
            if numbers.is_empty() && without_match.is_none() {
                return Ok(self);
            }
            return Err(Invalid::missing("query_count"));
        }
        let is_ascending = numbers.is_sorted_by(|one, next| one < next);
        if !is_ascending || numbers.last().is_some_and(|&last| last >= self.query_count) {
            return Err(Invalid::new("result_queries", "has to be numbers of queries, ascending"));
        }
        check_len("results", self.results.len(), numbers.len(), numbers.len())?;
        if without_match.as_ref().is_some_and(|matched| !matched.matches.is_empty()) {
            return Err(Invalid::new("without_match", "has matches"));
        }
        let mut given = numbers.into_iter().zip(std::mem::take(&mut self.results)).peekable();
        for number in 0..std::mem::take(&mut self.query_count) {
            let result = match given.next_if(|(of, _)| *of == number) {
                Some((_, result)) => result,
                None => {
                    let matched = without_match.clone().ok_or_else(|| Invalid::missing("without_match"))?;
                    pb::MatchResult { outcome: Some(Outcome::Matched(matched)) }
                }
            };
            self.results.push(result);
        }
        Ok(self)
    }

    /// Removes the results.
    pub(crate) fn clear_results(&mut self) {
        self.results.clear();
        // Without its results, an answer must not say that the others have no match.
        (self.query_count, self.without_match) = (0, None);
        self.result_queries.clear();
    }
}

fn matched(result: &pb::MatchResult) -> Option<&pb::Matched> {
    match &result.outcome {
        Some(Outcome::Matched(matched)) => Some(matched),
        Some(Outcome::Failure(_)) | None => None,
    }
}

/// Returns the most frequent result without matches, of the first few that differ.
fn most_frequent(results: &[pb::MatchResult]) -> Option<pb::Matched> {
    let mut candidates: Vec<(&pb::Matched, usize)> = Vec::new();
    for one in results.iter().filter_map(matched).filter(|one| one.matches.is_empty()) {
        if let Some((_, count)) = candidates.iter_mut().find(|(candidate, _)| *candidate == one) {
            *count += 1;
        } else if candidates.len() < CANDIDATES_MAX {
            candidates.push((one, 1));
        }
    }
    candidates.into_iter().max_by_key(|(_, count)| *count).map(|(matched, _)| matched.clone())
}

#[cfg(test)]
mod tests;
