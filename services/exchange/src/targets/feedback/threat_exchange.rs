//! ThreatExchange: reactions to the descriptors of others.
//!
//! The descriptors of a hash are searched by its text and type, with their reactions. The app's former words
//! are then removed where they exist, and its present word is added where it is missing. An app's own
//! descriptors express its opinion by their status, and get no reaction.

use url::Url;
use vigie_consortium::OpinionReason;
use vigie_formats::threat_exchange::submission::{Found, parse_found, signal_types};
use vigie_model::OpinionKind;

use super::hearer::{Hearer, Saying};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;
use crate::sources::settings::SettingsError;
use crate::sources::{Trouble, app_of};
use crate::targets::target::Denial;
use crate::targets::threat_exchange::denied;

/// The most descriptors in one answer to a search, so at most this many apps with the same hash get a
/// reaction.
const FOUND_MAX: &str = "100";

/// The words that are opinions. An app's other reactions are not changed.
const WORDS: [(&str, OpinionKind); 4] = [
    ("HELPFUL", OpinionKind::Positive),
    ("NOT_HELPFUL", OpinionKind::Negative),
    ("DISAGREE_WITH_TAGS", OpinionKind::Negative),
    ("SAW_THIS_TOO", OpinionKind::Seen),
];

/// Sends opinions to ThreatExchange.
#[derive(Debug)]
pub(crate) struct ThreatExchange {
    base: Url,
    token: Secret,
    app: String,
}

impl ThreatExchange {
    pub(crate) fn open(base: Url, credentials: &Credentials) -> Result<Self, SettingsError> {
        let token = credentials.get("token");
        let Some(app) = app_of(token) else {
            let reason = "to give opinions it has to be APP|SECRET, whose app has them".to_owned();
            return Err(SettingsError::Value { field: "token", reason });
        };
        Ok(Self { base, app: app.to_owned(), token: Secret::new(token.to_owned()) })
    }

    /// Returns the URL of a call with the token.
    fn url(&self, path: &str) -> Result<Url, Trouble> {
        let text = format!("{}/{path}", self.base.as_str().trim_end_matches('/'));
        let mut url = Url::parse(&text).map_err(|_| Trouble::Link)?;
        url.query_pairs_mut().append_pair("access_token", self.token.reveal());
        Ok(url)
    }

    /// Returns the request that adds or removes a reaction.
    fn reaction(&self, id: &str, parameter: &str, word: &str) -> Result<Request, Trouble> {
        let mut url = self.url(&format!("{id}/"))?;
        url.query_pairs_mut().append_pair(parameter, word);
        Ok(Request::form(url, Secret::new(String::new())))
    }
}

/// Returns the programme's word for an opinion. The word that the member chose is used if it fits such an
/// opinion.
pub(super) fn word_for(saying: &Saying) -> Option<&'static str> {
    let kind = saying.kind?;
    let given = WORDS.iter().find(|(word, of)| *word == saying.word && *of == kind);
    Some(match (given, kind) {
        (Some((word, _)), _) => word,
        (None, OpinionKind::Positive) => "HELPFUL",
        (None, OpinionKind::Negative) if saying.reason == Some(OpinionReason::WrongClassification) => {
            "DISAGREE_WITH_TAGS"
        }
        (None, OpinionKind::Negative) => "NOT_HELPFUL",
        (None, OpinionKind::Seen) => "SAW_THIS_TOO",
    })
}

impl Hearer for ThreatExchange {
    fn batch_max(&self) -> usize {
        1
    }

    fn hears(&self, saying: &Saying) -> bool {
        signal_types().any(|word| word.eq_ignore_ascii_case(saying.kind_of_key()))
    }

    fn say(&self, sayings: &[Saying]) -> Result<Request, Trouble> {
        let mut url = self.url("threat_descriptors")?;
        for saying in sayings {
            url.query_pairs_mut()
                .append_pair("text", &saying.hash.to_text())
                .append_pair("strict_text", "true")
                .append_pair("type", saying.kind_of_key())
                .append_pair("limit", FOUND_MAX)
                .append_pair("fields", Found::FIELDS_WITH_REACTIONS);
        }
        Ok(Request::get(url))
    }

    fn says_to_one_object(&self) -> bool {
        // The request is a search, which just finds nothing if the object is gone.
        false
    }

    fn said(&self, sayings: &[Saying], answer: &Response) -> Result<Vec<Request>, Trouble> {
        let (found, _) = parse_found(&answer.body)?;
        let mut requests = Vec::new();
        for saying in sayings {
            let word = word_for(saying);
            let of_others = found
                .iter()
                .filter(|one| one.owner != self.app && one.is_about(&saying.hash, saying.kind_of_key()));
            for one in of_others {
                if one.id.is_empty() || !one.id.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(Trouble::Link);
                }
                let given: Vec<&str> = one.reactions_of(&self.app).collect();
                // The former word is removed first. In between, the app has no word.
                for (former, _) in WORDS.iter().filter(|(one, _)| Some(*one) != word && given.contains(one)) {
                    requests.push(self.reaction(&one.id, "reactions_to_remove", former)?);
                }
                if let Some(word) = word.filter(|word| !given.contains(word)) {
                    requests.push(self.reaction(&one.id, "reactions", word)?);
                }
            }
        }
        Ok(requests)
    }

    fn denied(&self, answer: &Response) -> Denial {
        denied(answer)
    }
}
