//! An entry of the audit in words, and the page of one entry.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::response::Response;
use http::StatusCode;
use maud::{Markup, html};
use vigie_audit::checkpoint::Checkpoint;
use vigie_audit::files::InclusionFile;
use vigie_audit::tree::{LeafIndex, check_inclusion};
use vigie_clients::{AuditEntry, AuditLeaf, Code};
use vigie_consortium::rights::Method;
use vigie_consortium::{MemberId, MemberName, PrincipalId};
use vigie_rpc::code;

use crate::console::page::{Failed, Page};
use crate::console::pages::cases::audit::saved::file;
use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The path of the page.
pub(super) const PATH: &str = "/console/audit/{index}";
/// The path of the proof of an entry.
pub(super) const PROOF_PATH: &str = "/console/audit/{index}/proof";
/// The most members whose names are looked up.
const MEMBERS_MAX: u16 = 1_000;

/// The path of an entry's page.
pub(super) fn path(index: LeafIndex) -> String {
    format!("/console/audit/{index}")
}

/// The names of the members that the person may see.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<MemberId, MemberName>);

impl Names {
    pub(super) async fn read(visit: &Visit) -> Result<Self, Failed> {
        let mut names = BTreeMap::new();
        if let Some(who) = &visit.who {
            names.insert(who.member.id, who.member.name.clone());
        }
        if visit.may(Method::ListMembers) {
            let members = visit.caller.members().list_members(None, MEMBERS_MAX, visit.deadline()).await?;
            names.extend(members.value.into_iter().map(|member| (member.id, member.name)));
        }
        Ok(Self(names))
    }

    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(MemberName::as_str)
    }

    fn member(&self, visit: &Visit, member: MemberId) -> String {
        match self.0.get(&member) {
            Some(name) => name.to_string(),
            None => visit.fill("audit.member_number", &[("id", &member)]),
        }
    }

    /// The principal of an entry, in words.
    pub(super) fn who(&self, visit: &Visit, entry: &AuditEntry) -> Markup {
        let member = entry.member.map(|member| self.member(visit, member));
        let principal = entry.principal.map(|id| visit.fill("audit.principal_number", &[("id", &id)]));
        html! {
            @match (member, principal) {
                (Some(member), Some(principal)) => { (member) ", " (principal) },
                (Some(one), None) | (None, Some(one)) => (one),
                (None, None) => (visit.t("audit.nobody")),
            }
        }
    }
}

/// An action without its service's package: the method name. The name of an event is unchanged.
fn word(action: &str) -> &str {
    if action.starts_with('/') { action.rsplit('/').next().unwrap_or(action) } else { action }
}

/// The action, in words if the language has a text for it.
pub(super) fn what(visit: &Visit, entry: &AuditEntry) -> Markup {
    let word = word(&entry.action);
    // An event name may contain characters that a key cannot.
    let key = format!("audit.action.{}", word.replace(['/', '-', '.'], "_"));
    html! {
        @if visit.language.has(&key) { (visit.t(&key)) } @else { code { (word) } }
        @if entry.calls > 1 { " (" (visit.count("audit.calls", entry.calls)) ")" }
    }
}

/// The banks and items of the entry.
pub(super) fn on_what(visit: &Visit, entry: &AuditEntry) -> Markup {
    let banks: Vec<String> =
        entry.banks.iter().map(|bank| visit.fill("audit.bank_number", &[("id", bank)])).collect();
    let items = match (entry.item_count, entry.first_item) {
        (0, None) => None,
        (0 | 1, Some(item)) => Some(visit.fill("audit.item_number", &[("id", &item)])),
        (count, _) => Some(visit.count("audit.items", count)),
    };
    // The name of a model and the number of a version are words of no language.
    let model = entry.model.as_ref().map(|model| format!("{} {}", model.name, model.version));
    html! { (banks.into_iter().chain(items).chain(model).collect::<Vec<_>>().join(", ")) }
}

/// The outcome of the call.
pub(super) fn outcome(visit: &Visit, entry: &AuditEntry) -> Markup {
    let words = visit.t(&format!("audit.code.{}", code::word(entry.code).to_ascii_lowercase()));
    parts::badge(if entry.code == Code::Ok { Tone::Good } else { Tone::Warn }, words)
}

