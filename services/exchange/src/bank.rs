//! The bank as exchanges need it: a trait, so that tests have one in memory.

use std::future::Future;
use std::time::Duration;

use thiserror::Error;
use vigie_consortium::Details;
use vigie_formats::programme::Key;
use vigie_model::{ItemContent, UnixMillis};

/// The bank as exchanges need it.
///
/// Always true: the records of a part, its withdrawals and its cursor are stored in one transaction. Withdrawals of a part are applied
/// before its other records. A part that is applied again changes nothing.
pub trait Bank: Send + Sync + 'static {
    /// Takes or renews the lease under which one process of the deployment follows all exchanges; `None` while another has it.
    fn lease(&self, ttl: Duration) -> impl Future<Output = Result<Option<Lease>, BankError>> + Send;

    /// The exchanges of the deployment, at most [`EXCHANGES_MAX`].
    fn exchanges(&self) -> impl Future<Output = Result<Vec<Exchange>, BankError>> + Send;

    /// One exchange, with its present cursor.
    fn exchange(&self, name: &str) -> impl Future<Output = Result<Exchange, BankError>> + Send;

    /// Stores a part of a page.
    fn apply(
        &self,
        exchange: &str,
        lease: &Lease,
        part: Part,
    ) -> impl Future<Output = Result<(), BankError>> + Send;

    /// The keys of the records that an exchange has stored, a page at a time, from a token of the page before.
    fn keys(
        &self,
        exchange: &Exchange,
        after: Option<String>,
    ) -> impl Future<Output = Result<KeyPage, BankError>> + Send;

    /// Stores how an exchange is.
    fn report(
        &self,
        exchange: &str,
        lease: &Lease,
        report: &Report,
    ) -> impl Future<Output = Result<(), BankError>> + Send;
}

/// Exchanges of one deployment.
pub const EXCHANGES_MAX: usize = 256;

/// Records of one part.
pub const PART_RECORDS_MAX: usize = 1_000;

/// The right to store what exchanges fetch. The bank refuses the one that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(pub String);

/// One exchange, as the bank keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The name, unique within the deployment. Origins of its items name it as their programme.
    pub name: String,
    /// The programme's interface: see [`Api`](crate::Api).
    pub api: String,
    /// The bank that gets its items.
    pub bank: String,
    /// Settings of the interface, a JSON object without credentials.
    pub config: String,
    /// Whether it is followed.
    pub enabled: bool,
    /// Seconds between rounds; `None` for the configuration's default.
    pub interval_s: Option<u64>,
    /// The stored cursor; empty at the beginning.
    pub cursor: Vec<u8>,
    /// Records that it has stored.
    pub record_count: u64,
    /// A number that grows when somebody asks for a round at once.
    pub fetch_requests: u64,
}

/// A part of a page: at most [`PART_RECORDS_MAX`] records.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The cursor that the bank must have; a part on another is refused with [`BankError::Moved`].
    pub expected: Vec<u8>,
    /// The cursor after the part.
    pub cursor: Vec<u8>,
    /// Keys of records to remove, known or not.
    pub withdrawn: Vec<Key>,
    /// Records to add, or to replace by their keys.
    pub puts: Vec<Put>,
}

/// A record to add, or to replace by its key.
#[derive(Debug, Clone, PartialEq)]
pub struct Put {
    /// The key within the programme.
    pub key: Key,
    /// Hashes and labels.
    pub content: ItemContent,
    /// Classification.
    pub details: Details,
    /// Foreign words: a JSON object of at most 4,096 bytes.
    pub foreign: String,
}

/// A page of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPage {
    /// Keys of stored records.
    pub keys: Vec<Key>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<String>,
}

/// How an exchange is, for those who look after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// When the last round began.
    pub began_at: Option<UnixMillis>,
    /// When the last round that reached its end did so.
    pub completed_at: Option<UnixMillis>,
    /// Whether the last round reached its end.
    pub succeeded: bool,
    /// The programme's time up to which everything is stored, where it has one.
    pub checkpoint_at: Option<UnixMillis>,
    /// Records of the last round.
    pub fetched: u64,
    /// The request for a round at once that the last round answers.
    pub fetch_request: u64,
    /// What a person has to look at; empty for nothing.
    pub alarm: String,
}

/// Why the bank did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BankError {
    /// The bank cannot be reached, or is busy: the same call may succeed later.
    #[error("the bank does not answer: {0}")]
    Unavailable(String),
    /// Another process follows the exchanges.
    #[error("the lease is lost")]
    LeaseLost,
    /// The stored cursor is another one: the round begins anew from it.
    #[error("the stored cursor is another one")]
    Moved,
    /// The exchange or its bank is no more.
    #[error("the exchange is no longer there")]
    Gone,
    /// The bank refuses the call as it is.
    #[error("the bank refuses: {0}")]
    Refused(String),
}
