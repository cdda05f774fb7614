//! Waits for a moment, more precisely than the runtime's timers.
//!
//! Tokio's timers tick once a millisecond, which is longer than many answers take. On Linux a `timerfd` wakes
//! the same event loop with a precision of about a microsecond, without a thread of its own and without
//! spinning.

use std::time::{Duration, Instant};

/// Until a moment nearer than this the task yields instead of sleeping, since a sleep takes as long.
const NEAR: Duration = Duration::from_micros(30);

/// The most arrivals that are sent in a row without a yield. Beyond it the task yields even if the schedule
/// is behind, because answers have to be read.
const IN_A_ROW: u32 = 16;

/// Waits for a series of moments.
#[derive(Debug)]
pub(crate) struct Pace {
    timer: imp::Timer,
    in_a_row: u32,
}

impl Pace {
    /// Must be called within a runtime.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self { timer: imp::Timer::new()?, in_a_row: 0 })
    }

    /// Waits until `moment` or shortly after it, and returns the present time.
    pub(crate) async fn until(&mut self, moment: Instant) -> anyhow::Result<Instant> {
        loop {
            let now = Instant::now();
            let left = moment.saturating_duration_since(now);
            if left.is_zero() {
                self.in_a_row += 1;
                if self.in_a_row >= IN_A_ROW {
                    self.in_a_row = 0;
                    tokio::task::yield_now().await;
                }
                return Ok(now);
            }
            self.in_a_row = 0;
            if left <= NEAR {
                tokio::task::yield_now().await;
            } else {
                self.timer.sleep(left).await?;
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod imp {
    use std::io::ErrorKind;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::net::unix::pipe::Receiver;

    /// For the event loop a timer is like a pipe: a file descriptor from which eight bytes can be read when
    /// the time has come.
    #[derive(Debug)]
    pub(super) struct Timer(Receiver);

    impl Timer {
        pub(super) fn new() -> anyhow::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            Ok(Self(Receiver::from_owned_fd_unchecked(timer)?))
        }

        pub(super) async fn sleep(&self, time: Duration) -> anyhow::Result<()> {
            let nanos = i64::from(time.subsec_nanos());
            let value = Timespec { tv_sec: i64::try_from(time.as_secs())?, tv_nsec: nanos.max(1) };
            let none = Timespec { tv_sec: 0, tv_nsec: 0 };
            let spec = Itimerspec { it_interval: none, it_value: value };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &spec)?;
            loop {
                self.0.readable().await?;
                match self.0.try_read(&mut [0_u8; 8]) {
                    Ok(_) => return Ok(()),
                    Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                    Err(error) => return Err(error.into()),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod imp {
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) struct Timer;

    impl Timer {
        pub(super) fn new() -> anyhow::Result<Self> {
            Ok(Self)
        }

        pub(super) async fn sleep(&self, time: Duration) -> anyhow::Result<()> {
            tokio::time::sleep(time).await;
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn no_moment_is_waited_for_too_briefly_and_past_ones_not_at_all() {
        let mut pace = Pace::new().unwrap();
        let begin = Instant::now();
        for micros in [200, 900, 1_500, 1_501, 5_000] {
            let moment = begin + Duration::from_micros(micros);
            assert!(pace.until(moment).await.unwrap() >= moment);
        }
        for _ in 0..100 {
            pace.until(begin).await.unwrap();
        }
        assert!(begin.elapsed() >= Duration::from_millis(5));
    }

    #[tokio::test]
    async fn others_work_while_the_schedule_is_behind() {
        let mut pace = Pace::new().unwrap();
        let other = tokio::spawn(async {});
        let past = Instant::now();
        for _ in 0..3 * IN_A_ROW {
            pace.until(past).await.unwrap();
        }
        assert!(other.is_finished());
    }
}
