//! ThreatExchange: the updates of a privacy group since a time, and their pages.
//!
//! Updates are ordered by their times, and several may have the same second. The next round starts one second
//! before the newest update, so that none of the same second is missed; reading an update twice changes
//! nothing. The programme sends deletions for 90 days. So a position that is older is dropped and everything
//! is read again; records that the programme no longer shows are withdrawn.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use vigie_formats::threat_exchange;
use vigie_formats::threat_exchange::submission::error_code;
use vigie_model::UnixMillis;

use super::source::{LINK_LEN_MAX, Next, Page, Refusal, Source, Step, Trouble, place, value};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;

/// The name of the token's parameter.
const TOKEN: &str = "access_token";
/// The number of updates of a page.
const PAGE_SIZE: &str = "100";
const FIELDS: &str =
    "id,indicator,type,last_updated,should_delete,descriptors{id,reactions,owner{id},tags,status,added_on}";
/// The greatest age of a position to continue from, in milliseconds. Deletions are sent for 90 days.
const PLACE_GOOD_MS: u64 = 85 * 24 * 3_600 * 1_000;
/// The number of times that a round is started again because its link is refused.
const RESTARTS_MAX: u32 = 3;

/// Follows ThreatExchange.
#[derive(Debug)]
pub(crate) struct ThreatExchange {
    base: Url,
    group: String,
    types: Vec<String>,
    token: Secret,
    place: ListPosition,
    is_full: bool,
    is_done: bool,
    restarts: u32,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListPosition {
    /// The newest update of the complete rounds, in seconds.
    since: u64,
    /// The newest update of this round, in seconds.
    newest: u64,
    /// The next page of this round, without the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// The time when the last page was received.
    got_ms: u64,
}

/// Returns the app's id of a token `APP|SECRET`, or `None` for a token of another form.
pub(crate) fn app_of(token: &str) -> Option<&str> {
    let end = token.find(|one: char| !one.is_ascii_digit())?;
    let (app, rest) = token.split_at(end);
    (!app.is_empty() && (rest.starts_with('|') || rest.starts_with("%7C"))).then_some(app)
}

impl ThreatExchange {
    pub(crate) fn open(
        base: Url,
        group: String,
        types: Vec<String>,
        credentials: &Credentials,
        at: Option<&Value>,
        now: UnixMillis,
    ) -> Result<Self, Trouble> {
        let mut place: ListPosition = place(at)?;
        let is_full = at.is_some() && now.0.saturating_sub(place.got_ms) > PLACE_GOOD_MS;
        if is_full {
            place = ListPosition::default();
        }
        let token = Secret::new(credentials.get("token").to_owned());
        Ok(Self { base, group, types, token, place, is_full, is_done: false, restarts: 0 })
    }

    fn first(&self) -> Result<Url, Trouble> {
        let text = format!("{}/{}/threat_updates/", self.base.as_str().trim_end_matches('/'), self.group);
        let mut url = Url::parse(&text).map_err(|_| Trouble::Link)?;
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("limit", PAGE_SIZE).append_pair("fields", FIELDS);
            if self.place.since > 0 {
                query.append_pair("start_time", &(self.place.since - 1).to_string());
            }
            if !self.types.is_empty() {
                query.append_pair("types", &self.types.join(","));
            }
        }
        Ok(url)
    }

    /// Returns a link without its token. It must have the programme's own origin.
    fn link(&self, text: &str) -> Result<Url, Trouble> {
        let mut url = Url::parse(text).map_err(|_| Trouble::Link)?;
        if url.origin() != self.base.origin() {
            return Err(Trouble::Link);
        }
        let pairs: Vec<(String, String)> =
            url.query_pairs().filter(|(name, _)| name != TOKEN).map(|(a, b)| (a.into(), b.into())).collect();
        url.query_pairs_mut().clear().extend_pairs(pairs);
        Ok(url)
    }
}

impl Source for ThreatExchange {
    fn next(&mut self) -> Result<Next, Trouble> {
        if self.is_done {
            return Ok(Next::Done);
        }
        let mut url = match &self.place.link {
            Some(link) => self.link(link)?,
            None => self.first()?,
        };
        url.query_pairs_mut().append_pair(TOKEN, self.token.reveal());
        Ok(Next::Ask(Request::get(url)))
    }

    fn take(&mut self, answer: &Response, now: UnixMillis) -> Result<Step, Trouble> {
        let page = threat_exchange::parse(&answer.body)?;
        let link = page.next.as_ref().map(|next| self.link(&next.0)).transpose()?.map(String::from);
        if link.is_some() && link == self.place.link {
            return Err(Trouble::Circle);
        }
        let newest = page.updates.iter().map(|update| update.last_updated).max().unwrap_or(0);
        self.place.newest = self.place.newest.max(newest).max(self.place.since);
        self.place.got_ms = now.0;
        self.is_done = link.is_none();
        if self.is_done {
            self.place.since = self.place.newest;
        }
        self.place.link = link;
        let mut kept = self.place.clone();
        kept.link = kept.link.filter(|link| link.len() <= LINK_LEN_MAX);
        let (records, mut tally) = threat_exchange::records(&page);
        tally += page.tally;
        Ok(Step::Store(Page { records, tally, gone: Vec::new(), at: value(&kept) }))
    }

    fn refused(&mut self, answer: &Response) -> Refusal {
        // With status 400 or 403, the Graph API gives the meaning in its own error code.
        match (answer.status, error_code(&answer.body)) {
            (_, Some(4 | 17 | 32 | 613)) => Refusal::Later,
            (401, _) | (400 | 403, Some(10 | 102 | 190 | 200..=299)) => Refusal::Credentials,
            (400 | 404 | 410, _) if self.place.link.is_some() && self.restarts < RESTARTS_MAX => {
                self.restarts += 1;
                self.place.link = None;
                Refusal::Again
            }
            (403, _) => Refusal::Credentials,
            _ => Refusal::Stop,
        }
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    fn own_name(&self) -> Option<&str> {
        app_of(self.token.reveal())
    }

    fn checkpoint(&self) -> Option<UnixMillis> {
        (self.place.since > 0).then(|| UnixMillis(self.place.since.saturating_mul(1_000)))
    }
}
