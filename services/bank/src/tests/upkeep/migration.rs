//! Tests of stores that an older build wrote (`testdata/README.md`), whose chain covers bytes: they are
//! migrated or refused.

use std::process::Command;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _};
use vigie_log::{Chain, FormerLink, Sequence as LogSequence};
use vigie_model::change::{Cursor, LogId};
use vigie_model::{BankId, ChangeKind, FeedRange, Sequence, ShardIdentity};
use vigie_proto::bank::{LogChange, encode_log_change};

use crate::tests::*;
use crate::{BackupError, VerifyError, backup, migrate, restore, verify};

on_both_stores! {
    a_store_of_an_older_build_keeps_everything,
    a_follower_of_an_older_build_goes_on_without_loading_anything,
    a_key_of_an_older_build_is_answered_as_it_was,
    an_altered_store_of_an_older_build_is_refused_and_left_as_it_was,
    what_an_older_build_wrote_stays_proven_by_its_former_chain,
    a_store_of_an_older_build_is_not_read_before_its_migration,
    a_migration_that_is_cut_off_leaves_the_store_as_it_was_and_can_be_repeated,
}

/// A store of an older build: its name, its head, its floor, and its numbers of banks, items and hashes.
#[derive(Debug, Clone, Copy)]
struct Old(&'static str, u64, u64, [u64; 3]);

const OLD: Old = Old("old", 86, 0, [2, 62, 116]);
const CUT: Old = Old("cut", 93, 73, [3, 66, 123]);

/// Selects the version of a store's schema.
const VERSION: &str = "SELECT max(version) || '' FROM _sqlx_migrations";

const FILES: [(&str, &[u8], &str); 2] = [
    ("old", include_bytes!("../../../testdata/old.db"), include_str!("../../../testdata/old.sql")),
    ("cut", include_bytes!("../../../testdata/cut.db"), include_str!("../../../testdata/cut.sql")),
];

impl Bed {
    /// Makes another place, with a store of an older build that keeps all of its log.
    pub(in crate::tests) fn with_old(&self) -> Self {
        self.with(OLD)
    }

    /// Makes another place, with this store of an older build.
    fn with(&self, old: Old) -> Self {
        let (_, file, dump) = FILES.into_iter().find(|(name, _, _)| *name == old.0).unwrap();
        let bed = self.another();
        match &bed {
            Self::Sqlite(directory) => std::fs::write(directory.path().join("bank.db"), file).unwrap(),
            Self::Postgres(database) => drop(database.sql(dump)),
        }
        bed
    }

    /// Returns the rows of a statement that selects one column of text.
    pub(in crate::tests) async fn rows(&self, select: &str) -> Vec<String> {
        match self {
            Self::Sqlite(directory) => {
                let options = SqliteConnectOptions::new().filename(directory.path().join("bank.db"));
                let mut connection: SqliteConnection = options.connect().await.unwrap();
                let select = sqlx::query_scalar(AssertSqlSafe(select.to_owned()));
                let rows = select.fetch_all(&mut connection).await.unwrap();
                connection.close().await.unwrap();
                rows
            }
            Self::Postgres(database) => database.sql(select).lines().map(str::to_owned).collect(),
        }
    }

    /// Returns an expression that shows bytes as hexadecimal digits.
    fn hex(&self, column: &str) -> String {
        match self {
            Self::Sqlite(_) => format!("lower(hex({column}))"),
            Self::Postgres(_) => format!("encode({column}, 'hex')"),
        }
    }

    /// Returns bytes as a literal of a statement.
    fn literal(&self, bytes: &[u8]) -> String {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Self::Sqlite(_) => format!("x'{hex}'"),
            Self::Postgres(_) => format!("'\\x{hex}'::bytea"),
        }
    }

    /// Returns all rows except those of the log's tables.
    async fn state(&self) -> Vec<String> {
        let mut rows = Vec::new();
        let (payload, response) = (self.hex("payload"), self.hex("response"));
        let log_id = self.hex("log_id");
        for select in [
            format!("SELECT id || ' ' || bank_id || ' ' || partition || ' ' || {payload} FROM items ORDER BY id"),
            "SELECT id || ' ' || name || ' ' || item_count FROM banks ORDER BY id".to_owned(),
            "SELECT bank_id || ' ' || partition || ' ' || sum_0 || ' ' || sum_3 || ' ' || hash_count FROM digests \
             ORDER BY bank_id, partition"
                .to_owned(),
            format!("SELECT key || ' ' || {response} FROM idempotency ORDER BY key"),
            format!("SELECT sequence || ' ' || floor || ' ' || item_count || ' ' || {log_id} FROM head"),
        ] {
            rows.extend(self.rows(&select).await);
        }
        rows
    }

    /// Returns the log of an older build: chains, changes, the head's chain, and the schema version.
    async fn old_log(&self) -> Vec<String> {
        let (chain, payload) = (self.hex("chain"), self.hex("payload"));
        let mut rows = self.rows(VERSION).await;
        for select in [
            format!("SELECT last_sequence || ' ' || {chain} FROM batches ORDER BY last_sequence"),
            format!("SELECT sequence || ' ' || checksum || ' ' || {payload} FROM changes ORDER BY sequence"),
            format!("SELECT {chain} FROM head"),
        ] {
            rows.extend(self.rows(&select).await);
        }
        rows
    }

    /// Returns the cursors that followers of an older build may have.
    async fn old_cursors(&self) -> Vec<Cursor> {
        let log = self.rows(&format!("SELECT {} FROM head", self.hex("log_id"))).await;
        let log = LogId(bytes(&log[0]).try_into().unwrap());
        let select = format!("SELECT last_sequence || ' ' || {} FROM batches ORDER BY 1", self.hex("chain"));
        let rows = self.rows(&select).await;
        let cursor = |row: &String| {
            let (sequence, chain) = row.split_once(' ').unwrap();
            let chain = Some(bytes(chain).try_into().unwrap());
            Cursor { log, sequence: Sequence(sequence.parse().unwrap()), chain }
        };
        rows.iter().map(cursor).collect()
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

async fn a_store_of_an_older_build_keeps_everything(bed: Bed) {
    for old in [OLD, CUT] {
        let Old(_, sequence, floor, [banks, items, hashes]) = old;
        let bed = bed.with(old);
        let (config, before) = (bed.config(), bed.state().await);
        migrate(&config).await.unwrap();
        assert_eq!(bed.state().await, before);
        // A second migration changes nothing.
        migrate(&config).await.unwrap();
        assert_eq!(bed.state().await, before);

        let verified = verify(&config).await.unwrap();
        let head = &verified.head;
        assert_eq!((head.sequence.0, head.floor.0), (sequence, floor));
        assert_eq!((head.banks, head.items, head.hashes), (banks, items, hashes));
        assert_eq!(verified.purged.count(), 0);

        let served = Served::start(config.clone()).await;
        assert_eq!(served.list_items("first").await.unwrap().len(), 48);
        assert_eq!(served.list_items("renamed").await.unwrap().len(), 14);
        refused(served.list_items("gone").await, Code::NotFound, "no bank called gone");
        refused(served.item(5).await, Code::NotFound, "no item");
        let added = served.add("first", items_from(500)).await.unwrap();
        assert_eq!(added.sequence, sequence + 3);
        served.remove(vec![added.item_ids[0], 7]).await.unwrap();
        served.stop().await;
        assert_eq!(verify(&config).await.unwrap().head.sequence.0, sequence + 5);
    }
}

fn items_from(first: u64) -> Vec<pb::ItemContent> {
    items(first..first + 3)
}

async fn a_follower_of_an_older_build_goes_on_without_loading_anything(bed: Bed) {
    for old in [OLD, CUT] {
        let bed = bed.with(old);
        let cursors = bed.old_cursors().await;
        assert!(cursors.len() >= 10);
        let served = Served::start(bed.config()).await;
        let head = served.head().await.sequence;
        for cursor in cursors {
            let request = pb::WatchRequest::from((Some(cursor), ShardIdentity::new(0, 1).unwrap()));
            let mut ranges = served.feed.clone().watch(request).await.unwrap().into_inner();
            // As followers check it: the first message must have the chain that they know, or they would
            // start again.
            let mut range: FeedRange = ranges.message().await.unwrap().unwrap().try_into().unwrap();
            assert_eq!((range.through, range.chain), (cursor.sequence, cursor.chain));
            let mut changes = 0;
            while range.through.0 < head {
                range = ranges.message().await.unwrap().unwrap().try_into().unwrap();
                changes += range.changes.len() as u64;
            }
            assert_eq!(changes, head - cursor.sequence.0);
            // The head has the new chain, unless the follower was there already; both are known.
            let reached = range.end();
            let request = pb::WatchRequest::from((Some(reached), ShardIdentity::new(0, 1).unwrap()));
            assert!(served.feed.clone().watch(request).await.is_ok());

            let forged = Cursor { chain: Some([7; 32]), ..cursor };
            let request = pb::WatchRequest::from((Some(forged), ShardIdentity::new(0, 1).unwrap()));
            let refusal = served.feed.clone().watch(request).await.map(drop);
            refused(refusal, Code::OutOfRange, "another chain");
        }
        served.stop().await;
    }
}

async fn a_key_of_an_older_build_is_answered_as_it_was(bed: Bed) {
    let bed = bed.with(OLD);
    // The very first write.
    let key = bed.rows("SELECT key FROM idempotency ORDER BY created_at_ms LIMIT 1").await.remove(0);
    let served = Served::start(bed.config()).await;
    let request = pb::CreateBankRequest { name: "first".into(), idempotency_key: key, ..Default::default() };
    let again = served.bank.clone().create_bank(request.clone()).await.unwrap().into_inner();
    assert_eq!((again.sequence, again.bank.unwrap().id), (1, 1));
    let other = pb::CreateBankRequest { name: "other".into(), ..request };
    refused(served.bank.clone().create_bank(other).await, Code::InvalidArgument, "idempotency_key");
    assert_eq!(served.head().await.sequence, 86);
    served.stop().await;
}

async fn an_altered_store_of_an_older_build_is_refused_and_left_as_it_was(bed: Bed) {
    let altered = bed.altered_payload();
    // Altered together with its checksum, so that only the chain finds it.
    let payload =
        bed.with(OLD).rows(&format!("SELECT {} FROM changes WHERE sequence = 79", bed.hex("payload"))).await;
    let mut payload = bytes(&payload[0]);
    payload[30] ^= 1;
    let (forged, checksum) = (bed.literal(&payload), checksum(79, &payload));
    let faults = [
        (
            format!("UPDATE changes SET payload = {altered} WHERE sequence = 79"),
            "change 79 is not what was written",
        ),
        ("DELETE FROM changes WHERE sequence = 82".to_owned(), "change 82 is missing"),
        (
            format!("UPDATE changes SET payload = {forged}, checksum = {checksum} WHERE sequence = 79"),
            "the changes 79 to 79 are not those that were committed",
        ),
        (
            "UPDATE batches SET chain = (SELECT chain FROM head) WHERE last_sequence = 80".to_owned(),
            "the changes 80 to 80 are not those that were committed",
        ),
        (
            "DELETE FROM batches WHERE last_sequence = (SELECT sequence FROM head)".to_owned(),
            "the log ends at",
        ),
    ];
    for old in [OLD, CUT] {
        for (statement, fault) in &faults {
            let bed = bed.with(old);
            bed.alter(statement).await;
            let before = (bed.state().await, bed.old_log().await);
            let refusal = migrate(&bed.config()).await.unwrap_err();
            let text = with_causes(&refusal);
            assert!(text.contains("it was not migrated and is as it was"), "{text}");
            assert!(text.contains(fault), "{text}");
            assert_eq!((bed.state().await, bed.old_log().await), before);
        }
    }
}

fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

async fn what_an_older_build_wrote_stays_proven_by_its_former_chain(bed: Bed) {
    let bed = bed.with(OLD);
    migrate(&bed.config()).await.unwrap();
    let former =
        bed.rows(&format!("SELECT {} FROM batches ORDER BY last_sequence", bed.hex("former_chain"))).await;
    assert_eq!(former.len(), 22);
    bed.alter("UPDATE batches SET former_chain = (SELECT chain FROM head) WHERE last_sequence = 80").await;
    let error = verify(&bed.config()).await.unwrap_err();
    assert!(matches!(error, VerifyError::BatchAltered { last: Sequence(80), .. }), "{error}");
}

async fn a_store_of_an_older_build_is_not_read_before_its_migration(bed: Bed) {
    let bed = bed.with(OLD);
    let error = with_causes(&verify(&bed.config()).await.unwrap_err());
    assert!(error.contains("was written by an older build: bring it up to date first"), "{error}");
    // Several banks start at once: on a database they wait for each other, on a file only one gets it.
    let config = bed.config();
    let outcomes = futures::future::join_all((0..3).map(|_| migrate(&config))).await;
    match &bed {
        Bed::Postgres(_) => assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}"),
        Bed::Sqlite(_) => assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}"),
    }
    verify(&bed.config()).await.unwrap();
}

