//! Ids in paths, and failures of services that look like something that is not there.

use http::StatusCode;
use vigie_clients::{CallError, Code};
use vigie_hashes::hex;
use vigie_model::ItemId;

use crate::console::page::Failed;
use crate::problem::Problem;

/// Reads the id of an item in a path. What is no id is not there.
pub(super) fn item_of(text: &str) -> Result<ItemId, Failed> {
    text.parse().ok().filter(|id| *id > 0).map(ItemId).ok_or_else(Failed::not_there)
}

/// Reads the id of a decision: 32 hexadecimal digits.
pub(super) fn decision_of(text: &str) -> Option<[u8; 16]> {
    hex::decode(text).and_then(|id| id.try_into().ok())
}

/// A failed call about a thing that a path names. A person who may not see it learns no more than of one that does not exist.
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

/// Why a form cannot be carried out as it was sent, for the person to read beside it; other failures are pages of their own.
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
