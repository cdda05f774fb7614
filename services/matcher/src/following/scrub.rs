//! Regularly compares what searches read with what it should be.
//!
//! A pass audits the shard ([`crate::shard::audit`]), then compares every block of its memory and its files
//! with the checksums that they were written with ([`vigie_index::Stored`]). A pass takes four fifths of the
//! period, and passes follow each other, so that everything is compared at least once in every period. The
//! number of bytes in a second is bounded; if that bound is too low for the period, a pass takes longer.
//! After a search that failed, the next pass starts at once.
//!
//! A fault takes the replica out of readiness, and the follower drops the shard and loads it from the bank.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use vigie_index::{Fault, SegmentError, Stored};

use crate::following::replica::Replica;
use crate::metrics::Damage;
use crate::shard::audit::{Audited, audit};
use crate::shard::state::Shard;

/// The period and the speed of scrubbing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scrubbing {
    /// The period; `None` for never.
    pub(crate) every: Option<Duration>,
    pub(crate) bytes_per_second_max: u64,
}

/// Scrubs the replica's shard until the future is dropped.
pub(crate) async fn scrub(replica: Arc<Replica>, scrubbing: Scrubbing) {
    let Some(every) = scrubbing.every else { return std::future::pending().await };
    let mut is_urgent = false;
    loop {
        while !replica.is_ready() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let until = Instant::now() + every * 4 / 5;
        let throttle = Throttle::new(scrubbing.bytes_per_second_max);
        let mut pass = Pass { replica: &replica, shard: replica.shard(), until, is_urgent, throttle };
        if !pass.run().await {
            // The shard is being replaced.
            is_urgent = false;
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        is_urgent = tokio::select! {
            () = tokio::time::sleep_until(until) => false,
            () = replica.suspected() => true,
        };
    }
}

/// The bytes that a pass has read, and its limit.
struct Throttle {
    begun: Instant,
    bytes: u64,
    bytes_per_second_max: u64,
}

impl Throttle {
    fn new(bytes_per_second_max: u64) -> Self {
        Self { begun: Instant::now(), bytes: 0, bytes_per_second_max }
    }

    /// Records bytes that were read. Returns the time from which more may be read.
    fn take(&mut self, bytes: usize) -> Instant {
        self.bytes += bytes as u64;
        let micros = u128::from(self.bytes) * 1_000_000 / u128::from(self.bytes_per_second_max.max(1));
        self.begun + Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

/// A pass over one shard.
struct Pass<'a> {
    replica: &'a Arc<Replica>,
    shard: Arc<Shard>,
    /// The planned end of the pass, unless it is urgent.
    until: Instant,
    is_urgent: bool,
    throttle: Throttle,
}

/// A flag that is set when the pass is dropped.
#[derive(Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Pass<'_> {
    /// Runs the pass. Returns whether everything was compared and is intact.
    async fn run(&mut self) -> bool {
        let is_whole = self.audit().await && self.compare().await;
        if is_whole {
            self.replica.metrics.count_scrub();
        }
        is_whole
    }

    /// Returns whether the shard still has to be scrubbed.
    fn goes_on(&self) -> bool {
        Arc::ptr_eq(&self.shard, &self.replica.shard()) && self.replica.is_ready()
    }

    fn damaged(&self, damage: Damage, what: impl ToString) -> bool {
        self.replica.damage(&self.shard, damage, what.to_string());
        false
    }

    /// Audits the shard. Returns whether to continue.
    async fn audit(&mut self) -> bool {
        let (shard, stop) = (Arc::clone(&self.shard), StopOnDrop::default());
        let (stopped, bytes_per_second_max) = (Arc::clone(&stop.0), self.throttle.bytes_per_second_max);
        let audited = tokio::task::spawn_blocking(move || {
            let (begun, mut bytes) = (std::time::Instant::now(), 0_u64);
            audit(&shard, &mut |more| {
                bytes += more as u64;
                let seconds = bytes as f64 / bytes_per_second_max.max(1) as f64;
                let due = begun + Duration::from_secs_f64(seconds);
                // Sleeps in short steps, so that it ends soon after it is stopped.
                while !stopped.load(Ordering::Relaxed)
                    && let Some(wait) = due.checked_duration_since(std::time::Instant::now())
                    && !wait.is_zero()
                {
                    std::thread::sleep(wait.min(STEP));
                }
                !stopped.load(Ordering::Relaxed)
            })
        });
        match audited.await {
            Ok(Ok(Audited::Whole | Audited::Open)) => self.goes_on(),
            Ok(Err(fault)) => self.damaged(Damage::Index, fault),
            // The panic hook has logged the message.
            Err(panic) => self.damaged(Damage::Index, format!("the audit of the shard failed: {panic}")),
        }
    }

    /// Compares all blocks with their checksums. Returns whether all are intact.
    async fn compare(&mut self) -> bool {
        let stored = self.shard.stored();
        let count = |one: &std::sync::Weak<dyn Stored>| one.upgrade().map_or(0, |one| one.block_count());
        let total: usize = stored.iter().map(count).sum();
        let (begun, mut done) = (Instant::now(), 0_u32);
        let window = self.until.saturating_duration_since(begun);
        let share = window / u32::try_from(total).unwrap_or(u32::MAX).max(1);
        for one in stored {
            let mut block = 0;
            // Held for one block at a time, so that data which is no longer used can be freed.
            while let Some(one) = one.upgrade().filter(|one| block < one.block_count()) {
                let verified = tokio::task::spawn_blocking(move || one.verify(block)).await;
                let bytes = match verified {
                    Ok(Ok(bytes)) => bytes,
                    Ok(Err(error)) => match damage_of(&error) {
                        Some(damage) => return self.damaged(damage, error),
                        None => {
                            let shard = self.replica.identity;
                            tracing::warn!(%shard, %error, "cannot compare a file with its checksums");
                            0
                        }
                    },
                    Err(panic) => return self.damaged(Damage::Memory, format!("it cannot be read: {panic}")),
                };
                (block, done) = (block + 1, done.saturating_add(1));
                let by_rate = self.throttle.take(bytes);
                self.wait(by_rate, begun + share * done).await;
                if !self.goes_on() {
                    return false;
                }
            }
        }
        true
    }

    /// Waits as the rate requires, and as the schedule requires if the pass is not urgent.
    async fn wait(&mut self, by_rate: Instant, by_schedule: Instant) {
        if !self.is_urgent {
            tokio::select! {
                () = tokio::time::sleep_until(by_schedule) => {}
                () = self.replica.suspected() => self.is_urgent = true,
            }
        }
        tokio::time::sleep_until(by_rate).await;
    }
}

/// The interval at which a replica that is not ready is checked.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The longest sleep of a throttled audit.
const STEP: Duration = Duration::from_millis(50);

/// Returns what is damaged, or `None` if the system only refused to read it.
fn damage_of(error: &SegmentError) -> Option<Damage> {
    match error {
        SegmentError::Refused { fault: Fault::Memory { .. }, .. } => Some(Damage::Memory),
        SegmentError::Refused { .. } => Some(Damage::File),
        SegmentError::Io { source, .. } => {
            let is_cut = source.kind() == std::io::ErrorKind::UnexpectedEof;
            // EIO: the disk cannot read it.
            (is_cut || source.raw_os_error() == Some(5)).then_some(Damage::File)
        }
    }
}
