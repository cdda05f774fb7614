//! A hearer makes the requests that send opinions to a programme, and reads their answers, without a network,
//! a clock or a bank.

use vigie_consortium::OpinionReason;
use vigie_model::{Hash, ItemId, OpinionKind};

use crate::asking::request::{Request, Response};
use crate::sources::Trouble;
use crate::targets::target::Denial;

/// A programme that accepts opinions.
///
/// Always true: repeating a request changes nothing more. All sayings that are passed in are ones that the
/// hearer [hears](Self::hears).
pub(crate) trait Hearer: Send + Sync {
    /// Returns the most sayings of one request.
    fn batch_max(&self) -> usize;

    /// Returns whether the programme has a word for the saying.
    fn hears(&self, saying: &Saying) -> bool;

    /// Returns the request that sends opinions, at most [`Self::batch_max`], or that searches for what is
    /// needed to send them.
    fn say(&self, sayings: &[Saying]) -> Result<Request, Trouble>;

    /// Returns whether the request of [`Self::say`] is for one object of the programme, which may be gone.
    /// For any other request, such a status means that the endpoint is missing: the address is wrong, or the
    /// programme is down. The requests of [`Self::said`] are always for one object.
    fn says_to_one_object(&self) -> bool;

    /// Reads the successful answer to [`Self::say`]. Returns the requests that have to follow; none if
    /// everything is sent.
    fn said(&self, sayings: &[Saying], answer: &Response) -> Result<Vec<Request>, Trouble>;

    /// Classifies an answer without success.
    fn denied(&self, answer: &Response) -> Denial;
}

/// An opinion on one hash of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Saying {
    /// The item.
    pub(crate) item: ItemId,
    /// The programme's key of the record.
    pub(crate) key: String,
    /// The hash.
    pub(crate) hash: Hash,
    /// The opinion; `None` if it was withdrawn.
    pub(crate) kind: Option<OpinionKind>,
    /// The reason of a negative opinion.
    pub(crate) reason: Option<OpinionReason>,
    /// The word that the member chose for it in a programme's vocabulary; empty for none.
    pub(crate) word: String,
}

impl Saying {
    /// Returns the programme's name for the type. The key of a record that its hash identifies begins with
    /// it.
    pub(super) fn kind_of_key(&self) -> &str {
        self.key.split_once(':').map_or("", |(kind, _)| kind)
    }
}
