//! Keeps a shard up with the bank's log.
//!
//! One task owns the writing side. It opens the feed after the last change that it has, applies what comes, and opens
//! it again when it breaks, with growing random pauses. The shard is ready once it has held everything that the bank
//! had when the feed opened and, at or after that, the bank's digest was equal to its own. It stays ready while the bank
//! is away: its answers say how old they are.
//!
//! When the bank no longer has what follows (`OUT_OF_RANGE`), a change contradicts what is held, or a digest differs, the
//! shard leaves readiness and is rebuilt from nothing.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;
use vigie_clients::{CallError, Code, FeedClient, retry::Backoff};
use vigie_model::{ReplicaDescription, Sequence, ShardIdentity};
use vigie_serving::{Health, Shutdown};

use crate::error::{Contradiction, SearchError};
use crate::indexes::{FolderError, IndexPlan};
use crate::metrics::{MatcherMetrics, RebuildReason};
use crate::shard::{Proof, Shard};

/// Where the follower stands, for those who wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    applied: Sequence,
    head: Sequence,
    ready: bool,
}

/// The shard as the rest of the matcher sees it: replaced when it is rebuilt.
#[derive(Debug)]
pub(crate) struct Replica {
    shard: ArcSwap<Shard>,
    identity: ShardIdentity,
    plan: IndexPlan,
    metrics: MatcherMetrics,
    progress: watch::Sender<Progress>,
}

impl Replica {
    pub(crate) fn new(
        identity: ShardIdentity,
        plan: IndexPlan,
        metrics: MatcherMetrics,
    ) -> Result<Self, FolderError> {
        let empty = Progress { applied: Sequence::ZERO, head: Sequence::ZERO, ready: false };
        Ok(Self {
            shard: ArcSwap::from_pointee(Shard::new(identity, plan.begin()?)),
            identity,
            plan,
            metrics,
            progress: watch::Sender::new(empty),
        })
    }

    pub(crate) fn describe(&self) -> ReplicaDescription {
        let shard = self.shard.load();
        let moment = shard.moment();
        let progress = *self.progress.borrow();
        ReplicaDescription {
            identity: self.identity,
            sequence: moment.sequence,
            head: progress.head.max(moment.sequence),
            unready_reason: (!progress.ready).then(|| unready_reason(progress)),
            items: shard.item_count(),
            hashes: shard.hash_counts(),
            digest: moment.digest,
        }
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
    fn advance(&self, applied: Sequence, head: Sequence, is_proven: bool) -> bool {
        let mut became_ready = false;
        self.progress.send_modify(|progress| {
            became_ready = !progress.ready && is_proven;
            *progress = Progress { applied, head: head.max(applied), ready: progress.ready || became_ready };
        });
        became_ready
    }

    /// Drops the shard and begins with an empty one.
    fn restart(&self, reason: RebuildReason) {
        self.metrics.count_rebuild(reason);
        let progress = Progress { applied: Sequence::ZERO, head: Sequence::ZERO, ready: false };
        self.progress.send_replace(progress);
        let indexes = self.plan.begin().unwrap_or_else(|error| {
            tracing::error!(shard = %self.identity, %error, "indexes are kept in memory");
            self.plan.in_memory()
        });
        self.shard.store(Arc::new(Shard::new(self.identity, indexes)));
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
}

impl From<Contradiction> for Broken {
    fn from(contradiction: Contradiction) -> Self {
        let reason = match contradiction {
            Contradiction::Digest { .. } => RebuildReason::Digest,
            Contradiction::NoSuchBank(_)
            | Contradiction::BankTwice(_)
            | Contradiction::NoSuchItem(_)
            | Contradiction::ItemTwice(_)
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

/// Follows the log until `shutdown`.
pub(crate) async fn follow(
    replica: Arc<Replica>,
    feed: FeedClient,
    patience: Patience,
    health: Health,
    shutdown: Shutdown,
) {
    let mut backoff = Backoff::default();
    loop {
        let before = replica.shard.load().applied();
        let broken = tokio::select! {
            () = shutdown.cancelled() => return,
            broken = follow_once(&replica, &feed, patience, &health) => broken,
        };
        let shard = replica.identity.shard();
        match broken {
            Broken::Lost(error) if error.code() != Code::OutOfRange => {
                tracing::warn!(%shard, %error, "lost the bank's feed");
            }
            Broken::Lost(error) => {
                tracing::error!(%shard, %error, "rebuilding: the bank does not go on from here");
                health.set(false).await;
                replica.restart(RebuildReason::Log);
            }
            Broken::Unusable(reason, text) => {
                tracing::error!(%shard, reason = text, "rebuilding: the feed contradicts what is held");
                health.set(false).await;
                replica.restart(reason);
            }
        }
        if replica.shard.load().applied() > before {
            backoff = Backoff::default();
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(backoff.next_pause()) => {}
        }
    }
}

async fn follow_once(replica: &Replica, feed: &FeedClient, patience: Patience, health: &Health) -> Broken {
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
        let caught_up_at = *caught_up_at.get_or_insert(head);
        let applied = if range.changes.is_empty() {
            shard.apply(range)
        } else {
            // Indexing a page of changes takes milliseconds: not on the threads that answer calls.
            let applying = Arc::clone(&shard);
            match tokio::task::spawn_blocking(move || applying.apply(range)).await {
                Ok(applied) => applied,
                Err(panic) => {
                    let text = format!("applying a change failed: {panic}");
                    return Broken::Unusable(RebuildReason::Change, text);
                }
            }
        };
        let proof = match applied {
            Ok(proof) => proof,
            Err(contradiction) => return contradiction.into(),
        };
        is_proven |= proof == Proof::Equal && through >= caught_up_at;
        let fault = shard.index_fault();
        if fault != fault_told {
            match &fault {
                Some(fault) => {
                    tracing::error!(shard = %replica.identity, fault, "cannot write the indexes' files")
                }
                None => tracing::info!(shard = %replica.identity, "the indexes' files are written again"),
            }
            fault_told = fault;
        }
        if replica.advance(shard.applied(), head, is_proven) {
            tracing::info!(shard = %replica.identity, sequence = %shard.applied(), "ready");
            health.set(true).await;
        }
        shard = replica.shard.load_full();
    }
}
