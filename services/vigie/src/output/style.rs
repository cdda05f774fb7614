//! Colours, which are left out where output is no terminal or `NO_COLOR` is set.

use anstyle::AnsiColor;

pub(crate) use anstyle::Style;

/// No colour.
pub(crate) const PLAIN: Style = Style::new();
/// The titles of a table.
pub(crate) const TITLE: Style = Style::new().bold();
/// As it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Not as it should be, or soon to be.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
/// A fault.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// The text in a style. Where it is printed decides whether the codes are.
pub(crate) fn styled(style: Style, text: &str) -> String {
    if style == PLAIN { text.to_owned() } else { format!("{style}{text}{style:#}") }
}
