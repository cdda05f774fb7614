//! A replica: the shard that the rest of the matcher sees, how far it has come, and whether it may answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::time::Instant;
use vigie_model::{HashCount, ReplicaDescription, Sequence, ShardIdentity};

use crate::error::SearchError;
use crate::metrics::{MatcherMetrics, Observed, RebuildReason};
use crate::saving::plan::StorePlan;
use crate::saving::snapshot::RestoreError;
use crate::shard::state::Shard;
use crate::shard::stores::Stores;

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
    pub(crate) fn restart(&self, reason: RebuildReason) {
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
    pub(crate) fn restore(&self) -> Sequence {
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

    /// The shard as it is now, ready or not.
    pub(crate) fn shard(&self) -> Arc<Shard> {
        self.shard.load_full()
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
    pub(crate) fn begin(&self) -> Stores {
        self.plan.begin().unwrap_or_else(|error| {
            tracing::error!(shard = %self.identity, %error, "the shard is kept in memory");
            self.plan.in_memory()
        })
    }
}

impl Observed for Replica {
    fn feed_lag(&self) -> (u64, Duration) {
        let Lag { changes, time } = self.lag();
        (changes, time)
    }

    fn sequence(&self) -> Sequence {
        self.applied()
    }

    fn is_ready(&self) -> bool {
        self.progress.borrow().ready
    }

    fn items(&self) -> u64 {
        self.shard.load().item_count()
    }

    fn hashes(&self) -> Vec<HashCount> {
        self.shard.load().hash_counts()
    }

    fn file_bytes(&self) -> u64 {
        self.plan.file_bytes()
    }
}

fn unready_reason(progress: Progress) -> String {
    match progress.head {
        Sequence::ZERO => "waiting for the bank's feed".to_owned(),
        head if progress.applied < head => format!("loading: at change {} of {head}", progress.applied),
        _ => "waiting for the bank's digest".to_owned(),
    }
}
