//! Tables, lists of facts, and links to the next page.

use maud::{Markup, html};

use crate::console::visit::Visit;

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    /// The heading.
    pub(crate) heading: &'a str,
    /// Whether the column holds numbers, which are aligned to the right.
    pub(crate) is_number: bool,
}

impl<'a> Column<'a> {
    /// A column of words.
    pub(crate) const fn words(heading: &'a str) -> Self {
        Self { heading, is_number: false }
    }

    /// A column of numbers.
    pub(crate) const fn number(heading: &'a str) -> Self {
        Self { heading, is_number: true }
    }
}

/// Renders a table. On a narrow screen each row becomes a list of its cells, each with the heading of its
/// column.
pub(crate) fn table(
    caption: &str,
    columns: &[Column<'_>],
    rows: impl IntoIterator<Item = Vec<Markup>>,
) -> Markup {
    html! {
        table {
            caption.unseen { (caption) }
            thead { tr {
                @for column in columns { th scope="col" .number[column.is_number] { (column.heading) } }
            } }
            tbody {
                @for row in rows {
                    tr {
                        @for (column, cell) in columns.iter().zip(row) {
                            td data-heading=(column.heading) .number[column.is_number] { div { (cell) } }
                        }
                    }
                }
            }
        }
    }
}

/// Renders names with their values.
pub(crate) fn facts<'a>(facts: impl IntoIterator<Item = (&'a str, Markup)>) -> Markup {
    html! {
        dl.facts {
            @for (name, value) in facts { div { dt { (name) } dd { (value) } } }
        }
    }
}

/// Renders the link to the next page, if there is one.
pub(crate) fn pager(visit: &Visit, next: Option<&str>) -> Markup {
    html! {
        @if let Some(next) = next {
            p.pager { a rel="next" href=(next) { (visit.t("parts.next")) } }
        }
    }
}
