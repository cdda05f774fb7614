//! Reports calls that take long, for a person who waits for a command.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

/// A call that has not ended yet.
#[derive(Debug)]
pub struct Wait<'a> {
    /// The name of the service, as in errors.
    pub service: &'static str,
    /// The endpoint of the current attempt.
    pub endpoint: &'a str,
    /// The time until the call is given up.
    pub left: Duration,
    /// The failure of the previous attempt, with its causes; `None` during the first attempt.
    pub failure: Option<String>,
}

/// Reports each call that takes longer than a period, once in each period.
#[derive(Clone)]
pub struct Notice {
    every: Duration,
    report: Arc<dyn Fn(&Wait<'_>) + Send + Sync>,
}

impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Notice").field("every", &self.every).finish_non_exhaustive()
    }
}

impl Notice {
    /// Calls `report` once in each period of `every`, for each call that has not ended.
    #[must_use]
    pub fn new(every: Duration, report: impl Fn(&Wait<'_>) + Send + Sync + 'static) -> Self {
        Self { every, report: Arc::new(report) }
    }

    /// Waits for `call`. Reports it with the result of `wait` while it has not ended.
    pub(crate) async fn over<'a, F: Future>(&self, call: F, wait: impl Fn() -> Wait<'a>) -> F::Output {
        let mut call = pin!(call);
        loop {
            match tokio::time::timeout(self.every, &mut call).await {
                Ok(ended) => return ended,
                Err(_) => (self.report)(&wait()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_call_is_reported_once_in_each_period_until_it_ends() {
        let reported = Arc::new(Mutex::new(0));
        let count = Arc::clone(&reported);
        let notice = Notice::new(Duration::from_secs(1), move |wait| {
            assert_eq!(wait.endpoint, "http://a");
            *count.lock().unwrap() += 1;
        });
        let wait = || Wait { service: "bank", endpoint: "http://a", left: Duration::ZERO, failure: None };
        for (takes_ms, expected) in [(900, 0), (3_500, 3)] {
            *reported.lock().unwrap() = 0;
            notice.over(tokio::time::sleep(Duration::from_millis(takes_ms)), wait).await;
            assert_eq!(*reported.lock().unwrap(), expected);
        }
    }
}
