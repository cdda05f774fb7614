//! The interfaces of programmes, and the errors of an exchange's settings.

use std::fmt;
use std::str::FromStr;

use serde_json::Value;
use thiserror::Error;

/// The interface of a programme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// NCMEC hash sharing, version 2.
    Ncmec,
    /// ThreatExchange.
    ThreatExchange,
    /// StopNCII, version 1.
    StopNcii,
    /// Tech Against Terrorism's hash list, version 2.
    Tat,
    /// A bank of another Vigie deployment.
    Vigie,
    /// A file in the folder of files.
    LocalFile,
    /// A file by HTTP.
    HttpFile,
    /// python-threatexchange's public example hashes.
    Sample,
}

impl Api {
    /// All interfaces.
    pub const ALL: [Self; 8] = [
        Self::Ncmec,
        Self::ThreatExchange,
        Self::StopNcii,
        Self::Tat,
        Self::Vigie,
        Self::LocalFile,
        Self::HttpFile,
        Self::Sample,
    ];

    /// Returns the name in commands and in the bank.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ncmec => "ncmec",
            Self::ThreatExchange => "fb_threatexchange",
            Self::StopNcii => "stop_ncii",
            Self::Tat => "tat",
            Self::Vigie => "vigie",
            Self::LocalFile => "local_file",
            Self::HttpFile => "http_file",
            Self::Sample => "sample",
        }
    }

    /// Returns the fields of the required credentials.
    #[must_use]
    pub const fn credentials(self) -> &'static [&'static str] {
        match self {
            Self::Ncmec | Self::Tat => &["user", "password"],
            Self::ThreatExchange => &["token"],
            Self::StopNcii => &["fetch_key", "subscription_key"],
            Self::Vigie | Self::LocalFile | Self::HttpFile | Self::Sample => &[],
        }
    }

    /// Returns the fields of the credentials for write-back; none if the interface accepts no submissions.
    #[must_use]
    pub const fn submit_credentials(self) -> &'static [&'static str] {
        match self {
            Self::ThreatExchange => &["token"],
            Self::StopNcii => &["submit_key", "feedback_key", "subscription_key"],
            Self::Ncmec | Self::Tat | Self::Vigie | Self::LocalFile | Self::HttpFile | Self::Sample => &[],
        }
    }

    /// Returns the fields of the credentials for sending opinions; none if the interface accepts no opinions.
    #[must_use]
    pub const fn feedback_credentials(self) -> &'static [&'static str] {
        match self {
            Self::Ncmec => &["user", "password"],
            Self::ThreatExchange => &["token"],
            Self::StopNcii => &["feedback_key", "subscription_key"],
            Self::Tat | Self::Vigie | Self::LocalFile | Self::HttpFile | Self::Sample => &[],
        }
    }

    /// Returns the fields of the optional credentials.
    #[must_use]
    pub const fn optional_credentials(self) -> &'static [&'static str] {
        match self {
            Self::HttpFile => &["authorization"],
            // A deployment without members requires none.
            Self::Vigie => &["key"],
            Self::Ncmec
            | Self::ThreatExchange
            | Self::StopNcii
            | Self::Tat
            | Self::LocalFile
            | Self::Sample => &[],
        }
    }
}

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Api {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let is_called =
            |api: &&Self| api.name() == text || text == "threat_exchange" && **api == Self::ThreatExchange;
        Self::ALL.iter().find(is_called).copied().ok_or(SettingsError::Api)
    }
}

/// Reasons why an exchange's settings are invalid.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SettingsError {
    /// The interface does not exist.
    #[error("unknown interface; use {}", Api::ALL.map(Api::name).join(", "))]
    Api,
    /// The settings are not a JSON object of the interface's fields.
    #[error("the settings must be a JSON object of the interface's fields: {0}")]
    Fields(String),
    /// A field has an unusable value.
    #[error("{field}: {reason}")]
    Value {
        /// The field.
        field: &'static str,
        /// The reason.
        reason: String,
    },
}

/// Reads the fields of an object.
pub(super) fn read<T: serde::de::DeserializeOwned>(object: Value) -> Result<T, SettingsError> {
    serde_json::from_value(object).map_err(|error| SettingsError::Fields(error.to_string()))
}

/// Returns the error for a field.
pub(super) fn wrong(field: &'static str, reason: &str) -> SettingsError {
    SettingsError::Value { field, reason: reason.to_owned() }
}