/// Appends changes to a store of an older build, as that build did, in batches of a hundred.
async fn prolong(bed: &Bed, batches: u64) {
    let chain = bed.rows(&format!("SELECT {} FROM head", bed.hex("chain"))).await;
    let (mut chain, mut sequence) = (Chain(bytes(&chain[0]).try_into().unwrap()), 86_u64);
    for _ in 0..batches {
        let (mut link, mut rows) = (FormerLink::after(&chain), Vec::new());
        for _ in 0..100 {
            sequence += 1;
            let change = ChangeKind::BankEnabledSet { bank: BankId(1), enabled: true };
            let payload = encode_log_change(LogChange::Shard(change)).unwrap();
            link.add(LogSequence(sequence), &payload);
            let checksum = checksum(sequence, &payload);
            rows.push(format!("({sequence}, NULL, {checksum}, {})", bed.literal(&payload)));
        }
        chain = link.end();
        let (rows, end) = (rows.join(", "), bed.literal(&chain.0));
        bed.alter(&format!(
            "INSERT INTO changes VALUES {rows}; \
             INSERT INTO batches VALUES ({sequence}, {end}, 1700000000000); \
             UPDATE head SET sequence = {sequence}, chain = {end}"
        ))
        .await;
    }
}

/// Returns the checksum that the older build stored of a change.
fn checksum(sequence: u64, payload: &[u8]) -> i64 {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&sequence.to_be_bytes()).update(payload);
    i64::from_be_bytes(hasher.finalize().as_bytes()[..8].try_into().unwrap())
}

