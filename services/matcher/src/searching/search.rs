//! One search over a shard.

use std::collections::HashSet;
use std::sync::Arc;

use vigie_index::{BankFilter, Cancellation, Cancelled, Entry, HashSnapshot};
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
    let approximate = asked.iter().filter(|hash_type| !options.exact && !shard.plan().is_exact(*hash_type));
    Ok(ShardAnswer {
        identity: shard.identity(),
        sequence: moment.sequence,
        // The replica knows it.
        as_of: AsOf::default(),
        hashes_searched: asked.iter().map(|hash_type| selection.hashes(hash_type)).sum(),
        results,
        approximate: approximate.collect(),
    })
}

/// The banks that are searched: those of the set, those named, or all enabled ones. A bank of the set that is not there, not yet
/// or no longer, is one that nothing is known of as of the answer's sequence.
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

/// The banks of these names, of a deployment without members: all banks are the host's.
fn named_banks(banks: &BankTable, named: &[BankRef], sequence: Sequence) -> Result<Vec<BankId>, SearchError> {
    let host = MemberName::of_host();
    let mut wanted: Vec<&BankName> = named.iter().map(|bank| &bank.name).collect();
    wanted.sort_unstable();
    // One look at each bank, however many are named.
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

/// Finds the items of each query of a group, by all hashes but videos.
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
        index.each(&asked.hashes, within.radius, within.filter, cancel, &mut |at, hit| {
            let (query, variant) = asked.origins[at];
            let (found, item) = (&mut found[query], hit.entry.item);
            // The cheaper look first: of a hash that a million items bear, few hits are of use.
            if found.is_beyond(hash_type, hit.distance, item) || moment.marks.is_held(item) {
                return;
            }
            if !options.with_aside && moment.marks.is_aside(item, member) {
                found.set_aside();
                return;
            }
            found.note(hit.entry, (hit.distance, hash_type, variant));
        })
    };
    let asked_types = hash_types(queries);
    let radius = |hash_type| options.max_distances.get(hash_type);
    for hash_type in asked_types.iter().filter(|hash_type| *hash_type != HashType::VPDQ) {
        let within = Within { radius: radius(hash_type), filter };
        for (key, index) in moment.indexes.of(hash_type) {
            if !is_by_nearness(index, hash_type, options) {
                look(&hashes_of(queries, key), index, hash_type, within)?;
            }
        }
    }
    // A frame of a video is a picture with a PDQ hash: what is near one is near by PDQ.
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
            if is_by_nearness(index, hash_type, options) {
                let nearness = Nearness { moment, options, member, filter, cancel };
                nearness.look(&hashes_of(queries, key), index, hash_type, &mut found)?;
            }
        }
    }
    Ok(found)
}

/// Whether an index is asked for the nearest hashes one after the other: where it is not searched for all that are within the distance,
/// which of vectors may be most of them.
fn is_by_nearness(index: &dyn HashSnapshot, hash_type: HashType, options: &SearchOptions) -> bool {
    hash_type.vector_class().is_some() || options.exact && !index.is_exact()
}

/// A search for the nearest hashes.
struct Nearness<'a> {
    moment: &'a Moment,
    options: &'a SearchOptions,
    member: Option<MemberId>,
    filter: &'a BankFilter,
    cancel: &'a Cancellation,
}

impl Nearness<'_> {
    /// Looks for each hash until one item more than is wanted has been found, within the distance that holds in its bank.
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

/// How far is looked, and in which banks.
#[derive(Clone, Copy)]
struct Within<'a> {
    radius: Distance,
    filter: &'a BankFilter,
}
