//! Exchanges: hash-sharing programmes and files that a bank follows, as the bank stores them.
//!
//! The bank stores an exchange's settings and progress, but none of its credentials: the process that follows
//! the programme has those.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use vigie_model::{BankId, MemberId, UnixMillis};

use crate::text::Text;

/// The id of an exchange: the sequence of the change that added it, never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeId(pub u64);

impl fmt::Display for ExchangeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The name of an exchange: 1 to 255 of `A-Z a-z 0-9 . _ -`, beginning with a letter, a digit or `_`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ExchangeName(Box<str>);

/// The text is not a valid [`ExchangeName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an exchange's name is 1 to {max} of A-Z a-z 0-9 . _ - and begins with a letter, a digit or _", max = ExchangeName::LEN_MAX)]
pub struct ExchangeNameError;

impl ExchangeName {
    /// The longest name, in bytes. The name is also used as the programme of an origin.
    pub const LEN_MAX: usize = crate::items::Origin::PROGRAMME_LEN_MAX;

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExchangeName {
    type Err = ExchangeNameError;

    fn from_str(text: &str) -> Result<Self, ExchangeNameError> {
        let inner = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let begins_well =
            text.as_bytes().first().is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
        let fits = begins_well && text.len() <= Self::LEN_MAX && text.as_bytes().iter().all(inner);
        if fits { Ok(Self(text.into())) } else { Err(ExchangeNameError) }
    }
}

impl fmt::Display for ExchangeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The kind of programme that an exchange follows, such as `ncmec`: 1 to 64 of `a-z 0-9 _ -`. The bank does
/// not check whether the programme exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeApi(Box<str>);

/// The text is not a valid [`ExchangeApi`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an exchange's api is 1 to {max} of a-z 0-9 _ -", max = ExchangeApi::LEN_MAX)]
pub struct ExchangeApiError;

impl ExchangeApi {
    /// The longest word, in bytes.
    pub const LEN_MAX: usize = 64;

    /// Returns the word.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ExchangeApi {
    type Err = ExchangeApiError;

    fn from_str(text: &str) -> Result<Self, ExchangeApiError> {
        let is_fit =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
        let fits = (1..=Self::LEN_MAX).contains(&text.len()) && text.bytes().all(is_fit);
        if fits { Ok(Self(text.into())) } else { Err(ExchangeApiError) }
    }
}

/// The settings of an exchange, which its api parses: a JSON object in which no name looks like that of a
/// credential. The text is kept unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeConfig(Box<str>);

/// The text is not a valid [`ExchangeConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExchangeConfigError {
    /// Too many bytes.
    #[error("the settings of an exchange have at most {max} bytes, not {0}", max = ExchangeConfig::LEN_MAX)]
    Length(usize),
    /// Not a JSON object.
    #[error("the settings of an exchange are an object of JSON: {0}")]
    Json(String),
    /// A name in the object looks like that of a credential.
    #[error(
        "{0:?} looks like a credential: the bank keeps none; give it to the exchange process by a file or its environment"
    )]
    Credential(String),
}

impl ExchangeConfig {
    /// The longest text, in bytes.
    pub const LEN_MAX: usize = 4_096;
    /// Substrings, in lower case, for which a name is taken for that of a credential.
    const CREDENTIALS: [&str; 6] = ["token", "password", "passwd", "secret", "key", "credential"];

