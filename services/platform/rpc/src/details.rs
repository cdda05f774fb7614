//! The details of a status beside its code and text: the time after which to retry, and messages, in the form
//! of `google.rpc.Status`.

use std::time::Duration;

use prost::{Message as _, Name};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The most bytes of a message in a status. It is sent in HTTP/2 trailers, in base64, of which many gRPC
/// stacks accept 8 KiB in all.
pub const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// The most bytes of a status's text when it carries a message, for the same reason.
const TEXT_BYTES_MAX: usize = 1 << 10;

/// Returns a refusal for lack of capacity, with the time after which to try again.
#[must_use]
pub fn resource_exhausted(text: impl Into<String>, retry_after: Duration) -> Status {
    with_retry_after(Code::ResourceExhausted, text, retry_after)
}

/// Returns a status that carries the time after which to try again.
#[must_use]
pub fn with_retry_after(code: Code, text: impl Into<String>, retry_after: Duration) -> Status {
    Status::with_error_details(code, text, ErrorDetails::with_retry_info(Some(retry_after)))
}

/// Returns the time after which to try again, if the status carries one.
#[must_use]
pub fn retry_after(status: &Status) -> Option<Duration> {
    status.get_details_retry_info().and_then(|info| info.retry_delay)
}

/// Returns a status that carries a message, which must be small enough for trailers ([`MESSAGE_BYTES_MAX`]).
/// A long text is cut.
#[must_use]
pub fn with_message<M: prost::Message + Name>(code: Code, text: &str, message: &M) -> Status {
    let text = cut(text, TEXT_BYTES_MAX);
    let detail = prost_types::Any { type_url: M::type_url(), value: message.encode_to_vec() };
    let details =
        tonic_types::Status { code: i32::from(code), message: text.to_owned(), details: vec![detail] };
    Status::with_details(code, text, details.encode_to_vec().into())
}

/// Returns the message of this type that the status carries, if it carries one.
#[must_use]
pub fn message<M: prost::Message + Name + Default>(status: &Status) -> Option<M> {
    let details = tonic_types::Status::decode(status.details()).ok()?;
    let carried = details.details.iter().find(|detail| detail.type_url == M::type_url())?;
    M::decode(carried.value.as_slice()).ok()
}

/// Returns at most the first `bytes_max` bytes of a text, in whole characters.
#[must_use]
pub fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_when_to_try_again() {
        let status = resource_exhausted("busy", Duration::from_millis(250));
        assert_eq!(retry_after(&status), Some(Duration::from_millis(250)));
        assert_eq!(retry_after(&Status::internal("x")), None);
    }

    #[test]
    fn a_status_carries_one_message_and_a_text_of_bounded_length() {
        let carried = prost_types::Timestamp { seconds: 7, nanos: 9 };
        let status = with_message(Code::Unavailable, &"é".repeat(1_000), &carried);
        assert_eq!(message::<prost_types::Timestamp>(&status), Some(carried));
        assert_eq!(message::<prost_types::Duration>(&status), None);
        assert_eq!(status.message().len(), TEXT_BYTES_MAX);
    }
}
