//! `vigie-loadtest` against a running cluster, as people use it: what it lists, what it leaves behind and
//! what it removes.

use std::io::{self, BufRead as _, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use vigie_harness::binary::{Finished, loadtest_binary, run, run_of, vigie_binary};
use vigie_harness::up::UpProcess;

fn loadtest(args: &[&str]) -> Finished {
    run_of(loadtest_binary(), args, &[]).unwrap()
}

fn up() -> (tempfile::TempDir, UpProcess) {
    let data = tempfile::tempdir().unwrap();
    let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
    (data, up)
}

fn banks(up: &UpProcess) -> Vec<String> {
    let listed = run(&["--json", "bank", "list"], &up.environment()).unwrap().json().unwrap();
    listed.iter().map(|bank| bank["bank"].as_str().unwrap().to_owned()).collect()
}

/// Returns the arguments of a small run against a cluster.
fn small<'a>(up: &'a UpProcess, out: &'a str, duration: &'a str) -> Vec<&'a str> {
    vec![
        "run",
        "smoke",
        "--target",
        &up.frontend,
        "--bank-url",
        &up.bank,
        "--plain",
        "--out",
        out,
        "--set",
        "data.hashes=2000",
        "--set",
        "data.pictures=1",
        "--set",
        "mix.image=0",
        "--set",
        "drive.warm_up=1s",
        "--set",
        duration,
        "--set",
        "arrivals.rate=20",
    ]
}

/// Starts a process; returns it and the lines of its standard error.
fn start(args: &[&str]) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = Command::new(loadtest_binary())
        .args(args)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, lines)
}

/// Waits until a run sends requests, and returns its first lines.
fn until_it_sends(lines: &mut impl Iterator<Item = io::Result<String>>) -> String {
    let mut said = String::new();
    for line in lines {
        let line = line.unwrap();
        said.push_str(&line);
        if line.contains(" answered ") {
            return said;
        }
    }
    panic!("the run ended: {said}");
}

/// Waits for the end of a process; returns its exit code and the remaining lines.
fn end(mut child: Child, lines: impl Iterator<Item = io::Result<String>>) -> (Option<i32>, String) {
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    (child.wait().unwrap().code(), rest.join("\n"))
}

#[test]
fn scenarios_are_listed_where_none_or_an_unknown_one_is_named_and_in_the_help() {
    for args in [&["run"][..], &["run", "nothing"], &["find-max", "nothing", "--p99", "1s"]] {
        let finished = loadtest(args);
        assert_eq!(finished.code, 2, "{}", finished.stderr);
        let listed = finished.stderr.lines().filter(|line| line.starts_with("  ")).count();
        assert_eq!(listed, 11, "{}", finished.stderr);
        assert!(finished.stderr.contains("  rolling-restart "), "{}", finished.stderr);
    }
    for args in [["run", "--help"], ["find-max", "--help"]] {
        let help = loadtest(&args).lines.join("\n");
        assert!(help.contains("  rolling-restart ") && help.contains("  images "), "{help}");
    }
    let help = loadtest(&["--help"]).lines.join("\n");
    assert!(help.contains("  98  not measurable here") && help.contains("  99  a threshold"), "{help}");
}

