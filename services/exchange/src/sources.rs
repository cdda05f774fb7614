//! The programmes that exchanges follow, one file for each.
//!
//! `source` has what all of them share. [`settings`], [`submit`] and [`feedback`] read the configuration of
//! an exchange. [`open`] makes the source of one round.

pub(crate) mod source;
mod api;
pub mod settings;
pub mod submit;
pub mod feedback;
mod ncmec;
mod threat_exchange;
mod stop_ncii;
mod tat;
mod vigie;
mod file;
mod lines;

use serde_json::Value;
use vigie_model::UnixMillis;

pub use self::lines::FileForm;
pub(crate) use self::ncmec::basic;
use self::settings::Settings;
pub use self::source::{Next, Page, Proof, Refusal, Source, Step, Trouble};
pub(crate) use self::threat_exchange::app_of;
use crate::credentials::Credentials;

/// Opens the source of a round that continues from a stored position. `member` is the owner of the exchange,
/// `None` for the host; a member's files are in its own folder.
pub fn open(
    settings: &Settings,
    member: Option<&str>,
    credentials: &Credentials,
    at: Option<&Value>,
    now: UnixMillis,
) -> Result<Box<dyn Source>, Trouble> {
    Ok(match settings {
        Settings::Ncmec { base, members } => {
            Box::new(ncmec::Ncmec::open(base.clone(), members.clone(), credentials, at, now)?)
        }
        Settings::ThreatExchange { base, group, types } => {
            let (group, types) = (group.clone(), types.clone());
            Box::new(threat_exchange::ThreatExchange::open(base.clone(), group, types, credentials, at, now)?)
        }
        Settings::StopNcii { base } => {
            Box::new(stop_ncii::StopNcii::open(base.clone(), credentials, at, now)?)
        }
        Settings::Tat { base } => Box::new(tat::Tat::open(base.clone(), credentials, at)?),
        Settings::Vigie { base, bank } => {
            Box::new(vigie::Vigie::open(base.clone(), bank.clone(), credentials, at, now)?)
        }
        Settings::LocalFile { path, form } => {
            let name = member.map_or_else(|| path.clone(), |member| format!("{member}/{path}"));
            Box::new(file::File::local(&name, *form, at)?)
        }
        Settings::HttpFile { url, form } => Box::new(file::File::http(url.clone(), *form, credentials, at)?),
        Settings::Sample => Box::new(file::File::sample(at)?),
    })
}

/// Returns the records of a file.
#[cfg(test)]
pub(crate) fn test_lines(text: String) -> Vec<vigie_formats::programme::Record> {
    lines::records(text.into(), FileForm::default(), &mut Default::default()).unwrap().into()
}
