//! Sessions: a sealed cookie that holds the credential of a signed-in person. The server stores no session.
//!
//! The cookie is encrypted and authenticated (ChaCha20-Poly1305, RFC 8439). Its key is derived (HKDF,
//! RFC 5869) from the configured secret, or from a random one that is lost when the process ends. The cookie
//! holds a random id, the credential and the end of the session. Sign-in and sign-out create a new id, so an
//! old id is worthless. The CSRF token is an HMAC of the id.

use std::borrow::Cow;
use std::time::Duration;

use data_encoding::BASE64URL_NOPAD;
use http::{HeaderMap, HeaderValue, header};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use serde::{Deserialize, Serialize};
use vigie_clients::Bearer;
use vigie_model::UnixMillis;
use zeroize::Zeroizing;

/// The longest value of the cookie, in bytes. Browsers keep at most 4,096 bytes, with the name and the
/// attributes (RFC 6265, section 6.1).
const COOKIE_BYTES_MAX: usize = 3_900;
/// The cookie's name over TLS. Browsers refuse the prefix `__Host-` without `Secure` and `Path=/`, or with a
/// domain.
const NAME_SECURE: &str = "__Host-vigie-session";
/// The cookie's name without TLS.
const NAME: &str = "vigie-session";

/// The purpose under which the cookie of a session is sealed.
const SESSION: &[u8] = b"session";

/// The keys and rules of sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    seal: LessSafeKey,
    csrf: hmac::Key,
    is_secure: bool,
    lifetime: Duration,
}

/// The way in which a person has signed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum SignedInBy {
    /// By an API key.
    ApiKey,
    /// At an identity provider, by one of its tokens.
    Provider,
}

/// A person who has signed in. `Debug` does not show the credential.
#[derive(Clone)]
pub(crate) struct SignedIn {
    credential: Zeroizing<String>,
    /// The way in which the person has signed in.
    pub(crate) by: SignedInBy,
    /// The end of the session.
    pub(crate) until: UnixMillis,
}

/// The session of a browser.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    id: [u8; 16],
    /// `None` for a person who is not signed in.
    pub(crate) signed_in: Option<SignedIn>,
}

/// The session of a request, and whether the browser has its cookie. An extension of each request to the
/// console.
#[derive(Debug, Clone)]
pub(crate) struct Arrived {
    /// The session.
    pub(crate) session: Session,
    /// Whether the answer must set the cookie.
    pub(crate) is_new: bool,
}

/// The content of a session's cookie.
#[derive(Serialize, Deserialize)]
struct Held<'a> {
    id: [u8; 16],
    signed_in: Option<(Cow<'a, str>, SignedInBy, u64)>,
}

/// The credential does not fit into a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

impl std::fmt::Debug for SignedIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SignedIn").field("by", &self.by).field("until", &self.until).finish_non_exhaustive()
    }
}

impl SignedIn {
    /// A person with this credential, signed in until this time.
    pub(crate) fn new(credential: Zeroizing<String>, by: SignedInBy, until: UnixMillis) -> Self {
        Self { credential, by, until }
    }

    /// Returns the credential for calls. `None` means that the format of credentials has changed: each was
    /// checked before it was sealed.
    pub(crate) fn bearer(&self) -> Option<Bearer> {
        Bearer::new(&self.credential, "the session").ok()
    }
}

impl Session {
    /// Returns a session with a new id.
    pub(crate) fn new(signed_in: Option<SignedIn>) -> Self {
        Self { id: rand::random(), signed_in }
    }
}

struct KeyLength(usize);

impl hkdf::KeyType for KeyLength {
    fn len(&self) -> usize {
        self.0
    }
}

