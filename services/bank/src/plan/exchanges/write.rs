//! The writes of exchanges, and their answers.

use vigie_consortium::{ExchangeApi, ExchangeConfig, ExchangeId, ExchangeName, ExchangeStatus};
use vigie_model::BankRef;
use vigie_proto::bank::ExchangePage;

/// A write of exchanges.
#[derive(Debug, Clone)]
pub(crate) struct ExchangeWrite {
    /// The change that is asked for.
    pub(crate) action: ExchangeAction,
    /// A digest of the request.
    pub(crate) request_digest: [u8; 32],
}

/// The change that a write asks for.
#[derive(Debug, Clone)]
pub(crate) enum ExchangeAction {
    /// A new exchange.
    Add(Box<NewExchange>),
    /// An exchange to be followed, or not.
    SetEnabled {
        /// The exchange.
        name: ExchangeName,
        /// Whether.
        enabled: bool,
    },
    /// An exchange to be gone.
    Remove {
        /// The exchange.
        name: ExchangeName,
    },
    /// A round to be made.
    FetchNow {
        /// The exchange.
        name: ExchangeName,
    },
    /// A page of a programme.
    Apply(Box<ExchangePage>),
    /// How rounds went.
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
    /// The changes that it makes: of a page two for each record, at most, and one for the cursor.
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

    /// About how many bytes it holds while it waits, with what is looked up for it.
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

    /// Whether it is a page, which is planned alone: what is looked up for it is as of the moment before it.
    pub(crate) const fn is_page(&self) -> bool {
        matches!(self.action, ExchangeAction::Apply(_))
    }
}