/// Reads an entry that the person may read.
async fn read(visit: &Visit, index: &str) -> Result<AuditLeaf, Failed> {
    let index = LeafIndex(index.parse().map_err(|_| Failed::not_there())?);
    let page = visit.caller.audit().list_entries(index, 1, None, visit.deadline()).await?;
    page.leaves.into_iter().find(|leaf| leaf.entry.index == index).ok_or_else(Failed::not_there)
}

/// Shows an entry.
pub(super) async fn show(visit: Visit, Path(index): Path<String>) -> Result<Page, Failed> {
    let leaf = read(&visit, &index).await?;
    let names = Names::read(&visit).await?;
    let entry = &leaf.entry;
    let note = note(&visit, entry.member, entry.principal, &names).await?;
    let mut facts = vec![
        (
            visit.t("audit.when"),
            html! { (parts::date(entry.at)) " UTC (" (parts::time(&visit, entry.at)) ")" },
        ),
        (
            visit.t("audit.who"),
            html! { (names.who(&visit, entry)) @if let Some(note) = &note { " (" (note) ")" } },
        ),
        (visit.t("audit.what"), what(&visit, entry)),
        (visit.t("audit.method"), html! { code { (entry.action) } }),
        (visit.t("audit.on_what"), on_what(&visit, entry)),
        (visit.t("audit.outcome"), html! { (outcome(&visit, entry)) " " code { (code::word(entry.code)) } }),
    ];
    if let Some(since) = entry.since {
        facts.push((visit.t("audit.since"), html! { (parts::date(since)) " UTC" }));
    }
    if let Some(sequence) = entry.sequence {
        facts.push((visit.t("audit.change"), html! { (visit.language.number(sequence.0)) }));
    }
    facts.push((visit.t("audit.leaf"), parts::digits(&leaf.hash().to_string())));
    let main = html! {
        (parts::facts(facts))
        @if visit.may(Method::ProveInclusion) {
            p { a href={ (path(entry.index)) "/proof" } download { (visit.t("audit.entry_proof")) } }
        }
        p { a href="/console/audit" { (visit.t("audit.back")) } }
    };
    let title = visit.fill("audit.entry_title", &[("index", &visit.language.number(entry.index.0))]);
    Ok(Page::new(title, main))
}

/// The note of a principal, if the person may read it and it is not empty.
async fn note(
    visit: &Visit,
    member: Option<MemberId>,
    principal: Option<PrincipalId>,
    names: &Names,
) -> Result<Option<String>, Failed> {
    let (Some(name), Some(id)) = (member.and_then(|member| names.0.get(&member)), principal) else {
        return Ok(None);
    };
    if !visit.may(Method::ListPrincipals) {
        return Ok(None);
    }
    let before = id.0.checked_sub(1).filter(|before| *before > 0).map(PrincipalId);
    let members = visit.caller.members();
    let found = match members.list_principals(Some(name), before, 1, visit.deadline()).await {
        Ok(found) => found.value,
        Err(error) if matches!(error.code(), Code::NotFound | Code::PermissionDenied) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let found = found.into_iter().find(|principal| principal.id == id);
    Ok(found.map(|principal| principal.note.to_string()).filter(|note| !note.is_empty()))
}

/// The proof of an entry as a file (C2SP `tlog-proof`), verified before it is returned.
pub(super) async fn proof(visit: Visit, Path(index): Path<String>) -> Result<Response, Failed> {
    let leaf = read(&visit, &index).await?;
    let (audit, index, hash) = (visit.caller.audit(), leaf.entry.index, leaf.hash());
    let note = audit.get_checkpoint(visit.deadline()).await?;
    let wrong = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the checkpoint cannot be read");
    let checkpoint = Checkpoint::unverified(note.as_bytes()).map_err(|_| wrong())?;
    let tree = checkpoint.tree();
    if index.0 >= tree.size.get() {
        return Err(Problem::busy(visit.t("audit.too_new")).into());
    }
    let proof = audit.prove_inclusion(index, Some(tree.size), visit.deadline()).await?;
    if proof.leaf != hash || check_inclusion(&proof.path, index, &hash, tree).is_err() {
        return Err(Problem::new(StatusCode::CONFLICT, visit.t("audit.entry_broken")).into());
    }
    let text =
        InclusionFile { extra: Some(leaf.bytes), index, proof: proof.path, checkpoint: note }.to_string();
    Ok(file(&format!("{index}.tlog-proof"), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_named_without_its_service() {
        assert_eq!(word("/vigie.bank.v1.BankService/AddItems"), "AddItems");
        assert_eq!(word("alarm/canary"), "alarm/canary");
        assert_eq!(word(""), "");
    }
}
