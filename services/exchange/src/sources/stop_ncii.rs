//! StopNCII: pages of `FetchHashes` from a start time, by tokens that are valid for a short time.
//!
//! The next round starts at the greatest `nextSetTimestamp` of this one, once it is complete: the last page
//! may have a lower one than those before it. It is not known for how long the programme sends withdrawals.
//! So a position that is older than 30 days is dropped and everything is read again; records that the
//! programme no longer shows are withdrawn.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use vigie_formats::stop_ncii;
use vigie_model::UnixMillis;

use super::source::{LINK_LEN_MAX, Next, Page, Refusal, Source, Step, Trouble, place, value};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;

/// The start time for everything. The programme's clients use 10, not 0.
const START: u64 = 10;
/// The number of records of a page.
const PAGE_SIZE: &str = "800";
/// The greatest age of a position to continue from, in milliseconds.
const PLACE_GOOD_MS: u64 = 30 * 24 * 3_600 * 1_000;
/// The number of times that a round is started again because its token is refused.
const RESTARTS_MAX: u32 = 3;

/// Follows StopNCII.
#[derive(Debug)]
pub(crate) struct StopNcii {
    base: Url,
    function_key: Secret,
    subscription_key: Secret,
    place: ListPosition,
    is_full: bool,
    is_done: bool,
    restarts: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListPosition {
    /// The start time of the round, in seconds.
    start: u64,
    /// The greatest `nextSetTimestamp` of this round.
    newest: u64,
    /// The token of the round's next page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    /// The time when the last page was received.
    got_ms: u64,
}

impl Default for ListPosition {
    fn default() -> Self {
        Self { start: START, newest: START, token: None, got_ms: 0 }
    }
}

impl StopNcii {
    pub(crate) fn open(
        base: Url,
        credentials: &Credentials,
        at: Option<&Value>,
        now: UnixMillis,
    ) -> Result<Self, Trouble> {
        let mut place: ListPosition = place(at)?;
        let is_full = at.is_some() && now.0.saturating_sub(place.got_ms) > PLACE_GOOD_MS;
        if is_full {
            place = ListPosition::default();
        }
        let secret = |field| Secret::new(credentials.get(field).to_owned());
        Ok(Self {
            base,
            function_key: secret("fetch_key"),
            subscription_key: secret("subscription_key"),
            place,
            is_full,
            is_done: false,
            restarts: 0,
        })
    }
}

impl Source for StopNcii {
    fn next(&mut self) -> Result<Next, Trouble> {
        if self.is_done {
            return Ok(Next::Done);
        }
        let text = format!("{}/FetchHashes", self.base.as_str().trim_end_matches('/'));
        let mut url = Url::parse(&text).map_err(|_| Trouble::Link)?;
        {
            let mut query = url.query_pairs_mut();
            query
                .append_pair("startTimestamp", &self.place.start.to_string())
                .append_pair("pageSize", PAGE_SIZE);
            if let Some(token) = &self.place.token {
                query.append_pair("nextPageToken", token);
            }
        }
        let request = Request::get(url)
            .with("x-functions-key", self.function_key.clone())
            .with("Ocp-Apim-Subscription-Key", self.subscription_key.clone());
        Ok(Next::Ask(request))
    }

    fn take(&mut self, answer: &Response, now: UnixMillis) -> Result<Step, Trouble> {
        let page = stop_ncii::parse(&answer.body)?;
        let token = page.next_page_token.clone().filter(|_| page.has_more_records);
        // The page announces more records without a token, or with the token that was just used.
        if page.has_more_records && (token.is_none() || token == self.place.token) {
            return Err(Trouble::Circle);
        }
        self.place.newest = self.place.newest.max(page.next_set_timestamp).max(self.place.start);
        self.place.got_ms = now.0;
        self.is_done = token.is_none();
        if self.is_done {
            self.place.start = self.place.newest;
        }
        self.place.token = token;
        let mut kept = self.place.clone();
        kept.token = kept.token.filter(|token| token.len() <= LINK_LEN_MAX);
        let (records, mut tally) = stop_ncii::records(&page);
        tally += page.tally;
        Ok(Step::Store(Page { records, tally, gone: Vec::new(), at: value(&kept) }))
    }

    fn refused(&mut self, answer: &Response) -> Refusal {
        match answer.status {
            401 | 403 => Refusal::Credentials,
            // The token is too old: the round is started again.
            400 | 404 | 410 if self.place.token.is_some() && self.restarts < RESTARTS_MAX => {
                self.restarts += 1;
                self.place.token = None;
                Refusal::Again
            }
            _ => Refusal::Stop,
        }
    }

    fn is_full(&self) -> bool {
        self.is_full
    }

    fn checkpoint(&self) -> Option<UnixMillis> {
        (self.place.start > START).then(|| UnixMillis(self.place.start.saturating_mul(1_000)))
    }
}
