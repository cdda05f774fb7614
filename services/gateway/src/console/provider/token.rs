//! A token of the provider, parsed as far as the session needs it. The services verify its signature.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use vigie_model::UnixMillis;
use zeroize::Zeroizing;

use crate::console::provider::fault::Fault;

/// The longest lifetime of a token that services accept, in seconds.
const LIFETIME_SECONDS_MAX: f64 = 3_600.0;

/// A token. `Debug` does not show it.
pub(crate) struct Token {
    text: Zeroizing<String>,
    claims: Claims,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    iat: f64,
    exp: f64,
    aud: Audience,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").finish_non_exhaustive()
    }
}

impl Token {
    /// Parses a token for this audience.
    ///
    /// # Errors
    ///
    /// The text is no JWT, has another audience, or is valid for longer than an hour.
    pub(super) fn read(text: Zeroizing<String>, audience: &str) -> Result<Self, Fault> {
        let claims = claims(&text).ok_or_else(|| {
            Fault::unsound("answers with a token that is no JWT with sub, aud, iat and exp")
        })?;
        let is_ours = match &claims.aud {
            Audience::One(one) => one == audience,
            Audience::Several(all) => all.iter().any(|one| one == audience),
        };
        if !is_ours {
            tracing::warn!(
                "sign-in at the identity provider: its token is not for the audience of access.credentials.issuers"
            );
            return Err(Fault::Audience);
        }
        if claims.exp - claims.iat > LIFETIME_SECONDS_MAX {
            tracing::warn!("sign-in at the identity provider: its tokens are good for longer than an hour");
            return Err(Fault::LongLived);
        }
        Ok(Self { text, claims })
    }

    pub(super) fn subject(&self) -> &str {
        &self.claims.sub
    }

    /// Returns the time at which the token expires.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "`as` keeps within the bounds of a number"
    )]
    pub(crate) fn expires(&self) -> UnixMillis {
        UnixMillis((self.claims.exp * 1_000.0) as u64)
    }

    /// Returns the text, for a session.
    pub(crate) fn into_text(self) -> Zeroizing<String> {
        self.text
    }
}

fn claims(text: &str) -> Option<Claims> {
    let mut parts = text.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    if parts.next().is_some() {
        return None;
    }
    serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(claims: &str) -> Result<Token, Fault> {
        let text = format!("e30.{}.c2ln", BASE64URL_NOPAD.encode(claims.as_bytes()));
        Token::read(Zeroizing::new(text), "console")
    }

    #[test]
    fn a_token_is_for_this_deployment_and_ends_within_an_hour() {
        for aud in [r#""console""#, r#"["other", "console"]"#] {
            let token = read(&format!(r#"{{"sub": "s", "aud": {aud}, "iat": 1000, "exp": 4600}}"#)).unwrap();
            assert_eq!((token.subject(), token.expires()), ("s", UnixMillis(4_600_000)));
            assert!(!format!("{token:?}").contains("e30"));
        }
        let other = read(r#"{"sub": "s", "aud": "other", "iat": 1000, "exp": 4600}"#);
        assert_eq!(other.unwrap_err(), Fault::Audience);
        let long = read(r#"{"sub": "s", "aud": "console", "iat": 1000, "exp": 4601}"#);
        assert_eq!(long.unwrap_err(), Fault::LongLived);
        for wrong in ["{}", "[]", r#"{"sub": 1, "aud": "console", "iat": 1, "exp": 2}"#] {
            assert!(matches!(read(wrong), Err(Fault::Unsound { .. })), "{wrong}");
        }
        for text in ["", "a.b", "a.b.c.d", "opaque"] {
            assert!(Token::read(Zeroizing::new(text.to_owned()), "console").is_err(), "{text}");
        }
    }
}
