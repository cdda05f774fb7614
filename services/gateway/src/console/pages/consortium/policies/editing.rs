//! The forms of the policy: a new version that decides or is on trial, and the end of a trial.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use vigie_clients::{CallError, PolicySource, Written};

use super::PATH;
use super::file::{self, Wrong};
use super::version::{self, Again};
use crate::console::page::{Done, Failed};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::problem::Problem;

/// Returns the newest version that the person has seen; `None` if there was none.
fn expected(posted: &Posted) -> Result<Option<u32>, Failed> {
    match posted.field("expected") {
        "" => Ok(None),
        _ => Ok(Some(posted.number("expected")?)),
    }
}

pub(super) async fn set(visit: Visit, posted: Posted) -> Result<Response, Failed> {
    let is_trial = posted.field("how") == "trial";
    let text = file::sent(posted.field("text"));
    let wrong = match file::read(&text) {
        Err(wrong) => wrong,
        Ok((object, policy)) => {
            let source = PolicySource::Given(&policy);
            let policies = visit.caller.policies();
            let (expected, once) = (expected(&posted)?, posted.once());
            match policies.set_policy(source, expected, is_trial, once, visit.deadline()).await {
                Ok(set) => {
                    return Ok(done(&visit, &set, if is_trial { "policy.tried" } else { "policy.decides" }));
                }
                Err(error) => match file::refused(&text, &object, &error) {
                    Some(wrong) => wrong,
                    None => otherwise(error)?,
                },
            }
        }
    };
    let versions = version::versions(&visit, 0).await?;
    let page = version::page(&visit, &versions, Some(Again { text: &text, wrong: &wrong }));
    Ok(page.with_status(StatusCode::BAD_REQUEST).into_response())
}

/// Converts an error that concerns the whole form, such as a page older than the newest version.
fn otherwise(error: CallError) -> Result<Wrong, Failed> {
    let problem = Problem::from(error);
    match problem.status {
        StatusCode::BAD_REQUEST | StatusCode::CONFLICT => {
            Ok(Wrong { sentence: problem.message, line: None, part: String::new() })
        }
        _ => Err(problem.into()),
    }
}

fn done(visit: &Visit, set: &Written<u32>, key: &str) -> Response {
    visit.wrote(set.sequence);
    Done::saying(PATH, key, &[]).into_response()
}

/// Ends a trial: the deciding version stays, or the version on trial replaces it. Either outcome is a new
/// version.
pub(super) async fn end_trial(visit: Visit, posted: Posted) -> Result<Response, Failed> {
    let read = visit.caller.policies().get_policy(0, visit.deadline()).await?.value;
    let (version, key) = match posted.field("step") {
        "decide" => (read.trial, "policy.trial_decides"),
        "stop" => (read.trial.and(read.current), "policy.trial_ended"),
        _ => return Err(Problem::field("step", "is decide or stop").into()),
    };
    let Some(version) = version else {
        return Ok(Done::saying(PATH, "policy.no_trial", &[]).into_response());
    };
    let source = PolicySource::Stored(version);
    let policies = visit.caller.policies();
    let set = policies.set_policy(source, expected(&posted)?, false, posted.once(), visit.deadline()).await?;
    Ok(done(&visit, &set, key))
}
