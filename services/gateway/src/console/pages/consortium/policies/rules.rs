//! A policy as tables: which matches count, and which rule gives which verdict.

use maud::{Markup, html};
use vigie_consortium::{BankRule, Policy};
use vigie_model::MatchRatio;

use super::verdict;
use crate::console::parts::{self, Column, Tone};
use crate::console::visit::Visit;

/// The rules of a policy, in the order in which they are asked.
pub(super) fn tables(visit: &Visit, policy: &Policy) -> Markup {
    html! {
        @if policy.banks().is_empty() {
            p { (visit.t("policies.banks.none")) }
        } @else {
            (banks(visit, policy.banks()))
        }
        (verdicts(visit, policy))
        p.hint { (visit.t("policies.rules.otherwise")) }
    }
}

fn verdicts(visit: &Visit, policy: &Policy) -> Markup {
    let columns = [
        Column::number(visit.t("policies.rules.order")),
        Column::words(visit.t("policies.rules.name")),
        Column::words(visit.t("policies.rules.when")),
        Column::words(visit.t("policies.rules.verdict")),
    ];
    let rows = policy.rules().iter().enumerate().map(|(at, rule)| {
        vec![
            html! { (at + 1) },
            html! {
                (rule.name())
                @if rule.is_shadow() { " " (parts::badge(Tone::Plain, visit.t("policies.shadow"))) }
            },
            html! {
                @if rule.condition().is_empty() { (visit.t("policies.rules.always")) } @else { code.condition { (rule.condition()) } }
            },
            verdict(visit, rule.verdict()),
        ]
    });
    parts::table(visit.t("policies.rules.title"), &columns, rows)
}

fn banks(visit: &Visit, rules: &[BankRule]) -> Markup {
    let columns = ["policies.banks.bank", "policies.banks.count"].map(|key| Column::words(visit.t(key)));
    let rows = rules.iter().map(|rule| {
        vec![
            html! {
                (rule.bank)
                @if rule.shadow { " " (parts::badge(Tone::Plain, visit.t("policies.shadow"))) }
            },
            html! { (counting(visit, rule)) },
        ]
    });
    parts::table(visit.t("policies.banks.title"), &columns, rows)
}

/// Which matches of a bank count, in words.
fn counting(visit: &Visit, rule: &BankRule) -> String {
    if rule.ignored {
        return visit.t("policies.banks.ignored").to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    if let Some(distance) = rule.max_distance {
        words.push(visit.fill("policies.banks.max_distance", &[("distance", &distance)]));
    }
    if rule.positives_min > 0 {
        words.push(visit.count("policies.banks.positives", rule.positives_min.into()));
    }
    if rule.ignore_disputed {
        words.push(visit.t("policies.banks.ignore_disputed").to_owned());
    }
    if rule.ratio != MatchRatio::ALWAYS {
        words.push(visit.fill("policies.banks.ratio", &[("ratio", &rule.ratio.get())]));
    }
    if words.is_empty() { visit.t("policies.banks.all").to_owned() } else { words.join(" · ") }
}
