//! A target makes the requests that send hashes to a programme, and reads their answers, without a network, a
//! clock or a bank.

use vigie_model::{Hash, UnixMillis};

use crate::asking::pacing::is_passing;
use crate::asking::request::{Request, Response};
use crate::sources::Trouble;

/// A programme that accepts submissions.
///
/// Always true: repeating a request changes nothing more. All hashes that are passed in are ones that the
/// target [takes](Self::takes).
pub(crate) trait Target: Send + Sync {
    /// Returns the most hashes of one request.
    fn batch_max(&self) -> usize;

    /// Returns whether the programme has a name for the hash's type, among those of the settings. The
    /// programmes' names for digests mean videos, so a picture's other hashes are accepted only if the
    /// settings name their type.
    fn takes(&self, hash: &Hash, of_picture: bool) -> bool;

    /// Returns the request that submits hashes, at most [`Self::batch_max`].
    fn submit(&self, hashes: &[Submission]) -> Result<Request, Trouble>;

    /// Reads the successful answer to a submission.
    fn submitted(&self, answer: &Response) -> Result<(), Trouble>;

    /// Returns the request that withdraws hashes, at most [`Self::batch_max`], or that searches for what has
    /// to be deleted.
    fn withdraw(&self, hashes: &[Hash]) -> Result<Request, Trouble>;

    /// Reads the successful answer to [`Self::withdraw`]. Returns the deletions that have to follow, or
    /// `None` if the hashes are withdrawn already.
    fn withdrawn(&self, hashes: &[Hash], answer: &Response) -> Result<Option<Vec<Request>>, Trouble>;

    /// Reads the successful answer to a deletion.
    fn deleted(&self, answer: &Response) -> Result<(), Trouble>;

    /// Classifies an answer without success.
    fn denied(&self, answer: &Response) -> Denial;
}

/// A hash to submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submission {
    /// The hash.
    pub(crate) hash: Hash,
    /// The time when its item was last changed.
    pub(crate) changed_at: UnixMillis,
}

/// Reasons why a programme did not carry out a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The same request may succeed later.
    Later,
    /// The credentials are refused.
    Credentials,
    /// The programme refuses one of the hashes, or information about it.
    Content,
    /// The object of the request does not exist: one object of the programme, or the endpoint itself,
    /// depending on the request.
    Gone,
    /// The request is refused, whatever it contains.
    Stop,
}

/// Classifies an answer without success by its status.
pub(crate) fn by_status(answer: &Response) -> Denial {
    match answer.status {
        401 | 403 => Denial::Credentials,
        400 | 409 | 413 | 422 => Denial::Content,
        404 | 410 => Denial::Gone,
        status if is_passing(status) => Denial::Later,
        _ => Denial::Stop,
    }
}
