//! The source: a machine that makes requests and takes answers, without a network, a clock or a bank.

use serde_json::Value;
use thiserror::Error;
use vigie_formats::programme::{Fault, Key, Record, Tally};
use vigie_model::{SetDigest, UnixMillis};

use crate::asking::request::{Request, Response};

/// One round of one programme, from a stored place to the programme's present.
///
/// Always true: an answer that is refused with a [`Trouble`] changes nothing, so the same request can be made again. A place is given out
/// only with the page after which a follower may go on from there.
pub trait Source: Send + Sync {
    /// What the round needs next. Called again only after the request was answered and taken, or the page stored.
    fn next(&mut self) -> Result<Next, Trouble>;

    /// Takes the answer to the last request: one of success, or "not modified". `now` is the present time.
    fn take(&mut self, answer: &Response, now: UnixMillis) -> Result<Step, Trouble>;

    /// What follows an answer that is neither.
    fn refused(&mut self, answer: &Response) -> Refusal;

    /// Whether the round is one of everything that the programme has: records that it does not show are gone. Asked after pages, and at
    /// the end.
    fn is_full(&self) -> bool {
        false
    }

    /// The programme's time up to which everything was given out, where it has one.
    fn checkpoint(&self) -> Option<UnixMillis> {
        None
    }

    /// How many records the programme has now, where it says so with its pages: a round is then judged by what it would leave, and not by each
    /// withdrawal.
    fn total(&self) -> Option<u64> {
        None
    }

    /// The programme's name for the caller, where its credentials tell: what the caller says itself is no word of others.
    fn own_name(&self) -> Option<&str> {
        None
    }

    /// Whether what is stored is to be compared with what the programme says that it has. Asked at the end of a round.
    fn proof_is_due(&self) -> bool {
        false
    }

    /// Compares the set of the entries that are stored with the programme's.
    fn prove(&mut self, _stored: &SetDigest) -> Proof {
        Proof { at: Value::Null, is_proven: true }
    }
}

/// What a comparison of everything came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The place from now on.
    pub at: Value,
    /// Whether what is stored is what the programme has.
    pub is_proven: bool,
}

/// What a round needs next.
#[derive(Debug)]
pub enum Next {
    /// An answer to this request.
    Ask(Request),
    /// The page to be stored.
    Store(Page),
    /// Nothing: the round is complete.
    Done,
}

/// What an answer was.
#[derive(Debug)]
pub enum Step {
    /// A step on the way, such as a login.
    GoOn,
    /// A page to be stored.
    Store(Page),
}

/// A page to be stored, with the place after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The records, in the programme's order: of those with one key, the last counts.
    pub records: Vec<Record>,
    /// Counts of what was left out.
    pub tally: Tally,
    /// In a full round: keys that pages before showed, and that are gone since.
    pub gone: Vec<Key>,
    /// The place after the page.
    pub at: Value,
}

/// What follows a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The source goes another way: what it needs next may succeed.
    Again,
    /// The same request may succeed later.
    Later,
    /// The credentials are refused.
    Credentials,
    /// The request is refused, and nothing the source knows will change that.
    Stop,
}

/// Why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Trouble {
    /// The page cannot be read.
    #[error("{0}")]
    Page(#[from] Fault),
    /// The checkpoint is older than the one before.
    #[error("the programme's checkpoint went back")]
    Backward,
    /// The page leads to itself.
    #[error("the programme's pages lead in a circle")]
    Circle,
    /// The page leads to another origin, or the link is none.
    #[error("the programme's page leads to another place")]
    Link,
    /// The other deployment's list is not what it says of it.
    #[error("the list does not prove itself: {0}")]
    Proof(&'static str),
    /// The file cannot be read.
    #[error("{0}")]
    File(String),
    /// The stored place is of another version, or damaged.
    #[error("the stored place cannot be read")]
    Place,
}

impl Trouble {
    /// Whether another answer to the same request may be better: an answer that was cut off or garbled on its way.
    #[must_use]
    pub const fn is_passing(&self) -> bool {
        match self {
            Self::Page(_) => true,
            Self::Backward | Self::Circle | Self::Link | Self::Proof(_) | Self::File(_) | Self::Place => {
                false
            }
        }
    }
}

/// Reads a stored place; none is the default.
pub(crate) fn place<T: serde::de::DeserializeOwned + Default>(at: Option<&Value>) -> Result<T, Trouble> {
    match at {
        None => Ok(T::default()),
        Some(at) => serde_json::from_value(at.clone()).map_err(|_| Trouble::Place),
    }
}

/// Writes a place.
pub(crate) fn value<T: serde::Serialize>(place: &T) -> Value {
    // A place is a struct of numbers and texts, which JSON can always hold.
    serde_json::to_value(place).unwrap_or_default()
}

/// The longest link that a place keeps: with all else it fits into a cursor.
pub(crate) const LINK_LEN_MAX: usize = 2_048;
