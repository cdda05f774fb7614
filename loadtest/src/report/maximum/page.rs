//! The result of a search as an HTML page.

use serde::Serialize;

use crate::report::maximum::{Maximum, Step};
use crate::report::page;

/// The script that draws the page.
const SCRIPT: &str = include_str!("page.js");

/// The data that the script draws.
#[derive(Debug, Serialize)]
struct Page<'a> {
    found: &'a Maximum,
    headline: String,
    explanation: &'static str,
    curve: Vec<Row<'a>>,
}

/// A step and its result in words.
#[derive(Debug, Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    step: &'a Step,
    outcome: &'static str,
}

/// Returns the whole page.
pub(super) fn page(found: &Maximum) -> anyhow::Result<String> {
    let curve = found.curve().into_iter().map(|step| Row { step, outcome: step.outcome() });
    let data =
        Page { found, headline: found.headline(), explanation: found.explanation(), curve: curve.collect() };
    page::page(&format!("{}, highest rate", found.scenario.name), &data, SCRIPT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::maximum::tests::{SLOW, found, step};

    #[test]
    fn the_page_holds_the_curve_and_the_reason_and_asks_nobody_for_anything() {
        let steps = vec![step(400.0, "", false), step(500.0, SLOW, false)];
        let page = page(&found(Some(400.0), steps)).unwrap();
        page::tests::check_asks_nobody(&page);
        assert!(page.contains("400/s is the highest rate that holds"));
        assert!(page.contains("at 500/s p99 \\u003c= 50ms does not hold"));
        for drawn in ["series(\"p50\"", "series(\"p99\"", "Offered and achieved rate", "\"Errors\""] {
            assert!(page.contains(drawn), "{drawn}");
        }
    }
}
