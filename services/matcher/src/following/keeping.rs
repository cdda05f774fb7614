//! Decides when a shard is saved, published, purged, or started from another replica's published snapshot.
//!
//! A shard whose files hold removed items is purged some time after the removal: its files are rewritten, it
//! is saved, and the next publication replaces everything that was published before.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use vigie_model::Sequence;
use vigie_net::retry::Backoff;

use crate::following::replica::Replica;
use crate::sharing::bootstrap::{BootstrapError, Bootstrapped, bootstrap};
use crate::sharing::objects::Objects;
use crate::sharing::publication::{Keep, PublishError, Staged};

/// The schedule of snapshots and purges.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// The number of changes of the log after which a snapshot is due.
    pub(crate) changes: u64,
    /// The time after which a snapshot is due, if anything has changed.
    pub(crate) every: Duration,
    /// The time after a removal at which its hashes are removed from the files.
    pub(crate) purge_after: Duration,
}

/// The object store for snapshots, and the interval of publications.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sharing {
    pub(crate) objects: Option<Arc<Objects>>,
    /// The interval of publications; `None` for never.
    pub(crate) every: Option<Duration>,
}

/// Saves and publishes the snapshots of a replica when they are due.
pub(crate) struct Keeping {
    schedule: Schedule,
    /// The sequence of the last snapshot.
    saved: Sequence,
    /// The time of the last attempt to save one.
    at: Instant,
    /// The earliest time of the next attempt, after a failure.
    not_before: Option<Instant>,
    clearing: Clearing,
    publisher: Option<Publisher>,
    /// The store to start from; `None` once that has been tried.
    bootstraps_from: Option<Arc<Objects>>,
}

/// The pause after a snapshot could not be saved, or its files could not be linked.
const RETRY_PAUSE: Duration = Duration::from_secs(60);

impl Keeping {
    pub(crate) fn begin(schedule: Schedule, sharing: Sharing, saved: Sequence) -> Self {
        let Sharing { objects, every } = sharing;
        let publisher = objects.clone().zip(every).map(|(objects, every)| Publisher::new(objects, every));
        let (at, not_before) = (Instant::now(), None);
        let clearing = Clearing::default();
        Self { schedule, saved, at, not_before, clearing, publisher, bootstraps_from: objects }
    }

    /// Forgets a shard that was dropped.
    pub(crate) fn begin_anew(&mut self) {
        (self.saved, self.at, self.not_before) = (Sequence::ZERO, Instant::now(), None);
        self.clearing = Clearing::default();
        if let Some(publisher) = &mut self.publisher {
            publisher.stop();
        }
    }

    /// Starts from the newest published snapshot, if it can be used and this was not tried before.
    pub(crate) async fn bootstrap(&mut self, replica: &Arc<Replica>) {
        let Some(objects) = self.bootstraps_from.take() else { return };
        let Some(folder) = replica.plan.snapshot_folder() else { return };
        let (shard, begun) = (replica.identity, Instant::now());
        let found = bootstrap(&objects, folder, shard, replica.plan.indexes()).await;
        match found {
            Ok(Some(Bootstrapped { shard: found, object, files })) => {
                let (sequence, took_ms) = (found.applied(), begun.elapsed().as_millis());
                tracing::info!(%shard, %sequence, object, took_ms, "going on from a published snapshot");
                replica.metrics.count_bootstrap(true);
                replica.take(found);
                (self.saved, self.at) = (sequence, Instant::now());
                if let Some(publisher) = &mut self.publisher {
                    publisher.knows(sequence, files);
                }
            }
            Ok(None) => tracing::info!(%shard, "no snapshot was published"),
            Err(error) => {
                match &error {
                    BootstrapError::Damaged { .. } => {
                        tracing::error!(%shard, %error, "cannot begin with the published snapshot");
                    }
                    BootstrapError::Store(_) | BootstrapError::Refused { .. } | BootstrapError::Folder(_) => {
                        tracing::warn!(%shard, %error, "cannot begin with the published snapshot");
                    }
                }
                replica.metrics.count_bootstrap(false);
                replica.discard_snapshot();
            }
        }
        let folder = Arc::clone(folder);
        // Files that remain are deleted at the next start.
        let _later = tokio::task::spawn_blocking(move || folder.end_bootstrapping()).await;
    }

