//! Which hashes of withdrawn items are gone: clients that know an item by its hash are told of those alone that no other item of the feed has.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use vigie_clients::{BankClient, Code, DescribedItem, ItemSearch};
use vigie_consortium::Submission;
use vigie_formats::programme::Record;
use vigie_model::{
    BankRef, Content, Hash, HashType, ItemContent, ItemId, Limit, MatchCall, MaxDistances, Query, QueryHash,
    SearchOptions, Sequence, Variant,
};

use crate::hma::Refusal;
use crate::problem::Problem;
use crate::upstream::Caller;

/// The most items of one hash that are looked at.
const ITEMS_OF_HASH_MAX: u16 = 64;
/// The most hashes that the bank finds at once by reading.
const FIND_HASHES_MAX: usize = 4;
/// Items of a page that is read.
const PAGE: u16 = 1_000;

/// Leaves only those hashes in withdrawn records that no other item of the feed has, and no record without hashes.
pub(super) async fn keep_values_that_are_gone(
    caller: &Caller,
    bank: &BankRef,
    records: &mut Vec<(ItemId, Record)>,
    as_of: Sequence,
    own_alone: bool,
    deadline: Instant,
) -> Result<(), Refusal> {
    let gone = records.iter().filter(|(_, record)| record.withdrawn).flat_map(|(_, record)| &record.hashes);
    let gone: BTreeSet<Hash> = gone.cloned().collect();
    // A search finds videos that share frames, of which none need have the same.
    let (videos, gone): (Vec<Hash>, Vec<Hash>) =
        gone.into_iter().partition(|hash| hash.hash_type() == HashType::VPDQ);
    let mut living = BTreeSet::new();
    if !videos.is_empty() {
        let found = read_through(caller, bank, &videos, deadline).await?;
        living.extend(if own_alone { with_own(caller, found, deadline).await? } else { hashes_of(found) });
    }
    for some in gone.chunks(Query::BATCH_MAX) {
        let found = among(caller, bank, some, as_of, own_alone, deadline).await?;
        living.extend(if own_alone { with_own(caller, found, deadline).await? } else { hashes_of(found) });
    }
    for (_, record) in records.iter_mut().filter(|(_, record)| record.withdrawn) {
        record.hashes.retain(|hash| !living.contains(hash));
    }
    records.retain(|(_, record)| !record.hashes.is_empty());
    Ok(())
}

/// Hashes with items of the bank that have them and match.
type Found = Vec<(Hash, Vec<ItemId>)>;

fn hashes_of(found: Found) -> Vec<Hash> {
    found.into_iter().map(|(hash, _)| hash).collect()
}

/// Those of the hashes that an item of the bank's own has. One that more items have than are looked at counts as one of them.
async fn with_own(caller: &Caller, found: Found, deadline: Instant) -> Result<Vec<Hash>, Refusal> {
    let (banks, mut known) = (caller.banks(), BTreeMap::<ItemId, bool>::new());
    let mut own = Vec::new();
    for (hash, items) in found {
        let mut is_own = items.len() >= usize::from(ITEMS_OF_HASH_MAX);
        for item in items {
            is_own |= match known.get(&item) {
                Some(is_own) => *is_own,
                None => {
                    let of_item = is_own_item(&banks, item, deadline).await?;
                    known.insert(item, of_item);
                    of_item
                }
            };
        }
        own.extend(is_own.then_some(hash));
    }
    Ok(own)
}

