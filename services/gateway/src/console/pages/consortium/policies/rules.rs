//! A policy as tables: the matches that count, and the verdict of each rule.

use maud::{Markup, html};
use vigie_consortium::{BankRule, Policy, ScoreRule};
use vigie_model::MatchRatio;

use super::verdict;
use crate::console::parts::{self, Column, Tone};
use crate::console::visit::Visit;

/// Characters of a condition shown in a table. A page has at most 32 conditions, of 4,096 bytes each.
const CONDITION_SHOWN_MAX: usize = 400;

/// Renders the rules of a policy, in the order of evaluation.
pub(super) fn tables(visit: &Visit, policy: &Policy) -> Markup {
    html! {
        @if policy.banks().is_empty() {
            p { (visit.t("policies.banks.none")) }
        } @else {
            (banks(visit, policy.banks()))
        }
        (verdicts(visit, policy))
        p.hint { (visit.t("policies.rules.otherwise")) }
        @if !policy.scores().is_empty() {
            (scores(visit, policy.scores()))
            p.hint { (visit.t("policies.scores.hint")) }
        }
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
                span {
                    (rule.name())
                    @if rule.is_shadow() { " " (parts::badge(Tone::Plain, visit.t("policies.shadow"))) }
                }
            },
            html! {
                @if rule.condition().is_empty() { (visit.t("policies.rules.always")) } @else { code.condition { (clipped(rule.condition())) } }
            },
            verdict(visit, rule.verdict()),
        ]
    });
    parts::table(visit.t("policies.rules.title"), &columns, rows)
}

fn scores(visit: &Visit, rules: &[ScoreRule]) -> Markup {
    let columns = [
        "policies.scores.name",
        "policies.scores.model",
        "policies.scores.class",
        "policies.scores.threshold",
    ]
    .map(|key| Column::words(visit.t(key)));
    let threshold = |rule: &ScoreRule| match rule.at_most_one_in() {
        None => visit.t("policies.scores.own").to_owned(),
        Some(count) => {
            let count = visit.language.number(count.into());
            visit.fill("policies.scores.one_in", &[("count", &count)])
        }
    };
    let rows = rules.iter().map(|rule| {
        vec![
            html! {
                span {
                    (rule.name())
                    @if rule.is_shadow() { " " (parts::badge(Tone::Plain, visit.t("policies.shadow"))) }
                }
            },
            html! { (rule.model()) },
            html! { (rule.class()) },
            html! { (threshold(rule)) },
        ]
    });
    parts::table(visit.t("policies.scores.title"), &columns, rows)
}

fn banks(visit: &Visit, rules: &[BankRule]) -> Markup {
    let columns = ["policies.banks.bank", "policies.banks.count"].map(|key| Column::words(visit.t(key)));
    let rows = rules.iter().map(|rule| {
        vec![
            html! {
                span {
                    (rule.bank)
                    @if rule.shadow { " " (parts::badge(Tone::Plain, visit.t("policies.shadow"))) }
                }
            },
            html! { (counting(visit, rule)) },
        ]
    });
    parts::table(visit.t("policies.banks.title"), &columns, rows)
}

/// Shortens a long condition. The text below the tables has the complete condition.
fn clipped(condition: &str) -> String {
    let end = condition.char_indices().nth(CONDITION_SHOWN_MAX).map(|(at, _)| at);
    end.map_or_else(|| condition.to_owned(), |end| format!("{}…", condition.get(..end).unwrap_or_default()))
}

/// Describes the matches of a bank that count.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_condition_is_cut_between_letters() {
        assert_eq!(clipped("a"), "a");
        assert_eq!(clipped(&"é".repeat(400)), "é".repeat(400));
        assert_eq!(clipped(&"é".repeat(401)), format!("{}…", "é".repeat(400)));
    }
}
