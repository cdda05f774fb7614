//! Decodes and hashes hostile WebP files.
//! `cargo +nightly fuzz run webp -- -max_total_time=600`, in `services/core/media`, after
//! `cargo +nightly run --bin seeds` in `fuzz`.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|data: &[u8]| -> Corpus {
    vigie_media_fuzz::hash(
        &[&[
            Some(b'R'),
            Some(b'I'),
            Some(b'F'),
            Some(b'F'),
            None,
            None,
            None,
            None,
            Some(b'W'),
            Some(b'E'),
            Some(b'B'),
            Some(b'P'),
        ]],
        data,
    )
});
