//! Checksums of a segment's blocks, computed by several threads.
//!
//! XXH3-64 is as fast as memory: it was measured at 13-15 GB/s on one thread that has the memory to itself,
//! like CRC-32C with the processor's instruction; BLAKE3 at 3.2 GB/s.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use twox_hash::XxHash3_64;

/// On the machines that were measured, two threads read as fast as memory allows. More threads help with a
/// file that is not in the page cache, on a disk that is faster with several reads at a time.
const THREADS_MAX: usize = 4;

/// Starting a thread takes about as long as the checksum of half a block.
const BLOCKS_PER_THREAD_MIN: usize = 4;

/// The size of a piece, in bytes, where bytes have to be copied: it fits into the second-level cache.
pub(crate) const PIECE_BYTES: usize = 64 << 10;

pub(super) fn of(bytes: &[u8]) -> u64 {
    XxHash3_64::oneshot(bytes)
}

/// A checksum that is computed piece by piece.
pub(crate) struct Running(XxHash3_64);

impl Running {
    pub(crate) fn new() -> Self {
        Self(XxHash3_64::new())
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        std::hash::Hasher::write(&mut self.0, bytes);
    }

    pub(crate) fn finish(&self) -> u64 {
        std::hash::Hasher::finish(&self.0)
    }
}

/// Computes the checksum of each block in parallel, and returns the checksums in order.
pub(crate) fn of_blocks<Block: Sync>(
    blocks: &[Block],
    checksum: impl Fn(&Block) -> io::Result<u64> + Sync,
) -> io::Result<Vec<u64>> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        // Relaxed: the counter only distributes numbers, and the results are passed through the joins.
        while let at = next.fetch_add(1, Relaxed)
            && let Some(block) = blocks.get(at)
        {
            done.push((at, checksum(block)?));
        }
        Ok(done)
    };
    let threads = match blocks.len() / BLOCKS_PER_THREAD_MIN {
        // Asking for the number of processors takes longer than a small file.
        0 | 1 => 1,
        useful => useful.min(THREADS_MAX).min(thread::available_parallelism().map_or(1, usize::from)),
    };
    let parts: io::Result<Vec<_>> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = others.into_iter().map(|other| other.join().expect("a checksum does not panic"));
        std::iter::once(own).chain(joined).collect()
    });
    let mut checksums = vec![0; blocks.len()];
    for (at, checksum) in parts?.into_iter().flatten() {
        checksums[at] = checksum;
    }
    Ok(checksums)
}
