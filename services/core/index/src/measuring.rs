//! Single steps of a search on a chosen instruction set, for the benchmarks in `benches/`; and writable
//! memory for tests that damage it.

use crate::question::cancel::{Cancellation, Checkpoint};
use crate::search::permutation::{DEFAULT_SEED, Permutation};
use crate::search::signature::{Instructions, Kernel, LANES, Task, dispatch_to};
use crate::search::verify::Scan;

/// Leaves memory that is filled from now on writable, so that a test can flip bits in it from outside.
pub fn leave_memory_writable() {
    crate::rows::segment_file::leave_writable();
}

/// Returns the names of the instruction sets that this processor has.
#[must_use]
pub fn kernels() -> Vec<&'static str> {
    Instructions::ALL.into_iter().filter(|one| dispatch_to(*one, Nothing).is_some()).map(name).collect()
}

/// Counts the signatures of these lines that differ from `sought` in at most `limit` bits. `None` without the
/// kernel.
#[must_use]
pub fn near_signatures(kernel: &str, lines: &[[u16; LANES]], sought: u16, limit: u8) -> Option<u32> {
    dispatch_to(named(kernel)?, Near { lines, sought, limit })
}

/// Counts the rows within `radius` of the query; rows must be sorted. `None` without the kernel.
#[must_use]
pub fn near_rows<const BYTES: usize>(
    kernel: &str,
    rows: &[[u8; BYTES]],
    query: &[u8; BYTES],
    radius: u32,
) -> Option<usize> {
    let never = Cancellation::never();
    let mut checkpoint = Checkpoint::begin(&never).ok()?;
    let mut count = 0;
    let mut found = |_: usize, _: u32, _: u32| count += 1;
    let queries = std::slice::from_ref(query);
    let scan = Scan { rows, queries, asked: 0..1, radius, checkpoint: &mut checkpoint, found: &mut found };
    dispatch_to(named(kernel)?, scan)?.ok()?;
    Some(count)
}

/// Permutes the bits of hashes into the order in which an index stores them.
pub fn permute<const BYTES: usize>(hashes: &mut [[u8; BYTES]]) {
    let permutation = Permutation::new(DEFAULT_SEED);
    for hash in hashes {
        *hash = permutation.apply(hash);
    }
}

fn named(kernel: &str) -> Option<Instructions> {
    Instructions::ALL.into_iter().find(|one| name(*one) == kernel)
}

const fn name(instructions: Instructions) -> &'static str {
    match instructions {
        Instructions::Portable => "portable",
        Instructions::Avx2 => "avx2",
        Instructions::Avx512 => "avx512",
        Instructions::Neon => "neon",
    }
}

struct Nothing;

impl Task for Nothing {
    type Output = ();

    #[inline(always)]
    fn run<K: Kernel>(self, _: K) {}
}

struct Near<'a> {
    lines: &'a [[u16; LANES]],
    sought: u16,
    limit: u8,
}

impl Task for Near<'_> {
    type Output = u32;

    #[inline(always)]
    fn run<K: Kernel>(self, kernel: K) -> u32 {
        self.lines.iter().map(|line| kernel.near(line, self.sought, self.limit).count_ones()).sum()
    }
}
