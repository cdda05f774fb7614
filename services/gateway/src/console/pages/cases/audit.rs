//! The audit: each call's principal, action, objects, time and outcome; and the proof of the log.
//!
//! A person can check the entries shown: `verifying` checks the signed checkpoint, its consistency with the
//! one that this browser remembers, and the entries themselves.

mod saved;
mod entry;
mod kept;
mod verifying;
mod verdict;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderMap, header};
use maud::{Markup, html};
use serde::Deserialize;
use vigie_audit::tree::{LeafIndex, SIZE_MAX};
use vigie_clients::{AuditLeaf, AuditPage, Code};
use vigie_consortium::MemberName;
use vigie_consortium::rights::Method;

use crate::console::page::{Done, Failed, Page};
use crate::console::pages::cases::audit::entry::Names;
use crate::console::pages::cases::audit::kept::Kept;
use crate::console::pages::cases::audit::saved::file;
use crate::console::parts::{self, Column, Entered, Field};
use crate::console::posted::{Asked, Posted};
use crate::console::route::Route;
use crate::console::state::Console;
use crate::console::visit::Visit;
use crate::v1::values::value;

/// The most entries of one page.
const PAGE: usize = 100;
/// The entries scanned in the first search for a page's newest ones, the factor by which each further search
/// grows, and the most searches. The entries of one member may be far apart.
const LOOK: u64 = 100;
const LOOK_FACTOR: u64 = 8;
const LOOKS_MAX: u32 = 8;
/// The most entries of one answer of the bank.
const ANSWER_MAX: u16 = 1_000;

pub(crate) fn routes() -> Vec<Route> {
    const READS: &[Method] = &[Method::ListEntries, Method::GetCheckpoint];
    vec![
        Route::page("/console/audit", READS, get(show)),
        Route::form("/console/audit/verify", READS, READS, post(verify)),
        Route::form("/console/audit/forget", READS, READS, post(forget)),
        Route::page("/console/audit/checkpoint", &[Method::GetCheckpoint], get(checkpoint)),
        Route::page(entry::PATH, &[Method::ListEntries], get(entry::show)),
        Route::page(entry::PROOF_PATH, &[Method::ProveInclusion], get(entry::proof)),
    ]
}

/// The part of the log that is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Listed {
    /// Only entries before this index; by default the newest.
    before: Option<u64>,
    /// Only entries of this member.
    member: Option<String>,
}

async fn show(visit: Visit, headers: HeaderMap, Asked(asked): Asked<Listed>) -> Result<Page, Failed> {
    page(&visit, Kept::of(&headers), &asked, Entered::default()).await
}

async fn page(
    visit: &Visit,
    kept: Option<Kept>,
    asked: &Listed,
    entered: Entered<'_>,
) -> Result<Page, Failed> {
    let member = asked.member.as_deref().map(|name| value::<MemberName>("member", name)).transpose()?;
    let newest = match visit.may(Method::ListEntries) {
        true => Some(Newest::read(visit, asked.before, member.as_ref()).await?),
        false => None,
    };
    let names = Names::read(visit).await?;
    let main = html! {
        (verification(visit, kept, entered))
        @if let Some(newest) = &newest { (entries(visit, newest, &names, asked.member.as_deref())) }
    };
    Ok(Page::new(visit.t("audit.title"), main))
}

/// The section that proves the audit.
fn verification(visit: &Visit, kept: Option<Kept>, entered: Entered<'_>) -> Markup {
    let remembered = match kept {
        Some(kept) => visit.count("audit.remembered", kept.tree().size.get()),
        None => visit.t("audit.nothing_remembered").to_owned(),
    };
    let fields = html! {
        (entered.notice(visit.t("audit.not_verified")))
        p { (visit.t("audit.what_verify_does")) }
        p { (remembered) }
        details open[entered.is_refused()] {
            summary { (visit.t("audit.own")) }
            (parts::area(&Field {
                hint: visit.t("audit.old_hint"),
                ..entered.field("old", visit.t("audit.old"))
            }, 4))
            (parts::field(&Field {
                hint: visit.t("audit.key_hint"),
                ..entered.field("key", visit.t("audit.key"))
            }))
        }
        (parts::button(visit.t("audit.verify"), Some('v')))
    };
    parts::section(
        visit.t("audit.prove"),
        html! {
            (parts::form(visit, "/console/audit/verify", fields))
            p { a href="/console/audit/checkpoint" download { (visit.t("audit.download")) } }
        },
    )
}

/// The newest entries before an index.
#[derive(Debug)]
struct Newest {
    /// Newest first.
    leaves: Vec<AuditLeaf>,
    /// The number of entries in the whole log.
    size: u64,
    /// The index before which older entries may be found.
    older: Option<u64>,
}

