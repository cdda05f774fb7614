//! Searches segments that were damaged and whose checksums were then corrected. `cargo +nightly fuzz run
//! segment_search -- -max_total_time=600`, in `services/core/index`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| vigie_index::fuzzing::segment_search(data));
