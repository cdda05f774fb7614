//! Faults of a declaration, each with its field.

use std::fmt;

use thiserror::Error;

/// A fault of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The path of the field, such as `input.width`.
    pub field: String,
    /// The problem with the field.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// All faults of a declaration, in the order of its fields. `Display` writes one fault per line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Faults(Box<[Fault]>);

impl Faults {
    /// Returns the faults, at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

/// Collects faults while a declaration is read.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    prefix: &'static str,
    found: Vec<Fault>,
}

impl Findings {
    /// Adds a fault of `field`, with the prefix before its name.
    pub(crate) fn add(&mut self, field: &str, problem: impl Into<String>) {
        self.found.push(Fault { field: format!("{}{field}", self.prefix), problem: problem.into() });
    }

    /// Adds a fault unless `is_fit` is true.
    pub(crate) fn expect(&mut self, is_fit: bool, field: &str, problem: impl FnOnce() -> String) {
        if !is_fit {
            self.add(field, problem());
        }
    }

    /// Adds a fault unless the text is 1 to `len_max` bytes without control characters.
    pub(crate) fn expect_line(&mut self, text: &str, len_max: usize, field: &str) {
        let is_line = (1..=len_max).contains(&text.len()) && !text.chars().any(char::is_control);
        self.expect(is_line, field, || format!("1 to {len_max} bytes without control characters"));
    }

    /// Collects the faults that `check` finds, with `prefix`, which ends with a dot, before each field.
    pub(crate) fn within<T>(&mut self, prefix: &'static str, check: impl FnOnce(&mut Self) -> T) -> T {
        let outer = std::mem::replace(&mut self.prefix, prefix);
        let checked = check(self);
        self.prefix = outer;
        checked
    }

    /// Returns the faults as an error, if there are any.
    pub(crate) fn finish(self) -> Result<(), Faults> {
        if self.found.is_empty() { Ok(()) } else { Err(Faults(self.found.into())) }
    }
}
