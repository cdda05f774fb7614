//! The effect of an interrupt (Ctrl-C) on commands of the real binary.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use vigie_harness::binary::{run, vigie_binary};
use vigie_harness::up::UpProcess;

/// The time limit, which only a stuck process exceeds.
const WITHIN: Duration = Duration::from_secs(60);

fn interrupt(child: &Child) {
    kill_process(Pid::from_child(child), Signal::INT).unwrap();
}

/// Waits for the end of a process, and returns its exit code.
fn code_of(child: &mut Child) -> i32 {
    let deadline = Instant::now() + WITHIN;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().unwrap();
        }
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("it goes on after the interrupt");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_cluster_that_is_interrupted_as_it_becomes_ready_stops() {
    for _ in 0..3 {
        let data = tempfile::tempdir().unwrap();
        let mut up = Command::new(vigie_binary())
            .args(["up", "--json", "--port", "0", "--data", data.path().to_str().unwrap()])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(up.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        interrupt(&up);
        assert_eq!(code_of(&mut up), 0);
        let mut logged = String::new();
        up.stderr.take().unwrap().read_to_string(&mut logged).unwrap();
        assert!(!logged.contains("WARN"), "parts that stop are nothing to warn of: {logged}");
    }
}

#[test]
fn an_import_that_is_interrupted_says_how_to_go_on_and_nothing_is_added_twice() {
    let data = tempfile::tempdir().unwrap();
    let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
    run(&["bank", "create", "known"], &up.environment()).unwrap();
    let csv: String = (0..6_000).map(|number| format!("{number:064x}\n")).collect();
    let file = data.path().join("hashes.csv");
    std::fs::write(&file, &csv).unwrap();

    let mut import = Command::new(vigie_binary())
        .args(["item", "add", "known", "--json", "--type", "pdq", "--hashes", "-"])
        .envs(up.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Some batches without an end of input, so that the import waits for more.
    let mut stdin = import.stdin.take().unwrap();
    stdin
        .write_all(csv.lines().take(3_500).map(|line| format!("{line}\n")).collect::<String>().as_bytes())
        .unwrap();
    let items = || {
        let shown = run(&["bank", "show", "known", "--json"], &up.environment()).unwrap();
        shown.json().unwrap()[0]["items"].as_u64().unwrap()
    };
    let deadline = Instant::now() + WITHIN;
    while items() < 2_000 {
        assert!(Instant::now() < deadline, "nothing is added");
    }
    interrupt(&import);
    assert_eq!(code_of(&mut import), 130);
    drop(stdin);
    let (mut stdout, mut stderr) = (String::new(), String::new());
    import.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
    import.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    let report: serde_json::Value = serde_json::from_str(stdout.lines().last().unwrap()).unwrap();
    let line = report["stopped_after_line"].as_u64().unwrap();
    assert_eq!((report["added"].as_u64(), items()), (Some(line), line), "{report}");
    assert!((2_000..=3_500).contains(&line), "{report}");
    assert!(stderr.contains(&format!("the same command with --after-line {line} adds the rest")), "{stderr}");

    let line = line.to_string();
    let file = file.to_str().unwrap();
    let rest = ["item", "add", "known", "--type", "pdq", "--hashes", file, "--after-line", &line];
    assert_eq!(run(&rest, &up.environment()).unwrap().code, 0);
    assert_eq!(items(), 6_000);
    up.kill().unwrap();
}
