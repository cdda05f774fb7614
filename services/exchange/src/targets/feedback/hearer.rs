//! The hearer: makes the requests that tell a programme of opinions, and reads their answers, without a network, a clock or a bank.

use vigie_consortium::OpinionReason;
use vigie_model::{Hash, ItemId, OpinionKind};

use crate::asking::request::{Request, Response};
use crate::sources::Trouble;
use crate::targets::target::Denial;

/// The side of a programme that takes opinions.
///
/// Always true: a request that is made again changes nothing more. Sayings are those that it [hears](Self::hears).
pub(crate) trait Hearer: Send + Sync {
    /// The most sayings of one request.
    fn batch_max(&self) -> usize;

    /// Whether the programme has a word for it.
    fn hears(&self, saying: &Saying) -> bool;

    /// Tells the programme of opinions, at most [`Self::batch_max`], or asks for what is needed to do that.
    fn say(&self, sayings: &[Saying]) -> Result<Request, Trouble>;

    /// Whether [`Self::say`] asks for one object of the programme, which may be gone. Elsewhere a status that says so means that the endpoint is not
    /// there: the address is wrong, or the programme is down. The requests of [`Self::said`] are all for one object.
    fn says_to_one_object(&self) -> bool;

    /// Reads the answer of success to [`Self::say`]: the requests that follow it, none where everything is said.
    fn said(&self, sayings: &[Saying], answer: &Response) -> Result<Vec<Request>, Trouble>;

    /// Judges an answer that is not one of success.
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
    /// The opinion; `None` where it was taken back.
    pub(crate) kind: Option<OpinionKind>,
    /// Why, of a negative opinion.
    pub(crate) reason: Option<OpinionReason>,
    /// The word that the member gave itself for it, in the words of a programme; empty for none.
    pub(crate) word: String,
}

impl Saying {
    /// The programme's word for the type, with which the key of a record begins that its hash identifies.
    pub(super) fn kind_of_key(&self) -> &str {
        self.key.split_once(':').map_or("", |(kind, _)| kind)
    }
}
