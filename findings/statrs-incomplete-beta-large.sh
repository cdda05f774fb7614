#!/usr/bin/env bash
# statrs: the incomplete beta function is wrong for large parameters, and its inverse may not end.
#
# Expected: I_x(a, b) for a = b = 5,000,000 and x = 0.50001 is 0.525215 (mpmath 1.4.1 with 30 digits, and SciPy 1.17.1), and the inverse
# for (1, 10,000,000) at 0.95 is 2.9957e-7. The crate's documentation names no limit on the parameters.
#
# Happens: `beta_reg` returns 0.497872 for this value. With a = b = 1,000,000 it returns 0.611341 instead of 0.611351.
# `inv_beta_reg(1, 1e7, 0.95)` does not return within 20 seconds.
#
# Why: the continued fraction stops after a fixed number of steps (src/function/beta.rs), but it needs about as many steps as the square
# root of the larger parameter.
#
# Source: statrs, version 0.19.1 (https://github.com/statrs-dev/statrs).
#
# Why it matters here: an exact interval of a false-positive rate that was counted on n contents is a quantile of Beta(k + 1, n - k), and
# to support a rate of 1 in a million takes three million contents. The crate `vigie-classifiers` therefore computes the function itself
# (services/core/classifiers/src/calibration/beta.rs). If this script fails, that may have become unnecessary.
#
# Needs cargo, and the package registry or its local cache. No Vigie code. Fails if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "incomplete-beta"
version = "0.0.0"
edition = "2024"

[dependencies]
statrs = { version = "=0.19.1", default-features = false, features = ["std"] }

[profile.dev]
opt-level = 1
debug = false

[workspace]
TOML
cat > src/main.rs <<'RUST'
use statrs::function::beta::{beta_reg, inv_beta_reg};

fn main() {
    if std::env::args().nth(1).as_deref() == Some("inverse") {
        println!("inverse {:e}", inv_beta_reg(1.0, 1e7, 0.95));
    } else {
        println!("million {:.6}", beta_reg(1e6, 1e6, 0.5001));
        println!("five {:.6}", beta_reg(5e6, 5e6, 0.50001));
    }
}
RUST
cargo build --quiet ${CARGO_NET_OFFLINE:+--offline}
program=${CARGO_TARGET_DIR:-target}/debug/incomplete-beta
"$program" >output
echo "version:   statrs 0.19.1"
echo "behaviour: I_x(a, b) for 0.611351 (a = b = 1,000,000) and 0.525215 (a = b = 5,000,000)"
cat output
ended=yes
timeout 20 "$program" inverse || ended=no
echo "the inverse ended within 20 s: $ended"
if grep -q '^million 0.611341$' output && grep -q '^five 0.497872$' output && [ $ended = no ]; then
    echo "as described: wrong for large parameters"
else
    echo "CHANGED: the behaviour is no longer as described" >&2
    exit 1
fi
