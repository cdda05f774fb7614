//! Concurrent lookups of one caller with the same options share calls to the frontends ([`vigie_net::lane`]).

use std::sync::Arc;

use tokio::time::Instant;
use vigie_clients::{Bearer, CallError, Code, MatchAnswer, MatchClient, Priority};
use vigie_model::{Content, MatchCall, Query, SearchOptions, Sequence};
use vigie_net::lane::{Carry, Lane, LaneLimits, Reply, Search};
use vigie_telemetry::trace::{self, Context};

/// The most lookups of one call. The frontend treats larger calls as bulk work, which waits behind
/// interactive work.
const SHARED_MAX: usize = 16;
/// The most concurrent calls.
const CALLS: usize = 8;

/// The shared queue of lookups to the frontends. Clones share it.
pub(crate) type Lookups = Lane<Frontends>;

/// Makes a lane to these frontends.
pub(super) fn lane(frontends: MatchClient) -> Lookups {
    // Requests arrive in tasks of this runtime.
    let limits = LaneLimits { calls: CALLS, queries: SHARED_MAX, gathers: true };
    Lane::new(Frontends(frontends), limits)
}

/// A lookup of hashes.
#[derive(Debug, Clone)]
pub(crate) struct Lookup {
    /// The credential of the caller.
    pub(super) bearer: Option<Bearer>,
    /// The content to look up.
    pub(super) contents: Arc<[Content]>,
    /// The options of the search.
    pub(super) options: Arc<SearchOptions>,
    /// The deadline of the answer.
    pub(super) deadline: Instant,
    /// The trace context in which it is made.
    pub(super) context: Option<Context>,
}

impl Lookup {
    pub(super) fn new(
        bearer: Option<Bearer>,
        contents: Vec<Content>,
        options: SearchOptions,
        deadline: Instant,
    ) -> Self {
        Self {
            bearer,
            contents: contents.into(),
            options: Arc::new(options),
            deadline,
            context: trace::current(),
        }
    }
}

impl Search for Lookup {
    fn priority(&self) -> Priority {
        Priority::Interactive
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    fn query_count(&self) -> usize {
        self.contents.len()
    }

    fn shared_queries_max(&self) -> usize {
        SHARED_MAX.min(Query::ANSWERS_MAX / self.options.limit.get())
    }

    fn waits_for_change(&self) -> bool {
        self.options.min_sequence > Sequence::ZERO
    }

    /// Returns whether two lookups may share a call. The services decide by the credential what a caller
    /// sees, so different callers never share one.
    fn is_alike(&self, other: &Self) -> bool {
        self.bearer == other.bearer && self.options == other.options
    }
}

/// Makes the calls.
#[derive(Debug)]
pub(crate) struct Frontends(MatchClient);

impl Carry for Frontends {
    type Search = Lookup;
    type Answer = MatchAnswer;
    type Error = CallError;

    async fn carry(&self, lookups: &[Lookup], deadline: Instant) -> Result<MatchAnswer, CallError> {
        let Some(first) = lookups.first() else {
            return Err(self.refused(Code::Internal, "there is no lookup to be made"));
        };
        let contents = lookups.iter().flat_map(|lookup| lookup.contents.iter().cloned()).collect();
        let call = MatchCall {
            contents,
            options: (*first.options).clone(),
            quality_floor: None,
            surface: Box::default(),
            classifiers: Vec::new(),
        };
        self.0.bearing(first.bearer.clone()).match_content(call, deadline).await
    }

    fn share_out(&self, outcome: Reply<Self>, query_counts: &[usize]) -> Vec<Reply<Self>> {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => return query_counts.iter().map(|_| Err(error.clone())).collect(),
        };
        let MatchAnswer { results, coverage, sequence, directory, results_omitted } = answer;
        let mut results = results.into_iter();
        let share = |count: &usize| {
            let results: Vec<_> = results.by_ref().take(*count).collect();
            let coverage = coverage.clone();
            Ok(MatchAnswer { results, coverage, sequence, directory, results_omitted })
        };
        query_counts.iter().map(share).collect()
    }

    fn may_be_of_one(&self, error: &CallError) -> bool {
        matches!(
            error.code(),
            Code::InvalidArgument | Code::NotFound | Code::Internal | Code::ResourceExhausted
        )
    }

    fn refused(&self, code: Code, message: &str) -> CallError {
        self.0.refused(code, message)
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{Coverage, Hash, Limit, QueryHash, Variant};

    use super::*;

    fn lookup(token: Option<&str>, options: SearchOptions) -> Lookup {
        let hashes = vec![QueryHash { hash: Hash::md5([1; 16]), variant: Variant::Original }];
        let content = Content::Hashed { hashes, pdq_quality: None };
        let bearer = token.map(|token| Bearer::new(token, "a test").unwrap());
        Lookup::new(bearer, vec![content], options, Instant::now())
    }

    #[tokio::test]
    async fn callers_share_calls_with_nobody_else() {
        let plain = || SearchOptions::default();
        let one = lookup(Some("one"), plain());
        assert!(one.is_alike(&lookup(Some("one"), plain())));
        assert!(!one.is_alike(&lookup(Some("other"), plain())));
        assert!(!one.is_alike(&lookup(None, plain())));
        let limited = SearchOptions { limit: Limit::new(7).unwrap(), ..plain() };
        assert!(!one.is_alike(&lookup(Some("one"), limited)));
    }

    #[tokio::test]
    async fn each_gets_its_own_part_of_a_shared_answer() {
        let frontends = Frontends(MatchClient::new("http://127.0.0.1:1").unwrap());
        let failure = |number: i32| {
            Err(vigie_clients::QueryFailure { code: Code::Internal, message: number.to_string() })
        };
        let answer = MatchAnswer {
            results: (0..3).map(failure).collect(),
            coverage: Coverage::default(),
            sequence: Sequence(5),
            directory: Sequence(0),
            results_omitted: false,
        };
        let shares = frontends.share_out(Ok(answer), &[1, 2]);
        let messages = |share: &Reply<Frontends>| {
            let results = &share.as_ref().unwrap().results;
            results.iter().map(|one| one.clone().unwrap_err().message).collect::<Vec<_>>()
        };
        assert_eq!(shares.iter().map(messages).collect::<Vec<_>>(), [vec!["0"], vec!["1", "2"]]);
    }
}
