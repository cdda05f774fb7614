//! The result of a run as an HTML page.

use serde::Serialize;

use crate::report::page;
use crate::report::result::{Mark, RunResult, Times};
use crate::run::record::Second;
use crate::run::record::hist::Hist;

/// The script that draws the page.
const SCRIPT: &str = include_str!("run.js");

/// The data that the script draws: one value for each second, `null` where there is none.
#[derive(Debug, Serialize)]
struct Page<'a> {
    result: serde_json::Value,
    version: &'a str,
    warm_up_s: u64,
    seconds: Vec<u64>,
    sent: Vec<u64>,
    answered: Vec<u64>,
    unsent: Vec<u64>,
    failures: std::collections::BTreeMap<String, Vec<u64>>,
    wrong: std::collections::BTreeMap<&'static str, Vec<u64>>,
    latency: Quantiles,
    coverage_mean: Vec<Option<f64>>,
    coverage_min: Vec<Option<f64>>,
    lag_max_ms: Vec<f64>,
    add_to_match: Quantiles,
    remove_to_gone: Quantiles,
    distributions: Vec<Distribution>,
    freshness: Vec<(&'static str, Times)>,
    faults: &'a [Mark],
}

#[derive(Debug, Serialize)]
struct Quantiles {
    p50: Vec<Option<f64>>,
    p90: Vec<Option<f64>>,
    p99: Vec<Option<f64>>,
    max: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct Distribution {
    name: String,
    /// Points of the distribution: n, and the latency in milliseconds that one in n requests exceeds.
    points: Vec<(f64, f64)>,
    /// The upper bound of each bucket in milliseconds, and the number of requests in it.
    buckets: Vec<(f64, u64)>,
}

/// Reads a count of a second.
type Count = fn(&Second) -> u64;

/// Returns the whole page.
pub(crate) fn page(result: &RunResult) -> anyhow::Result<String> {
    page::page(&format!("{}, load test", result.scenario.name), &data(result)?, SCRIPT)
}

fn data(result: &RunResult) -> anyhow::Result<Page<'_>> {
    let mut whole = serde_json::to_value(result)?;
    // The charts get this in a form of their own, and `result.json` has all of it.
    if let Some(object) = whole.as_object_mut() {
        object.remove("record");
        object.insert("verdict".to_owned(), serde_json::to_value(result.record.totals.verdict)?);
        object
            .insert("failures".to_owned(), serde_json::to_value(result.record.totals.all_kinds().failures)?);
    }
    // A second without requests is a gap in the charts and keeps its position. Events after the last request,
    // such as probes, are in the tables only.
    let sent = result.record.seconds.iter().rev().find(|(_, second)| second.sent + second.unsent > 0);
    let last = sent.map_or(0, |(at, _)| *at);
    let empty = Second::default();
    let seconds: Vec<(u64, &Second)> =
        (0..=last).map(|at| (at, result.record.seconds.get(&at).unwrap_or(&empty))).collect();
    let counts = |of: Count| seconds.iter().map(|(_, second)| of(second)).collect::<Vec<_>>();
    let totals = &result.record.totals;
    let all = totals.all_kinds();
    let failures = all.failures.keys().map(|code| {
        let of = |(_, second): &(u64, &Second)| second.failures.get(code).copied().unwrap_or_default();
        (code.clone(), seconds.iter().map(of).collect())
    });
    let wrong: [(&'static str, Count); 7] = [
        ("missed", |second| second.verdict.missed),
        ("false", |second| second.verdict.false_matches),
        ("wrong distance", |second| second.verdict.wrong_distance),
        ("wrong evidence", |second| second.verdict.wrong_evidence),
        ("incomplete", |second| second.verdict.incomplete),
        ("stale", |second| second.verdict.stale),
        ("misjudged", |second| second.verdict.misjudged),
    ];
    let mut distributions = vec![
        distribution("from the intended start", &all.latency),
        distribution("from the actual start", &all.latency_from_send),
    ];
    if all.latency_of_failures.count() > 0 {
        distributions.push(distribution("until a failure", &all.latency_of_failures));
    }
    if totals.kinds.len() > 1 {
        let kinds = totals.kinds.iter().filter(|(_, kind)| kind.latency.count() > 0);
        distributions.extend(kinds.map(|(kind, totals)| distribution(kind.as_str(), &totals.latency)));
    }
    let fresh = [("add to match", &totals.add_to_match), ("remove to gone", &totals.remove_to_gone)];
    let fresh = fresh.into_iter().filter(|(_, hist)| hist.count() > 0);
    Ok(Page {
        version: env!("CARGO_PKG_VERSION"),
        warm_up_s: result.scenario.drive.warm_up.0.as_secs(),
        sent: counts(|second| second.sent),
        answered: counts(|second| second.answered),
        unsent: counts(|second| second.unsent),
        failures: failures.collect(),
        wrong: wrong.into_iter().map(|(name, of)| (name, counts(of))).collect(),
        latency: quantiles(&seconds, |second| &second.latency),
        coverage_mean: seconds
            .iter()
            .map(|(_, second)| {
                let (sum, count) = second.coverage_sum;
                (count > 0).then(|| sum / count as f64)
            })
            .collect(),
        coverage_min: seconds.iter().map(|(_, second)| second.coverage_min).collect(),
        lag_max_ms: seconds.iter().map(|(_, second)| second.lag_max_ms).collect(),
        add_to_match: quantiles(&seconds, |second| &second.add_to_match),
        remove_to_gone: quantiles(&seconds, |second| &second.remove_to_gone),
        distributions,
        freshness: fresh.map(|(name, hist)| (name, Times::from(hist))).collect(),
        faults: &result.faults,
        seconds: seconds.iter().map(|(at, _)| *at).collect(),
        result: whole,
    })
}

fn quantiles(seconds: &[(u64, &Second)], of: fn(&Second) -> &Hist) -> Quantiles {
    let at = |quantile| seconds.iter().map(|(_, second)| of(second).quantile_ms(quantile)).collect();
    let max = seconds.iter().map(|(_, second)| of(second).max_ms()).collect();
    Quantiles { p50: at(0.5), p90: at(0.9), p99: at(0.99), max }
}

/// Returns ten points per decade of "one in n", up to the largest n that the number of requests supports.
fn distribution(name: &str, hist: &Hist) -> Distribution {
    let steps = (0..).map(|step| 10_f64.powf(f64::from(step) / 10.0));
    let borne = steps.take_while(|one_in| *one_in <= hist.count() as f64);
    let points = borne.filter_map(|one_in| Some((one_in, hist.quantile_ms(1.0 - 1.0 / one_in)?)));
    Distribution { name: name.to_owned(), points: points.collect(), buckets: coarse(hist) }
}

/// Merges the buckets into twenty per decade.
fn coarse(hist: &Hist) -> Vec<(f64, u64)> {
    let mut coarse: Vec<(i32, u64)> = Vec::new();
    for (ms, count) in hist.buckets() {
        #[expect(clippy::cast_possible_truncation, reason = "a logarithm of a time is small")]
        let place = (ms.max(1e-3).log10() * 20.0).ceil() as i32;
        match coarse.last_mut() {
            Some((last, sum)) if *last == place => *sum += count,
            _ => coarse.push((place, count)),
        }
    }
    coarse.into_iter().map(|(place, count)| (10_f64.powf(f64::from(place) / 20.0), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::result;

    #[test]
    fn the_page_holds_its_data_and_asks_nobody_for_anything() {
        let mut result = result(&[5; 500], 0, &["p99 < 1s"]);
        result.scenario.name = "</script><b>".to_owned();
        result.faults.push(Mark { at_s: 2.0, what: "kill matcher-0-0".to_owned(), failed: None });
        let page = page(&result).unwrap();
        assert!(page.contains("kill matcher-0-0") && page.contains("p99 \\u003c 1s"));
        assert_eq!(page.matches("</script>").count(), 1, "the name does not end the script");
        page::tests::check_asks_nobody(&page);
    }

    #[test]
    fn the_page_begins_with_date_and_target_and_names_percentiles_alike_everywhere() {
        let page = page(&result(&[5; 500], 0, &["p99 < 1s"])).unwrap();
        let top = page.find("moment(R.began_unix_ms)").unwrap();
        assert!(page[top..].starts_with("moment(R.began_unix_ms)} · ${target(R.target)}"));
        assert!(top < page.find("class: \"tiles\"").unwrap());
        for name in ["p50", "p90", "p99", "max"] {
            assert!(page.contains(&format!("{{ name: \"{name}\", color")), "{name}");
        }
        for other in ["\"half\"", "\"99 %\"", "median"] {
            assert!(!page.contains(other), "{other}");
        }
    }

    #[test]
    fn distributions_reach_as_far_as_the_requests_bear_out() {
        let latencies: Vec<u64> = (1..=1_000).collect();
        let hist = result(&latencies, 0, &[]).record.totals.all_kinds().latency;
        let curve = distribution("x", &hist);
        let (one_in, ms) = *curve.points.last().unwrap();
        assert!((999.0..=1_000.1).contains(&one_in) && (998.0..=1_001.0).contains(&ms), "{one_in} {ms}");
        assert!((curve.points[10].1 - 900.0).abs() < 2.0, "nine in ten take at most 900 ms");
        assert_eq!(curve.buckets.iter().map(|(_, count)| count).sum::<u64>(), 1_000);
    }
}
