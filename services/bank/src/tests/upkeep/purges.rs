//! Tests of removed items: their bytes are in no file after their bank's `purge_hours`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use proptest::prelude::*;
use vigie_log::{Cursor, Sequence, Shutdown, Slice};
use vigie_model::{BankName, Hash, ItemContent, ItemDraft, ItemId};

use crate::plan::answer::Answer;
use crate::plan::write::Action;
use crate::tests::writes::{BareLog, create, in_a_minute};
use crate::tests::*;
use crate::{backup, verify};

on_both_stores! {
    a_purged_hash_is_in_no_file,
    a_removed_hash_that_the_log_has_forgotten_is_kept_and_purged_alike,
    what_is_due_survives_a_restart,
    without_rewrites_the_rows_are_purged_all_the_same,
    followers_that_are_current_go_on_and_others_load_the_state,
}

const HOUR: u64 = 3_600_000;

/// The first half of every hash of these tests, which occurs nowhere else.
const MARK: [u8; 16] = *b"\xd1mark\xe7of\xc3purges\xb5";

/// Returns the hash of a number.
fn hash(number: u64) -> Hash {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&MARK);
    bytes[16..24].copy_from_slice(&number.to_be_bytes());
    bytes[24..].copy_from_slice(&(!number).to_be_bytes());
    Hash::pdq(bytes)
}

/// Returns an item with that hash. Items have different lengths, and some are longer than a page.
fn content(number: u64) -> ItemContent {
    let more = [0, 1, 3, 0, 62][usize::try_from(number % 5).unwrap()];
    let filling = (0..more).map(|at| Hash::sha256([number.to_le_bytes()[0] ^ at; 32]));
    let draft =
        ItemDraft { hashes: std::iter::once(hash(number)).chain(filling).collect(), ..ItemDraft::default() };
    draft.try_into().unwrap()
}

/// Finds the numbers whose hashes are in files below a folder, except in subfolders with the names in `but`.
fn numbers_below(folder: &Path, but: &[&str], found: &mut BTreeSet<u64>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        if path.is_dir() {
            if !but.contains(&&*name.to_string_lossy()) {
                numbers_below(&path, but, found);
            }
            continue;
        }
        // A file may be deleted while the folder is read.
        let bytes = fs::read(&path).unwrap_or_default();
        for at in memchr::memmem::find_iter(&bytes, &MARK) {
            let number =
                bytes.get(at + 16..at + 24).map(|number| u64::from_be_bytes(number.try_into().unwrap()));
            let is_whole = |number: &u64| bytes.get(at..at + 32) == Some(hash(*number).as_bytes());
            found.extend(number.filter(is_whole));
        }
    }
}

impl Bed {
    /// Returns the numbers whose hashes are in a file of the store. On PostgreSQL it reads every file of the
    /// server, except its write-ahead log and the other databases of the tests.
    fn numbers_in_files(&self) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        match self {
            Self::Sqlite(directory) => numbers_below(directory.path(), &[], &mut found),
            Self::Postgres(database) => {
                database.sql("CHECKPOINT");
                let data = Server::shared().unwrap().folder().join("data");
                numbers_below(&data, &["pg_wal", "base"], &mut found);
                let own = database.sql("SELECT oid FROM pg_database WHERE datname = current_database()");
                numbers_below(&data.join("base").join(own), &[], &mut found);
            }
        }
        found
    }
}

/// A log whose items have the hashes of numbers.
struct Marked {
    bare: BareLog,
    store: Arc<dyn Store>,
    config: Config,
}

impl Marked {
    async fn open(config: Config) -> Self {
        let store = open(&config).await;
        Self { bare: BareLog::start(&store, &config), store, config }
    }

    async fn write(&self, action: Action) -> Answer {
        self.bare.log.write(action.by_everyone(), None, in_a_minute()).await.unwrap()
    }

    async fn create(&self, bank: &str) {
        self.bare.log.write(create(bank), None, in_a_minute()).await.unwrap();
    }

    async fn delete(&self, bank: &str) {
        self.write(Action::DeleteBank { name: bank_ref(bank) }).await;
    }

