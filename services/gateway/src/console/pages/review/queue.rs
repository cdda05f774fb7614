//! `GET /console/review`: the queue, with a tab for each kind.

use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{CasesAfter, ListedDispute, MemberHeldItem};
use vigie_consortium::DocumentKey;
use vigie_consortium::cases::DecisionListing;
use vigie_hashes::hex;
use vigie_model::ItemId;

use super::here::{self, Back};
use super::probation;
use super::settings;
use super::waiting::{Kind, PAGE, Waiting, disputes, is_own, waiting};
use crate::console::page::{Failed, Page};
use crate::console::parts::{self, Column, Tone};
use crate::console::posted::Asked;
use crate::console::visit::Visit;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Options {
    /// The kind; if it is empty, the first kind with an open task.
    kind: String,
    /// The cursor after which the page begins.
    after: String,
    /// The bank whose items are in probation.
    bank: String,
}

pub(super) async fn show(visit: Visit, Asked(options): Asked<Options>) -> Result<Page, Failed> {
    let counts = waiting(&visit).await;
    let open: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| kind.is_open(&visit)).collect();
    let asked = open.iter().copied().find(|kind| kind.name() == options.kind);
    let busiest = counts.iter().find(|one| one.count.is_some_and(|count| count.least > 0));
    let kind = asked.or(busiest.map(|one| one.kind)).or(open.first().copied());
    let kind = kind.ok_or_else(Failed::not_there)?;
    let after = options.after.as_str();
    let list = match kind {
        Kind::Decisions => decisions(&visit, after).await?,
        Kind::Disputes => open_disputes(&visit, after).await?,
        Kind::Held => held(&visit, after).await?,
        Kind::Probation => probation::list(&visit, &options.bank, after).await?,
    };
    let name = kind.name();
    let main = html! {
        (tabs(&visit, &open, &counts, kind))
        section {
            h2 { (visit.t(&format!("review.kind.{name}"))) }
            p.hint { (visit.t(&format!("review.what.{name}"))) }
            (list)
        }
        p { a href=(settings::PATH) { (visit.t("review.settings.title")) } }
    };
    Ok(Page::new(visit.t("review.title"), main))
}

