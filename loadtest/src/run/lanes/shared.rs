//! The state that all lanes of a process share.

use std::sync::Arc;

use crate::judge::ledger::Ledger;
use crate::judge::truth::Truth;
use crate::run::lanes::kind::Chooser;
use crate::run::scenario::Scenario;
use crate::run::target::live_bank::LiveBank;

/// The scenario of a run, the right answers to its questions, and the ledger of its writes.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) scenario: Scenario,
    pub(crate) truth: Arc<Truth>,
    pub(crate) ledger: Ledger,
    pub(crate) chooser: Chooser,
    /// The bank for additions and removals; `None` where nothing is written.
    pub(crate) bank: Option<LiveBank>,
    /// The seed of the hashes of items that this run adds.
    pub(crate) live_seed: u64,
}
