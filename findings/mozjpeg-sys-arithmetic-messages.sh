#!/usr/bin/env bash
# mozjpeg-sys: with arithmetic coding built in, the last message codes name other messages than their C counterparts.
#
# Expected: the crate's constants for the messages of libjpeg (`JERR_BAD_PARAM`, `JWRN_BOGUS_ICC` and so on) are the
# indices that the library uses, with each combination of the crate's features.
#
# Happens: with the feature `arith_dec` the six constants after `JERR_BAD_CROP_SPEC`, up to `JMSG_LASTMSGCODE`, are too small by
# two. The library's message at `JERR_BAD_PARAM` is about a missing arithmetic table, its message at `JERR_BAD_PARAM_VALUE`
# about a bad arithmetic code, and so on. There are no constants for `JERR_NO_ARITH_TABLE` and `JWRN_ARITH_BAD_CODE`. Without
# the feature all constants are right. (The header has the same condition for `arith_enc`; this script does not test it.)
#
# Why: the constants (src/jerror.rs) were generated once, from the header without arithmetic coding. The header
# (vendor/jerror.h) has two more entries in the middle of its list if the build script defines the macros of these features.
#
# Source: mozjpeg-sys, version 2.2.3 (https://github.com/kornelski/mozjpeg-sys).
#
# Why it matters here: the code of a warning shows how damaged a picture is. A bad colour profile does not change the pixels, but a
# bad entropy code does. A program that decides by these constants whether pixels may be hashed confuses the two warnings. Vigie
# counts from `JERR_BAD_CROP_SPEC`, the last right constant, to the code that it needs
# (services/core/media/src/decode/jpeg/libjpeg.rs). If this script fails, that may be wrong now.
#
# Needs cargo and a C compiler, and the package registry or its local cache. No Vigie code. Fails if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "arithmetic-messages"
version = "0.0.0"
edition = "2024"

[features]
arithmetic = ["mozjpeg-sys/arith_dec"]

[dependencies]
mozjpeg-sys = { version = "=2.2.3", default-features = false }

[profile.dev]
opt-level = 0
debug = false

[workspace]
TOML
cat > src/main.rs <<'RUST'
use std::ffi::CStr;

use mozjpeg_sys::*;

fn main() {
    let constants = [
        ("JWRN_TOO_MUCH_DATA", JWRN_TOO_MUCH_DATA),
        ("JERR_BAD_CROP_SPEC", JERR_BAD_CROP_SPEC),
        ("JERR_BAD_PARAM", JERR_BAD_PARAM),
        ("JERR_BAD_PARAM_VALUE", JERR_BAD_PARAM_VALUE),
        ("JERR_UNSUPPORTED_SUSPEND", JERR_UNSUPPORTED_SUSPEND),
        ("JWRN_BOGUS_ICC", JWRN_BOGUS_ICC),
        ("JERR_BAD_DROP_SAMPLING", JERR_BAD_DROP_SAMPLING),
    ];
    // SAFETY: the structure holds numbers, pointers and optional functions, for all of which zeros are valid.
    let mut manager: jpeg_error_mgr = unsafe { std::mem::zeroed() };
    // SAFETY: the function only fills in the structure.
    unsafe { jpeg_std_error(&mut manager) };
    let last = manager.last_jpeg_message;
    println!("last code: library {last}, constants {}", JMSG_LASTMSGCODE - 1);
    for (name, code) in constants {
        assert!(code <= last);
        // SAFETY: the table holds a C string for each code up to the last one.
        let message = unsafe { CStr::from_ptr((*manager.jpeg_message_table.add(code as usize)).cast()) };
        println!("{name} {code}: {}", message.to_string_lossy());
    }
}
RUST
echo "version:   mozjpeg-sys 2.2.3"
echo "behaviour: the library's message at the code that the crate gives for a name"
for features in "" arithmetic; do
    cargo run --quiet ${CARGO_NET_OFFLINE:+--offline} --features "$features" > "output-$features"
    if [ -n "$features" ]; then echo "with arith_dec"; else echo "without"; fi
    cat "output-$features"
done
message() { sed -n "s/^$2 [0-9]*: //p" "output-$1"; }
last() { sed -n "s/^last code: library \([0-9]*\), constants \([0-9]*\)\$/\\$2/p" "output-$1"; }
if [ "$(last "" 1)" -eq "$(last "" 2)" ] && [ "$(last arithmetic 1)" -eq "$(($(last arithmetic 2) + 2))" ] &&
    [ "$(message "" JERR_BAD_CROP_SPEC)" = "$(message arithmetic JERR_BAD_CROP_SPEC)" ] &&
    [ "$(message "" JERR_BAD_PARAM)" = "$(message arithmetic JERR_UNSUPPORTED_SUSPEND)" ] &&
    [ "$(message "" JERR_BAD_PARAM_VALUE)" = "$(message arithmetic JWRN_BOGUS_ICC)" ]; then
    echo "as described: the codes after JERR_BAD_CROP_SPEC are two too small with arithmetic coding"
else
    echo "CHANGED: the behaviour is no longer as described" >&2
    exit 1
fi
