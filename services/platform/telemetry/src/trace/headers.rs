//! `traceparent` and `tracestate` (W3C Trace Context, level 1).
//!
//! The SDK's `TraceContextPropagator` is not used. It accepts identifiers of any length, signs, and a second
//! `traceparent`, all of which the standard requires to be ignored. It reads only one `tracestate` header and
//! does not bound it. And it allocates several strings and a context for each call, most of which are not
//! sampled. A test checks that this is still so.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};
use opentelemetry::{SpanId, TraceId};

/// The length of the form `00-`, 32 digits, `-`, 16 digits, `-`, 2 digits.
const LENGTH: usize = 55;
/// The longest `tracestate` that is passed on; the standard requires 512 bytes.
const STATE_BYTES_MAX: usize = 512;

/// The caller's span.
#[derive(Debug, PartialEq)]
pub(super) struct Parent {
    pub(super) trace: TraceId,
    pub(super) span: SpanId,
    pub(super) chosen: bool,
    pub(super) state: Option<HeaderValue>,
}

pub(super) static TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
pub(super) static TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Returns the caller's context; `None` if it sent none, or a malformed one.
pub(super) fn read(headers: &HeaderMap) -> Option<Parent> {
    let (head, rest) = only(headers, &TRACEPARENT)?.as_bytes().split_at_checked(LENGTH)?;
    let [version] = bytes(&head[..2])?;
    // A later version may have further fields, behind another dash.
    let is_well_formed = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest[0] == b'-',
    };
    if !is_well_formed || [2, 35, 52].iter().any(|at| head[*at] != b'-') {
        return None;
    }
    let (trace, span) =
        (TraceId::from_bytes(bytes(&head[3..35])?), SpanId::from_bytes(bytes(&head[36..52])?));
    let [flags] = bytes(&head[53..])?;
    if trace == TraceId::INVALID || span == SpanId::INVALID {
        return None;
    }
    Some(Parent { trace, span, chosen: flags & 1 == 1, state: state(headers) })
}

/// Returns the caller's `tracestate`: several headers are one list, in their order (section 3.3.1). Only
/// several headers cost a copy.
fn state(headers: &HeaderMap) -> Option<HeaderValue> {
    let values = || headers.get_all(&TRACESTATE).into_iter().filter(|value| !value.is_empty());
    let mut rest = values();
    let first = rest.next()?;
    let bytes = values().map(|value| value.len() + 1).sum::<usize>() - 1;
    if bytes > STATE_BYTES_MAX {
        return None;
    }
    if rest.next().is_none() {
        return Some(first.clone());
    }
    let mut joined = Vec::with_capacity(bytes);
    for value in values() {
        if !joined.is_empty() {
            joined.push(b',');
        }
        joined.extend_from_slice(value.as_bytes());
    }
    HeaderValue::from_bytes(&joined).ok()
}

/// Returns the value of a header that occurs once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a HeaderValue> {
    let mut values = headers.get_all(name).into_iter();
    values.next().filter(|_| values.next().is_none())
}

/// Reads hexadecimal digits in lower case.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut are_digits = digits.len() == 2 * N;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        are_digits &= high | low < 16;
        *byte = high << 4 | low;
    }
    are_digits.then_some(bytes)
}

