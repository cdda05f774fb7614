//! A consortium on the simulated cluster: members who bank, share, revoke and search while things go wrong.
//!
//! Always true, whatever goes wrong:
//!
//! - A search is decided by a state of the directory that has every change which was acknowledged longer ago than a directory may be old.
//! - It finds what the banks that are visible by that state hold, and nothing else; its coverage counts their hashes alone.
//! - A refusal follows from a state by which the call may have been decided.
//! - An item of a bank that asks for confirmations matches for others once a second member calls it right, and no longer than that.
//! - A verdict is that of the policy which the member has by that state, of what was found; a member without a policy has none.
//! - What was acknowledged is there when all is mended: items, grants, principals, states of members.
//!
//! Reading order: `material` (members, banks, hashes), `sent`, `words` (opinions and policies), `history` (what was done, and what may be answered), `credentials`, `founding`,
//! `curators` and `readers` (who do and ask), `judge`.

mod material;
mod sent;
mod words;
mod history;
mod credentials;
mod founding;
mod curators;
mod readers;
mod judge;

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use rand::rngs::SmallRng;
use tokio::sync::RwLock;
use vigie_clients::{CallError, Code, Deadline, Network};
use vigie_tests::workload::may_be_an_outage;

use crate::members::credentials::Team;
use crate::members::history::History;
use crate::members::material::{MEMBERS, Material};

/// The number of members beside the host.
pub(crate) const COUNT: usize = MEMBERS.len();

/// One call to the bank waits so long for what is down; then it is made again.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// Each curator and reader rests so long between two calls.
const REST: Duration = Duration::from_millis(100);

/// The members of a run, and everything that they did.
#[derive(Debug)]
pub(crate) struct Consortium {
    material: Material,
    history: Mutex<History>,
    operator: OnceLock<Network>,
    teams: Mutex<Vec<Team>>,
    /// Held for reading during each write.
    writing: RwLock<()>,
    is_prepared: AtomicBool,
    is_over: AtomicBool,
    /// What is down longer than this is stuck.
    whole_within: Duration,
    answers: AtomicU64,
    denied: AtomicU64,
    unanswered: AtomicU64,
}

/// What a run came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tally {
    added: usize,
    removed: usize,
    opinions: usize,
    changes: usize,
    answers: u64,
    denied: u64,
    unanswered: u64,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { added, removed, opinions, changes, answers, denied, unanswered } = self;
        write!(
            f,
            "with members: {added} added, {removed} removed, {opinions} opinions, {changes} changes of the directory, {answers} answers, \
             {denied} denied, {unanswered} unanswered"
        )
    }
}

impl Consortium {
    pub(crate) fn new(whole_within: Duration, rng: &mut SmallRng) -> Self {
        Self {
            material: Material::new(rng),
            history: Mutex::default(),
            operator: OnceLock::new(),
            teams: Mutex::default(),
            writing: RwLock::new(()),
            is_prepared: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            whole_within,
            answers: AtomicU64::new(0),
            denied: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
        }
    }

    /// Whether the members are there, so that things may go wrong.
    pub(crate) fn is_prepared(&self) -> bool {
        self.is_prepared.load(Ordering::Relaxed)
    }

    pub(crate) fn tally(&self) -> Tally {
        let (added, removed, opinions, changes) = self.history().counts();
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (answers, denied) = (get(&self.answers), get(&self.denied));
        Tally { added, removed, opinions, changes, answers, denied, unanswered: get(&self.unanswered) }
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn teams(&self) -> MutexGuard<'_, Vec<Team>> {
        self.teams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The network on which calls carry the operator's key.
    fn operator(&self) -> anyhow::Result<Network> {
        self.operator.get().cloned().context("there is no operator yet")
    }

    async fn prepared(&self) {
        while !self.is_prepared() {
            tokio::time::sleep(REST).await;
        }
    }

    /// Makes a call until it is answered, or refused because there is nothing to do it to: `None`.
    async fn until_decided<T, F>(&self, mut call: impl FnMut(Deadline) -> F) -> anyhow::Result<Option<T>>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        self.until_answered(|deadline| {
            let called = call(deadline);
            async move {
                match called.await {
                    Err(error) if error.code() == Code::NotFound => Ok(None),
                    answered => answered.map(Some),
                }
            }
        })
        .await
    }

    /// Makes a call until it is answered. What an outage explains is tried again, and what is refused while the member is suspended.
    async fn until_answered<T, F>(&self, mut call: impl FnMut(Deadline) -> F) -> anyhow::Result<T>
    where
        F: Future<Output = Result<T, CallError>>,
    {
        let give_up = Deadline::now() + self.whole_within;
        loop {
            match call(Deadline::now() + CALL_WITHIN).await {
                Ok(answer) => return Ok(answer),
                Err(error)
                    if (may_be_an_outage(error.code()) || error.code() == Code::PermissionDenied)
                        && Deadline::now() < give_up =>
                {
                    tokio::time::sleep(REST).await;
                }
                Err(error) => return Err(error).context("a call to the bank failed"),
            }
        }
    }
}
