//! The configuration for sending opinions: the object `feedback` in the settings of an exchange.
//!
//! Without it, no opinion is sent to a programme. The programmes that accept opinions in a known form are
//! NCMEC, ThreatExchange and StopNCII.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use vigie_consortium::{OpinionReason, OpinionWords};

use super::api::{Api, SettingsError, read, wrong};
use super::submit::checked_tags;

/// The programme's names for the types of fingerprints, in the paths of its calls, with the numbers of the
/// hash types.
pub(crate) const NCMEC_TYPES: [(&str, u32); 4] = [("PDQ", 1), ("MD5", 2), ("SHA1", 4), ("PDNA", 6)];

/// The settings for sending the owner's opinions to a programme.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feedback {
    /// See [`Api::ThreatExchange`].
    ThreatExchange,
    /// See [`Api::StopNcii`].
    StopNcii {
        /// Tags of each feedback.
        tags: Vec<String>,
    },
    /// See [`Api::Ncmec`].
    Ncmec {
        /// The ids of the environment's reasons, by type of fingerprint and by the reason in this deployment.
        /// A negative opinion without an id is not sent.
        reasons: BTreeMap<String, BTreeMap<OpinionReason, String>>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfStopNcii {
    #[serde(default)]
    tags: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfNcmec {
    #[serde(default)]
    reasons: BTreeMap<String, BTreeMap<String, String>>,
}

impl Feedback {
    /// Reads the object for an exchange of an interface.
    pub(super) fn parse(api: Api, object: Value) -> Result<Self, SettingsError> {
        match api {
            Api::ThreatExchange => {
                let Nothing {} = read(object)?;
                Ok(Self::ThreatExchange)
            }
            Api::StopNcii => {
                let OfStopNcii { tags } = read(object)?;
                Ok(Self::StopNcii { tags: checked_tags("feedback.tags", tags)? })
            }
            Api::Ncmec => {
                let OfNcmec { reasons } = read(object)?;
                let reasons =
                    reasons.into_iter().map(|(kind, ids)| Ok((known_type(kind)?, reason_ids(ids)?)));
                Ok(Self::Ncmec { reasons: reasons.collect::<Result<_, SettingsError>>()? })
            }
            Api::Tat => {
                Err(wrong("feedback", "no form is known in which Tech Against Terrorism takes feedback"))
            }
            Api::Vigie => Err(wrong(
                "feedback",
                "the other deployment takes opinions of its members from their own principals: vigie opinion put there",
            )),
            Api::LocalFile | Api::HttpFile | Api::Sample => Err(wrong(
                "feedback",
                &format!("{}, {} and {} take opinions", Api::Ncmec, Api::ThreatExchange, Api::StopNcii),
            )),
        }
    }
}

fn known_type(kind: String) -> Result<String, SettingsError> {
    let known = NCMEC_TYPES.map(|(word, _)| word);
    if known.contains(&kind.as_str()) {
        Ok(kind)
    } else {
        Err(wrong("feedback.reasons", &format!("types of fingerprints are {}", known.join(", "))))
    }
}

fn reason_ids(ids: BTreeMap<String, String>) -> Result<BTreeMap<OpinionReason, String>, SettingsError> {
    let one = |(name, id): (String, String)| {
        let reason = OpinionReason::ALL.into_iter().find(|reason| reason.name() == name);
        let names = || OpinionReason::ALL.map(OpinionReason::name).join(", ");
        let reason = reason.ok_or_else(|| wrong("feedback.reasons", &format!("reasons are {}", names())))?;
        let is_id =
            (1..=OpinionWords::FOREIGN_LEN_MAX).contains(&id.len()) && !id.chars().any(char::is_control);
        if is_id {
            Ok((reason, id))
        } else {
            Err(wrong("feedback.reasons", "an id has 1 to 64 bytes without control characters"))
        }
    };
    ids.into_iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(api: &str, text: &str) -> Result<Feedback, SettingsError> {
        Feedback::parse(api.parse().unwrap(), serde_json::from_str(text).unwrap())
    }

    #[test]
    fn the_object_is_read_by_the_words_of_its_programme() {
        assert_eq!(parse("fb_threatexchange", "{}"), Ok(Feedback::ThreatExchange));
        let tags = vec!["a".to_owned()];
        assert_eq!(parse("stop_ncii", r#"{"tags": ["a"]}"#), Ok(Feedback::StopNcii { tags }));
        let text = r#"{"reasons": {"MD5": {"other": "g-1", "poor-hash": "g-2"}}}"#;
        let Feedback::Ncmec { reasons } = parse("ncmec", text).unwrap() else { panic!("other words") };
        assert_eq!(reasons["MD5"][&OpinionReason::PoorHash], "g-2");
        assert_eq!(reasons["MD5"][&OpinionReason::Other], "g-1");
    }

    #[test]
    fn programmes_without_a_known_form_and_unusable_words_are_refused() {
        let long = format!(r#"{{"reasons": {{"MD5": {{"other": "{}"}}}}}}"#, "x".repeat(65));
        for (api, text, named) in [
            ("tat", "{}", "no form is known"),
            ("vigie", "{}", "opinion put"),
            ("sample", "{}", "stop_ncii"),
            ("http_file", "{}", "stop_ncii"),
            ("fb_threatexchange", r#"{"tags": []}"#, "tags"),
            ("stop_ncii", r#"{"tags": [""]}"#, "feedback.tags"),
            ("ncmec", r#"{"reasons": {"TMK": {}}}"#, "PDNA"),
            ("ncmec", r#"{"reasons": {"MD5": {"because": "g"}}}"#, "poor-hash"),
            ("ncmec", &long, "64"),
        ] {
            let error = parse(api, text).unwrap_err().to_string();
            assert!(error.contains(named), "{api} {text}: {error}");
        }
    }
}
