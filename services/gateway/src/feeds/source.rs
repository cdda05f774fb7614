//! The changes of a bank as records of programmes.

use std::collections::BTreeSet;

use http::StatusCode;
use tokio::time::Instant;
use vigie_clients::{BankEntry, BankListing, ChangesFrom, EntryContent, EntryState};
use vigie_formats::programme::{Key, Record};
use vigie_model::{
    BankRef, Content, Hash, ItemId, Limit, MatchCall, MaxDistances, Query, QueryHash, SearchOptions,
    Sequence, UnixMillis, Variant,
};

use crate::hma::{Refusal, banks};
use crate::problem::Problem;
use crate::upstream::Caller;

/// The most changes of one page.
pub(super) const PAGE_MAX: u16 = 1_000;

/// A part of a bank's changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// Where it begins.
    pub(super) from: ChangesFrom,
    /// Where it ends; `None` where it has no end.
    pub(super) through: Option<UnixMillis>,
    /// How many changes of it.
    pub(super) size: u16,
    /// What its follower identifies an item by.
    pub(super) by: By,
}

/// What a follower identifies an item by.
#[derive(Debug, Clone, Copy)]
pub(super) enum By {
    /// An id of ours.
    Id,
    /// The hash itself. The follower has what there was at this time; `None` where it begins anew.
    Value {
        /// See above.
        since: Option<UnixMillis>,
    },
}

/// The last millisecond of a second.
pub(super) const fn end_of_second(second: UnixMillis) -> UnixMillis {
    UnixMillis(second.0.saturating_add(999))
}

/// A page of records.
#[derive(Debug)]
pub(super) struct RecordPage {
    /// Each item once, at its latest change. There is at least one where the range goes on.
    pub(super) records: Vec<(ItemId, Record)>,
    /// After which change the range goes on.
    pub(super) next_after: Sequence,
    /// Whether it does.
    pub(super) has_more: bool,
}

impl RecordPage {
    /// When its last item was changed.
    pub(super) fn newest(&self) -> Option<UnixMillis> {
        self.records.last().and_then(|(_, record)| record.changed_at)
    }
}

/// The bank of a path.
pub(super) async fn bank(caller: &Caller, name: &str) -> Result<BankListing, Refusal> {
    banks::of_path(caller, name).await
}

/// Reads a page.
pub(super) async fn page(caller: &Caller, bank: &BankRef, range: Range) -> Result<RecordPage, Refusal> {
    let (mut from, deadline) = (range.from, caller.deadline());
    loop {
        let page = caller.banks.bank_changes(bank, from, range.through, range.size, deadline).await?;
        let mut records = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            records.extend(record(entry, range.by)?);
        }
        if matches!(range.by, By::Value { .. }) {
            keep_values_that_are_gone(caller, bank, &mut records, page.sequence, deadline).await?;
        }
        // Clients stop at an empty page.
        if !records.is_empty() || !page.has_more {
            return Ok(RecordPage { records, next_after: page.next_after, has_more: page.has_more });
        }
        from = ChangesFrom::After(page.next_after);
    }
}

/// The record of a change; `None` for the removal of an item that the follower never had.
fn record(entry: BankEntry, by: By) -> Result<Option<(ItemId, Record)>, Refusal> {
    let BankEntry { item, changed_at, added_at, state, .. } = entry;
    let key = Key::new(&item.to_string())
        .map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let mut record = Record { changed_at: Some(changed_at), ..Record::new(key) };
    match (state, by) {
        (EntryState::Living(content), _) => fill(&mut record, *content),
        (EntryState::Held(content), _) => {
            fill(&mut record, *content);
            record.withdrawn = true;
        }
        (EntryState::Removed { hashes: Some(hashes) }, _) => {
            record.withdrawn = true;
            record.hashes = hashes;
        }
        (EntryState::Removed { hashes: None }, By::Id) => record.withdrawn = true,
        (EntryState::Removed { hashes: None }, By::Value { since: Some(since) }) if added_at <= since => {
            let gone = "hashes were removed since your checkpoint that are no longer kept: begin anew, without a checkpoint";
            return Err(Problem::new(StatusCode::GONE, gone).into());
        }
        (EntryState::Removed { hashes: None }, By::Value { .. }) => return Ok(None),
    }
    Ok(Some((item, record)))
}

