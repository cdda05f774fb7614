//! Tests of the changes of one bank: against an oracle that knows every write, page by page, and while writes
//! go on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tonic::Code;

use super::feed::published::{ListFollower, by_value};
use super::*;
use crate::store::memory::{CommitFate, Disk, MemoryStore};

on_both_stores! {
    a_follower_has_what_the_bank_has_whatever_is_written,
    an_entry_shows_what_happened_to_its_item,
    changes_are_found_by_time_even_before_what_the_log_keeps,
    a_cursor_beyond_the_log_and_an_unknown_bank_are_refused,
    an_entry_shows_whose_its_item_is,
    the_changes_of_a_deleted_bank_are_swept;
    threads:
    no_change_is_missed_while_writes_go_on,
}

async fn page(
    served: &Served,
    start: Option<pb::read_bank_changes_request::Start>,
    through_unix_ms: Option<u64>,
    page_size: i32,
) -> Result<pb::ReadBankChangesResponse, Status> {
    let request = pb::ReadBankChangesRequest { bank: "a".into(), start, through_unix_ms, page_size };
    Ok(served.bank.clone().read_bank_changes(request).await?.into_inner())
}

const fn after(sequence: u64) -> Option<pb::read_bank_changes_request::Start> {
    Some(pb::read_bank_changes_request::Start::AfterSequence(sequence))
}

const fn since(time: u64) -> Option<pb::read_bank_changes_request::Start> {
    Some(pb::read_bank_changes_request::Start::AfterUnixMs(time))
}

/// Reads all changes after a start, in pages of one size.
async fn all(
    served: &Served,
    start: Option<pb::read_bank_changes_request::Start>,
    through: Option<u64>,
) -> Vec<pb::BankEntry> {
    let mut answer = page(served, start, through, 3).await.unwrap();
    let mut entries = std::mem::take(&mut answer.entries);
    while answer.has_more {
        answer = page(served, after(answer.next_after_sequence), through, 3).await.unwrap();
        entries.append(&mut answer.entries);
    }
    entries
}

/// A client that follows a bank by its pages.
#[derive(Debug, Default)]
struct Follower {
    cursor: u64,
    /// The living items: whether each is held, and its note.
    living: BTreeMap<u64, (bool, String)>,
    time: u64,
}

impl Follower {
    /// Applies one page. Entries ascend, and so do their times.
    fn take(&mut self, answer: &pb::ReadBankChangesResponse) {
        for entry in &answer.entries {
            assert!(entry.sequence > self.cursor && entry.sequence <= answer.next_after_sequence);
            assert!(entry.changed_unix_ms >= self.time, "{entry:?} after {}", self.time);
            (self.cursor, self.time) = (entry.sequence, entry.changed_unix_ms);
            let note = || {
                let content = entry.content.clone().unwrap();
                assert_eq!(content.hashes.len(), 2);
                content.details.unwrap_or_default().note
            };
            match entry.state() {
                pb::EntryState::Living => drop(self.living.insert(entry.item_id, (false, note()))),
                pb::EntryState::Held => drop(self.living.insert(entry.item_id, (true, note()))),
                pb::EntryState::Removed => drop(self.living.remove(&entry.item_id)),
                pb::EntryState::Unspecified => unreachable!(),
            }
        }
        assert!(answer.next_after_sequence >= self.cursor && answer.next_after_sequence <= answer.sequence);
        self.cursor = answer.next_after_sequence;
    }

    /// Reads to the end, in pages of random sizes; sometimes from the beginning again.
    async fn follow(&mut self, served: &Served, random: &mut StdRng) {
        if random.random_bool(0.2) {
            *self = Self::default();
        }
        loop {
            let size = random.random_range(1..6);
            let answer = page(served, after(self.cursor), None, size).await.unwrap();
            assert!(answer.entries.len() <= usize::try_from(size).unwrap());
            self.take(&answer);
            if !answer.has_more {
                return;
            }
        }
    }
}

