//! Logs refused handshakes, in a bounded number of lines, so that nobody fills a disk by connecting.
//!
//! Each reason has lines of its own: many refusals of one kind do not keep another out of the log.

use std::collections::HashMap;
use std::future::Future as _;
use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};
use vigie_tls::Refused;

/// Lines for each reason in one [`WINDOW`]: enough to see what is wrong.
const LINES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// The log lines of refused handshakes.
#[derive(Debug, Default)]
pub(crate) struct RefusalLog {
    /// One for each reason at most.
    windows: HashMap<Discriminant<Refused>, Window>,
    /// When the first window ends in which a refusal was left out.
    ends: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Window {
    begun: Instant,
    lines: u32,
    left_out: u64,
    /// The last refusal that was left out.
    reason: Option<Refused>,
}

impl RefusalLog {
    pub(crate) fn add(&mut self, peer: Option<SocketAddr>, refused: Refused) {
        let peer = peer.map(tracing::field::display);
        if refused.is_a_visit() {
            tracing::debug!(peer, reason = %refused, "a connection came to nothing");
            return;
        }
        let now = Instant::now();
        self.end(now);
        let window = self.windows.entry(discriminant(&refused)).or_insert(Window {
            begun: now,
            lines: 0,
            left_out: 0,
            reason: None,
        });
        if window.lines < LINES_MAX {
            window.lines += 1;
            tracing::warn!(peer, reason = %refused, "refused a handshake");
            return;
        }
        window.left_out += 1;
        window.reason = Some(refused);
        let ends = window.begun + WINDOW;
        self.ends.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(ends)));
    }

    /// Logs how many were left out when that is due, and wakes the task then.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) {
        while let Some(ends) = &mut self.ends
            && ends.as_mut().poll(context) == Poll::Ready(())
        {
            self.ends = None;
            self.end(Instant::now());
            let next = self.windows.values().filter(|window| window.left_out > 0);
            let next = next.map(|window| window.begun + WINDOW).min();
            self.ends = next.map(|at| Box::pin(tokio::time::sleep_until(at)));
        }
    }

    /// Closes the windows whose time is over.
    fn end(&mut self, now: Instant) {
        self.windows.retain(|_, window| {
            let goes_on = now < window.begun + WINDOW;
            if !goes_on {
                window.tell();
            }
            goes_on
        });
    }
}

impl Window {
    fn tell(&self) {
        if let Some(reason) = &self.reason {
            let left_out = self.left_out;
            tracing::warn!(%reason, left_out, "refused more handshakes, which had no lines of their own");
        }
    }
}

impl Drop for RefusalLog {
    fn drop(&mut self) {
        self.windows.values().for_each(Window::tell);
    }
}

#[cfg(test)]
mod tests {
    use vigie_telemetry::CapturedLog;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_reason_has_its_lines_and_what_is_left_out_is_told_when_the_second_ends() {
        let log = CapturedLog::default();
        let lines = tracing_subscriber::fmt().with_ansi(false);
        let _here = tracing::subscriber::set_default(lines.with_writer(log.clone()).finish());
        let mut told = RefusalLog::default();
        for _ in 0..1_000 {
            told.add(None, Refused::NotTls);
        }
        told.add(None, Refused::Expired);
        assert_eq!((log.lines("does not speak TLS").len(), log.lines("has expired").len()), (10, 1));
        assert!(log.lines("left_out").is_empty());

        // Nothing more comes, and it is told all the same.
        let ended = std::future::poll_fn(|context| {
            told.poll(context);
            if log.lines("left_out").is_empty() { Poll::Pending } else { Poll::Ready(()) }
        });
        let begun = Instant::now();
        tokio::time::timeout(Duration::from_secs(5), ended).await.unwrap();
        assert!(begun.elapsed() < WINDOW + Duration::from_millis(100));
        let left_out = log.lines("left_out");
        assert_eq!(left_out.len(), 1, "{left_out:?}");
        assert!(
            left_out[0].contains("left_out=990") && left_out[0].contains("does not speak TLS"),
            "{left_out:?}"
        );

        // The next second has its own, and the end of the server keeps nothing back.
        for _ in 0..12 {
            told.add(None, Refused::NotTls);
        }
        assert_eq!(log.lines("does not speak TLS").len(), 10 + 1 + 10);
        drop(told);
        assert!(log.lines("left_out=2").len() == 1, "{:?}", log.lines("left_out"));
    }
}
