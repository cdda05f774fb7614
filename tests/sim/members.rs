//! A consortium on the simulated cluster: members that bank, share, revoke and search while there are faults.
//!
//! Always true, whatever the faults:
//!
//! - A search is decided by a state of the directory that includes every change which was acknowledged longer
//!   ago than the maximal age of a directory.
//! - It finds the items of the banks that are visible in that state, and nothing else; its coverage counts
//!   only their hashes.
//! - A refusal follows from a state by which the call may have been decided.
//! - An item of a bank that requires confirmations matches for others while a second member has a positive
//!   opinion of it, and not otherwise.
//! - A verdict follows from the member's policy in that state and from the matches; a member without a policy
//!   gets none.
//! - Everything that was acknowledged is there after the faults: items, grants, principals, states of
//!   members.
//!
//! Reading order: `material` (members, banks, hashes), `sent`, `words` (opinions and policies), `history`
//! (the changes, and which answers they allow), `credentials`, `founding`, `curators` and `readers` (who
//! write and search), `judge`.

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

/// Number of members in addition to the host.
pub(crate) const COUNT: usize = MEMBERS.len();

/// The deadline of one call to the bank; a call that fails because the bank is down is then made again.
const CALL_WITHIN: Duration = Duration::from_secs(5);
/// The pause of each curator and reader between two calls.
const REST: Duration = Duration::from_millis(100);

/// The members of a run, and all their changes and answers.
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
    /// The time after which an outage counts as permanent.
    whole_within: Duration,
    answers: AtomicU64,
    denied: AtomicU64,
    unanswered: AtomicU64,
}

/// Counts of a run.
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

    /// Returns whether the members exist, so that faults may begin.
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

    /// Returns the network whose calls carry the operator's key.
    fn operator(&self) -> anyhow::Result<Network> {
        self.operator.get().cloned().context("there is no operator yet")
    }

    async fn prepared(&self) {
        while !self.is_prepared() {
            tokio::time::sleep(REST).await;
        }
    }

    /// Makes a call until it is answered; returns `None` if it is refused because its object does not exist.
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

    /// Makes a call until it is answered. Failures that an outage explains are retried, and refusals while
    /// the member is suspended.
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
