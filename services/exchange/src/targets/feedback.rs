//! The programmes that accept opinions, one file for each.
//!
//! `hearer` has what all of them share; [`open`] makes the hearer of one round.

mod hearer;
mod threat_exchange;
mod stop_ncii;
mod ncmec;

pub(crate) use self::hearer::{Hearer, Saying};
use crate::credentials::Credentials;
use crate::sources::feedback::Feedback;
use crate::sources::settings::{Settings, SettingsError};

/// Opens the hearer of a programme for a round. `settings` must be those of the same exchange.
pub(crate) fn open(
    settings: &Settings,
    feedback: &Feedback,
    credentials: &Credentials,
) -> Result<Box<dyn Hearer>, SettingsError> {
    match (settings, feedback) {
        (Settings::ThreatExchange { base, .. }, Feedback::ThreatExchange) => {
            Ok(Box::new(threat_exchange::ThreatExchange::open(base.clone(), credentials)?))
        }
        (Settings::StopNcii { base }, Feedback::StopNcii { tags }) => {
            Ok(Box::new(stop_ncii::StopNcii::open(base.clone(), tags.clone(), credentials)))
        }
        (Settings::Ncmec { base, .. }, Feedback::Ncmec { reasons }) => {
            Ok(Box::new(ncmec::Ncmec::open(base.clone(), reasons.clone(), credentials)))
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
            Feedback::ThreatExchange | Feedback::StopNcii { .. } | Feedback::Ncmec { .. },
        ) => Err(SettingsError::Value {
            field: "feedback",
            reason: "its words are those of another programme".to_owned(),
        }),
    }
}
