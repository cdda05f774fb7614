//! Reasons why a round ended early.

use std::time::Duration;

use thiserror::Error;
use vigie_model::ItemId;

use crate::asking::fetch::FetchError;
use crate::bank::BankError;
use crate::credentials::CredentialsError;
use crate::cursor::{BadCursor, OutPlace};
use crate::sources::Trouble;
use crate::sources::settings::SettingsError;

/// A problem for a person. The exchange keeps its position, and tries again at its next round.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Alarm {
    /// The exchange's settings cannot be used.
    #[error("settings: {0}")]
    Settings(#[from] SettingsError),
    /// The stored cursor cannot be read.
    #[error("{0}")]
    Cursor(#[from] BadCursor),
    /// Credentials are missing.
    #[error("{0}")]
    NoCredentials(#[from] CredentialsError),
    /// The programme refuses the credentials. No further request is made until they change.
    #[error("the programme refuses the credentials (status {0})")]
    Credentials(u16),
    /// The programme refuses the request.
    #[error("the programme refuses the request (status {0})")]
    Refused(u16),
    /// The request cannot be made, or its answer cannot be accepted.
    #[error("{0}")]
    Fetch(FetchError),
    /// The answer is not a page to continue from.
    #[error("{0}; nothing was skipped")]
    Trouble(Trouble),
    /// A round would remove too much.
    #[error(
        "the round would remove {removed} of {known} records, more than {percent} %; nothing of it was applied; \
         if it is intended, raise `removal_percent_max` for one round"
    )]
    Removals {
        /// The records that it would remove.
        removed: u64,
        /// The records that are stored.
        known: u64,
        /// The share that it may remove, in percent.
        percent: u8,
    },
    /// A round has more pages than any programme has.
    #[error("the round was stopped after {0} pages, the most that one round fetches")]
    Pages(u64),
    /// The stored records are not those that the other deployment reports.
    #[error(
        "the stored records differ from the other deployment's list: the next round reads the whole list again"
    )]
    Differs,
    /// The position after a page is too long to be stored.
    #[error("the position after the programme's page is too long to be stored")]
    Place,
    /// Write-back would continue with another bank than before.
    #[error(
        "submit names another bank than before: what was submitted of the former one is not withdrawn; remove the exchange and add it anew"
    )]
    OtherBank,
    /// The programme refuses more items than can be kept for another submission.
    #[error(
        "the programme refuses item {item} (status {status}), and with it more than {max} items: nothing more is submitted until it takes some, or they are removed",
        max = OutPlace::IDS_MAX
    )]
    ManyRefused {
        /// The last item.
        item: ItemId,
        /// The status of the answer.
        status: u16,
    },
    /// More withdrawals could not be sent than can be kept.
    #[error("more than {max} withdrawals could not be sent, of items {}; ask for a round to go on", ids(.0), max = OutPlace::IDS_MAX)]
    ManyUnsent(Vec<u64>),
    /// The round is complete except for these items.
    #[error("{}", left_over(.refused, .unsent, *.more))]
    LeftOver {
        /// Items that the programme refuses.
        refused: Vec<u64>,
        /// Removed items whose withdrawal could not be sent.
        unsent: Vec<u64>,
        /// The number of further items.
        more: u64,
    },
    /// The round is complete except for the opinions on these items.
    #[error("{}", unsaid(.refused, *.more))]
    Unsaid {
        /// Items whose opinion the programme refuses.
        refused: Vec<u64>,
        /// The number of further items.
        more: u64,
    },
    /// Both rounds of one exchange, that of own items and that of opinions, have an alarm.
    #[error("{0}; {1}")]
    Both(Box<Alarm>, Box<Alarm>),
    /// The bank refuses what would be stored.
    #[error("{0}")]
    Bank(BankError),
}

impl Alarm {
    /// Returns a short name for metrics.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Settings(_) => "settings",
            Self::Cursor(_) => "cursor",
            Self::NoCredentials(_) | Self::Credentials(_) => "credentials",
            Self::Refused(_) => "refused",
            Self::Fetch(_) => "fetch",
            Self::Trouble(Trouble::Page(_) | Trouble::File(_)) => "page",
            Self::Trouble(Trouble::Proof(_)) | Self::Differs => "proof",
            Self::Trouble(Trouble::Backward) => "backward",
            Self::Trouble(Trouble::Circle | Trouble::Link | Trouble::Place)
            | Self::Pages(_)
            | Self::Place => "paging",
            Self::Removals { .. } => "removals",
            Self::OtherBank | Self::ManyRefused { .. } | Self::ManyUnsent(_) | Self::LeftOver { .. } => {
                "write_back"
            }
            Self::Unsaid { .. } => "feedback",
            Self::Both(first, _) => first.name(),
            Self::Bank(_) => "bank",
        }
    }

    /// Returns whether the alarm is about what the programme shares, so that write-back may continue.
    pub(crate) const fn is_of_pages(&self) -> bool {
        matches!(self, Self::Trouble(_) | Self::Removals { .. } | Self::Pages(_) | Self::Place)
    }
}

/// Returns the ids of items, separated by commas.
fn ids(items: &[u64]) -> String {
    items.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

fn unsaid(refused: &[u64], more: u64) -> String {
    let named = ids(refused);
    let more = match (refused.is_empty(), more) {
        (_, 0) => String::new(),
        (true, more) => format!("{more} items, which the log names"),
        (false, more) => format!(" and {more} more, which the log names"),
    };
    let items = if refused.is_empty() { more } else { format!("items {named}{more}") };
    format!(
        "the programme refuses the opinion on {items}; it is sent again when they change, or when somebody asks for a round"
    )
}

fn left_over(refused: &[u64], unsent: &[u64], more: u64) -> String {
    let mut parts = Vec::new();
    if !refused.is_empty() {
        parts.push(format!("the programme refuses items {}, which every round submits again", ids(refused)));
    }
    if !unsent.is_empty() {
        let more = if more > 0 { format!(" and {more} more, which the log names,") } else { String::new() };
        parts.push(format!(
            "the withdrawal of items {}{more} could not be sent, because the bank no longer has their hashes or the programme refuses it: \
             withdraw them at the programme, then ask for a round",
            ids(unsent)
        ));
    }
    parts.join("; ")
}

/// Reasons why a round ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// An alarm for a person.
    Alarm(Alarm),
    /// The programme does not answer now. With the reason, and the pause that it requested, if it did.
    Passing(String, Option<Duration>),
    /// The bank cannot store now what is fetched, or no longer accepts it from this process.
    Bank(BankError),
}

impl From<Alarm> for Failure {
    fn from(alarm: Alarm) -> Self {
        Self::Alarm(alarm)
    }
}

impl From<BankError> for Failure {
    fn from(error: BankError) -> Self {
        match error {
            BankError::Refused(_) => Self::Alarm(Alarm::Bank(error)),
            BankError::Unavailable(_) | BankError::LeaseLost | BankError::Moved | BankError::Gone => {
                Self::Bank(error)
            }
        }
    }
}
