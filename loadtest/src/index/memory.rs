//! The memory of the process, as the kernel counts it.
//!
//! An index's own account may be incomplete; the resident set includes everything, also file pages that are
//! mapped and touched. It includes memory that the allocator keeps, which matters below about a million
//! hashes.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

/// The sampling interval: short enough to see a peak as long as a merge; a sample takes some microseconds.
const BETWEEN_SAMPLES: Duration = Duration::from_millis(20);

/// The page size in `/proc/self/statm`, in bytes, on every Linux that this project runs on.
const PAGE_BYTES: u64 = 4_096;

/// Resident bytes of the process.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Resident {
    /// All resident bytes.
    pub(crate) total: u64,
    /// The bytes that are not mapped from a file.
    pub(crate) anonymous: u64,
    /// The part of `anonymous` that is in huge pages.
    pub(crate) huge: u64,
}

impl Resident {
    /// Reads the sizes by a walk of the page tables: exact, and takes milliseconds per gigabyte.
    pub(crate) fn now() -> anyhow::Result<Self> {
        let path = "/proc/self/smaps_rollup";
        let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
        let field = |name: &str| -> anyhow::Result<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)).context(path)?;
            let kilobytes = line.trim().strip_suffix(" kB").context(path)?;
            Ok(kilobytes.trim().parse::<u64>().context(path)? * 1_024)
        };
        Ok(Self { total: field("Rss:")?, anonymous: field("Anonymous:")?, huge: field("AnonHugePages:")? })
    }

    /// Returns the increase from `before`; a decrease counts as 0.
    pub(crate) const fn since(self, before: Self) -> Self {
        Self {
            total: self.total.saturating_sub(before.total),
            anonymous: self.anonymous.saturating_sub(before.anonymous),
            huge: self.huge.saturating_sub(before.huge),
        }
    }
}

/// The resident set before `work` ran, and the largest one seen while it ran, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peak {
    pub(crate) before: u64,
    pub(crate) greatest: u64,
}

/// Runs `work` and samples the memory of the process meanwhile.
pub(crate) fn peak_during<T>(work: impl FnOnce() -> T) -> anyhow::Result<(T, Peak)> {
    let done = AtomicBool::new(false);
    let before = resident_pages()?;
    let mut peak = before;
    let outcome = std::thread::scope(|scope| {
        let sampler = scope.spawn(|| {
            let mut peak = 0;
            while !done.load(Relaxed) {
                peak = peak.max(resident_pages().unwrap_or(0));
                std::thread::sleep(BETWEEN_SAMPLES);
            }
            peak
        });
        let outcome = work();
        done.store(true, Relaxed);
        peak = peak.max(sampler.join().unwrap_or(0));
        outcome
    });
    Ok((outcome, Peak { before: before * PAGE_BYTES, greatest: peak * PAGE_BYTES }))
}

fn resident_pages() -> anyhow::Result<u64> {
    let path = "/proc/self/statm";
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.split(' ').nth(1).context(path)?.parse()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_written_to_is_counted() {
        const BYTES: usize = 128 << 20;
        let before = Resident::now().unwrap();
        let (held, peak) = peak_during(|| vec![1_u8; BYTES]).unwrap();
        let since = Resident::now().unwrap().since(before);
        // Only half of it, because other tests in this process free memory at the same time.
        assert!(since.total > BYTES as u64 / 2 && since.anonymous > BYTES as u64 / 2, "{since:?}");
        assert!(peak.greatest > BYTES as u64 / 2 && held.len() == BYTES);
    }
}
