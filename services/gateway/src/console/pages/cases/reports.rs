//! Statistics and the monthly report: the numbers of a period as tables, and as the same files as those of
//! the command line.
//!
//! The bank computes the numbers and suppresses small numbers of other members; this module adds nothing up.

mod numbers;
mod tables;

use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::{HeaderValue, header};
use maud::{Markup, html};
use serde::Deserialize;
use vigie_clients::{Code, StatisticsFormat};
use vigie_consortium::rights::Method;
use vigie_model::UnixMillis;
use vigie_statistics::{Month, Period};

use crate::console::page::{Failed, Page};
use crate::console::pages::cases::reports::numbers::Numbers;
use crate::console::parts::{self, Field, Tone};
use crate::console::posted::Asked;
use crate::console::route::Route;
use crate::console::visit::Visit;
use crate::problem::Problem;

pub(crate) fn routes() -> Vec<Route> {
    const READS: &[Method] = &[Method::GetStatistics];
    vec![
        Route::page("/console/reports", READS, get(show)),
        Route::page("/console/reports/file", READS, get(file)),
    ]
}

/// The requested period and scope.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    /// The first month, such as `2026-11`; by default the last complete month.
    month: Option<String>,
    /// The last month; by default the first one.
    to: Option<String>,
    /// `yes`: omits the numbers of the person's own member.
    public: Option<String>,
    /// The file format.
    format: Option<String>,
}

impl Wanted {
    fn is_public(&self) -> bool {
        self.public.as_deref() == Some("yes")
    }

    /// Parses the period.
    ///
    /// # Errors
    ///
    /// A month is invalid, or the last month is too early or too late; the error names the field.
    fn period(&self, now: UnixMillis) -> Result<Period, Problem> {
        let month = |field: &str, text: &str| text.parse::<Month>().map_err(|why| Problem::field(field, why));
        let first = match &self.month {
            Some(text) => month("month", text)?,
            None => last_whole(now)?,
        };
        let last = self.to.as_deref().map(|text| month("to", text)).transpose()?.unwrap_or(first);
        Period::new(first, last).map_err(|why| Problem::field("to", why))
    }
}

/// The month before the one that contains this time.
fn last_whole(now: UnixMillis) -> Result<Month, Problem> {
    let wrong = |why| Problem::field("month", why);
    let present = Month::of(now).map_err(wrong)?;
    Month::from_number(present.number().saturating_sub(1)).map_err(wrong)
}

async fn show(visit: Visit, Asked(wanted): Asked<Wanted>) -> Result<Page, Failed> {
    let title = visit.t("reports.title");
    let period = match wanted.period(visit.now) {
        Ok(period) => period,
        Err(why) => {
            let page = Page::new(title, choice(&visit, &wanted, None, Some(&why)));
            return Ok(page.with_status(why.status));
        }
    };
    let text = read(&visit, period, StatisticsFormat::Json, wanted.is_public()).await?;
    let numbers = Numbers::read(&text).map_err(|error| {
        tracing::error!(%error, "statistics cannot be read");
        Problem::of_code(Code::Internal, "the request failed for an internal reason")
    })?;
    let main = html! {
        (choice(&visit, &wanted, Some(period), None))
        (files(&visit, period, wanted.is_public()))
        (tables::tables(&visit, &numbers))
    };
    Ok(Page::new(title, main))
}

async fn read(
    visit: &Visit,
    period: Period,
    format: StatisticsFormat,
    is_public: bool,
) -> Result<String, Failed> {
    let (from, to) = (period.from().to_string(), period.to().to_string());
    let statistics = visit.caller.statistics();
    Ok(statistics.get_statistics((&from, &to), format, is_public, visit.deadline()).await?)
}