    /// Adds items; returns their ids.
    async fn add(&self, bank: &str, numbers: std::ops::Range<u64>) -> Vec<ItemId> {
        let items = numbers.map(|number| content(number).into()).collect();
        let answer = self.write(Action::AddItems { bank: bank_ref(bank), items }).await;
        let Answer::ItemsAdded { items, .. } = answer else { panic!("{answer:?}") };
        items
    }

    async fn remove(&self, items: Vec<ItemId>) {
        self.write(Action::RemoveItems { items, origin: None }).await;
    }

    /// Sweeps at this many hours after the beginning.
    async fn sweep_at(&self, hours: u64) {
        self.bare.clock.0.store(NOW + hours * HOUR, Ordering::Relaxed);
        let sweeper = self.bare.sweeper(&self.store, &self.config);
        while sweeper.step().await.unwrap() {}
    }

    async fn purged(&self) -> u64 {
        verify(&self.config).await.unwrap().purged.count()
    }

    async fn stop(self) {
        self.bare.stop().await;
        self.store.close().await;
    }
}

fn bank_ref(name: &str) -> vigie_model::BankRef {
    name.parse::<BankName>().unwrap().into()
}

/// Runs a log of 600 items, of which every third and those of a deleted bank are removed; returns the removed
/// numbers, and the others.
async fn removed(config: Config) -> (Marked, BTreeSet<u64>, BTreeSet<u64>) {
    let marked = Marked::open(Config { sweep_rows_max: 40, ..config }).await;
    marked.create("kept").await;
    marked.create("gone").await;
    let mut removed = BTreeSet::new();
    for round in 0..5 {
        let first = round * 120;
        let ids = marked.add("kept", first..first + 100).await;
        marked.add("gone", first + 100..first + 120).await;
        removed.extend(first + 100..first + 120);
        let thirds = (0..100).step_by(3);
        removed.extend(thirds.clone().map(|at| first + at));
        marked.remove(thirds.map(|at| ids[usize::try_from(at).unwrap()]).collect()).await;
    }
    marked.delete("gone").await;
    let kept = (0..600).filter(|number| !removed.contains(number)).collect();
    (marked, removed, kept)
}

async fn a_purged_hash_is_in_no_file(bed: Bed) {
    let (marked, removed, kept) = removed(bed.config()).await;
    let all: BTreeSet<u64> = (0..600).collect();
    // PostgreSQL may take samples at any time.
    if let Bed::Postgres(database) = &bed {
        database.sql("ANALYZE");
    }
    // Before the purge the hashes are found.
    marked.sweep_at(0).await;
    assert_eq!(bed.numbers_in_files(), all);
    marked.sweep_at(35).await;
    assert_eq!((marked.purged().await, bed.numbers_in_files()), (0, all));
    marked.sweep_at(36).await;
    assert_eq!(marked.purged().await, removed.len() as u64);
    marked.sweep_at(54).await;
    assert_eq!(bed.numbers_in_files(), kept);
    // Later copies do not contain them either.
    if let Bed::Sqlite(directory) = &bed {
        let copy = directory.path().join("copy").join("bank.db");
        fs::create_dir(copy.parent().unwrap()).unwrap();
        backup(&marked.config, &copy).await.unwrap();
        let mut copied = BTreeSet::new();
        numbers_below(copy.parent().unwrap(), &[], &mut copied);
        assert_eq!(copied, kept);
    }
    // An item that is removed later is purged later.
    let ids = marked.add("kept", 600..602).await;
    marked.remove(vec![ids[0]]).await;
    marked.sweep_at(100).await;
    assert_eq!(marked.purged().await, removed.len() as u64 + 1);
    marked.sweep_at(126).await;
    assert!(!bed.numbers_in_files().contains(&600) && bed.numbers_in_files().contains(&601));
    let config = marked.config.clone();
    marked.stop().await;
    assert_eq!(verify(&config).await.unwrap().purged.count(), removed.len() as u64 + 1);
}

