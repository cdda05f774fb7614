//! The target: makes the requests that tell a programme of hashes, and reads their answers, without a network, a clock or a bank.

use vigie_model::{Hash, UnixMillis};

use crate::asking::pacing::is_passing;
use crate::asking::request::{Request, Response};
use crate::sources::Trouble;

/// The side of a programme that takes submissions.
///
/// Always true: a request that is made again changes nothing more. Hashes are those that the target [takes](Self::takes).
pub(crate) trait Target: Send + Sync {
    /// The most hashes of one request.
    fn batch_max(&self) -> usize;

    /// Whether the programme has a word for the hash, among those of the settings. Programmes have words for digests of videos: what a picture has
    /// beside its perceptual hash is taken only where the settings name the word.
    fn takes(&self, hash: &Hash, of_picture: bool) -> bool;

    /// Submits hashes, at most [`Self::batch_max`].
    fn submit(&self, hashes: &[Submission]) -> Result<Request, Trouble>;

    /// Reads the answer of success to a submission.
    fn submitted(&self, answer: &Response) -> Result<(), Trouble>;

    /// Withdraws hashes, at most [`Self::batch_max`], or asks for what is needed to do that.
    fn withdraw(&self, hashes: &[Hash]) -> Result<Request, Trouble>;

    /// Reads the answer of success to [`Self::withdraw`]: the deletions that follow it, or `None` where the hashes are withdrawn with it.
    fn withdrawn(&self, hashes: &[Hash], answer: &Response) -> Result<Option<Vec<Request>>, Trouble>;

    /// Reads the answer of success to a deletion.
    fn deleted(&self, answer: &Response) -> Result<(), Trouble>;

    /// Judges an answer that is not one of success.
    fn denied(&self, answer: &Response) -> Denial;
}

/// A hash to submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Submission {
    /// The hash.
    pub(crate) hash: Hash,
    /// When its item was last changed.
    pub(crate) changed_at: UnixMillis,
}

/// Why a programme did not do what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// The same request may succeed later.
    Later,
    /// The credentials are refused.
    Credentials,
    /// One of the hashes is refused, or what is said of it.
    Content,
    /// What the request is for is not there: one object of the programme, or the endpoint itself. Which of them it is depends on the request.
    Gone,
    /// The request is refused, whatever it holds.
    Stop,
}

/// Judges an answer that is not one of success by its status.
pub(crate) fn by_status(answer: &Response) -> Denial {
    match answer.status {
        401 | 403 => Denial::Credentials,
        400 | 409 | 413 | 422 => Denial::Content,
        404 | 410 => Denial::Gone,
        status if is_passing(status) => Denial::Later,
        _ => Denial::Stop,
    }
}
