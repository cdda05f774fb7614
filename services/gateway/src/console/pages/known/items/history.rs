//! `/console/items/{item}/history`: the audit entries of an item, newest first.

use std::collections::HashMap;

use axum::extract::Path;
use maud::{Markup, html};
use serde::Deserialize;
use vigie_audit::tree::LeafIndex;
use vigie_clients::{AuditEntry, Code};
use vigie_consortium::rights::Method;
use vigie_consortium::{MemberId, PrincipalId};
use vigie_model::ItemId;

use crate::console::page::{Failed, Page};
use crate::console::pages::known::links::{item_of, item_path};
use crate::console::parts::{self, Column};
use crate::console::posted::Asked;
use crate::console::visit::Visit;

/// The most audit entries that one page reads.
const READ: u64 = 1_000;
/// The most calls that read them: an answer may have fewer entries than requested.
const CALLS_MAX: usize = 4;
/// The most entries shown on a page.
const SHOWN: usize = 100;
/// The most members and principals whose names are looked up.
const NAMES: u16 = 500;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Query {
    /// The page shows entries before this index.
    before: Option<u64>,
}

pub(super) async fn show(
    visit: Visit,
    Path(item): Path<String>,
    Asked(asked): Asked<Query>,
) -> Result<Page, Failed> {
    let id = item_of(&item)?;
    let (audit, deadline) = (visit.caller.audit(), visit.deadline());
    let end = match asked.before {
        Some(before) => before,
        None => audit.list_entries(LeafIndex(0), 1, None, deadline).await?.tree_size.get(),
    };
    let begin = end.saturating_sub(READ);
    let (mut from, mut entries) = (LeafIndex(begin), Vec::new());
    for _ in 0..CALLS_MAX {
        let size = u16::try_from(end.saturating_sub(from.0).min(READ)).unwrap_or_default();
        if size == 0 {
            break;
        }
        let page = audit.list_entries(from, size, None, deadline).await?;
        let of_range = page.leaves.into_iter().map(|leaf| leaf.entry).filter(|entry| entry.index.0 < end);
        entries.extend(of_range.filter(|entry| is_about(entry, id)));
        match page.next {
            Some(next) => from = next,
            None => break,
        }
    }
    entries.reverse();
    entries.truncate(SHOWN);
    let names = Names::read(&visit, &entries).await;
    let earlier = (begin > 0).then(|| format!("{}/history?before={begin}", item_path(id)));
    let main = html! {
        div #history {
            @if entries.is_empty() {
                (parts::empty(visit.t("items.history_none")))
            } @else {
                (table(&visit, &entries, &names))
            }
            p.hint { (visit.t("items.history_hint")) }
            @if let Some(earlier) = &earlier {
                p.pager { a href=(earlier) { (visit.t("items.history_earlier")) } }
            }
        }
        p { a href=(item_path(id)) { (visit.t("items.back")) } }
    };
    Ok(Page::new(visit.fill("items.history_of", &[("item", &id)]), main))
}

/// Whether an entry is about an item: its first item is this one, or it is the call that added it. An item's
/// id is the number of the change that added it, and the changes of a call are consecutive.
fn is_about(entry: &AuditEntry, item: ItemId) -> bool {
    let is_adding = entry.action == Method::AddItems.path() && entry.code == Code::Ok;
    let added = |last: u64| (last.saturating_sub(entry.item_count) + 1..=last).contains(&item.0);
    entry.first_item == Some(item) || is_adding && entry.sequence.is_some_and(|sequence| added(sequence.0))
}

/// The names of members and principals that the person may read.
struct Names {
    members: HashMap<MemberId, String>,
    principals: HashMap<PrincipalId, String>,
}

