//! The changes of a bank as records of programmes.

use std::fmt;
use std::str::FromStr;

use http::StatusCode;
use vigie_clients::{BankEntry, BankListing, ChangesFrom, EntryContent, EntryState};
use vigie_consortium::Whose;
use vigie_formats::programme::{Key, KeyError, Record};
use vigie_model::{BankRef, ItemId, Sequence, UnixMillis};

use crate::feeds::values::keep_values_that_are_gone;
use crate::hma::{Refusal, banks};
use crate::problem::Problem;
use crate::upstream::Caller;

/// The most changes of one page.
pub(super) const PAGE_MAX: u16 = 1_000;

/// The query for a part of a bank's changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    /// The position at which it begins.
    pub(super) from: ChangesFrom,
    /// The time at which it ends; `None` for no end.
    pub(super) through: Option<UnixMillis>,
    /// The most changes to read.
    pub(super) size: u16,
    /// The follower that reads it.
    pub(super) follower: Follower,
}

/// The known properties of a follower.
#[derive(Debug, Clone, Copy)]
pub(super) struct Follower {
    /// The key by which it identifies an item.
    pub(super) by: By,
    /// Whether it also gets the items that the bank has only from programmes.
    pub(super) gets_all: bool,
    /// The time up to which it has the state; `None` if it starts from the beginning.
    pub(super) since: Option<UnixMillis>,
    /// The newest change when it requested the first page of this round; `None` for the first page.
    pub(super) begun: Option<Sequence>,
}

/// The key by which a follower identifies an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    /// The gateway's own id.
    Id,
    /// The hash itself.
    Value,
}

impl Follower {
    /// Returns whether it may have an item that was added at `added_at` and removed by this change: it has
    /// the items of its checkpoint, and the items that existed during this round.
    fn may_have(&self, added_at: UnixMillis, removed_by: Sequence, begun: Sequence) -> bool {
        self.since.is_some_and(|since| added_at <= since) || removed_by > begun
    }
}

/// The position of a page in a round. Its text form is used in tokens and links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PagePosition {
    /// The last change of the page before.
    pub(super) after: Sequence,
    /// The newest change at the beginning of the round ([`Follower::begun`]).
    pub(super) begun: Sequence,
}

impl fmt::Display for PagePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.after, self.begun)
    }
}

impl FromStr for PagePosition {
    type Err = Refusal;

    fn from_str(text: &str) -> Result<Self, Refusal> {
        let parsed = text.split_once('-').and_then(|(after, begun)| {
            Some(Self { after: Sequence(after.parse().ok()?), begun: Sequence(begun.parse().ok()?) })
        });
        parsed.ok_or_else(|| Refusal::bad("the position of the page is not one that this feed returned"))
    }
}

/// Returns the last millisecond of a second.
pub(super) const fn end_of_second(second: UnixMillis) -> UnixMillis {
    UnixMillis(second.0.saturating_add(999))
}

/// A page of records.
#[derive(Debug)]
pub(super) struct RecordPage {
    /// Each item once, at its latest change. At least one if the range continues.
    pub(super) records: Vec<(ItemId, Record)>,
    /// The position of the next page, if the range continues.
    pub(super) next: Option<PagePosition>,
    /// The last change that the page covers.
    pub(super) covers: Sequence,
    /// The time of the last change of the range so far, shown or not; `None` if the page has none.
    pub(super) newest: Option<UnixMillis>,
    /// Every change with a time up to this one was committed when the page was read.
    pub(super) as_of: UnixMillis,
}

/// Returns the bank of a path.
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
            let own_alone = !follower.gets_all;
            keep_values_that_are_gone(caller, bank, &mut records, page.sequence, own_alone, deadline).await?;
        }
        // Clients stop at an empty page.
        if !records.is_empty() || !page.has_more {
            let next = page.has_more.then_some(PagePosition { after: page.next_after, begun });
            let (covers, as_of) = (page.next_after, page.as_of);
            return Ok(RecordPage { records, next, covers, newest, as_of });
        }
        from = ChangesFrom::After(page.next_after);
    }
}

