//! One search over a shard.

use std::collections::HashSet;

use vigie_index::{BankFilter, Cancellation, Cancelled};
use vigie_model::{AsOf, BankId, BankName, Query, SearchOptions, Sequence, ShardAnswer, Variant, hash_types};

use crate::error::SearchError;
use crate::searching::describing::{Describing, Stopped};
use crate::searching::found::Found;
use crate::shard::banks::{BankState, BankTable};
use crate::shard::indexes::IndexKey;
use crate::shard::state::{Moment, Shard};

/// Searches the shard for a batch of queries, at one moment. Never waits for the follower.
///
/// Each item is answered once for a query, by its nearest hash, with its other matches counted; all hashes of an item
/// lie on one shard, so nothing is left to fold when shards are merged.
///
/// The answer has at most `answer_bytes` bytes of matches, but for the best match of each query.
///
/// Stops soon after `cancel` says so, wherever it is, and has little to give up then: what is kept of a query is bounded
/// by its limit. The approximate engine alone may take some ten milliseconds.
pub(crate) fn search(
    shard: &Shard,
    queries: &[Query],
    options: &SearchOptions,
    answer_bytes: usize,
    cancel: &Cancellation,
) -> Result<ShardAnswer, SearchError> {
    // A search is overtaken only by a removal of what it has found; then the next moment is asked. A record goes after the
    // moment without its item is shown, so an item that lacks its record at a later moment still was not removed: the
    // index is damaged. Otherwise each attempt is one removal, and the caller's deadline bounds how many.
    let mut gone = HashSet::new();
    loop {
        match search_moment(shard, &shard.moment(), queries, options, answer_bytes, cancel) {
            Ok(answer) => return Ok(answer),
            Err(Stopped::Overtaken(item)) if !gone.insert(item) => return Err(SearchError::Damaged(item)),
            Err(Stopped::Overtaken(_)) if !cancel.is_cancelled() => {}
            Err(Stopped::Overtaken(_)) => return Err(SearchError::OutOfTime),
            Err(Stopped::Failed(error)) => return Err(error),
        }
    }
}

fn search_moment(
    shard: &Shard,
    moment: &Moment,
    queries: &[Query],
    options: &SearchOptions,
    answer_bytes: usize,
    cancel: &Cancellation,
) -> Result<ShardAnswer, Stopped> {
    let banks = searched_banks(&moment.banks, &options.banks, moment.sequence)?;
    let asked = hash_types(queries);
    if let Some(unknown) = asked.iter().find(|hash_type| !shard.plan().searches(*hash_type)) {
        return Err(SearchError::UnknownHashType(unknown).into());
    }
    let filter = BankFilter::only(banks.iter().map(|(id, _)| **id));
    let mut nearest = Vec::with_capacity(queries.len());
    for group in groups(queries) {
        let found = search_group(moment, group, options, &filter, cancel)?;
        nearest.extend(found.into_iter().map(Found::into_nearest));
    }
    let describing = Describing { shard, moment, options, cancel };
    let results = describing.answers(queries, nearest, answer_bytes)?;
    let approximate = asked.iter().filter(|hash_type| !shard.plan().is_exact(*hash_type));
    let searched = |hash_type| banks.iter().map(move |(_, bank)| bank.hashes(hash_type));
    Ok(ShardAnswer {
        identity: shard.identity(),
        sequence: moment.sequence,
        // The replica knows it.
        as_of: AsOf::default(),
        hashes_searched: asked.iter().flat_map(searched).sum(),
        results,
        approximate: approximate.collect(),
    })
}

/// The banks that are searched: those named, or all enabled ones.
fn searched_banks<'a>(
    banks: &'a BankTable,
    named: &[BankName],
    sequence: Sequence,
) -> Result<Vec<(&'a BankId, &'a BankState)>, SearchError> {
    if named.is_empty() {
        return Ok(banks.iter().filter(|(_, bank)| bank.enabled).collect());
    }
    let mut wanted: Vec<&BankName> = named.iter().collect();
    wanted.sort_unstable();
    // One look at each bank, however many are named.
    let mut there: Vec<_> =
        banks.iter().filter(|(_, bank)| wanted.binary_search(&&bank.name).is_ok()).collect();
    there.sort_unstable_by_key(|(_, bank)| &bank.name);
    let resolve = |name: &BankName| match there.binary_search_by_key(&name, |(_, bank)| &bank.name) {
        Err(_) => Err(SearchError::UnknownBank { name: name.clone(), sequence }),
        Ok(at) if !there[at].1.enabled => Err(SearchError::DisabledBank(name.clone())),
        Ok(at) => Ok(there[at]),
    };
    let mut found = named.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable_by_key(|(id, _)| **id);
    found.dedup_by_key(|(id, _)| **id);
    Ok(found)
}

/// Hashes that are looked for in one pass over the index. More would save little time.
const HASHES_AT_ONCE: usize = 16;

/// Runs of queries with at most [`HASHES_AT_ONCE`] hashes together, or one query that has more.
fn groups(mut queries: &[Query]) -> impl Iterator<Item = &[Query]> {
    std::iter::from_fn(move || {
        let mut hashes = queries.first()?.hashes.len();
        let more = queries[1..].iter().take_while(|query| {
            hashes += query.hashes.len();
            hashes <= HASHES_AT_ONCE
        });
        let (group, rest) = queries.split_at(1 + more.count());
        queries = rest;
        Some(group)
    })
}

/// Finds the items of each query of a group.
fn search_group(
    moment: &Moment,
    queries: &[Query],
    options: &SearchOptions,
    filter: &BankFilter,
    cancel: &Cancellation,
) -> Result<Vec<Found>, Cancelled> {
    let mut found: Vec<Found> = queries.iter().map(|_| Found::new(options.limit.get())).collect();
    for hash_type in hash_types(queries).iter() {
        let radius = options.max_distances.get(hash_type);
        for (key, index) in moment.indexes.of(hash_type) {
            let asked = hashes_of(queries, key);
            index.each(&asked.hashes, radius, filter, cancel, &mut |at, hit| {
                let (query, variant) = asked.origins[at];
                found[query].note(hit.entry, (hit.distance, hash_type, variant));
            })?;
        }
    }
    Ok(found)
}

/// The hashes of all queries that one index may hold, and which query and variant each is of.
struct Batch<'a> {
    hashes: Vec<&'a [u8]>,
    origins: Vec<(usize, Variant)>,
}

/// A hash that a query names twice (a picture that is its own mirror image) is looked for once.
fn hashes_of(queries: &[Query], key: IndexKey) -> Batch<'_> {
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
