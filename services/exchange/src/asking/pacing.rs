//! Decides when a request is repeated.

use std::time::Duration;

use vigie_net::retry::Backoff;

/// The limits of repeated attempts at one request.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// The most attempts after the first.
    pub retries_max: u32,
    /// The bound of the first pause. It doubles with each further pause.
    pub pause_first: Duration,
    /// The longest pause, even if a server requests a longer one. In that case the request is left until the
    /// next round.
    pub pause_max: Duration,
}

/// The attempts at one request.
#[derive(Debug)]
pub(crate) struct Attempts {
    patience: Patience,
    left: u32,
    backoff: Backoff,
}

/// The decision after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Another attempt after this pause.
    After(Duration),
    /// No further attempt. The pause is the one that the server requested, if it did.
    GiveUp(Option<Duration>),
}

impl Attempts {
    pub(crate) const fn new(patience: Patience) -> Self {
        let backoff = Backoff::new(patience.pause_first, patience.pause_max);
        Self { patience, left: patience.retries_max, backoff }
    }

    /// Decides after a failed attempt. `retry_after` is the pause that the server requested, if it did.
    pub(crate) fn failed(&mut self, retry_after: Option<Duration>) -> Verdict {
        let too_long = retry_after.filter(|pause| *pause > self.patience.pause_max);
        if too_long.is_some() || self.left == 0 {
            return Verdict::GiveUp(retry_after);
        }
        self.left -= 1;
        let pause = self.backoff.next_pause();
        // A pause that the server requests is respected, and lengthened at random, so that callers do not
        // return at the same time.
        Verdict::After(retry_after.map_or(pause, |asked| (asked + pause / 4).min(self.patience.pause_max)))
    }
}

/// Returns whether an answer with this status means that the same request may succeed a little later.
pub(crate) const fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_bounded_and_the_servers_pause_is_kept() {
        let second = Duration::from_secs(1);
        let patience = Patience { retries_max: 3, pause_first: second, pause_max: 60 * second };
        let mut attempts = Attempts::new(patience);
        let pause = |verdict| match verdict {
            Verdict::After(pause) => pause,
            Verdict::GiveUp(_) => panic!("given up"),
        };
        assert!(pause(attempts.failed(None)) <= second);
        assert!(pause(attempts.failed(Some(20 * second))) >= 20 * second);
        assert!(pause(attempts.failed(None)) <= 4 * second);
        assert_eq!(attempts.failed(None), Verdict::GiveUp(None));
        let mut attempts = Attempts::new(patience);
        assert_eq!(attempts.failed(Some(61 * second)), Verdict::GiveUp(Some(61 * second)));
    }
}
