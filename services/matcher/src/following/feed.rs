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

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{CallError, Code, FeedClient};
use vigie_model::{Sequence, StatePart};
use vigie_net::retry::Backoff;
use vigie_serving::{Health, Shutdown};

use crate::following::keeping::{Keeping, Schedule, Sharing};
use crate::following::replica::Replica;
use crate::metrics::RebuildReason;
use crate::shard::contradiction::Contradiction;
use crate::shard::loading::{LoadError, Loading};
use crate::shard::state::{Proof, Shard};

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
        let (before, was_ready) = (replica.applied(), replica.is_ready());
        let broken = follow_once(replica, feed, patience, keeping, health).await;
        if was_ready || replica.is_ready() {
            rebuilds = rebuild_pauses();
        }
        if replica.applied() > before {
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
    if !replica.shard().has_begun() {
        keeping.bootstrap(replica).await;
    }
    if !replica.shard().has_begun() {
        match load(replica, feed, patience).await {
            Ok(shard) => replica.take(shard),
            Err(broken) => return broken,
        }
    }
    let mut shard = replica.shard();
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
        shard = replica.shard();
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
