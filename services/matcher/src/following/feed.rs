//! Keeps a shard up with the bank's log.
//!
//! One task owns the writing side. A shard that holds nothing is loaded from the bank's present state. Then the task opens
//! the feed after the last change that it has, applies what comes, and opens it again when it breaks, with growing random
//! pauses. The shard is ready once it has held everything that the bank had when the feed opened and, at or after that,
//! the bank's digest was equal to its own. It stays ready while the bank is away: its answers say how old they are.
//!
//! Where there is a folder, a snapshot is saved from time to time and at the end, and the shard begins with the last one
//! instead of the bank's state. Where there is an object store too, a shard that would be loaded begins with what was
//! published there, once in the matcher's life.
//!
//! When the bank no longer has what follows (`OUT_OF_RANGE`), a change contradicts what is held, or a digest differs, the
//! shard leaves readiness, is dropped with its snapshot, and loads the bank's state anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;
use vigie_clients::{CallError, Code, FeedClient, retry::Backoff};
use vigie_model::{ReplicaDescription, Sequence, ShardIdentity, StatePart};
use vigie_serving::{Health, Shutdown};

use crate::error::{Contradiction, SearchError};
use crate::following::keeping::{Keeping, Schedule, Sharing};
use crate::metrics::{MatcherMetrics, RebuildReason};
use crate::saving::snapshot::RestoreError;
use crate::shard::loading::{LoadError, Loading};
use crate::shard::state::{Proof, Shard};
use crate::shard::stores::{StorePlan, Stores};

/// Where the follower stands, for those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Progress {
    applied: Sequence,
    head: Sequence,
    pub(crate) ready: bool,
}

/// The shard as the rest of the matcher sees it: replaced when it is rebuilt.
#[derive(Debug)]
pub(crate) struct Replica {
    shard: ArcSwap<Shard>,
    pub(crate) identity: ShardIdentity,
    pub(crate) plan: StorePlan,
    pub(crate) metrics: MatcherMetrics,
    progress: watch::Sender<Progress>,
    /// When it last held everything that the bank had said it has; before that, when it began.
    level_at: Mutex<Instant>,
}

/// How far a replica is behind the bank.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lag {
    /// Changes that the bank has told of and that are not applied.
    pub(crate) changes: u64,
    /// Since when it is not known to hold everything.
    pub(crate) time: Duration,
}

impl Replica {
    /// A replica that holds nothing yet.
    pub(crate) fn new(identity: ShardIdentity, plan: StorePlan, metrics: MatcherMetrics) -> Self {
        let empty = Progress { applied: Sequence::ZERO, head: Sequence::ZERO, ready: false };
        Self {
            shard: ArcSwap::from_pointee(Shard::empty(identity, plan.in_memory())),
            identity,
            plan,
            metrics,
            progress: watch::Sender::new(empty),
            level_at: Mutex::new(Instant::now()),
        }
    }

    /// How far it is behind the bank. While nothing is heard of the bank the time grows: nobody knows what it has.
    pub(crate) fn lag(&self) -> Lag {
        let progress = *self.progress.borrow();
        let level_at = *self.level_at.lock().unwrap_or_else(PoisonError::into_inner);
        Lag { changes: progress.head.0.saturating_sub(progress.applied.0), time: level_at.elapsed() }
    }

