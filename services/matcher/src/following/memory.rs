//! The memory that the process uses.
//!
//! This is the resident set as the kernel counts it, which a container's limit is compared with; it includes
//! the resident pages of mapped files. It is read at most once a second, however often it is requested.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// The greatest age of a returned value.
const AGE_MAX: Duration = Duration::from_secs(1);

/// The resident memory of the process, with a cached value.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    read: Mutex<Option<(Instant, u64)>>,
}

impl Memory {
    /// Returns the resident bytes of the process; 0 if the system does not report them.
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

/// Returns a random number that this process drew at the first call. Matchers of one process return the same
/// number, so that their memory is counted once.
pub(crate) fn process_id() -> u64 {
    static DRAWN: LazyLock<u64> = LazyLock::new(|| rand::random_range(1..=u64::MAX));
    *DRAWN
}

/// Returns `VmRSS` of `/proc/self/status` (proc_pid_status(5)), in bytes. `statm`, in contrast, counts pages
/// of unknown size.
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
        // A test process uses more than a megabyte and less than this machine's address space.
        assert!((1 << 20..1 << 46).contains(&first), "{first}");
        let held = vec![1_u8; 64 << 20];
        assert_eq!(memory.resident_bytes(), first);
        tokio::time::advance(AGE_MAX).await;
        // The difference is not checked, because other tests share the process.
        assert_ne!(memory.resident_bytes(), first, "{} bytes are held", held.len());
    }
}
