//! The function that the fuzz targets call: the entry point of the services, with small limits, on files of
//! one format.

use libfuzzer_sys::Corpus;
use vigie_media::{DecodeError, Limits, Ways, picture};

/// Small limits, so that a run is fast.
const LIMITS: Limits = Limits {
    pixels_max: 1_000_000,
    side_px_max: 4_096,
    input_bytes_max: 1_000_000,
    alloc_bytes_max: 64_000_000,
    frames_max: 6,
    frames_pixels_max: 2_000_000,
    further_frames_within: Limits::FURTHER_FRAMES_WITHIN,
};

/// The first bytes of a format's files: `None` matches any byte.
pub type Signature = &'static [Option<u8>];

/// Hashes `data`. Rejects bytes of other formats, which are not worth keeping in the corpus.
///
/// # Panics
///
/// Panics if a decoder panicked. Services turn such a panic into an error, but the fuzzer has to report it.
#[must_use]
pub fn hash(signatures: &[Signature], data: &[u8]) -> Corpus {
    let begins_with = |signature: &Signature| {
        data.len() >= signature.len()
            && signature.iter().zip(data).all(|(wanted, byte)| wanted.is_none_or(|wanted| wanted == *byte))
    };
    if !signatures.iter().any(begins_with) {
        return Corpus::Reject;
    }
    let hashed = picture(data, &LIMITS, Ways::default());
    assert!(!matches!(hashed, Err(DecodeError::DecoderPanicked { .. })), "a decoder panicked");
    let has_later_fault = hashed.is_ok_and(|picture| picture.later_fault.is_some());
    assert!(!has_later_fault, "a decoder panicked on a later frame");
    Corpus::Keep
}