impl Newest {
    async fn read(visit: &Visit, before: Option<u64>, member: Option<&MemberName>) -> Result<Self, Failed> {
        let audit = visit.caller.audit();
        let list = async |from: u64, most: u16| {
            audit.list_entries(LeafIndex(from), most, member, visit.deadline()).await.map_err(
                |error| match matches!(error.code(), Code::NotFound | Code::PermissionDenied) {
                    true => Failed::not_there(),
                    false => error.into(),
                },
            )
        };
        let size = list(SIZE_MAX, 1).await?.tree_size.get();
        let end = before.unwrap_or(size).min(size);
        let (mut leaves, mut from, mut look) = (Vec::new(), end, LOOK);
        for _ in 0..LOOKS_MAX {
            let begin = end.saturating_sub(look);
            let most = u16::try_from(look).unwrap_or(ANSWER_MAX).min(ANSWER_MAX);
            let (mut found, mut next) = before_end(list(begin, most).await?, end);
            let is_cut = next.is_some();
            // If a search finds more than one answer holds, and an earlier search found some entries, it is
            // abandoned.
            if is_cut && !leaves.is_empty() {
                break;
            }
            for _ in 0..LOOKS_MAX {
                let Some(index) = next else { break };
                let (more, after) = before_end(list(index.0, ANSWER_MAX).await?, end);
                found.extend(more);
                found.drain(..found.len().saturating_sub(PAGE));
                next = after;
            }
            (leaves, from) = (found, begin);
            if is_cut || leaves.len() >= PAGE || begin == 0 {
                break;
            }
            look = look.saturating_mul(LOOK_FACTOR);
        }
        if leaves.len() >= PAGE {
            leaves.drain(..leaves.len() - PAGE);
            from = leaves.first().map_or(from, |leaf| leaf.entry.index.0);
        }
        leaves.reverse();
        Ok(Self { leaves, size, older: (from > 0).then_some(from) })
    }
}

/// Returns the entries of a page before an index, and the index before which the next ones are.
fn before_end(page: AuditPage, end: u64) -> (Vec<AuditLeaf>, Option<LeafIndex>) {
    let leaves = page.leaves.into_iter().filter(|leaf| leaf.entry.index.0 < end).collect();
    (leaves, page.next.filter(|next| next.0 < end))
}

fn entries(visit: &Visit, newest: &Newest, names: &Names, member: Option<&str>) -> Markup {
    let columns = [
        Column::number(visit.t("audit.index")),
        Column::words(visit.t("audit.when")),
        Column::words(visit.t("audit.who")),
        Column::words(visit.t("audit.what")),
        Column::words(visit.t("audit.on_what")),
        Column::words(visit.t("audit.outcome")),
    ];
    let row = |leaf: &AuditLeaf| {
        let of = &leaf.entry;
        vec![
            html! { a href=(entry::path(of.index)) { (visit.language.number(of.index.0)) } },
            parts::time(visit, of.at),
            names.who(visit, of),
            entry::what(visit, of),
            entry::on_what(visit, of),
            entry::outcome(visit, of),
        ]
    };
    let older = newest.older.map(|before| match member {
        Some(member) => format!("/console/audit?member={member}&before={before}"),
        None => format!("/console/audit?before={before}"),
    });
    parts::section(
        visit.t("audit.entries"),
        html! {
            @if names.are_several() { (filter(visit, names, member)) }
            p { (visit.count("audit.size", newest.size)) }
            @if newest.leaves.is_empty() {
                (parts::empty(visit.t(if newest.size == 0 { "audit.none" } else { "audit.none_here" })))
            } @else {
                (parts::table(visit.t("audit.caption"), &columns, newest.leaves.iter().map(row)))
            }
            @if let Some(older) = older { p.pager { a rel="next" href=(older) { (visit.t("audit.older")) } } }
        },
    )
}

fn filter(visit: &Visit, names: &Names, member: Option<&str>) -> Markup {
    let mut options = vec![("", visit.t("audit.every_member"))];
    options.extend(names.all().map(|name| (name, name)));
    let field = Field {
        name: "member",
        label: visit.t("audit.member"),
        value: member.unwrap_or_default(),
        ..Field::default()
    };
    html! {
        form method="get" action="/console/audit" {
            (parts::choice(&field, &options))
            button.second type="submit" { (visit.t("audit.show")) }
        }
    }
}

/// The newest checkpoint as a file. With it, a person can later check that the log is an extension of it.
async fn checkpoint(visit: Visit) -> Result<Response, Failed> {
    let note = visit.caller.audit().get_checkpoint(visit.deadline()).await?;
    Ok(file("checkpoint.txt", note))
}

/// Proves the audit, up to the limits of one request.
async fn verify(
    visit: Visit,
    State(console): State<Console>,
    headers: HeaderMap,
    posted: Posted,
) -> Result<Response, Failed> {
    let kept = Kept::of(&headers);
    let asked = match verifying::Asked::read(&visit, &posted, kept) {
        Ok(asked) => asked,
        Err(why) => {
            let why = parts::Refused::from(why);
            let page = page(&visit, kept, &Listed::default(), Entered::again(&posted, &why)).await?;
            return Ok(page.with_status(why.status()).into_response());
        }
    };
    let outcome = verifying::verify(&visit, asked).await?;
    let mut answer = verdict::page(&visit, &outcome).into_response();
    if let Ok(proven) = &outcome {
        answer.headers_mut().append(header::SET_COOKIE, Kept::new(proven.tree).cookie(&console));
    }
    Ok(answer)
}

/// Forgets the checkpoint that this browser remembers.
async fn forget(State(console): State<Console>, _: Posted) -> Response {
    let mut answer = Done::saying("/console/audit", "audit_forgotten", &[]).into_response();
    answer.headers_mut().append(header::SET_COOKIE, Kept::forgotten(&console));
    answer
}