const CHILD: &str = "VIGIE_TEST_MIGRATES";

/// Migrates the store of its parent process, which kills it. Run alone it does nothing.
#[tokio::test]
async fn a_child_migrates_for_its_parent() {
    let Ok(store) = std::env::var(CHILD) else { return };
    migrate(&Config { store: store.into(), ..Config::default() }).await.unwrap();
}

async fn a_migration_that_is_cut_off_leaves_the_store_as_it_was_and_can_be_repeated(bed: Bed) {
    let bed = bed.with(OLD);
    prolong(&bed, 60).await;
    let before = (bed.state().await, bed.old_log().await);
    let store = match &bed {
        Bed::Sqlite(directory) => format!("sqlite:{}", directory.path().join("bank.db").display()),
        Bed::Postgres(database) => database.url(),
    };
    let mut killed = 0;
    for delay_ms in [20, 40, 60, 80, 120, 160, 240, 320] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::upkeep::migration::a_child_migrates_for_its_parent"])
            .env(CHILD, &store)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(delay_ms)).await;
        child.kill().unwrap();
        let ended = child.wait().unwrap();
        if let Bed::Postgres(database) = &bed {
            // The server must notice that its client is gone.
            let others = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()";
            while database.sql(others) != "0" {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
        if ended.success() || bed.rows(VERSION).await[..] != before.1[..1] {
            break;
        }
        killed += 1;
        assert_eq!((bed.state().await, bed.old_log().await), before);
    }
    println!("killed {killed} times");
    assert!(killed > 0);
    migrate(&bed.config()).await.unwrap();
    assert_eq!(bed.state().await, before.0);
    assert_eq!(verify(&bed.config()).await.unwrap().head.sequence.0, 86 + 6_000);
}

