//! The bytes of answers: how many each client may have in memory at once, from before an answer is built until it has been sent.
//!
//! A client may have as many bytes as it leaves free (the dynamic threshold of Choudhury and Hahne, "Dynamic Queue Length
//! Thresholds for Shared-Memory Packet Switches", 1998): one client gets half of all, two get a third each, and there is always
//! as much for one more. So a client that reads none of its answers takes nothing from the others. A large answer leaves a part
//! of the whole free besides, for small ones, of the same client too: it may be a service that asks for many. Whoever gets nothing waits until something has been sent, within its deadline.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::time::Instant;
use tonic::Status;

use crate::admission::shares::Client;
use crate::admission::slots::too_late;
use crate::load::{Counted, Load};

/// An answer of more than this part of all bytes is large ...
const LARGE: usize = 64;
/// ... and leaves this part free.
const KEPT: usize = 8;

/// The bytes that are taken, as numbers.
#[derive(Debug, Default)]
struct Budget {
    max: usize,
    used: usize,
    /// Of each client that has any.
    of: HashMap<Client, usize>,
}

impl Budget {
    /// More than half would never be free for one.
    fn most(&self) -> usize {
        self.max / 2
    }

    fn take(&mut self, client: &Client, bytes: usize) -> bool {
        let own = self.of.get(client).copied().unwrap_or(0);
        let free = self.max - self.used;
        let kept = if bytes > self.max / LARGE { self.max / KEPT } else { 0 };
        let Some(left) = free.checked_sub(bytes + kept) else { return false };
        if own > 0 && own + bytes > left {
            return false;
        }
        self.used += bytes;
        *self.of.entry(client.clone()).or_default() += bytes;
        true
    }

    fn give(&mut self, client: &Client, bytes: usize) {
        self.used = self.used.saturating_sub(bytes);
        if let Some(own) = self.of.get_mut(client) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                self.of.remove(client);
            }
        }
    }
}

/// The bytes of all answers of one server. A clone is a handle of the same.
#[derive(Debug, Clone)]
pub(crate) struct AnswerBytes(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    budget: Mutex<Budget>,
    freed: Notify,
    load: Load,
}

impl AnswerBytes {
    pub(crate) fn new(bytes_max: usize, load: Load) -> Self {
        let budget = Budget { max: bytes_max, ..Budget::default() };
        Self(Arc::new(Shared { budget: Mutex::new(budget), freed: Notify::new(), load }))
    }

    /// So many bytes, as soon as there are and before the deadline; for more than half of all, half of all.
    pub(crate) async fn take(
        &self,
        client: &Client,
        bytes: usize,
        deadline: Instant,
    ) -> Result<TakenBytes, Status> {
        loop {
            // Before the attempt: what is given back after it is not missed.
            let mut freed = std::pin::pin!(self.0.freed.notified());
            freed.as_mut().enable();
            {
                let mut budget = self.0.budget();
                let bytes = bytes.min(budget.most());
                if budget.take(client, bytes) {
                    drop(budget);
                    let counted = self.0.load.answering(bytes);
                    return Ok(TakenBytes { of: self.clone(), client: client.clone(), bytes, counted });
                }
            }
            tokio::time::timeout_at(deadline, freed).await.map_err(|_| too_late())?;
        }
    }
}

impl Shared {
    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of a client, until this is dropped.
#[derive(Debug)]
pub(crate) struct TakenBytes {
    of: AnswerBytes,
    client: Client,
    bytes: usize,
    counted: Counted,
}

impl TakenBytes {
    /// Gives all but so many back.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let more = self.bytes.saturating_sub(bytes);
        if more > 0 {
            self.bytes -= more;
            drop(self.counted.split(more));
            self.of.0.budget().give(&self.client, more);
            self.of.0.freed.notify_waiters();
        }
    }
}

impl Drop for TakenBytes {
    fn drop(&mut self) {
        self.of.0.budget().give(&self.client, self.bytes);
        self.of.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::authorization::identity::ClientIdentity;

    fn named(name: &str) -> Client {
        Client::Named(ClientIdentity(name.into()))
    }

    #[test]
    fn a_client_that_takes_all_it_can_leaves_as_much_to_the_next() {
        let mut budget = Budget { max: 6_400, ..Budget::default() };
        let mut most = |name: &str| (0..).take_while(|_| budget.take(&named(name), 10)).count() * 10;
        let taken = ["first", "second", "third"].map(&mut most);
        assert_eq!(taken[0], 3_200, "half");
        assert!((1_500..=1_700).contains(&taken[1]), "half of what was left: {}", taken[1]);
        assert!((700..=900).contains(&taken[2]), "{}", taken[2]);
        assert!(budget.take(&named("late"), 10));
    }

    #[test]
    fn large_answers_leave_room_for_small_ones() {
        let mut budget = Budget { max: 6_400, ..Budget::default() };
        for client in 0.. {
            if !budget.take(&named(&client.to_string()), 1_000) {
                break;
            }
        }
        assert_eq!(budget.used, 5_000);
        assert!(budget.take(&named("late"), 100));
        budget.give(&named("0"), 1_000);
        assert!(budget.take(&named("0"), 1_000));
        assert_eq!(budget.of.len(), 6);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_its_share_waits_until_something_of_it_was_sent() {
        let answers = AnswerBytes::new(1_000, Load::default());
        let soon = Instant::now() + Duration::from_secs(1);
        let mut held = answers.take(&named("a"), 10_000, soon).await.unwrap();
        assert_eq!(held.bytes, 500, "more than half is never given");
        let late = answers.take(&named("a"), 100, soon).await.unwrap_err();
        assert_eq!(late.code(), tonic::Code::DeadlineExceeded);
        let other = answers.take(&named("b"), 100, soon + Duration::from_secs(1)).await.unwrap();
        assert_eq!(answers.0.load.answer_bytes(), 600);
        let again = tokio::spawn({
            let answers = answers.clone();
            async move { answers.take(&named("a"), 100, Instant::now() + Duration::from_secs(1)).await }
        });
        tokio::task::yield_now().await;
        held.shrink(200);
        let again = again.await.unwrap().unwrap();
        assert_eq!(answers.0.load.answer_bytes(), 400);
        drop((held, other, again));
        assert_eq!(answers.0.load.answer_bytes(), 0);
        assert!(answers.0.budget().of.is_empty());
    }
}
