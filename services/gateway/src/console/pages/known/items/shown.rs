//! Parts of items as shown on pages.

use maud::{Markup, html};
use vigie_clients::DescribedItem;
use vigie_model::{Frames, Hash};

use crate::console::parts::{self, Column, Tone};
use crate::console::visit::Visit;

/// The most characters of a hash shown on a page. An export has the complete hash.
const LETTERS_MAX: usize = 512;

/// The names of the types of hashes, each once.
pub(crate) fn types(hashes: &[Hash]) -> String {
    let mut names: Vec<String> = hashes.iter().map(|hash| hash.hash_type().to_string()).collect();
    names.dedup();
    names.join(", ")
}

/// Whether an item matches, and the reasons if it does not.
pub(crate) fn state(visit: &Visit, item: &DescribedItem) -> Markup {
    let is_probation = item.facts.as_ref().is_some_and(|facts| facts.probation);
    html! {
        @if !item.holds.is_empty() {
            (parts::badge(Tone::Bad, visit.t("items.held"))) " "
        } @else if is_probation {
            (parts::badge(Tone::Warn, visit.t("items.probation"))) " "
        } @else {
            (parts::badge(Tone::Good, visit.t("items.matches"))) " "
        }
        @if item.dispute.is_some() { (parts::badge(Tone::Warn, visit.t("items.disputed"))) }
    }
}

/// The hashes of an item, each with a button that copies it.
pub(crate) fn hashes(visit: &Visit, hashes: &[Hash]) -> Markup {
    if hashes.is_empty() {
        return parts::empty(visit.t("items.hashes_hidden"));
    }
    let columns = [Column::words(visit.t("items.hash_type")), Column::words(visit.t("items.hash"))];
    let row = |hash: &Hash| vec![html! { (hash.hash_type()) }, one(visit, hash)];
    parts::table(visit.t("items.hashes"), &columns, hashes.iter().map(row))
}

/// A hash as text; for a video the number of its frames, which are too many to show.
fn one(visit: &Visit, hash: &Hash) -> Markup {
    if let Some(frames) = hash.frames().map(Frames::len) {
        return html! { (visit.count("items.frames", frames as u64)) };
    }
    let text = hash.to_text();
    match text.char_indices().nth(LETTERS_MAX) {
        None => parts::digits(&text),
        Some((end, _)) => {
            html! { (parts::digits(&text[..end])) "… " (visit.count("items.letters", text.len() as u64)) }
        }
    }
}
