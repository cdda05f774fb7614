//! The writes of exchanges.

use vigie_consortium::{ExchangeApi, ExchangeConfig, ExchangeId, ExchangeName, ExchangeStatus};
use vigie_model::BankRef;
use vigie_proto::bank::ExchangePage;

/// A write of exchanges.
#[derive(Debug, Clone)]
pub(crate) struct ExchangeWrite {
    /// The requested change.
    pub(crate) action: ExchangeAction,
    /// A digest of the request.
    pub(crate) request_digest: [u8; 32],
}

/// The change that a write requests.
#[derive(Debug, Clone)]
pub(crate) enum ExchangeAction {
    /// Adds an exchange.
    Add(Box<NewExchange>),
    /// Enables or disables an exchange.
    SetEnabled {
        /// The exchange.
        name: ExchangeName,
        /// Whether the exchange is followed from now on.
        enabled: bool,
    },
    /// Removes an exchange.
    Remove {
        /// The exchange.
        name: ExchangeName,
    },
    /// Requests a round now.
    FetchNow {
        /// The exchange.
        name: ExchangeName,
    },
    /// Applies a page of a programme.
    Apply(Box<ExchangePage>),
    /// Reports the status of rounds.
    Report {
        /// The exchange.
        exchange: ExchangeId,
        /// The report.
        status: Box<ExchangeStatus>,
    },
}

/// A new exchange.
#[derive(Debug, Clone)]
pub(crate) struct NewExchange {
    /// Its name.
    pub(crate) name: ExchangeName,
    /// The kind of programme.
    pub(crate) api: ExchangeApi,
    /// The bank that its items go to.
    pub(crate) bank: BankRef,
    /// Its settings.
    pub(crate) config: ExchangeConfig,
    /// Seconds between two rounds; 0 for the default.
    pub(crate) interval_seconds: u32,
}

impl ExchangeWrite {
    /// Returns the most changes of the log: for a page, two for each record and one for the cursor.
    pub(crate) fn change_count(&self) -> usize {
        match &self.action {
            ExchangeAction::Apply(page) => 1 + 2 * (page.puts.len() + page.withdrawn.len()),
            ExchangeAction::Add(_)
            | ExchangeAction::SetEnabled { .. }
            | ExchangeAction::Remove { .. }
            | ExchangeAction::FetchNow { .. }
            | ExchangeAction::Report { .. } => 1,
        }
    }

    /// Returns the approximate size of a waiting write, including the data looked up for it, in bytes.
    pub(crate) fn weight(&self, item_weight: impl Fn(&vigie_proto::bank::ContributedItem) -> usize) -> usize {
        const EACH: usize = 2_048;
        match &self.action {
            ExchangeAction::Apply(page) => {
                let puts = page.puts.iter().map(|put| item_weight(&put.item) + put.foreign.as_str().len());
                EACH * (1 + page.puts.len() + page.withdrawn.len()) + puts.sum::<usize>()
            }
            ExchangeAction::Add(_)
            | ExchangeAction::SetEnabled { .. }
            | ExchangeAction::Remove { .. }
            | ExchangeAction::FetchNow { .. }
            | ExchangeAction::Report { .. } => 8 * EACH,
        }
    }

    /// Returns whether the write is a page. A page is alone in its group, because its data is looked up as of
    /// the moment before it.
    pub(crate) const fn is_page(&self) -> bool {
        matches!(self.action, ExchangeAction::Apply(_))
    }
}