fn fill(record: &mut Record, content: EntryContent) {
    record.hashes = content.hashes;
    record.labels = content.labels;
    record.classes = content.details.classification.iter().cloned().collect();
}

/// Leaves only those hashes in withdrawn records that no other item of the bank has, and no record without hashes.
async fn keep_values_that_are_gone(
    caller: &Caller,
    bank: &BankRef,
    records: &mut Vec<(ItemId, Record)>,
    as_of: Sequence,
    deadline: Instant,
) -> Result<(), Refusal> {
    let gone = records.iter().filter(|(_, record)| record.withdrawn).flat_map(|(_, record)| &record.hashes);
    let gone: BTreeSet<Hash> = gone.cloned().collect();
    let mut living = BTreeSet::new();
    let gone: Vec<Hash> = gone.into_iter().collect();
    for some in gone.chunks(Query::BATCH_MAX) {
        living.extend(among(caller, bank, some, as_of, deadline).await?);
    }
    for (_, record) in records.iter_mut().filter(|(_, record)| record.withdrawn) {
        record.hashes.retain(|hash| !living.contains(hash));
    }
    records.retain(|(_, record)| !record.hashes.is_empty());
    Ok(())
}

/// Those of these hashes that an item of the bank has.
async fn among(
    caller: &Caller,
    bank: &BankRef,
    hashes: &[Hash],
    as_of: Sequence,
    deadline: Instant,
) -> Result<Vec<Hash>, Refusal> {
    let max_distances =
        hashes.iter().try_fold(MaxDistances::default(), |all, hash| all.with(hash.hash_type(), 0));
    let options = SearchOptions {
        banks: vec![bank.clone()],
        max_distances: max_distances.map_err(|error| Problem::bad(error.to_string()))?,
        limit: Limit::new(1).unwrap_or_default(),
        min_sequence: as_of,
        ..SearchOptions::default()
    };
    let content = |hash: &Hash| Content::Hashed {
        hashes: vec![QueryHash { hash: hash.clone(), variant: Variant::Original }],
        pdq_quality: None,
    };
    let call = MatchCall { contents: hashes.iter().map(content).collect(), options, quality_floor: None };
    let answer = caller.frontends.match_content(call, deadline).await?;
    let mut living = Vec::new();
    for (hash, result) in hashes.iter().zip(answer.results) {
        let matched = result.map_err(|_| Problem::busy("index not yet ready"))?;
        if !matched.found.matches.is_empty() {
            living.push(hash.clone());
        }
    }
    Ok(living)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(added_at: u64, state: EntryState) -> BankEntry {
        let (item, sequence) = (ItemId(7), Sequence(9));
        BankEntry { item, sequence, changed_at: UnixMillis(90), added_at: UnixMillis(added_at), state }
    }

    #[test]
    fn a_follower_that_may_keep_a_purged_hash_for_ever_begins_anew() {
        let gone = || EntryState::Removed { hashes: None };
        let since = |at| By::Value { since: Some(UnixMillis(at)) };
        assert!(record(entry(50, gone()), since(50)).is_err());
        assert_eq!(record(entry(51, gone()), since(50)).unwrap(), None);
        assert_eq!(record(entry(50, gone()), By::Value { since: None }).unwrap(), None);
        let (item, tombstone) = record(entry(50, gone()), By::Id).unwrap().unwrap();
        assert!(item == ItemId(7) && tombstone.withdrawn && tombstone.hashes.is_empty());
    }

    #[test]
    fn a_held_item_is_withdrawn_with_its_hashes() {
        let hash = Hash::md5([7; 16]);
        let content = EntryContent {
            hashes: vec![hash.clone()],
            labels: Vec::new(),
            external_reference: String::new(),
            origin: None,
            details: vigie_consortium::Details::default(),
        };
        let held = record(entry(1, EntryState::Held(Box::new(content))), By::Id).unwrap().unwrap().1;
        assert!(held.withdrawn && held.hashes == [hash]);
    }
}
