//! An error in a message: the field that breaks the contract, and the reason.

use std::fmt::Display;

use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

/// A field whose value breaks the contract. The reason never repeats a hash or content.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{field}: {reason}")]
pub struct Invalid {
    /// The path of the field, as in `queries[3].hashes[0].value`.
    pub field: String,
    /// The fault of the value, and what is allowed.
    pub reason: String,
}

impl Invalid {
    /// Returns the fault of the field `field`. `reason`: a clause whose subject is the field.
    #[must_use]
    pub fn new(field: impl Into<String>, reason: impl Display) -> Self {
        Self { field: field.into(), reason: reason.to_string() }
    }

    /// Returns the same fault as a fault of the enclosing message, whose field `parent` holds the faulty
    /// message.
    #[must_use]
    pub fn within(self, parent: impl Display) -> Self {
        Self { field: format!("{parent}.{}", self.field), reason: self.reason }
    }

    /// Returns the fault of a required field that is missing.
    #[must_use]
    pub fn missing(field: impl Into<String>) -> Self {
        Self::new(field, "is missing; it is required")
    }
}

/// The status has the code `INVALID_ARGUMENT`, and the field in a `BadRequest`.
impl From<Invalid> for Status {
    fn from(invalid: Invalid) -> Self {
        let message = invalid.to_string();
        let details = ErrorDetails::with_bad_request_violation(invalid.field, invalid.reason);
        Self::with_error_details(Code::InvalidArgument, message, details)
    }
}

/// The most faults that one status lists.
const FAULTS_MAX: usize = 20;

/// Returns `INVALID_ARGUMENT` with several faults of one request. The first 20 are listed, each as a line of
/// the message and as a violation in the `BadRequest`; the last line counts the others.
#[must_use]
pub fn invalid_fields(faults: Vec<Invalid>) -> Status {
    let more = faults.len().saturating_sub(FAULTS_MAX);
    let named = || faults.iter().take(FAULTS_MAX);
    let mut lines: Vec<String> = named().map(ToString::to_string).collect();
    lines.extend((more > 0).then(|| format!("and {more} more")));
    let violations: Vec<_> = named().map(|one| FieldViolation::new(&*one.field, &*one.reason)).collect();
    let details = ErrorDetails::with_bad_request(violations);
    Status::with_error_details(Code::InvalidArgument, lines.join("\n"), details)
}

/// Checks that a list has `min` to `max` entries.
pub(crate) fn check_len(field: &str, len: usize, min: usize, max: usize) -> Result<(), Invalid> {
    if (min..=max).contains(&len) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("has {len} entries; it must have {min} to {max}")))
}

/// Converts each entry of a list. An error names the index of the wrong entry.
pub(crate) fn each<P, M>(
    field: &str,
    messages: impl IntoIterator<Item = P>,
    convert: impl Fn(P) -> Result<M, Invalid>,
) -> Result<Vec<M>, Invalid> {
    let converted = |(index, message)| {
        convert(message).map_err(|invalid| {
            let entry = format!("{field}[{index}]");
            if invalid.field.is_empty() { Invalid { field: entry, ..invalid } } else { invalid.within(entry) }
        })
    };
    messages.into_iter().enumerate().map(converted).collect()
}
