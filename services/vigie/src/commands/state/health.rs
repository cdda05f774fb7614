//! `vigie health`: reports by its exit code whether a role is ready.

use std::time::Duration;

use serde::Serialize;
use vigie_telemetry::{AskError, Readiness, ask};

use crate::cli::HealthArgs;
use crate::output::{ErrorLine, Exit, Output, sentence};

/// The line that `--json` prints.
#[derive(Debug, Serialize)]
struct HealthLine<'a> {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// Further remarks of the process.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    remarks: &'a [String],
}

/// Prints whether the role is ready, and the reason if not.
pub(crate) async fn run(args: &HealthArgs, output: &mut Output) -> anyhow::Result<Exit> {
    let (exit, reason, remarks) = match ask(&args.url, Duration::from_millis(args.timeout_ms)).await {
        Ok(Readiness::Ready(remarks)) => (Exit::Done, None, remarks),
        Ok(Readiness::Unready(reason)) => (Exit::Failed, Some(reason), Vec::new()),
        Err(error @ (AskError::Address(_) | AskError::NoProbe(..))) => return Err(error.into()),
        Err(
            error
            @ (AskError::TooLate(_) | AskError::Connect(..) | AskError::Http(..) | AskError::Answer(..)),
        ) => {
            let message = sentence(&error.into());
            output.note(format!("vigie: {message}"));
            let code = "unavailable".to_owned();
            output.object(&serde_json::json!({ "error": ErrorLine { code, message } }))?;
            return Ok(Exit::Unavailable);
        }
    };
    output.say(reason.as_deref().map_or("ready".to_owned(), |reason| format!("not ready: {reason}")))?;
    for remark in &remarks {
        output.say(remark)?;
    }
    output.object(&HealthLine { ready: reason.is_none(), reason: reason.as_deref(), remarks: &remarks })?;
    Ok(exit)
}
