//! Statistics as tables.

use std::cell::Cell;

use maud::{Markup, html};
use serde_json::Value;

use crate::console::pages::cases::reports::numbers::{Measured, Numbers, Part, Published};
use crate::console::parts::{self, Column};
use crate::console::visit::Visit;

/// The most rows of parts on a page, which keep it below 200 KB. The files have all rows.
const ROWS_MAX: usize = 300;

/// The shown parts of a total, each with its number.
type Shown = Vec<(String, Option<u64>)>;

/// The tables of a page, and the number of rows still allowed for parts.
struct Tables<'a> {
    visit: &'a Visit,
    rows_left: Cell<usize>,
}

/// The tables.
pub(super) fn tables(visit: &Visit, numbers: &Numbers) -> Markup {
    let tables = Tables { visit, rows_left: Cell::new(ROWS_MAX) };
    let suppressed =
        [("threshold", &numbers.threshold as &dyn std::fmt::Display), ("members", &numbers.members_min)];
    let heading = match &numbers.own_member {
        Some(member) => visit.fill("reports.own", &[("member", member)]),
        None => visit.t("reports.across").to_owned(),
    };
    html! {
        (parts::section(&heading, tables.measures(numbers, numbers.shown(), visit.t("reports.caption_own"))))
        @if !numbers.others().is_empty() {
            (parts::section(visit.t("reports.across"), html! {
                p { (visit.count("reports.members", numbers.members)) " " (visit.fill("reports.suppressed", &suppressed)) }
                (tables.measures(numbers, numbers.others(), visit.t("reports.caption_across")))
            }))
        } @else {
            p { (visit.fill("reports.suppressed", &suppressed)) }
        }
        (tables.precisions(numbers))
        (tables.latencies(numbers))
        (tables.published(&numbers.reports))
        @if tables.rows_left.get() == 0 { p { (visit.t("reports.cut")) } }
    }
}

