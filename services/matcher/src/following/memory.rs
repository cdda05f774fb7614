//! How much memory the process holds.
//!
//! The resident set as the kernel counts it, which is what a limit of a container is compared with: mapped files that are
//! in memory count. Read at most once a second, however often it is asked for.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How old a figure may be.
const AGE_MAX: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    read: Mutex<Option<(Instant, u64)>>,
}

impl Memory {
    /// Bytes that the process holds; 0 where the system does not tell.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let now = Instant::now();
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        match *read {
            Some((at, bytes)) if now.duration_since(at) < AGE_MAX => bytes,
            Some(_) | None => {
                let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
                let bytes = resident(&status).unwrap_or(0);
                *read = Some((now, bytes));
                bytes
            }
        }
    }
}

/// A number that this process drew when it was first asked for. Matchers of one process answer the same, so that its memory is counted
/// once.
pub(crate) fn process_id() -> u64 {
    static DRAWN: LazyLock<u64> = LazyLock::new(|| rand::random_range(1..=u64::MAX));
    *DRAWN
}

/// `VmRSS` of `/proc/self/status` (proc_pid_status(5)). Unlike `statm` it does not count in pages of unknown size.
fn resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resident_set_is_found_among_the_other_figures() {
        let status = "Name:\tvigie\nVmHWM:\t    9000 kB\nVmRSS:\t    8192 kB\nRssAnon:\t 1 kB\n";
        assert_eq!(resident(status), Some(8192 * 1024));
        assert_eq!(resident("Name:\tvigie\n"), None);
        assert_eq!(resident("VmRSS:\tmany kB\n"), None);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test(start_paused = true)]
    async fn a_figure_is_read_again_after_a_second() {
        let memory = Memory::default();
        let first = memory.resident_bytes();
        // A test process holds more than a megabyte and less than this machine's address space.
        assert!((1 << 20..1 << 46).contains(&first), "{first}");
        let held = vec![1_u8; 64 << 20];
        assert_eq!(memory.resident_bytes(), first);
        tokio::time::advance(AGE_MAX).await;
        // Not how much more: other tests share the process.
        assert_ne!(memory.resident_bytes(), first, "{} bytes are held", held.len());
    }
}
