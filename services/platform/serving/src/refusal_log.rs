//! Logs refusals, in a bounded number of lines, so that nobody can fill a disk by connecting.
//!
//! Each reason has its own lines: many refusals of one kind do not keep another kind out of the log.

use std::collections::HashMap;
use std::io;
use std::mem::{Discriminant, discriminant};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::Instant;
use vigie_tls::Refused;

/// The most lines for each reason in one [`WINDOW`]: enough to see what is wrong.
const LINES_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// The reasons for which a server refuses or ends something. Each names its limit.
#[derive(Debug, Error)]
pub(crate) enum Reason {
    #[error(transparent)]
    Handshake(#[from] Refused),
    #[error("the server has {max} connections, its limit (connections_max)")]
    Connections { max: usize },
    #[error("its host has {max} connections, the limit of one host (connections_per_host_max)")]
    ConnectionsOfHost { max: usize },
    #[error("the client {name} has {max} connections, the limit of one name (connections_per_identity_max)")]
    ConnectionsOfIdentity { name: Arc<str>, max: usize },
    #[error("the system returned an error: {0}")]
    Accept(io::Error),
    #[error("{arrived} bytes of its body arrived in {seconds:.1} s; the lowest rate is {rate_min} bytes/s")]
    Slow { arrived: usize, seconds: f64, rate_min: u32 },
    #[error("the server has {max} {what}, its limit")]
    Streams { what: &'static str, max: usize },
    #[error("its client has {max} {what}, the limit of one client")]
    StreamsOfClient { what: &'static str, max: usize },
}

impl Reason {
    /// Returns the log message, which names what was refused.
    const fn message(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "refused a handshake",
            Self::Connections { .. }
            | Self::ConnectionsOfHost { .. }
            | Self::ConnectionsOfIdentity { .. } => "refused a connection",
            Self::Accept(_) => "cannot accept connections",
            Self::Slow { .. } => "ended a call",
            Self::Streams { .. } | Self::StreamsOfClient { .. } => "refused a stream",
        }
    }

    fn kind(&self) -> Kind {
        let handshake = if let Self::Handshake(refused) = self { Some(discriminant(refused)) } else { None };
        (discriminant(self), handshake)
    }
}

type Kind = (Discriminant<Reason>, Option<Discriminant<Refused>>);

/// The log of refusals. Clones share the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefusalLog {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    windows: Mutex<Windows>,
    /// Notified when a refusal was left out.
    left_out: Notify,
}

/// The current window of each reason.
#[derive(Debug, Default)]
struct Windows(HashMap<Kind, Window>);

#[derive(Debug)]
struct Window {
    begun: Instant,
    lines: u32,
    left_out: u64,
    /// The last refusal that was left out.
    last: Option<(Option<SocketAddr>, Reason)>,
}

impl RefusalLog {
    pub(crate) fn add(&self, peer: Option<SocketAddr>, reason: impl Into<Reason>) {
        let reason = reason.into();
        if let Reason::Handshake(refused) = &reason
            && refused.is_a_visit()
        {
            let peer = peer.map(tracing::field::display);
            tracing::debug!(peer, %reason, "a connection ended during its handshake");
            return;
        }
        let now = Instant::now();
        let mut windows = self.lock();
        windows.end(now);
        let window = windows.0.entry(reason.kind()).or_insert(Window {
            begun: now,
            lines: 0,
            left_out: 0,
            last: None,
        });
        if window.lines < LINES_MAX {
            window.lines += 1;
            let peer = peer.map(tracing::field::display);
            tracing::warn!(peer, %reason, "{}", reason.message());
            return;
        }
        if window.left_out == 0 {
            self.inner.left_out.notify_one();
        }
        window.left_out += 1;
        window.last = Some((peer, reason));
    }

    /// Logs how many refusals were left out when their window ends, for as long as this is polled.
    pub(crate) async fn log_left_out(&self) {
        loop {
            self.inner.left_out.notified().await;
            // A refusal of another window that is left out meanwhile notifies once more.
            tokio::time::sleep(WINDOW).await;
            self.lock().end(Instant::now());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Windows> {
        self.inner.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Windows {
    /// Closes the windows whose time is over.
    fn end(&mut self, now: Instant) {
        self.0.retain(|_, window| {
            let goes_on = now < window.begun + WINDOW;
            if !goes_on {
                window.log();
            }
            goes_on
        });
    }
}

impl Window {
    fn log(&self) {
        if let Some((peer, reason)) = &self.last {
            let (left_out, peer) = (self.left_out, peer.map(tracing::field::display));
            tracing::warn!(peer, %reason, left_out, "{}, and others that are not logged one by one", reason.message());
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        self.0.values().for_each(Window::log);
    }
}

#[cfg(test)]
mod tests {
    use vigie_telemetry::CapturedLog;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn each_reason_has_its_lines_and_what_is_left_out_is_logged_when_the_second_ends() {
        let log = CapturedLog::default();
        let lines = tracing_subscriber::fmt().with_ansi(false);
        let _here = tracing::subscriber::set_default(lines.with_writer(log.clone()).finish());
        let refusals = RefusalLog::default();
        for _ in 0..1_000 {
            refusals.add(None, Refused::NotTls);
        }
        refusals.add(None, Refused::Expired);
        refusals.add(Some(([192, 0, 2, 1], 7).into()), Reason::ConnectionsOfHost { max: 3 });
        assert_eq!((log.lines("does not speak TLS").len(), log.lines("has expired").len()), (10, 1));
        let of_host = log.lines("refused a connection");
        assert!(of_host.len() == 1 && of_host[0].contains("its host has 3 connections"), "{of_host:?}");
        assert!(of_host[0].contains("peer=192.0.2.1:7"), "{of_host:?}");
        assert!(log.lines("left_out").is_empty());

        // No further refusal comes, and the number is logged all the same.
        let begun = Instant::now();
        let ended = async {
            while log.lines("left_out").is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::select! {
            () = ended => {}
            () = refusals.log_left_out() => {}
            () = tokio::time::sleep(Duration::from_secs(5)) => panic!("left-out refusals are not logged"),
        }
        assert!(begun.elapsed() < WINDOW + Duration::from_millis(100));
        let left_out = log.lines("left_out");
        assert_eq!(left_out.len(), 1, "{left_out:?}");
        assert!(
            left_out[0].contains("left_out=990") && left_out[0].contains("does not speak TLS"),
            "{left_out:?}"
        );

        // The next window has its own lines, and the end of the server logs what is left.
        for _ in 0..12 {
            refusals.add(None, Refused::NotTls);
        }
        assert_eq!(log.lines("does not speak TLS").len(), 10 + 1 + 10);
        drop(refusals);
        assert!(log.lines("left_out=2").len() == 1, "{:?}", log.lines("left_out"));
    }
}
