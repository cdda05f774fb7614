//! Cases: incidents, referrals of authorised bodies, and reports to the reviewers, one tab each; statistics;
//! and the audit.

pub(crate) mod reports;
pub(crate) mod audit;
mod body;
mod tabs;
mod words;
mod incidents;
mod referrals;
mod outcome;
mod reported;
mod report;

use axum::routing::{get, post};
use serde::Deserialize;
use vigie_consortium::rights::Method;

use crate::console::page::{Failed, Page};
use crate::console::pages::cases::tabs::Tab;
use crate::console::parts::Entered;
use crate::console::posted::Asked;
use crate::console::route::Route;
use crate::console::visit::Visit;

pub(crate) fn routes() -> Vec<Route> {
    const READS: &[Method] = &[Method::ListIncidents, Method::ListReferrals, Method::ListReports];
    const NOTHING: &[Method] = &[];
    vec![
        Route::page("/console/cases", READS, get(show)),
        Route::form(incidents::OPEN, NOTHING, &[Method::OpenIncident], post(incidents::open)),
        Route::form(incidents::CLOSE, NOTHING, &[Method::CloseIncident], post(incidents::close)),
        Route::form(
            incidents::SUBSCRIBE,
            NOTHING,
            &[Method::SetIncidentSubscription],
            post(incidents::subscribe),
        ),
        Route::form(referrals::ADD, NOTHING, &[Method::AddReferral], post(referrals::add)),
        Route::form(outcome::PATH, NOTHING, &[Method::SetReferralOutcome], post(outcome::set)),
        Route::form(reported::SEND, NOTHING, &[Method::SubmitReport], post(reported::send)),
        Route::form(
            report::PATH,
            &[Method::ListReports],
            &[Method::ReviewReport],
            get(report::show).post(report::review),
        ),
    ]
}

/// The shown tab, and the part of its list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    /// `incidents`, `referrals` or `reports`; by default the first that the person may read.
    kind: Option<String>,
    /// The key after which the page begins.
    after: Option<String>,
    /// The incident whose closing form is shown.
    close: Option<u64>,
    /// The referral whose outcome form is shown.
    set: Option<u64>,
    /// `yes`: includes reports that are already decided.
    all: Option<String>,
}

async fn show(visit: Visit, Asked(listed): Asked<Listed>) -> Result<Page, Failed> {
    let tab = Tab::chosen(&visit, listed.kind.as_deref()).ok_or_else(Failed::not_there)?;
    let after = listed.after.as_deref();
    match tab {
        Tab::Incidents => {
            let form = listed.close.map_or(incidents::Form::Any, incidents::Form::Close);
            incidents::page(&visit, after, form, Entered::default()).await
        }
        Tab::Referrals => match listed.set {
            Some(number) => outcome::page(&visit, number, Entered::default()),
            None => referrals::page(&visit, after, Entered::default()).await,
        },
        Tab::Reports => {
            let with_decided = listed.all.as_deref() == Some("yes");
            reported::page(&visit, after, with_decided, Entered::default()).await
        }
    }
}
