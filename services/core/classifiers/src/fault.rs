//! Faults of a declaration, each with the field that it is in.

use std::fmt;

use thiserror::Error;

/// A field and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The field, as a path: `input.width`.
    pub field: String,
    /// What is wrong with it.
    pub problem: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.problem)
    }
}

/// Every fault of a declaration, in the order of its fields. Shown with one fault a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Faults(Box<[Fault]>);

impl Faults {
    /// The faults, at least one.
    #[must_use]
    pub fn as_slice(&self) -> &[Fault] {
        &self.0
    }
}

/// Collects faults while a declaration is read.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Fault>);

impl Findings {
    /// Notes a fault of `field`.
    pub(crate) fn add(&mut self, field: &str, problem: impl Into<String>) {
        self.0.push(Fault { field: field.into(), problem: problem.into() });
    }

    /// Notes a fault unless the condition holds.
    pub(crate) fn expect(&mut self, is_fit: bool, field: &str, problem: impl FnOnce() -> String) {
        if !is_fit {
            self.add(field, problem());
        }
    }

    /// Fails if there are faults.
    pub(crate) fn finish(self) -> Result<(), Faults> {
        if self.0.is_empty() { Ok(()) } else { Err(Faults(self.0.into())) }
    }
}
