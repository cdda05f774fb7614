//! Building blocks of pages. Each is markup that a screen reader, a keyboard and a narrow screen can use.

mod time;
mod fields;
mod table;
mod entered;
mod numbers;

use maud::{Markup, html};

use crate::console::posted::{CSRF_FIELD, ONCE_FIELD, new_once};
use crate::console::visit::Visit;

pub(crate) use entered::{Entered, Refused, boxes, refusal};
pub(crate) use fields::{Field, area, checkbox, choice, field};
pub(crate) use numbers::{distance, measure, percent};
pub(crate) use table::{Column, facts, pager, table};
pub(crate) use time::{age, date, time};

/// The colour of a badge or a notice. The words repeat the meaning, for people who cannot see the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Neither good nor bad.
    Plain,
    /// A good state.
    Good,
    /// A state that needs attention.
    Warn,
    /// An error, or known content.
    Bad,
}

impl Tone {
    /// Returns the CSS class.
    pub(crate) const fn class(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

/// Renders a form that changes something, with the session's CSRF token and an idempotency key.
pub(crate) fn form(visit: &Visit, action: &str, body: Markup) -> Markup {
    html! {
        form method="post" action=(action) { (hidden(visit)) (body) }
    }
}

/// Renders a form with files.
pub(crate) fn upload(visit: &Visit, action: &str, body: Markup) -> Markup {
    html! {
        form method="post" action=(action) enctype="multipart/form-data" { (hidden(visit)) (body) }
    }
}

/// Renders the hidden fields of a form that changes something, for a form with attributes of its own.
pub(crate) fn hidden(visit: &Visit) -> Markup {
    html! {
        input type="hidden" name=(CSRF_FIELD) value=(visit.csrf);
        input type="hidden" name=(ONCE_FIELD) value=(new_once());
    }
}

/// Renders a form that is a single button and has fixed values, such as "Hold". `key`: the keyboard shortcut.
pub(crate) fn action(
    visit: &Visit,
    path: &str,
    values: &[(&str, &str)],
    label: &str,
    key: Option<char>,
) -> Markup {
    html! {
        form.action method="post" action=(path) {
            (hidden(visit))
            @for (name, value) in values { input type="hidden" name=(name) value=(value); }
            (button(label, key))
        }
    }
}

/// Renders the button of a form. `key`: the keyboard shortcut.
pub(crate) fn button(label: &str, key: Option<char>) -> Markup {
    html! {
        button type="submit" data-key=[key] aria-keyshortcuts=[key] {
            (label)
            @if let Some(key) = key { " " kbd aria-hidden="true" { (key) } }
        }
    }
}

/// Renders a word with a colour.
pub(crate) fn badge(tone: Tone, word: &str) -> Markup {
    html! { span.badge.(tone.class()) { (word) } }
}

/// Renders a sentence as a notice.
pub(crate) fn notice(tone: Tone, body: Markup) -> Markup {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    html! { div.notice.(tone.class()) role=(role) { (body) } }
}

/// Renders the sentence that replaces an empty list.
pub(crate) fn empty(sentence: &str) -> Markup {
    html! { p.empty { (sentence) } }
}

/// Renders a hash or another long text of digits, unbroken, so that a person can copy it whole.
pub(crate) fn digits(text: &str) -> Markup {
    html! { code.digits { (text) } }
}

/// Renders a section of a page with a heading.
pub(crate) fn section(heading: &str, body: Markup) -> Markup {
    html! { section { h2 { (heading) } (body) } }
}
