//! The clock of one image: its deadline and its bound of processor time.

use std::time::{Duration, Instant};

use vigie_sandbox::pipes::Clock;

/// Bounds of one exchange.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) deadline: Instant,
    pub(super) processor_time_max: Duration,
}

/// A bound that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reached {
    Deadline,
    ProcessorTime,
}

/// Processor time is read only when an image takes longer than this; nearly all have been answered by then.
const UNWATCHED: Duration = Duration::from_millis(100);
/// A process that waits, as no decoder should, is ended after this multiple of its bound of processor time.
const WAITING_FACTOR: u32 = 4;
/// The least time before a waiting process is ended, because a busy machine makes every process wait.
const WAITING_MIN: Duration = Duration::from_secs(10);
/// The step of the system's processor time.
const STEP: Duration = Duration::from_millis(10);

/// Watches one image in a process. The process has one thread, so its processor time never exceeds the time
/// that has passed.
#[derive(Debug)]
pub(super) struct Watch {
    process: u32,
    bounds: Bounds,
    begun: Instant,
    /// The process's processor time at the first reading, and the part of it that counts for this image.
    first: Option<(Duration, Duration)>,
}

impl Watch {
    pub(super) fn new(process: u32, bounds: Bounds) -> Self {
        Self { process, bounds, begun: Instant::now(), first: None }
    }

    fn unwatched(&self) -> Duration {
        UNWATCHED.min(self.bounds.processor_time_max / 2)
    }

    /// Returns the processor time of this image, at most the elapsed time.
    fn used(&mut self, passed: Duration) -> Duration {
        // If the processor time cannot be read, the elapsed time counts.
        let Some(total) = processor_time(self.process) else { return passed };
        // If this thread woke late, the time until then does not count for the image.
        let (first, unwatched) = *self.first.get_or_insert((total, passed.min(self.unwatched())));
        total.saturating_sub(first).saturating_add(unwatched).min(passed)
    }
}

impl Clock for Watch {
    type Reached = Reached;

    fn wait(&mut self) -> Result<Duration, Reached> {
        let passed = self.begun.elapsed();
        let until_deadline = self.bounds.deadline.saturating_duration_since(Instant::now());
        if until_deadline.is_zero() {
            return Err(Reached::Deadline);
        }
        if passed >= self.bounds.processor_time_max.saturating_mul(WAITING_FACTOR).max(WAITING_MIN) {
            return Err(Reached::ProcessorTime);
        }
        let left = match self.unwatched().checked_sub(passed) {
            Some(left) if !left.is_zero() => left,
            _ => self.bounds.processor_time_max.saturating_sub(self.used(passed)),
        };
        if left.is_zero() {
            return Err(Reached::ProcessorTime);
        }
        Ok(left.max(STEP).min(until_deadline))
    }
}

/// Returns the processor time of a process since its start.
#[cfg(target_os = "linux")]
fn processor_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program is in brackets, and may hold spaces and brackets; `utime` and `stime` are the
    // 12th and 13th fields after it.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    let ticks = ticks()?.checked_add(ticks()?)?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    Some(Duration::from_millis(ticks.saturating_mul(1_000) / per_second))
}

#[cfg(not(target_os = "linux"))]
fn processor_time(_: u32) -> Option<Duration> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_computes_uses_up_its_processor_time_and_one_that_waits_does_not() {
        let bounds = Bounds {
            deadline: Instant::now() + Duration::from_secs(60),
            processor_time_max: Duration::from_millis(150),
        };
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let mut idle = Watch::new(child.id(), bounds);
        let mut own = Watch::new(std::process::id(), bounds);
        while own.wait().is_ok() {
            std::hint::black_box((0..100_000_u64).sum::<u64>());
        }
        assert_eq!(own.wait(), Err(Reached::ProcessorTime));
        #[cfg(target_os = "linux")]
        assert!(idle.wait().is_ok());
        idle.bounds.deadline = Instant::now();
        assert_eq!(idle.wait(), Err(Reached::Deadline));
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// A process that has waited for long enough is ended, whatever its processor time, and not sooner.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_that_waits_is_ended_after_some_time() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let has_ended_after = |passed: Duration, processor_time_max: Duration| {
            let deadline = Instant::now() + Duration::from_secs(600);
            let mut watch = Watch::new(child.id(), Bounds { deadline, processor_time_max });
            watch.begun = Instant::now().checked_sub(passed).unwrap();
            watch.wait() == Err(Reached::ProcessorTime)
        };
        let (short, long) = (Duration::from_millis(200), Duration::from_secs(5));
        assert!(!has_ended_after(WAITING_MIN / 2, short));
        assert!(has_ended_after(WAITING_MIN, short));
        assert!(!has_ended_after(WAITING_MIN, long));
        assert!(has_ended_after(long * WAITING_FACTOR, long));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
