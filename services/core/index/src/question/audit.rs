//! The audit of an index: whether searches can reach what it holds.

use thiserror::Error;

use super::entry::Entry;

/// Why an audit ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum AuditError {
    /// Its caller stopped it.
    #[error("the audit was stopped")]
    Stopped,
    /// A search may miss what the index holds.
    #[error("{0}")]
    Damaged(&'static str),
}

/// Takes how many bytes were just looked at, and returns whether to go on. It may wait, which slows the audit down.
pub type Pace<'a> = dyn FnMut(usize) -> bool + 'a;

/// What an audit does with each row.
pub(crate) type Taken<'a, const BYTES: usize> = dyn FnMut(&[u8; BYTES], Entry) -> Result<(), AuditError> + 'a;

/// Steps between two looks at the pace.
const STEPS: usize = 4_096;

/// Counts the steps of an audit, and asks its caller now and then.
pub(crate) struct Steps<'p, 'a> {
    pace: &'p mut Pace<'a>,
    step_bytes: usize,
    steps: usize,
}

impl<'p, 'a> Steps<'p, 'a> {
    /// Steps that look at about so many bytes each.
    pub(crate) fn of(step_bytes: usize, pace: &'p mut Pace<'a>) -> Self {
        Self { pace, step_bytes, steps: 0 }
    }

    /// One more step.
    #[inline]
    pub(crate) fn step(&mut self) -> Result<(), AuditError> {
        self.steps += 1;
        if self.steps < STEPS { Ok(()) } else { self.end() }
    }

    /// Accounts for the steps since the last look.
    pub(crate) fn end(&mut self) -> Result<(), AuditError> {
        let bytes = self.step_bytes * std::mem::take(&mut self.steps);
        if (self.pace)(bytes) { Ok(()) } else { Err(AuditError::Stopped) }
    }
}

/// Fails where something is not so.
pub(crate) fn check(holds: bool, otherwise: &'static str) -> Result<(), AuditError> {
    if holds { Ok(()) } else { Err(AuditError::Damaged(otherwise)) }
}