    /// Where the follower stands, and when that changes.
    pub(crate) fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.subscribe()
    }

    /// Who it is, as far as the shard itself tells.
    pub(crate) fn describe(&self) -> ReplicaDescription {
        let shard = self.shard.load();
        let moment = shard.moment();
        let progress = *self.progress.borrow();
        ReplicaDescription {
            identity: self.identity,
            sequence: moment.sequence,
            head: progress.head.max(moment.sequence),
            unready_reason: self.unready_reason(),
            items: shard.item_count(),
            hashes: shard.hash_counts(),
            digest: moment.digest,
            memory_bytes: 0,
        }
    }

    /// Why it does not answer now, unless it does.
    pub(crate) fn unready_reason(&self) -> Option<String> {
        let progress = *self.progress.borrow();
        (!progress.ready).then(|| unready_reason(progress))
    }

    /// The shard, if it holds every change up to `wanted` now.
    pub(crate) fn now_at_least(&self, wanted: Sequence) -> Result<Option<Arc<Shard>>, SearchError> {
        let now = *self.progress.borrow();
        if !now.ready {
            return Err(SearchError::NotReady(unready_reason(now)));
        }
        let shard = self.shard.load_full();
        Ok((shard.applied() >= wanted.max(now.applied)).then_some(shard))
    }

    /// The shard, once it holds every change up to `wanted`; waits for that until `deadline`.
    pub(crate) async fn at_least(
        &self,
        wanted: Sequence,
        deadline: Instant,
    ) -> Result<Arc<Shard>, SearchError> {
        let mut progress = self.progress.subscribe();
        let waited =
            tokio::time::timeout_at(deadline, progress.wait_for(|now| !now.ready || now.applied >= wanted));
        let now = match waited.await {
            Ok(Ok(now)) => *now,
            Ok(Err(_)) | Err(_) => *self.progress.borrow(),
        };
        if !now.ready {
            return Err(SearchError::NotReady(unready_reason(now)));
        }
        if now.applied < wanted {
            return Err(SearchError::Behind { reached: now.applied, wanted });
        }
        let shard = self.shard.load_full();
        // A rebuild may have begun since: the shard it begins with must not answer.
        if shard.applied() < now.applied {
            return Err(SearchError::NotReady("rebuilding".to_owned()));
        }
        Ok(shard)
    }

    /// Tells how far the shard has come, and whether it is proven by now. Says whether it became ready by this.
    pub(crate) fn advance(&self, applied: Sequence, head: Sequence, is_proven: bool) -> bool {
        let mut became_ready = false;
        if applied >= head {
            *self.level_at.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        }
        self.progress.send_modify(|progress| {
            became_ready = !progress.ready && is_proven;
            *progress = Progress { applied, head: head.max(applied), ready: progress.ready || became_ready };
        });
        became_ready
    }

    /// The shard does not keep up, and is not to answer until it does.
    pub(crate) fn withdraw(&self) {
        self.progress.send_modify(|progress| progress.ready = false);
    }

    /// Drops the shard and its snapshot, and begins with an empty one.
    fn restart(&self, reason: RebuildReason) {
        self.metrics.count_rebuild(reason);
        self.discard_snapshot();
        let progress = Progress { applied: Sequence::ZERO, head: Sequence::ZERO, ready: false };
        self.progress.send_replace(progress);
        self.shard.store(Arc::new(Shard::empty(self.identity, self.plan.in_memory())));
    }

    pub(crate) fn discard_snapshot(&self) {
        if let Err(error) = self.plan.discard_snapshot() {
            // If it is found again, the bank's digest tells.
            tracing::error!(shard = %self.identity, %error, "cannot discard the snapshot");
        }
    }

    /// Begins with the shard that was saved last, if it is of use, and says how far that has come.
    fn restore(&self) -> Sequence {
        let shard = self.identity;
        match self.plan.restore(self.identity) {
            Ok(None) => {}
            Ok(Some(restored)) => {
                let sequence = restored.applied();
                tracing::info!(%shard, %sequence, "going on from a snapshot");
                self.shard.store(Arc::new(restored));
                return sequence;
            }
            Err(error) => {
                match &error {
                    RestoreError::Settings { .. } => {
                        tracing::warn!(%shard, %error, "discarding the snapshot")
                    }
                    RestoreError::OtherFile { .. }
                    | RestoreError::Manifest { .. }
                    | RestoreError::Segment(_)
                    | RestoreError::Index(_) => {
                        tracing::error!(%shard, %error, "discarding the snapshot, which is damaged")
                    }
                }
                self.metrics.count_refused_snapshot();
                self.discard_snapshot();
            }
        }
        Sequence::ZERO
    }

    /// Begins with a shard from elsewhere.
    pub(crate) fn take(&self, shard: Shard) {
        self.shard.store(Arc::new(shard));
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.progress.borrow().ready
    }

    pub(crate) fn applied(&self) -> Sequence {
        self.shard.load().applied()
    }

    /// Saves the shard, and says how far the snapshot goes.
    pub(crate) fn save(&self) -> Option<Sequence> {
        let (shard, begun) = (self.identity, Instant::now());
        let saved = self.plan.save(&self.shard.load());
        self.metrics.count_snapshot(saved.is_ok());
        match saved {
            Ok(sequence) => {
                let took_ms = begun.elapsed().as_millis();
                tracing::info!(%shard, %sequence, %took_ms, "saved a snapshot");
                Some(sequence)
            }
            Err(error) => {
                tracing::error!(%shard, %error, "cannot save a snapshot");
                None
            }
        }
    }

    /// What a shard is to be loaded into.
    fn begin(&self) -> Stores {
        self.plan.begin().unwrap_or_else(|error| {
            tracing::error!(shard = %self.identity, %error, "the shard is kept in memory");
            self.plan.in_memory()
        })
    }
}