#[test]
fn what_runs_leave_is_listed_first_and_then_removed_and_nothing_else_is() {
    let (_data, up) = up();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().display().to_string();
    let url = up.bank.clone();
    // Banks of other users, with names like those of runs.
    for name in ["known", "load-live-members", "load-pdq-5-0-seed-9"] {
        run(&["bank", "create", name], &up.environment()).unwrap();
    }
    let hashes = folder.path().join("hashes.csv");
    std::fs::write(&hashes, format!("pdq,external_reference\n{},r0\n", "a5".repeat(32))).unwrap();
    let add = ["item", "add", "load-pdq-5-0-seed-9", "--hashes", hashes.to_str().unwrap()];
    assert_eq!(run(&add, &up.environment()).unwrap().code, 0);
    let theirs = ["known", "load-live-members", "load-pdq-5-0-seed-9"];

    // A run that is stopped once removes its own bank and prints how to remove the data.
    let (running, mut lines) = start(&small(&up, &out, "drive.duration=60s"));
    until_it_sends(&mut lines);
    kill_process(Pid::from_child(&running), Signal::INT).unwrap();
    let (code, said) = end(running, lines);
    assert_eq!(code, Some(130), "{said}");
    let data = "load-pdq-2000-1-seed-1";
    let command = format!("vigie-loadtest cleanup --bank-url {url} --remove {data}");
    assert!(said.lines().any(|line| line.trim() == command), "{said}");
    assert_eq!(banks(&up), [&theirs[..], &[data]].concat());

    // A run that is killed removes nothing.
    let (mut killed, mut lines) = start(&small(&up, &out, "drive.duration=60s"));
    until_it_sends(&mut lines);
    killed.kill().unwrap();
    end(killed, lines);
    let live = banks(&up).pop().unwrap();
    assert!(live.starts_with("load-live-"), "{live}");

    let listed = loadtest(&["cleanup", "--bank-url", &url]);
    assert_eq!(listed.code, 0, "{}", listed.stderr);
    let text = listed.lines.join("\n");
    assert!(text.contains(data) && text.contains(&live) && text.contains("nothing is removed yet"), "{text}");
    assert!(text.contains("kept     load-pdq-5-0-seed-9: item "), "{text}");
    assert!(listed.lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(banks(&up).len(), 5);

    // One bank is removed by its name; a bank that no run has made never is.
    let removed = loadtest(&["cleanup", "--bank-url", &url, "--remove", &live]);
    assert_eq!(removed.code, 0, "{}", removed.stderr);
    assert_eq!(banks(&up), [&theirs[..], &[data]].concat());
    let refused = loadtest(&["cleanup", "--bank-url", &url, "--remove", "known"]);
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("no run gives a bank the name known"), "{}", refused.stderr);
    let removed = loadtest(&["cleanup", "--bank-url", &url, "--remove", "--json"]);
    let removed = &removed.json().unwrap()[0];
    assert_eq!(
        (removed["removed"].as_bool(), removed["banks"][0]["bank"].as_str()),
        (Some(true), Some(data))
    );
    assert_eq!(removed["kept"][0]["bank"], "load-pdq-5-0-seed-9");
    assert_eq!(banks(&up), theirs);
    let nothing = loadtest(&["cleanup", "--bank-url", &url]);
    assert!(nothing.lines.last().unwrap().starts_with("no run has left anything"), "{:?}", nothing.lines);
}

#[test]
fn a_search_writes_its_curve_and_the_reason_why_there_is_no_more() {
    let (_data, up) = up();
    let folder = tempfile::tempdir().unwrap();
    let (out, again) = (folder.path().join("found"), folder.path().join("again"));
    // No rate holds: on every machine half of the answers take more than a microsecond.
    let arguments = [
        "find-max",
        "steady",
        "--p50",
        "1us",
        "--from",
        "20",
        "--step",
        "1s",
        "--pause",
        "0s",
        "--target",
        &up.frontend,
        "--bank-url",
        &up.bank,
        "--set",
        "data.hashes=2000",
        "--set",
        "drive.warm_up=1s",
        "--out",
        out.to_str().unwrap(),
    ];
    let finished = loadtest(&arguments);
    let text = finished.lines.join("\n");
    assert!(matches!(finished.code, 98 | 99), "{} {text}", finished.stderr);
    assert!(text.contains("offered    achieved"), "{text}");
    assert!(
        finished.lines.iter().all(|line| line.chars().count() <= 80 || line.contains("report:")),
        "{text}"
    );
    let result: serde_json::Value =
        serde_json::from_slice(&std::fs::read(out.join("result.json")).unwrap()).unwrap();
    assert_eq!(
        (result["highest_rate"].as_f64(), result["schema"].as_str()),
        (None, Some("vigie-loadtest-max/1"))
    );
    let steps = result["tried"].as_array().unwrap();
    assert!(steps.len() >= 4 && steps[0]["p50_ms"].is_number(), "{steps:?}");
    assert!(result["because"].as_str().unwrap().contains("p50 <= 1us"), "{result}");
    let text_of = |folder: &Path, name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    assert!(text_of(&out, "report.html").contains("Offered and achieved rate"));
    let report = ["report", out.join("result.json").to_str().unwrap(), "--out", again.to_str().unwrap()]
        .map(str::to_owned);
    let report: Vec<&str> = report.iter().map(String::as_str).collect();
    assert_eq!(loadtest(&report).code, finished.code);
    assert!(text_of(&again, "report.html").contains("Offered and achieved rate"));
    assert_eq!(text_of(&again, "summary.md"), text_of(&out, "summary.md"));
}

