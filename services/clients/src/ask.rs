//! A search, as clients pass it on; its queries may come from several callers and share one call.

mod forms;

use std::sync::Arc;

use tokio::time::Instant;
use vigie_model::cost;
use vigie_model::{ANSWER_BYTES_MAX, Cost, HashTypeSet, Query, SearchOptions, Sequence, hash_types};
use vigie_net::lane::Search;
use vigie_rpc::Priority;
use vigie_telemetry::trace::{self, Context, Span};

pub(crate) use forms::Forms;

/// An answer that was not restricted to the requested set of banks must not be used.
pub(crate) const BANK_SET_UNKNOWN: &str = "its version does not know sets of banks, and has searched all of them: its answer is dropped; upgrade it";

/// A search. Searches share a call ([`vigie_net::lane`]) if they have the same options, which include the set
/// of banks, and the same hash types, because an answer counts by hash type.
#[derive(Debug, Clone)]
pub struct Ask {
    /// The queries.
    pub queries: Arc<[Query]>,
    /// The options of the search.
    pub options: Arc<SearchOptions>,
    /// The priority of the call.
    pub priority: Priority,
    /// The deadline of the answer.
    pub deadline: Instant,
    /// The most bytes of matches in the answer. The bounds of searches that share a call are added up.
    pub answer_bytes: usize,
    /// The types of its hashes, by which an answer counts.
    hash_types: HashTypeSet,
    /// The number of searches that it was combined from.
    put_together: usize,
    /// The estimated work.
    cost: Cost,
    /// The trace context in which it is made.
    context: Option<Context>,
}

impl Ask {
    /// Makes a search, in the current trace context.
    #[must_use]
    pub fn new(
        queries: Arc<[Query]>,
        options: Arc<SearchOptions>,
        priority: Priority,
        deadline: Instant,
    ) -> Self {
        let (hash_types, cost) = (hash_types(&queries), Cost::of(&queries, &options));
        let (answer_bytes, context) = (ANSWER_BYTES_MAX, trace::current());
        let put_together = 1;
        Self { queries, options, priority, deadline, answer_bytes, hash_types, put_together, cost, context }
    }

    /// Limits the answer to this many bytes of matches.
    #[must_use]
    pub fn within(self, answer_bytes: usize) -> Self {
        Self { answer_bytes, ..self }
    }

    /// Records that the search was combined from this many searches.
    #[must_use]
    pub fn put_together_from(self, searches: usize) -> Self {
        Self { put_together: searches, ..self }
    }

    /// Returns the bytes of matches that the answer to all these searches may hold.
    #[must_use]
    pub fn answer_bytes_of(asks: &[Self]) -> usize {
        asks.iter().map(|ask| ask.answer_bytes).fold(0, usize::saturating_add).min(ANSWER_BYTES_MAX)
    }

    /// Returns the types of its hashes.
    #[must_use]
    pub const fn hash_types(&self) -> &HashTypeSet {
        &self.hash_types
    }

    /// Returns the same search with other options.
    #[must_use]
    pub fn with_options(&self, options: Arc<SearchOptions>) -> Self {
        Self { options, ..self.clone() }
    }

    /// Returns the same search as a child of this span.
    #[must_use]
    pub fn under(&self, span: &Span) -> Self {
        Self { context: span.context().cloned(), ..self.clone() }
    }
}

impl Search for Ask {
    fn priority(&self) -> Priority {
        self.priority
    }

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn context(&self) -> Option<&Context> {
        self.context.as_ref()
    }

    fn query_count(&self) -> usize {
        self.queries.len()
    }

    fn put_together(&self) -> usize {
        self.put_together
    }

    fn shared_queries_max(&self) -> usize {
        // The matches and the cost of each call are bounded, however many searches share it.
        let affordable = cost::queries_max(&self.hash_types, &self.options);
        Query::BATCH_MAX.min(Query::ANSWERS_MAX / self.options.limit.get()).min(affordable)
    }

    fn waits_for_change(&self) -> bool {
        self.options.min_sequence > Sequence::ZERO
    }

    fn is_costly(&self) -> bool {
        self.cost.slots() > 1
    }

    fn is_alike(&self, other: &Self) -> bool {
        self.hash_types == other.hash_types
            && (Arc::ptr_eq(&self.options, &other.options) || self.options == other.options)
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{BankId, BankSet, Hash, Limit, MemberId, QueryHash, Variant};

    use super::*;

    fn ask(hash: Hash) -> Ask {
        let query = Query { hashes: vec![QueryHash { hash, variant: Variant::Original }] };
        Ask::new([query].into(), Arc::default(), Priority::Interactive, Instant::now())
    }

    #[test]
    fn only_searches_with_the_same_options_and_hash_types_are_alike() {
        let one = ask(Hash::md5([1; 16]));
        assert!(one.is_alike(&ask(Hash::md5([2; 16]))));
        assert!(!one.is_alike(&ask(Hash::pdq([5; 32]))));
        let limited = SearchOptions { limit: Limit::new(1).unwrap(), ..SearchOptions::default() };
        assert!(!one.is_alike(&one.with_options(Arc::new(limited))));
    }

    #[test]
    fn searches_for_different_members_never_share_a_call() {
        let of = |(member, with_aside): (Option<u32>, bool)| {
            let options =
                SearchOptions { member: member.map(MemberId), with_aside, ..SearchOptions::default() };
            ask(Hash::md5([1; 16])).with_options(Arc::new(options))
        };
        let askers =
            [None, Some(1), Some(2)].into_iter().flat_map(|member| [(member, false), (member, true)]);
        let askers: Vec<_> = askers.collect();
        for one in &askers {
            for other in &askers {
                assert_eq!(of(*one).is_alike(&of(*other)), one == other, "{one:?} {other:?}");
            }
        }
    }

    #[test]
    fn searches_of_different_sets_of_banks_never_share_a_call() {
        let of_set = |banks: Option<&[u32]>| {
            let set = banks.map(|banks| Arc::new(banks.iter().copied().map(BankId).collect::<BankSet>()));
            let options = SearchOptions { bank_set: set, ..SearchOptions::default() };
            ask(Hash::md5([1; 16])).with_options(Arc::new(options))
        };
        let sets = [None, Some(&[][..]), Some(&[1]), Some(&[2]), Some(&[1, 2]), Some(&[65])];
        for (at, one) in sets.iter().enumerate() {
            for (other_at, other) in sets.iter().enumerate() {
                // Equal sets are alike, whether they share one allocation or not.
                assert_eq!(of_set(*one).is_alike(&of_set(*other)), at == other_at, "{one:?} {other:?}");
            }
        }
    }
}
