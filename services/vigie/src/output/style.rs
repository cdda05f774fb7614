//! Styles of text. Their colours are left out if the output is not a terminal or `NO_COLOR` is set.

use anstyle::AnsiColor;

pub(crate) use anstyle::Style;

/// Text without colour.
pub(crate) const PLAIN: Style = Style::new();
/// The titles of a table.
pub(crate) const TITLE: Style = Style::new().bold();
/// A good state.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// A state that is not good, or may soon not be.
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default();
/// A failure.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();

/// Returns the text with the codes of a style. The output removes the codes if it does not support colours.
pub(crate) fn styled(style: Style, text: &str) -> String {
    if style == PLAIN { text.to_owned() } else { format!("{style}{text}{style:#}") }
}
