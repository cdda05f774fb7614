//! The files of `compose.yaml`: each exists, and the binary accepts those that are its own.

use std::fmt::Write as _;
use std::path::Path;

use crate::repository::chart::understood;
use crate::repository::source::root;

#[tokio::test]
async fn the_binary_understands_the_files_of_compose() {
    for role in ["bank", "matcher", "coordinator", "frontend", "gateway", "classifier"] {
        let file = std::fs::read_to_string(root().join(format!("deploy/compose/{role}.toml"))).unwrap();
        let table: toml::Table = file.parse().unwrap();
        assert_eq!(understood(role, &table).0, Vec::<String>::new(), "{role}");
    }
}

#[test]
fn every_file_that_compose_names_is_there() {
    let compose = std::fs::read_to_string(root().join("compose.yaml")).unwrap();
    let files: Vec<_> =
        compose.split("{file: ").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert!(files.len() >= 9);
    assert!(files.iter().all(|file| Path::new(&root().join(file)).is_file()), "{files:?}");
}

/// Metrics of Kubernetes, of cert-manager, and of TLS, none of which `compose.yaml` has.
const OF_KUBERNETES: [&str; 5] = ["kube_", "kubelet_", "certmanager_", "vigie_tls_", "container_"];

/// Texts of the chart's alerts for its production values, and their replacements in `compose.yaml`.
const OF_COMPOSE: [(&str, &str); 4] = [
    ("namespace=\"vigie\"", "namespace=\"compose\""),
    ("https://wiki.example.com/vigie/RUNBOOK.md", "helm/vigie/RUNBOOK.md"),
    ("or vector(0)) < 8'", "or vector(0)) < 2'"),
    ("of 8 shards", "of 2 shards"),
];

const ALERTS_HEAD: &str = "\
# The alerts of the chart (helm/vigie) that need no Kubernetes, written by
#
#   VIGIE_WRITE_ALERTS=1 cargo test --workspace -- alerts_of_compose
groups:
";

/// Returns the groups of the chart's alerts without those that `compose.yaml` cannot have, unindented by two
/// columns.
fn alerts_of_the_chart() -> String {
    let golden = std::fs::read_to_string(root().join("helm/vigie/ci/golden/production.yaml")).unwrap();
    let rule = golden.split("\n---").find(|object| object.contains("\nkind: PrometheusRule\n")).unwrap();
    let groups = rule.split_once("\n  groups:\n").unwrap().1;
    let mut kept = ALERTS_HEAD.to_owned();
    for group in groups.split("    - name: ").skip(1) {
        let (name, rules) = group.split_once("\n      rules:\n").unwrap();
        let rules = rules.split("        - alert: ").skip(1);
        let rules = rules.filter(|rule| !OF_KUBERNETES.iter().any(|metric| rule.contains(metric)));
        let rules: String = rules.fold(String::new(), |mut all, rule| {
            let mut rule = rule.trim_end().replace("\n    ", "\n  ");
            for (of_the_chart, of_compose) in OF_COMPOSE {
                rule = rule.replace(of_the_chart, of_compose);
            }
            writeln!(all, "      - alert: {rule}").unwrap();
            all
        });
        if !rules.is_empty() {
            write!(kept, "  - name: {name}\n    rules:\n{rules}").unwrap();
        }
    }
    kept
}

#[test]
fn the_alerts_of_compose_are_those_of_the_chart() {
    let (file, expected) = (root().join("deploy/compose/alerts.yaml"), alerts_of_the_chart());
    if std::env::var_os("VIGIE_WRITE_ALERTS").is_some() {
        std::fs::write(&file, &expected).unwrap();
    }
    let found = std::fs::read_to_string(file).unwrap();
    assert_eq!(found, expected, "write it anew as its first line describes");
    assert!(found.matches("- alert: ").count() >= 8, "{found}");
}
