//! Statistics as CSV (RFC 4180), with one number per line.

use crate::report::{ClassifierNumbers, MeasureNumbers, Part, Statistics, Value};
use crate::suppress::Cell;

/// The columns. `status` is `shown`, `suppressed` or `left_out`. `value` is empty for a suppressed number,
/// and is the reason if the field is left out.
pub const CSV_COLUMNS: [&str; 7] = ["section", "what", "scope", "name", "month", "status", "value"];

/// Returns the statistics as CSV with a line of column names. Lines end with CR LF. A text that a spreadsheet
/// would interpret as a formula begins with an apostrophe.
#[must_use]
pub fn to_csv(statistics: &Statistics) -> String {
    let mut lines = Lines::default();
    lines.push(CSV_COLUMNS.map(str::to_owned));
    lines.numbers("across_members", &statistics.numbers, statistics);
    lines.numbers("own", &statistics.own, statistics);
    lines.classifiers("classifiers", &statistics.classifiers, statistics);
    lines.classifiers("own_classifiers", &statistics.own_classifiers, statistics);
    lines.cell(["participation", "members", "all", "", ""], Cell::Shown(statistics.members));
    lines.cell(["participation", "members_silent", "all", "", ""], statistics.members_silent);
    for latency in &statistics.latencies {
        let month = latency.month.map_or_else(String::new, |month| month.to_string());
        for (what, value) in [("p50_ms", latency.p50_ms), ("p99_ms", latency.p99_ms)] {
            let cell = value.map_or(Cell::Suppressed, Cell::Shown);
            lines.cell(["latency", latency.latency, "all", what, &month], cell);
        }
    }
    for one in &statistics.precisions {
        let status = if one.precision.is_some() { "shown" } else { "suppressed" };
        let share = one.precision.map_or_else(String::new, |share| share.to_string());
        let (of, scope) = (format!("{:?}", one.of).to_lowercase(), format!("{:?}", one.scope).to_lowercase());
        lines.push(["precision", &of, &scope, &one.name, "", status, &share].map(str::to_owned));
    }
    for report in &statistics.reports {
        for field in &report.fields {
            let (status, value) = match &field.value {
                Value::Count(count) => ("shown", count.to_string()),
                Value::Share(share) => ("shown", share.to_string()),
                Value::Sentence(text) => ("shown", (*text).to_owned()),
                Value::Suppressed => ("suppressed", String::new()),
                Value::LeftOut(reason) => ("left_out", (*reason).to_owned()),
            };
            lines
                .push(["report", report.report, "field", field.field, "", status, &value].map(str::to_owned));
        }
    }
    lines.0
}

#[derive(Default)]
struct Lines(String);

impl Lines {
    fn numbers(&mut self, section: &str, numbers: &[MeasureNumbers], statistics: &Statistics) {
        let months: Vec<String> = statistics.months.iter().map(ToString::to_string).collect();
        for one in numbers {
            self.cell([section, one.measure, "all", "", ""], one.total);
            self.cell([section, one.measure, "cumulative", "", ""], Cell::Shown(one.cumulative));
            for (month, cell) in months.iter().zip(&one.by_month) {
                self.cell([section, one.measure, "all", "", month], *cell);
            }
            for row in &one.by_member {
                self.cell([section, one.measure, "member", &row.member, ""], row.total);
                for (month, cell) in months.iter().zip(&row.by_month) {
                    self.cell([section, one.measure, "member", &row.member, month], *cell);
                }
            }
            let mut parts = |scope, parts: &[Part]| {
                for part in parts {
                    self.cell([section, one.measure, scope, &part.name, ""], part.count);
                }
            };
            parts("bank", &one.by_bank);
            parts("class", &one.by_class);
            parts("verdict", &one.by_verdict);
        }
    }

    /// Adds lines named `model/version/class`, followed by the member if the scope is `member`.
    fn classifiers(&mut self, section: &str, numbers: &[ClassifierNumbers], statistics: &Statistics) {
        let months: Vec<String> = statistics.months.iter().map(ToString::to_string).collect();
        for one in numbers {
            let name = format!("{}/{}/{}", one.model, one.version, one.class);
            for measure in &one.measures {
                self.cell([section, measure.measure, "all", &name, ""], measure.total);
                for (month, cell) in months.iter().zip(&measure.by_month) {
                    self.cell([section, measure.measure, "all", &name, month], *cell);
                }
                for row in &measure.by_member {
                    let name = format!("{name}/{}", row.member);
                    self.cell([section, measure.measure, "member", &name, ""], row.total);
                    for (month, cell) in months.iter().zip(&row.by_month) {
                        self.cell([section, measure.measure, "member", &name, month], *cell);
                    }
                }
            }
        }
    }

    fn cell(&mut self, [section, what, scope, name, month]: [&str; 5], cell: Cell) {
        let status = if cell.is_suppressed() { "suppressed" } else { "shown" };
        let value = cell.shown().map_or_else(String::new, |number| number.to_string());
        self.push([section, what, scope, name, month, status, &value].map(str::to_owned));
    }

    fn push(&mut self, fields: [String; 7]) {
        self.0.push_str(&fields.map(|field| guarded(&field)).join(","));
        self.0.push_str("\r\n");
    }
}

/// Returns a field, quoted if necessary. Spreadsheets execute a text that begins with one of these characters
/// (OWASP, "CSV Injection").
fn guarded(text: &str) -> String {
    let is_formula = text
        .trim_start_matches(['"', '\'', ' ', ',', ';'])
        .starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let is_guarded = is_formula || text.starts_with(['\t', '\r', '\n']);
    let text = if is_guarded { format!("'{text}") } else { text.to_owned() };
    if text.contains([',', '"', '\r', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
