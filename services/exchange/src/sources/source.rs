//! A source is a state machine that makes requests and accepts answers, without a network, a clock or a bank.

use serde_json::Value;
use thiserror::Error;
use vigie_formats::programme::{Fault, Key, Record, Tally};
use vigie_model::{SetDigest, UnixMillis};

use crate::asking::request::{Request, Response};

/// A round of one programme, from a stored position to the programme's present state.
///
/// Always true: an answer that is refused with a [`Trouble`] changes nothing, so the same request can be made
/// again. A position is returned only with the page after which a follower may continue from it.
pub trait Source: Send + Sync {
    /// Returns what the round needs next. Call it again only after the request was answered and the answer
    /// accepted, or the page stored.
    fn next(&mut self) -> Result<Next, Trouble>;

    /// Accepts a successful or "not modified" answer to the last request. `now` is the present time.
    fn take(&mut self, answer: &Response, now: UnixMillis) -> Result<Step, Trouble>;

    /// Decides after any other answer.
    fn refused(&mut self, answer: &Response) -> Refusal;

    /// Returns whether the round shows everything that the programme has, so that records which it does not
    /// show are gone. Called after pages, and at the end.
    fn is_full(&self) -> bool {
        false
    }

    /// Returns the programme's time up to which everything was returned, if it has one.
    fn checkpoint(&self) -> Option<UnixMillis> {
        None
    }

    /// Returns the number of records that the programme has now, if its pages report it. The round is then
    /// checked by what it would leave, not by each withdrawal.
    fn total(&self) -> Option<u64> {
        None
    }

    /// Returns the programme's name for the caller, if it is in the credentials. Opinions under this name are
    /// the caller's own.
    fn own_name(&self) -> Option<&str> {
        None
    }

    /// Returns whether the stored records have to be compared with the set that the programme reports. Called
    /// at the end of a round.
    fn proof_is_due(&self) -> bool {
        false
    }

    /// Compares the set of the stored entries with the programme's.
    fn prove(&mut self, _stored: &SetDigest) -> Proof {
        Proof { at: Value::Null, is_proven: true }
    }
}

/// The result of comparing everything.
#[derive(Debug, Clone, PartialEq)]
pub struct Proof {
    /// The position from now on.
    pub at: Value,
    /// Whether the stored records are those of the programme.
    pub is_proven: bool,
}

/// The next step of a round.
#[derive(Debug)]
pub enum Next {
    /// This request has to be answered.
    Ask(Request),
    /// This page has to be stored.
    Store(Page),
    /// The round is complete.
    Done,
}

/// The meaning of an answer.
#[derive(Debug)]
pub enum Step {
    /// An intermediate step, such as a login.
    GoOn,
    /// A page to be stored.
    Store(Page),
}

/// A page to be stored, with the position after it.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The records, in the programme's order. Of those with the same key, the last counts.
    pub records: Vec<Record>,
    /// Counts of what was omitted.
    pub tally: Tally,
    /// In a full round: keys that earlier pages showed, and that have been removed since.
    pub gone: Vec<Key>,
    /// The position after the page.
    pub at: Value,
}

/// The decision after a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The source changes its next request, which may succeed.
    Again,
    /// The same request may succeed later.
    Later,
    /// The credentials are refused.
    Credentials,
    /// The request is refused, and the source cannot change that.
    Stop,
}

/// Reasons why an answer cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Trouble {
    /// The page cannot be read.
    #[error("{0}")]
    Page(#[from] Fault),
    /// The checkpoint is older than the previous one.
    #[error("the programme's checkpoint went back")]
    Backward,
    /// The page links to itself, or says that there are more and does not lead to them.
    #[error(
        "the programme's pages do not advance: a page links to itself, or names no next page though there are more"
    )]
    Circle,
    /// The page links to another origin, or its link is invalid.
    #[error("a page of the programme links to another origin, or its link is invalid")]
    Link,
    /// The other deployment's list does not match its own proof.
    #[error("the other deployment's list does not match its own proof: {0}")]
    Proof(&'static str),
    /// The file cannot be read.
    #[error("{0}")]
    File(String),
    /// The stored position is from another version, or damaged.
    #[error("the stored position cannot be read")]
    Place,
}

impl Trouble {
    /// Returns whether another answer to the same request may be better, because this one may have been
    /// damaged on its way.
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

/// Reads a stored position. A missing one is the default.
pub(crate) fn place<T: serde::de::DeserializeOwned + Default>(at: Option<&Value>) -> Result<T, Trouble> {
    match at {
        None => Ok(T::default()),
        Some(at) => serde_json::from_value(at.clone()).map_err(|_| Trouble::Place),
    }
}

/// Converts a position to JSON.
pub(crate) fn value<T: serde::Serialize>(place: &T) -> Value {
    // A position is a struct of numbers and texts, which JSON can always represent.
    serde_json::to_value(place).unwrap_or_default()
}

/// The longest link in a position. With everything else, it fits into a cursor.
pub(crate) const LINK_LEN_MAX: usize = 2_048;
