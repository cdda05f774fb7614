//! Tech Against Terrorism: a login, and pages of the hash list after a checkpoint.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::{Url, form_urlencoded};
use vigie_formats::tat;
use vigie_model::UnixMillis;

use super::source::{LINK_LEN_MAX, Next, Page, Refusal, Source, Step, Trouble, place, value};
use crate::asking::request::{Request, Response};
use crate::credentials::Credentials;
use crate::secret::Secret;

/// Follows Tech Against Terrorism.
#[derive(Debug)]
pub(crate) struct Tat {
    base: Url,
    user: Secret,
    password: Secret,
    token: Token,
    place: ListPosition,
    /// The next page of this round.
    link: Option<Url>,
    is_done: bool,
}

/// The token of the login.
#[derive(Debug)]
enum Token {
    /// A login is needed.
    None,
    /// Returned by a login, and not confirmed by a page yet.
    Fresh(Secret),
    /// Confirmed by a page.
    Good(Secret),
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListPosition {
    /// The programme's checkpoint after the last page; empty at the beginning.
    checkpoint: String,
}

impl Tat {
    pub(crate) fn open(base: Url, credentials: &Credentials, at: Option<&Value>) -> Result<Self, Trouble> {
        let secret = |field| Secret::new(credentials.get(field).to_owned());
        let (user, password) = (secret("user"), secret("password"));
        Ok(Self { base, user, password, token: Token::None, place: place(at)?, link: None, is_done: false })
    }

    fn url(&self, path: &str) -> Result<Url, Trouble> {
        let text = format!("{}/{path}", self.base.as_str().trim_end_matches('/'));
        Url::parse(&text).map_err(|_| Trouble::Link)
    }

    fn login(&self) -> Result<Request, Trouble> {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("username", self.user.reveal());
        form.append_pair("password", self.password.reveal());
        form.append_pair("resend", "False");
        Ok(Request::form(self.url("token-auth/tcap/")?, Secret::new(form.finish())))
    }

    fn page(&self, token: &Secret) -> Result<Request, Trouble> {
        let url = match &self.link {
            Some(link) => link.clone(),
            None => {
                let mut url = self.url("api/hash-list/v2/all")?;
                url.query_pairs_mut()
                    .append_pair("order", "asc")
                    .append_pair("after", &self.place.checkpoint);
                url
            }
        };
        Ok(Request::get(url).with("Authorization", Secret::new(format!("Bearer {}", token.reveal()))))
    }
}

impl Source for Tat {
    fn next(&mut self) -> Result<Next, Trouble> {
        if self.is_done {
            return Ok(Next::Done);
        }
        let request = match &self.token {
            Token::None => self.login()?,
            Token::Fresh(token) | Token::Good(token) => self.page(token)?,
        };
        Ok(Next::Ask(request))
    }

    fn take(&mut self, answer: &Response, _now: UnixMillis) -> Result<Step, Trouble> {
        let token = match &self.token {
            Token::None => {
                let tat::login::Token(token) = tat::login::parse(&answer.body)?;
                self.token = Token::Fresh(Secret::new(token));
                return Ok(Step::GoOn);
            }
            Token::Fresh(token) | Token::Good(token) => token.clone(),
        };
        let page = tat::parse(&answer.body)?;
        let link =
            page.next.as_deref().map(|next| Url::parse(next).map_err(|_| Trouble::Link)).transpose()?;
        if link.as_ref().is_some_and(|link| link.origin() != self.base.origin()) {
            return Err(Trouble::Link);
        }
        if link.is_some() && link == self.link {
            return Err(Trouble::Circle);
        }
        // A page may have no checkpoint. Then the previous one stays.
        if let Some(checkpoint) = &page.checkpoint {
            if checkpoint.len() > LINK_LEN_MAX {
                return Err(Trouble::Link);
            }
            if order(checkpoint, &self.place.checkpoint) == Some(Ordering::Less) {
                return Err(Trouble::Backward);
            }
            self.place.checkpoint.clone_from(checkpoint);
        }
        self.token = Token::Good(token);
        self.is_done = link.is_none();
        self.link = link;
        let (records, mut tally) = tat::records(&page);
        tally += page.tally;
        Ok(Step::Store(Page { records, tally, gone: Vec::new(), at: value(&self.place) }))
    }

    fn refused(&mut self, answer: &Response) -> Refusal {
        match (answer.status, &self.token) {
            // A token that was accepted before has expired.
            (401 | 403, Token::Good(_)) => {
                self.token = Token::None;
                Refusal::Again
            }
            (401 | 403, Token::Fresh(_) | Token::None) | (400, Token::None) => Refusal::Credentials,
            _ => Refusal::Stop,
        }
    }

    fn checkpoint(&self) -> Option<UnixMillis> {
        let (seconds, _) = parts(&self.place.checkpoint)?;
        let seconds = seconds.split('.').next()?.parse::<u64>().ok()?;
        Some(UnixMillis(seconds.saturating_mul(1_000)))
    }
}

/// Compares two checkpoints. `1724856487.709035,10594` is a time in seconds and an id. Returns `None` if one
/// has another form.
fn order(one: &str, other: &str) -> Option<Ordering> {
    let number = |text: &str| text.parse::<f64>().ok();
    let ((one, one_id), (other, other_id)) = (parts(one)?, parts(other)?);
    let times = number(one)?.partial_cmp(&number(other)?)?;
    Some(times.then(one_id.cmp(&other_id)))
}

fn parts(checkpoint: &str) -> Option<(&str, u64)> {
    let (seconds, id) = checkpoint.split_once(',')?;
    Some((seconds, id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_are_ordered_by_time_and_then_by_id() {
        assert_eq!(order("5.5,10", "5.5,9"), Some(Ordering::Greater));
        assert_eq!(order("5.4,10", "5.5,9"), Some(Ordering::Less));
        assert_eq!(order("5.5,9", "5.5,9"), Some(Ordering::Equal));
        assert_eq!(order("opaque", "5.5,9"), None);
    }
}