impl Names {
    async fn read(visit: &Visit, entries: &[AuditEntry]) -> Self {
        let mut names = Self { members: HashMap::new(), principals: HashMap::new() };
        let (client, deadline) = (visit.caller.members(), visit.deadline());
        if let Some(who) = &visit.who {
            names.members.insert(who.member.id, who.member.name.to_string());
        }
        let is_unknown = |entry: &AuditEntry| entry.member.is_some_and(|id| !names.members.contains_key(&id));
        if visit.may(Method::ListMembers)
            && entries.iter().any(is_unknown)
            && let Ok(read) = client.list_members(None, NAMES, deadline).await
        {
            names.members.extend(read.value.into_iter().map(|member| (member.id, member.name.to_string())));
        }
        if visit.may(Method::ListPrincipals)
            && entries.iter().any(|entry| entry.principal.is_some())
            && let Ok(read) = client.list_principals(None, None, NAMES, deadline).await
        {
            names.principals.extend(read.value.into_iter().map(|one| (one.id, one.note.to_string())));
        }
        names
    }

    /// The principal of a call.
    fn who(&self, visit: &Visit, entry: &AuditEntry) -> Markup {
        let member = entry.member.map(|id| {
            let named = self.members.get(&id).cloned();
            named.unwrap_or_else(|| visit.fill("items.member_number", &[("number", &id.0)]))
        });
        let note = entry.principal.and_then(|id| self.principals.get(&id)).filter(|note| !note.is_empty());
        html! {
            @if let Some(member) = member { (member) }
            @if let Some(principal) = entry.principal {
                " (" (visit.fill("items.principal", &[("number", &principal.0)]))
                @if let Some(note) = note { ": " (note) }
                ")"
            }
            @if entry.member.is_none() && entry.principal.is_none() { (visit.t("items.nobody")) }
        }
    }
}

fn table(visit: &Visit, entries: &[AuditEntry], names: &Names) -> Markup {
    let columns = [
        Column::words(visit.t("items.at")),
        Column::words(visit.t("items.who")),
        Column::words(visit.t("items.action_done")),
        Column::number(visit.t("items.change")),
    ];
    let row = |entry: &AuditEntry| {
        vec![
            parts::time(visit, entry.at),
            names.who(visit, entry),
            html! { (action(visit, entry)) },
            html! { @if let Some(sequence) = entry.sequence { (sequence.0) } },
        ]
    };
    parts::table(visit.t("items.history"), &columns, entries.iter().map(row))
}

/// The action of an entry, in words.
fn action(visit: &Visit, entry: &AuditEntry) -> Markup {
    let name = entry.action.rsplit('/').next().unwrap_or_default();
    let key = format!("items.action.{name}");
    html! {
        @if visit.language.has(&key) { (visit.t(&key)) } @else { (name) }
        @if entry.item_count > 1 { ", " (visit.count("items.of_items", entry.item_count)) }
        @if entry.calls > 1 { ", " (visit.count("items.calls", entry.calls)) }
        @if entry.code != Code::Ok { " " (parts::badge(parts::Tone::Warn, visit.t("items.refused"))) }
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::{Sequence, UnixMillis};

    use super::*;

    fn entry(action: &str, first: Option<u64>, count: u64, sequence: Option<u64>) -> AuditEntry {
        AuditEntry {
            index: LeafIndex(0),
            at: UnixMillis(0),
            member: None,
            principal: None,
            action: action.to_owned(),
            code: Code::Ok,
            banks: Vec::new(),
            first_item: first.map(ItemId),
            item_count: count,
            sequence: sequence.map(Sequence),
            calls: 1,
            since: None,
            model: None,
        }
    }

    #[test]
    fn an_entry_is_about_the_item_that_it_names_or_added() {
        let add = Method::AddItems.path();
        let of = |entry: &AuditEntry| (1..=9).filter(|id| is_about(entry, ItemId(*id))).collect::<Vec<_>>();
        assert_eq!(of(&entry(add, Some(4), 3, Some(6))), [4, 5, 6]);
        assert_eq!(of(&entry(Method::SetItemHold.path(), Some(4), 3, Some(8))), [4]);
        assert_eq!(of(&entry(Method::GetItem.path(), Some(2), 1, None)), [2]);
        assert!(of(&entry(add, None, 0, None)).is_empty());
    }
}
