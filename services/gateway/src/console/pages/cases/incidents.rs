//! Incidents: opened and closed by the host. Each has its own bank, which subscribers search.

use axum::extract::Path;
use maud::{Markup, html};
use vigie_clients::{Code, IncidentListing};
use vigie_consortium::cases::{IncidentTypes, IncidentWords};
use vigie_consortium::rights::Method;

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::cases::body::Body;
use crate::console::pages::cases::tabs::{Tab, is_host};
use crate::console::parts::{self, Column, Entered, Field, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;
use crate::v1::cases::incidents::{IncidentAsked, SubscriptionAsked};
use crate::v1::cases::read::{next_after, page as place, refused};
use crate::v1::values::{number, text};

/// The paths of the forms.
pub(super) const OPEN: &str = "/console/cases/incidents";
pub(super) const CLOSE: &str = "/console/cases/incidents/{number}/close";
pub(super) const SUBSCRIBE: &str = "/console/cases/subscription";

/// The form that the page shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// The forms beside the list: opening and subscribing.
    Any,
    /// Closing an incident.
    Close(u64),
}

/// The tab of incidents.
pub(super) async fn page(
    visit: &Visit,
    after: Option<&str>,
    form: Form,
    entered: Entered<'_>,
) -> Result<Page, Failed> {
    let asked = visit.caller.incidents().list(place(after, None)?, visit.deadline()).await?;
    let ((listed, next), subscribed) = asked;
    let next = next_after(&next)?.map(|after| Tab::Incidents.next(&after));
    let body = html! {
        @if let Form::Close(number) = form { (closing(visit, number, &listed, entered)) }
        @if listed.is_empty() { (parts::empty(visit.t("cases.no_incidents"))) } @else { (table(visit, &listed)) }
        (parts::pager(visit, next.as_deref()))
        @if form == Form::Any && visit.may(Method::SetIncidentSubscription) {
            (subscription(visit, &subscribed, &listed, entered))
        }
        @if form == Form::Any && is_host(visit) && visit.may(Method::OpenIncident) { (opening(visit, entered)) }
    };
    Ok(Tab::Incidents.page(visit, body))
}

fn table(visit: &Visit, listed: &[IncidentListing]) -> Markup {
    let columns = [
        Column::number(visit.t("cases.number")),
        Column::words(visit.t("cases.type")),
        Column::words(visit.t("cases.incident_title")),
        Column::words(visit.t("cases.opened")),
        Column::words(visit.t("cases.bank")),
        Column::number(visit.t("cases.items")),
        Column::words(visit.t("cases.state")),
    ];
    let row = |incident: &IncidentListing| {
        let state = html! {
            @match &incident.closed {
                None => {
                    (parts::badge(Tone::Warn, visit.t("cases.open")))
                    @if is_host(visit) && visit.may(Method::CloseIncident) {
                        " " a href={ "/console/cases?kind=incidents&close=" (incident.number) } {
                            (visit.fill("cases.close_one", &[("number", &incident.number)]))
                        }
                    }
                },
                Some(closed) => {
                    (parts::badge(Tone::Plain, visit.t("cases.closed"))) " " (parts::time(visit, closed.at))
                    @if !closed.reason.is_empty() { p { (closed.reason) } }
                    p.hint {
                        @if closed.is_bank_deleted { (visit.t("cases.bank_deleted")) } @else {
                            (visit.t("cases.bank_until")) " " (parts::time(visit, closed.bank_until))
                        }
                    }
                },
            }
        };
        vec![
            html! { (incident.number) },
            html! { (incident.of) },
            html! { (incident.title) @if !incident.opened_reason.is_empty() { p.hint { (incident.opened_reason) } } },
            parts::time(visit, incident.opened_at),
            html! { @match &incident.bank { Some(bank) => (bank), None => (visit.t("cases.no_bank")) } },
            html! { (visit.language.number(incident.items)) },
            state,
        ]
    };
    parts::table(visit.t("cases.incidents_caption"), &columns, listed.iter().map(row))
}

fn opening(visit: &Visit, entered: Entered<'_>) -> Markup {
    let fields = html! {
        (entered.notice(visit.t("cases.not_done")))
        (parts::field(&Field {
            hint: visit.t("cases.type_hint"), is_required: true, ..entered.field("type", visit.t("cases.type"))
        }))
        (parts::field(&entered.field("title", visit.t("cases.incident_title"))))
        (parts::field(&entered.field("reason", visit.t("cases.reason"))))
        (parts::field(&Field { hint: visit.t("cases.bank_hint"), ..entered.field("bank", visit.t("cases.bank")) }))
        (parts::button(visit.t("cases.open_incident"), None))
    };
    let body = html! { p { (visit.t("cases.opening")) } (parts::form(visit, OPEN, fields)) };
    parts::section(visit.t("cases.open_incident"), body)
}

fn closing(visit: &Visit, number: u64, listed: &[IncidentListing], entered: Entered<'_>) -> Markup {
    let title =
        listed.iter().find(|incident| incident.number == number).map(|incident| incident.title.as_str());
    let days = IncidentWords::KEEP_DAYS_DEFAULT.to_string();
    let value = entered.value("keep_days", &days);
    let most = IncidentWords::KEEP_DAYS_MAX;
    let fields = html! {
        (entered.notice(visit.t("cases.not_done")))
        @if let Some(title) = title { p { strong { (title) } } }
        p { (visit.t("cases.closing")) }
        (parts::field(&entered.field("reason", visit.t("cases.reason"))))
        (parts::field(&Field {
            hint: &visit.fill("cases.keep_hint", &[("most", &most)]),
            value,
            kind: "number",
            ..entered.field("keep_days", visit.t("cases.keep_days"))
        }))
        (parts::button(visit.t("cases.close"), None))
    };
    let heading = visit.fill("cases.close_one", &[("number", &number)]);
    parts::section(
        &heading,
        html! { (parts::form(visit, &format!("/console/cases/incidents/{number}/close"), fields)) },
    )
}

