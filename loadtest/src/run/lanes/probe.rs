//! Probes that measure how soon a write becomes visible: an item is added and searched until it is found,
//! then removed and searched until it is no longer found.
//!
//! The time counts from the acknowledgement of the write to the answer that shows it, and so includes the
//! latency of one question. The questions do not ask for a minimum sequence: they get the answer that any
//! caller gets.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;
use vigie_model::Sequence;

use crate::judge::ledger::LiveItem;
use crate::judge::oracle::Identity;
use crate::run::lanes::kind::Kind;
use crate::run::lanes::shared::Shared;
use crate::run::record::recorder::Recorder;
use crate::run::scenario::Probes;
use crate::run::target::call::{Asked, Call};
use crate::run::target::endpoint::Endpoint;
use crate::run::target::live_bank::LiveBank;

/// Numbers of probes begin here, above the numbers of all requests.
const FIRST: u64 = 1 << 62;
/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(2);
/// Probes under way at the same time; a new one begins when one has ended.
const AT_ONCE: usize = 16;

/// Runs probes until it is stopped.
pub(crate) async fn probe(
    shared: Arc<Shared>,
    plan: Probes,
    bank: LiveBank,
    endpoint: Endpoint,
    recorder: Recorder,
    start: Instant,
    stop: CancellationToken,
) {
    let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    for turn in 0.. {
        let due = start + plan.every.0 * turn;
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {}
            () = stop.cancelled() => return,
        }
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return };
        let one = Probe {
            shared: Arc::clone(&shared),
            bank: bank.clone(),
            endpoint: endpoint.clone(),
            recorder: recorder.clone(),
            number: FIRST + u64::from(turn),
            start,
            within: plan.within.0,
        };
        tokio::spawn(async move {
            one.run().await;
            drop(slot);
        });
    }
}

struct Probe {
    shared: Arc<Shared>,
    bank: LiveBank,
    endpoint: Endpoint,
    recorder: Recorder,
    number: u64,
    start: Instant,
    within: Duration,
}

impl Probe {
    async fn run(self) {
        let seed = self.shared.live_seed;
        let began = Instant::now();
        let Ok((id, sequence)) = self.bank.add(seed, self.number, began + self.within).await else {
            return self.note(began, true, None);
        };
        let acknowledged = Instant::now();
        let found = self.wait_until(true, acknowledged).await;
        self.note(began, true, found);

        let began = Instant::now();
        let item = LiveItem::new(self.number, id, sequence);
        if self.bank.remove(&item, began + self.within).await.is_err() {
            return self.note(began, false, None);
        }
        let gone = self.wait_until(false, Instant::now()).await;
        self.note(began, false, gone);
    }

    /// Returns the time from `since` until a complete answer contains the item, or lacks it if `there` is
    /// false. `None` if that does not happen within the limit.
    async fn wait_until(&self, there: bool, since: Instant) -> Option<Duration> {
        let deadline = since + self.within;
        let asks = [Asked::Hash(LiveItem::hash_of(self.shared.live_seed, self.number))];
        let call = Call { asks: &asks, min_sequence: Sequence(0), kind: Kind::Lookup };
        while Instant::now() < deadline {
            let asked = tokio::time::timeout_at(deadline.into(), self.endpoint.ask(&call, deadline)).await;
            if let Ok(Ok(answer)) = asked
                && answer.complete
                && let Some(Ok(hits)) = answer.results.first()
                && hits.iter().any(|hit| hit.item == Identity::Live(self.number)) == there
            {
                return Some(since.elapsed());
            }
            tokio::time::sleep(PAUSE).await;
        }
        None
    }

    fn note(&self, began: Instant, added: bool, took: Option<Duration>) {
        let began = began.saturating_duration_since(self.start);
        self.recorder.note_probe(began, added, took, self.shared.scenario.drive.warm_up.0);
    }
}
