//! Requests to stop: SIGTERM, which orchestrators send, and SIGINT, which Ctrl-C sends.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The message of a command that adds items, at the first request to stop.
pub(crate) const STOPPING: &str =
    "stopping when what is on its way is acknowledged; Ctrl-C again stops at once";

/// Receives requests to stop. A request that arrives between two waits is not lost.
#[derive(Debug)]
pub(crate) struct StopRequests {
    /// If this is `None`, the signals end the process as usual.
    signals: Option<(Signal, Signal)>,
}

impl StopRequests {
    /// Starts to receive requests. Must be called within a runtime.
    pub(crate) fn listen() -> Self {
        let signals = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
        Self {
            signals: if let (Ok(terminate), Ok(interrupt)) = signals {
                Some((terminate, interrupt))
            } else {
                None
            },
        }
    }

    /// Waits for the next request.
    pub(crate) async fn next(&mut self) {
        match &mut self.signals {
            Some((terminate, interrupt)) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[tokio::test]
    async fn a_request_between_two_waits_is_not_lost() {
        let mut stop = StopRequests::listen();
        // This wait ends for another reason, as it does when a cluster becomes ready.
        tokio::select! {
            biased;
            () = std::future::ready(()) => {}
            () = stop.next() => panic!("nobody has asked"),
        }
        let sent = Command::new("kill").args(["-INT", &std::process::id().to_string()]).status().unwrap();
        assert!(sent.success());
        stop.next().await;
    }
}
