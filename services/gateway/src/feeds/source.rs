//! The changes of a bank as records of programmes.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use http::StatusCode;
use tokio::time::Instant;
use vigie_clients::{BankEntry, BankListing, ChangesFrom, Code, EntryContent, EntryState, ItemSearch};
use vigie_formats::programme::{Key, KeyError, Record};
use vigie_model::{
    BankRef, Content, Hash, ItemContent, ItemId, Limit, MatchCall, MaxDistances, Query, QueryHash,
    SearchOptions, Sequence, UnixMillis, Variant,
};

use crate::hma::{Refusal, banks};
use crate::problem::Problem;
use crate::upstream::Caller;

/// The most changes of one page.
pub(super) const PAGE_MAX: u16 = 1_000;
/// The most hashes that the bank finds at once by reading.
const FIND_HASHES_MAX: usize = 4;

/// A part of a bank's changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// Where it begins.
    pub(super) from: ChangesFrom,
    /// Where it ends; `None` where it has no end.
    pub(super) through: Option<UnixMillis>,
    /// How many changes of it.
    pub(super) size: u16,
    /// Who reads it.
    pub(super) follower: Follower,
}

/// What is known of a follower.
#[derive(Debug, Clone, Copy)]
pub(super) struct Follower {
    /// How it identifies an item.
    pub(super) by: By,
    /// Whether it also gets what the bank knows from programmes alone.
    pub(super) gets_all: bool,
    /// It has what there was at this time; `None` where it begins anew.
    pub(super) since: Option<UnixMillis>,
    /// The newest change when it asked for the first page of this round; `None` for the first page.
    pub(super) begun: Option<Sequence>,
}

/// What a follower identifies an item by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// An id of ours.
    Id,
    /// The hash itself.
    Value,
}

impl Follower {
    /// Whether it may have an item that was added then and removed by this change: it has what there was at its checkpoint, and what was
    /// there in the course of this round.
    fn may_have(&self, added_at: UnixMillis, removed_by: Sequence, begun: Sequence) -> bool {
        self.since.is_some_and(|since| added_at <= since) || removed_by > begun
    }
}

/// The place of a page in a round: after this change, in a round that begun with another. As text for tokens and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The last change of the page before.
    pub(super) after: Sequence,
    /// See [`Follower::begun`].
    pub(super) begun: Sequence,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.after, self.begun)
    }
}

impl FromStr for Place {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let parsed = text.split_once('-').and_then(|(after, begun)| {
            Some(Self { after: Sequence(after.parse().ok()?), begun: Sequence(begun.parse().ok()?) })
        });
        parsed.ok_or_else(|| Refusal::bad("the place of the page is none of ours"))
    }
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
    /// Where the range goes on, if it does.
    pub(super) next: Option<Place>,
    /// The last change that it covers.
    pub(super) covers: Sequence,
    /// When the last item of the range so far was changed, be it shown or not; `None` where the page has none.
    pub(super) newest: Option<UnixMillis>,
    /// Every change with a time up to this one was there when the page was read.
    pub(super) as_of: UnixMillis,
}

/// The bank of a path.
pub(super) async fn bank(caller: &Caller, name: &str) -> Result<BankListing, Refusal> {
    banks::of_path(caller, name).await
}

/// Reads a page.
pub(super) async fn page(caller: &Caller, bank: &BankRef, range: Range) -> Result<RecordPage, Refusal> {
    let Range { mut from, follower, .. } = range;
    let (mut begun, mut newest, deadline) = (follower.begun, None, caller.deadline());
    loop {
        let page = caller.banks().bank_changes(bank, from, range.through, range.size, deadline).await?;
        let begun = *begun.get_or_insert(page.sequence);
        newest = page.entries.last().map(|entry| entry.changed_at).or(newest);
        let mut records = Vec::with_capacity(page.entries.len());
        for entry in page.entries {
            records.extend(record(entry, &follower, begun)?);
        }
        if follower.by == By::Value {
            keep_values_that_are_gone(caller, bank, &mut records, page.sequence, deadline).await?;
        }
        // Clients stop at an empty page.
        if !records.is_empty() || !page.has_more {
            let next = page.has_more.then_some(Place { after: page.next_after, begun });
            let (covers, as_of) = (page.next_after, page.as_of);
            return Ok(RecordPage { records, next, covers, newest, as_of });
        }
        from = ChangesFrom::After(page.next_after);
    }
}

/// The record of a change; `None` for an item that is gone and that the follower never had.
fn record(
    entry: BankEntry,
    follower: &Follower,
    begun: Sequence,
) -> Result<Option<(ItemId, Record)>, Refusal> {
    let BankEntry { item, sequence, changed_at, added_at, state, is_own } = entry;
    let internal = |error: KeyError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let key = Key::new(&item.to_string()).map_err(internal)?;
    let mut record = Record { changed_at: Some(changed_at), ..Record::new(key) };
    match state {
        // Nobody else is to have a canary, and it never was anything else.
        EntryState::Living(content) | EntryState::Held(content) if is_canary(&content) => return Ok(None),
        EntryState::Living(content) if is_own || follower.gets_all => {
            fill(&mut record, *content);
            return Ok(Some((item, record)));
        }
        EntryState::Living(_) | EntryState::Held(_) | EntryState::Removed { .. }
            if !follower.may_have(added_at, sequence, begun) =>
        {
            return Ok(None);
        }
        // It may have been the bank's own before.
        EntryState::Living(content) | EntryState::Held(content) => fill(&mut record, *content),
        EntryState::Removed { hashes: Some(hashes) } => record.hashes = hashes,
        EntryState::Removed { hashes: None } if follower.by == By::Value => {
            let gone = "hashes were removed since your checkpoint that are no longer kept: begin anew, without a checkpoint";
            return Err(Problem::new(StatusCode::GONE, gone).into());
        }
        EntryState::Removed { hashes: None } => {}
    }
    record.withdrawn = true;
    Ok(Some((item, record)))
}