/// Random writes: items with and without an origin, removals, holds, notes and restorations, with another
/// bank beside it. The clock goes forward and back.
async fn a_follower_has_what_the_bank_has_whatever_is_written(bed: Bed) {
    for seed in 0..4 {
        let bed = bed.another();
        follow_writes(seed, Served::start(bed.config()).await).await;
    }
}

#[tokio::test]
async fn a_follower_has_what_a_bank_in_memory_has_whatever_is_written() {
    for seed in 10..14 {
        let (folder, config) = on_file();
        let fates = Box::new(|| CommitFate::Done(Duration::ZERO));
        let store = MemoryStore::open(Disk::new([1; 16], fates));
        follow_writes(seed, Served::start_on(config, Arc::new(store)).await).await;
        drop(folder);
    }
}

async fn follow_writes(seed: u64, served: Served) {
    let mut random = StdRng::seed_from_u64(seed);
    served.create_bank("a").await.unwrap();
    served.create_bank("b").await.unwrap();
    let mut bank = served.bank.clone();
    let (mut living, mut removed) = (BTreeMap::<u64, (bool, String)>::new(), Vec::<u64>::new());
    let mut follower = Follower::default();
    let (mut of_programme, mut list) = (BTreeSet::new(), ListFollower::default());
    for number in 0..60_u64 {
        served.clock.0.fetch_add(random.random_range(0..20), Ordering::Relaxed);
        if random.random_bool(0.1) {
            served.clock.0.fetch_sub(15, Ordering::Relaxed);
        }
        let one = (!living.is_empty()).then(|| {
            let at = random.random_range(0..living.len());
            *living.keys().nth(at).unwrap()
        });
        match (random.random_range(0..8), one) {
            (0 | 1, _) => {
                let mut added = items(1_000 * number..1_000 * number + 3);
                let origin = pb::Origin { key: number.to_string(), ..Default::default() };
                added[1].origin = Some(origin.clone());
                added[2].origin = Some(pb::Origin { programme: "p".into(), ..origin });
                let ids = served.add("a", added).await.unwrap().item_ids;
                of_programme.insert(ids[2]);
                living.extend(ids.into_iter().map(|id| (id, (false, String::new()))));
            }
            (2, _) => drop(served.add("b", items(0..2)).await.unwrap()),
            (3 | 4, Some(id)) => {
                served.remove(vec![id]).await.unwrap();
                living.remove(&id);
                removed.push(id);
            }
            (5, Some(id)) => {
                let held = random.random_bool(0.6);
                let request = pb::SetItemHoldRequest { item_ids: vec![id], held, ..Default::default() };
                bank.set_item_hold(request).await.unwrap();
                living.get_mut(&id).unwrap().0 = held;
            }
            (6, Some(id)) => {
                let note = format!("note {number}");
                let details = Some(pb::ItemDetails { note: note.clone(), ..Default::default() });
                let request = pb::UpdateItemRequest { item_id: id, details, ..Default::default() };
                bank.update_item(request).await.unwrap();
                living.get_mut(&id).unwrap().1 = note;
            }
            (7, _) if !removed.is_empty() => {
                let id = removed.remove(random.random_range(0..removed.len()));
                let request = pb::RestoreItemsRequest { item_ids: vec![id], ..Default::default() };
                let restored = bank.restore_items(request).await.unwrap().into_inner().item_ids[0];
                let item = served.item(restored).await.unwrap().item.unwrap();
                let note = item.content.unwrap().details.unwrap_or_default().note;
                living.insert(restored, (!item.holds.is_empty(), note));
                if of_programme.contains(&id) {
                    of_programme.insert(restored);
                }
            }
            _ => {}
        }
        if random.random_bool(0.3) {
            follower.follow(&served, &mut random).await;
            assert_eq!(follower.living, living, "seed {seed}, write {number}");
            list.follow(&served, "a", random.random_range(1..6)).await;
            let is_listed = |id: &&u64| !of_programme.contains(*id) && !living[*id].0;
            assert_eq!(
                list.items.len(),
                living.keys().filter(is_listed).count(),
                "seed {seed}, write {number}"
            );
        }
    }
    // The list and the items agree, and a follower that begins now reads the same.
    let mut hashes = Vec::new();
    for (id, _) in living.iter().filter(|(id, (held, _))| !held && !of_programme.contains(id)) {
        hashes.push(served.item(*id).await.unwrap().item.unwrap().content.unwrap().hashes);
    }
    hashes.sort_by_key(by_value);
    let mut anew = ListFollower::default();
    anew.follow(&served, "a", 7).await;
    list.follow(&served, "a", 7).await;
    assert_eq!((&anew.hashes(), &list.hashes()), (&hashes, &hashes), "seed {seed}");
    // From the beginning, each item appears once.
    let entries = all(&served, None, None).await;
    let ids: BTreeSet<u64> = entries.iter().map(|entry| entry.item_id).collect();
    assert_eq!(ids.len(), entries.len());
    assert!(living.keys().chain(&removed).all(|id| ids.contains(id)));
    // Each range of times returns the changes made in it.
    let times: Vec<u64> = entries.iter().map(|entry| entry.changed_unix_ms).collect();
    for _ in 0..10 {
        let mut time = || times[random.random_range(0..times.len())] - random.random_range(0..2_u64);
        let (from, to) = (time(), time());
        let found = all(&served, since(from), Some(to)).await;
        let expected = entries.iter().filter(|entry| (from + 1..=to).contains(&entry.changed_unix_ms));
        assert!(found.iter().eq(expected), "seed {seed}: {from} to {to}");
    }
    served.stop().await;
}

