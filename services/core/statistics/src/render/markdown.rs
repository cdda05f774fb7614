//! Statistics as Markdown, for a person.

use std::fmt::{Display, Write};

use crate::cell::Measure;
use crate::report::{ClassifierNumbers, MeasureNumbers, Part, Precision, Statistics, Value};
use crate::suppress::Cell;

/// Returns the statistics as Markdown, with a line on the meaning of each number, suppressed numbers, and
/// fields without a source.
#[must_use]
pub fn to_markdown(statistics: &Statistics) -> String {
    let mut page = Page(String::new());
    let months = &statistics.months;
    let period = months.first().zip(months.last());
    let period = period.map_or_else(String::new, |(first, last)| format!(": {first} to {last}"));
    page.line(format!("# Statistics{period}"));
    let (threshold, members_min) = (statistics.threshold, statistics.members_min);
    page.paragraph(format!(
        "Months are those of UTC. In tables across members, numbers below {threshold} are suppressed, and so are totals to which \
         fewer than {members_min} members contribute, and further numbers from which these could be computed. Zero is below \
         {threshold}. A suppressed number is shown as `suppressed`."
    ));
    let silent = statistics.members_silent;
    page.paragraph(format!(
        "Members: {}. Members without any count in the period: {silent}.",
        statistics.members
    ));
    page.line("## Across members");
    page.paragraph("Numbers to date are rounded down, so that two reports cannot be subtracted.");
    page.numbers(&statistics.numbers, statistics);
    if let Some(member) = &statistics.own_member {
        page.line(format!("## Own numbers of {}", text(member)));
        page.paragraph("Only the member itself sees these numbers. Nothing of them is suppressed. Publish them only as your own.");
        page.numbers(&statistics.own, statistics);
    }
    page.classifiers(statistics);
    page.latencies(statistics);
    page.precisions(&statistics.precisions);
    page.reports(statistics);
    page.0
}

struct Page(String);

impl Page {
    fn line(&mut self, line: impl Display) {
        // Writing to a text cannot fail.
        let _ = writeln!(self.0, "{line}\n");
    }

    fn paragraph(&mut self, text: impl Display) {
        self.line(text);
    }

    fn table(&mut self, head: &[String], rows: impl IntoIterator<Item = Vec<String>>) {
        let mut row = |cells: &[String]| {
            let _ = writeln!(self.0, "| {} |", cells.join(" | "));
        };
        row(head);
        row(&vec!["---".to_owned(); head.len()]);
        rows.into_iter().for_each(|cells| row(&cells));
        self.0.push('\n');
    }

    fn numbers(&mut self, numbers: &[MeasureNumbers], statistics: &Statistics) {
        let row = |one: &MeasureNumbers| {
            vec![
                one.measure.to_owned(),
                one.total.to_string(),
                one.cumulative.to_string(),
                one.about.to_owned(),
            ]
        };
        self.table(&["what", "total", "to date", "meaning"].map(str::to_owned), numbers.iter().map(row));
        let is_any = |cells: &[Cell]| cells.iter().any(|cell| cell.shown().is_some_and(|number| number > 0));
        let strings = |cells: &[Cell]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let months: Vec<String> = statistics.months.iter().map(ToString::to_string).collect();
        let rows: Vec<Vec<String>> = numbers
            .iter()
            .filter(|one| is_any(&one.by_month))
            .map(|one| [vec![one.measure.to_owned()], strings(&one.by_month)].concat())
            .collect();
        if !rows.is_empty() {
            self.line("### By month");
            self.table(&[vec!["what".to_owned()], months.clone()].concat(), rows);
        }
        for one in numbers {
            let rows = one.by_member.iter().filter(|row| is_any(&row.by_month) || is_any(&[row.total]));
            let rows: Vec<Vec<String>> = rows
                .map(|row| {
                    [vec![text(&row.member)], strings(&row.by_month), vec![row.total.to_string()]].concat()
                })
                .collect();
            if !rows.is_empty() {
                self.line(format!("### {} by member", one.measure));
                self.paragraph(format!("{} All numbers of the other members are suppressed.", one.about));
                self.table(
                    &[vec!["member".to_owned()], months.clone(), vec!["total".to_owned()]].concat(),
                    rows,
                );
            }
            for (name, parts) in
                [("bank", &one.by_bank), ("class", &one.by_class), ("verdict", &one.by_verdict)]
            {
                self.parts(one, name, parts);
            }
        }
    }

    fn parts(&mut self, one: &MeasureNumbers, name: &str, parts: &[Part]) {
        // A list whose only part is "none" would repeat the total.
        let shown: Vec<&Part> =
            parts.iter().filter(|part| part.count.shown().is_some_and(|count| count > 0)).collect();
        if shown.is_empty() || (shown.len() == 1 && shown[0].count == one.total) {
            return;
        }
        self.line(format!("### {} by {name}", one.measure));
        let suppressed = parts.iter().filter(|part| part.count.is_suppressed()).count();
        let others = if suppressed > 0 { " All other parts are suppressed." } else { "" };
        self.paragraph(format!("{}{others}", one.about));
        let rows = shown.iter().map(|part| vec![text(&part.name), part.count.to_string()]);
        self.table(&[name.to_owned(), "count".to_owned()], rows);
    }

