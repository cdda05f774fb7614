//! The settings of an exchange: the interface of its programme, and a JSON object without credentials.

use serde::Deserialize;
use serde_json::{Map, Value};
use url::Url;
use vigie_formats::files::Format;
use vigie_formats::ncmec::ENVIRONMENTS;
use vigie_model::{BankRef, HashType};

pub use super::api::{Api, SettingsError};
use super::api::{read, wrong};
use super::feedback::Feedback;
use super::lines::FileForm;
use super::submit::Submit;

/// The settings of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// See [`Api::Ncmec`].
    Ncmec {
        /// The environment's base URL.
        base: Url,
        /// The members whose entries are accepted; empty for all.
        members: Vec<u64>,
    },
    /// See [`Api::ThreatExchange`].
    ThreatExchange {
        /// The Graph API's base URL, version included.
        base: Url,
        /// The privacy group, a number.
        group: String,
        /// The programme's names of the types to request; empty for all.
        types: Vec<String>,
    },
    /// See [`Api::StopNcii`].
    StopNcii {
        /// The base URL.
        base: Url,
    },
    /// See [`Api::Tat`].
    Tat {
        /// The base URL.
        base: Url,
    },
    /// See [`Api::Vigie`].
    Vigie {
        /// The gateway's base URL.
        base: Url,
        /// The bank, by the name that the other deployment uses for the follower: its own name, `owner/name`
        /// or an alias.
        bank: String,
    },
    /// See [`Api::LocalFile`].
    LocalFile {
        /// The path below the folder of files.
        path: String,
        /// The settings for reading the file.
        form: FileForm,
    },
    /// See [`Api::HttpFile`].
    HttpFile {
        /// The file's URL.
        url: Url,
        /// The settings for reading the file.
        form: FileForm,
    },
    /// See [`Api::Sample`].
    Sample,
}

/// The version of the Graph API in python-threatexchange 1.2.17.
const GRAPH: &str = "https://graph.facebook.com/v26.0";
const STOP_NCII: &str = "https://api.stopncii.org/v1";
const TAT: &str = "https://app.terrorismanalytics.org";

/// The settings of an exchange that all interfaces share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Common {
    /// The share of the exchange's records that one round may remove, in percent; `None` for the
    /// configuration's value.
    pub removal_percent_max: Option<u8>,
    /// The programme's name for the member who owns the exchange. The opinions under this name are the
    /// member's own, not those of others. `None` if the credentials contain the name, or if it is unknown.
    pub known_as: Option<String>,
    /// The settings of write-back; `None` for none.
    pub submit: Option<Submit>,
    /// The settings for sending opinions; `None` for none.
    pub feedback: Option<Feedback>,
}

impl Settings {
    /// Reads the settings of an interface from a JSON object. Empty text is an empty object.
    pub fn parse(api: Api, text: &str) -> Result<(Self, Common), SettingsError> {
        let text = if text.trim().is_empty() { "{}" } else { text };
        let fields = |error: serde_json::Error| SettingsError::Fields(error.to_string());
        let mut object: Map<String, Value> = serde_json::from_str(text).map_err(fields)?;
        let percent = object.remove("removal_percent_max");
        let percent = percent.map(serde_json::from_value::<u8>).transpose().map_err(fields)?;
        if percent.is_some_and(|percent| percent > 100) {
            return Err(wrong("removal_percent_max", "must be 0 to 100"));
        }
        let known_as = object.remove("known_as");
        let known_as = known_as.map(serde_json::from_value::<String>).transpose().map_err(fields)?;
        let is_name = |name: &String| (1..=256).contains(&name.len()) && !name.chars().any(char::is_control);
        if known_as.as_ref().is_some_and(|name| !is_name(name)) {
            return Err(wrong("known_as", "must be 1 to 256 bytes without control characters"));
        }
        let (submit, feedback) = (object.remove("submit"), object.remove("feedback"));
        let settings = Self::of(api, Value::Object(object))?;
        let group = if let Self::ThreatExchange { group, .. } = &settings { group } else { "" };
        let submit = submit.map(|object| Submit::parse(api, group, object)).transpose()?;
        let feedback = feedback.map(|object| Feedback::parse(api, object)).transpose()?;
        Ok((settings, Common { removal_percent_max: percent, known_as, submit, feedback }))
    }

