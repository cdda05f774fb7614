//! The operations of the bank that exchanges need. They are a trait, so that tests can use a bank in memory.

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

/// The operations of the bank that exchanges need.
///
/// Always true: the records of a part, its withdrawals and its cursor are stored in one transaction.
/// Withdrawals of a part are applied before its other records. Applying a part again changes nothing.
pub trait Bank: Send + Sync + 'static {
    /// Takes or renews the lease under which one process of the deployment follows all exchanges. Returns
    /// `None` while another process holds it.
    fn lease(&self, ttl: Duration) -> impl Future<Output = Result<Option<Lease>, BankError>> + Send;

    /// Returns the exchanges of the deployment, at most [`EXCHANGES_MAX`].
    fn exchanges(&self) -> impl Future<Output = Result<Vec<Exchange>, BankError>> + Send;

    /// Returns one exchange with its present cursor.
    fn exchange(&self, id: ExchangeId) -> impl Future<Output = Result<Exchange, BankError>> + Send;

    /// Stores a part of a page.
    fn apply(
        &self,
        exchange: ExchangeId,
        lease: &Lease,
        part: Part,
    ) -> impl Future<Output = Result<Applied, BankError>> + Send;

    /// Returns a page of the keys of the records that an exchange has stored. `after` is the token of the
    /// previous page.
    fn keys(
        &self,
        exchange: ExchangeId,
        after: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<KeyPage, BankError>> + Send;

    /// Returns a page of the programme's own texts ([`Put::foreign`]) of the records that an exchange has
    /// stored. `after` is the token of the previous page.
    fn foreign(
        &self,
        exchange: ExchangeId,
        after: Option<Vec<u8>>,
    ) -> impl Future<Output = Result<ForeignPage, BankError>> + Send;

    /// Stores the report of an exchange.
    fn report(
        &self,
        exchange: ExchangeId,
        lease: &Lease,
        report: &Report,
    ) -> impl Future<Output = Result<(), BankError>> + Send;

    /// Returns the id of a reader's bank. The bank must belong to the member who owns the exchange.
    fn own_bank(
        &self,
        exchange: ExchangeId,
        reader: &Reader,
    ) -> impl Future<Output = Result<BankId, BankError>> + Send;

    /// Returns a page of the changes of a reader's bank after a sequence, with at most `count_max` items, 1
    /// to 1,000.
    fn changes(
        &self,
        reader: &Reader,
        after: Sequence,
        count_max: u16,
    ) -> impl Future<Output = Result<ChangePage, BankError>> + Send;

    /// Returns a page of the opinions of a key's member on the items of an exchange's bank, after a sequence,
    /// with at most `count_max` items, 1 to 1,000. Opinions that came from programmes are left out. The
    /// member must own the exchange; an empty key is for deployments without members.
    fn said(
        &self,
        exchange: ExchangeId,
        key: &Secret,
        after: Sequence,
        count_max: u16,
    ) -> impl Future<Output = Result<SaidPage, BankError>> + Send;

    /// Returns the records of an exchange that are one item, as the member of a key may read it; `None` if
    /// there is none, or if the item is gone.
    fn records_of(
        &self,
        exchange: ExchangeId,
        key: &Secret,
        item: ItemId,
    ) -> impl Future<Output = Result<Option<RecordsOfItem>, BankError>> + Send;

    /// Returns the hashes of an item of a reader's bank if the item is the bank's own, exists and is not
    /// held; otherwise `None`.
    fn own_item(
        &self,
        reader: &Reader,
        item: ItemId,
    ) -> impl Future<Output = Result<Option<Vec<Hash>>, BankError>> + Send;
}

/// The most exchanges of one deployment.
pub const EXCHANGES_MAX: usize = 500;

/// The most records of one part.
pub const PART_RECORDS_MAX: usize = 1_000;

/// The right to store what exchanges fetch. The bank refuses a lease that has been replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease(pub u64);

/// The id of an exchange, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeId(pub u64);

/// An exchange, as the bank stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The id.
    pub id: ExchangeId,
    /// The name, unique among the exchanges of a member. The origins of its items have it as their programme.
    pub name: String,
    /// The member whose bank gets its items; `None` for the host.
    pub member: Option<String>,
    /// The programme's interface: see [`Api`](crate::Api).
    pub api: String,
    /// Settings of the interface, a JSON object without credentials.
    pub config: String,
    /// Whether the exchange is followed.
    pub enabled: bool,
    /// Seconds between rounds; `None` for the configuration's default.
    pub interval_s: Option<u64>,
    /// The stored cursor; empty at the beginning.
    pub cursor: Vec<u8>,
    /// A number that grows with each request for an immediate round.
    pub fetch_requests: u64,
    /// The last report.
    pub report: Report,
}

impl Exchange {
    /// Returns the name for logs and metrics. It includes the member, unless that is the host.
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
    /// The cursor that the bank must have stored; otherwise it refuses the part with [`BankError::Moved`].
    pub expected: Vec<u8>,
    /// The cursor after the part.
    pub cursor: Vec<u8>,
    /// Keys of records to remove. They may be unknown.
    pub withdrawn: Vec<Key>,
    /// Records to add, or to replace by their keys.
    pub puts: Vec<Put>,
    /// The programme's time up to which everything is stored with this part, if it has one.
    pub checkpoint: Option<UnixMillis>,
}

/// The changes that a part made.
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
    /// The programme's own text: a JSON object of at most 4,096 bytes.
    pub foreign: String,
    /// The opinion of the programme's members; `None` if they have none.
    pub opinion: Option<ForeignOpinion>,
}

/// A page of the programme's own texts of records.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ForeignPage {
    /// A JSON object for each record.
    pub foreign: Vec<String>,
    /// The token of the next page; `None` after the last.
    pub next: Option<Vec<u8>>,
}

/// A page of keys.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyPage {
    /// Keys of stored records.
    pub keys: Vec<Key>,
    /// The token of the next page; `None` after the last.
    pub next: Option<Vec<u8>>,
}

/// The state of an exchange, for those who operate it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// The beginning of the running round; `None` between rounds.
    pub running_since: Option<UnixMillis>,
    /// The end of the last round.
    pub ended_at: Option<UnixMillis>,
    /// Whether the last round reached its end; `None` before the first one ends.
    pub succeeded: Option<bool>,
    /// The request for an immediate round that the last round answered.
    pub fetch_request: u64,
    /// The alarm for a person; empty if there is none.
    pub alarm: String,
}

impl Report {
    /// The most bytes of an alarm.
    pub const ALARM_LEN_MAX: usize = 1_024;
}

/// Reasons why the bank did not carry out a call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BankError {
    /// The bank cannot be reached, or is busy. The same call may succeed later.
    #[error("the bank does not answer: {0}")]
    Unavailable(String),
    /// Another process follows the exchanges.
    #[error("the lease is lost")]
    LeaseLost,
    /// The stored cursor has changed. The round starts again from it.
    #[error("the stored cursor has changed")]
    Moved,
    /// The exchange or its bank no longer exists.
    #[error("the exchange no longer exists")]
    Gone,
    /// The bank refuses the call.
    #[error("the bank refuses: {0}")]
    Refused(String),
}
