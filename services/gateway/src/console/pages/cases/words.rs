//! Labels of cases: choices in forms, and badges.

use maud::Markup;

use crate::console::parts::{self, Field, Tone};
use crate::console::visit::Visit;

/// A choice of words, each labelled by its text below `group`. If `none` is a key, the first option is an
/// empty one with that text.
pub(super) fn choice(
    visit: &Visit,
    field: &Field<'_>,
    words: impl IntoIterator<Item = &'static str>,
    group: &str,
    none: Option<&str>,
) -> Markup {
    let mut options: Vec<(&str, &str)> = none.map(|none| ("", visit.t(none))).into_iter().collect();
    options.extend(words.into_iter().map(|word| (word, word_of(visit, group, word))));
    parts::choice(field, &options)
}

/// The label of a word.
pub(super) fn word_of(visit: &Visit, group: &str, word: &str) -> &'static str {
    visit.t(&format!("cases.word.{group}.{}", word.replace('-', "_")))
}

/// A word as a badge.
pub(super) fn badge(visit: &Visit, tone: Tone, group: &str, word: &str) -> Markup {
    parts::badge(tone, word_of(visit, group, word))
}