/// The value of each digit; 16 for bytes that are no digit.
const VALUES: [u8; 256] = {
    let mut values = [16; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(super) fn traceparent(trace: TraceId, span: SpanId, chosen: bool) -> HeaderValue {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    write_digits(&mut text[3..35], &trace.to_bytes());
    write_digits(&mut text[36..52], &span.to_bytes());
    text[LENGTH - 1] = if chosen { b'1' } else { b'0' };
    HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

fn write_digits(text: &mut [u8], bytes: &[u8]) {
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(parent: &str) -> Option<Parent> {
        read(&HeaderMap::from_iter([("traceparent".parse().unwrap(), parent.parse().unwrap())]))
    }

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn the_standards_example_is_understood() {
        let parent = of(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!((parent.trace.to_string().as_str(), parent.span.to_string().as_str()), (TRACE, SPAN));
        assert!(parent.chosen);
        assert!(!of(&format!("00-{TRACE}-{SPAN}-00")).unwrap().chosen);
        // Other flags are ignored, and a later version may have further fields.
        assert!(of(&format!("00-{TRACE}-{SPAN}-03")).unwrap().chosen);
        assert!(of(&format!("cc-{TRACE}-{SPAN}-01-what-the-future-says")).is_some());
    }

    #[test]
    fn what_is_malformed_is_as_if_it_had_not_come() {
        let none = format!("00-{}-{SPAN}-01", "0".repeat(32));
        let wrong = [
            "",
            "00",
            &none,
            &format!("00-{TRACE}-{}-01", "0".repeat(16)),
            &format!("00-{TRACE}-{SPAN}"),
            &format!("00-{TRACE}-{SPAN}-01-more"),
            &format!("00-{TRACE}-{SPAN}-01."),
            &format!("ff-{TRACE}-{SPAN}-01"),
            &format!("cc-{TRACE}-{SPAN}-01.what"),
            &format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            &format!("00-{}-{SPAN}-01", TRACE.replace('0', "g")),
            &format!("00_{TRACE}_{SPAN}_01"),
            &format!("00-+{}-{SPAN}-01", &TRACE[1..]),
        ];
        for wrong in wrong {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        let mut twice = HeaderMap::new();
        for _ in 0..2 {
            twice.append("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
        }
        assert_eq!(read(&twice), None);
    }

    #[test]
    fn the_state_is_passed_on_unless_it_is_large() {
        for (length, kept) in [(1, true), (512, true), (513, false)] {
            let mut headers = HeaderMap::new();
            headers.append("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
            headers.append("tracestate", "a".repeat(length).parse().unwrap());
            assert_eq!(read(&headers).unwrap().state.is_some(), kept, "{length}");
        }
    }

    #[test]
    fn several_states_are_one_in_their_order() {
        let state = |states: &[&str]| {
            let mut headers = HeaderMap::new();
            headers.append("traceparent", format!("00-{TRACE}-{SPAN}-01").parse().unwrap());
            for state in states {
                headers.append("tracestate", state.parse().unwrap());
            }
            read(&headers).unwrap().state
        };
        assert_eq!(state(&["a=1", "b=2,c=3", "", "d=4"]).unwrap(), "a=1,b=2,c=3,d=4");
        assert_eq!(state(&["", "a=1"]).unwrap(), "a=1");
        assert_eq!(state(&["", ""]), None);
        let (half, more) = (format!("a={}", "1".repeat(253)), format!("b={}", "2".repeat(254)));
        assert_eq!(state(&[&half, &half]).unwrap().len(), 511);
        assert_eq!(state(&[&half, &more]).unwrap().len(), 512);
        assert_eq!(state(&[&more, &more]), None, "the bound is on all of them");
    }

    #[test]
    fn the_propagator_of_the_sdk_is_laxer() {
        use opentelemetry::propagation::TextMapPropagator as _;
        use opentelemetry::trace::TraceContextExt as _;
        use opentelemetry_sdk::propagation::TraceContextPropagator;

        let malformed =
            ["00-1-2-1", "0-1-2-1", &format!("00-{TRACE}-{SPAN}-01-"), &format!("00-+1-{SPAN}-+1")];
        for parent in malformed {
            assert_eq!(of(parent), None, "{parent}");
            let headers = std::collections::HashMap::from([("traceparent".to_owned(), parent.to_owned())]);
            let context = TraceContextPropagator::new().extract(&headers);
            assert!(context.span().span_context().is_valid(), "it has become stricter: {parent}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., chosen: bool) {
            let written = traceparent(trace.into(), span.into(), chosen);
            let read = of(written.to_str().unwrap()).unwrap();
            prop_assert_eq!(read, Parent { trace: trace.into(), span: span.into(), chosen, state: None });
        }

        #[test]
        fn nothing_that_a_caller_sends_breaks_it(bytes in prop::collection::vec(32_u8..127, 0..80)) {
            of(std::str::from_utf8(&bytes).unwrap());
        }
    }
}
