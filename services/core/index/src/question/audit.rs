//! The audit of an index: checks that searches can reach every stored hash.

use thiserror::Error;

use super::entry::Entry;

/// The reasons why an audit ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuditError {
    /// The caller stopped the audit.
    #[error("the audit was stopped")]
    Stopped,
    /// A search may miss a hash that the index stores.
    #[error("{0}")]
    Damaged(&'static str),
}

/// Receives how many bytes were just read, and returns whether to go on. It may wait, which slows the audit
/// down.
pub type Pace<'a> = dyn FnMut(usize) -> bool + 'a;

/// The callback that an audit calls for each row.
pub(crate) type Taken<'a, const BYTES: usize> = dyn FnMut(&[u8; BYTES], Entry) -> Result<(), AuditError> + 'a;

/// The number of steps between two calls of the pace.
const STEPS: usize = 4_096;

/// Counts the steps of an audit, and calls its pace at intervals.
pub(crate) struct Steps<'p, 'a> {
    pace: &'p mut Pace<'a>,
    step_bytes: usize,
    steps: usize,
}

impl<'p, 'a> Steps<'p, 'a> {
    /// Creates a counter of steps that read about this many bytes each.
    pub(crate) fn of(step_bytes: usize, pace: &'p mut Pace<'a>) -> Self {
        Self { pace, step_bytes, steps: 0 }
    }

    /// Counts one step.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<(), AuditError> {
        self.steps += 1;
        if self.steps < STEPS { Ok(()) } else { self.end() }
    }

    /// Reports the steps since the last call of the pace.
    pub(crate) fn end(&mut self) -> Result<(), AuditError> {
        let bytes = self.step_bytes * std::mem::take(&mut self.steps);
        if (self.pace)(bytes) { Ok(()) } else { Err(AuditError::Stopped) }
    }
}

/// Fails with this message unless the condition holds.
pub(crate) fn check(holds: bool, otherwise: &'static str) -> Result<(), AuditError> {
    if holds { Ok(()) } else { Err(AuditError::Damaged(otherwise)) }
}
