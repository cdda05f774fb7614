//! A report to the reviewers: its content, the reviewers' decision, and the form of the decision.

use axum::extract::Path;
use maud::{Markup, html};
use vigie_clients::ReportListing;
use vigie_consortium::OpinionReason;
use vigie_consortium::cases::{ReportOutcome, ReportReview};
use vigie_consortium::rights::Method;
use vigie_hashes::hex;
use vigie_model::UnixMillis;

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::cases::body::Body;
use crate::console::pages::cases::tabs::{Tab, is_host};
use crate::console::pages::cases::words::{self, word_of};
use crate::console::parts::{self, Entered, Field, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;
use crate::v1::cases::read::refused;
use crate::v1::cases::reports::ReviewAsked;
use crate::v1::values::number;

/// The path of the page.
pub(super) const PATH: &str = "/console/cases/reports/{number}";

/// The path of a report.
pub(super) fn path(number: u64) -> String {
    format!("/console/cases/reports/{number}")
}

/// The person's name for the bank of a report; its number if there is no name.
pub(super) fn bank(visit: &Visit, report: &ReportListing) -> Markup {
    html! {
        @match &report.bank {
            Some(bank) => (bank),
            None => (visit.fill("cases.bank_number", &[("id", &report.bank_id)])),
        }
    }
}

/// The state of a report: waiting, or its decision.
pub(super) fn state(visit: &Visit, report: &ReportListing) -> Markup {
    match &report.review {
        None => words::badge(visit, Tone::Warn, "outcome", "waiting"),
        Some((review, _)) => {
            let tone = if review.outcome.is_final() { Tone::Good } else { Tone::Warn };
            words::badge(visit, tone, "outcome", review.outcome.name())
        }
    }
}

/// Shows a report.
pub(super) async fn show(visit: Visit, Path(of): Path<String>) -> Result<Page, Failed> {
    let number = number(&of).map_err(|_| Failed::not_there())?;
    page(&visit, number, Entered::default()).await
}

async fn page(visit: &Visit, number: u64, entered: Entered<'_>) -> Result<Page, Failed> {
    let found = visit.caller.reports().get(number, visit.deadline()).await?;
    let report = found.ok_or_else(Failed::not_there)?;
    let main = html! {
        p { (state(visit, &report)) @if report.contents.urgent { " " (parts::badge(Tone::Bad, visit.t("cases.urgent"))) } }
        (says(visit, &report))
        @if let Some((review, at)) = &report.review { (decided(visit, review, *at)) }
        @if is_host(visit) && visit.may(Method::ReviewReport) { (deciding(visit, number, entered)) }
        p { a href=(Tab::Reports.path()) { (visit.t("cases.back_to_reports")) } }
    };
    Ok(Page::new(visit.fill("cases.report_title", &[("number", &number)]), main))
}

fn says(visit: &Visit, report: &ReportListing) -> Markup {
    let contents = &report.contents;
    let looked = match contents.person_looked {
        Some(true) => word_of(visit, "looked", "yes"),
        Some(false) => word_of(visit, "looked", "no"),
        None => visit.t("cases.not_known"),
    };
    let mut facts = vec![
        (visit.t("cases.member"), html! { (report.member) }),
        (visit.t("cases.sent"), parts::time(visit, report.submitted_at)),
        (visit.t("cases.bank_that_matched"), bank(visit, report)),
        (visit.t("cases.looked"), html! { (looked) }),
    ];
    if let Some(item) = contents.item {
        facts.push((visit.t("cases.item"), html! { (item) }));
    }
    if let Some(id) = contents.decision {
        facts.push((visit.t("cases.decision_id"), parts::digits(&hex::encode(&id))));
    }
    if let Some(at) = contents.decided_at {
        facts.push((visit.t("cases.decided_at"), parts::time(visit, at)));
    }
    if let Some((hash_type, distance)) = contents.matched {
        let distance = parts::measure(visit.language, hash_type, distance);
        let how = visit.fill("cases.matched", &[("hash_type", &hash_type), ("distance", &distance)]);
        facts.push((visit.t("cases.hash_type"), html! { (how) }));
    }
    if let Some(verdict) = contents.verdict {
        let verdict = verdict.name().to_ascii_lowercase();
        facts.push((visit.t("cases.verdict"), html! { (word_of(visit, "verdict", &verdict)) }));
    }
    let classes: Vec<String> = contents.classification.iter().map(ToString::to_string).collect();
    for (name, text) in [
        ("cases.classes", classes.join(", ").as_str()),
        ("cases.legal_basis", contents.legal_basis.as_str()),
        ("cases.third_country", contents.third_country_reference.as_str()),
        ("cases.note", contents.note.as_str()),
    ] {
        if !text.is_empty() {
            facts.push((visit.t(name), html! { (text) }));
        }
    }
    if let Some(number) = contents.adds_to {
        facts.push((visit.t("cases.adds_to"), html! { a href=(path(number)) { (number) } }));
    }
    parts::section(visit.t("cases.says"), parts::facts(facts))
}

fn decided(visit: &Visit, review: &ReportReview, at: UnixMillis) -> Markup {
    let mut facts = vec![
        (visit.t("cases.outcome"), html! { (word_of(visit, "outcome", review.outcome.name())) }),
        (visit.t("cases.when"), parts::time(visit, at)),
    ];
    if !review.reason.as_str().is_empty() {
        facts.push((visit.t("cases.reason"), html! { (review.reason) }));
    }
    if let Some(reason) = review.opinion_reason {
        facts.push((visit.t("cases.opinion_reason"), html! { (word_of(visit, "opinion", reason.name())) }));
    }
    for (name, until) in
        [("cases.do_not_tell", review.do_not_tell_until), ("cases.do_not_remove", review.do_not_remove_until)]
    {
        if let Some(until) = until {
            facts.push((
                visit.t(name),
                html! { (parts::date(until)) " UTC (" (parts::time(visit, until)) ")" },
            ));
        }
    }
    parts::section(visit.t("cases.decided"), parts::facts(facts))
}

fn deciding(visit: &Visit, number: u64, entered: Entered<'_>) -> Markup {
    let until = |name, label| {
        let hint = visit.t("cases.until_hint");
        parts::field(&Field { kind: "datetime-local", hint, ..entered.field(name, visit.t(label)) })
    };
    let fields = html! {
        (entered.notice(visit.t("cases.not_done")))
        (words::choice(
            visit,
            &entered.field("outcome", visit.t("cases.outcome")),
            ReportOutcome::ALL.iter().map(|one| one.name()),
            "outcome",
            None,
        ))
        (parts::field(&Field { hint: visit.t("cases.review_reason_hint"), ..entered.field("reason", visit.t("cases.reason")) }))
        (words::choice(
            visit,
            &Field { hint: visit.t("cases.opinion_hint"), ..entered.field("opinion_reason", visit.t("cases.opinion_reason")) },
            OpinionReason::ALL.iter().map(|one| one.name()),
            "opinion",
            Some("cases.none"),
        ))
        (until("do_not_tell_until", "cases.do_not_tell"))
        (until("do_not_remove_until", "cases.do_not_remove"))
        (parts::button(visit.t("cases.decide"), None))
    };
    parts::section(visit.t("cases.decide"), parts::form(visit, &path(number), fields))
}

/// Parses a decision from a form.
fn read(visit: &Visit, posted: &Posted) -> Result<ReportReview, Problem> {
    let mut body = Body::of(visit, posted);
    let body = body.texts(&["outcome", "reason", "opinion_reason"]);
    let asked: ReviewAsked = body.moments(&["do_not_tell_until", "do_not_remove_until"])?.read()?;
    asked.read()
}

/// Records the decision on a report.
pub(super) async fn review(visit: Visit, Path(of): Path<String>, posted: Posted) -> Result<Answer, Failed> {
    let number = number(&of).map_err(|_| Failed::not_there())?;
    let decided = match read(&visit, &posted) {
        Ok(review) => {
            let reports = visit.caller.reports();
            reports.review(number, review, posted.once(), visit.deadline()).await.map_err(refused)
        }
        Err(why) => Err(why),
    };
    match decided {
        Ok(done) => {
            visit.wrote(done.sequence);
            let said = if done.value { "cases_decided_with_opinion" } else { "cases_decided" };
            Ok(Answer::Done(Done::saying(&path(number), said, &[])))
        }
        Err(why) => {
            let why = parts::Refused::of(why)?;
            let page = page(&visit, number, Entered::again(&posted, &why)).await?;
            Ok(Answer::Page(page.with_status(why.status())))
        }
    }
}
