//! Progress for people.

/// Prints a line to standard error: standard output is for results.
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
