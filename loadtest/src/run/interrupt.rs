//! Ctrl-C and SIGTERM: a run that is under way ends early and is reported; any other work is cancelled,
//! together with the processes of the run's own cluster. A second signal cancels a run too.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use crate::run::leftovers::Leftovers;
use crate::run::say::say;

/// Whether the program has been asked to end.
#[derive(Debug, Clone, Default)]
pub(crate) struct Interrupt(Arc<State>);

#[derive(Debug, Default)]
struct State {
    /// The token that stops the run that is under way.
    run: Mutex<Option<CancellationToken>>,
    given_up: CancellationToken,
    asked: AtomicBool,
    leftovers: Leftovers,
}

impl Interrupt {
    /// Handles signals from now on; must be called within a runtime.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        let interrupt = Self::default();
        let notified = interrupt.clone();
        let mut asked = Asked::new()?;
        tokio::spawn(async move {
            loop {
                asked.again().await;
                notified.ask();
            }
        });
        Ok(interrupt)
    }

    fn ask(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
        match self.run().take() {
            Some(stop) => {
                say("stopping; what was measured so far is reported");
                stop.cancel();
            }
            None => self.0.given_up.cancel(),
        }
    }

    /// Returns whether the program has been asked to end so far.
    pub(crate) fn is_asked(&self) -> bool {
        self.0.asked.load(Ordering::Relaxed)
    }

    /// Returns the banks that stay in the target if the program ends now.
    pub(crate) fn leftovers(&self) -> &Leftovers {
        &self.0.leftovers
    }

    /// From now on the first signal stops this run, until [`Self::run_ended`].
    pub(crate) fn run_begins(&self, stop: CancellationToken) {
        *self.run() = Some(stop);
    }

    pub(crate) fn run_ended(&self) {
        *self.run() = None;
    }

    fn run(&self) -> std::sync::MutexGuard<'_, Option<CancellationToken>> {
        self.0.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `work` and returns its result; `None` if it is cancelled, and dropped, before it ends.
    pub(crate) async fn unless_given_up<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.0.given_up.run_until_cancelled(work).await
    }
}

#[cfg(unix)]
struct Asked(tokio::signal::unix::Signal, tokio::signal::unix::Signal);

#[cfg(unix)]
impl Asked {
    fn new() -> anyhow::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self(signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?))
    }

    async fn again(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Asked;

#[cfg(not(unix))]
impl Asked {
    fn new() -> anyhow::Result<Self> {
        Ok(Self)
    }

    async fn again(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            // The signal cannot be received, so this waits without end.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_run_is_stopped_first_and_given_up_when_asked_again() {
        let interrupt = Interrupt::default();
        let stop = CancellationToken::new();
        interrupt.run_begins(stop.clone());
        interrupt.ask();
        assert!(stop.is_cancelled());
        assert_eq!(interrupt.unless_given_up(async { 7 }).await, Some(7));
        interrupt.ask();
        assert_eq!(interrupt.unless_given_up(std::future::pending::<()>()).await, None);
    }

    #[tokio::test]
    async fn what_is_no_run_is_given_up_at_once() {
        let interrupt = Interrupt::default();
        interrupt.run_begins(CancellationToken::new());
        interrupt.run_ended();
        interrupt.ask();
        assert_eq!(interrupt.unless_given_up(std::future::pending::<()>()).await, None);
    }
}
