//! The policy of the person's member: how matches become verdicts, a version on trial beside it, and a
//! try-out on an example.
//!
//! Reading order: `file` (a policy as text, in the command line's format), `rules` (a policy as tables),
//! `version` (the page), `editing` (its forms), `comparison` (verdicts of a trial beside the answered ones),
//! `example` and `trying` (the try-out).

mod file;
mod rules;
mod version;
mod editing;
mod comparison;
mod example;
mod trying;

use axum::routing::get;
use maud::{Markup, html};
use vigie_consortium::rights::Method;
use vigie_model::Verdict;

use crate::console::parts::{self, Tone};
use crate::console::route::Route;
use crate::console::visit::Visit;

/// The path of the page.
const PATH: &str = "/console/policy";
/// The path of the form that ends a trial.
const TRIAL: &str = "/console/policy/trial";
/// The path of the try-out.
const TRY: &str = "/console/policy/try";

pub(crate) fn routes() -> Vec<Route> {
    const READ: &[Method] = &[Method::GetPolicy];
    const SET: &[Method] = &[Method::SetPolicy];
    const TRIED: &[Method] = &[Method::TryPolicy];
    vec![
        Route::form(PATH, READ, SET, get(version::show).post(editing::set)),
        Route::form(TRIAL, READ, SET, get(version::back).post(editing::end_trial)),
        Route::form(TRY, TRIED, TRIED, get(trying::show).post(trying::answer)),
    ]
}

/// Renders a verdict as a badge with its meaning.
fn verdict(visit: &Visit, verdict: Verdict) -> Markup {
    let tone = match verdict {
        Verdict::Allow => Tone::Good,
        Verdict::Log => Tone::Plain,
        Verdict::Review => Tone::Warn,
        Verdict::Block | Verdict::Escalate => Tone::Bad,
    };
    let meaning = visit.t(&format!("policies.verdict.{}", verdict.name()));
    html! { span { (parts::badge(tone, verdict.name())) " " (meaning) } }
}