    fn classifiers(&mut self, statistics: &Statistics) {
        self.line("## Classifiers");
        self.paragraph(
            "Uses of models that the operator supplies, by version of the model's card and by class. A score is never a verdict: the most that \
             it does is to send a content to review.",
        );
        let abouts =
            Measure::OF_CLASSIFIERS.map(|measure| format!("{}: {}", measure.name(), measure.about()));
        self.paragraph(abouts.join(" "));
        if statistics.classifiers.is_empty() {
            return self.paragraph("No classifier was used.");
        }
        self.uses(&statistics.classifiers, statistics);
        if let Some(member) = &statistics.own_member {
            self.line(format!("### Own uses of {}", text(member)));
            self.uses(&statistics.own_classifiers, statistics);
        }
    }

    /// Writes the totals of each class, then the shown numbers by month and member.
    fn uses(&mut self, uses: &[ClassifierNumbers], statistics: &Statistics) {
        let of = |one: &ClassifierNumbers| vec![text(&one.model), one.version.to_string(), text(&one.class)];
        let totals = uses.iter().map(|one| {
            [of(one), one.measures.iter().map(|measure| measure.total.to_string()).collect()].concat()
        });
        let names = Measure::OF_CLASSIFIERS.map(|measure| measure.name().to_owned());
        let head = ["model", "version", "class"].map(str::to_owned);
        self.table(&[&head[..], &names].concat(), totals);
        let is_any = |cells: &[Cell]| cells.iter().any(|cell| cell.shown().is_some_and(|number| number > 0));
        let strings = |cells: &[Cell]| cells.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut rows = Vec::new();
        for (one, measure) in
            uses.iter().flat_map(|one| one.measures.iter().map(move |measure| (one, measure)))
        {
            let all = ("all", &measure.by_month, measure.total);
            let members = measure.by_member.iter().map(|row| (&*row.member, &row.by_month, row.total));
            for (member, by_month, total) in std::iter::once(all).chain(members) {
                if is_any(by_month) || is_any(&[total]) {
                    let cells = [strings(by_month), vec![total.to_string()]].concat();
                    rows.push([of(one), vec![measure.measure.to_owned(), text(member)], cells].concat());
                }
            }
        }
        if !rows.is_empty() {
            let months = statistics.months.iter().map(ToString::to_string).collect();
            let what = ["what", "member"].map(str::to_owned).to_vec();
            self.table(&[head.to_vec(), what, months, vec!["total".to_owned()]].concat(), rows);
        }
    }

    fn latencies(&mut self, statistics: &Statistics) {
        self.line("## Latencies");
        self.paragraph(format!(
            "Half of all times are at most p50, 99 of 100 at most p99, in milliseconds, within 7 %. They are suppressed below {} times.",
            statistics.threshold
        ));
        let number = |value: Option<u64>| value.map_or(Cell::Suppressed, Cell::Shown).to_string();
        let rows = statistics.latencies.iter().map(|one| {
            let month = one.month.map_or_else(|| "period".to_owned(), |month| month.to_string());
            vec![one.latency.to_owned(), month, number(one.p50_ms), number(one.p99_ms), one.about.to_owned()]
        });
        self.table(&["what", "month", "p50", "p99", "meaning"].map(str::to_owned), rows);
    }

    fn precisions(&mut self, precisions: &[Precision]) {
        self.line("## Precision");
        self.paragraph("Of the reports and decisions that were reviewed, the share that was confirmed. Content that nobody reviewed is not part of it.");
        let shown: Vec<&Precision> = precisions.iter().filter(|one| one.precision.is_some()).collect();
        if shown.is_empty() {
            return self.paragraph(
                "No precision can be shown: nothing was reviewed, or the numbers are suppressed.",
            );
        }
        let rows = shown.iter().map(|one| {
            let share = one.precision.map_or_else(String::new, |share| format!("{share:.4}"));
            let (of, scope) = (format!("{:?}", one.of), format!("{:?} {}", one.scope, text(&one.name)));
            vec![
                of.to_lowercase(),
                scope.trim_end().to_owned(),
                one.confirmed.to_string(),
                one.reviewed.to_string(),
                share,
            ]
        });
        self.table(&["of", "scope", "confirmed", "reviewed", "precision"].map(str::to_owned), rows);
    }

    fn reports(&mut self, statistics: &Statistics) {
        for report in &statistics.reports {
            self.line(format!("## {}", report.title));
            let rows = report.fields.iter().map(|field| {
                let value = match &field.value {
                    Value::Count(count) => count.to_string(),
                    Value::Share(share) => format!("{share:.4}"),
                    Value::Sentence(sentence) => (*sentence).to_owned(),
                    Value::Suppressed => Cell::Suppressed.to_string(),
                    Value::LeftOut(reason) => format!("no source: {reason}"),
                };
                vec![field.field.to_owned(), value, field.about.to_owned()]
            });
            self.table(&["field", "value", "meaning"].map(str::to_owned), rows);
        }
    }
}

/// Escapes a person's text for a cell, so that no character is markup.
fn text(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        match character {
            character if character.is_control() => escaped.push(' '),
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            character
                if character.is_ascii_punctuation() && !matches!(character, '-' | '.' | '/' | '_' | ',') =>
            {
                escaped.push('\\');
                escaped.push(character);
            }
            '_' => escaped.push_str("\\_"),
            character => escaped.push(character),
        }
    }
    escaped
}
