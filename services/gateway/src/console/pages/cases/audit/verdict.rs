//! The outcome of a proof, in plain words and with its numbers. A failure is shown first and prominently.

use http::StatusCode;
use maud::{Markup, html};
use vigie_audit::tree::TreeHead;

use crate::console::page::Page;
use crate::console::pages::cases::audit::verifying::{Broken, ENTRIES_MAX, Entries, PROOFS_MAX, Proven};
use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;

/// The page with the outcome.
pub(super) fn page(visit: &Visit, outcome: &Result<Proven, Broken>) -> Page {
    let back = html! { p { a href="/console/audit" { (visit.t("audit.back")) } } };
    match outcome {
        Ok(proven) => {
            let title = match &proven.rest {
                None => visit.t("audit.holds"),
                Some(_) => visit.t("audit.so_far"),
            };
            Page::new(title, html! { (holds(visit, proven)) (back) })
        }
        Err(Broken::NotSigned) => {
            let main = html! { (parts::notice(Tone::Warn, html! { (visit.t("audit.not_signed")) })) (back) };
            Page::new(visit.t("audit.cannot"), main).with_status(StatusCode::CONFLICT)
        }
        Err(broken) => {
            let main = html! { (fails(visit, broken)) (back) };
            Page::new(visit.t("audit.fails"), main).with_status(StatusCode::CONFLICT)
        }
    }
}

fn holds(visit: &Visit, proven: &Proven) -> Markup {
    let number = |number: u64| visit.language.number(number);
    let size = proven.tree.size.get();
    let entries = match (proven.entries, &proven.rest) {
        (Entries::Every(_), None) => visit.count("audit.every", size),
        (Entries::Every(read), Some(_)) => {
            visit.fill("audit.every_so_far", &[("read", &number(read)), ("size", &number(size))])
        }
        (Entries::Own(read), None) => visit.count("audit.own_entries", read),
        (Entries::Own(read), Some(_)) => visit.count("audit.own_so_far", read),
        (Entries::None, _) => visit.t("audit.no_entries").to_owned(),
    };
    let old = match &proven.old {
        Some((kept, Some(at))) => {
            let (size, at) = (number(kept.tree().size.get()), parts::date(*at));
            visit.fill("audit.unchanged_at", &[("size", &size), ("at", &at)])
        }
        Some((kept, None)) => visit.count("audit.unchanged", kept.tree().size.get()),
        None => visit.t("audit.first_time").to_owned(),
    };
    let signed = match proven.is_signed {
        true => visit.fill("audit.signed", &[("origin", &proven.origin)]),
        false => visit.t("audit.signature_unchecked").to_owned(),
    };
    let tone = if proven.rest.is_none() { Tone::Good } else { Tone::Plain };
    html! {
        (parts::notice(tone, html! { p { strong { (entries) } } p { (old) } }))
        @if let Some(rest) = &proven.rest { (go_on(visit, rest)) }
        p { (signed) }
        p { (visit.t("audit.now_remembered")) }
        (numbers(visit, Some(&proven.origin), &proven.tree, proven.old.map(|(kept, _)| kept.tree())))
    }
}

/// The button that continues the proof.
fn go_on(visit: &Visit, rest: &[(&'static str, String)]) -> Markup {
    let bounds: [(&str, &dyn std::fmt::Display); 2] =
        [("entries", &visit.language.number(ENTRIES_MAX)), ("proofs", &PROOFS_MAX)];
    html! {
        p { (visit.fill("audit.bounds", &bounds)) }
        (parts::form(visit, "/console/audit/verify", html! {
            @for (name, value) in rest { input type="hidden" name=(name) value=(value); }
            (parts::button(visit.t("audit.go_on"), Some('v')))
        }))
    }
}

fn numbers(visit: &Visit, origin: Option<&str>, tree: &TreeHead, old: Option<TreeHead>) -> Markup {
    let number = |tree: &TreeHead| html! { (visit.language.number(tree.size.get())) };
    let root = |tree: &TreeHead| parts::digits(&tree.root.to_string());
    let mut facts = Vec::new();
    if let Some(origin) = origin {
        facts.push((visit.t("audit.log"), html! { (origin) }));
    }
    facts.push((visit.t("audit.new_size"), number(tree)));
    facts.push((visit.t("audit.new_root"), root(tree)));
    if let Some(old) = &old {
        facts.push((visit.t("audit.old_size"), number(old)));
        facts.push((visit.t("audit.old_root"), root(old)));
    }
    parts::section(visit.t("audit.numbers"), parts::facts(facts))
}

fn fails(visit: &Visit, broken: &Broken) -> Markup {
    let number = |number: u64| visit.language.number(number);
    let what = match broken {
        Broken::NotSigned => visit.t("audit.not_signed").to_owned(),
        Broken::Checkpoint(why) => {
            let reasons = reasons(why);
            visit.fill("audit.broken.checkpoint", &[("why", &reasons)])
        }
        Broken::AnotherLog { kept, given } => {
            visit.fill("audit.broken.another_log", &[("kept", kept), ("given", given)])
        }
        Broken::Shrunk { old, new } => {
            visit.fill("audit.broken.shrunk", &[("old", &number(old.get())), ("new", &number(new.get()))])
        }
        Broken::Changed { old, new, why } => {
            let (old, new) = (number(old.size.get()), number(new.size.get()));
            visit.fill("audit.broken.changed", &[("old", &old), ("new", &new), ("why", why)])
        }
        Broken::Missing { index } => visit.fill("audit.broken.missing", &[("index", &number(index.0))]),
        Broken::Entries { tree, computed } => {
            let size = number(tree.size.get());
            visit.fill(
                "audit.broken.entries",
                &[("size", &size), ("computed", computed), ("root", &tree.root)],
            )
        }
        Broken::Entry { index } => visit.fill("audit.broken.entry", &[("index", &number(index.0))]),
    };
    html! {
        (parts::notice(Tone::Bad, html! {
            p { strong { (visit.t("audit.loud")) } }
            p { (what) }
            p { (visit.t("audit.what_now")) }
        }))
        @if let Broken::Changed { old, new, .. } = broken {
            (numbers(visit, None, new, Some(*old)))
        }
        p { (visit.t("audit.forget_when")) }
        (parts::action(visit, "/console/audit/forget", &[], visit.t("audit.forget"), None))
    }
}

/// An error with its causes.
fn reasons(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