impl Sessions {
    /// Returns sessions under this secret of at least 32 bytes. `is_secure`: browsers reach the console by
    /// HTTPS only.
    ///
    /// # Panics
    ///
    /// Never: the lengths are valid for the algorithms.
    #[expect(clippy::expect_used, reason = "lengths are those of the algorithms")]
    pub(crate) fn new(secret: &[u8], is_secure: bool, lifetime: Duration) -> Self {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, b"vigie console").extract(secret);
        let derived = |info: &[u8]| {
            let mut key = Zeroizing::new([0; 32]);
            let info = [info];
            let output = root.expand(&info, KeyLength(32)).and_then(|output| output.fill(&mut *key));
            output.expect("32 bytes are within what HKDF gives");
            key
        };
        let seal = UnboundKey::new(&CHACHA20_POLY1305, &*derived(b"seal")).expect("the key has 32 bytes");
        Self {
            seal: LessSafeKey::new(seal),
            csrf: hmac::Key::new(hmac::HMAC_SHA256, &*derived(b"csrf")),
            is_secure,
            lifetime,
        }
    }

    /// Returns the longest lifetime of a session.
    pub(crate) const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    /// Returns whether cookies are sent over HTTPS only.
    pub(crate) const fn is_secure(&self) -> bool {
        self.is_secure
    }

    /// Returns the session in the cookie of a request, or a new session.
    pub(crate) fn of(&self, headers: &HeaderMap, now: UnixMillis) -> Arrived {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs =
            cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let own = pairs.find(|(name, _)| *name == self.name());
        match own.and_then(|(_, value)| self.open(value)) {
            Some(session) if session.signed_in.as_ref().is_none_or(|signed_in| signed_in.until > now) => {
                Arrived { session, is_new: false }
            }
            Some(_) | None => Arrived { session: Session::new(None), is_new: true },
        }
    }

    /// Returns the header that sets the cookie. The browser keeps it until the browser is closed or the
    /// session ends.
    pub(crate) fn cookie(&self, session: &Session) -> Result<HeaderValue, TooLong> {
        let value = self.seal(session);
        let secure = if self.is_secure { "; Secure" } else { "" };
        let cookie = format!("{}={value}; Path=/; HttpOnly; SameSite=Lax{secure}", self.name());
        if cookie.len() > COOKIE_BYTES_MAX {
            return Err(TooLong);
        }
        HeaderValue::from_str(&cookie).map_err(|_| TooLong)
    }

    /// Returns the CSRF token of this session, which every request that changes something carries.
    pub(crate) fn csrf_token(&self, session: &Session) -> String {
        BASE64URL_NOPAD.encode(hmac::sign(&self.csrf, &session.id).as_ref())
    }

    /// Returns whether a CSRF token belongs to the session. Compares in constant time.
    pub(crate) fn is_csrf_token(&self, session: &Session, token: &str) -> bool {
        let Ok(tag) = BASE64URL_NOPAD.decode(token.as_bytes()) else { return false };
        hmac::verify(&self.csrf, &session.id, &tag).is_ok()
    }

    /// Encrypts a session as the value of its cookie.
    fn seal(&self, session: &Session) -> String {
        let signed_in = session.signed_in.as_ref();
        let held = Held {
            id: session.id,
            signed_in: signed_in.map(|one| (Cow::Borrowed(one.credential.as_str()), one.by, one.until.0)),
        };
        self.seal_for(SESSION, serde_json::to_vec(&held).unwrap_or_default())
    }

    /// Encrypts the content of a cookie under a purpose. The value cannot be opened under another purpose.
    pub(crate) fn seal_for(&self, purpose: &[u8], mut bytes: Vec<u8>) -> String {
        let nonce: [u8; NONCE_LEN] = rand::random();
        let (aad, unique) = (Aad::from(purpose), Nonce::assume_unique_for_key(nonce));
        let sealed = self.seal.seal_in_place_append_tag(unique, aad, &mut bytes);
        debug_assert!(sealed.is_ok(), "a cookie is shorter than what the algorithm takes");
        BASE64URL_NOPAD.encode(&[&nonce[..], &bytes].concat())
    }

    /// Decrypts a value that was sealed under this purpose; `None` if it is not valid.
    pub(crate) fn open_for(&self, purpose: &[u8], value: &str) -> Option<Zeroizing<Vec<u8>>> {
        let mut bytes = Zeroizing::new(BASE64URL_NOPAD.decode(value.as_bytes()).ok()?);
        let (nonce, sealed) = bytes.split_at_mut_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let opened = self.seal.open_in_place(nonce, Aad::from(purpose), sealed).ok()?;
        Some(Zeroizing::new(opened.to_vec()))
    }

    fn open(&self, value: &str) -> Option<Session> {
        let opened = self.open_for(SESSION, value)?;
        let held: Held<'_> = serde_json::from_slice(&opened).ok()?;
        let signed_in = held.signed_in.map(|(credential, by, until)| {
            SignedIn::new(Zeroizing::new(credential.into_owned()), by, UnixMillis(until))
        });
        Some(Session { id: held.id, signed_in })
    }

    const fn name(&self) -> &'static str {
        if self.is_secure { NAME_SECURE } else { NAME }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];
    const NOW: UnixMillis = UnixMillis(1_000);

    fn sessions(is_secure: bool) -> Sessions {
        Sessions::new(&SECRET, is_secure, Duration::from_secs(60))
    }

    fn signed_in(text: &str, until: u64) -> SignedIn {
        SignedIn::new(Zeroizing::new(text.to_owned()), SignedInBy::Provider, UnixMillis(until))
    }

    /// The headers of a browser that received this cookie.
    fn browser(cookie: &HeaderValue) -> HeaderMap {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(&format!("other=1; {pair}")).unwrap())])
    }

    #[test]
    fn a_session_comes_back_as_it_was_sealed_and_ends_at_its_time() {
        let sessions = sessions(true);
        let session = Session::new(Some(signed_in("a.b.c", 2_000)));
        let cookie = sessions.cookie(&session).unwrap();
        let text = cookie.to_str().unwrap();
        for attribute in ["__Host-vigie-session=", "; Path=/", "; HttpOnly", "; SameSite=Lax", "; Secure"] {
            assert!(text.contains(attribute), "{text}");
        }
        assert!(!text.contains("a.b.c") && !format!("{session:?}").contains("a.b.c"));
        let arrived = sessions.of(&browser(&cookie), NOW);
        assert!(!arrived.is_new);
        assert_eq!(arrived.session.id, session.id);
        assert_eq!(*arrived.session.signed_in.unwrap().credential, "a.b.c");
        let late = sessions.of(&browser(&cookie), UnixMillis(2_000));
        assert!(late.is_new && late.session.signed_in.is_none());
    }

    #[test]
    fn a_cookie_that_was_changed_or_is_of_another_key_opens_nothing() {
        let (ours, others) = (sessions(false), Sessions::new(&[8; 32], false, Duration::from_secs(60)));
        let cookie = ours.cookie(&Session::new(Some(signed_in("a.b.c", 2_000)))).unwrap();
        assert!(others.of(&browser(&cookie), NOW).is_new);
        let text = cookie.to_str().unwrap();
        let begin = text.find('=').unwrap() + 1;
        let end = text.find(';').unwrap();
        for at in begin..end {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = HeaderValue::from_bytes(&changed).unwrap();
            // The last digit of the encoding has unused bits. The decoder refuses other values of them too.
            assert!(ours.of(&browser(&changed), NOW).is_new, "byte {at}");
        }
        for wrong in ["", "x", "AAAA", "=", "é"] {
            let headers = HeaderMap::from_iter([(
                header::COOKIE,
                HeaderValue::from_bytes(format!("vigie-session={wrong}").as_bytes()).unwrap(),
            )]);
            assert!(ours.of(&headers, NOW).is_new, "{wrong}");
        }
    }

    #[test]
    fn a_token_is_of_one_session_alone() {
        let sessions = sessions(false);
        let (one, other) = (Session::new(None), Session::new(None));
        let token = sessions.csrf_token(&one);
        assert!(sessions.is_csrf_token(&one, &token));
        assert!(!sessions.is_csrf_token(&other, &token) && !sessions.is_csrf_token(&one, ""));
    }

    #[test]
    fn a_credential_that_no_browser_would_keep_is_refused() {
        let sessions = sessions(true);
        let of = |bytes: usize| sessions.cookie(&Session::new(Some(signed_in(&"x".repeat(bytes), 2_000))));
        assert!(of(2_600).is_ok());
        assert_eq!(of(4_000), Err(TooLong));
    }
}
