//! The outcome of each file or line.

use maud::{Markup, html};
use vigie_model::ItemId;

use crate::console::pages::known::links::{cut, item_path};
use crate::console::parts::{self, Column, Tone};
use crate::console::visit::Visit;

/// The outcome of one file or line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The file name, or the line number.
    pub(super) name: String,
    /// The item, or the reason that none was added.
    pub(super) result: Result<Added, String>,
}

/// An item that is in the bank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Added {
    /// The item's id.
    pub(super) item: ItemId,
    /// Whether the bank already had the item.
    pub(super) is_known: bool,
    /// Whether the picture has too little detail for a perceptual hash.
    pub(super) is_plain: bool,
}

/// The outcomes as a table. Scripts copy its rows.
pub(super) fn table(visit: &Visit, outcomes: &[Outcome]) -> Markup {
    let columns = [
        Column::words(visit.t("adding.file")),
        Column::words(visit.t("adding.outcome")),
        Column::words(visit.t("adding.detail")),
    ];
    html! {
        div #outcomes { (parts::table(visit.t("adding.outcomes"), &columns, outcomes.iter().map(|one| row(visit, one)))) }
    }
}

fn row(visit: &Visit, outcome: &Outcome) -> Vec<Markup> {
    let (tone, word) = match &outcome.result {
        Ok(Added { is_known: false, .. }) => (Tone::Good, "adding.added"),
        Ok(Added { is_known: true, .. }) => (Tone::Plain, "adding.known"),
        Err(_) => (Tone::Bad, "adding.refused"),
    };
    let detail = html! {
        @match &outcome.result {
            Ok(added) => {
                a href=(item_path(added.item)) { (visit.fill("items.of", &[("item", &added.item)])) }
                @if added.is_known { " " (visit.t("adding.known_hint")) }
                @if added.is_plain { " " (visit.t("adding.plain_hint")) }
            }
            Err(reason) => { (reason) }
        }
    };
    vec![html! { (cut(&outcome.name)) }, parts::badge(tone, visit.t(word)), detail]
}

/// The numbers of items added, already present, and refused.
pub(super) fn counts(visit: &Visit, outcomes: &[Outcome]) -> Markup {
    let of = |fits: fn(&Outcome) -> bool| outcomes.iter().filter(|one| fits(one)).count() as u64;
    let added = of(|one| one.result.as_ref().is_ok_and(|added| !added.is_known));
    let known = of(|one| one.result.as_ref().is_ok_and(|added| added.is_known));
    let refused = of(|one| one.result.is_err());
    let tone = if refused > 0 { Tone::Warn } else { Tone::Good };
    let words = html! {
        (visit.count("adding.added_count", added)) " "
        @if known > 0 { (visit.count("adding.known_count", known)) " " }
        @if refused > 0 { (visit.count("adding.refused_count", refused)) }
    };
    parts::notice(tone, words)
}
