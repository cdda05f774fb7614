//! The bound on the work of one call, held against what has been read of it.

use std::collections::BTreeMap;

use vigie_model::{HashType, Query, QueryHash, SearchOptions, cost};

use crate::invalid::Invalid;

/// Checks that a search is not more work than one call may be.
pub(crate) fn check_cost(
    hashes: impl IntoIterator<Item = (HashType, u64)>,
    options: &SearchOptions,
) -> Result<(), Invalid> {
    let checked = cost::check(hashes, options);
    checked.map(drop).map_err(|error| Invalid::new("queries", error))
}

/// How many hashes of each type there are, and frames of videos.
pub(crate) fn count_types<'a>(hashes: impl IntoIterator<Item = &'a QueryHash>) -> BTreeMap<HashType, u64> {
    let mut counts = BTreeMap::new();
    for one in hashes {
        *counts.entry(one.hash.hash_type()).or_default() += cost::units(&one.hash);
    }
    counts
}

/// Checks that the queries of a call between services are not more work than one call may be.
pub(crate) fn check_queries(queries: &[Query], options: &SearchOptions) -> Result<(), Invalid> {
    check_cost(count_types(queries.iter().flat_map(|query| &query.hashes)), options)
}