    fn of(api: Api, object: Value) -> Result<Self, SettingsError> {
        Ok(match api {
            Api::Ncmec => {
                let Ncmec { environment, base_url, members } = read(object)?;
                let base = match (base_url, environment) {
                    (Some(base), None) => url("base_url", &base)?,
                    (None, Some(name)) => {
                        let found = ENVIRONMENTS.iter().find(|one| one.name == name);
                        let found = found.ok_or_else(|| {
                            wrong(
                                "environment",
                                &format!("use {}", ENVIRONMENTS.map(|one| one.name).join(", ")),
                            )
                        })?;
                        url("environment", found.base)?
                    }
                    (Some(_), Some(_)) | (None, None) => {
                        return Err(wrong("environment", "set either environment or base_url, not both"));
                    }
                };
                Self::Ncmec { base, members }
            }
            Api::ThreatExchange => {
                let ThreatExchange { privacy_group, base_url, types } = read(object)?;
                let group = match privacy_group {
                    Value::Number(number) => number.to_string(),
                    Value::String(text) => text,
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => String::new(),
                };
                if group.is_empty() || group.len() > 32 || !group.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(wrong("privacy_group", "must be a number of at most 32 digits"));
                }
                Self::ThreatExchange {
                    base: url("base_url", base_url.as_deref().unwrap_or(GRAPH))?,
                    group,
                    types,
                }
            }
            Api::StopNcii => {
                let Base { base_url } = read(object)?;
                Self::StopNcii { base: url("base_url", base_url.as_deref().unwrap_or(STOP_NCII))? }
            }
            Api::Tat => {
                let Base { base_url } = read(object)?;
                Self::Tat { base: url("base_url", base_url.as_deref().unwrap_or(TAT))? }
            }
            Api::Vigie => {
                let Vigie { base_url, bank } = read(object)?;
                if bank.parse::<BankRef>().is_err() {
                    return Err(wrong("bank", "must be the name of a bank, or `owner/name`"));
                }
                Self::Vigie { base: url("base_url", &base_url)?, bank }
            }
            Api::LocalFile => {
                let LocalFile { path, signal_type, format } = read(object)?;
                Self::LocalFile { path, form: form(format, signal_type)? }
            }
            Api::HttpFile => {
                let HttpFile { url: text, signal_type, format } = read(object)?;
                Self::HttpFile { url: url("url", &text)?, form: form(format, signal_type)? }
            }
            Api::Sample => {
                let Nothing {} = read(object)?;
                Self::Sample
            }
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Ncmec {
    environment: Option<String>,
    base_url: Option<String>,
    #[serde(default)]
    members: Vec<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThreatExchange {
    privacy_group: Value,
    base_url: Option<String>,
    #[serde(default)]
    types: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    base_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vigie {
    base_url: String,
    bank: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LocalFile {
    path: String,
    signal_type: Option<String>,
    format: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpFile {
    url: String,
    signal_type: Option<String>,
    format: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Returns a URL, which must not contain credentials.
fn url(field: &'static str, text: &str) -> Result<Url, SettingsError> {
    let url = Url::parse(text).map_err(|error| wrong(field, &error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(wrong(field, "must be a URL that begins with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(field, "must not contain a user or a password"));
    }
    Ok(url)
}

fn form(format: Option<String>, signal_type: Option<String>) -> Result<FileForm, SettingsError> {
    let hash_type = signal_type.map(|name| name.parse::<HashType>()).transpose();
    let format = format.map(|name| name.parse::<Format>()).transpose();
    let names = || Format::all().map(|format| format.to_string()).collect::<Vec<_>>().join(", ");
    Ok(FileForm {
        format: format.map_err(|_| wrong("format", &format!("use {}", names())))?,
        hash_type: hash_type.map_err(|error| wrong("signal_type", &error.to_string()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_the_interface() {
        let parse = |api: &str, text: &str| Settings::parse(api.parse().unwrap(), text);
        let (settings, common) =
            parse("ncmec", r#"{"environment": "test_NGO", "members": [7], "removal_percent_max": 50}"#)
                .unwrap();
        let base = Url::parse("https://hashsharing-test.ncmec.org/npo").unwrap();
        assert_eq!(settings, Settings::Ncmec { base, members: vec![7] });
        assert_eq!(common.removal_percent_max, Some(50));
        let (settings, _) = parse("threat_exchange", r#"{"privacy_group": 123}"#).unwrap();
        assert!(matches!(settings, Settings::ThreatExchange { group, .. } if group == "123"));
        assert_eq!(parse("sample", "").unwrap().0, Settings::Sample);
        assert_eq!(parse("stop_ncii", "{}").unwrap().1.submit, None);
        let (_, common) = parse("stop_ncii", r#"{"known_as": "Acme"}"#).unwrap();
        assert_eq!(common.known_as.as_deref(), Some("Acme"));
        let (_, common) = parse("stop_ncii", r#"{"submit": {"bank": "own-list"}}"#).unwrap();
        assert_eq!(common.submit.unwrap().bank.as_str(), "own-list");
        assert!(parse("ncmec", r#"{"environment": "NGO", "submit": {"bank": "own-list"}}"#).is_err());
        assert!(parse("http_file", r#"{"url": "https://x.example/a", "signal_type": "pdq"}"#).is_ok());
        assert!(parse("vigie", r#"{"base_url": "https://x.example", "bank": "owner/list"}"#).is_ok());
        for (api, text) in [
            ("ncmec", "{}"),
            ("ncmec", r#"{"environment": "none"}"#),
            ("ncmec", r#"{"environment": "NGO", "base_url": "https://x.example"}"#),
            ("stop_ncii", r#"{"password": "x"}"#),
            ("vigie", "{}"),
            ("vigie", r#"{"base_url": "https://x.example", "bank": "a/b/c"}"#),
            ("stop_ncii", r#"{"base_url": "https://user:word@x.example"}"#),
            ("fb_threatexchange", r#"{"privacy_group": "1/../2"}"#),
            ("local_file", "{}"),
            ("http_file", r#"{"url": "file:///etc/passwd"}"#),
            ("http_file", r#"{"url": "https://x.example", "signal_type": "none"}"#),
            ("http_file", r#"{"url": "https://x.example", "format": "none"}"#),
            ("sample", "[]"),
            ("sample", r#"{"removal_percent_max": 101}"#),
            ("stop_ncii", r#"{"known_as": ""}"#),
            ("stop_ncii", r#"{"known_as": 7}"#),
        ] {
            assert!(parse(api, text).is_err(), "{api} {text}");
        }
        assert_eq!("none".parse::<Api>(), Err(SettingsError::Api));
    }
}