fn is_canary(content: &EntryContent) -> bool {
    content.labels.iter().any(|label| label == ItemContent::CANARY_LABEL)
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
    let mut living = Vec::new();
    for (hash, result) in hashes.iter().zip(answer.results) {
        let matched = match result {
            Ok(matched) if matched.searches.iter().all(|search| search.skipped.is_none()) => matched,
            Err(failure) if cannot_search(failure.code) => {
                return read_through(caller, bank, hashes, deadline).await;
            }
            Ok(_) | Err(_) => return Err(not_ready().into()),
        };
        if !matched.found.matches.is_empty() {
            living.push(hash.clone());
        }
    }
    Ok(living)
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
) -> Result<Vec<Hash>, Refusal> {
    let wanted: BTreeSet<&Hash> = hashes.iter().collect();
    let mut living = BTreeSet::new();
    for some in hashes.chunks(FIND_HASHES_MAX) {
        let (bank, hashes) = (Some(bank.clone()), some.to_vec());
        let search = ItemSearch { bank, hashes, text: String::new() };
        let mut after = None;
        loop {
            let page = caller.banks().find_items(&search, after, PAGE_MAX, deadline).await?.value;
            let found = page.items.iter().flat_map(|(item, _)| item.content.hashes());
            living.extend(found.filter(|hash| wanted.contains(hash)).cloned());
            after = page.next_after;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(living.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(added_at: u64, state: EntryState) -> BankEntry {
        let (item, sequence) = (ItemId(7), Sequence(9));
        let (changed_at, added_at) = (UnixMillis(90), UnixMillis(added_at));
        BankEntry { item, sequence, changed_at, added_at, state, is_own: true }
    }

    fn told(follower: &Follower, added_at: u64, state: EntryState) -> Result<Option<bool>, Refusal> {
        let record = record(entry(added_at, state), follower, Sequence(9))?;
        Ok(record.map(|(_, record)| record.withdrawn))
    }

    fn gone(hashes: Option<Vec<Hash>>) -> EntryState {
        EntryState::Removed { hashes }
    }

    #[test]
    fn a_follower_is_told_of_the_removal_of_what_it_may_have_alone() {
        let since =
            |at| Follower { gets_all: false, by: By::Value, since: Some(UnixMillis(at)), begun: None };
        let known = || gone(Some(vec![Hash::md5([7; 16])]));
        assert_eq!(told(&since(50), 50, known()), Ok(Some(true)));
        assert_eq!(told(&since(50), 51, known()), Ok(None));
        let anew = Follower { gets_all: false, by: By::Value, since: None, begun: None };
        assert_eq!(told(&anew, 50, known()), Ok(None));
        // Removed in the course of the round, after the follower may have got it.
        let later = record(entry(50, known()), &anew, Sequence(8)).unwrap();
        assert!(later.is_some_and(|(_, record)| record.withdrawn));
    }

    #[test]
    fn a_follower_that_may_keep_a_purged_hash_for_ever_begins_anew() {
        let follower = |by| Follower { gets_all: false, by, since: Some(UnixMillis(50)), begun: None };
        assert!(told(&follower(By::Value), 50, gone(None)).is_err());
        assert_eq!(told(&follower(By::Value), 51, gone(None)), Ok(None));
        assert_eq!(told(&follower(By::Id), 50, gone(None)), Ok(Some(true)));
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
        let follower = Follower { gets_all: false, by: By::Id, since: Some(UnixMillis(50)), begun: None };
        let held = record(entry(1, EntryState::Held(Box::new(content.clone()))), &follower, Sequence(9));
        let held = held.unwrap().unwrap().1;
        assert!(held.withdrawn && held.hashes == [hash.clone()]);
        // What is no longer the bank's own is withdrawn too, except for who gets all.
        let foreign = |follower: &Follower| {
            let entry =
                BankEntry { is_own: false, ..entry(1, EntryState::Living(Box::new(content.clone()))) };
            record(entry, follower, Sequence(9)).unwrap().unwrap().1
        };
        assert!(foreign(&follower).withdrawn);
        assert!(!foreign(&Follower { gets_all: true, ..follower }).withdrawn);
        let labels = vec![ItemContent::CANARY_LABEL.to_owned()];
        let canary = EntryState::Living(Box::new(EntryContent { labels, ..content }));
        assert!(record(entry(1, canary), &follower, Sequence(9)).unwrap().is_none());
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = Place { after: Sequence(5), begun: Sequence(9) };
        assert_eq!(place.to_string().parse(), Ok(place));
        for bad in ["", "5", "5-", "-9", "a-b"] {
            assert!(bad.parse::<Place>().is_err(), "{bad}");
        }
    }
}
