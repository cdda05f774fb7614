//! One search over a shard.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use vigie_index::{BankFilter, Cancellation, Cancelled, Entry};
use vigie_model::{
    BankId, BankName, Distance, Hash, HashType, ItemId, Match, Query, QueryMatches, SearchOptions, Sequence,
    ShardAnswer, Variant,
};

use crate::error::SearchError;
use crate::records::Notes;
use crate::shard::{BankState, BankTable, Moment, Shard};

/// Searches the shard for a batch of queries, at one moment. Never waits for the follower.
///
/// Each item is answered once for a query, by its nearest hash, with its other matches counted; all hashes of an item
/// lie on one shard, so nothing is left to fold when shards are merged.
pub(crate) fn search(
    shard: &Shard,
    queries: &[Query],
    options: &SearchOptions,
    cancel: &Cancellation,
) -> Result<ShardAnswer, SearchError> {
    // A search is overtaken only by a removal of what it has found; then the next moment is asked. The caller's
    // deadline bounds how often.
    loop {
        match search_moment(shard, &shard.moment(), queries, options, cancel) {
            Ok(answer) => return Ok(answer),
            Err(Stopped::Overtaken) if !cancel.is_cancelled() => {}
            Err(Stopped::Overtaken) => return Err(SearchError::OutOfTime),
            Err(Stopped::Failed(error)) => return Err(error),
        }
    }
}

/// Why a search of one moment has no answer.
enum Stopped {
    /// An item that it found has been removed since.
    Overtaken,
    Failed(SearchError),
}

impl From<SearchError> for Stopped {
    fn from(error: SearchError) -> Self {
        Self::Failed(error)
    }
}

impl From<Cancelled> for Stopped {
    fn from(_: Cancelled) -> Self {
        Self::Failed(SearchError::OutOfTime)
    }
}

