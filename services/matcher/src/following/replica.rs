//! A replica: its shard for the rest of the matcher, its progress, and whether it may answer.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use vigie_follow::{
    Lag, Loaded, NotLoaded, NotThere, Place, Position, Proof, Reason, Standing, State, Stretch, Unready,
};
use vigie_model::{
    AsOf, FeedRange, HashCount, ReplicaDescription, Sequence, ShardGroup, ShardIdentity, StatePart,
    UnixMillis,
};

use crate::error::SearchError;
use crate::following::feed;
use crate::following::latencies::{Latencies, Timed};
use crate::metrics::{Damage, MatcherMetrics, Observed};
use crate::saving::plan::StorePlan;
use crate::saving::snapshot::RestoreError;
use crate::shard::contradiction::Contradiction;
use crate::shard::loading::{LoadError, Loading};
use crate::shard::state::Shard;
use crate::shard::stores::Stores;

/// The changes whose commit time the bank has sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Commits {
    /// The newest such change that is applied.
    held: Option<(Sequence, UnixMillis)>,
    /// The oldest such change that is not applied. Its time becomes known when it is.
    coming: Option<(Sequence, UnixMillis)>,
}

impl Commits {
    /// Records that everything up to `applied` is applied, and that the bank's newest change is `head`.
    fn note(&mut self, applied: Sequence, head: Option<(Sequence, UnixMillis)>) {
        if let Some(head) = head {
            self.coming.get_or_insert(head);
            if head.0 <= applied {
                self.coming = Some(head);
            }
        }
        if let Some(coming) = self.coming.take_if(|(sequence, _)| *sequence <= applied) {
            self.held = Some(coming);
        }
    }
}

/// The shard for the rest of the matcher. It is replaced when it is rebuilt.
#[derive(Debug)]
pub(crate) struct Replica {
    shard: ArcSwap<Shard>,
    /// The shards of the cluster that it serves.
    pub(crate) shards: ShardGroup,
    /// The one shard of a smaller cluster that holds the same items: the shard that is followed, kept and
    /// searched.
    pub(crate) identity: ShardIdentity,
    pub(crate) plan: StorePlan,
    pub(crate) metrics: MatcherMetrics,
    standing: Standing,
    /// The damage that was found, until the shard is dropped.
    damage: watch::Sender<Option<String>>,
    /// Notified when a search failed in a way that should never happen.
    suspicion: Notify,
    /// The last problem between the replica and the bank, until the replica is ready.
    trouble: Mutex<Option<String>>,
    commits: Mutex<Commits>,
    /// The latencies of changes until they are searched here.
    pub(crate) latencies: Arc<Latencies>,
}

impl Replica {
    /// Returns a replica that holds nothing yet.
    pub(crate) fn new(shards: ShardGroup, plan: StorePlan, metrics: MatcherMetrics) -> Self {
        let identity = shards.whole();
        Self {
            shard: ArcSwap::from_pointee(Shard::empty(identity, plan.in_memory())),
            shards,
            identity,
            plan,
            metrics,
            standing: Standing::default(),
            damage: watch::Sender::default(),
            suspicion: Notify::new(),
            trouble: Mutex::default(),
            commits: Mutex::default(),
            latencies: Arc::default(),
        }
    }

    /// Returns the age of the present answers.
    pub(crate) fn as_of(&self) -> AsOf {
        let committed = self.commits().held;
        // The replica was ready, and so up to date, before anybody asks this.
        let now = since_1970();
        let heard = now.saturating_sub(self.standing.lag().time).as_millis();
        let heard = u64::try_from(heard).ok().map(UnixMillis);
        AsOf { committed: committed.map(|(_, at)| at), heard }
    }

    fn commits(&self) -> MutexGuard<'_, Commits> {
        self.commits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the present shard, ready or not.
    pub(crate) fn shard(&self) -> Arc<Shard> {
        self.shard.load_full()
    }

    /// Takes the replica out of readiness because this shard is damaged, unless the shard has been replaced
    /// already. The follower drops it and loads it from the bank.
    pub(crate) fn damage(&self, damaged: &Arc<Shard>, damage: Damage, what: String) {
        if !Arc::ptr_eq(damaged, &self.shard.load()) {
            return;
        }
        self.metrics.count_damage(damage);
        self.damage.send_if_modified(|known| {
            let is_first = known.is_none();
            if is_first {
                let (shard, kind) = (self.identity, damage.name());
                tracing::error!(%shard, kind, fault = what, "not ready: what the shard holds is damaged");
                *known = Some(what);
            }
            is_first
        });
    }

    /// Returns the damage that was found, while the replica is not ready because of it.
    fn damage_found(&self) -> Option<String> {
        self.damage.borrow().as_ref().map(|what| format!("rebuilding, because of damage: {what}"))
    }

