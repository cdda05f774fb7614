//! The classifiers' scores of a picture in plain words, as likelihoods and never as verdicts.

use maud::{Markup, html};
use vigie_model::{ClassScore, Classification, ScoreFailureKind};

use crate::console::parts::{self, Tone};
use crate::console::visit::Visit;

/// Renders the results of all classifiers; empty if none was asked.
pub(super) fn classified(visit: &Visit, classifications: &[Classification]) -> Markup {
    html! {
        @if !classifications.is_empty() {
            h4 { (visit.t("check.classified.title")) }
            p.hint { (visit.t("check.classified.hint")) }
            ul {
                @for one in classifications {
                    li {
                        (visit.fill("check.classified.model", &[("model", &one.model), ("version", &one.version)]))
                        (said(visit, one))
                    }
                }
            }
        }
    }
}

fn said(visit: &Visit, one: &Classification) -> Markup {
    match &one.unavailable {
        Some(failure) => html! { p { (visit.t(reason(failure.kind))) } },
        None if one.is_shadow => html! { p { (visit.t("check.classified.shadow")) } },
        None => html! { ul { @for score in &one.scores { li { (sentence(visit, score)) } } } },
    }
}

/// Renders a score as a sentence.
fn sentence(visit: &Visit, score: &ClassScore) -> Markup {
    let number = |number: f32| visit.language.decimal(&format!("{number:.3}"));
    let (class, shown) = (&score.class, number(score.score));
    let Some(of) = score.threshold else {
        return html! { (visit.fill("check.classified.plain", &[("class", class), ("score", &shown)])) };
    };
    let key = if score.is_above() { "check.classified.above" } else { "check.classified.below" };
    let one_in = visit.language.number(of.at_most_one_in);
    let threshold = number(of.threshold);
    let words = visit
        .fill(key, &[("class", class), ("score", &shown), ("threshold", &threshold), ("one_in", &one_in)]);
    html! {
        @if score.is_above() { (parts::badge(Tone::Warn, visit.t("check.classified.look"))) " " }
        (words)
    }
}

const fn reason(kind: ScoreFailureKind) -> &'static str {
    match kind {
        ScoreFailureKind::UnknownModel => "check.classified.unknown_model",
        ScoreFailureKind::OtherVersion => "check.classified.other_version",
        ScoreFailureKind::NotServed => "check.classified.not_served",
        ScoreFailureKind::Content => "check.classified.content",
        ScoreFailureKind::Busy => "check.classified.busy",
        ScoreFailureKind::OutOfTime => "check.classified.out_of_time",
        ScoreFailureKind::Failed => "check.classified.failed",
        ScoreFailureKind::Away => "check.classified.away",
    }
}
