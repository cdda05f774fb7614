//! Tests of snapshots in an object store: published, used, interrupted and damaged.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use vigie_follow::Reason;
use vigie_model::change::LogId;
use vigie_model::{Sequence, ShardIdentity};

use super::fake_bank::FakeBank;
use super::follow::{Follower, plan as follower_plan, some_steps, whole};
use super::snapshot::{Log, copy_of, files_below, loaded, plan};
use super::{LOG, Step, identity};
use crate::config::Config;
use crate::following::keeping::Sharing;
use crate::saving::manifest::Manifest;
use crate::saving::plan::StorePlan;
use crate::shard::indexes::IndexPlan;
use crate::shard::pdq::PdqEngine;
use crate::shard::state::Shard;
use crate::sharing::bootstrap::bootstrap;
use crate::sharing::objects::Objects;
use crate::sharing::publication::{Keep, PublishError, Staged};
use crate::sharing::store_config::{StoreOptions, StoreUrl};

pub(super) fn objects_in(folder: &Path) -> Arc<Objects> {
    let url = StoreUrl::new(format!("file://{}", folder.display()));
    Arc::new(Objects::open(&url, &StoreOptions::default()).unwrap())
}

/// Returns settings for a replica that reads the store and never publishes.
fn reading(store: &Path) -> Sharing {
    Sharing { objects: Some(objects_in(store)), every: None }
}

pub(super) fn publishing(store: &Path) -> Sharing {
    Sharing { every: Some(Duration::from_millis(1)), ..reading(store) }
}

/// Starts a replica in its own folder.
fn start(bank: &FakeBank, identity: ShardIdentity, folder: &TempDir, sharing: Sharing) -> Follower {
    Follower::start_sharing(bank, identity, follower_plan(PdqEngine::Exact, folder.path()), 5, sharing)
}