async fn a_removed_hash_that_the_log_has_forgotten_is_kept_and_purged_alike(bed: Bed) {
    let (marked, removed, kept) = removed(bed.config()).await;
    let head = marked.store.head().await.unwrap().sequence;
    while marked.store.cut(head, 1_000).await.unwrap() {}
    let with_bytes = async || bed.rows("SELECT count(*) || '' FROM undos WHERE payload IS NOT NULL").await;
    // Items that were removed individually: those of a deleted bank cannot be restored.
    let (count, none) = (format!("{}", removed.len() - 100), ["0".to_owned()]);
    // The bytes in the log are cleared now, and those in the rows of removed items are not.
    marked.sweep_at(35).await;
    marked.store.erase(true).await.unwrap();
    assert_eq!(
        (with_bytes().await, bed.numbers_in_files().len()),
        (vec![count], kept.len() + removed.len() - 100)
    );
    marked.sweep_at(36).await;
    assert_eq!(with_bytes().await, none);
    marked.sweep_at(54).await;
    assert_eq!(bed.numbers_in_files(), kept);
    marked.stop().await;
}

async fn what_is_due_survives_a_restart(bed: Bed) {
    let (marked, removed, kept) = removed(bed.config()).await;
    let config = marked.config.clone();
    // The bank stops before the deleted bank is swept, before the log is purged, and before the files are
    // cleared.
    marked.stop().await;
    for (hours, purged) in [(1, 0), (40, removed.len())] {
        let marked = Marked::open(config.clone()).await;
        marked.sweep_at(hours).await;
        assert_eq!(marked.purged().await, purged as u64);
        marked.stop().await;
    }
    let marked = Marked::open(config).await;
    marked.sweep_at(54).await;
    assert_eq!(bed.numbers_in_files(), kept);
    marked.stop().await;
}

async fn without_rewrites_the_rows_are_purged_all_the_same(bed: Bed) {
    let (marked, removed, kept) = removed(Config { purge_rewrites: false, ..bed.config() }).await;
    marked.sweep_at(36).await;
    assert_eq!(marked.purged().await, removed.len() as u64);
    let after = |hours: u64| UnixMillis(NOW + hours * HOUR);
    assert!(!marked.store.erase_is_due(after(53)).await.unwrap());
    assert!(marked.store.erase_is_due(after(54)).await.unwrap());
    marked.sweep_at(54).await;
    assert!(!marked.store.erase_is_due(after(54)).await.unwrap());
    let found = bed.numbers_in_files();
    assert!(kept.is_subset(&found));
    // SQLite overwrites nearly everything by itself.
    if matches!(bed, Bed::Sqlite(_)) {
        assert!(found.len() < kept.len() + removed.len() / 10, "{} of {}", found.len(), kept.len());
    }
    marked.stop().await;
}

async fn followers_that_are_current_go_on_and_others_load_the_state(bed: Bed) {
    let (marked, _, _) = removed(bed.config()).await;
    let (store, feed) = (&marked.store, &marked.bare.feed);
    let follow = async |after: Sequence| {
        let cursor = Cursor { log: store.log_id(), sequence: after, chain: None };
        feed.watch(Some(cursor), Slice::ALL, Shutdown::new()).await.unwrap()
    };
    let head = store.head().await.unwrap().sequence;
    let (mut current, mut behind) = (follow(head).await, follow(Sequence(1)).await);
    assert_eq!(current.next().await.unwrap().unwrap().through, head);
    // The first message is a heartbeat. The follower takes the next from memory, which still has the whole
    // log.
    behind.next().await.unwrap();
    marked.sweep_at(36).await;
    let refusal = loop {
        match behind.next().await {
            Ok(range) => assert!(range.unwrap().changes.is_empty()),
            Err(refusal) => break crate::error::Error::from(refusal),
        }
    };
    assert_eq!(refusal.code(), Code::OutOfRange);
    assert!(refusal.to_string().contains("was purged"), "{refusal}");
    let added = marked.add("kept", 700..701).await;
    let range = loop {
        let range = current.next().await.unwrap().unwrap();
        if !range.changes.is_empty() {
            break range;
        }
    };
    assert_eq!((range.after, range.through.0), (head, added[0].0));
    drop((current, behind));
    marked.stop().await;
}

