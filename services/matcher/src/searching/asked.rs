//! The hashes of a batch of queries that one index is searched for.

use vigie_model::{Query, Variant};

use crate::shard::indexes::IndexKey;

/// The hashes of all queries that belong to one index, with the query and variant of each.
pub(super) struct Batch<'a> {
    pub(super) hashes: Vec<&'a [u8]>,
    pub(super) origins: Vec<(usize, Variant)>,
}

/// Returns the hashes that belong to the index `key`. A hash that one query has twice (a picture that is its
/// own mirror image) is searched once.
pub(super) fn hashes_of(queries: &[Query], key: IndexKey) -> Batch<'_> {
    let mut batch = Batch { hashes: Vec::new(), origins: Vec::new() };
    for (index, query) in queries.iter().enumerate() {
        let first = batch.hashes.len();
        for one in query.hashes.iter().filter(|one| IndexKey::of(&one.hash) == key) {
            let hash = one.hash.as_bytes();
            if !batch.hashes[first..].contains(&hash) {
                batch.hashes.push(hash);
                batch.origins.push((index, one.variant));
            }
        }
    }
    batch
}
