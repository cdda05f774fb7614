//! Refusals in the form that callers get.

use tonic::{Code, Status};
use vigie_consortium::{Denied, DeniedKind};
use vigie_credentials::{Answer, Rejected};
use vigie_rpc::details;

/// Returns the status of a denied call.
#[must_use]
#[expect(clippy::needless_pass_by_value, reason = "used as a function of a result's error")]
pub fn denied(denied: Denied) -> Status {
    let code = match denied.kind() {
        DeniedKind::Unauthenticated => Code::Unauthenticated,
        DeniedKind::PermissionDenied => Code::PermissionDenied,
        DeniedKind::NotFound => Code::NotFound,
        DeniedKind::FailedPrecondition => Code::FailedPrecondition,
    };
    Status::new(code, denied.to_string())
}

/// Returns the status of a call whose credentials are refused. The reason is logged; the caller gets the same
/// text for all wrong credentials.
pub(crate) fn rejected(rejected: &Rejected, address: Option<std::net::IpAddr>) -> Status {
    tracing::info!(reason = rejected.reason(), ?address, "credentials are refused: {rejected}");
    let answer = rejected.answer();
    match answer {
        Answer::Unauthenticated => Status::unauthenticated(answer.text()),
        Answer::TooManyFailures { retry_after } => details::resource_exhausted(answer.text(), retry_after),
        Answer::CannotCheck => Status::unavailable(answer.text()),
    }
}
