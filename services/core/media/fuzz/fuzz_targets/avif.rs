//! Decodes and hashes hostile AVIF files.
//! `cargo +nightly fuzz run avif -- -max_total_time=600`, in `services/core/media`, after
//! `cargo +nightly run --bin seeds` in `fuzz`.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    vigie_media_fuzz::hash(&[&[None, None, None, None, Some(b'f'), Some(b't'), Some(b'y'), Some(b'p')]], data)
});
