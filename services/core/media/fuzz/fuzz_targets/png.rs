//! Decodes and hashes hostile PNG files.
//! `cargo +nightly fuzz run png -- -max_total_time=600`, in `services/core/media`, after
//! `cargo +nightly run --bin seeds` in `fuzz`.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    vigie_media_fuzz::hash(
        &[&[
            Some(0x89),
            Some(b'P'),
            Some(b'N'),
            Some(b'G'),
            Some(b'\r'),
            Some(b'\n'),
            Some(0x1a),
            Some(b'\n'),
        ]],
        data,
    )
});
