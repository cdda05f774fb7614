//! Paths of banks and items, the answer for unknown ones, and their short forms in lists.

use http::StatusCode;
use maud::{Markup, html};
use vigie_clients::{CallError, Code};
use vigie_model::{BankRef, ItemId};

use crate::console::page::Failed;
use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;
use crate::problem::Problem;

/// The most labels shown for an item in a list. The item's page has all labels.
const LABELS_SHOWN: usize = 4;
/// The most characters shown of a text in a list.
const LETTERS_SHOWN: usize = 60;

/// The path of a bank's page.
pub(super) fn bank_path(bank: &BankRef) -> String {
    // The other characters of a name need no escaping in a path.
    format!("/console/banks/{}", bank.to_string().replace('/', "%2F"))
}

/// The path of an item's page.
pub(super) fn item_path(item: ItemId) -> String {
    format!("/console/items/{item}")
}

/// Parses the bank of a path.
pub(super) fn bank_of(text: &str) -> Result<BankRef, Failed> {
    text.parse().map_err(|_| Failed::not_there())
}

/// Parses the item of a path.
pub(super) fn item_of(text: &str) -> Result<ItemId, Failed> {
    text.parse().ok().filter(|id| *id > 0).map(ItemId).ok_or_else(Failed::not_there)
}

/// Converts the error of a call about a bank or item: one that the person may not see is answered as not
/// found.
pub(super) fn gone(error: CallError) -> Failed {
    let is_hidden = matches!(error.code(), Code::NotFound | Code::PermissionDenied);
    if is_hidden { Failed::not_there() } else { error.into() }
}

/// Whether the problem is one that the person can fix in the form.
pub(super) fn is_of_input(problem: &Problem) -> bool {
    matches!(problem.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT)
}

/// The fault of a field; empty for none.
pub(super) fn fault<'a>(problem: Option<&'a Problem>, field: &str) -> &'a str {
    let Some(problem) = problem.filter(|problem| problem.field.as_deref() == Some(field)) else { return "" };
    problem.message.strip_prefix(field).map_or(&*problem.message, |rest| rest.trim_start_matches(": "))
}

/// The fault of a form if it belongs to none of these fields.
pub(super) fn fault_of_none(problem: Option<&Problem>, fields: &[&str]) -> Markup {
    let other =
        problem.filter(|problem| !problem.field.as_deref().is_some_and(|name| fields.contains(&name)));
    html! {
        @if let Some(problem) = other { (parts::notice(Tone::Bad, html! { (problem.message) })) }
    }
}

/// The part of a text shown in a list.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(LETTERS_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first labels of an item, as shown in a list.
pub(super) fn labels<T: AsRef<str>>(visit: &Visit, labels: &[T]) -> Markup {
    let more = labels.len().saturating_sub(LABELS_SHOWN);
    html! {
        @for label in labels.iter().take(LABELS_SHOWN) { span.label { (cut(label.as_ref())) } " " }
        @if more > 0 { (visit.count("items.more_labels", more as u64)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_hold_the_name_of_a_bank_and_lists_the_beginning_of_a_text() {
        assert_eq!(bank_path(&"acme/known".parse().unwrap()), "/console/banks/acme%2Fknown");
        assert!(bank_of("a b").is_err() && item_of("0").is_err() && item_of("x").is_err());
        assert_eq!(item_of("7").unwrap(), ItemId(7));
        assert_eq!(cut("é"), "é");
        assert_eq!(cut(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
    }

    #[test]
    fn a_fault_stands_at_its_field() {
        let problem = Problem::field("name", "is taken");
        assert_eq!(fault(Some(&problem), "name"), "is taken");
        assert_eq!(fault(Some(&problem), "note"), "");
        assert!(fault_of_none(Some(&problem), &["name"]).into_string().is_empty());
        assert!(fault_of_none(Some(&problem), &["note"]).into_string().contains("is taken"));
    }
}
