//! The try-out of a policy: its verdict on an example, and the rule that gave it. A try-out changes nothing,
//! and no count includes it.

use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use maud::{Markup, html};
use vigie_clients::{PolicySource, TriedContent, TriedPolicy};
use vigie_consortium::Policy;
use vigie_consortium::rights::Method;

use super::file::{self, Wrong};
use super::{PATH, TRY, example, verdict, version};
use crate::console::page::{Failed, Page};
use crate::console::parts::{self, Field, Tone};
use crate::console::parts::{Entered, Refused};
use crate::console::posted::Posted;
use crate::console::visit::Visit;
use crate::v1::members::policies::objects::PolicyObject;

/// Rows of the text field.
const ROWS: u8 = 12;

/// The policy that is tried: the stored version that decides or is on trial, or a text.
enum Tried {
    Stored(u32),
    Text(PolicyObject, Policy),
}

/// The result that the page shows above the form.
#[derive(Default)]
struct Shown<'a> {
    entered: Entered<'a>,
    text: &'a str,
    wrong: Option<&'a Wrong>,
    answer: Option<&'a TriedPolicy>,
}

pub(super) async fn show(visit: Visit) -> Page {
    page(&visit, &Shown::default())
}

fn page(visit: &Visit, shown: &Shown<'_>) -> Page {
    let Shown { entered, text, wrong, answer } = shown;
    let fault = wrong.map(|wrong| version::sentence(visit, wrong)).unwrap_or_default();
    let first = if text.is_empty() { "decides" } else { "text" };
    let options = [
        ("decides", visit.t("policies.try.decides")),
        ("trial", visit.t("policies.try.trial")),
        ("text", visit.t("policies.try.text")),
    ];
    let main = html! {
        @if visit.may(Method::GetPolicy) { p { a href=(PATH) { (visit.t("policies.try.back")) } } }
        @if let Some(tried) = answer { (parts::section(visit.t("policies.try.answer"), answered(visit, tried))) }
        (parts::section(visit.t("policies.try.example"), html! {
            p { (visit.t("policies.try.what")) }
            (entered.notice(visit.t("members.refused")))
            @if let Some(wrong) = wrong { (version::at_fault(visit, wrong)) }
            (parts::form(visit, TRY, html! {
                (example::fields(visit, *entered))
                fieldset {
                    legend { (visit.t("policies.try.policy")) }
                    (parts::choice(&Field {
                        name: "which",
                        label: visit.t("policies.try.which"),
                        value: entered.value("which", first),
                        ..Field::default()
                    }, &options))
                    (parts::area(&Field {
                        name: "text",
                        label: visit.t("policies.try.own"),
                        hint: visit.t("policies.try.own_hint"),
                        value: text,
                        fault: &fault,
                        ..Field::default()
                    }, ROWS))
                }
                (parts::button(visit.t("policies.try.submit"), None))
            }))
        }))
    };
    Page::new(visit.t("policies.try.title"), main)
}

fn answered(visit: &Visit, tried: &TriedPolicy) -> Markup {
    let decision = &tried.decision;
    let mut facts = vec![(visit.t("policies.rules.verdict"), verdict(visit, decision.verdict))];
    let rule = if decision.rule.is_empty() { visit.t("policies.try.no_rule") } else { &decision.rule };
    facts.push((visit.t("policies.try.rule"), html! { (rule) }));
    if decision.policy_version > 0 {
        facts.push((visit.t("policies.try.version"), html! { (decision.policy_version) }));
    }
    if let Some(shadow) = decision.shadow_verdict {
        facts.push((visit.t("policies.try.shadow"), verdict(visit, shadow)));
    }
    html! {
        div.card role="status" {
            (parts::facts(facts))
            @if let Some(why) = &decision.failure { (parts::notice(Tone::Bad, html! { (why) })) }
            h3 { (visit.t("policies.try.trace")) }
            @if tried.trace.is_empty() {
                (parts::empty(visit.t("policies.try.no_trace")))
            } @else {
                ol { @for step in &tried.trace { li { (step) } } }
            }
        }
    }
}

/// Returns the policy that the form names.
async fn source(visit: &Visit, posted: &Posted) -> Result<Result<Tried, Wrong>, Failed> {
    match posted.field("which") {
        "text" => {
            Ok(file::read(&file::sent(posted.field("text")))
                .map(|(object, policy)| Tried::Text(object, policy)))
        }
        "trial" => {
            let read = version::versions(visit, 0).await?;
            let trial = read.shown.and_then(|read| read.trial);
            let none = || Wrong {
                sentence: visit.t("policies.try.no_trial").to_owned(),
                line: None,
                part: String::new(),
            };
            Ok(trial.map(Tried::Stored).ok_or_else(none))
        }
        _ => Ok(Ok(Tried::Stored(0))),
    }
}

/// Evaluates an example, or shows the form with the text of a policy that the person is editing.
pub(super) async fn answer(visit: Visit, posted: Posted) -> Result<Response, Failed> {
    let text = file::sent(posted.field("text"));
    let text = text.as_str();
    if posted.field("step") == "open" {
        return Ok(page(&visit, &Shown { text, ..Shown::default() }).into_response());
    }
    match attempt(&visit, &posted).await? {
        Ok(tried) => {
            let entered = Entered::kept(&posted);
            Ok(page(&visit, &Shown { entered, text, answer: Some(&tried), wrong: None }).into_response())
        }
        Err(Fault::Example(refused)) => {
            let entered = Entered::again(&posted, &refused);
            let page = page(&visit, &Shown { entered, text, ..Shown::default() });
            Ok(page.with_status(refused.status()).into_response())
        }
        Err(Fault::Policy(wrong)) => {
            let entered = Entered::kept(&posted);
            let page = page(&visit, &Shown { entered, text, wrong: Some(&wrong), ..Shown::default() });
            Ok(page.with_status(StatusCode::BAD_REQUEST).into_response())
        }
    }
}

/// The part of the form that cannot be tried.
enum Fault {
    Example(Refused),
    Policy(Wrong),
}

impl From<Refused> for Fault {
    fn from(refused: Refused) -> Self {
        Self::Example(refused)
    }
}

async fn attempt(visit: &Visit, posted: &Posted) -> Result<Result<TriedPolicy, Fault>, Failed> {
    let read = || -> Result<_, Fault> {
        let matches = example::found(visit, posted)?.into_iter().collect();
        let scores = example::scores(visit, posted)?;
        Ok(TriedContent { matches, scores, query: example::query(visit, posted)? })
    };
    let content = match read() {
        Ok(read) => read,
        Err(fault) => return Ok(Err(fault)),
    };
    let tried = match source(visit, posted).await? {
        Ok(tried) => tried,
        Err(wrong) => return Ok(Err(Fault::Policy(wrong))),
    };
    let source = match &tried {
        Tried::Stored(version) => PolicySource::Stored(*version),
        Tried::Text(_, policy) => PolicySource::Given(policy),
    };
    let policies = visit.caller.policies();
    match policies.try_policy(source, content, visit.deadline()).await {
        Ok(tried) => Ok(Ok(tried)),
        Err(error) => {
            let of_text = match &tried {
                Tried::Text(object, _) => file::refused(&file::sent(posted.field("text")), object, &error),
                Tried::Stored(_) => None,
            };
            match of_text {
                Some(wrong) => Ok(Err(Fault::Policy(wrong))),
                None => Ok(Err(Fault::Example(Refused::of_field("which", error)?))),
            }
        }
    }
}