    /// Does what is due.
    pub(crate) async fn tend(&mut self, replica: &Arc<Replica>, applied: Sequence) {
        self.clearing.tend(replica, self.schedule.purge_after).await;
        if self.is_due(applied) {
            self.save(replica).await;
        }
        if self.saved > Sequence::ZERO
            && replica.is_ready()
            && let Some(publisher) = &mut self.publisher
        {
            publisher.tend(replica, self.saved).await;
        }
    }

    /// Saves the changes since the last snapshot, if there are any.
    pub(crate) async fn end(mut self, replica: &Arc<Replica>) {
        if replica.applied() > self.saved || self.clearing.is_unsaved {
            self.save(replica).await;
        }
    }

    fn is_due(&self, applied: Sequence) -> bool {
        let (now, changes) = (Instant::now(), applied.0.saturating_sub(self.saved.0));
        let is_time = changes >= self.schedule.changes || changes > 0 && now - self.at >= self.schedule.every;
        let is_time = is_time || self.clearing.is_unsaved;
        is_time && self.not_before.is_none_or(|not_before| now >= not_before)
    }

    /// Saves the shard if it answers searches. A shard that is not proved is not worth keeping.
    async fn save(&mut self, replica: &Arc<Replica>) {
        if !replica.plan.makes_snapshots() || !replica.is_ready() {
            return;
        }
        let saving = Arc::clone(replica);
        let saved = tokio::task::spawn_blocking(move || saving.save()).await;
        self.at = Instant::now();
        match saved {
            Ok(Some(saved)) => {
                (self.saved, self.not_before) = (saved, None);
                if std::mem::take(&mut self.clearing.is_unsaved)
                    && let Some(publisher) = &mut self.publisher
                {
                    publisher.replace_all();
                }
            }
            Ok(None) | Err(_) => self.not_before = Some(self.at + RETRY_PAUSE),
        }
    }
}

/// Deletes removed items from the shard's files, in the background.
#[derive(Default)]
struct Clearing {
    running: Option<JoinHandle<bool>>,
    stop: Arc<AtomicBool>,
    /// Whether the files were rewritten since the last snapshot. The old files are deleted with the next one.
    is_unsaved: bool,
    not_before: Option<Instant>,
}

impl Clearing {
    /// Handles a clearing that has ended, and starts one that is due.
    async fn tend(&mut self, replica: &Arc<Replica>, purge_after: Duration) {
        if let Some(ended) = self.running.take_if(|running| running.is_finished()) {
            // The panic hook has logged a panic in there.
            if ended.await.unwrap_or_default() {
                self.is_unsaved = replica.plan.makes_snapshots();
            } else {
                self.not_before = Some(Instant::now() + RETRY_PAUSE);
            }
        }
        let may_begin =
            self.running.is_none() && self.not_before.is_none_or(|not_before| Instant::now() >= not_before);
        if !may_begin || !replica.plan.keeps_files() || !replica.is_ready() {
            return;
        }
        let shard = replica.shard();
        if shard.removals().are_older_than(purge_after) {
            let (replica, stop) = (Arc::clone(replica), Arc::clone(&self.stop));
            self.running = Some(tokio::task::spawn_blocking(move || replica.clear_removed(&shard, &stop)));
        }
    }
}

/// A running clearing stops between two files.
impl Drop for Clearing {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Publishes in the background, one snapshot at a time.
struct Publisher {
    objects: Arc<Objects>,
    every: Duration,
    due_at: Instant,
    /// The sequence of the snapshot whose publication was last started.
    begun: Option<Sequence>,
    /// The files that are known to be uploaded completely.
    uploaded: Arc<Mutex<HashSet<String>>>,
    /// Whether the next publication replaces all earlier ones. The first one does too, because a restart may
    /// have interrupted a purge.
    replaces_all: Arc<AtomicBool>,
    running: Option<JoinHandle<()>>,
}

/// The attempts to publish one snapshot. The next snapshot is due some time later.
const ATTEMPTS: u32 = 6;

impl Publisher {
    fn new(objects: Arc<Objects>, every: Duration) -> Self {
        let (due_at, begun, running) = (Instant::now(), None, None);
        let replaces_all = Arc::new(AtomicBool::new(true));
        Self { objects, every, due_at, begun, uploaded: Arc::default(), replaces_all, running }
    }

