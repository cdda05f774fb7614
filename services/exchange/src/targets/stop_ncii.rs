//! StopNCII: `SubmitHashes`, with the feedback that the platform blocks the hash, and `SubmitFeedback`, which
//! withdraws it.
//!
//! The programme has no call that removes a submitted hash. A withdrawal is the platform's feedback
//! `Withdrawn`: it affects only the platform's own feedback, and the hash stays as long as others have cases
//! with it. Feedback names no type, but the values of the types that can be submitted differ in length, so a
//! value belongs to one type only. The programme does not report which hashes a platform has submitted.

use url::Url;
use vigie_formats::stop_ncii::submission::{
    SubmittedFeedback, SubmittedHash, render_feedback, render_hashes,
};
use vigie_model::{Hash, HashType, UnixMillis};

use super::target::{Denial, Submission, Target, by_status};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;
use crate::sources::Trouble;

/// The most hashes of one request. The programme states no limit; its pages have 800.
pub(super) const BATCH_MAX: usize = 100;

/// Submits to StopNCII.
#[derive(Debug)]
pub(crate) struct StopNcii {
    base: Url,
    tags: Vec<String>,
    types: Vec<String>,
    submit_key: Secret,
    feedback_key: Secret,
    subscription_key: Secret,
}

impl StopNcii {
    pub(crate) fn open(base: Url, tags: Vec<String>, types: Vec<String>, credentials: &Credentials) -> Self {
        let secret = |field| Secret::new(credentials.get(field).to_owned());
        let (submit_key, feedback_key) = (secret("submit_key"), secret("feedback_key"));
        Self { base, tags, types, submit_key, feedback_key, subscription_key: secret("subscription_key") }
    }

    fn record(&self, hash: &Hash, changed_at: UnixMillis) -> Option<SubmittedHash> {
        SubmittedHash::blocked(hash, &self.types, &self.tags, changed_at)
    }

    fn post(&self, call: &str, key: &Secret, body: Vec<u8>) -> Result<Request, Trouble> {
        let text = format!("{}/{call}", self.base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|_| Trouble::Link)?;
        // The body is JSON that was just written, so it is valid UTF-8.
        let body = Secret::new(String::from_utf8(body).unwrap_or_default());
        Ok(Request::json(url, body)
            .with("x-functions-key", key.clone())
            .with("Ocp-Apim-Subscription-Key", self.subscription_key.clone()))
    }
}

impl Target for StopNcii {
    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn takes(&self, hash: &Hash, of_picture: bool) -> bool {
        let is_meant = !of_picture || hash.hash_type() == HashType::PDQ || !self.types.is_empty();
        is_meant && self.record(hash, UnixMillis(0)).is_some()
    }

    fn submit(&self, hashes: &[Submission]) -> Result<Request, Trouble> {
        let records: Vec<SubmittedHash> =
            hashes.iter().filter_map(|one| self.record(&one.hash, one.changed_at)).collect();
        self.post("SubmitHashes", &self.submit_key, render_hashes(&records))
    }

    fn submitted(&self, _answer: &Response) -> Result<(), Trouble> {
        Ok(())
    }

    fn withdraw(&self, hashes: &[Hash]) -> Result<Request, Trouble> {
        let feedback: Vec<SubmittedFeedback> = hashes.iter().map(SubmittedFeedback::withdrawn).collect();
        self.post("SubmitFeedback", &self.feedback_key, render_feedback(&feedback))
    }

    fn withdrawn(&self, _hashes: &[Hash], _answer: &Response) -> Result<Option<Vec<Request>>, Trouble> {
        Ok(None)
    }

    fn deleted(&self, _answer: &Response) -> Result<(), Trouble> {
        Ok(())
    }

    fn denied(&self, answer: &Response) -> Denial {
        by_status(answer)
    }
}