/// The form that selects the months.
fn choice(visit: &Visit, wanted: &Wanted, period: Option<Period>, fault: Option<&Problem>) -> Markup {
    let shown = |month: fn(Period) -> Month| period.map(|period| month(period).to_string());
    let first = shown(Period::from).or_else(|| wanted.month.clone()).unwrap_or_default();
    let last = shown(Period::to).or_else(|| wanted.to.clone()).unwrap_or_default();
    let fault_of = |name: &str| {
        fault.filter(|fault| fault.field.as_deref() == Some(name)).map_or("", |_| visit.t("reports.no_month"))
    };
    let month = |name, label, value| {
        let (hint, fault) = (visit.t("reports.month_hint"), fault_of(name));
        parts::field(&Field { name, label, hint, value, fault, kind: "month", ..Field::default() })
    };
    html! {
        form method="get" action="/console/reports" {
            (month("month", visit.t("reports.from"), &first))
            (month("to", visit.t("reports.to"), &last))
            (parts::checkbox("public", "yes", visit.t("reports.public"), wanted.is_public()))
            button.second type="submit" { (visit.t("reports.show")) }
        }
        @if fault.is_some() { (parts::notice(Tone::Bad, html! { (visit.t("reports.no_month")) })) }
    }
}

/// Links to the period's report as files.
fn files(visit: &Visit, period: Period, is_public: bool) -> Markup {
    let link = |format: &str| {
        let public = if is_public { "&public=yes" } else { "" };
        format!("/console/reports/file?month={}&to={}&format={format}{public}", period.from(), period.to())
    };
    let name = match period.from() == period.to() {
        true => period.from().to_string(),
        false => visit.fill("reports.months", &[("from", &period.from()), ("to", &period.to())]),
    };
    parts::section(
        &visit.fill("reports.of", &[("months", &name)]),
        html! {
            p { (visit.t("reports.files")) }
            div.row {
                a.button href=(link("markdown")) download data-key="w" aria-keyshortcuts="w" {
                    (visit.t("reports.markdown")) " " kbd aria-hidden="true" { "w" }
                }
                a.button.second href=(link("csv")) download { (visit.t("reports.csv")) }
                a.button.second href=(link("json")) download { (visit.t("reports.json")) }
            }
        },
    )
}

/// The statistics as a file, identical to that of the command line.
async fn file(visit: Visit, Asked(wanted): Asked<Wanted>) -> Result<Response, Failed> {
    let (format, end, kind) = match wanted.format.as_deref() {
        Some("markdown") | None => (StatisticsFormat::Markdown, "md", "text/markdown; charset=utf-8"),
        Some("csv") => (StatisticsFormat::Csv, "csv", "text/csv; charset=utf-8"),
        Some("json") => (StatisticsFormat::Json, "json", "application/json"),
        Some(_) => return Err(Failed::not_there()),
    };
    let period = wanted.period(visit.now)?;
    let text = read(&visit, period, format, wanted.is_public()).await?;
    let months = match period.from() == period.to() {
        true => period.from().to_string(),
        false => format!("{}-to-{}", period.from(), period.to()),
    };
    let disposition = format!("attachment; filename=\"statistics-{months}.{end}\"");
    let kind = (header::CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(([kind], [(header::CONTENT_DISPOSITION, disposition)], text).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_whole_month_is_the_one_before_also_in_january() {
        // The times are 2026-01-15 and 2026-11-30.
        for (ms, month) in [(1_768_435_200_000, "2025-12"), (1_796_000_000_000, "2026-10")] {
            assert_eq!(last_whole(UnixMillis(ms)).unwrap().to_string(), month);
        }
    }

    #[test]
    fn a_period_that_is_none_names_its_field() {
        let of = |month: &str, to: &str| {
            let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            Wanted { month: text(month), to: text(to), ..Wanted::default() }
                .period(UnixMillis(1_796_000_000_000))
        };
        assert_eq!(of("2026-03", "").unwrap().to_string(), "2026-03 to 2026-03");
        assert_eq!(of("2026-01", "2026-03").unwrap().to_string(), "2026-01 to 2026-03");
        for (month, to, field) in
            [("2026-13", "", "month"), ("2026-03", "x", "to"), ("2026-03", "2026-01", "to")]
        {
            assert_eq!(of(month, to).unwrap_err().field.as_deref(), Some(field));
        }
    }
}
