//! The configuration of write-back: the object `submit` in the settings of an exchange.
//!
//! Without it, an exchange only follows. The programmes that accept submissions are ThreatExchange and
//! StopNCII.

use serde::Deserialize;
use serde_json::Value;
use vigie_formats::stop_ncii;
use vigie_formats::threat_exchange::submission::{self as threat_exchange, OF_GROUP, PRIVACY_TYPES, Sharing};
use vigie_model::BankName;

use super::api::{Api, SettingsError, read, wrong};

/// The most bytes of a description, and of a tag.
const TEXT_LEN_MAX: usize = 256;
/// The most tags of a submission.
const TAGS_MAX: usize = 16;

/// The description if the settings have none, because the programme requires one.
const DESCRIPTION: &str = "known harmful content";

/// The settings of write-back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// The bank whose own items are submitted. It must belong to the exchange's owner.
    pub bank: BankName,
    /// The programme's names of the types of hashes that are submitted; empty for all.
    pub signal_types: Vec<String>,
    /// The information that is sent with the hashes.
    pub words: SubmitWords,
}

/// The information that is sent to a programme with the hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SubmitWords {
    /// See [`Api::ThreatExchange`].
    ThreatExchange(Sharing),
    /// See [`Api::StopNcii`].
    StopNcii {
        /// Tags of the feedback that is sent with each hash.
        tags: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfThreatExchange {
    bank: String,
    share_level: String,
    privacy_type: Option<String>,
    description: Option<String>,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    signal_types: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfStopNcii {
    bank: String,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    signal_types: Vec<String>,
}

impl Submit {
    /// Reads the object for an exchange of an interface, and of a privacy group if it has one.
    pub(super) fn parse(api: Api, group: &str, object: Value) -> Result<Self, SettingsError> {
        match api {
            Api::ThreatExchange => {
                let OfThreatExchange { bank, share_level, privacy_type, description, tags, signal_types } =
                    read(object)?;
                one_of("submit.share_level", &share_level, &threat_exchange::SHARE_LEVELS)?;
                let privacy_type = privacy_type.unwrap_or_else(|| OF_GROUP.to_owned());
                one_of("submit.privacy_type", &privacy_type, &PRIVACY_TYPES)?;
                let description = description.unwrap_or_else(|| DESCRIPTION.to_owned());
                check_text("submit.description", &description)?;
                // The programme separates tags by commas.
                if tags.iter().any(|tag| tag.contains(',')) {
                    return Err(wrong("submit.tags", "a tag must not contain a comma"));
                }
                check_types(&signal_types, threat_exchange::signal_types())?;
                let tags = checked_tags("submit.tags", tags)?;
                let sharing =
                    Sharing { share_level, privacy_type, group: group.to_owned(), description, tags };
                let words = SubmitWords::ThreatExchange(sharing);
                Ok(Self { bank: bank_name(&bank)?, signal_types, words })
            }
            Api::StopNcii => {
                let OfStopNcii { bank, tags, signal_types } = read(object)?;
                check_types(&signal_types, stop_ncii::submission::signal_types())?;
                let words = SubmitWords::StopNcii { tags: checked_tags("submit.tags", tags)? };
                Ok(Self { bank: bank_name(&bank)?, signal_types, words })
            }
            Api::Ncmec => {
                Err(wrong("submit", "no format is known in which NCMEC takes entries of platforms"))
            }
            Api::Tat => Err(wrong("submit", "Tech Against Terrorism takes feedback, and no hashes")),
            Api::Vigie => Err(wrong(
                "submit",
                "the other deployment follows this one, as this one follows it: grant it the hashes of the bank",
            )),
            Api::LocalFile | Api::HttpFile | Api::Sample => Err(wrong(
                "submit",
                &format!("{} and {} take submissions", Api::ThreatExchange, Api::StopNcii),
            )),
        }
    }
}

fn bank_name(text: &str) -> Result<BankName, SettingsError> {
    // The name has no owner, because only the owner's own banks are submitted.
    text.parse().map_err(|_| wrong("submit.bank", "must be the name of a bank of the exchange's owner"))
}

fn one_of(field: &'static str, word: &str, words: &[&str]) -> Result<(), SettingsError> {
    if words.contains(&word) { Ok(()) } else { Err(wrong(field, &format!("use {}", words.join(", ")))) }
}

fn check_types(given: &[String], words: impl Iterator<Item = &'static str>) -> Result<(), SettingsError> {
    let words: Vec<&str> = words.collect();
    given.iter().try_for_each(|word| one_of("submit.signal_types", word, &words))
}

fn check_text(field: &'static str, text: &str) -> Result<(), SettingsError> {
    let fits = (1..=TEXT_LEN_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
    if fits { Ok(()) } else { Err(wrong(field, "must be 1 to 256 bytes without control characters")) }
}

pub(super) fn checked_tags(field: &'static str, tags: Vec<String>) -> Result<Vec<String>, SettingsError> {
    if tags.len() > TAGS_MAX {
        return Err(wrong(field, "must be at most 16"));
    }
    tags.iter().try_for_each(|tag| check_text(field, tag))?;
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(api: &str, text: &str) -> Result<Submit, SettingsError> {
        Submit::parse(api.parse().unwrap(), "7", serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_object_is_read_by_the_words_of_its_programme() {
        let submit = parse("stop_ncii", r#"{"bank": "own-list", "tags": ["a"]}"#).unwrap();
        assert_eq!(submit.bank.as_str(), "own-list");
        assert_eq!(submit.words, SubmitWords::StopNcii { tags: vec!["a".to_owned()] });
        let text = r#"{"bank": "own", "share_level": "AMBER", "signal_types": ["HASH_MD5"]}"#;
        let submit = parse("fb_threatexchange", text).unwrap();
        let SubmitWords::ThreatExchange(sharing) = submit.words else { panic!("other words") };
        assert_eq!((sharing.group.as_str(), sharing.privacy_type.as_str()), ("7", OF_GROUP));
        assert_eq!(submit.signal_types, ["HASH_MD5"]);
    }

    #[test]
    fn programmes_that_take_no_hashes_and_unusable_words_are_refused() {
        let long = format!(r#"{{"bank": "a", "tags": ["{}"]}}"#, "x".repeat(257));
        for (api, text, named) in [
            ("ncmec", r#"{"bank": "a"}"#, "NCMEC"),
            ("tat", r#"{"bank": "a"}"#, "feedback"),
            ("sample", r#"{"bank": "a"}"#, "stop_ncii"),
            ("local_file", r#"{"bank": "a"}"#, "stop_ncii"),
            ("stop_ncii", "{}", "bank"),
            ("stop_ncii", r#"{"bank": "other/list"}"#, "owner"),
            ("stop_ncii", r#"{"bank": "a", "share_level": "RED"}"#, "share_level"),
            ("stop_ncii", r#"{"bank": "a", "signal_types": ["HASH_PDQ"]}"#, "ImagePDQ"),
            ("stop_ncii", &long, "tags"),
            ("fb_threatexchange", r#"{"bank": "a"}"#, "share_level"),
            ("fb_threatexchange", r#"{"bank": "a", "share_level": "BLUE"}"#, "GREEN"),
            ("fb_threatexchange", r#"{"bank": "a", "share_level": "RED", "privacy_type": "X"}"#, "VISIBLE"),
            ("fb_threatexchange", r#"{"bank": "a", "share_level": "RED", "tags": ["a,b"]}"#, "comma"),
        ] {
            let error = parse(api, text).unwrap_err().to_string();
            assert!(error.contains(named), "{api} {text}: {error}");
        }
    }
}
