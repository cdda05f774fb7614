//! Opens hostile segment files. `cargo +nightly fuzz run segment_file -- -max_total_time=600`, in
//! `services/core/index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vigie_index::fuzzing::segment_file(data));
