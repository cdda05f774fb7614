//! NCMEC: a `PUT` of feedback for each fingerprint of an entry.
//!
//! The programme accepts affirmative feedback, and negative feedback for reasons of its environment. It has
//! no word for a match that was seen, and no form is known for withdrawing feedback, so neither is sent.

use std::collections::BTreeMap;

use url::Url;
use vigie_consortium::OpinionReason;
use vigie_formats::ncmec::about::{FeedbackGiven, feedback};
use vigie_model::OpinionKind;

use super::hearer::{Hearer, Saying};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;
use crate::sources::feedback::NCMEC_TYPES;
use crate::sources::{Trouble, basic};
use crate::targets::target::{Denial, by_status};

/// Sends opinions to NCMEC.
#[derive(Debug)]
pub(crate) struct Ncmec {
    base: Url,
    reasons: BTreeMap<String, BTreeMap<OpinionReason, String>>,
    authorization: Secret,
}

impl Ncmec {
    pub(crate) fn open(
        base: Url,
        reasons: BTreeMap<String, BTreeMap<OpinionReason, String>>,
        credentials: &Credentials,
    ) -> Self {
        Self { base, reasons, authorization: basic(credentials) }
    }

    /// Returns the feedback for an opinion, or `None` if the programme has no word for it or the settings no
    /// reason.
    fn given(&self, saying: &Saying) -> Option<FeedbackGiven> {
        match saying.kind? {
            OpinionKind::Positive => Some(FeedbackGiven::Affirmative),
            OpinionKind::Negative => {
                let ids = self.reasons.get(type_of(saying)?)?;
                let reason = saying.reason.unwrap_or(OpinionReason::Other);
                // The id that the member chose, if the settings know it.
                let own = ids.values().find(|id| **id == saying.word);
                let id = own.or_else(|| ids.get(&reason)).or_else(|| ids.get(&OpinionReason::Other))?;
                Some(FeedbackGiven::Negative(vec![id.clone()]))
            }
            OpinionKind::Seen => None,
        }
    }
}

/// Returns the programme's name for the type of the fingerprint.
fn type_of(saying: &Saying) -> Option<&'static str> {
    let number = u32::from(saying.hash.hash_type().number());
    NCMEC_TYPES.iter().find(|(_, of)| *of == number).map(|(word, _)| *word)
}

/// Returns the member and the entry of a record's key.
fn entry_of(key: &str) -> Option<(&str, &str)> {
    let (member, entry) = key.split_once('-')?;
    let is_number = !member.is_empty() && member.bytes().all(|byte| byte.is_ascii_digit());
    // Path segments that lead elsewhere are not ids.
    (is_number && !matches!(entry, "" | "." | "..")).then_some((member, entry))
}

impl Hearer for Ncmec {
    fn batch_max(&self) -> usize {
        1
    }

    fn hears(&self, saying: &Saying) -> bool {
        type_of(saying).is_some() && entry_of(&saying.key).is_some() && self.given(saying).is_some()
    }

    fn say(&self, sayings: &[Saying]) -> Result<Request, Trouble> {
        let parts = |saying: &Saying| {
            let (member, entry) = entry_of(&saying.key)?;
            Some((member.to_owned(), entry.to_owned(), type_of(saying)?, self.given(saying)?))
        };
        let (member, entry, kind, given) = sayings.first().and_then(parts).ok_or(Trouble::Link)?;
        let mut url = self.base.clone();
        url.path_segments_mut()
            .map_err(|()| Trouble::Link)?
            .pop_if_empty()
            .extend(["v2", "entries", &member, &entry, kind, "feedback"]);
        // The document was just written, so it is valid UTF-8.
        let document = Secret::new(String::from_utf8(feedback(&given)).unwrap_or_default());
        Ok(Request::put_xml(url, document).with("Authorization", self.authorization.clone()))
    }

    fn says_to_one_object(&self) -> bool {
        // The request is for an entry.
        true
    }

    fn said(&self, _sayings: &[Saying], _answer: &Response) -> Result<Vec<Request>, Trouble> {
        Ok(Vec::new())
    }

    fn denied(&self, answer: &Response) -> Denial {
        by_status(answer)
    }
}