async fn is_own_item(banks: &BankClient, item: ItemId, deadline: Instant) -> Result<bool, Refusal> {
    match banks.describe_item(item, deadline).await {
        Ok(described) => {
            let DescribedItem { submissions, holds, labels, .. } = described.value;
            let is_canary = labels.iter().any(|label| label == ItemContent::CANARY_LABEL);
            let is_own = |(_, one): &(_, Submission)| one.origin.programme().is_empty();
            Ok(holds.is_empty() && !is_canary && (submissions.is_empty() || submissions.iter().any(is_own)))
        }
        // Removed meanwhile.
        Err(error) if error.code() == Code::NotFound => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Those of these hashes that an item of the bank has, with one such item, or with as many as are looked at.
async fn among(
    caller: &Caller,
    bank: &BankRef,
    hashes: &[Hash],
    as_of: Sequence,
    with_all: bool,
    deadline: Instant,
) -> Result<Found, Refusal> {
    let max_distances =
        hashes.iter().try_fold(MaxDistances::default(), |all, hash| all.with(hash.hash_type(), 0));
    let limit = if with_all { ITEMS_OF_HASH_MAX.into() } else { 1 };
    let options = SearchOptions {
        banks: vec![bank.clone()],
        max_distances: max_distances.map_err(|error| Problem::bad(error.to_string()))?,
        limit: Limit::new(limit).unwrap_or_default(),
        min_sequence: as_of,
        ..SearchOptions::default()
    };
    let content = |hash: &Hash| Content::Hashed {
        hashes: vec![QueryHash { hash: hash.clone(), variant: Variant::Original }],
        pdq_quality: None,
    };
    let call = MatchCall {
        contents: hashes.iter().map(content).collect(),
        options,
        quality_floor: None,
        surface: Box::default(),
        classifiers: Vec::new(),
    };
    let answer = match caller.frontends().match_content(call, deadline).await {
        Ok(answer) => answer,
        // The follower may read the bank and not search it, or the bank is disabled.
        Err(error) if cannot_search(error.code()) => {
            return read_through(caller, bank, hashes, deadline).await;
        }
        Err(error) => return Err(error.into()),
    };
    let not_ready = || Problem::busy("index not yet ready");
    if answer.results.len() != hashes.len() {
        return Err(not_ready().into());
    }
    let mut found = Vec::new();
    for (hash, result) in hashes.iter().zip(answer.results) {
        let matched = match result {
            Ok(matched) if matched.searches.iter().all(|search| search.skipped.is_none()) => matched,
            Err(failure) if cannot_search(failure.code) => {
                return read_through(caller, bank, hashes, deadline).await;
            }
            Ok(_) | Err(_) => return Err(not_ready().into()),
        };
        let items: Vec<ItemId> = matched.found.matches.iter().map(|one| one.item).collect();
        found.extend((!items.is_empty()).then(|| (hash.clone(), items)));
    }
    Ok(found)
}

const fn cannot_search(code: Code) -> bool {
    matches!(code, Code::PermissionDenied | Code::NotFound | Code::FailedPrecondition | Code::InvalidArgument)
}

/// The same by reading the bank, which takes long where it is large.
async fn read_through(
    caller: &Caller,
    bank: &BankRef,
    hashes: &[Hash],
    deadline: Instant,
) -> Result<Found, Refusal> {
    let mut living: BTreeMap<&Hash, Vec<ItemId>> = hashes.iter().map(|hash| (hash, Vec::new())).collect();
    for some in hashes.chunks(FIND_HASHES_MAX) {
        let (bank, hashes) = (Some(bank.clone()), some.to_vec());
        let search = ItemSearch { bank, hashes, text: String::new() };
        let mut after = None;
        loop {
            let page = caller.banks().find_items(&search, after, PAGE, deadline).await?.value;
            for (item, _) in &page.items {
                for hash in item.content.hashes() {
                    if let Some(items) =
                        living.get_mut(hash).filter(|items| items.len() < usize::from(ITEMS_OF_HASH_MAX))
                    {
                        items.push(item.id);
                    }
                }
            }
            after = page.next_after;
            if after.is_none() {
                break;
            }
        }
    }
    let found = living.into_iter().filter(|(_, items)| !items.is_empty());
    Ok(found.map(|(hash, items)| (hash.clone(), items)).collect())
}
