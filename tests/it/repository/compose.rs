//! The files of `compose.yaml`: each exists, and the binary accepts those that are its own.

use std::fmt::Write as _;
use std::path::Path;

use crate::repository::chart::understood;
use crate::repository::source::root;

#[tokio::test]
async fn the_binary_understands_the_files_of_compose() {
    let of_all = ["bank", "matcher", "coordinator", "frontend", "gateway"].map(|role| (role, role));
    for (role, file) in of_all.into_iter().chain([("classifier", "classifiers/classifier")]) {
        let file = std::fs::read_to_string(root().join(format!("deploy/compose/{file}.toml"))).unwrap();
        let table: toml::Table = file.parse().unwrap();
        assert_eq!(understood(role, &table).0, Vec::<String>::new(), "{role}");
    }
}

#[test]
fn every_file_that_compose_names_is_there() {
    let read = |file: &str| std::fs::read_to_string(root().join(file)).unwrap();
    let compose = read("compose.yaml") + &read("deploy/compose/classifiers/compose.yaml");
    let files: Vec<_> =
        compose.split("{file: ").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert!(files.len() >= 12);
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

/// Returns groups of the chart's alerts, as rendered for these values, without the alerts that `compose.yaml`
/// cannot have, unindented by two columns.
fn alerts_of_the_chart(values: &str, has_group: impl Fn(&str) -> bool) -> String {
    let golden = std::fs::read_to_string(root().join(format!("helm/vigie/ci/golden/{values}.yaml"))).unwrap();
    let rule = golden.split("\n---").find(|object| object.contains("\nkind: PrometheusRule\n")).unwrap();
    let groups = rule.split_once("\n  groups:\n").unwrap().1;
    let mut kept = ALERTS_HEAD.to_owned();
    for group in groups.split("    - name: ").skip(1) {
        let (name, rules) = group.split_once("\n      rules:\n").unwrap();
        if !has_group(name) {
            continue;
        }
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
    let of_classifiers = |group: &str| group.ends_with(".classifiers");
    for (file, expected, least) in [
        ("alerts.yaml", alerts_of_the_chart("production", |_| true), 8),
        ("classifiers/alerts.yaml", alerts_of_the_chart("members", of_classifiers), 3),
    ] {
        let file = root().join("deploy/compose").join(file);
        if std::env::var_os("VIGIE_WRITE_ALERTS").is_some() {
            std::fs::write(&file, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap();
        assert_eq!(found, expected, "{}: write it anew as its first line describes", file.display());
        assert!(found.matches("- alert: ").count() >= least, "{found}");
    }
}
