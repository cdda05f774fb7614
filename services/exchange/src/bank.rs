//! The bank as exchanges need it: a trait, so that tests have one in memory.

mod own;
mod said;
pub(crate) mod remote;
mod reading;
mod speaking;

use std::future::Future;
use std::time::Duration;

use thiserror::Error;
use vigie_consortium::{Details, ForeignOpinion};
use vigie_formats::programme::Key;
use vigie_model::{BankId, Hash, ItemContent, ItemId, Sequence, UnixMillis};

pub use self::own::{ChangePage, ItemChange, ItemState, Reader};
pub use self::said::{OwnWord, RecordsOfItem, SaidOfItem, SaidPage};
use crate::secret::Secret;

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
    fn exchange(&self, id: ExchangeId) -> impl Future<Output = Result<Exchange, BankError>> + Send;

    /// Stores a part of a page.
    fn apply(
        &self,
        exchange: ExchangeId,
        lease: &Lease,
        part: Part,
    ) -> impl Future<Output = Result<Applied, BankError>> + Send;

    /// The keys of the records that an exchange has stored, a page at a time, from a token of the page before.
    fn keys(
        &self,
        exchange: ExchangeId,
        after: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<KeyPage, BankError>> + Send;

    /// What the programme said of the records that an exchange has stored ([`Put::foreign`]), a page at a time, from a token of the page before.
    fn foreign(
        &self,
        exchange: ExchangeId,
        after: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<ForeignPage, BankError>> + Send;

    /// Stores how an exchange is.
    fn report(
        &self,
        exchange: ExchangeId,
        lease: &Lease,
        report: &Report,
    ) -> impl Future<Output = Result<(), BankError>> + Send;

    /// The id of a reader's bank, which has to belong to the member whose exchange this is.
    fn own_bank(
        &self,
        exchange: ExchangeId,
        reader: &Reader,
    ) -> impl Future<Output = Result<BankId, BankError>> + Send;

    /// A page of the changes of a reader's bank after a sequence, of at most so many items, 1 to 1,000.
    fn changes(
        &self,
        reader: &Reader,
        after: Sequence,
        count_max: u16,
    ) -> impl Future<Output = Result<ChangePage, BankError>> + Send;

    /// A page of what the member of a key says of the items of an exchange's bank, after a sequence, of at most so many items, 1 to 1,000. Without
    /// what it has by programmes. The member has to be the one whose exchange it is; an empty key is for banks without members.
    fn said(
        &self,
        exchange: ExchangeId,
        key: &Secret,
        after: Sequence,
        count_max: u16,
    ) -> impl Future<Output = Result<SaidPage, BankError>> + Send;

    /// The records of an exchange that are an item, as the member of a key reads it; `None` where none is, and where the item is gone.
    fn records_of(
        &self,
        exchange: ExchangeId,
        key: &Secret,
        item: ItemId,
    ) -> impl Future<Output = Result<Option<RecordsOfItem>, BankError>> + Send;

    /// The hashes of an item of a reader's bank that is its own, there and not held; `None` of another.
    fn own_item(
        &self,
        reader: &Reader,
        item: ItemId,
    ) -> impl Future<Output = Result<Option<Vec<Hash>>, BankError>> + Send;
}

/// Exchanges of one deployment.
pub const EXCHANGES_MAX: usize = 500;

/// Records of one part.
pub const PART_RECORDS_MAX: usize = 1_000;

/// The right to store what exchanges fetch. The bank refuses the one that was replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(pub u64);

/// The id of an exchange, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// One exchange, as the bank keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The id.
    pub id: ExchangeId,
    /// The name, unique among the exchanges of a member. Origins of its items name it as their programme.
    pub name: String,
    /// The member whose bank gets its items; `None` for the host.
    pub member: Option<String>,
    /// The programme's interface: see [`Api`](crate::Api).
    pub api: String,
    /// Settings of the interface, a JSON object without credentials.
    pub config: String,
    /// Whether it is followed.
    pub enabled: bool,
    /// Seconds between rounds; `None` for the configuration's default.
    pub interval_s: Option<u64>,
    /// The stored cursor; empty at the beginning.
    pub cursor: Vec<u8>,
    /// A number that grows when somebody asks for a round at once.
    pub fetch_requests: u64,
    /// How it was when that was reported last.
    pub report: Report,
}

impl Exchange {
    /// The name in logs and metrics: with its member, where that is not the host.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.member {
            Some(member) => format!("{member}/{}", self.name),
            None => self.name.clone(),
        }
    }
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
    /// The programme's time up to which everything is stored with this part, where it has one.
    pub checkpoint: Option<UnixMillis>,
}

/// What a part changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Applied {
    /// Items that were added to the bank.
    pub added: u64,
    /// Items that were removed from the bank.
    pub removed: u64,
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
    /// What the programme's members say of it; `None` where they say nothing.
    pub opinion: Option<ForeignOpinion>,
}

/// A page of what a programme said of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignPage {
    /// A JSON object for each record.
    pub foreign: Vec<String>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Vec<u8>>,
}

/// A page of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPage {
    /// Keys of stored records.
    pub keys: Vec<Key>,
    /// Where the next page begins; `None` after the last.
    pub next: Option<Vec<u8>>,
}

/// How an exchange is, for those who look after it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// When the round that runs began; `None` between rounds.
    pub running_since: Option<UnixMillis>,
    /// When the last round ended.
    pub ended_at: Option<UnixMillis>,
    /// Whether the last round reached its end; `None` before the first one ends.
    pub succeeded: Option<bool>,
    /// The request for a round at once that the last round answers.
    pub fetch_request: u64,
    /// What a person has to look at; empty for nothing.
    pub alarm: String,
}

impl Report {
    /// Bytes of an alarm.
    pub const ALARM_LEN_MAX: usize = 1_024;
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
