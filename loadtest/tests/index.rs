//! Tests of the binary from end to end: data is made, an index is measured on it, and damaged files are
//! refused.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_vigie-loadtest")).args(arguments).output().unwrap()
}

fn succeed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn refusal(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).unwrap()
}

/// Creates a small data set in `folder`.
fn data(folder: &Path, shape: &str) -> PathBuf {
    let path = folder.join(shape);
    let out = path.to_str().unwrap();
    succeed(&[
        "data",
        "--shape",
        shape,
        "--hashes",
        "4000",
        "--queries",
        "200",
        "--answered",
        "150",
        "--radius",
        "0,31,64",
        "--out",
        out,
    ]);
    path
}

fn index<'a>(data: &'a Path, engine: &'a str) -> Vec<&'a str> {
    let data = data.to_str().unwrap();
    vec!["index", "--data", data, "--engine", engine, "--rounds", "2", "--slice-milliseconds", "20"]
}

#[test]
fn every_engine_answers_rightly_on_every_shape() {
    let folder = tempfile::tempdir().unwrap();
    for shape in ["uniform", "pdq", "adversarial"] {
        let data = data(folder.path(), shape);
        for engine in ["mih", "flat"] {
            let mut arguments = index(&data, engine);
            arguments.extend(["--measure", "latency", "--json"]);
            let report: serde_json::Value = serde_json::from_str(&succeed(&arguments)).unwrap();
            assert_eq!(report["hashes"], 4_000);
            let answers = report["answers"].as_array().unwrap();
            assert_eq!(answers.len(), 3);
            assert!(
                answers
                    .iter()
                    .all(|one| one["equal"] == true && one["recall"] == 1.0 && one["queries"] == 150)
            );
            let latency = &report["latency"];
            let quantile = |name: &str| latency[name].as_f64().unwrap();
            assert!(quantile("median_us") > 0.0 && quantile("median_us") <= quantile("p99_us"));
            assert!(quantile("p99_us") <= quantile("max_us") && latency["searches"].as_u64().unwrap() > 1);
            assert!(
                report["throughput"].is_null() && report["updates"].is_null() && report["tail"].is_null()
            );
        }
    }
}

#[test]
fn everything_is_measured_by_default() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path(), "pdq");
    let mut arguments = index(&data, "mih");
    arguments.push("--json");
    let report: serde_json::Value = serde_json::from_str(&succeed(&arguments)).unwrap();
    let cases = report["throughput"].as_array().unwrap();
    let cases: Vec<_> = cases.iter().map(|one| (one["batch"].as_u64(), one["threads"].as_u64())).collect();
    let expected = [(1, 1), (1, 2), (64, 1), (64, 2)].map(|(batch, threads)| (Some(batch), Some(threads)));
    assert_eq!(cases, expected);
    let updates = &report["updates"];
    assert!(
        updates["rate_made"].as_f64().unwrap() > 0.0
            && updates["updates_per_second_max"].as_f64().unwrap() > 0.0
    );
    assert!(updates["updating"]["median_over_quiet"].as_f64().unwrap() > 0.0);
    assert_eq!(report["tail"]["tail_hashes"], 100_000);
    assert_eq!(report["checked_after_updates"], true);
    assert!(report["machine"]["cores"].as_u64().unwrap() > 0);
}

#[test]
fn the_table_shows_the_same_results() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path(), "uniform");
    let mut arguments = index(&data, "flat");
    arguments.extend(["--batch", "1", "--threads", "2"]);
    let table = succeed(&arguments);
    for expected in
        ["flat on ", "4000 hashes, radius 31", "all equal", "bytes a hash", "batches of 1, 2 threads"]
    {
        assert!(table.contains(expected), "{expected}: {table}");
    }
}

#[test]
fn damaged_files_and_files_of_another_run_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path(), "uniform");
    let arguments = index(&data, "flat");
    let with = |ending: &str| PathBuf::from(format!("{}{ending}", data.display()));
    let damage = |ending: &str, change: &dyn Fn(&mut Vec<u8>), expected: &str| {
        let path = with(ending);
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        change(&mut damaged);
        std::fs::write(&path, damaged).unwrap();
        let refusal = refusal(&arguments);
        assert!(refusal.contains(path.to_str().unwrap()) && refusal.contains(expected), "{refusal}");
        std::fs::write(&path, whole).unwrap();
    };
    damage("", &|bytes| bytes.truncate(4_001), "not a whole number of 32-byte hashes");
    damage("", &|bytes| bytes.truncate(32), "damaged or of another run");
    damage("", &|bytes| bytes[77] ^= 1, "damaged or of another run");
    damage(".queries", &|bytes| bytes[77] ^= 1, "does not hold the answers to");
    damage(".queries", &|bytes| bytes.truncate(320), "does not hold the answers to");
    damage(".answers", &|bytes| bytes[777] ^= 1, "is damaged: its checksum is wrong");
    damage(".answers", &|bytes| bytes.truncate(20), "is damaged");
    succeed(&arguments);
}

#[test]
fn an_engine_without_files_refuses_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = data(folder.path(), "uniform");
    let directory = folder.path().join("index");
    let mut arguments = index(&data, "flat");
    arguments.extend(["--directory", directory.to_str().unwrap()]);
    assert!(refusal(&arguments).contains("keeps nothing on disk"));
    std::fs::write(directory.join("other"), []).unwrap();
    assert!(refusal(&arguments).contains("is not empty"));
}