    /// Requests that the shard is compared with its checksums soon.
    pub(crate) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// Completes when such a comparison is requested.
    pub(crate) async fn suspected(&self) {
        self.suspicion.notified().await;
    }

    /// Returns the description of the replica, without the values of the process.
    pub(crate) fn describe(&self) -> ReplicaDescription {
        let shard = self.shard.load();
        let moment = shard.moment();
        let progress = self.standing.now();
        ReplicaDescription {
            shards: self.shards,
            sequence: moment.sequence,
            head: Sequence(progress.head.0).max(moment.sequence),
            unready_reason: self.unready_reason(),
            items: shard.item_count(),
            hashes: shard.hash_counts(),
            digest: moment.digest,
            memory_bytes: 0,
            process_id: 0,
        }
    }

    /// Returns why the replica does not answer now, or `None` if it does.
    pub(crate) fn unready_reason(&self) -> Option<String> {
        self.damage_found().or_else(|| {
            let unready = reason(self.standing.now().unready()?);
            let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
            Some(match &*trouble {
                Some(trouble) => format!("{unready}; before that: {trouble}"),
                None => unready,
            })
        })
    }

    /// Records a problem between the replica and the bank, which is reported while the replica is not ready.
    pub(crate) fn note(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// Returns the shard if it holds every change up to `wanted` now.
    ///
    /// Errors: the replica is not ready.
    pub(crate) fn now_at_least(&self, wanted: Sequence) -> Result<Option<Arc<Shard>>, SearchError> {
        let now = self.standing.now();
        if let Some(unready) = self.unready_reason() {
            return Err(SearchError::NotReady(unready));
        }
        let shard = self.shard.load_full();
        Ok((shard.applied() >= wanted.max(Sequence(now.applied.0))).then_some(shard))
    }

    /// Returns the shard once it holds every change up to `wanted`. Waits until `deadline`.
    ///
    /// Errors: the replica is not ready or behind.
    pub(crate) async fn at_least(
        &self,
        wanted: Sequence,
        deadline: Instant,
    ) -> Result<Arc<Shard>, SearchError> {
        let now = self.standing.at_least(Position(wanted.0), deadline).await;
        let now = now.map_err(|missing| match missing {
            NotThere::NotReady(unready) => SearchError::NotReady(reason(unready)),
            NotThere::Behind { reached } => SearchError::Behind { reached: Sequence(reached.0), wanted },
        })?;
        if let Some(damage) = self.damage_found() {
            return Err(SearchError::NotReady(damage));
        }
        let shard = self.shard.load_full();
        // A rebuild may have started meanwhile, and its first shard must not answer.
        if shard.applied().0 < now.applied.0 {
            return Err(SearchError::NotReady("rebuilding".to_owned()));
        }
        Ok(shard)
    }

    pub(crate) fn discard_snapshot(&self) {
        if let Err(error) = self.plan.discard_snapshot() {
            // If the snapshot is found again later, the bank's digest will show that it is wrong.
            tracing::error!(shard = %self.identity, %error, "cannot discard the snapshot");
        }
    }

    /// Starts from the shard that was saved last, if it can be used. Returns its sequence, or zero.
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
                    RestoreError::Settings { .. } | RestoreError::OtherTable(_) => {
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

    /// Starts from a shard of another origin.
    pub(crate) fn take(&self, shard: Shard) {
        self.shard.store(Arc::new(shard));
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.unready_reason().is_none()
    }

    pub(crate) fn applied(&self) -> Sequence {
        self.shard.load().applied()
    }

    /// Saves the shard. Returns the sequence of the snapshot, or `None` if it failed.
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

    /// Deletes removed items from the shard's files. Returns whether it was completed.
    pub(crate) fn clear_removed(&self, shard: &Shard, stop: &AtomicBool) -> bool {
        let (number, begun) = (self.identity, Instant::now());
        match shard.clear_removed(stop) {
            Ok(true) => {
                let took_ms = begun.elapsed().as_millis();
                tracing::info!(shard = %number, took_ms, "wrote the files anew without what was removed");
                true
            }
            Ok(false) => false,
            Err(error) => {
                self.metrics.count_failed_purge();
                tracing::error!(shard = %number, %error, "cannot write the files anew without what was removed");
                false
            }
        }
    }

    /// Returns the stores into which a shard is loaded.
    fn begin(&self) -> Stores {
        self.plan.begin().unwrap_or_else(|error| {
            tracing::error!(shard = %self.identity, %error, "the shard is kept in memory");
            self.plan.in_memory()
        })
    }

    /// Adds a part of the bank's present state.
    fn load_part(&self, loading: Option<Loading>, part: StatePart) -> Result<Option<Loading>, LoadError> {
        Ok(match (part, loading) {
            (StatePart::Begin { cursor, banks, members_on }, _) => {
                Some(Loading::begin(self.identity, self.begin(), cursor, banks, members_on))
            }
            (StatePart::Items { items, held, standings }, Some(mut begun)) => {
                begun.take(items, &held, standings)?;
                Some(begun)
            }
            (StatePart::End { settled }, Some(begun)) => {
                self.take(begun.finish(settled)?);
                None
            }
            (StatePart::Items { .. } | StatePart::End { .. }, None) => return Err(LoadError::NoBeginning),
        })
    }
}

/// Returns the time since 1970 by this machine's clock.
fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

impl State for Replica {
    type Range = FeedRange;
    type Part = StatePart;
    type Loading = Loading;

    fn standing(&self) -> &Standing {
        &self.standing
    }

    fn stretch(range: &FeedRange) -> Stretch {
        feed::stretch(range)
    }

    fn place(&self) -> Option<Place> {
        self.shard.load().moment().cursor.map(feed::place)
    }

    fn settled(&self) -> Position {
        Position(self.shard.load().settled().0)
    }

    fn apply(&self, range: FeedRange) -> Result<Proof, vigie_follow::Contradiction> {
        let (through, head) = (range.through, range.head_committed.map(|at| (range.head, at)));
        let (timed, was_ready) = (Timed::of(&range), self.standing.now().ready);
        let applied = self.shard.load().apply(range);
        if applied.is_ok() {
            self.commits().note(through, head);
            if was_ready {
                let now = u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX);
                self.latencies.count(timed, UnixMillis(now));
            }
        }
        applied.map_err(|contradiction| {
            let reason = match contradiction {
                Contradiction::Digest { .. } => Reason::Digest,
                Contradiction::NoSuchBank(_)
                | Contradiction::BankTwice(_)
                | Contradiction::NoSuchItem(_)
                | Contradiction::OtherId(_)
                | Contradiction::OtherShard(_)
                | Contradiction::OtherLog { .. }
                | Contradiction::Gap { .. } => Reason::Change,
            };
            vigie_follow::Contradiction { reason, text: contradiction.to_string() }
        })
    }

    fn load(&self, loading: Option<Loading>, part: StatePart) -> Result<Loaded<Loading>, NotLoaded> {
        match self.load_part(loading, part) {
            Ok(Some(loading)) => {
                let through = Position(loading.cursor().sequence.0);
                Ok(Loaded::Part { loading, through })
            }
            Ok(None) => Ok(Loaded::Whole),
            Err(error) => {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                Err(NotLoaded(format!("{error}{}", source.unwrap_or_default())))
            }
        }
    }

    /// Drops the shard and its snapshot, and starts with an empty shard.
    fn clear(&self) {
        self.discard_snapshot();
        self.take(Shard::empty(self.identity, self.plan.in_memory()));
        *self.commits() = Commits::default();
        self.damage.send_replace(None);
    }

    async fn damaged(&self) -> String {
        let mut damage = self.damage.subscribe();
        let found = damage.wait_for(Option::is_some).await;
        // The sender lives as long as the replica.
        found.ok().and_then(|found| found.clone()).unwrap_or_default()
    }

    fn fault(&self) -> Option<String> {
        self.shard.load().fault()
    }
}

impl Observed for Replica {
    fn feed_lag(&self) -> (u64, Duration) {
        let Lag { changes, time } = self.standing.lag();
        (changes, time)
    }

