//! A search over a shard.

use std::collections::HashSet;
use std::sync::Arc;

use vigie_index::{BankFilter, Cancellation, Cancelled, Entry, HashSnapshot, Hit};
use vigie_model::{
    AsOf, BankId, BankName, BankRef, Distance, HashType, MemberId, MemberName, PdqHash, Query, SearchOptions,
    Sequence, ShardAnswer, hash_types,
};

use crate::error::SearchError;
use crate::searching::asked::{Batch, hashes_of};
use crate::searching::describing::{Describing, Stopped};
use crate::searching::found::Found;
use crate::searching::stills;
use crate::searching::video::Videos;
use crate::shard::banks::BankTable;
use crate::shard::indexes::IndexKey;
use crate::shard::selection::Selection;
use crate::shard::state::{Moment, Shard};

/// Searches the shard for a batch of queries, at one moment. Never waits for the follower.
///
/// Each item is in the answer to a query at most once: with its nearest hash, and the number of its other
/// matches. All hashes of an item are on one shard, so merging the shards' answers does not have to combine
/// items.
///
/// The answer has at most `answer_bytes` bytes of matches; the best match of each query is always included.
///
/// Stops soon after `cancel` is set, at any point, and then has little memory to release, because the results
/// of a query are bounded by its limit. Only the approximate engine may take some ten milliseconds to stop.
pub(crate) fn search(
    shard: &Shard,
    queries: &[Query],
    options: &SearchOptions,
    answer_bytes: usize,
    cancel: &Cancellation,
) -> Result<ShardAnswer, SearchError> {
    // A search has to start again only if an item that it found was removed meanwhile. A record is removed
    // after the moment without its item is published. So if the record of an item is still missing at a later
    // moment, the item was not removed, and the index is damaged. Each other attempt is caused by one
    // removal, and the caller's deadline bounds their number.
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
    let selection = select(moment, options)?;
    let asked = hash_types(queries);
    if let Some(unknown) = asked.iter().find(|hash_type| !shard.plan().searches(*hash_type)) {
        return Err(SearchError::UnknownHashType(unknown).into());
    }
    let mut nearest = Vec::with_capacity(queries.len());
    for group in groups(queries) {
        let mut found = search_group(moment, group, options, selection.filter(), cancel)?;
        for (query, found) in group.iter().zip(&mut found) {
            Videos { shard, moment, options, filter: selection.filter(), cancel }.search(query, found)?;
        }
        nearest.extend(found.into_iter().map(Found::into_nearest));
    }
    let describing = Describing { shard, moment, options, member: moment.member(options.member), cancel };
    let results = describing.answers(queries, nearest, answer_bytes)?;
    let is_exact = |hash_type: HashType| {
        // Frames of a video are also searched among the PDQ hashes of images.
        let has_images = hash_type == HashType::VPDQ && options.stills.images_of.is_some();
        let plan = shard.plan();
        options.exact || plan.is_exact(hash_type) && (!has_images || plan.is_exact(HashType::PDQ))
    };
    let approximate = asked.iter().filter(|hash_type| !is_exact(*hash_type));
    Ok(ShardAnswer {
        // The replica sets them, if it serves several shards of its cluster with this one.
        shards: shard.identity().into(),
        sequence: moment.sequence,
        // The replica sets it.
        as_of: AsOf::default(),
        hashes_searched: asked.iter().map(|hash_type| selection.hashes(hash_type)).sum(),
        results,
        approximate: approximate.collect(),
    })
}

/// Returns the banks to search: those of the set, those named, or all enabled ones. A bank of the set that
/// does not exist, not yet or no longer, is treated as empty at the answer's sequence.
fn select(moment: &Moment, options: &SearchOptions) -> Result<Arc<Selection>, SearchError> {
    let banks = &moment.banks;
    match &options.bank_set {
        Some(set) => Ok(banks.of_set(set)),
        None if moment.members_on => Err(SearchError::NoBankSet),
        None if options.banks.is_empty() => Ok(banks.enabled()),
        None => {
            let named = named_banks(banks, &options.banks, moment.sequence)?;
            Ok(Arc::new(banks.select(named)))
        }
    }
}

/// Returns the banks of these names. The deployment has no members, so all banks are the host's.
fn named_banks(banks: &BankTable, named: &[BankRef], sequence: Sequence) -> Result<Vec<BankId>, SearchError> {
    let host = MemberName::of_host();
    let mut wanted: Vec<&BankName> = named.iter().map(|bank| &bank.name).collect();
    wanted.sort_unstable();
    // Each bank is looked at once, however many are named.
    let mut there: Vec<_> =
        banks.iter().filter(|(_, bank)| wanted.binary_search(&&bank.name).is_ok()).collect();
    there.sort_unstable_by_key(|(_, bank)| &bank.name);
    let resolve = |bank: &BankRef| {
        let is_hosts = bank.owner.as_ref().is_none_or(|owner| *owner == host);
        match there.binary_search_by_key(&&bank.name, |(_, bank)| &bank.name) {
            Ok(at) if is_hosts && there[at].1.enabled => Ok(*there[at].0),
            Ok(_) if is_hosts => Err(SearchError::DisabledBank(bank.clone())),
            Ok(_) | Err(_) => Err(SearchError::UnknownBank { name: bank.clone(), sequence }),
        }
    };
    named.iter().map(resolve).collect()
}

/// The most hashes in one pass over the index. More would save little time.
const HASHES_AT_ONCE: usize = 16;