fn unready_reason(progress: Progress) -> String {
    match progress.head {
        Sequence::ZERO => "waiting for the bank's feed".to_owned(),
        head if progress.applied < head => format!("loading: at change {} of {head}", progress.applied),
        _ => "waiting for the bank's digest".to_owned(),
    }
}

/// Why the feed broke.
enum Broken {
    /// Try again after the last change that was applied.
    Lost(CallError),
    /// What is held cannot be continued from.
    Unusable(RebuildReason, String),
    /// The state that the bank told could not be taken.
    NotLoaded(String),
}

impl From<LoadError> for Broken {
    fn from(error: LoadError) -> Self {
        let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
        Self::NotLoaded(format!("{error}{}", source.unwrap_or_default()))
    }
}

impl From<Contradiction> for Broken {
    fn from(contradiction: Contradiction) -> Self {
        let reason = match contradiction {
            Contradiction::Digest { .. } => RebuildReason::Digest,
            Contradiction::NoSuchBank(_)
            | Contradiction::BankTwice(_)
            | Contradiction::NoSuchItem(_)
            | Contradiction::OtherId(_)
            | Contradiction::OtherShard(_)
            | Contradiction::OtherLog { .. }
            | Contradiction::Gap { .. } => RebuildReason::Change,
        };
        Self::Unusable(reason, contradiction.to_string())
    }
}

/// How long a feed may take to open and stay silent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) open: Duration,
    pub(crate) silence: Duration,
}

/// Follows the log until `shutdown`, and saves a last snapshot then. Snapshots are thought of whenever the bank gives a
/// sign of life; while it is away nothing changes.
pub(crate) async fn follow(
    replica: Arc<Replica>,
    feed: FeedClient,
    patience: Patience,
    schedule: Schedule,
    sharing: Sharing,
    health: Health,
    shutdown: Shutdown,
) {
    let restoring = Arc::clone(&replica);
    // A panic there was told by the panic hook; the shard is loaded instead.
    let restored = tokio::task::spawn_blocking(move || restoring.restore()).await.unwrap_or_default();
    let mut keeping = Keeping::begin(schedule, sharing, restored);
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = follow_on(&replica, &feed, patience, &mut keeping, &health) => {}
    }
    keeping.end(&replica).await;
}

