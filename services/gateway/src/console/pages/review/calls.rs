//! Ids in paths, and failures of services that are answered as "not found".

use http::StatusCode;
use vigie_clients::{CallError, Code};
use vigie_hashes::hex;
use vigie_model::ItemId;

use crate::console::page::Failed;
use crate::problem::Problem;

/// Parses the id of an item in a path. An invalid id is "not found".
pub(super) fn item_of(text: &str) -> Result<ItemId, Failed> {
    text.parse().ok().filter(|id| *id > 0).map(ItemId).ok_or_else(Failed::not_there)
}

/// Parses the id of a decision: 32 hexadecimal digits.
pub(super) fn decision_of(text: &str) -> Option<[u8; 16]> {
    hex::decode(text).and_then(|id| id.try_into().ok())
}

/// Converts the failure of a call about the subject of a path. "Not allowed" and "does not exist" get the
/// same answer.
pub(super) fn unseen(error: CallError) -> Failed {
    match error.code() {
        Code::NotFound | Code::PermissionDenied => Failed::not_there(),
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::InvalidArgument
        | Code::DeadlineExceeded
        | Code::AlreadyExists
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => error.into(),
    }
}

/// Returns the problem of a form, to show beside it; other failures are returned as errors and get pages of
/// their own.
pub(super) fn fault(error: CallError) -> Result<Problem, Failed> {
    let failed = unseen(error);
    match failed.problem.status {
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT => Ok(failed.problem),
        _ => Err(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_and_what_is_none_is_not_there() {
        assert_eq!(item_of("12").unwrap(), ItemId(12));
        for wrong in ["0", "", "x", "-1", "18446744073709551616"] {
            assert_eq!(item_of(wrong).unwrap_err().problem.status, StatusCode::NOT_FOUND, "{wrong}");
        }
        assert_eq!(decision_of(&"0F".repeat(16)), Some([15; 16]));
        for wrong in ["", "0f", &"0f".repeat(17), &format!("+{}", "0".repeat(31))] {
            assert_eq!(decision_of(wrong), None, "{wrong}");
        }
    }
}
