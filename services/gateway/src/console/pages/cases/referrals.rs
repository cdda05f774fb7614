//! Referrals and removal orders of authorised bodies, overdue ones first; and the measures of each member.
//!
//! A URL is shown as text, not as a link, so that nobody opens it by mistake. No URL of the console contains
//! it.

use maud::{Markup, html};
use serde_json::json;
use vigie_clients::{Code, MemberMeasure, ReferralListing, ReferralsListed};
use vigie_consortium::cases::{Priority, ReferralTarget};
use vigie_consortium::rights::Method;

use crate::console::page::{Answer, Done, Failed, Page};
use crate::console::pages::cases::body::Body;
use crate::console::pages::cases::tabs::{Tab, is_host};
use crate::console::pages::cases::words::{self, word_of};
use crate::console::parts::{self, Column, Entered, Field, Tone};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;
use crate::v1::cases::read::{next_after, page as place, refused};
use crate::v1::cases::referrals::ReferralAsked;

/// The path of the form that adds a referral.
pub(super) const ADD: &str = "/console/cases/referrals";
/// The most members of a referral whose outcomes are shown individually.
const MEMBERS_SHOWN: usize = 8;
/// The most referrals of one page.
const PAGE: u16 = 50;

/// The tab of referrals.
pub(super) async fn page(visit: &Visit, after: Option<&str>, entered: Entered<'_>) -> Result<Page, Failed> {
    let referrals = visit.caller.referrals();
    let overdue = match after {
        None => {
            let first = place(None, Some(PAGE))?;
            referrals.list(first, ReferralsListed::Overdue, visit.deadline()).await?.0
        }
        Some(_) => Vec::new(),
    };
    let (listed, next) =
        referrals.list(place(after, Some(PAGE))?, ReferralsListed::All, visit.deadline()).await?;
    let next = next_after(&next)?.map(|after| Tab::Referrals.next(&after));
    let others: Vec<&ReferralListing> = listed.iter().filter(|one| after.is_some() || !one.overdue).collect();
    let body = html! {
        @if !overdue.is_empty() {
            (parts::notice(Tone::Bad, html! {
                (visit.count("cases.overdue_count", overdue.len().try_into().unwrap_or(u64::MAX)))
            }))
            (parts::section(visit.t("cases.overdue"), table(visit, visit.t("cases.overdue"), overdue.iter())))
        }
        @if others.is_empty() && overdue.is_empty() {
            (parts::empty(visit.t("cases.no_referrals")))
        } @else if !others.is_empty() {
            (parts::section(visit.t("cases.referrals"), table(visit, visit.t("cases.referrals_caption"), others.into_iter())))
        }
        (parts::pager(visit, next.as_deref()))
        @if is_host(visit) && visit.may(Method::AddReferral) { (adding(visit, entered)) }
    };
    Ok(Tab::Referrals.page(visit, body))
}

fn table<'a>(visit: &Visit, caption: &str, listed: impl Iterator<Item = &'a ReferralListing>) -> Markup {
    let columns = [
        Column::number(visit.t("cases.number")),
        Column::words(visit.t("cases.body")),
        Column::words(visit.t("cases.about")),
        Column::words(visit.t("cases.added")),
        Column::words(visit.t("cases.due")),
        Column::words(visit.t("cases.measures")),
    ];
    let row = |referral: &ReferralListing| {
        let words = &referral.words;
        let about = match &words.target {
            ReferralTarget::Url(url) => html! { span.digits { (url.reveal()) } },
            ReferralTarget::Hash(hash) => html! { (hash.hash_type()) " " (parts::digits(&hash.to_text())) },
        };
        let due = html! {
            @match &words.order {
                Some(order) => {
                    (parts::time(visit, order.deadline()))
                    @if referral.overdue { " " (parts::badge(Tone::Bad, visit.t("cases.is_overdue"))) }
                    p.hint { (visit.fill("cases.order", &[("reference", &order.reference), ("state", &order.issuing_state)])) }
                },
                None => (visit.t("cases.no_deadline")),
            }
        };
        vec![
            html! { (referral.number) },
            html! {
                (words.body)
                @if words.priority != Priority::Normal {
                    " " (words::badge(visit, Tone::Warn, "priority", words.priority.name()))
                }
                @if !words.legal_basis.as_str().is_empty() { p.hint { (words.legal_basis) } }
            },
            about,
            parts::time(visit, referral.added_at),
            due,
            measures(visit, referral),
        ]
    };
    parts::table(caption, &columns, listed.map(row))
}

/// The measures of each member, and a link to the form of the person's member.
fn measures(visit: &Visit, referral: &ReferralListing) -> Markup {
    let pending = referral.members.iter().filter(|one| one.measure.is_none()).count();
    let more = referral.members.len().saturating_sub(MEMBERS_SHOWN);
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    html! {
        ul.plain-list { @for one in referral.members.iter().take(MEMBERS_SHOWN) { li { (measure(visit, one)) } } }
        @if more > 0 { p.hint { (visit.count("cases.more_members", number(more))) } }
        @if pending > 0 { p { (visit.count("cases.pending_count", number(pending))) } }
        @if visit.may(Method::SetReferralOutcome) && is_addressed(visit, referral) {
            p { a href={ "/console/cases?kind=referrals&set=" (referral.number) } {
                (visit.fill("cases.set_one", &[("number", &referral.number)]))
            } }
        }
    }
}

