//! A sign-in under way, in a sealed cookie of the browser that began it.

use http::{HeaderMap, HeaderValue, header};
use serde::{Deserialize, Serialize};
use vigie_model::UnixMillis;

use crate::console::session::{Sessions, TooLong};

/// The longest time between the beginning and the end of a sign-in, in seconds.
const SECONDS_MAX: u64 = 600;
/// The longest path to return to, in bytes. A longer one is replaced by the first page.
const NEXT_BYTES_MAX: usize = 1_024;
/// The purpose under which the cookie is sealed.
const PURPOSE: &[u8] = b"sign-in at a provider";

/// A sign-in under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    state: String,
    pub(super) nonce: String,
    pub(super) verifier: String,
    next: String,
}

/// The content of the cookie.
#[derive(Serialize, Deserialize)]
struct Held {
    attempt: Attempt,
    until: u64,
}

impl Attempt {
    pub(super) fn new(state: &str, nonce: &str, verifier: &str, next: &str) -> Self {
        let next = if next.len() > NEXT_BYTES_MAX { "/console/" } else { next };
        let [state, nonce, verifier, next] = [state, nonce, verifier, next].map(str::to_owned);
        Self { state, nonce, verifier, next }
    }

    /// Returns the path to return to.
    pub(crate) fn next(&self) -> &str {
        &self.next
    }

    /// Returns the header that sets the cookie, for ten minutes.
    pub(crate) fn cookie(self, sessions: &Sessions, now: UnixMillis) -> Result<HeaderValue, TooLong> {
        let held = Held { attempt: self, until: now.0.saturating_add(SECONDS_MAX * 1_000) };
        let bytes = serde_json::to_vec(&held).unwrap_or_default();
        let sealed = sessions.seal_for(PURPOSE, bytes);
        set(sessions, &sealed, SECONDS_MAX)
    }

    /// Returns the header that deletes the cookie.
    pub(crate) fn forgotten(sessions: &Sessions) -> Result<HeaderValue, TooLong> {
        set(sessions, "", 0)
    }

    /// Returns the sign-in that this browser began, if `state` is its state and it has not expired.
    pub(crate) fn of(sessions: &Sessions, headers: &HeaderMap, state: &str, now: UnixMillis) -> Option<Self> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, sealed) = pairs.find(|(name, _)| *name == name_of(sessions))?;
        let bytes = sessions.open_for(PURPOSE, sealed)?;
        let held: Held = serde_json::from_slice(&bytes).ok()?;
        (held.until > now.0 && held.attempt.state == state).then_some(held.attempt)
    }
}

const fn name_of(sessions: &Sessions) -> &'static str {
    if sessions.is_secure() { "__Host-vigie-sign-in" } else { "vigie-sign-in" }
}

fn set(sessions: &Sessions, value: &str, seconds: u64) -> Result<HeaderValue, TooLong> {
    let (name, secure) = (name_of(sessions), if sessions.is_secure() { "; Secure" } else { "" });
    // `Lax`: the browser returns from another site.
    let cookie = format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&cookie).map_err(|_| TooLong)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000);

    fn browser(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&format!("other=1; {pair}")).unwrap())])
    }

    #[test]
    fn a_sign_in_is_of_one_browser_and_one_state_for_ten_minutes() {
        let sessions = Sessions::new(&[7; 32], true, Duration::from_secs(60));
        let attempt = Attempt::new("state", "nonce", "verifier", "/console/check?x=1");
        let cookie = attempt.clone().cookie(&sessions, NOW).unwrap();
        let text = cookie.to_str().unwrap();
        for attribute in
            ["__Host-vigie-sign-in=", "; Path=/", "; Max-Age=600", "; HttpOnly", "; SameSite=Lax", "; Secure"]
        {
            assert!(text.contains(attribute), "{text}");
        }
        let headers = browser(&cookie);
        assert_eq!(Attempt::of(&sessions, &headers, "state", NOW), Some(attempt));
        let last = UnixMillis(NOW.0 + 599_999);
        assert!(Attempt::of(&sessions, &headers, "state", last).is_some());
        assert!(Attempt::of(&sessions, &headers, "state", UnixMillis(last.0 + 1)).is_none());
        for state in ["", "State", "state "] {
            assert!(Attempt::of(&sessions, &headers, state, NOW).is_none(), "{state}");
        }
        assert!(Attempt::of(&sessions, &HeaderMap::new(), "state", NOW).is_none());
        let others = Sessions::new(&[8; 32], true, Duration::from_secs(60));
        assert!(Attempt::of(&others, &headers, "state", NOW).is_none());
        let forgotten = Attempt::forgotten(&sessions).unwrap();
        assert!(forgotten.to_str().unwrap().contains("Max-Age=0"));
        assert!(Attempt::of(&sessions, &browser(&forgotten), "", NOW).is_none());
    }

    #[test]
    fn no_other_cookie_takes_its_place() {
        let sessions = Sessions::new(&[7; 32], false, Duration::from_secs(60));
        let cookie = Attempt::new("state", "nonce", "verifier", "/console/").cookie(&sessions, NOW).unwrap();
        let sealed =
            cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap().1.to_owned();
        let session = format!("vigie-session={sealed}");
        let headers = HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&session).unwrap())]);
        assert!(sessions.of(&headers, NOW).is_new);
        assert_eq!(Attempt::new("s", "n", "v", &"x".repeat(1_025)).next(), "/console/");
    }
}