fn search_moment(
    shard: &Shard,
    moment: &Moment,
    queries: &[Query],
    options: &SearchOptions,
    cancel: &Cancellation,
) -> Result<ShardAnswer, Stopped> {
    let banks = searched_banks(&moment.banks, &options.banks, moment.sequence)?;
    let filter = BankFilter::only(banks.iter().map(|(id, _)| **id));
    let mut results = Vec::with_capacity(queries.len());
    for group in groups(queries) {
        for found in search_group(moment, group, options, &filter, cancel)? {
            results.push(found.answer(shard, moment, options.limit.get())?);
        }
    }
    let asked = |hash_type: &HashType| {
        queries.iter().flat_map(|query| &query.hashes).any(|one| one.hash.hash_type() == *hash_type)
    };
    let counts = HashType::ALL.into_iter().filter(asked);
    let approximate = (!moment.pdq.is_exact() && asked(&HashType::Pdq)).then_some(HashType::Pdq);
    Ok(ShardAnswer {
        identity: shard.identity(),
        sequence: moment.sequence,
        hashes_searched: counts.flat_map(|one| banks.iter().map(move |(_, bank)| bank.hashes(one))).sum(),
        results,
        approximate: approximate.into_iter().collect(),
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
    let resolve = |name: &BankName| match banks.iter().find(|(_, bank)| bank.name == *name) {
        None => Err(SearchError::UnknownBank { name: name.clone(), sequence }),
        Some((_, bank)) if !bank.enabled => Err(SearchError::DisabledBank(name.clone())),
        Some(found) => Ok(found),
    };
    let mut found = named.iter().map(resolve).collect::<Result<Vec<_>, _>>()?;
    found.sort_unstable_by_key(|(id, _)| **id);
    found.dedup_by_key(|(id, _)| **id);
    Ok(found)
}

/// Hashes that are looked for in one pass over the index. More would save little time, and a hash that a whole bank
/// bears costs memory for each: what one group has found is cut to the limit before the next begins.
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
    let mut found: Vec<Found> = queries.iter().map(|_| Found::default()).collect();
    let pdq = hashes_of(queries, |hash| match hash {
        Hash::Pdq(bytes) => Some(bytes),
        Hash::Md5(_) | Hash::Sha256(_) => None,
    });
    let radius = options.max_distances.get(HashType::Pdq);
    let hits = moment.pdq.search(&pdq.hashes, radius, filter, cancel)?;
    for (&(query, variant), hits) in pdq.origins.iter().zip(hits) {
        for hit in hits {
            found[query].note(hit.entry, HashType::Pdq, hit.distance, variant);
        }
    }
    let md5 = hashes_of(queries, |hash| match hash {
        Hash::Md5(bytes) => Some(bytes),
        Hash::Pdq(_) | Hash::Sha256(_) => None,
    });
    md5.note_equal(HashType::Md5, moment.md5.lookup(&md5.hashes, filter), &mut found);
    let sha256 = hashes_of(queries, |hash| match hash {
        Hash::Sha256(bytes) => Some(bytes),
        Hash::Pdq(_) | Hash::Md5(_) => None,
    });
    sha256.note_equal(HashType::Sha256, moment.sha256.lookup(&sha256.hashes, filter), &mut found);
    Ok(found)
}

/// The hashes of one type of all queries, and which query and variant each is of.
struct Batch<const BYTES: usize> {
    hashes: Vec<[u8; BYTES]>,
    origins: Vec<(usize, Variant)>,
}

/// A hash that a query names twice (a picture that is its own mirror image) is looked for once.
fn hashes_of<const BYTES: usize>(
    queries: &[Query],
    pick: impl Fn(Hash) -> Option<[u8; BYTES]>,
) -> Batch<BYTES> {
    let mut batch = Batch { hashes: Vec::new(), origins: Vec::new() };
    for (index, query) in queries.iter().enumerate() {
        let first = batch.hashes.len();
        for one in &query.hashes {
            if let Some(hash) = pick(one.hash)
                && !batch.hashes[first..].contains(&hash)
            {
                batch.hashes.push(hash);
                batch.origins.push((index, one.variant));
            }
        }
    }
    batch
}

impl<const BYTES: usize> Batch<BYTES> {
    fn note_equal(&self, hash_type: HashType, entries: Vec<Vec<Entry>>, found: &mut [Found]) {
        for (&(query, variant), entries) in self.origins.iter().zip(entries) {
            for entry in entries {
                found[query].note(entry, hash_type, Distance(0), variant);
            }
        }
    }
}

/// The nearest hash of an item, and how many others matched.
#[derive(Debug, Clone, Copy)]
struct Best {
    bank: BankId,
    nearest: (Distance, HashType, Variant),
    other_matches: u32,
}

/// What one query has found so far.
#[derive(Debug, Default)]
struct Found(HashMap<ItemId, Best>);

impl Found {
    fn note(&mut self, entry: Entry, hash_type: HashType, distance: Distance, variant: Variant) {
        let nearest = (distance, hash_type, variant);
        match self.0.entry(entry.item) {
            Slot::Vacant(slot) => {
                slot.insert(Best { bank: entry.bank, nearest, other_matches: 0 });
            }
            Slot::Occupied(mut slot) => {
                let best = slot.get_mut();
                best.nearest = best.nearest.min(nearest);
                best.other_matches = best.other_matches.saturating_add(1);
            }
        }
    }

    fn answer(self, shard: &Shard, moment: &Moment, limit: usize) -> Result<QueryMatches, Stopped> {
        let mut items: Vec<(ItemId, Best)> = self.0.into_iter().collect();
        items.sort_unstable_by_key(|(item, best)| (best.nearest.0, *item));
        let limit_reached = items.len() > limit;
        let described = |(item, best)| describe(shard, moment, item, best).ok_or(Stopped::Overtaken);
        let matches = items.into_iter().take(limit).map(described).collect::<Result<_, _>>()?;
        Ok(QueryMatches { matches, limit_reached })
    }
}

/// The match in full; `None` for an item that was removed while the search went on.
fn describe(shard: &Shard, moment: &Moment, item: ItemId, best: Best) -> Option<Match> {
    let bank_name = moment.banks.get(&best.bank)?.name.clone();
    let (distance, hash_type, variant) = best.nearest;
    let Notes { labels, external_reference } = shard.item(item, |record| record.notes())?;
    Some(Match {
        item,
        bank: best.bank,
        bank_name,
        external_reference,
        labels,
        hash_type,
        distance,
        variant,
        exact: hash_type != HashType::Pdq || moment.pdq.is_exact(),
        other_matches: best.other_matches,
    })
}
