//! The measures that the person's member took on a referral.

use axum::extract::Path;
use maud::html;
use vigie_consortium::cases::{Ground, MeasureOutcome};
use vigie_consortium::rights::Method;

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::cases::body::Body;
use crate::console::pages::cases::tabs::Tab;
use crate::console::pages::cases::words;
use crate::console::parts::{self, Entered, Field};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::v1::cases::read::refused;
use crate::v1::cases::referrals::MeasureAsked;
use crate::v1::values::number;

/// The path of the form.
pub(super) const PATH: &str = "/console/cases/referrals/{number}/outcome";

/// The page with the form.
pub(super) fn page(visit: &Visit, number: u64, entered: Entered<'_>) -> Result<Page, Failed> {
    if !visit.may(Method::SetReferralOutcome) {
        return Err(Failed::not_there());
    }
    let fields = html! {
        (entered.notice(visit.t("cases.not_done")))
        (words::choice(
            visit,
            &entered.field("outcome", visit.t("cases.outcome")),
            MeasureOutcome::ALL.iter().map(|one| one.name()),
            "measure",
            None,
        ))
        (words::choice(
            visit,
            &Field { hint: visit.t("cases.ground_hint"), ..entered.field("ground", visit.t("cases.ground")) },
            Ground::ALL.iter().map(|one| one.name()),
            "ground",
            Some("cases.no_ground"),
        ))
        (parts::field(&Field { hint: visit.t("cases.details_hint"), ..entered.field("details", visit.t("cases.details")) }))
        (parts::field(&Field {
            kind: "datetime-local", hint: visit.t("cases.taken_hint"), ..entered.field("taken_at", visit.t("cases.taken_at"))
        }))
        (parts::button(visit.t("cases.set_outcome"), None))
    };
    let heading = visit.fill("cases.set_one", &[("number", &number)]);
    let path = format!("/console/cases/referrals/{number}/outcome");
    let body = html! {
        (parts::section(&heading, parts::form(visit, &path, fields)))
        p { a href=(Tab::Referrals.path()) { (visit.t("cases.back_to_referrals")) } }
    };
    Ok(Tab::Referrals.page(visit, body))
}

/// Sets the outcome.
pub(super) async fn set(visit: Visit, Path(of): Path<String>, posted: Posted) -> Result<Answer, Failed> {
    let number = number(&of).map_err(|_| Failed::not_there())?;
    let read = || {
        let mut body = Body::of(&visit, &posted);
        let asked: MeasureAsked =
            body.texts(&["outcome", "ground", "details"]).moments(&["taken_at"])?.read()?;
        asked.read()
    };
    let set = match read() {
        Ok(measure) => {
            let referrals = visit.caller.referrals();
            referrals.set_outcome(number, measure, posted.once(), visit.deadline()).await.map_err(refused)
        }
        Err(why) => Err(why),
    };
    match set {
        Ok(set) => {
            visit.wrote(set.sequence);
            Ok(Answer::Done(Done::saying("/console/cases", "cases_outcome", &[("kind", "referrals")])))
        }
        Err(why) => {
            let why = parts::Refused::of(why)?;
            let page = page(&visit, number, Entered::again(&posted, &why))?;
            Ok(Answer::Page(page.with_status(why.status())))
        }
    }
}
