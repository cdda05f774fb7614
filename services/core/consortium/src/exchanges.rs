//! Exchanges: hash-sharing programmes and files that a bank follows, as the bank keeps them.
//!
//! The bank knows an exchange's settings and how far it has come, and no credential of it: whoever follows
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

/// The text is no [`ExchangeName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an exchange's name is 1 to {max} of A-Z a-z 0-9 . _ - and begins with a letter, a digit or _", max = ExchangeName::LEN_MAX)]
pub struct ExchangeNameError;

impl ExchangeName {
    /// The longest name, in bytes. The name is the programme of an origin too.
    pub const LEN_MAX: usize = crate::items::Origin::PROGRAMME_LEN_MAX;

    /// The name as text.
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
/// not judge it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeApi(Box<str>);

/// The text is no [`ExchangeApi`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an exchange's api is 1 to {max} of a-z 0-9 _ -", max = ExchangeApi::LEN_MAX)]
pub struct ExchangeApiError;

impl ExchangeApi {
    /// Bytes of the word.
    pub const LEN_MAX: usize = 64;

    /// The word.
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

/// The settings of an exchange, which its api reads: an object of JSON without anything that looks like a
/// credential. The text is kept as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeConfig(Box<str>);

/// The text is no [`ExchangeConfig`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ExchangeConfigError {
    /// Too many bytes.
    #[error("the settings of an exchange have at most {max} bytes, not {0}", max = ExchangeConfig::LEN_MAX)]
    Length(usize),
    /// No object of JSON.
    #[error("the settings of an exchange are an object of JSON: {0}")]
    Json(String),
    /// A name in it looks like that of a credential.
    #[error(
        "{0:?} looks like a credential: the bank keeps none; give it to the exchange process by a file or its environment"
    )]
    Credential(String),
}

impl ExchangeConfig {
    /// Bytes of the text.
    pub const LEN_MAX: usize = 4_096;
    /// Parts of names, in lower case, by which a credential is suspected.
    const CREDENTIALS: [&str; 6] = ["token", "password", "passwd", "secret", "key", "credential"];

    /// Checks the text; an empty one stands for an object without members.
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

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An exchange as the bank keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its id.
    pub id: ExchangeId,
    /// Its name, unique among the exchanges of its bank's owner.
    pub name: ExchangeName,
    /// The kind of programme.
    pub api: ExchangeApi,
    /// The bank that its items go to.
    pub bank: BankId,
    /// The owner of that bank, for whom items are submitted.
    pub owner: MemberId,
    /// Its settings.
    pub config: ExchangeConfig,
    /// Seconds between two rounds; 0 for the default of its api.
    pub interval_seconds: u32,
    /// Whether it is followed.
    pub enabled: bool,
    /// When it was added.
    pub created_at: UnixMillis,
    /// Rounds that were asked for by hand, in all.
    pub requested_rounds: u64,
    /// How far it has come, in the words of its api; empty before the first page.
    pub cursor: Box<[u8]>,
    /// How its rounds went.
    pub status: ExchangeStatus,
}

impl Exchange {
    /// The most exchanges of a deployment.
    pub const COUNT_MAX: usize = 500;
    /// Bytes of a cursor.
    pub const CURSOR_LEN_MAX: usize = 4_096;
    /// The longest interval: 30 days.
    pub const INTERVAL_SECONDS_MAX: u32 = 30 * 86_400;
}

/// How the rounds of an exchange went. Times are of the process that follows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ExchangeStatus {
    /// When the round that runs began.
    pub running_since: Option<UnixMillis>,
    /// When the last round ended.
    pub completed_at: Option<UnixMillis>,
    /// Whether it ended well.
    pub succeeded: Option<bool>,
    /// Whether it came to the programme's end.
    pub up_to_date: bool,
    /// The programme's own time of the cursor.
    pub checkpoint: Option<UnixMillis>,
    /// Items that were fetched, in all.
    pub fetched_items: u64,
    /// The problem that a person has to look at; empty for none.
    pub alarm: Text<{ ExchangeStatus::ALARM_LEN_MAX }>,
    /// The requested rounds that rounds have answered, in all.
    pub answered_rounds: u64,
}

impl ExchangeStatus {
    /// Bytes of the text of an alarm.
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
        // The value is not repeated.
        let error = ExchangeConfig::new(r#"{"token": "hush"}"#).unwrap_err().to_string();
        assert!(error.contains("\"token\"") && !error.contains("hush"), "{error}");
        assert!(matches!(ExchangeConfig::new("[]"), Err(ExchangeConfigError::Json(_))));
        assert_eq!(ExchangeConfig::new(&" ".repeat(4_097)), Err(ExchangeConfigError::Length(4_097)));
    }
}