async fn an_entry_shows_what_happened_to_its_item(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    let details = Some(pb::ItemDetails { note: "seen".into(), ..Default::default() });
    let origin = Some(pb::Origin { programme: "p".into(), key: "k".into(), ..Default::default() });
    let described = pb::ItemContent { details, origin, ..item(1) };
    let ids = served.add("a", vec![described.clone(), item(2), item(3)]).await.unwrap().item_ids;
    served.clock.0.store(NOW + 5_000, Ordering::Relaxed);
    served.remove(vec![ids[1]]).await.unwrap();
    let request = pb::SetItemHoldRequest { item_ids: vec![ids[2]], held: true, ..Default::default() };
    served.bank.clone().set_item_hold(request).await.unwrap();

    let entry = |number: usize, sequence: u64, changed_unix_ms: u64| pb::BankEntry {
        item_id: ids[number],
        sequence,
        changed_unix_ms,
        added_unix_ms: NOW,
        ..Default::default()
    };
    let living = pb::BankEntry {
        state: pb::EntryState::Living.into(),
        content: Some(described),
        whose: pb::EntryWhose::Programmes.into(),
        ..entry(0, ids[0], NOW)
    };
    let hashes = pb::ItemContent { hashes: item(2).hashes, ..Default::default() };
    let removed = pb::BankEntry {
        state: pb::EntryState::Removed.into(),
        content: Some(hashes),
        whose: pb::EntryWhose::Own.into(),
        ..entry(1, 6, NOW + 5_000)
    };
    // After the change of its record.
    let held = pb::BankEntry {
        state: pb::EntryState::Held.into(),
        content: Some(item(3)),
        whose: pb::EntryWhose::Own.into(),
        ..entry(2, 8, NOW + 5_000)
    };
    let answer = page(&served, None, None, 0).await.unwrap();
    assert_eq!(answer.entries, [living.clone(), removed.clone(), held.clone()]);
    assert_eq!((answer.next_after_sequence, answer.has_more, answer.sequence), (8, false, 8));
    assert_eq!(answer.as_of_unix_ms, NOW + 4_999);

    // After a purge its hashes are gone, and its removal is still reported.
    served.stop().await;
    let store = open(&config).await;
    let purged = store.purge_due(UnixMillis(NOW + 80 * 3_600_000), 100).await.unwrap();
    assert!(purged.through.is_some());
    store.close().await;
    drop(store);
    let served = Served::start(config).await;
    let forgotten = pb::BankEntry { content: None, forgotten: true, ..removed };
    assert_eq!(page(&served, None, None, 0).await.unwrap().entries, [living, forgotten, held]);
    served.stop().await;
}

