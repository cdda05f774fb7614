//! The refusal of a condition by the door.

use std::fmt;

/// The reason for refusing a condition, and its position in the source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    reason: String,
    /// Line and column, from 1.
    at: Option<(usize, usize)>,
}

impl Refusal {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), at: None }
    }

    /// Adds the line and column of this byte of the source.
    pub(super) fn at_byte(mut self, source: &str, offset: usize) -> Self {
        if let Some(before) = source.get(..offset) {
            let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
            let column = before.get(line_start..).map_or(0, |line| line.chars().count());
            self.at = Some((before.matches('\n').count() + 1, column + 1));
        }
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some((line, column)) => write!(f, "{} (line {line}, column {column})", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}