/// Follows the log for ever.
async fn follow_on(
    replica: &Arc<Replica>,
    feed: &FeedClient,
    patience: Patience,
    keeping: &mut Keeping,
    health: &Health,
) {
    let mut backoff = Backoff::default();
    let mut rebuilds = rebuild_pauses();
    loop {
        let (before, was_ready) = (replica.shard.load().applied(), replica.progress.borrow().ready);
        let broken = follow_once(replica, feed, patience, keeping, health).await;
        if was_ready || replica.progress.borrow().ready {
            rebuilds = rebuild_pauses();
        }
        if replica.shard.load().applied() > before {
            backoff = Backoff::default();
        }
        let shard = replica.identity.shard();
        let pause = match broken {
            Broken::Lost(error) if error.code() != Code::OutOfRange => {
                tracing::warn!(%shard, %error, "lost the bank's feed");
                backoff.next_pause()
            }
            Broken::Lost(error) => {
                tracing::error!(%shard, %error, "rebuilding: the bank does not go on from here");
                health.set(false).await;
                replica.restart(RebuildReason::Log);
                keeping.begin_anew();
                rebuilds.next_pause()
            }
            Broken::Unusable(reason, text) => {
                tracing::error!(%shard, reason = text, "rebuilding: the feed contradicts what is held");
                health.set(false).await;
                replica.restart(reason);
                keeping.begin_anew();
                rebuilds.next_pause()
            }
            Broken::NotLoaded(reason) => {
                tracing::error!(%shard, reason, "cannot load the bank's state");
                rebuilds.next_pause()
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// A page of changes that takes longer to apply than this waits for a disk: meanwhile the shard falls behind, and a
/// removal that it does not hear of would go on accusing people.
const APPLY_MAX: Duration = Duration::from_secs(30);

/// Loading a state is work for the bank: a shard that is dropped again and again asks for it ever more rarely, until
/// it has been ready once.
const fn rebuild_pauses() -> Backoff {
    Backoff::new(Duration::from_millis(50), Duration::from_secs(60))
}

async fn follow_once(
    replica: &Arc<Replica>,
    feed: &FeedClient,
    patience: Patience,
    keeping: &mut Keeping,
    health: &Health,
) -> Broken {
    if !replica.shard.load().has_begun() {
        keeping.bootstrap(replica).await;
    }
    if !replica.shard.load().has_begun() {
        match load(replica, feed, patience).await {
            Ok(shard) => replica.shard.store(Arc::new(shard)),
            Err(broken) => return broken,
        }
    }
    let mut shard = replica.shard.load_full();
    let opened = feed.watch(shard.moment().cursor, replica.identity, Instant::now() + patience.open).await;
    let mut stream = match opened {
        Ok(stream) => stream,
        Err(error) => return Broken::Lost(error),
    };
    let mut caught_up_at = None;
    let mut is_proven = false;
    let mut fault_told = None;
    loop {
        let range = match stream.next_within(patience.silence).await {
            Ok(range) => range,
            Err(error) => return Broken::Lost(error),
        };
        let (head, through) = (range.head, range.through);
        let caught_up_at = *caught_up_at.get_or_insert(head.max(shard.settled()));
        // Indexing a page of changes takes milliseconds: not on the threads that answer calls.
        let applying = Arc::clone(&shard);
        let mut applying = tokio::task::spawn_blocking(move || applying.apply(range));
        let applied = match tokio::time::timeout(APPLY_MAX, &mut applying).await {
            Ok(applied) => applied,
            Err(_) => {
                let fault = shard.fault();
                tracing::error!(shard = %replica.identity, fault, "not ready: changes cannot be applied");
                replica.withdraw();
                health.set(false).await;
                applying.await
            }
        };
        let applied = match applied {
            Ok(applied) => applied,
            Err(panic) => {
                let text = format!("applying a change failed: {panic}");
                return Broken::Unusable(RebuildReason::Change, text);
            }
        };
        let proof = match applied {
            Ok(proof) => proof,
            Err(contradiction) => return contradiction.into(),
        };
        is_proven |= proof == Proof::Equal && through >= caught_up_at;
        let fault = shard.fault();
        if fault != fault_told {
            match &fault {
                Some(fault) => {
                    tracing::error!(shard = %replica.identity, fault, "cannot write the shard's files")
                }
                None => tracing::info!(shard = %replica.identity, "the shard's files are written again"),
            }
            fault_told = fault;
        }
        if replica.advance(shard.applied(), head, is_proven) {
            tracing::info!(shard = %replica.identity, sequence = %shard.applied(), "ready");
            health.set(true).await;
        }
        keeping.tend(replica, shard.applied()).await;
        shard = replica.shard.load_full();
    }
}

/// Builds a shard from the bank's present state.
async fn load(replica: &Arc<Replica>, feed: &FeedClient, patience: Patience) -> Result<Shard, Broken> {
    let identity = replica.identity;
    let opened = feed.load(identity, Instant::now() + patience.open).await;
    let mut stream = opened.map_err(Broken::Lost)?;
    let mut loading: Option<Loading> = None;
    loop {
        let part = stream.next_within(patience.silence).await.map_err(Broken::Lost)?;
        // The stream has checked that the parts are in their order.
        match (part, loading.take()) {
            (StatePart::Begin { cursor, banks }, _) => {
                tracing::info!(shard = %identity, sequence = %cursor.sequence, "loading the bank's state");
                replica.advance(Sequence::ZERO, cursor.sequence, false);
                let replica = Arc::clone(replica);
                let begin = move || Ok(Loading::begin(identity, replica.begin(), cursor, banks));
                loading = Some(blocking(begin).await?);
            }
            (StatePart::Items(items), Some(mut begun)) => {
                loading = Some(blocking(move || begun.take(items).map(|()| begun)).await?);
            }
            (StatePart::End { settled }, Some(begun)) => {
                return blocking(move || begun.finish(settled)).await;
            }
            (StatePart::Items(_) | StatePart::End { .. }, None) => {
                return Err(Broken::NotLoaded("it has no beginning".to_owned()));
            }
        }
    }
}

/// Does a part of loading, which is indexing and writing: not on the threads that answer calls.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, Broken> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done.map_err(Broken::from),
        Err(panic) => Err(Broken::NotLoaded(format!("it failed: {panic}"))),
    }
}
