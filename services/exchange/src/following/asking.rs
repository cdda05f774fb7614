//! Sends a request to a programme until its answer is accepted, or until the attempts are used up.

use std::time::Duration;

use super::alarm::{Alarm, Failure};
use crate::asking::fetch::Fetch;
use crate::asking::pacing::{Attempts, Patience, Verdict};
use crate::asking::request::{Request, Response};
use crate::sources::Trouble;

/// Reasons why an answer is not accepted.
#[derive(Debug)]
pub(crate) enum Untaken {
    /// The answer cannot be used. Another one may be better if this one was damaged on its way.
    Trouble(Trouble),
    /// The same request may succeed later.
    Later,
    /// A problem for a person.
    Alarm(Alarm),
}

/// The reason why the last attempt failed.
enum Reason {
    Trouble(Trouble),
    Status(u16),
    Connection(String),
}

/// Sends a request until `take` accepts its answer. Adds the attempts after the first to `retries`.
pub(crate) async fn ask<F: Fetch, T>(
    fetch: &F,
    patience: Patience,
    request: &Request,
    retries: &mut u64,
    mut take: impl FnMut(&Response) -> Result<T, Untaken>,
) -> Result<T, Failure> {
    let mut attempts = Attempts::new(patience);
    loop {
        let (reason, retry_after): (Reason, Option<Duration>) = match fetch.fetch(request).await {
            Ok(answer) => match take(&answer) {
                Ok(taken) => return Ok(taken),
                Err(Untaken::Trouble(trouble)) if trouble.is_passing() => {
                    (Reason::Trouble(trouble), answer.retry_after)
                }
                Err(Untaken::Trouble(trouble)) => return Err(Alarm::Trouble(trouble).into()),
                Err(Untaken::Later) => (Reason::Status(answer.status), answer.retry_after),
                Err(Untaken::Alarm(alarm)) => return Err(alarm.into()),
            },
            Err(error) if error.is_passing() => (Reason::Connection(error.to_string()), None),
            Err(error) => return Err(Alarm::Fetch(error).into()),
        };
        match attempts.failed(retry_after) {
            Verdict::After(pause) => {
                *retries += 1;
                tokio::time::sleep(pause).await;
            }
            Verdict::GiveUp(asked) => {
                return Err(match reason {
                    // The answer will stay the same: a person has to look at it, and nothing is skipped.
                    Reason::Trouble(trouble) => Alarm::Trouble(trouble).into(),
                    Reason::Status(status) => {
                        Failure::Passing(format!("the programme answers with status {status}"), asked)
                    }
                    Reason::Connection(text) => Failure::Passing(text, asked),
                });
            }
        }
    }
}