/// Returns the record of a change; `None` for a removed item that the follower never had.
fn record(
    entry: BankEntry,
    follower: &Follower,
    begun: Sequence,
) -> Result<Option<(ItemId, Record)>, Refusal> {
    let BankEntry { item, sequence, changed_at, added_at, state, whose } = entry;
    let is_theirs = match whose {
        Whose::Own | Whose::FormerlyOwn => true,
        Whose::Programmes => follower.gets_all,
        Whose::Canary => false,
    };
    if !is_theirs {
        return Ok(None);
    }
    let internal = |error: KeyError| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string());
    let key = Key::new(&item.to_string()).map_err(internal)?;
    let mut record = Record { changed_at: Some(changed_at), ..Record::new(key) };
    match state {
        EntryState::Living(content) if whose == Whose::Own || follower.gets_all => {
            fill(&mut record, *content);
            return Ok(Some((item, record)));
        }
        // Another item has its hashes now.
        EntryState::BroughtBack if follower.by == By::Value => return Ok(None),
        EntryState::Living(_)
        | EntryState::Held(_)
        | EntryState::Removed { .. }
        | EntryState::BroughtBack
            if !follower.may_have(added_at, sequence, begun) =>
        {
            return Ok(None);
        }
        EntryState::Living(content) | EntryState::Held(content) => fill(&mut record, *content),
        EntryState::Removed { hashes: Some(hashes) } => record.hashes = hashes,
        EntryState::Removed { hashes: None } if follower.by == By::Value => {
            let gone = "hashes were removed since your checkpoint that are no longer kept: begin anew, without a checkpoint";
            return Err(Problem::new(StatusCode::GONE, gone).into());
        }
        EntryState::Removed { hashes: None } | EntryState::BroughtBack => {}
    }
    record.withdrawn = true;
    Ok(Some((item, record)))
}

fn fill(record: &mut Record, content: EntryContent) {
    record.hashes = content.hashes;
    record.labels = content.labels;
    record.classes = content.details.classification.iter().cloned().collect();
}

#[cfg(test)]
mod tests {
    use vigie_model::Hash;

    use super::*;

    fn entry(added_at: u64, state: EntryState) -> BankEntry {
        let (item, sequence) = (ItemId(7), Sequence(9));
        let (changed_at, added_at) = (UnixMillis(90), UnixMillis(added_at));
        BankEntry { item, sequence, changed_at, added_at, state, whose: Whose::Own }
    }

    fn withdrawn(follower: &Follower, added_at: u64, state: EntryState) -> Result<Option<bool>, Refusal> {
        let record = record(entry(added_at, state), follower, Sequence(9))?;
        Ok(record.map(|(_, record)| record.withdrawn))
    }

    fn gone(hashes: Option<Vec<Hash>>) -> EntryState {
        EntryState::Removed { hashes }
    }

    #[test]
    fn a_follower_receives_only_removals_of_items_that_it_may_have() {
        let since =
            |at| Follower { gets_all: false, by: By::Value, since: Some(UnixMillis(at)), begun: None };
        let known = || gone(Some(vec![Hash::md5([7; 16])]));
        assert_eq!(withdrawn(&since(50), 50, known()), Ok(Some(true)));
        assert_eq!(withdrawn(&since(50), 51, known()), Ok(None));
        let anew = Follower { gets_all: false, by: By::Value, since: None, begun: None };
        assert_eq!(withdrawn(&anew, 50, known()), Ok(None));
        // Removed during the round, after the follower may have received it.
        let later = record(entry(50, known()), &anew, Sequence(8)).unwrap();
        assert!(later.is_some_and(|(_, record)| record.withdrawn));
    }

    #[test]
    fn a_follower_that_may_keep_a_purged_hash_for_ever_begins_anew() {
        let follower = |by| Follower { gets_all: false, by, since: Some(UnixMillis(50)), begun: None };
        assert!(withdrawn(&follower(By::Value), 50, gone(None)).is_err());
        assert_eq!(withdrawn(&follower(By::Value), 51, gone(None)), Ok(None));
        assert_eq!(withdrawn(&follower(By::Id), 50, gone(None)), Ok(Some(true)));
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
        // An item that is no longer the bank's own is withdrawn too; an item that never was, and a canary,
        // are not even withdrawn.
        let gets = |whose, gets_all| {
            let living = EntryState::Living(Box::new(content.clone()));
            let follower = Follower { gets_all, ..follower };
            let of = |state| record(BankEntry { whose, ..entry(1, state) }, &follower, Sequence(9)).unwrap();
            [of(living), of(gone(Some(vec![hash.clone()])))]
                .map(|record| record.map(|(_, record)| record.withdrawn))
        };
        assert_eq!(gets(Whose::Own, false), [Some(false), Some(true)]);
        assert_eq!(gets(Whose::FormerlyOwn, false), [Some(true), Some(true)]);
        assert_eq!(gets(Whose::FormerlyOwn, true), [Some(false), Some(true)]);
        assert_eq!(gets(Whose::Programmes, false), [None, None]);
        assert_eq!(gets(Whose::Programmes, true), [Some(false), Some(true)]);
        assert_eq!(gets(Whose::Canary, true), [None, None]);
    }

    #[test]
    fn a_place_is_read_as_it_is_written() {
        let place = PagePosition { after: Sequence(5), begun: Sequence(9) };
        assert_eq!(place.to_string().parse(), Ok(place));
        for bad in ["", "5", "5-", "-9", "a-b"] {
            assert!(bad.parse::<PagePosition>().is_err(), "{bad}");
        }
    }
}