async fn an_entry_shows_whose_its_item_is(bed: Bed) {
    use pb::EntryWhose::{Canary, FormerlyOwn, Own, Programmes};
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let origin = |programme: &str| {
        Some(pb::Origin { programme: programme.into(), key: "k".into(), ..Default::default() })
    };
    let foreign = |number| pb::ItemContent { origin: origin("p"), ..item(number) };
    let said = |number| pb::ItemContent { origin: origin(""), ..item(number) };
    let canary = pb::ItemContent { labels: vec![vigie_model::ItemContent::CANARY_LABEL.into()], ..item(5) };
    let ids = served.add("a", vec![item(1), foreign(2), foreign(3), said(4), canary]).await.unwrap().item_ids;
    // The third becomes the bank's own for a while; the fourth stops being its own.
    served.add("a", vec![said(3), foreign(4)]).await.unwrap();
    let mut bank = served.bank.clone();
    for item in [ids[2], ids[3]] {
        let request =
            pb::RemoveItemsRequest { item_ids: vec![item], origin: origin(""), ..Default::default() };
        bank.remove_items(request).await.unwrap();
    }
    let owners = async || {
        let entries = page(&served, None, None, 0).await.unwrap().entries;
        let mut owners: Vec<_> = entries.iter().map(|entry| (entry.item_id, entry.whose())).collect();
        owners.sort_unstable_by_key(|(item, _)| *item);
        owners.into_iter().map(|(_, whose)| whose).collect::<Vec<_>>()
    };
    let expected = [Own, Programmes, FormerlyOwn, FormerlyOwn, Canary];
    assert_eq!(owners().await, expected);
    // New details, a hold and its end, and a removal do not change the owner class of an item.
    for item in &ids {
        let details = Some(pb::ItemDetails { note: "n".into(), ..Default::default() });
        bank.update_item(pb::UpdateItemRequest { item_id: *item, details, ..Default::default() })
            .await
            .unwrap();
    }
    for held in [true, false] {
        let request = pb::SetItemHoldRequest { item_ids: ids.clone(), held, ..Default::default() };
        bank.set_item_hold(request).await.unwrap();
        assert_eq!(owners().await, expected);
    }
    served.remove(ids).await.unwrap();
    assert_eq!(owners().await, expected);
    served.stop().await;
}

async fn changes_are_found_by_time_even_before_what_the_log_keeps(bed: Bed) {
    let config = Config { log_hours: 1, log_changes: 2, ..bed.config() };
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    let mut ids = Vec::new();
    for number in 0..8 {
        served.clock.0.store(NOW + 1_000 * number, Ordering::Relaxed);
        ids.extend(served.add("a", vec![item(number)]).await.unwrap().item_ids);
        if number == 4 {
            served.remove(vec![ids[1]]).await.unwrap();
        }
    }
    let expected = all(&served, None, None).await;
    let check = async |served: &Served| {
        for from in (0..9_000).step_by(500) {
            for to in (0..9_000).step_by(500) {
                let found = all(served, since(NOW + from), Some(NOW + to)).await;
                let is_between = |entry: &&pb::BankEntry| {
                    let time = entry.changed_unix_ms - NOW;
                    time > from && time <= to
                };
                assert!(found.iter().eq(expected.iter().filter(is_between)), "{from} to {to}: {found:?}");
            }
        }
    };
    check(&served).await;
    served.clock.0.store(NOW + 2 * 3_600_000, Ordering::Relaxed);
    // The log is cut when no follower may still need it.
    served.stop().await;
    let store = open(&config).await;
    while store.cut(vigie_log::Sequence(8), 100).await.unwrap() {}
    assert_eq!(store.head_row().await.unwrap().head.floor.0, 8);
    store.close().await;
    drop(store);
    let served = Served::start(config).await;
    check(&served).await;
    served.stop().await;
}

