//! What all lanes of a process share.

use std::sync::Arc;

use crate::judge::ledger::Ledger;
use crate::judge::truth::Truth;
use crate::run::lanes::kind::Chooser;
use crate::run::scenario::Scenario;
use crate::run::target::live_bank::LiveBank;

/// The scenario of a run, what is true of its questions, and what it has written.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) scenario: Scenario,
    pub(crate) truth: Arc<Truth>,
    pub(crate) ledger: Ledger,
    pub(crate) chooser: Chooser,
    /// Where items are added and removed; `None` where nothing is written.
    pub(crate) bank: Option<LiveBank>,
    /// Hashes of the items that this run adds are drawn from it.
    pub(crate) live_seed: u64,
}
