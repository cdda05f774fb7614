//! Differences between two runs other than their figures.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::report::result::RunResult;

/// The longest displayed value, in characters.
const SHOWN_MAX: usize = 40;

/// A setting or fact whose values in A and B differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Difference {
    /// The key, such as `arrivals.rate`.
    pub(crate) key: String,
    /// The value as JSON; `-` where there is none.
    pub(crate) a: String,
    pub(crate) b: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} in A, {} in B", self.key, cut(&self.a), cut(&self.b))
    }
}

fn cut(value: &str) -> String {
    if value.chars().count() <= SHOWN_MAX {
        return value.to_owned();
    }
    let begin: String = value.chars().take(SHOWN_MAX - 3).collect();
    format!("{begin}...")
}

/// The effect of a difference on a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// The figures of the two runs measure different things.
    Incomparable,
    /// The difference is reported and does not prevent the comparison.
    Notable,
    Nothing,
}

/// Returns all differences of two runs: first those that make their figures incomparable, then those that are
/// only reported.
pub(crate) fn differences(a: &RunResult, b: &RunResult) -> (Vec<Difference>, Vec<Difference>) {
    let own_clusters = a.target.own_cluster && b.target.own_cluster;
    let (facts_a, facts_b) = (facts(a), facts(b));
    let keys: BTreeSet<&String> = facts_a.keys().chain(facts_b.keys()).collect();
    let (mut incomparable, mut notable) = (Vec::new(), Vec::new());
    for key in keys {
        let (a, b) = (facts_a.get(key), facts_b.get(key));
        if a == b {
            continue;
        }
        let shown = |value: Option<&String>| value.map_or("-".to_owned(), String::clone);
        let difference = Difference { key: key.clone(), a: shown(a), b: shown(b) };
        match weight(key, own_clusters) {
            Weight::Incomparable => incomparable.push(difference),
            Weight::Notable => notable.push(difference),
            Weight::Nothing => {}
        }
    }
    (incomparable, notable)
}

/// Returns the weight of a key. Unlisted keys make figures incomparable, also keys that are added to
/// scenarios later.
fn weight(key: &str, own_clusters: bool) -> Weight {
    match key {
        "about" | "thresholds" => Weight::Nothing,
        // The first four do not change the distributions that are compared. The others are what users vary in
        // order to compare.
        "seed"
        | "drive.duration"
        | "drive.warm_up"
        | "data.bank"
        | "cluster.set"
        | "generator.version"
        | "generator.processes" => Weight::Notable,
        // The run's own cluster runs on the generator's machine. With another target, that machine only
        // sends.
        _ if key.starts_with("machine.") && !own_clusters => Weight::Notable,
        _ if key.starts_with("cluster.") && !own_clusters => Weight::Nothing,
        _ => Weight::Incomparable,
    }
}

/// Returns settings and facts by their keys.
fn facts(result: &RunResult) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    // A scenario always serialises to a JSON object.
    let scenario = serde_json::to_value(&result.scenario).unwrap_or_default();
    flatten(String::new(), &scenario, &mut facts);
    let target = if result.target.own_cluster { "a cluster of its own" } else { "a given one" };
    let generator = &result.generator;
    let others = [
        ("target", target.to_owned()),
        ("target.protocol", result.target.protocol.clone()),
        ("generator.version", generator.version.clone()),
        ("generator.processes", generator.processes.to_string()),
        ("machine.processor", generator.machine.processor.clone()),
        ("machine.cores", generator.machine.cores.to_string()),
    ];
    facts.extend(others.map(|(key, value)| (key.to_owned(), value)));
    facts
}

fn flatten(key: String, value: &Value, facts: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                flatten(key, value, facts);
            }
        }
        // A missing value and null are the same.
        Value::Null => {}
        Value::String(text) => drop(facts.insert(key, text.clone())),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => drop(facts.insert(key, value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::result::tests::result;

    fn keys(of: &[Difference]) -> Vec<&str> {
        of.iter().map(|difference| difference.key.as_str()).collect()
    }

    #[test]
    fn runs_of_one_scenario_differ_in_nothing_whatever_was_measured() {
        let (a, mut b) = (result(&[5; 200], 0, &["p99 < 1s"]), result(&[9; 300], 20, &[]));
        b.scenario.about = "Another text.".to_owned();
        assert_eq!(differences(&a, &b), (Vec::new(), Vec::new()));
    }

    #[test]
    fn different_requests_data_or_targets_make_runs_incomparable_and_are_named() {
        let a = result(&[5; 200], 0, &[]);
        let mut b = a.clone();
        b.scenario.name = "y".to_owned();
        b.scenario.data.hashes = 7;
        b.scenario.arrivals.rate = Some(200.0);
        b.scenario.probes = Some(crate::run::scenario::Probes::default());
        b.target.own_cluster = true;
        let (incomparable, notable) = differences(&a, &b);
        assert_eq!(
            keys(&incomparable),
            ["arrivals.rate", "data.hashes", "name", "probes.every", "probes.within", "target"]
        );
        assert_eq!(incomparable[0].to_string(), "arrivals.rate: 100.0 in A, 200.0 in B");
        assert_eq!(incomparable[3].to_string(), "probes.every: - in A, 500ms in B");
        assert!(notable.is_empty(), "{notable:?}");
    }

    #[test]
    fn the_clusters_shape_and_machine_count_only_if_the_load_test_started_both_clusters() {
        let a = result(&[5; 200], 0, &[]);
        let mut b = a.clone();
        b.scenario.cluster.shards = 9;
        b.scenario.cluster.set = vec!["matcher.searches_at_once_max=1".to_owned()];
        b.generator.machine.cores += 1;
        b.scenario.seed = 2;
        let (incomparable, notable) = differences(&a, &b);
        assert!(incomparable.is_empty(), "{incomparable:?}");
        assert_eq!(keys(&notable), ["cluster.set", "machine.cores", "seed"]);
        let own = |mut run: RunResult| {
            run.target.own_cluster = true;
            run
        };
        let (incomparable, notable) = differences(&own(a), &own(b));
        assert_eq!(keys(&incomparable), ["cluster.shards", "machine.cores"]);
        assert_eq!(keys(&notable), ["cluster.set", "seed"], "settings are what such comparisons are for");
    }

    #[test]
    fn a_long_value_is_cut_where_it_is_shown() {
        let long = Difference { key: "faults".to_owned(), a: "x".repeat(500), b: "-".to_owned() };
        assert!(long.to_string().len() < 80, "{long}");
    }
}
