//! The limit on the cost of one call, checked against the request.

use std::collections::BTreeMap;

use vigie_model::{HashType, Query, QueryHash, SearchOptions, cost};

use crate::invalid::Invalid;

/// Checks that the cost of a search is within the limit of one call.
pub(crate) fn check_cost(
    hashes: impl IntoIterator<Item = (HashType, u64)>,
    options: &SearchOptions,
) -> Result<(), Invalid> {
    let checked = cost::check(hashes, options);
    checked.map(drop).map_err(|error| Invalid::new("queries", error))
}

/// Counts the hashes by type; a video counts as its number of frames.
pub(crate) fn count_types<'a>(hashes: impl IntoIterator<Item = &'a QueryHash>) -> BTreeMap<HashType, u64> {
    let mut counts = BTreeMap::new();
    for one in hashes {
        *counts.entry(one.hash.hash_type()).or_default() += cost::units(&one.hash);
    }
    counts
}

/// Checks that the cost of the queries of a call between services is within the limit of one call.
pub(crate) fn check_queries(queries: &[Query], options: &SearchOptions) -> Result<(), Invalid> {
    check_cost(count_types(queries.iter().flat_map(|query| &query.hashes)), options)
}
