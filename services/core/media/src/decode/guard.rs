//! Prevents a decoder's panic from ending the process, and its message from reaching a log.
//!
//! Decoders of hostile input sometimes panic, and a panic's message may quote the input. The panic is caught
//! and becomes an error. While a decoder runs on a thread, the panic hook is silent for that thread; every
//! other panic of the process goes to the previous hook, unchanged.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

use crate::error::DecodeError;

thread_local! {
    /// True while this thread runs a decoder.
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `decode`; a panic in it becomes [`DecodeError::DecoderPanicked`].
///
/// Only the borrowed input outlives a panic, and decoders only read it, so `AssertUnwindSafe` is correct.
pub(super) fn catch_panic<T>(
    format: &'static str,
    decode: impl FnOnce() -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if !DECODING.get() {
                previous(info);
            }
        }));
    });
    let before = DECODING.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(before);
    result.unwrap_or(Err(DecodeError::DecoderPanicked { format }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panicking_decoder_becomes_an_error() {
        let result = catch_panic::<()>("PNG", || panic!("the content's secret"));
        assert_eq!(result, Err(DecodeError::DecoderPanicked { format: "PNG" }));
        assert!(!DECODING.get());
    }

    #[test]
    fn a_result_passes_unchanged() {
        assert_eq!(catch_panic("PNG", || Ok(7)), Ok(7));
        assert_eq!(catch_panic::<()>("PNG", || Err(DecodeError::Empty)), Err(DecodeError::Empty));
    }
}