impl Tables<'_> {
    fn number(&self, number: Option<u64>) -> Markup {
        html! {
            @match number {
                Some(number) => (self.visit.language.number(number)),
                None => span.hint { (self.visit.t("reports.not_shown")) },
            }
        }
    }

    /// The label of a measure.
    fn measure(&self, name: &str) -> String {
        let key = format!("reports.measure.{name}");
        if self.visit.language.has(&key) { self.visit.t(&key).to_owned() } else { name.to_owned() }
    }

    /// The counts of the period, with their parts.
    fn measures(&self, numbers: &Numbers, measured: &[Measured], caption: &str) -> Markup {
        let visit = self.visit;
        let any: Vec<&Measured> = measured.iter().filter(|one| one.is_any()).collect();
        if any.is_empty() {
            return parts::empty(visit.t("reports.nothing"));
        }
        let mut columns =
            vec![Column::words(visit.t("reports.what")), Column::number(visit.t("reports.total"))];
        let is_several = numbers.months.len() > 1;
        let months = if is_several && numbers.months.len() <= 12 { &numbers.months[..] } else { &[] };
        columns.extend(months.iter().map(|month| Column::number(month)));
        columns.push(Column::number(visit.t("reports.to_date")));
        let row = |one: &&Measured| {
            let mut cells = vec![html! { (self.measure(&one.measure)) }, self.number(one.total)];
            cells.extend(months.iter().zip(&one.by_month).map(|(_, number)| self.number(*number)));
            cells.push(self.number(Some(one.cumulative)));
            cells
        };
        html! {
            (parts::table(caption, &columns, any.iter().map(row)))
            @for one in &any { (self.parts_of(one)) }
        }
    }

    /// The parts of a total; empty if they repeat the total.
    fn parts_of(&self, one: &Measured) -> Markup {
        let visit = self.visit;
        let members: Vec<Part> =
            one.by_member.iter().map(|row| Part { name: row.member.clone(), count: row.total }).collect();
        let lists = [
            (visit.t("reports.by_member"), &members),
            (visit.t("reports.by_bank"), &one.by_bank),
            (visit.t("reports.by_class"), &one.by_class),
            (visit.t("reports.by_verdict"), &one.by_verdict),
        ];
        let shown = |parts: &'_ Vec<Part>| -> Shown {
            let any: Shown = parts
                .iter()
                .filter(|part| part.count.is_some_and(|count| count > 0))
                .map(|part| (part.name.clone(), part.count))
                .collect();
            // A single part equal to the total only repeats it.
            if any.len() == 1 && any[0].1 == one.total { Vec::new() } else { any }
        };
        let lists: Vec<(&str, Shown)> = lists
            .into_iter()
            .map(|(heading, parts)| (heading, shown(parts)))
            .filter(|(_, parts)| !parts.is_empty())
            .collect();
        html! {
            @if !lists.is_empty() {
                details {
                    summary { (self.measure(&one.measure)) }
                    @for (heading, parts) in lists {
                        @let rows = self.take(parts.len());
                        @let caption = format!("{}: {heading}", self.measure(&one.measure));
                        (parts::table(
                            &caption,
                            &[Column::words(heading), Column::number(visit.t("reports.total"))],
                            parts.into_iter().take(rows).map(|(name, count)| vec![html! { (name) }, self.number(count)]),
                        ))
                    }
                }
            }
        }
    }

    /// Takes rows from the remaining ones.
    fn take(&self, rows: usize) -> usize {
        let taken = rows.min(self.rows_left.get());
        self.rows_left.set(self.rows_left.get() - taken);
        taken
    }

    fn precisions(&self, numbers: &Numbers) -> Markup {
        let visit = self.visit;
        let shown: Vec<_> = numbers.precisions.iter().filter(|one| one.precision.is_some()).collect();
        let rows = self.take(shown.len());
        let columns = [
            Column::words(visit.t("reports.of_what")),
            Column::words(visit.t("reports.scope_heading")),
            Column::number(visit.t("reports.confirmed")),
            Column::number(visit.t("reports.reviewed")),
            Column::number(visit.t("reports.precision")),
        ];
        let cells = shown.iter().take(rows).map(|one| {
            let scope = visit.t(&format!("reports.scope.{}", one.scope));
            vec![
                html! { (visit.t(&format!("reports.reviewed_of.{}", one.of))) },
                html! { (scope) @if !one.name.is_empty() { " " (one.name) } },
                self.number(one.confirmed),
                self.number(one.reviewed),
                html! { (percent(one.precision.unwrap_or_default())) },
            ]
        });
        parts::section(
            visit.t("reports.precision"),
            html! {
                p { (visit.t("reports.precision_about")) }
                @if shown.is_empty() {
                    (parts::empty(visit.t("reports.no_precision")))
                } @else {
                    (parts::table(visit.t("reports.precision"), &columns, cells))
                }
            },
        )
    }

    fn latencies(&self, numbers: &Numbers) -> Markup {
        let visit = self.visit;
        let columns = [
            Column::words(visit.t("reports.what")),
            Column::number(visit.t("reports.median")),
            Column::number(visit.t("reports.p99")),
        ];
        let whole = numbers.latencies.iter().filter(|one| one.month.is_none());
        let rows = whole.map(|one| {
            let key = format!("reports.latency.{}", one.latency);
            let what = if visit.language.has(&key) { visit.t(&key) } else { &one.latency };
            vec![html! { (what) }, self.number(one.p50_ms), self.number(one.p99_ms)]
        });
        parts::section(
            visit.t("reports.latencies"),
            parts::table(visit.t("reports.latencies"), &columns, rows),
        )
    }

    /// The fields of reports required by laws and programmes, with the bank's texts.
    fn published(&self, reports: &[Published]) -> Markup {
        let visit = self.visit;
        let columns = [
            Column::words(visit.t("reports.field")),
            Column::words(visit.t("reports.value")),
            Column::words(visit.t("reports.meaning")),
        ];
        let value = |status: &str, value: &Value| match (status, value) {
            ("count", Value::Number(number)) => self.number(number.as_u64()),
            ("share", Value::Number(share)) => html! { (percent(share.as_f64().unwrap_or_default())) },
            ("sentence", Value::String(text)) => html! { span lang="en" { (text) } },
            ("left_out", Value::String(why)) => {
                html! { (visit.t("reports.left_out")) " " span.hint lang="en" { (why) } }
            }
            _ => self.number(None),
        };
        parts::section(
            visit.t("reports.published"),
            html! {
                p { (visit.t("reports.published_about")) }
                @for report in reports {
                    details {
                        summary { span lang="en" { (report.title) } }
                        (parts::table(&report.title, &columns, report.fields.iter().map(|field| vec![
                            html! { code { (field.field) } },
                            value(&field.status, &field.value),
                            html! { span lang="en" { (field.about) } },
                        ])))
                    }
                }
            },
        )
    }
}

/// A share from 0 to 1 in percent, with one decimal.
fn percent(share: f64) -> String {
    format!("{:.1}\u{a0}%", share * 100.0)
}