    /// Records what is already published, perhaps by another replica.
    fn knows(&mut self, published: Sequence, files: HashSet<String>) {
        (self.begun, self.due_at) = (Some(published), Instant::now() + self.every);
        self.uploaded = Arc::new(Mutex::new(files));
    }

    /// Makes the next publication due at once, and lets it replace all earlier ones.
    fn replace_all(&mut self) {
        self.replaces_all.store(true, Ordering::Relaxed);
        (self.begun, self.due_at) = (None, Instant::now());
    }

    /// Starts to publish the last snapshot, if it is due and new. The links to its files are made before
    /// anything else can be saved.
    async fn tend(&mut self, replica: &Arc<Replica>, saved: Sequence) {
        let is_running = self.running.as_ref().is_some_and(|running| !running.is_finished());
        if is_running || Instant::now() < self.due_at || self.begun == Some(saved) {
            return;
        }
        let Some(folder) = replica.plan.snapshot_folder() else { return };
        let (folder, shard) = (Arc::clone(folder), replica.identity);
        let staged = tokio::task::spawn_blocking(move || Staged::take(&folder, shard)).await;
        match staged.map_err(|panic| PublishError::Stage(std::io::Error::other(panic))).flatten() {
            Ok(Some(staged)) => {
                (self.begun, self.due_at) = (Some(saved), Instant::now() + self.every);
                let (objects, uploaded) = (Arc::clone(&self.objects), Arc::clone(&self.uploaded));
                let (replaces_all, replica) = (Arc::clone(&self.replaces_all), Arc::clone(replica));
                self.running = Some(tokio::spawn(publish(objects, staged, uploaded, replaces_all, replica)));
            }
            Ok(None) => {}
            Err(error) => {
                tracing::error!(%shard, %error, "cannot publish the snapshot");
                replica.metrics.count_publication(false);
                self.due_at = Instant::now() + RETRY_PAUSE;
            }
        }
    }

    /// Aborts the running publication, because its content is in doubt.
    fn stop(&mut self) {
        self.begun = None;
        // The aborted publication may not have replaced the earlier ones yet.
        self.replaces_all.store(true, Ordering::Relaxed);
        if let Some(running) = self.running.take() {
            running.abort();
        }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn publish(
    objects: Arc<Objects>,
    staged: Staged,
    uploaded: Arc<Mutex<HashSet<String>>>,
    replaces_all: Arc<AtomicBool>,
    replica: Arc<Replica>,
) {
    let (shard, sequence) = (replica.identity, staged.sequence());
    let keep = if replaces_all.swap(false, Ordering::Relaxed) { Keep::Newest } else { Keep::NewestTwo };
    let mut uploaded = uploaded.lock().await;
    let mut backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(300));
    for attempt in 1..=ATTEMPTS {
        let begun = Instant::now();
        let published = staged.publish(&objects, &mut uploaded, keep, &mut |_| Ok(())).await;
        replica.metrics.count_publication(published.is_ok());
        match published {
            Ok(()) => {
                let took_ms = begun.elapsed().as_millis();
                tracing::info!(%shard, %sequence, took_ms, "published a snapshot");
                return;
            }
            Err(error) if attempt == ATTEMPTS => {
                replaces_all.fetch_or(keep == Keep::Newest, Ordering::Relaxed);
                tracing::error!(%shard, %sequence, %error, "gave up publishing the snapshot");
            }
            Err(error) => {
                tracing::warn!(%shard, %sequence, %error, attempt, "cannot publish the snapshot, will try again");
                tokio::time::sleep(backoff.next_pause()).await;
            }
        }
    }
}
