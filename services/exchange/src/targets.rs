//! The programmes that accept submissions, one file for each. Those that accept opinions are in [`feedback`].
//!
//! `target` has what all of them share; [`open`] makes the target of one round.

pub(crate) mod target;
pub(crate) mod feedback;
mod threat_exchange;
mod stop_ncii;

pub(crate) use self::target::{Denial, Submission, Target};
use crate::credentials::Credentials;
use crate::sources::settings::{Settings, SettingsError};
use crate::sources::submit::{Submit, SubmitWords};

/// Opens the target of a round. `settings` must be those of the same exchange.
pub(crate) fn open(
    settings: &Settings,
    submit: &Submit,
    credentials: &Credentials,
) -> Result<Box<dyn Target>, SettingsError> {
    let types = submit.signal_types.clone();
    match (settings, &submit.words) {
        (Settings::ThreatExchange { base, .. }, SubmitWords::ThreatExchange(sharing)) => Ok(Box::new(
            threat_exchange::ThreatExchange::open(base.clone(), sharing.clone(), types, credentials)?,
        )),
        (Settings::StopNcii { base }, SubmitWords::StopNcii { tags }) => {
            Ok(Box::new(stop_ncii::StopNcii::open(base.clone(), tags.clone(), types, credentials)))
        }
        // Settings are parsed together, so they cannot be those of different programmes.
        (
            Settings::Ncmec { .. }
            | Settings::ThreatExchange { .. }
            | Settings::StopNcii { .. }
            | Settings::Tat { .. }
            | Settings::Vigie { .. }
            | Settings::LocalFile { .. }
            | Settings::HttpFile { .. }
            | Settings::Sample,
            SubmitWords::ThreatExchange(_) | SubmitWords::StopNcii { .. },
        ) => Err(SettingsError::Value {
            field: "submit",
            reason: "its words are those of another programme".to_owned(),
        }),
    }
}
