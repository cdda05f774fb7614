//! The facts of an item, as names with values.

use maud::{Markup, html};
use vigie_clients::DescribedItem;

use crate::console::parts;
use crate::console::visit::Visit;

/// Returns the time and author of the item, its labels, classes, note and reference, as far as it has them.
pub(super) fn of_item(visit: &Visit, item: &DescribedItem) -> Vec<(&'static str, Markup)> {
    let labels = item.labels.join(", ");
    let classes: Vec<String> = item.details.classification.iter().map(ToString::to_string).collect();
    let (classes, note) = (classes.join(", "), item.details.note.to_string());
    let mut facts = vec![(visit.t("review.fact.added"), parts::time(visit, item.added_at))];
    let texts = [
        ("review.fact.contributor", &item.contributor),
        ("review.fact.labels", &labels),
        ("review.fact.classes", &classes),
        ("review.fact.note", &note),
        ("review.fact.reference", &item.external_reference),
    ];
    for (key, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        facts.push((visit.t(key), html! { (text) }));
    }
    facts
}
