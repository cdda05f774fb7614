//! The meaning of each gRPC code: one table, from which all code that distinguishes codes in the same way
//! derives.

use tonic::Code;

/// The outcome of a call as evidence about the endpoint that was called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// The endpoint answered; an error of the caller counts as an answer.
    Answered,
    /// The endpoint did not answer, and is at fault.
    Failed,
    /// The caller stopped waiting. The time until then is the only evidence of the endpoint's latency.
    Abandoned,
    /// The endpoint refused the call for lack of capacity, or does not have the method. A refusal is quick,
    /// which must not make the endpoint look quick.
    Refused,
}

/// The row of a code in the table.
#[derive(Debug, Clone, Copy)]
struct Meaning {
    word: &'static str,
    is_retryable: bool,
    is_fault: bool,
    end: CallEnd,
}

const YES: bool = true;
const NO: bool = false;

const fn row(word: &'static str, is_retryable: bool, is_fault: bool, end: CallEnd) -> Meaning {
    Meaning { word, is_retryable, is_fault, end }
}

/// Returns the row of a code. A deadline may have been too short, so it is no evidence against the endpoint;
/// a spent deadline leaves no time for another attempt; an unknown failure may repeat for ever.
#[rustfmt::skip]
const fn meaning(code: Code) -> Meaning {
    use CallEnd::{Abandoned, Answered, Failed, Refused};
    match code {
        //                             word                   retryable  fault  end
        Code::Ok =>                 row("OK",                  NO,       NO,    Answered),
        Code::Cancelled =>          row("CANCELLED",           NO,       NO,    Abandoned),
        Code::Unknown =>            row("UNKNOWN",             NO,       YES,   Failed),
        Code::InvalidArgument =>    row("INVALID_ARGUMENT",    NO,       NO,    Answered),
        Code::DeadlineExceeded =>   row("DEADLINE_EXCEEDED",   NO,       YES,   Abandoned),
        Code::NotFound =>           row("NOT_FOUND",           NO,       NO,    Answered),
        Code::AlreadyExists =>      row("ALREADY_EXISTS",      NO,       NO,    Answered),
        Code::PermissionDenied =>   row("PERMISSION_DENIED",   NO,       NO,    Answered),
        Code::ResourceExhausted =>  row("RESOURCE_EXHAUSTED",  YES,      NO,    Refused),
        Code::FailedPrecondition => row("FAILED_PRECONDITION", NO,       NO,    Answered),
        Code::Aborted =>            row("ABORTED",             YES,      NO,    Abandoned),
        Code::OutOfRange =>         row("OUT_OF_RANGE",        NO,       NO,    Answered),
        Code::Unimplemented =>      row("UNIMPLEMENTED",       NO,       YES,   Refused),
        Code::Internal =>           row("INTERNAL",            NO,       YES,   Failed),
        Code::Unavailable =>        row("UNAVAILABLE",         YES,      YES,   Failed),
        Code::DataLoss =>           row("DATA_LOSS",           NO,       YES,   Failed),
        Code::Unauthenticated =>    row("UNAUTHENTICATED",     NO,       NO,    Answered),
    }
}

/// Returns the code as gRPC writes it (grpc.io/docs/guides/status-codes).
#[must_use]
pub const fn word(code: Code) -> &'static str {
    meaning(code).word
}

/// Returns whether the same call may succeed if it is made again.
#[must_use]
pub const fn retryable(code: Code) -> bool {
    meaning(code).is_retryable
}

/// Returns whether the server is at fault, and not its caller or the load (OpenTelemetry's semantic
/// conventions for gRPC).
#[must_use]
pub const fn is_fault(code: Code) -> bool {
    meaning(code).is_fault
}

/// Returns the outcome of a call with this code as evidence about its endpoint.
#[must_use]
pub const fn end(code: Code) -> CallEnd {
    meaning(code).end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_those_of_grpc() {
        let codes = (0..17).map(Code::from_i32);
        for code in codes {
            // Compares `DEADLINE_EXCEEDED` with `DeadlineExceeded`.
            let letters = format!("{code:?}").to_uppercase();
            assert_eq!(word(code).replace('_', ""), letters);
        }
    }

    #[test]
    fn a_call_that_is_worth_another_attempt_was_not_answered() {
        for code in (0..17).map(Code::from_i32).filter(|code| retryable(*code)) {
            assert_ne!(end(code), CallEnd::Answered, "{code:?}");
        }
    }
}
