#!/usr/bin/env bash
# hnsw_rs: many copies of one point make other points unfindable.
#
# Expected: a graph of 2,000 points, of which 1,000 are equal, finds nearly all of the other 1,000 points when each of them is
# searched for, as a graph does in which the equal point is present only once. The crate's documentation names no limit on
# equal points.
#
# Happens: if the copies are inserted first, a third of the other points cannot be found, even by a search that asks for more
# candidates than there are points. If the points are inserted in another order, the copies hide fewer points.
#
# Why: in `Hnsw::reverse_update_neighborhood_simple` (src/hnsw.rs) a point keeps its `2 * max_nb_connection` nearest
# neighbours in the lowest layer. Soon all neighbours of a copy are other copies, at distance 0, and its links to other points
# are dropped. `select_neighbours` discards a candidate that is at least as near to an already chosen neighbour as to the new
# point. So the first of several copies makes it discard all others: a point whose candidates are copies gets one link, to a
# copy that has links only to copies. The graph falls into parts.
#
# Source: hnsw_rs, version 0.3.5 (https://github.com/jean-pierreBoth/hnswlib-rs). Until 0.3.4 reverse edges were also stored
# in the wrong layer (pull request 38 of that repository); 0.3.5 fixes that bug, which is a different one.
#
# Why it matters here: banks hold thousands of items with one hash (a flat picture, a logo, a frame of a title). The crate
# `vigie-vectors` therefore inserts each distinct hash once and keeps the items of the hash beside the graph
# (services/core/vectors/src/graph/rows.rs). If this script fails, that may have become unnecessary.
#
# Needs cargo, and the package registry or its local cache. No Vigie code. Fails if the behaviour has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat > Cargo.toml <<'TOML'
[package]
name = "equal-points"
version = "0.0.0"
edition = "2024"

[dependencies]
hnsw_rs = "=0.3.5"

[profile.dev]
opt-level = 1
debug = false

[workspace]
TOML
cat > src/main.rs <<'RUST'
use hnsw_rs::anndists::dist::distances::Distance;
use hnsw_rs::hnsw::Hnsw;

type Hash = [u64; 4];

struct Bits;

impl Distance<u64> for Bits {
    fn eval(&self, one: &[u64], other: &[u64]) -> f32 {
        one.iter().zip(other).map(|(one, other)| (one ^ other).count_ones()).sum::<u32>() as f32
    }
}

/// SplitMix64.
fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut word = *state;
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

/// How many of 1,000 different hashes are not found after `copies` of another one, by a search for each of them that asks
/// for `count` neighbours. Deterministic: the crate's own randomness has a fixed seed.
fn lost(copies: usize, count: usize) -> usize {
    let mut state = 1;
    let mut hash = || -> Hash { std::array::from_fn(|_| random(&mut state)) };
    let copied = hash();
    let others: Vec<Hash> = (0..1_000).map(|_| hash()).collect();
    let points: Vec<Hash> = std::iter::repeat_n(copied, copies).chain(others.iter().copied()).collect();
    let graph = Hnsw::<u64, Bits>::new(16, points.len(), 16, 100, Bits);
    for (id, point) in points.iter().enumerate() {
        graph.insert((point, id));
    }
    let is_found = |hash: &Hash| graph.search(hash, count, 100).iter().any(|found| points[found.d_id] == *hash);
    others.iter().filter(|hash| !is_found(hash)).count()
}

fn main() {
    for copies in [1, 1_000] {
        println!("copies {copies}: lost {}, asked for everything {}", lost(copies, 10), lost(copies, 5_000));
    }
}
RUST
cargo run --quiet ${CARGO_NET_OFFLINE:+--offline} >output
echo "version:   $(cargo tree --quiet --depth 1 2>/dev/null | grep hnsw_rs || echo 'hnsw_rs 0.3.5')"
echo "behaviour: of 1,000 different points beside copies of one other, so many are not found by their own search"
cat output
number() { sed -n "s/^copies $1: lost \([0-9]*\), asked for everything \([0-9]*\)\$/\\$2/p" output; }
if [ "$(number 1 1)" -le 10 ] && [ "$(number 1000 1)" -ge 100 ] && [ "$(number 1000 2)" -ge 100 ]; then
    echo "as described: equal points hide others"
else
    echo "CHANGED: the behaviour is no longer as described" >&2
    exit 1
fi
