//! Reports of suspected material to the host's reviewers: the list, and the form that sends one.

use maud::{Markup, html};
use vigie_clients::{Code, ReportListing};
use vigie_consortium::rights::Method;

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::cases::body::Body;
use crate::console::pages::cases::report;
use crate::console::pages::cases::tabs::Tab;
use crate::console::pages::cases::words;
use crate::console::parts::{self, Column, Entered, Field, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;
use crate::v1::cases::read::{next_after, page as place, refused};
use crate::v1::cases::reports::ReportAsked;
use crate::v1::values::bank_of;

/// The path of the form.
pub(super) const SEND: &str = "/console/cases/reports";
/// The verdicts of a policy.
const VERDICTS: [&str; 5] = ["allow", "log", "review", "block", "escalate"];

/// The tab of reports: those waiting, or all.
pub(super) async fn page(
    visit: &Visit,
    after: Option<&str>,
    with_decided: bool,
    entered: Entered<'_>,
) -> Result<Page, Failed> {
    let reports = visit.caller.reports();
    let (listed, next) = reports.list(place(after, None)?, !with_decided, visit.deadline()).await?;
    let next = next_after(&next)?;
    let all = if with_decided { "&all=yes" } else { "" };
    let next = next.map(|after| format!("{}{all}", Tab::Reports.next(&after)));
    let (other, words) = match with_decided {
        true => (Tab::Reports.path(), visit.t("cases.only_waiting")),
        false => (format!("{}&all=yes", Tab::Reports.path()), visit.t("cases.decided_too")),
    };
    let none = if with_decided { "cases.no_reports" } else { "cases.no_waiting" };
    let body = html! {
        p { a href=(other) { (words) } }
        @if listed.is_empty() { (parts::empty(visit.t(none))) } @else { (table(visit, &listed)) }
        (parts::pager(visit, next.as_deref()))
        @if visit.may(Method::SubmitReport) { (sending(visit, entered)) }
    };
    Ok(Tab::Reports.page(visit, body))
}

fn table(visit: &Visit, listed: &[ReportListing]) -> Markup {
    let columns = [
        Column::number(visit.t("cases.number")),
        Column::words(visit.t("cases.sent")),
        Column::words(visit.t("cases.member")),
        Column::words(visit.t("cases.bank")),
        Column::words(visit.t("cases.item")),
        Column::words(visit.t("cases.state")),
    ];
    let row = |listing: &ReportListing| {
        let contents = &listing.contents;
        vec![
            html! { a href=(report::path(listing.number)) { (listing.number) } },
            parts::time(visit, listing.submitted_at),
            html! { (listing.member) },
            report::bank(visit, listing),
            html! { @match contents.item { Some(item) => (item), None => (visit.t("cases.not_named")) } },
            html! {
                (report::state(visit, listing))
                @if contents.urgent { " " (parts::badge(Tone::Bad, visit.t("cases.urgent"))) }
            },
        ]
    };
    parts::table(visit.t("cases.reports_caption"), &columns, listed.iter().map(row))
}

fn sending(visit: &Visit, entered: Entered<'_>) -> Markup {
    let plain = |name, label| parts::field(&entered.field(name, visit.t(label)));
    let number = |name, label| parts::field(&Field { kind: "number", ..entered.field(name, visit.t(label)) });
    let fields = html! {
        (entered.notice(visit.t("cases.not_done")))
        (parts::field(&Field { is_required: true, ..entered.field("bank", visit.t("cases.bank_that_matched")) }))
        (number("item_id", "cases.item_number"))
        (plain("decision_id", "cases.decision_id"))
        (parts::area(&Field { hint: visit.t("cases.classes_hint"), ..entered.field("classification", visit.t("cases.classes")) }, 2))
        (parts::field(&Field { hint: visit.t("cases.hash_type_hint"), ..entered.field("hash_type", visit.t("cases.hash_type")) }))
        (number("distance", "cases.distance"))
        (words::choice(visit, &entered.field("verdict", visit.t("cases.verdict")), VERDICTS, "verdict", Some("cases.not_known")))
        (words::choice(visit, &entered.field("person_looked", visit.t("cases.looked")), ["yes", "no"], "looked", Some("cases.not_known")))
        p { (parts::checkbox("urgent", "yes", visit.t("cases.is_urgent"), entered.ticked("urgent", "yes", false))) }
        (plain("legal_basis", "cases.legal_basis"))
        (plain("third_country_reference", "cases.third_country"))
        (parts::field(&Field { hint: visit.t("cases.note_hint"), ..entered.field("note", visit.t("cases.note")) }))
        (number("adds_to", "cases.adds_to"))
        (parts::button(visit.t("cases.send_report"), None))
    };
    let body = html! { p { (visit.t("cases.sending")) } (parts::form(visit, SEND, fields)) };
    parts::section(visit.t("cases.send_report"), body)
}

/// Parses a report from a form.
fn read(visit: &Visit, posted: &Posted) -> Result<ReportAsked, Problem> {
    let mut body = Body::of(visit, posted);
    body.texts(&[
        "bank",
        "decision_id",
        "hash_type",
        "verdict",
        "legal_basis",
        "third_country_reference",
        "note",
    ])
    .numbers(&["item_id", "distance", "adds_to"])?
    .boxes(&["urgent"])
    .list("classification");
    if posted.field("bank").is_empty() {
        return Err(Problem::field("bank", visit.t("cases.required")));
    }
    match posted.field("person_looked") {
        "yes" => body.put("person_looked", true),
        "no" => body.put("person_looked", false),
        _ => &mut body,
    };
    body.read()
}

/// Sends a report.
pub(super) async fn send(visit: Visit, posted: Posted) -> Result<Answer, Failed> {
    let asked = read(&visit, &posted).and_then(|asked| {
        let bank = bank_of(&asked.bank)?;
        Ok((bank, asked.read()?))
    });
    let sent = match asked {
        Ok((bank, contents)) => {
            let reports = visit.caller.reports();
            let sent = reports.submit(&bank, contents, posted.once(), visit.deadline()).await;
            sent.map_err(|error| match (error.code() == Code::NotFound, posted.field("adds_to")) {
                // Not found: the bank, or the report to which this one adds.
                (true, "") => Problem::field("bank", visit.t("cases.no_such_bank")),
                (true, _) => Problem::bad(visit.t("cases.no_such_bank_or_report")),
                (false, _) => refused(error),
            })
        }
        Err(why) => Err(why),
    };
    match sent {
        Ok(sent) => {
            visit.wrote(sent.sequence);
            match visit.may(Method::ListReports) {
                true => Ok(Answer::Done(Done::saying(&report::path(sent.value), "cases_report", &[]))),
                false => Ok(Answer::Done(Done::saying("/console/", "cases_report", &[]))),
            }
        }
        Err(why) => {
            let why = parts::Refused::of(why)?;
            let page = page(&visit, None, false, Entered::again(&posted, &why)).await?;
            Ok(Answer::Page(page.with_status(why.status())))
        }
    }
}
