//! Decodes and hashes hostile GIF files.
//! `cargo +nightly fuzz run gif -- -max_total_time=600`, in `services/core/media`, after
//! `cargo +nightly run --bin seeds` in `fuzz`.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    vigie_media_fuzz::hash(&[&[Some(b'G'), Some(b'I'), Some(b'F'), Some(b'8')]], data)
});