#[test]
fn two_gateways_are_filled_through_their_api_and_compared_in_turns() {
    let (_one, one) = up();
    let (_other, other) = up();
    let folder = tempfile::tempdir().unwrap();
    let ids = ["one.csv", "other.csv"].map(|name| folder.path().join(name).display().to_string());
    let arguments = |call: &'static str| {
        let targets = ["--target", &one.http, "--ids", &ids[0], "--target", &other.http, "--ids", &ids[1]];
        let fixed =
            ["--call", call, "--fill", "LOAD", "--hashes", "300", "--rounds", "1", "--duration", "1s"];
        [&["versus", "--json", "--connections", "2"], &targets[..], &fixed].concat()
    };
    // The first call fills both banks, and the second reads the ids from the files.
    for call in ["raw-lookup", "lookup"] {
        let finished = loadtest(&arguments(call));
        assert_eq!(finished.code, 0, "{call}: {}", finished.stderr);
        let rows = finished.json().unwrap();
        let rows = rows[0].as_array().unwrap();
        assert_eq!(rows.len(), 2, "{rows:?}");
        for row in rows {
            let turn = &row["turns"][0];
            assert!(turn["sent"].as_u64() > Some(20), "{call}: {turn}");
            for figure in ["refused", "failed", "wrong", "missed"] {
                assert_eq!(turn[figure], 0, "{call}: {figure} of {turn}");
            }
        }
    }
    // The same data by gRPC, with the ids from the bank.
    let grpc = folder.path().join("grpc.csv").display().to_string();
    let (_third, third) = up();
    let data = ["data", "--shape", "pdq", "--hashes", "300", "--bank-url", &third.bank, "--ids", &grpc];
    assert_eq!(loadtest(&data).code, 0);
    let targets =
        ["versus", "--target", &one.http, "--ids", &ids[0], "--target", &third.http, "--ids", &grpc];
    let short = ["--hashes", "300", "--rounds", "1", "--duration", "1s", "--connections", "1"];
    let finished = loadtest(&[&targets[..], &short].concat());
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let text = finished.lines.join("\n");
    assert!(text.contains("B/A") && text.lines().all(|line| line.chars().count() <= 80), "{text}");
}

/// The run's own cluster with four members, two of which have a policy, and which record opinions meanwhile.
#[test]
fn members_ask_as_a_consortium_does_and_each_verdict_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let (out, vigie) = (folder.path().join("out"), vigie_binary().to_str().unwrap().to_owned());
    let settings = [
        "data.hashes=2000",
        "questions.matching=0.5",
        "drive.warm_up=1s",
        "drive.duration=3s",
        "arrivals.rate=50",
        // The thresholds have no latencies, because the machine may be busy.
        "thresholds=['misjudged == 0', 'missed == 0', 'false == 0', 'rate > 0']",
    ];
    let mut args = vec!["run", "consortium", "--vigie", &vigie, "--plain", "--out", out.to_str().unwrap()];
    settings.iter().for_each(|setting| args.extend(["--set", setting]));
    let ran = loadtest(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let result = std::fs::read(out.join("result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    let verdict = &result["record"]["totals"]["verdict"];
    let count = |name: &str| verdict[name].as_u64().unwrap();
    assert!(count("decided") > 0 && count("decided") < count("judged"), "{verdict}");
    assert!(count("right") > 0 && count("misjudged") == 0, "{verdict}");
    let said = result["faults"][0]["what"].as_str().unwrap();
    assert!(said.ends_with("opinions put") && !said.starts_with("0 "), "{said}");
    // A given target has no members whose credentials the run could use.
    let refused = loadtest(&["run", "consortium", "--target", "http://127.0.0.1:1"]);
    assert!(refused.stderr.contains("only in its own cluster"), "{}", refused.stderr);
}

/// The run's own cluster with videos, and with pictures that match no video.
#[test]
fn videos_are_asked_about_and_each_answer_is_held_against_all_frames() {
    let folder = tempfile::tempdir().unwrap();
    let (out, vigie) = (folder.path().join("out"), vigie_binary().to_str().unwrap().to_owned());
    let settings = [
        "data.hashes=500",
        "data.videos=100",
        "data.video_frames=24",
        "questions.pool=50",
        "questions.videos=60",
        "drive.warm_up=1s",
        "drive.duration=3s",
        "arrivals.rate=30",
        // The thresholds have no latencies, because the machine may be busy.
        "thresholds=['missed == 0', 'false == 0', 'wrong_distance == 0', 'wrong_evidence == 0', 'incomplete == 0', 'rate > 0']",
    ];
    let mut args = vec!["run", "videos", "--vigie", &vigie, "--plain", "--out", out.to_str().unwrap()];
    settings.iter().for_each(|setting| args.extend(["--set", setting]));
    let ran = loadtest(&args);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    let result = std::fs::read(out.join("result.json")).unwrap();
    let result: serde_json::Value = serde_json::from_slice(&result).unwrap();
    let of_videos = &result["by_kind"]["video"];
    assert!(of_videos["answered"].as_u64().unwrap() > 0, "{of_videos}");
    assert!(result["record"]["totals"]["verdict"]["right"].as_u64().unwrap() > 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("60 videos that are asked about match"), "{}", ran.stderr);
}