/// Renders the tabs: the kinds with their counts.
fn tabs(visit: &Visit, open: &[Kind], counts: &[Waiting], current: Kind) -> Markup {
    let of = |kind: Kind| {
        let counted = counts.iter().find(|one| one.kind == kind).cloned();
        counted.unwrap_or(Waiting { kind, count: None })
    };
    html! {
        nav.tabs aria-label=(visit.t("review.kinds")) {
            ul {
                @for kind in open {
                    @let waiting = of(*kind);
                    li {
                        a href=(waiting.link()) aria-current=[(*kind == current).then_some("page")] {
                            (waiting.label(visit))
                            @if *kind != Kind::Probation { " " span.count { (waiting.number(visit)) } }
                            @if let Some(overdue) = waiting.count.map(|count| count.overdue).filter(|count| *count > 0) {
                                " " (parts::badge(Tone::Bad, &visit.count("review.overdue_count", overdue)))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Renders a link as a button. The key `b` follows it.
fn begin(visit: &Visit, words: &str, path: &str) -> Markup {
    html! {
        p { a.button href=(path) data-key="b" aria-keyshortcuts="b" { (visit.t(words)) " " kbd aria-hidden="true" { "b" } } }
    }
}

async fn decisions(visit: &Visit, after: &str) -> Result<Markup, Failed> {
    let key = place(after)?.map(|key| key.as_bytes().to_vec()).unwrap_or_default();
    let after = CasesAfter { key, limit: Some(PAGE) };
    let (waiting, next) = visit.caller.decisions().list_waiting(after, None, visit.deadline()).await?;
    let next = (!next.is_empty()).then(|| link(Kind::Decisions, &hex::encode(&next)));
    let path =
        |listing: &DecisionListing| format!("/console/review/decisions/{}", hex::encode(&listing.record.id));
    let columns = [
        Column::words(visit.t("review.column.when")),
        Column::words(visit.t("review.column.match")),
        Column::words(visit.t("review.column.rule")),
        Column::words(visit.t("review.column.surface")),
        Column::words(visit.t("review.column.decide")),
    ];
    let row = |listing: &DecisionListing| {
        let record = &listing.record;
        let rule = record.decided.as_ref().map(|decided| &*decided.rule).unwrap_or_default();
        let matched = record.nearest().or(record.matches.first()).map(|found| {
            html! {
                @if let Some(bank) = &found.bank_name { (bank) ", " }
                (found.hash_type) ", " (parts::distance(visit, found.hash_type, found.distance))
            }
        });
        let more = record.matches.len().saturating_sub(1);
        let more = u64::try_from(more).unwrap_or(0) + u64::from(record.matches_omitted);
        vec![
            parts::time(visit, record.decided_at),
            html! {
                div {
                    @if let Some(matched) = matched { (matched) }
                    @if more > 0 { p.hint { (visit.count("review.more_matches", more)) } }
                }
            },
            html! { (rule) },
            html! { (record.surface) },
            html! { a href=(path(listing)) { (visit.t("review.open")) } },
        ]
    };
    Ok(html! {
        @match waiting.first() {
            Some(first) => {
                (begin(visit, "review.begin", &path(first)))
                (parts::table(visit.t("review.kind.decisions"), &columns, waiting.iter().map(row)))
            }
            None => (parts::empty(visit.t("review.empty.decisions"))),
        }
        (parts::pager(visit, next.as_deref()))
    })
}

async fn open_disputes(visit: &Visit, after: &str) -> Result<Markup, Failed> {
    let (disputes, next) = disputes(visit, place(after)?, visit.deadline()).await?;
    let next = next.map(|next| link(Kind::Disputes, &hex::encode(next.as_bytes())));
    let path = |dispute: &ListedDispute| format!("/console/review/disputes/{}", dispute.item.0);
    let columns = [
        Column::words(visit.t("review.column.due")),
        Column::words(visit.t("review.column.item")),
        Column::words(visit.t("review.column.bank")),
        Column::words(visit.t("review.column.opened")),
        Column::words(visit.t("review.column.decide")),
    ];
    let row = |dispute: &ListedDispute| {
        let opened_by =
            if dispute.opened_by.is_empty() { visit.t("opinions.unnamed") } else { &dispute.opened_by };
        vec![
            html! {
                div {
                    (parts::time(visit, dispute.due_at))
                    @if dispute.due_at < visit.now { " " (parts::badge(Tone::Bad, visit.t("review.overdue"))) }
                }
            },
            html! { (dispute.item.0) },
            html! { (dispute.bank) },
            html! { div { (parts::time(visit, dispute.opened_at)) ", " (opened_by) } },
            html! {
                @if is_own(visit, dispute) {
                    a href=(path(dispute)) { (visit.t("review.open")) }
                } @else {
                    a href=(path(dispute)) { (visit.t("review.of_another")) }
                }
            },
        ]
    };
    let first = disputes.iter().find(|dispute| is_own(visit, dispute));
    Ok(html! {
        @if let Some(first) = first { (begin(visit, "review.begin_due", &path(first))) }
        @if disputes.is_empty() { (parts::empty(visit.t("review.empty.disputes"))) } @else {
            (parts::table(visit.t("review.kind.disputes"), &columns, disputes.iter().map(row)))
        }
        (parts::pager(visit, next.as_deref()))
    })
}

async fn held(visit: &Visit, after: &str) -> Result<Markup, Failed> {
    let after = after.parse().ok().map(ItemId);
    let (opinions, until) = (visit.caller.opinions(), visit.deadline());
    let mut held = opinions.list_member_holds(after, PAGE, until).await?;
    // A short page may have a successor: the member may have lost access to some of the banks.
    let next = match held.last() {
        Some(last) if !opinions.list_member_holds(Some(last.item), PAGE, until).await?.is_empty() => {
            Some(link(Kind::Held, &last.item.0.to_string()))
        }
        Some(_) | None => None,
    };
    held.sort_by_key(|held| (!held.flooded, held.since, held.item));
    let columns = [
        Column::words(visit.t("review.column.item")),
        Column::words(visit.t("review.column.bank")),
        Column::words(visit.t("review.column.since")),
        Column::words(visit.t("review.column.why")),
        Column::words(visit.t("review.column.decide")),
    ];
    let row = |held: &MemberHeldItem| {
        let tone = if held.flooded { Tone::Warn } else { Tone::Plain };
        vec![
            html! { a href={ "/console/items/" (held.item.0) } { (held.item.0) } },
            html! { (held.bank) },
            parts::time(visit, held.since),
            parts::badge(tone, here::why(visit, held)),
            here::lift_button(visit, held.item, Back::Queue),
        ]
    };
    Ok(html! {
        @if held.is_empty() { (parts::empty(visit.t("review.empty.held"))) } @else {
            (parts::table(visit.t("review.kind.held"), &columns, held.iter().map(row)))
        }
        (parts::pager(visit, next.as_deref()))
    })
}

/// Returns the link to the page of a kind that begins after this cursor.
fn link(kind: Kind, after: &str) -> String {
    format!("/console/review?kind={}&after={after}", kind.name())
}

/// Parses the cursor after which a page begins. An invalid one is "not found".
fn place(after: &str) -> Result<Option<DocumentKey>, Failed> {
    if after.is_empty() {
        return Ok(None);
    }
    let key = hex::decode(after).and_then(|bytes| DocumentKey::new(&bytes).ok());
    key.map(Some).ok_or_else(Failed::not_there)
}