/// Whether the referral is addressed to the person's member.
fn is_addressed(visit: &Visit, referral: &ReferralListing) -> bool {
    let own = visit.who.as_ref().map(|who| who.member.name.as_str());
    own.is_none_or(|own| referral.members.iter().any(|one| one.member == own))
}

fn measure(visit: &Visit, one: &MemberMeasure) -> Markup {
    html! {
        (one.member) ": "
        @match &one.measure {
            None => (words::badge(visit, Tone::Warn, "measure", "pending")),
            Some(measure) => {
                (words::badge(visit, Tone::Good, "measure", measure.outcome.name()))
                @if let Some(ground) = measure.ground { " " (word_of(visit, "ground", ground.name())) }
                @if let Some(at) = measure.taken_at { " " (parts::time(visit, at)) }
                @if !measure.details.as_str().is_empty() { p.hint { (measure.details) } }
            },
        }
    }
}

fn adding(visit: &Visit, entered: Entered<'_>) -> Markup {
    let fields = html! {
        (entered.notice(visit.t("cases.not_done")))
        (parts::field(&Field { is_required: true, ..entered.field("body", visit.t("cases.body")) }))
        (parts::field(&Field { hint: visit.t("cases.url_hint"), ..entered.field("url", visit.t("cases.url")) }))
        (parts::field(&Field { hint: visit.t("cases.hash_type_hint"), ..entered.field("hash_type", visit.t("cases.hash_type")) }))
        (parts::field(&entered.field("hash", visit.t("cases.hash"))))
        fieldset {
            legend { (visit.t("cases.removal_order")) }
            p.hint { (visit.t("cases.order_hint")) }
            (parts::field(&entered.field("reference", visit.t("cases.reference"))))
            (parts::field(&Field {
                kind: "datetime-local", hint: visit.t("cases.utc"), ..entered.field("received_at", visit.t("cases.received_at"))
            }))
            (parts::field(&Field { hint: visit.t("cases.state_hint"), ..entered.field("issuing_state", visit.t("cases.issuing_state")) }))
        }
        (parts::field(&entered.field("legal_basis", visit.t("cases.legal_basis"))))
        (words::choice(
            visit,
            &entered.field("priority", visit.t("cases.priority")),
            Priority::ALL.iter().map(|one| one.name()),
            "priority",
            None,
        ))
        (parts::field(&Field { hint: visit.t("cases.members_hint"), ..entered.field("members", visit.t("cases.members")) }))
        (parts::button(visit.t("cases.add_referral"), None))
    };
    parts::section(visit.t("cases.add_referral"), parts::form(visit, ADD, fields))
}

/// Parses a referral from a form.
fn read(visit: &Visit, posted: &Posted) -> Result<ReferralAsked, Problem> {
    let mut order = Body::of(visit, posted);
    let order = order.texts(&["reference", "issuing_state"]).moments(&["received_at"])?.object();
    let is_order = order.as_object().is_some_and(|order| !order.is_empty());
    for field in ["reference", "received_at", "issuing_state"] {
        if is_order && posted.field(field).is_empty() {
            return Err(Problem::field(field, visit.t("cases.order_whole")));
        }
    }
    let mut body = Body::of(visit, posted);
    body.texts(&["body", "url", "legal_basis", "priority"]).list("members");
    let (hash_type, hash) = (posted.field("hash_type"), posted.field("hash"));
    if !(hash_type.is_empty() && hash.is_empty()) {
        body.put("hash", json!({ "hash_type": hash_type, "hash": hash }));
    }
    if is_order {
        body.put("removal_order", order);
    }
    body.read()
}

/// Adds a referral.
pub(super) async fn add(visit: Visit, posted: Posted) -> Result<Answer, Failed> {
    let added = match read(&visit, &posted).and_then(ReferralAsked::read) {
        Ok((words, members)) => {
            let referrals = visit.caller.referrals();
            let added = referrals.add(words, &members, posted.once(), visit.deadline()).await;
            added.map_err(|error| match error.code() == Code::NotFound {
                true => Problem::field("members", visit.t("cases.no_member")),
                false => refused(error),
            })
        }
        Err(why) => Err(why),
    };
    match added {
        Ok(added) => {
            visit.wrote(added.sequence);
            Ok(Answer::Done(Done::saying("/console/cases", "cases_referral", &[("kind", "referrals")])))
        }
        Err(why) => {
            let why = parts::Refused::of(why)?;
            let page = page(&visit, None, Entered::again(&posted, &why)).await?;
            Ok(Answer::Page(page.with_status(why.status())))
        }
    }
}
