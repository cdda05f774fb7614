//! NCMEC, version 2: ranges of time, the pages of a range, and narrower ranges if one holds too much.
//!
//! The entries of a range are not ordered by time, so the end of a range is a position to continue from only
//! once all its pages are stored. Within a range, the link of the next page is such a position too, for some
//! hours and with the same range.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;
use vigie_formats::{ncmec, utc};
use vigie_model::UnixMillis;

use super::source::{LINK_LEN_MAX, Next, Page, Refusal, Source, Step, Trouble, place, value};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;

/// The seconds between the end of a round's last range and the present. Without them, entries with a time in
/// the current second could be missed.
const LAG_S: u64 = 5;
/// A range with more entries is halved. The limit is that of python-threatexchange.
const RANGE_ENTRIES_MAX: u64 = 400_000;
/// The shortest range, in seconds.
const RANGE_S_MIN: u64 = 60;
/// The time for which links are used; they are valid for about 12 hours.
const LINK_GOOD_MS: u64 = 11 * 3_600 * 1_000;
/// The number of times in one round that a range is started again because its link is refused.
const RESTARTS_MAX: u32 = 3;

/// Follows NCMEC.
#[derive(Debug)]
pub(crate) struct Ncmec {
    base: Url,
    authorization: Secret,
    /// The members whose entries are accepted; empty for all.
    members: Vec<u64>,
    /// The end of the last range that is completely stored, in seconds.
    end: u64,
    /// The end of the round, in seconds.
    until: u64,
    /// The width of the next range, in seconds.
    width: u64,
    /// The current range: its end, and the link of its next page.
    range: Option<(u64, Option<String>)>,
    /// The number of entries of the range so far.
    entries: u64,
    restarts: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListPosition {
    end: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    page: Option<NextPage>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NextPage {
    to: u64,
    link: String,
    got_ms: u64,
}

/// Returns the header with the user and the password.
pub(crate) fn basic(credentials: &Credentials) -> Secret {
    let (user, password) = (credentials.get("user"), credentials.get("password"));
    Secret::new(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
}

impl Ncmec {
    pub(crate) fn open(
        base: Url,
        members: Vec<u64>,
        credentials: &Credentials,
        at: Option<&Value>,
        now: UnixMillis,
    ) -> Result<Self, Trouble> {
        let ListPosition { end, page } = place(at)?;
        let until = (now.0 / 1_000).saturating_sub(LAG_S).max(end);
        let is_good = |page: &NextPage| now.0.saturating_sub(page.got_ms) < LINK_GOOD_MS && page.to > end;
        let range = page.filter(is_good).map(|page| (page.to, Some(page.link)));
        Ok(Self {
            base,
            authorization: basic(credentials),
            members,
            end,
            until,
            width: until - end,
            range,
            entries: 0,
            restarts: 0,
        })
    }

    fn url(&self, to: u64) -> Result<Url, Trouble> {
        let text = |seconds: u64| utc::to_text(UnixMillis(seconds.saturating_mul(1_000)));
        let mut url = self.join("/v2/entries")?;
        url.query_pairs_mut().append_pair("from", &text(self.end)).append_pair("to", &text(to));
        Ok(url)
    }

    /// Returns the base URL followed by this text.
    fn join(&self, link: &str) -> Result<Url, Trouble> {
        let text = format!("{}{link}", self.base.as_str().trim_end_matches('/'));
        let url = Url::parse(&text).map_err(|_| Trouble::Link)?;
        let is_there = link.starts_with('/') && url.origin() == self.base.origin();
        is_there.then_some(url).ok_or(Trouble::Link)
    }
}

impl Source for Ncmec {
    fn next(&mut self) -> Result<Next, Trouble> {
        if self.range.is_none() {
            if self.end >= self.until {
                return Ok(Next::Done);
            }
            let to = self.end.saturating_add(self.width.max(1)).min(self.until);
            self.range = Some((to, None));
            self.entries = 0;
        }
        let url = match &self.range {
            Some((_, Some(link))) => self.join(link)?,
            Some((to, None)) => self.url(*to)?,
            None => return Ok(Next::Done),
        };
        Ok(Next::Ask(Request::get(url).with("Authorization", self.authorization.clone())))
    }

    fn take(&mut self, answer: &Response, now: UnixMillis) -> Result<Step, Trouble> {
        let mut page = ncmec::parse(&answer.body)?;
        let (to, link) = self.range.clone().ok_or(Trouble::Link)?;
        if let Some(next) = &page.next {
            self.join(next)?;
            if link.as_ref() == Some(next) {
                return Err(Trouble::Circle);
            }
        }
        let got = u64::try_from(page.entries.len()).unwrap_or(u64::MAX);
        let wide = to - self.end;
        let is_first = link.is_none();
        if is_first
            && wide > RANGE_S_MIN
            && got.saturating_add(left(page.next.as_deref())) > RANGE_ENTRIES_MAX
        {
            self.width = wide / 2;
            self.range = None;
            return Ok(Step::GoOn);
        }
        self.entries = self.entries.saturating_add(got);
        if !self.members.is_empty() {
            page.entries.retain(|entry| entry.deleted || self.members.contains(&entry.member.id));
        }
        let (records, mut tally) = ncmec::records(&page);
        tally += page.tally;
        let at = match page.next {
            Some(link) => {
                let kept =
                    (link.len() <= LINK_LEN_MAX).then(|| NextPage { to, link: link.clone(), got_ms: now.0 });
                self.range = Some((to, Some(link)));
                ListPosition { end: self.end, page: kept }
            }
            None => {
                self.range = None;
                self.end = to;
                if self.entries < RANGE_ENTRIES_MAX / 4 {
                    self.width = wide.saturating_mul(2);
                }
                ListPosition { end: to, page: None }
            }
        };
        Ok(Step::Store(Page { records, tally, gone: Vec::new(), at: value(&at) }))
    }

    fn refused(&mut self, answer: &Response) -> Refusal {
        let has_link = matches!(self.range, Some((_, Some(_))));
        match answer.status {
            401 | 403 => Refusal::Credentials,
            // The link is too old, or the server no longer knows it: the range is started again.
            400 | 404 | 410 if has_link && self.restarts < RESTARTS_MAX => {
                self.restarts += 1;
                self.range = None;
                Refusal::Again
            }
            _ => Refusal::Stop,
        }
    }

    fn checkpoint(&self) -> Option<UnixMillis> {
        Some(UnixMillis(self.end.saturating_mul(1_000)))
    }
}

/// Returns the number of entries after this page, by its link: `max` minus `start`.
fn left(next: Option<&str>) -> u64 {
    let number = |name: &str| {
        let (_, query) = next?.split_once('?')?;
        let mut pairs = url::form_urlencoded::parse(query.as_bytes());
        pairs.find(|(key, _)| key == name).and_then(|(_, value)| value.parse::<u64>().ok())
    };
    number("max").zip(number("start")).map_or(0, |(max, start)| max.saturating_sub(start))
}
