//! Fields of forms, each with its label.

use maud::{Markup, html};

/// A field of one line.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Field<'a> {
    /// The name of the value in the form. Unique on a page, since the label refers to it.
    pub(crate) name: &'a str,
    /// The label that the person sees.
    pub(crate) label: &'a str,
    /// The hint below the field; empty for none.
    pub(crate) hint: &'a str,
    /// The initial value.
    pub(crate) value: &'a str,
    /// The HTML attribute `type`; empty for `text`.
    pub(crate) kind: &'a str,
    /// Whether the browser requires a value before it sends the form.
    pub(crate) is_required: bool,
    /// The fault of the value that was sent; empty for none.
    pub(crate) fault: &'a str,
}

/// Renders a field of one line.
pub(crate) fn field(field: &Field<'_>) -> Markup {
    let kind = if field.kind.is_empty() { "text" } else { field.kind };
    labelled(
        field,
        html! {
            input #{ "f-" (field.name) } name=(field.name) type=(kind) value=(field.value) required[field.is_required]
                aria-describedby=[described(field)] aria-invalid=[(!field.fault.is_empty()).then_some("true")]
                autocomplete="off" spellcheck="false";
        },
    )
}

/// Renders a field of several lines.
pub(crate) fn area(field: &Field<'_>, rows: u8) -> Markup {
    labelled(
        field,
        html! {
            textarea #{ "f-" (field.name) } name=(field.name) rows=(rows) required[field.is_required]
                aria-describedby=[described(field)] aria-invalid=[(!field.fault.is_empty()).then_some("true")]
                autocomplete="off" spellcheck="false" { (field.value) }
        },
    )
}

/// Renders a choice of one of several values. `options`: values with their labels.
pub(crate) fn choice(field: &Field<'_>, options: &[(&str, &str)]) -> Markup {
    labelled(
        field,
        html! {
            select #{ "f-" (field.name) } name=(field.name) aria-describedby=[described(field)]
                aria-invalid=[(!field.fault.is_empty()).then_some("true")] {
                @for (value, words) in options {
                    option value=(value) selected[*value == field.value] { (words) }
                }
            }
        },
    )
}

/// Renders a checkbox. Several boxes may have the same name, each with another value.
pub(crate) fn checkbox(name: &str, value: &str, label: &str, is_ticked: bool) -> Markup {
    html! {
        label.check { input type="checkbox" name=(name) value=(value) checked[is_ticked]; " " (label) }
    }
}

fn described(field: &Field<'_>) -> Option<String> {
    let of = |text: &str, kind: &str| (!text.is_empty()).then(|| format!("f-{}-{kind}", field.name));
    let ids: Vec<String> = [of(field.fault, "fault"), of(field.hint, "hint")].into_iter().flatten().collect();
    (!ids.is_empty()).then(|| ids.join(" "))
}

fn labelled(field: &Field<'_>, input: Markup) -> Markup {
    html! {
        div.field {
            label for={ "f-" (field.name) } { (field.label) }
            (input)
            @if !field.fault.is_empty() { p.fault #{ "f-" (field.name) "-fault" } { (field.fault) } }
            @if !field.hint.is_empty() { p.hint #{ "f-" (field.name) "-hint" } { (field.hint) } }
        }
    }
}
