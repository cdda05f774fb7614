//! The verdicts of a version on trial, compared with the answered verdicts.

use std::cmp::{Ordering, Reverse};

use maud::{Markup, html};
use vigie_clients::{ReadPolicy, TrialCount};

use super::verdict;
use crate::console::parts::{self, Column, Tone};
use crate::console::visit::Visit;

/// Renders the counts: differences first, and the most frequent first within each kind.
pub(super) fn table(visit: &Visit, read: &ReadPolicy) -> Markup {
    let Some(since) = read.trial_since else {
        return parts::empty(visit.t("policies.trial.nothing"));
    };
    let counts = sorted(&read.trial_counts);
    let of = |differ: bool| -> u64 {
        counts.iter().filter(|one| (one.verdict != one.trial) == differ).map(|one| one.decisions).sum()
    };
    let (differ, all) = (of(true), of(true).saturating_add(of(false)));
    let columns = [
        Column::words(visit.t("policies.trial.answered")),
        Column::words(visit.t("policies.trial.tried")),
        Column::words(visit.t("policies.trial.difference")),
        Column::number(visit.t("policies.trial.decisions")),
    ];
    let rows = counts.iter().map(|one| {
        vec![
            verdict(visit, one.verdict),
            verdict(visit, one.trial),
            difference(visit, one),
            html! { (visit.language.number(one.decisions)) },
        ]
    });
    let (number, total) = (visit.language.number(differ), visit.language.number(all));
    html! {
        p {
            (visit.fill("policies.trial.summary", &[("differ", &number), ("all", &total)]))
            " " (visit.t("policies.trial.since")) " " (parts::time(visit, since)) "."
        }
        (parts::table(visit.t("policies.trial.comparison"), &columns, rows))
        p.hint { (visit.t("policies.trial.late")) }
    }
}

fn sorted(counts: &[TrialCount]) -> Vec<TrialCount> {
    let mut counts = counts.to_vec();
    counts.sort_by_key(|one| (one.verdict == one.trial, Reverse(one.decisions), one.verdict, one.trial));
    counts
}

fn difference(visit: &Visit, one: &TrialCount) -> Markup {
    match one.trial.cmp(&one.verdict) {
        Ordering::Less => html! { span { (parts::badge(Tone::Warn, visit.t("policies.trial.milder"))) } },
        Ordering::Greater => html! { span { (parts::badge(Tone::Bad, visit.t("policies.trial.stricter"))) } },
        Ordering::Equal => html! { (visit.t("policies.trial.same")) },
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::Verdict::{Allow, Block, Review};

    use super::*;

    #[test]
    fn differences_come_first_the_most_frequent_of_them_before_others() {
        let count = |verdict, trial, decisions| TrialCount { verdict, trial, decisions };
        let (same, few, many) = (count(Allow, Allow, 900), count(Block, Review, 3), count(Allow, Review, 8));
        assert_eq!(sorted(&[same, few, many]), [many, few, same]);
    }
}