/// The choice of subscriptions: the types that the member subscribes to, and the types of the incidents on
/// the page.
fn subscription(
    visit: &Visit,
    subscribed: &IncidentTypes,
    listed: &[IncidentListing],
    entered: Entered<'_>,
) -> Markup {
    let (types, is_every) = match subscribed {
        IncidentTypes::Every => (String::new(), true),
        IncidentTypes::Only(types) => {
            (types.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), false)
        }
    };
    let mut known: Vec<&str> = listed.iter().map(|incident| incident.of.as_str()).collect();
    known.sort_unstable();
    known.dedup();
    let known = known.join(", ");
    let hint = match known.is_empty() {
        true => visit.t("cases.types_hint").to_owned(),
        false => visit.fill("cases.types_known", &[("types", &known)]),
    };
    let now = match subscribed {
        IncidentTypes::Every => visit.t("cases.subscribed_every").to_owned(),
        IncidentTypes::Only(_) if types.is_empty() => visit.t("cases.subscribed_none").to_owned(),
        IncidentTypes::Only(_) => visit.fill("cases.subscribed", &[("types", &types)]),
    };
    let fields = html! {
        p { (now) }
        (parts::field(&Field {
            name: "types",
            label: visit.t("cases.types"),
            hint: &hint,
            value: &types,
            fault: entered.fault("types"),
            ..Field::default()
        }))
        p { (parts::checkbox("every_type", "yes", visit.t("cases.every_type"), is_every)) }
        (parts::button(visit.t("cases.subscribe"), None))
    };
    parts::section(visit.t("cases.subscription"), parts::form(visit, SUBSCRIBE, fields))
}

/// The page with the refused form.
async fn again(visit: &Visit, form: Form, posted: &Posted, why: Problem) -> Result<Answer, Failed> {
    let why = parts::Refused::of(why)?;
    let page = page(visit, None, form, Entered::again(posted, &why)).await?;
    Ok(Answer::Page(page.with_status(why.status())))
}

/// Opens an incident.
pub(super) async fn open(visit: Visit, posted: Posted) -> Result<Answer, Failed> {
    let read = || {
        let asked: IncidentAsked =
            Body::of(&visit, &posted).texts(&["type", "title", "reason", "bank"]).read()?;
        asked.read()
    };
    let (words, bank) = match read() {
        Ok(read) => read,
        Err(why) => return again(&visit, Form::Any, &posted, why).await,
    };
    let incidents = visit.caller.incidents();
    match incidents.open(words, bank.as_ref(), posted.once(), visit.deadline()).await {
        Ok(opened) => {
            visit.wrote(opened.sequence);
            Ok(Answer::Done(said("cases_opened")))
        }
        Err(error) if error.code() == Code::AlreadyExists => {
            let why = Problem { field: Some("bank".to_owned()), ..refused(error) };
            again(&visit, Form::Any, &posted, why).await
        }
        Err(error) => again(&visit, Form::Any, &posted, refused(error)).await,
    }
}

/// Closes an incident.
pub(super) async fn close(visit: Visit, Path(of): Path<String>, posted: Posted) -> Result<Answer, Failed> {
    let number = number(&of).map_err(|_| Failed::not_there())?;
    let form = Form::Close(number);
    let read = || {
        let reason = text("reason", posted.field("reason"))?;
        let days = match posted.field("keep_days") {
            "" => None,
            _ => Some(posted.number::<u16>("keep_days")?),
        };
        let most = IncidentWords::KEEP_DAYS_MAX;
        match days {
            Some(days) if days > most => {
                Err(Problem::field("keep_days", visit.fill("cases.at_most", &[("most", &most)])))
            }
            days => Ok((reason, days)),
        }
    };
    let (reason, days) = match read() {
        Ok(read) => read,
        Err(why) => return again(&visit, form, &posted, why).await,
    };
    let incidents = visit.caller.incidents();
    match incidents.close(number, reason, days, posted.once(), visit.deadline()).await {
        Ok(closed) => {
            visit.wrote(closed.sequence);
            Ok(Answer::Done(said("cases_closed")))
        }
        Err(error) => again(&visit, form, &posted, refused(error)).await,
    }
}

/// Sets the types that the member subscribes to.
pub(super) async fn subscribe(visit: Visit, posted: Posted) -> Result<Answer, Failed> {
    let read = || {
        let mut body = Body::of(&visit, &posted);
        let body = match posted.field("every_type") {
            "yes" => body.boxes(&["every_type"]),
            _ => body.list("types"),
        };
        let asked: SubscriptionAsked = body.read()?;
        asked.read()
    };
    let types = match read() {
        Ok(types) => types,
        Err(why) => return again(&visit, Form::Any, &posted, why).await,
    };
    match visit.caller.incidents().subscribe(types, posted.once(), visit.deadline()).await {
        Ok(set) => {
            visit.wrote(set.sequence);
            Ok(Answer::Done(said("cases_subscribed")))
        }
        Err(error) => again(&visit, Form::Any, &posted, refused(error)).await,
    }
}

/// Redirects to the tab, which shows this message.
fn said(key: &str) -> Done {
    Done::saying("/console/cases", key, &[("kind", "incidents")])
}
