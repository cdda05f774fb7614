//! One search over a shard.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;

use vigie_index::{BankFilter, Cancellation, Entry};
use vigie_model::{
    BankId, BankName, Distance, Hash, HashType, ItemId, Match, Query, QueryMatches, SearchOptions, Sequence,
    ShardAnswer, Variant,
};

use crate::error::SearchError;
use crate::shard::{BankTable, Shard};

/// Searches the shard for a batch of queries. Never waits for the follower.
///
/// Each item is answered once for a query, by its nearest hash, with its other matches counted; all hashes of an item
/// lie on one shard, so nothing is left to fold when shards are merged.
pub(crate) fn search(
    shard: &Shard,
    queries: &[Query],
    options: &SearchOptions,
    cancel: &Cancellation,
) -> Result<ShardAnswer, SearchError> {
    // First of all: whatever is read after it is as of this sequence, or newer.
    let sequence = shard.applied();
    let banks = shard.banks.load();
    let filter = bank_filter(&banks, &options.banks, sequence)?;
    let hashes_searched = shard.hash_counts().iter().map(|count| count.hashes).sum();

    let mut results = Vec::with_capacity(queries.len());
    for group in groups(queries) {
        let found = search_group(shard, group, options, &filter, cancel)?;
        results.extend(found.into_iter().map(|found| found.answer(shard, &banks, options.limit.get())));
    }
    Ok(ShardAnswer {
        identity: shard.identity(),
        sequence,
        hashes_searched,
        results,
        approximate: Vec::new(),
    })
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
    shard: &Shard,
    queries: &[Query],
    options: &SearchOptions,
    filter: &BankFilter,
    cancel: &Cancellation,
) -> Result<Vec<Found>, SearchError> {
    let mut found: Vec<Found> = queries.iter().map(|_| Found::default()).collect();
    let pdq = hashes_of(queries, |hash| match hash {
        Hash::Pdq(bytes) => Some(bytes),
        Hash::Md5(_) | Hash::Sha256(_) => None,
    });
    let radius = options.max_distances.get(HashType::Pdq);
    let hits = shard.pdq.search(&pdq.hashes, radius, filter, cancel).map_err(|_| SearchError::OutOfTime)?;
    for (&(query, variant), hits) in pdq.origins.iter().zip(hits) {
        for hit in hits {
            found[query].note(hit.entry, HashType::Pdq, hit.distance, variant);
        }
    }
    let md5 = hashes_of(queries, |hash| match hash {
        Hash::Md5(bytes) => Some(bytes),
        Hash::Pdq(_) | Hash::Sha256(_) => None,
    });
    md5.note_equal(HashType::Md5, shard.md5.lookup(&md5.hashes, filter), &mut found);
    let sha256 = hashes_of(queries, |hash| match hash {
        Hash::Sha256(bytes) => Some(bytes),
        Hash::Pdq(_) | Hash::Md5(_) => None,
    });
    sha256.note_equal(HashType::Sha256, shard.sha256.lookup(&sha256.hashes, filter), &mut found);
    Ok(found)
}

/// The banks that are searched: those named, or all enabled ones.
fn bank_filter(banks: &BankTable, named: &[BankName], sequence: Sequence) -> Result<BankFilter, SearchError> {
    if named.is_empty() {
        return Ok(BankFilter::only(banks.iter().filter(|(_, bank)| bank.enabled).map(|(id, _)| *id)));
    }
    let resolve = |name: &BankName| match banks.iter().find(|(_, bank)| bank.name == *name) {
        None => Err(SearchError::UnknownBank { name: name.clone(), sequence }),
        Some((_, bank)) if !bank.enabled => Err(SearchError::DisabledBank(name.clone())),
        Some((id, _)) => Ok(*id),
    };
    Ok(BankFilter::only(named.iter().map(resolve).collect::<Result<Vec<BankId>, _>>()?))
}

/// The hashes of one type of all queries, and which query and variant each is of.
struct Batch<const BYTES: usize> {
    hashes: Vec<[u8; BYTES]>,
    origins: Vec<(usize, Variant)>,
}

fn hashes_of<const BYTES: usize>(
    queries: &[Query],
    pick: impl Fn(Hash) -> Option<[u8; BYTES]>,
) -> Batch<BYTES> {
    let (hashes, origins) = queries
        .iter()
        .enumerate()
        .flat_map(|(index, query)| query.hashes.iter().map(move |one| (index, one)))
        .filter_map(|(index, one)| Some((pick(one.hash)?, (index, one.variant))))
        .unzip();
    Batch { hashes, origins }
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

    fn answer(self, shard: &Shard, banks: &BankTable, limit: usize) -> QueryMatches {
        let mut items: Vec<(ItemId, Best)> = self.0.into_iter().collect();
        items.sort_unstable_by_key(|(item, best)| (best.nearest.0, *item));
        let mut living = items.into_iter().filter_map(|(item, best)| describe(shard, banks, item, best));
        let matches: Vec<Match> = living.by_ref().take(limit).collect();
        QueryMatches { limit_reached: living.next().is_some(), matches }
    }
}

/// The match in full; `None` for an item that was removed while the search went on.
fn describe(shard: &Shard, banks: &BankTable, item: ItemId, best: Best) -> Option<Match> {
    let record = shard.items.get(&item)?;
    let (distance, hash_type, variant) = best.nearest;
    Some(Match {
        item,
        bank: best.bank,
        bank_name: banks.get(&best.bank)?.name.clone(),
        external_reference: record.content.external_reference().map(Into::into),
        labels: record.content.labels().into(),
        hash_type,
        distance,
        variant,
        exact: true,
        other_matches: best.other_matches,
    })
}