    /// Checks the text; an empty one means an empty object.
    pub fn new(text: &str) -> Result<Self, ExchangeConfigError> {
        if text.len() > Self::LEN_MAX {
            return Err(ExchangeConfigError::Length(text.len()));
        }
        let text = if text.is_empty() { "{}" } else { text };
        let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text)
            .map_err(|error| ExchangeConfigError::Json(error.to_string()))?;
        let mut waiting: Vec<(&str, &serde_json::Value)> =
            object.iter().map(|(name, value)| (name.as_str(), value)).collect();
        while let Some((name, value)) = waiting.pop() {
            let lower = name.to_lowercase();
            if Self::CREDENTIALS.iter().any(|word| lower.contains(word)) {
                let shown = name.chars().take(64).collect();
                return Err(ExchangeConfigError::Credential(shown));
            }
            match value {
                serde_json::Value::Object(inner) => {
                    waiting.extend(inner.iter().map(|(name, value)| (name.as_str(), value)));
                }
                serde_json::Value::Array(inner) => waiting.extend(inner.iter().map(|value| ("", value))),
                serde_json::Value::Null
                | serde_json::Value::Bool(_)
                | serde_json::Value::Number(_)
                | serde_json::Value::String(_) => {}
            }
        }
        Ok(Self(text.into()))
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An exchange as the bank stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// The id.
    pub id: ExchangeId,
    /// The name, unique among the exchanges of its bank's owner.
    pub name: ExchangeName,
    /// The kind of programme.
    pub api: ExchangeApi,
    /// The bank that receives the items.
    pub bank: BankId,
    /// The owner of that bank; items are submitted in its name.
    pub owner: MemberId,
    /// The settings.
    pub config: ExchangeConfig,
    /// Seconds between two rounds of fetching; 0 for the default of its api.
    pub interval_seconds: u32,
    /// Whether the exchange is followed.
    pub enabled: bool,
    /// The time at which it was added.
    pub created_at: UnixMillis,
    /// The number of rounds requested by hand, in total.
    pub requested_rounds: u64,
    /// The progress, in a form that the api defines; empty before the first page.
    pub cursor: Box<[u8]>,
    /// The state of its rounds.
    pub status: ExchangeStatus,
}

impl Exchange {
    /// The largest number of exchanges of a deployment.
    pub const COUNT_MAX: usize = 500;
    /// The largest cursor, in bytes.
    pub const CURSOR_LEN_MAX: usize = 4_096;
    /// The longest interval: 30 days.
    pub const INTERVAL_SECONDS_MAX: u32 = 30 * 86_400;
}

/// The state of an exchange's rounds. Times are by the clock of the process that follows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExchangeStatus {
    /// The start of the running round.
    pub running_since: Option<UnixMillis>,
    /// The end of the last round.
    pub completed_at: Option<UnixMillis>,
    /// Whether the last round succeeded.
    pub succeeded: Option<bool>,
    /// Whether the last round reached the end of the programme's data.
    pub up_to_date: bool,
    /// The time of the cursor, by the programme's clock.
    pub checkpoint: Option<UnixMillis>,
    /// The number of fetched items, in total.
    pub fetched_items: u64,
    /// The problem that needs a person's attention; empty for none.
    pub alarm: Text<{ ExchangeStatus::ALARM_LEN_MAX }>,
    /// The number of requested rounds that are done, in total.
    pub answered_rounds: u64,
}

impl ExchangeStatus {
    /// The longest text of an alarm, in bytes.
    pub const ALARM_LEN_MAX: usize = 1_024;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_apis_are_checked() {
        for good in ["a", "_A", "0", "STOP.NCII-2_x", &"n".repeat(255)] {
            assert_eq!(good.parse::<ExchangeName>().unwrap().as_str(), good);
        }
        for bad in ["", "-a", ".a", "a b", "é", "a/b", &"n".repeat(256)] {
            assert_eq!(bad.parse::<ExchangeName>(), Err(ExchangeNameError), "{bad}");
        }
        assert!(
            "fb_threatexchange".parse::<ExchangeApi>().is_ok() && "Ncmec".parse::<ExchangeApi>().is_err()
        );
        assert!("".parse::<ExchangeApi>().is_err() && "a".repeat(65).parse::<ExchangeApi>().is_err());
    }

    #[test]
    fn settings_hold_no_credential_at_any_depth() {
        for good in
            ["", "{}", r#"{"environment": "https://exttest.cybertip.org/hashsharing", "only_esp_ids": [1]}"#]
        {
            assert!(ExchangeConfig::new(good).is_ok(), "{good}");
        }
        let refused = [
            r#"{"api_token": "x"}"#,
            r#"{"Password": "x"}"#,
            r#"{"a": {"client_SECRET": 1}}"#,
            r#"{"a": [[{"x-functions-key": null}]]}"#,
        ];
        for bad in refused {
            assert!(matches!(ExchangeConfig::new(bad), Err(ExchangeConfigError::Credential(_))), "{bad}");
        }
        // The error does not repeat the value.
        let error = ExchangeConfig::new(r#"{"token": "hush"}"#).unwrap_err().to_string();
        assert!(error.contains("\"token\"") && !error.contains("hush"), "{error}");
        assert!(matches!(ExchangeConfig::new("[]"), Err(ExchangeConfigError::Json(_))));
        assert_eq!(ExchangeConfig::new(&" ".repeat(4_097)), Err(ExchangeConfigError::Length(4_097)));
    }
}