/// Returns a bank, and a store to which its present state was published.
async fn published() -> (FakeBank, TempDir) {
    let (bank, store) = (FakeBank::start(some_steps()).await, tempfile::tempdir().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let follower = start(&bank, whole(), &folder, publishing(store.path()));
    follower.until("it is published", |_| follower.metrics.publications() == (1, 0)).await;
    follower.stop().await;
    (bank, store)
}

/// Starts a new replica. It must become equal to the bank after this number of further loads, and these
/// numbers of successful and failed bootstraps.
async fn check_new(bank: &FakeBank, store: &Path, loads: u32, bootstraps: (u64, u64), what: &str) {
    let (folder, before) = (tempfile::tempdir().unwrap(), bank.held().loads);
    let follower = start(bank, whole(), &folder, reading(store));
    follower.check_equal(bank).await;
    assert_eq!((bank.held().loads - before, follower.metrics.bootstraps()), (loads, bootstraps), "{what}");
    assert!(!folder.path().join("bootstrapping").exists(), "{what}");
    // It is a replica like any other: it saves, and continues from its snapshot.
    bank.take([Step::Add(0, vec![6]), Step::Remove(0)]);
    follower.check_equal(bank).await;
    follower.stop().await;
    let follower = start(bank, whole(), &folder, Sharing::default());
    follower.check_equal(bank).await;
    assert_eq!((bank.held().loads - before, follower.metrics.refused_snapshots()), (loads, 0), "{what}");
    follower.stop().await;
}

#[tokio::test]
async fn a_new_replica_begins_with_what_another_published() {
    let (bank, store) = (FakeBank::start(some_steps()).await, tempfile::tempdir().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let publisher = start(&bank, whole(), &folder, publishing(store.path()));
    for round in 1..=4_u8 {
        publisher.check_equal(&bank).await;
        let is_published = || publisher.metrics.publications() == (round.into(), 0);
        publisher.until("it is published", |_| is_published()).await;
        // The bank keeps only the required part of its log, and continues.
        let head = Sequence(bank.held().replay.sequence);
        bank.held().floor = head;
        let new = tempfile::tempdir().unwrap();
        let follower = start(&bank, whole(), &new, reading(store.path()));
        follower.check_equal(&bank).await;
        assert_eq!(follower.metrics.bootstraps(), (1, 0));
        follower.stop().await;
        bank.take((0..6).map(|number| Step::Add(round, vec![round * 8 + number])));
        bank.take([Step::Remove(round)]);
    }
    assert_eq!(bank.held().loads, 1, "by the publisher");
    let metrics = publisher.metrics.clone();
    publisher.stop().await;
    assert_eq!(metrics.rebuilds(Reason::Digest), 0);
    check_new(&bank, store.path(), 0, (1, 0), "whole").await;
    assert!(!folder.path().join("publishing/0").exists());
}

#[tokio::test]
async fn a_replica_that_began_with_a_published_snapshot_publishes_the_next() {
    let (bank, store) = published().await;
    let before = files_below(store.path());
    let folder = tempfile::tempdir().unwrap();
    let follower = start(&bank, whole(), &folder, publishing(store.path()));
    follower.check_equal(&bank).await;
    assert_eq!(files_below(store.path()), before, "there is nothing new");
    bank.take((0..6).map(|number| Step::Add(0, vec![number])));
    follower.until("it is published", |_| follower.metrics.publications() == (1, 0)).await;
    follower.stop().await;
    assert_eq!(bank.held().loads, 1);
    check_new(&bank, store.path(), 0, (1, 0), "next").await;
}

type Damage<'a> = &'a dyn Fn(&Path);

#[tokio::test]
async fn any_object_that_is_not_as_it_was_published_is_refused_and_the_state_loaded() {
    let (bank, store) = published().await;
    let objects = files_below(store.path());
    assert!(objects.len() >= 8, "{objects:?}");
    let change = |path: &Path, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        change(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    for object in &objects {
        let bytes = usize::try_from(fs::metadata(object).unwrap().len()).unwrap();
        let damages: [(&str, Damage<'_>); 8] = [
            ("first", &|path| change(path, &|bytes| bytes[0] ^= 4)),
            ("header", &|path| change(path, &|bytes| bytes[40] ^= 4)),
            ("middle", &|path| change(path, &|found| found[bytes / 2] ^= 4)),
            ("last", &|path| change(path, &|found| found[bytes - 1] ^= 4)),
            ("cut", &|path| change(path, &|found| found.truncate(bytes / 2))),
            ("longer", &|path| change(path, &|found| found.push(0))),
            ("empty", &|path| change(path, &Vec::clear)),
            ("missing", &|path| fs::remove_file(path).unwrap()),
        ];
        for (what, damage) in damages {
            let copy = copy_of(store.path());
            let path = copy.path().join(object.strip_prefix(store.path()).unwrap());
            damage(&path);
            let is_none = path.file_name().unwrap() == "latest" && what == "missing";
            let bootstraps = if is_none { (0, 0) } else { (0, 1) };
            let (folder, before) = (tempfile::tempdir().unwrap(), bank.held().loads);
            let follower = start(&bank, whole(), &folder, reading(copy.path()));
            follower.check_equal(&bank).await;
            let found = (bank.held().loads - before, follower.metrics.bootstraps());
            assert_eq!(found, (1, bootstraps), "{what} {}", object.display());
            follower.stop().await;
            // The error names the object.
            if !is_none {
                let error =
                    bootstrapped(&objects_in(copy.path()), &tempfile::tempdir().unwrap()).await.unwrap_err();
                let name = path.file_name().unwrap().to_str().unwrap();
                assert!(error.contains(name), "{what} {name}: {error}");
            }
        }
    }
    check_new(&bank, store.path(), 0, (1, 0), "whole").await;
}

#[tokio::test]
async fn a_snapshot_that_the_bank_does_not_go_on_from_is_dropped() {
    let (bank, store) = published().await;
    // Nothing was published of this shard.
    let half = ShardIdentity::new(1, 2).unwrap();
    let new = tempfile::tempdir().unwrap();
    let follower = start(&bank, half, &new, reading(store.path()));
    follower.check_equal(&bank).await;
    assert_eq!((bank.held().loads, follower.metrics.bootstraps()), (2, (0, 0)));
    follower.stop().await;
    // The snapshot is of another shard.
    let log = store.path().join(LOG.to_string());
    let copy = copy_of(&log.join("0-of-1"));
    fs::rename(copy.path(), log.join("1-of-2")).unwrap();
    let new = tempfile::tempdir().unwrap();
    let follower = start(&bank, half, &new, reading(store.path()));
    follower.check_equal(&bank).await;
    assert_eq!((bank.held().loads, follower.metrics.bootstraps()), (3, (0, 1)));
    follower.stop().await;
    // The log begins later.
    bank.take([Step::Create, Step::Create]);
    let head = Sequence(bank.held().replay.sequence);
    bank.held().floor = head;
    check_new(&bank, store.path(), 1, (1, 0), "older than the log").await;
    // The bank has another log.
    bank.end_streams(LogId([9; 16]));
    bank.held().floor = Sequence::ZERO;
    check_new(&bank, store.path(), 1, (1, 0), "another log").await;
    // A snapshot of the new log has been published.
    let new = tempfile::tempdir().unwrap();
    let follower = start(&bank, whole(), &new, publishing(store.path()));
    follower.until("it is published", |_| follower.metrics.publications().0 > 0).await;
    follower.stop().await;
    check_new(&bank, store.path(), 0, (1, 0), "the newest log").await;
}

#[tokio::test]
async fn a_published_snapshot_that_differs_from_the_bank_is_never_served() {
    let (bank, store) = published().await;
    // The same state would result if the snapshot had missed a removal.
    let missed = bank.held().replay.items.pop_first().unwrap().0;
    bank.held().replay.held.remove(&missed);
    bank.held().replay.standings.remove(&missed);
    check_new(&bank, store.path(), 1, (1, 0), "another digest").await;
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_keeps_nobody_from_serving() {
    let bank = FakeBank::start(some_steps()).await;
    // The store is not a folder.
    let store = tempfile::NamedTempFile::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let follower = start(&bank, whole(), &folder, publishing(&store.path().join("below")));
    follower.until("it is tried", |_| follower.metrics.publications().1 > 0).await;
    bank.take([Step::Add(0, vec![3]), Step::Create]);
    follower.check_equal(&bank).await;
    follower.stop().await;
}

/// Returns the shard that a new matcher starts with, or the error text if it has none.
pub(super) async fn bootstrapped(objects: &Objects, folder: &TempDir) -> Result<Option<Shard>, String> {
    let plan = plan(folder.path());
    let found = bootstrap(objects, plan.snapshot_folder().unwrap(), identity(), &IndexPlan::default()).await;
    found.map(|found| found.map(|found| found.shard)).map_err(|error| error.to_string())
}

pub(super) async fn publish(
    plan: &StorePlan,
    store: &Path,
    uploaded: &mut HashSet<String>,
    mut stop: impl FnMut(&'static str) -> bool + Send,
) -> Result<(), PublishError> {
    let staged = Staged::take(plan.snapshot_folder().unwrap(), identity()).unwrap().unwrap();
    let mut checkpoint = |step| if stop(step) { Err(PublishError::Stopped) } else { Ok(()) };
    staged.publish(&objects_in(store), uploaded, Keep::NewestTwo, &mut checkpoint).await
}

#[tokio::test]
async fn wherever_publishing_stops_one_snapshot_or_the_other_can_be_had() {
    let (folder, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut log, plans) = (Log::default(), plan(folder.path()));
    log.take_some(1);
    let shard = loaded(&plans, &log);
    let mut uploaded = HashSet::new();
    let mut expected = Sequence::ZERO;
    for seed in [3, 5] {
        expected = plans.save(&shard).unwrap();
        publish(&plans, store.path(), &mut uploaded, |_| false).await.unwrap();
        log.take_some(seed);
        log.bring_up(&shard);
        shard.stores().indexes.merge().unwrap();
    }
    let last = plans.save(&shard).unwrap();
    for stops_at in ["file", "files", "manifest", "latest", "forgotten"] {
        let copy = copy_of(store.path());
        let mut known = uploaded.clone();
        let stopped = publish(&plans, copy.path(), &mut known, |step| step == stops_at).await;
        assert_eq!(stopped.is_ok(), stops_at == "forgotten", "what is left over is logged, and no failure");
        let is_last = matches!(stops_at, "latest" | "forgotten");
        let new = tempfile::tempdir().unwrap();
        let found = bootstrapped(&objects_in(copy.path()), &new).await.unwrap().unwrap();
        assert_eq!(found.applied(), if is_last { last } else { expected }, "{stops_at}");
        log.bring_up(&found);
        // The publication is repeated, by this matcher or by one that knows no uploaded files.
        for mut known in [known, HashSet::new()] {
            publish(&plans, copy.path(), &mut known, |_| false).await.unwrap();
            let new = tempfile::tempdir().unwrap();
            let found = bootstrapped(&objects_in(copy.path()), &new).await.unwrap().unwrap();
            assert_eq!(found.applied(), last, "{stops_at}");
            log.bring_up(&found);
        }
    }
}

/// Returns the objects of the only shard in a store, by name.
fn objects_below(store: &Path) -> BTreeMap<String, SystemTime> {
    let place = store.join(LOG.to_string()).join("0-of-1");
    fs::create_dir_all(&place).unwrap();
    let below = files_below(&place).into_iter().map(|path| {
        let written_at = fs::metadata(&path).unwrap().modified().unwrap();
        (path.strip_prefix(&place).unwrap().to_str().unwrap().to_owned(), written_at)
    });
    below.collect()
}

#[tokio::test]
async fn two_snapshots_are_kept_and_what_they_share_is_uploaded_once() {
    let (folder, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut log, plans) = (Log::default(), plan(folder.path()));
    log.take_some(1);
    let shard = loaded(&plans, &log);
    let mut uploaded = HashSet::new();
    let mut named: Vec<BTreeSet<String>> = Vec::new();
    let mut shared = 0;
    for round in 0..5_u8 {
        plans.save(&shard).unwrap();
        let before = objects_below(store.path());
        publish(&plans, store.path(), &mut uploaded, |_| false).await.unwrap();
        let now = objects_below(store.path());
        let (manifest, _) = Manifest::read(&folder.path().join("manifest")).unwrap();
        let files = manifest.files.iter().map(|file| format!("files/{:016x}-{}", file.checksum, file.bytes));
        named.push(files.collect());
        let kept: BTreeSet<String> = named.iter().rev().take(2).flatten().cloned().collect();
        let found =
            |part: &str| now.keys().filter(|name| name.starts_with(part)).cloned().collect::<BTreeSet<_>>();
        assert_eq!(found("files/"), kept);
        assert_eq!(found("snapshots/").len(), named.len().min(2));
        for (name, written_at) in now.iter().filter(|(name, _)| name.starts_with("files/")) {
            if let Some(then) = before.get(name) {
                assert_eq!(then, written_at, "{name} was written again");
                shared += 1;
            }
        }
        log.take_some(round);
        log.bring_up(&shard);
        if round == 2 {
            shard.stores().indexes.merge().unwrap();
        }
    }
    assert!(shared > 8, "{shared}");
    // Publishing the same snapshot again changes nothing except that the pointer is written again.
    let before = objects_below(store.path());
    publish(&plans, store.path(), &mut uploaded, |_| false).await.unwrap();
    assert!(objects_below(store.path()).keys().eq(before.keys()));
}

#[tokio::test]
async fn what_another_publisher_took_away_is_noticed() {
    let (folder, store) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (mut log, plans) = (Log::default(), plan(folder.path()));
    log.take_some(1);
    plans.save(&loaded(&plans, &log)).unwrap();
    let files = store.path().join(LOG.to_string()).join("0-of-1/files");
    let take_away = |step: &str| {
        if step == "manifest" {
            fs::remove_file(files_below(&files).first().unwrap()).unwrap();
        }
        false
    };
    let mut uploaded = HashSet::new();
    let error = publish(&plans, store.path(), &mut uploaded, take_away).await.unwrap_err();
    assert!(matches!(error, PublishError::Incomplete { .. }), "{error}");
    publish(&plans, store.path(), &mut uploaded, |_| false).await.unwrap();
    let new = tempfile::tempdir().unwrap();
    log.bring_up(&bootstrapped(&objects_in(store.path()), &new).await.unwrap().unwrap());
}

#[tokio::test]
async fn what_a_configuration_says_of_the_store_is_checked_and_never_printed() {
    let config = |url: &str, options: &[(&str, &str)]| Config {
        index_folder: Some("folder".into()),
        snapshot_url: Some(StoreUrl::new(url)),
        snapshot_options: options.iter().copied().collect(),
        ..Config::default()
    };
    let check = |config: Config, expected: &[&str]| {
        let faults = config.faults();
        assert_eq!(faults.len(), expected.len(), "{faults:?}");
        assert!(faults.iter().zip(expected).all(|(fault, part)| fault.contains(part)), "{faults:?}");
        let printed =
            format!("{config:?} {config:#?} {faults:?} {}", serde_json::to_string(&config).unwrap());
        assert!(!printed.contains("swordfish"), "{printed}");
    };
    check(config("file:///folder", &[]), &[]);
    check(config("file:///folder", &[("aws_token", "swordfish")]), &["snapshot_options.aws_token: a folder"]);
    check(config("ftp://name:swordfish@folder", &[]), &["snapshot_url: begins with none"]);
    check(Config { index_folder: None, ..config("file:///folder", &[]) }, &["index_folder"]);
    check(Config { pdq_engine: PdqEngine::Hnsw, ..config("file:///folder", &[]) }, &["pdq_engine"]);
    check(Config { snapshot_url: None, ..config("", &[("key", "swordfish")]) }, &["need a snapshot_url"]);
    check(Config { publish_minutes: u64::MAX, ..Config::default() }, &["publish_minutes"]);
    for (url, secret) in [
        ("s3://bucket/a", "aws_secret_access_key"),
        ("gs://bucket/a", "google_service_account_key"),
        ("az://container/a", "azure_storage_account_key"),
    ] {
        let unknown = config(url, &[(secret, "swordfish"), ("x_secret", "swordfish")]);
        if cfg!(feature = "cloud") {
            check(unknown, &["snapshot_options.x_secret: "]);
        } else {
            check(unknown, &["is not built in; build with the feature `cloud`"]);
        }
    }
}

/// Runs against a real server: `VIGIE_S3_ENDPOINT` must be an S3 server that has the bucket `vigie-test` and
/// accepts any credentials.
#[cfg(feature = "cloud")]
#[tokio::test]
#[ignore = "needs an S3 server at VIGIE_S3_ENDPOINT"]
async fn a_snapshot_goes_through_s3() {
    use crate::sharing::objects::transfer;

    let endpoint = std::env::var("VIGIE_S3_ENDPOINT").expect("the endpoint of an S3 server");
    let options = |secret: &str| {
        StoreOptions::from_iter([
            ("aws_endpoint", endpoint.as_str()),
            ("aws_region", "us-east-1"),
            ("aws_allow_http", "true"),
            ("aws_access_key_id", "swordfish-id"),
            ("aws_secret_access_key", secret),
        ])
    };
    let prefix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_nanos();
    let url = |bucket: &str| StoreUrl::new(format!("s3://{bucket}/{prefix}/a b"));
    let objects = Arc::new(Objects::open(&url("vigie-test"), &options("swordfish")).unwrap());
    let sharing = |every| Sharing { objects: Some(Arc::clone(&objects)), every };

    let bank = FakeBank::start(some_steps()).await;
    let (folder, new) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let publisher = start(&bank, whole(), &folder, sharing(Some(Duration::from_millis(1))));
    for round in 1..=3 {
        publisher.until("it is published", |_| publisher.metrics.publications() == (round, 0)).await;
        bank.take((0..6).map(|number| Step::Add(0, vec![number])));
    }
    publisher.until("it is published", |_| publisher.metrics.publications() == (4, 0)).await;
    publisher.stop().await;
    let follower = start(&bank, whole(), &new, sharing(None));
    follower.check_equal(&bank).await;
    assert_eq!((bank.held().loads, follower.metrics.bootstraps()), (1, (1, 0)));
    follower.stop().await;
    let logs = objects.folders().await.unwrap();
    assert_eq!(logs, [LOG.to_string()]);
    let snapshots = objects.lengths(&format!("{LOG}/0-of-1/snapshots")).await.unwrap();
    assert_eq!(snapshots.len(), 2);

    // The file is uploaded in several parts.
    let file = new.path().join("large");
    let bytes: Vec<u8> = (0..20_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    fs::write(&file, &bytes).unwrap();
    objects.upload(&transfer("large".to_owned(), &file, bytes.len() as u64)).await.unwrap();
    let copy = new.path().join("copy");
    let back = |bytes: usize| vec![transfer("large".to_owned(), &copy, bytes as u64)];
    objects.download(back(bytes.len())).await.unwrap();
    assert!(fs::read(&copy).unwrap() == bytes);
    objects.download(back(bytes.len() - 1)).await.unwrap_err();

    // Errors contain no credentials.
    let missing = Objects::open(&url("no-such-bucket"), &options("swordfish")).unwrap();
    let error = missing.read("latest", 100).await.unwrap_err();
    let printed = format!("{error} {error:?} {missing:?}");
    assert!(!printed.contains("swordfish") && printed.contains("latest"), "{printed}");
    let error = missing.write("latest", vec![1]).await.unwrap_err();
    let printed = format!("{error} {error:?}");
    assert!(!printed.contains("swordfish") && printed.contains("no-such-bucket"), "{printed}");
}