    fn sequence(&self) -> Sequence {
        self.applied()
    }

    fn is_ready(&self) -> bool {
        Self::is_ready(self)
    }

    fn held_items(&self) -> u64 {
        self.shard.load().moment().marks.held().count() as u64
    }

    fn standing_items(&self) -> u64 {
        self.shard.load().moment().marks.standings().count() as u64
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

fn reason(unready: Unready) -> String {
    match unready {
        Unready::Unheard => "waiting for the bank's feed".to_owned(),
        Unready::Behind { applied, head } => format!("loading: at change {applied} of {head}"),
        Unready::Unproven => "waiting for the bank's digest".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_change_whose_time_is_known_is_one_that_is_held() {
        let mut commits = Commits::default();
        let mut after = |applied: u64, head: u64, at: u64| {
            let head = (at > 0).then_some((Sequence(head), UnixMillis(at)));
            commits.note(Sequence(applied), head);
            commits.held.map(|(sequence, at)| (sequence.0, at.0))
        };
        assert_eq!(after(0, 0, 0), None);
        assert_eq!(after(3, 5, 50), None, "what is committed later is not held");
        assert_eq!(after(4, 7, 70), None);
        assert_eq!(after(5, 8, 80), Some((5, 50)));
        assert_eq!(after(8, 8, 0), Some((5, 50)), "the bank does not say when");
        assert_eq!(after(8, 9, 90), Some((5, 50)));
        assert_eq!(after(9, 9, 90), Some((9, 90)));
        assert_eq!(after(12, 12, 120), Some((12, 120)));
    }
}