#[tokio::test]
async fn a_backup_of_an_older_build_is_restored_and_a_copy_of_an_older_store_is_proven() {
    let (bed, other) = (Bed::sqlite().with(OLD), Bed::sqlite());
    let (Bed::Sqlite(directory), Bed::Sqlite(elsewhere)) = (&bed, &other) else { return };
    let file = directory.path().join("bank.db");
    let before = bed.old_log().await;
    assert_eq!(restore(&other.config(), &file).await.unwrap().sequence, Sequence(86));
    assert_eq!(verify(&other.config()).await.unwrap().head.items, 62);
    let copy = elsewhere.path().join("copy.db");
    assert_eq!(backup(&bed.config(), &copy).await.unwrap().sequence, Sequence(86));
    // The source of the copy is unchanged.
    assert_eq!(bed.old_log().await, before);
    let names = std::fs::read_dir(elsewhere.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let names: std::collections::BTreeSet<_> = names.map(|name| name.into_string().unwrap()).collect();
    assert_eq!(names.into_iter().collect::<Vec<_>>(), ["bank.db", "copy.db"]);

    bed.alter(&format!("UPDATE changes SET payload = {} WHERE sequence = 30", bed.altered_payload())).await;
    let third = Bed::sqlite();
    let refusal = restore(&third.config(), &file).await.unwrap_err();
    assert!(matches!(refusal, BackupError::Unsound(_)), "{refusal}");
    assert!(with_causes(&refusal).contains("change 30 is not what was written"));
    let Bed::Sqlite(third) = &third else { return };
    assert_eq!(std::fs::read_dir(third.path()).unwrap().count(), 0);
}
