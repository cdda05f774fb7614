//! StopNCII: `SubmitFeedback`. The newest feedback of a platform on a hash counts, and `Withdrawn` cancels
//! it.

use url::Url;
use vigie_formats::stop_ncii::FeedbackValue;
use vigie_formats::stop_ncii::submission::{SubmittedFeedback, render_feedback, signal_types};
use vigie_model::OpinionKind;

use super::hearer::{Hearer, Saying};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;
use crate::sources::Trouble;
use crate::targets::stop_ncii::BATCH_MAX;
use crate::targets::target::{Denial, by_status};

/// Sends opinions to StopNCII.
#[derive(Debug)]
pub(crate) struct StopNcii {
    base: Url,
    tags: Vec<String>,
    feedback_key: Secret,
    subscription_key: Secret,
}

impl StopNcii {
    pub(crate) fn open(base: Url, tags: Vec<String>, credentials: &Credentials) -> Self {
        let secret = |field| Secret::new(credentials.get(field).to_owned());
        Self {
            base,
            tags,
            feedback_key: secret("feedback_key"),
            subscription_key: secret("subscription_key"),
        }
    }
}

/// Returns the programme's word for an opinion.
pub(super) const fn word_for(kind: Option<OpinionKind>) -> FeedbackValue {
    match kind {
        Some(OpinionKind::Positive) => FeedbackValue::Blocked,
        Some(OpinionKind::Negative) => FeedbackValue::NotBlocked,
        Some(OpinionKind::Seen) => FeedbackValue::PendingReview,
        None => FeedbackValue::Withdrawn,
    }
}

impl Hearer for StopNcii {
    fn batch_max(&self) -> usize {
        BATCH_MAX
    }

    fn hears(&self, saying: &Saying) -> bool {
        signal_types().any(|word| word == saying.kind_of_key())
    }

    fn say(&self, sayings: &[Saying]) -> Result<Request, Trouble> {
        let feedback = |one: &Saying| {
            // A withdrawal has no tags.
            let tags = if one.kind.is_some() { &self.tags[..] } else { &[] };
            SubmittedFeedback::of(&one.hash, word_for(one.kind), tags)
        };
        let feedback: Vec<SubmittedFeedback> = sayings.iter().map(feedback).collect();
        let text = format!("{}/SubmitFeedback", self.base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|_| Trouble::Link)?;
        // The body is JSON that was just written, so it is valid UTF-8.
        let body = Secret::new(String::from_utf8(render_feedback(&feedback)).unwrap_or_default());
        Ok(Request::json(url, body)
            .with("x-functions-key", self.feedback_key.clone())
            .with("Ocp-Apim-Subscription-Key", self.subscription_key.clone()))
    }

    fn says_to_one_object(&self) -> bool {
        // The call is for all hashes.
        false
    }

    fn said(&self, _sayings: &[Saying], _answer: &Response) -> Result<Vec<Request>, Trouble> {
        Ok(Vec::new())
    }

    fn denied(&self, answer: &Response) -> Denial {
        by_status(answer)
    }
}