#[derive(Debug, Clone)]
enum Step {
    Create,
    Add(u8, u8),
    Remove(u16, u8),
    Delete(u8),
    Hours(u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => Just(Step::Create),
        8 => (any::<u8>(), 1..60_u8).prop_map(|(bank, count)| Step::Add(bank, count)),
        6 => (any::<u16>(), 1..40_u8).prop_map(|(at, count)| Step::Remove(at, count)),
        1 => any::<u8>().prop_map(Step::Delete),
        4 => (1..30_u8).prop_map(Step::Hours),
        1 => Just(Step::Reopen),
    ]
}

/// The expected state: banks with the ids and numbers of their items, and the time of each removal.
#[derive(Debug, Default)]
struct Model {
    banks: Vec<(String, Vec<(ItemId, u64)>)>,
    removed: Vec<(u64, u64)>,
    created: u64,
    numbers: u64,
    hours: u64,
}

/// Applies steps to a bank and to a model, and compares them after every sweep.
async fn check(steps: Vec<Step>) {
    let bed = Bed::sqlite();
    let mut marked = Marked::open(Config { sweep_rows_max: 20, ..bed.config() }).await;
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Create => {
                model.created += 1;
                let name = format!("bank-{}", model.created);
                marked.create(&name).await;
                model.banks.push((name, Vec::new()));
            }
            Step::Add(bank, count) if !model.banks.is_empty() => {
                let bank = usize::from(bank) % model.banks.len();
                let numbers = model.numbers..model.numbers + u64::from(count);
                model.numbers = numbers.end;
                let ids = marked.add(&model.banks[bank].0, numbers.clone()).await;
                model.banks[bank].1.extend(ids.into_iter().zip(numbers));
            }
            Step::Remove(at, count) if !model.banks.is_empty() => {
                let bank = usize::from(at) % model.banks.len();
                let items = &mut model.banks[bank].1;
                let first = usize::from(at).checked_rem(items.len()).unwrap_or_default();
                let end = items.len().min(first + usize::from(count));
                let gone: Vec<_> = items.drain(first..end).collect();
                if !gone.is_empty() {
                    marked.remove(gone.iter().map(|(id, _)| *id).collect()).await;
                }
                model.removed.extend(gone.into_iter().map(|(_, number)| (number, model.hours)));
            }
            Step::Delete(bank) if !model.banks.is_empty() => {
                let (name, items) = model.banks.swap_remove(usize::from(bank) % model.banks.len());
                marked.delete(&name).await;
                model.removed.extend(items.into_iter().map(|(_, number)| (number, model.hours)));
            }
            Step::Add(..) | Step::Remove(..) | Step::Delete(_) => {}
            Step::Hours(hours) => {
                model.hours += u64::from(hours);
                marked.sweep_at(model.hours).await;
                compare(&bed, &marked, &model).await;
            }
            Step::Reopen => {
                let config = marked.config.clone();
                marked.stop().await;
                marked = Marked::open(config).await;
                marked.bare.clock.0.store(NOW + model.hours * HOUR, Ordering::Relaxed);
            }
        }
    }
    model.hours += 54;
    marked.sweep_at(model.hours).await;
    compare(&bed, &marked, &model).await;
    marked.stop().await;
}

async fn compare(bed: &Bed, marked: &Marked, model: &Model) {
    let before = |hours: u64| model.removed.iter().filter(move |(_, at)| at + hours <= model.hours);
    assert_eq!(marked.purged().await, before(36).count() as u64);
    let found = bed.numbers_in_files();
    let left: Vec<_> = before(54).filter(|(number, _)| found.contains(number)).collect();
    assert!(left.is_empty(), "{left:?} of {} at hour {}", model.removed.len(), model.hours);
    let lost = model.banks.iter().flat_map(|bank| &bank.1).find(|(_, number)| !found.contains(number));
    assert_eq!(lost, None);
}

/// Returns the number of cases that the environment sets, or a few.
fn cases() -> ProptestConfig {
    let more = std::env::var_os("PROPTEST_CASES").is_some();
    if more { ProptestConfig::default() } else { ProptestConfig { cases: 24, ..ProptestConfig::default() } }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_order_of_removals_and_sweeps_leaves_nothing_behind(steps in prop::collection::vec(step(), 10..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(steps));
    }
}
