//! The review pages: a queue of open tasks with a tab for each kind, and a page for each task, with keyboard
//! shortcuts to decide.
//!
//! Only the person's own browser has the content: a picture that is chosen there is shown there, and never
//! sent.

mod calls;
mod settings;
mod said;
mod facts;
mod here;
pub(crate) mod opinions;
pub(crate) mod waiting;
mod probation;
mod queue;
mod deciding;
mod decision;
mod outcome;
mod dispute;

use axum::routing::get;
use vigie_consortium::rights::Method;

use crate::console::route::Route;

/// The methods of which a person needs at least one to see the queue.
const QUEUE: &[Method] = &[Method::ListDecisions, Method::ListDisputes, Method::ListMemberHolds];

pub(crate) fn routes() -> Vec<Route> {
    let settings = get(settings::show).post(settings::keep);
    let decision = get(decision::show).post(outcome::decide);
    let dispute = get(dispute::show).post(dispute::resolve);
    vec![
        Route::page("/console/review", QUEUE, get(queue::show)),
        Route::form("/console/review/settings", QUEUE, QUEUE, settings),
        Route::form(
            "/console/review/decisions/{id}",
            &[Method::GetDecision],
            &[Method::SetDecisionOutcome],
            decision,
        ),
        Route::page("/console/review/decisions/{id}/next", &[Method::ListDecisions], get(outcome::skip)),
        Route::form(
            "/console/review/disputes/{item}",
            &[Method::ListDisputes],
            &[Method::ResolveDispute],
            dispute,
        ),
    ]
}
