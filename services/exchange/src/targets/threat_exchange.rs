//! ThreatExchange: the app has a descriptor for each hash, which is created or replaced by `POST` and deleted
//! by its id.
//!
//! No ids are stored. A descriptor to delete is searched by its owner, its text and its type, and only the
//! app's own descriptors of exactly this hash are deleted. So a hash that the app never submitted costs one
//! search.

use url::{Url, form_urlencoded};
use vigie_formats::threat_exchange::submission::{
    Found, Sharing, error_code, parse_found, parse_success, signal_type,
};
use vigie_model::{Hash, HashType};

use super::target::{Denial, Submission, Target};
use crate::asking::pacing::is_passing;
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;
use crate::sources::settings::SettingsError;
use crate::sources::{Trouble, app_of};

/// The most descriptors in one answer to a search. An app has one for a hash.
const FOUND_MAX: &str = "100";

/// Submits to ThreatExchange.
#[derive(Debug)]
pub(crate) struct ThreatExchange {
    base: Url,
    sharing: Sharing,
    types: Vec<String>,
    token: Secret,
    /// The app's id, which is the owner of its descriptors.
    app: String,
}

impl ThreatExchange {
    pub(crate) fn open(
        base: Url,
        sharing: Sharing,
        types: Vec<String>,
        credentials: &Credentials,
    ) -> Result<Self, SettingsError> {
        let token = credentials.get("token");
        let Some(app) = app_of(token).map(str::to_owned) else {
            let reason = "to submit it has to be APP|SECRET, whose app owns what is submitted".to_owned();
            return Err(SettingsError::Value { field: "token", reason });
        };
        Ok(Self { base, sharing, types, token: Secret::new(token.to_owned()), app })
    }

    /// Returns the URL of a call with the token.
    fn url(&self, path: &str) -> Result<Url, Trouble> {
        let text = format!("{}/{path}", self.base.as_str().trim_end_matches('/'));
        let mut url = Url::parse(&text).map_err(|_| Trouble::Link)?;
        url.query_pairs_mut().append_pair("access_token", self.token.reveal());
        Ok(url)
    }
}

impl Target for ThreatExchange {
    fn batch_max(&self) -> usize {
        1
    }

    fn takes(&self, hash: &Hash, of_picture: bool) -> bool {
        let is_meant = !of_picture || hash.hash_type() == HashType::PDQ || !self.types.is_empty();
        is_meant && signal_type(hash, &self.types).is_some()
    }

    fn submit(&self, hashes: &[Submission]) -> Result<Request, Trouble> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        for Submission { hash, .. } in hashes {
            let kind = signal_type(hash, &self.types).unwrap_or_default();
            form.extend_pairs(self.sharing.fields(hash, kind));
        }
        Ok(Request::form(self.url("threat_descriptors/")?, Secret::new(form.finish())))
    }

    fn submitted(&self, answer: &Response) -> Result<(), Trouble> {
        Ok(parse_success(&answer.body)?)
    }

    fn withdraw(&self, hashes: &[Hash]) -> Result<Request, Trouble> {
        let mut url = self.url("threat_descriptors")?;
        for hash in hashes {
            url.query_pairs_mut()
                .append_pair("owner", &self.app)
                .append_pair("text", &hash.to_text())
                .append_pair("strict_text", "true")
                .append_pair("type", signal_type(hash, &self.types).unwrap_or_default())
                .append_pair("limit", FOUND_MAX)
                .append_pair("fields", Found::FIELDS);
        }
        Ok(Request::get(url))
    }

    fn withdrawn(&self, hashes: &[Hash], answer: &Response) -> Result<Option<Vec<Request>>, Trouble> {
        let (found, has_more) = parse_found(&answer.body)?;
        let is_own = |one: &&Found| {
            hashes
                .iter()
                .any(|hash| one.is_of(&self.app, hash, signal_type(hash, &self.types).unwrap_or_default()))
        };
        let own: Vec<&Found> = found.iter().filter(is_own).collect();
        // The search is by owner, text and type. If an answer has only descriptors of others, and announces
        // more, it does not answer the search.
        if own.is_empty() && has_more {
            return Err(Trouble::Link);
        }
        let delete = |one: &&Found| {
            let is_id = !one.id.is_empty() && one.id.bytes().all(|byte| byte.is_ascii_digit());
            if is_id { Ok(Request::delete(self.url(&one.id)?)) } else { Err(Trouble::Link) }
        };
        own.iter().map(delete).collect::<Result<_, _>>().map(Some)
    }

    fn deleted(&self, answer: &Response) -> Result<(), Trouble> {
        Ok(parse_success(&answer.body)?)
    }

    fn denied(&self, answer: &Response) -> Denial {
        denied(answer)
    }
}

/// Classifies an answer without success. With status 400 or 403, the Graph API gives the meaning in its own
/// error code.
pub(super) fn denied(answer: &Response) -> Denial {
    match (answer.status, error_code(&answer.body)) {
        (_, Some(4 | 17 | 32 | 613)) => Denial::Later,
        (401, _) | (400 | 403, Some(10 | 102 | 190 | 200..=299)) | (403, _) => Denial::Credentials,
        (404 | 410, _) => Denial::Gone,
        (400, _) => Denial::Content,
        (status, _) if is_passing(status) => Denial::Later,
        _ => Denial::Stop,
    }
}
