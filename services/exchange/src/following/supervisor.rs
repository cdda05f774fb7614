//! Follows all exchanges of the deployment in one process: the one that holds the lease.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior, interval};
use vigie_serving::Shutdown;
use vigie_telemetry::Condition;

use super::follower::{Follower, Shared};
use crate::asking::fetch::Fetch;
use crate::bank::{Bank, BankError, Exchange, ExchangeId, Lease};

/// The state of a supervisor, for probes, and its reason.
#[derive(Debug, Default)]
pub(crate) struct Standing(AtomicU8, std::sync::Mutex<String>);

const STARTING: u8 = 0;
const LEADS: u8 = 1;
const STANDS_BY: u8 = 2;
const CUT_OFF: u8 = 3;

impl Standing {
    fn set(&self, standing: u8, reason: &str) {
        reason.clone_into(&mut self.1.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.store(standing, Ordering::Relaxed);
    }

    pub(crate) fn condition(&self) -> Condition {
        let reason = || self.1.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match self.0.load(Ordering::Relaxed) {
            LEADS => Condition::Ready,
            STANDS_BY => Condition::Standby("another process follows the exchanges".into()),
            CUT_OFF => Condition::Unready(reason().into()),
            _ => Condition::Starting("has not reached the bank yet".into()),
        }
    }
}

/// The intervals of a supervisor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The duration of a lease that is not renewed. It is renewed after each third of this time.
    pub(crate) lease: Duration,
    /// The interval between two listings of the exchanges.
    pub(crate) list: Duration,
}

/// The followers of the exchanges, while this process holds the lease.
struct Followers<B, F> {
    shared: Arc<Shared<B, F>>,
    lease: watch::Sender<Lease>,
    tasks: JoinSet<()>,
    running: BTreeMap<ExchangeId, Running>,
}

struct Running {
    listed: watch::Sender<Exchange>,
    task: AbortHandle,
}

/// Follows all exchanges until `shutdown`. A follower may be stopped in the middle of a round, which is as
/// safe as a crash.
pub(crate) async fn supervise<B: Bank, F: Fetch>(
    shared: Arc<Shared<B, F>>,
    pace: Pace,
    standing: Arc<Standing>,
    shutdown: Shutdown,
) {
    let renewing = async {
        loop {
            match shared.bank.lease(pace.lease).await {
                Ok(Some(lease)) => lead(&shared, pace, &standing, lease).await,
                Ok(None) => standing.set(STANDS_BY, ""),
                Err(error) => {
                    tracing::warn!(%error, "cannot ask for the lease");
                    if standing.0.load(Ordering::Relaxed) != STARTING {
                        standing.set(CUT_OFF, &error.to_string());
                    }
                }
            }
            tokio::time::sleep(pace.lease / 3).await;
        }
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = renewing => {}
    }
}

/// Follows until the lease is lost.
async fn lead<B: Bank, F: Fetch>(shared: &Arc<Shared<B, F>>, pace: Pace, standing: &Standing, lease: Lease) {
    tracing::info!("leading: follows the exchanges");
    let (lease, _) = watch::channel(lease);
    let mut followers =
        Followers { shared: Arc::clone(shared), lease, tasks: JoinSet::new(), running: BTreeMap::new() };
    let mut renewed = Instant::now();
    let mut renew = interval(pace.lease / 3);
    let mut list = interval(pace.list);
    for ticks in [&mut renew, &mut list] {
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    }
    // The first tick is immediate, and the lease is new.
    renew.tick().await;
    loop {
        tokio::select! {
            _ = renew.tick() => match shared.bank.lease(pace.lease).await {
                Ok(Some(lease)) => {
                    renewed = Instant::now();
                    followers.lease.send_if_modified(|held| std::mem::replace(held, lease.clone()) != lease);
                }
                Ok(None) | Err(BankError::LeaseLost) => break,
                // Nobody else can have the lease before it expires.
                Err(error) if renewed.elapsed() < pace.lease => {
                    tracing::warn!(%error, "cannot renew the lease yet");
                }
                Err(_) => break,
            },
            _ = list.tick() => match shared.bank.exchanges().await {
                Ok(exchanges) => {
                    standing.set(LEADS, "");
                    followers.keep(exchanges);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot list the exchanges");
                    standing.set(CUT_OFF, &error.to_string());
                }
            },
            Some(_) = followers.tasks.join_next() => followers.sweep(),
        }
    }
    tracing::warn!("the lease is lost: followers are stopped");
    followers.stop().await;
    standing.set(CUT_OFF, "the lease is lost");
}

impl<B: Bank, F: Fetch> Followers<B, F> {
    /// Follows these exchanges, and no others. A follower whose exchange has new settings is replaced.
    fn keep(&mut self, exchanges: Vec<Exchange>) {
        let wanted: BTreeMap<ExchangeId, Exchange> = exchanges
            .into_iter()
            .filter(|exchange| exchange.enabled)
            .map(|exchange| (exchange.id, exchange))
            .collect();
        let metrics = &self.shared.metrics;
        self.running.retain(|id, running| {
            let stays = wanted.get(id).is_some_and(|exchange| is_same(&running.listed.borrow(), exchange));
            if !stays {
                running.task.abort();
                metrics.forget(&running.listed.borrow().label());
            }
            stays
        });
        for (id, exchange) in wanted {
            match self.running.get(&id) {
                Some(running) => {
                    running.listed.send_replace(exchange);
                }
                None => {
                    let follower = Follower::new(Arc::clone(&self.shared), &exchange, self.lease.subscribe());
                    let (listed, changes) = watch::channel(exchange);
                    let task = self.tasks.spawn(follower.run(changes));
                    self.running.insert(id, Running { listed, task });
                }
            }
        }
    }

    /// Removes followers that have ended, so that the next listing starts them again if necessary.
    fn sweep(&mut self) {
        let metrics = &self.shared.metrics;
        self.running.retain(|_, running| {
            let has_ended = running.task.is_finished();
            if has_ended {
                metrics.forget(&running.listed.borrow().label());
            }
            !has_ended
        });
    }

    /// Stops all followers. Another process will report the metrics of their exchanges from now on.
    async fn stop(mut self) {
        self.tasks.shutdown().await;
        for running in self.running.values() {
            self.shared.metrics.forget(&running.listed.borrow().label());
        }
    }
}

/// Returns whether a follower of one exchange may continue with the other.
fn is_same(one: &Exchange, other: &Exchange) -> bool {
    (&one.api, &one.config, one.interval_s) == (&other.api, &other.config, other.interval_s)
}