/// Splits the queries into runs with at most [`HASHES_AT_ONCE`] hashes together. A query with more hashes is
/// a run by itself.
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

/// Finds the items of each query of a group, by all hashes except videos.
fn search_group(
    moment: &Moment,
    queries: &[Query],
    options: &SearchOptions,
    filter: &BankFilter,
    cancel: &Cancellation,
) -> Result<Vec<Found>, Cancelled> {
    let mut found: Vec<Found> = queries.iter().map(|_| Found::new(options.limit.get())).collect();
    if filter.is_none() {
        return Ok(found);
    }
    let member = moment.member(options.member);
    let mut look = |asked: &Batch<'_>, index: &dyn HashSnapshot, hash_type: HashType, within: Within<'_>| {
        let mut note = |at: usize, hit: Hit| {
            let (query, variant) = asked.origins[at];
            let (found, item) = (&mut found[query], hit.entry.item);
            // The cheaper check is first: if a million items have one hash, few of the hits are needed.
            if found.is_beyond(hash_type, hit.distance, item) || moment.marks.is_held(item) {
                return;
            }
            if !options.with_aside && moment.marks.is_aside(item, member) {
                found.set_aside();
                return;
            }
            found.note(hit.entry, (hit.distance, hash_type, variant));
        };
        if index.is_exact() || !options.exact {
            return index.each(&asked.hashes, within.radius, within.filter, cancel, &mut note);
        }
        let (radius, filter) = (within.radius, within.filter);
        let within = vigie_index::Within { radius, exact: true };
        asked.hashes.iter().enumerate().try_for_each(|(at, hash)| {
            let mut take = |hit| {
                note(at, hit);
                true
            };
            index.nearest_first(hash, within, filter, cancel, &mut take)
        })
    };
    let asked_types = hash_types(queries);
    let radius = |hash_type| options.max_distances.get(hash_type);
    for hash_type in asked_types.iter().filter(|hash_type| *hash_type != HashType::VPDQ) {
        let within = Within { radius: radius(hash_type), filter };
        for (key, index) in moment.indexes.of(hash_type) {
            if !is_by_nearness(hash_type) {
                look(&hashes_of(queries, key), index, hash_type, within)?;
            }
        }
    }
    // A frame of a video is a picture with a PDQ hash, so PDQ hashes can match it.
    if let Some(filter) = stills::among(options.stills.frames_of.as_deref(), filter)
        && asked_types.contains(HashType::PDQ)
    {
        let asked = hashes_of(queries, IndexKey::whole(HashType::PDQ, size_of::<PdqHash>()));
        for (_, index) in moment.indexes.of(HashType::VPDQ) {
            look(&asked, index, HashType::PDQ, Within { radius: radius(HashType::PDQ), filter: &filter })?;
        }
    }
    if let Some(filter) = stills::among(options.stills.images_of.as_deref(), filter)
        && asked_types.contains(HashType::VPDQ)
    {
        let frames = stills::frames_of(queries);
        let asked = stills::batch(&frames);
        for (_, index) in moment.indexes.of(HashType::PDQ) {
            look(&asked, index, HashType::PDQ, Within { radius: radius(HashType::VPDQ), filter: &filter })?;
        }
    }
    for hash_type in asked_types.iter() {
        for (key, index) in moment.indexes.of(hash_type) {
            if is_by_nearness(hash_type) {
                let nearness = Nearness { moment, options, member, filter, cancel };
                nearness.look(&hashes_of(queries, key), index, hash_type, &mut found)?;
            }
        }
    }
    Ok(found)
}

/// Returns whether an index is searched for the nearest hashes one after the other, instead of for all within
/// the distance. For vectors, all within the distance may be most of them.
fn is_by_nearness(hash_type: HashType) -> bool {
    hash_type.vector_class().is_some()
}

/// A search that takes the nearest hashes one after the other.
struct Nearness<'a> {
    moment: &'a Moment,
    options: &'a SearchOptions,
    member: Option<MemberId>,
    filter: &'a BankFilter,
    cancel: &'a Cancellation,
}

impl Nearness<'_> {
    /// Looks for each hash until one more item than wanted has been found, each within the distance that
    /// applies to its bank.
    fn look(
        &self,
        asked: &Batch<'_>,
        index: &dyn HashSnapshot,
        hash_type: HashType,
        found: &mut [Found],
    ) -> Result<(), Cancelled> {
        let Self { moment, options, member, filter, cancel } = *self;
        let within = vigie_index::Within { radius: options.max_distance(hash_type), exact: options.exact };
        for (hash, &(query, variant)) in asked.hashes.iter().zip(&asked.origins) {
            let found = &mut found[query];
            let mut items = HashSet::new();
            index.nearest_first(hash, within, filter, cancel, &mut |hit| {
                let Entry { item, bank } = hit.entry;
                if hit.distance > options.max_distance_in(hash_type, bank) || moment.marks.is_held(item) {
                    return true;
                }
                if !options.with_aside && moment.marks.is_aside(item, member) {
                    found.set_aside();
                    return true;
                }
                found.note(hit.entry, (hit.distance, hash_type, variant));
                items.insert(item);
                items.len() <= options.limit.get()
            })?;
        }
        Ok(())
    }
}

/// The distance of a search, and the banks that it uses.
#[derive(Clone, Copy)]
struct Within<'a> {
    radius: Distance,
    filter: &'a BankFilter,
}