async fn a_cursor_beyond_the_log_and_an_unknown_bank_are_refused(bed: Bed) {
    let served = Served::start(bed.config()).await;
    refused(page(&served, None, None, 0).await, Code::NotFound, "a");
    served.create_bank("a").await.unwrap();
    assert!(page(&served, after(1), None, 0).await.unwrap().entries.is_empty());
    refused(page(&served, after(2), None, 0).await, Code::OutOfRange, "the log ends at 1");
    refused(page(&served, None, None, 1_001).await, Code::InvalidArgument, "page_size");
    // A future time is no cursor: later writes come with the next one.
    let answer = page(&served, since(u64::MAX), Some(u64::MAX), 0).await.unwrap();
    assert_eq!((answer.next_after_sequence, answer.has_more), (1, false));
    served.stop().await;
}

async fn the_changes_of_a_deleted_bank_are_swept(bed: Bed) {
    let config = Config { sweep_rows_max: 4, ..bed.config() };
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();
    served.create_bank("b").await.unwrap();
    let ids = served.add("a", items(0..20)).await.unwrap().item_ids;
    served.remove(ids[..15].to_vec()).await.unwrap();
    let kept = served.add("b", items(0..2)).await.unwrap().item_ids;
    served.remove(vec![kept[0]]).await.unwrap();
    served.delete_bank("a").await.unwrap();
    refused(page(&served, None, None, 0).await, Code::NotFound, "a");
    let count = "SELECT CAST(count(*) AS TEXT) FROM touched";
    let sweeps = "SELECT CAST(count(*) AS TEXT) FROM sweeps";
    for _ in 0..1_000 {
        if bed.rows(count).await == ["1"] && bed.rows(sweeps).await == ["0"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bed.rows(count).await, ["1"]);
    assert_eq!(bed.rows(sweeps).await, ["0"]);
    served.stop().await;
}

/// A writer and a follower run at once: at the end the follower has everything.
async fn no_change_is_missed_while_writes_go_on(bed: Bed) {
    let served = Arc::new(Served::start(bed.config()).await);
    served.create_bank("a").await.unwrap();
    let writers = (0..3_u64).map(|writer| {
        let served = Arc::clone(&served);
        tokio::spawn(async move {
            let mut living = BTreeSet::new();
            for number in 0..40 {
                let numbers = writer * 10_000 + number * 10..writer * 10_000 + number * 10 + 3;
                let ids = served.add("a", items(numbers)).await.unwrap().item_ids;
                served.clock.0.fetch_add(1, Ordering::Relaxed);
                served.remove(vec![ids[1]]).await.unwrap();
                living.extend([ids[0], ids[2]]);
            }
            living
        })
    });
    let writers: Vec<_> = writers.collect();
    let mut random = StdRng::seed_from_u64(7);
    let (mut by_cursor, mut by_time) = (Follower::default(), BTreeMap::new());
    let mut settled = 0;
    let is_over = || writers.iter().all(tokio::task::JoinHandle::is_finished);
    loop {
        let was_over = is_over();
        loop {
            let answer =
                page(&served, after(by_cursor.cursor), None, random.random_range(1..20)).await.unwrap();
            by_cursor.take(&answer);
            if !answer.has_more {
                break;
            }
        }
        // By times alone: each range ends at a settled time.
        served.clock.0.fetch_add(1, Ordering::Relaxed);
        let until = page(&served, after(by_cursor.cursor), None, 1).await.unwrap().as_of_unix_ms;
        for entry in all(&served, since(settled), Some(until)).await {
            assert!(entry.changed_unix_ms > settled && entry.changed_unix_ms <= until);
            by_time.insert(entry.item_id, entry.state());
        }
        settled = until;
        if was_over {
            break;
        }
    }
    let mut living = BTreeSet::new();
    for writer in writers {
        living.extend(writer.await.unwrap());
    }
    assert!(by_cursor.living.keys().eq(&living));
    by_time.retain(|_, state| *state == pb::EntryState::Living);
    assert!(by_time.keys().eq(&living));
    Arc::into_inner(served).unwrap().stop().await;
}
