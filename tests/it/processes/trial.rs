//! `vigie try` leaves nothing behind: no bank, no file, no process, whatever ends it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use vigie_harness::binary::{run, vigie_binary};
use vigie_harness::up::UpProcess;

/// The time limit, which only a stuck process exceeds.
const WITHIN: Duration = Duration::from_secs(60);
/// A variable that marks the processes of one trial.
const MARK: &str = "VIGIE_TEST_OF_TRIALS";

/// A cluster, and a folder for the temporary files of trials.
struct TrialBed {
    up: UpProcess,
    _data: tempfile::TempDir,
    temporary: tempfile::TempDir,
}

impl TrialBed {
    fn new() -> Self {
        let data = tempfile::tempdir().unwrap();
        let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
        Self { up, _data: data, temporary: tempfile::tempdir().unwrap() }
    }

    fn start(&self, args: &[&str]) -> Child {
        Command::new(vigie_binary())
            .arg("try")
            .args(args)
            .envs(self.up.environment())
            .env("TMPDIR", self.temporary.path())
            .env(MARK, self.temporary.path())
            .current_dir(self.temporary.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Returns names and item counts of the banks.
    fn banks(&self) -> Vec<(String, u64)> {
        let listed = run(&["--json", "bank", "list"], &self.up.environment()).unwrap();
        assert_eq!(listed.code, 0, "{}", listed.stderr);
        let banks = listed.json().unwrap();
        let bank = |bank: &serde_json::Value| {
            (bank["bank"].as_str().unwrap().to_owned(), bank["items"].as_u64().unwrap())
        };
        banks.iter().map(bank).collect()
    }

    fn wait_for_banks(&self, what: &str, are_there: impl Fn(&[(String, u64)]) -> bool) {
        let deadline = Instant::now() + WITHIN;
        loop {
            let banks = self.banks();
            if are_there(&banks) {
                return;
            }
            assert!(Instant::now() < deadline, "{what}: {banks:?}");
        }
    }

    fn check_no_file_and_no_process(&self) {
        let files: Vec<_> = std::fs::read_dir(self.temporary.path()).unwrap().collect();
        assert!(files.is_empty(), "{files:?}");
        let mark = format!("{MARK}={}", self.temporary.path().display());
        let left: Vec<_> = std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(Result::ok)
            .filter(|process| has_environment(&process.path(), &mark))
            .collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

fn has_environment(process: &Path, variable: &str) -> bool {
    let environment = std::fs::read(process.join("environ")).unwrap_or_default();
    environment.split(|byte| *byte == 0).any(|one| one == variable.as_bytes())
}

fn end(mut child: Child) -> (Option<i32>, String) {
    let deadline = Instant::now() + WITHIN;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            panic!("the trial does not end");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

/// Returns a frontend that accepts connections and never answers: a trial waits for it with its item in the
/// bank.
fn silent() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (listener, url)
}

#[test]
fn a_trial_that_succeeds_or_fails_leaves_no_bank_no_file_and_no_process() {
    let place = TrialBed::new();
    let (code, said) = end(place.start(&[]));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(place.banks(), []);
    place.check_no_file_and_no_process();

    let (code, said) = end(place.start(&["--frontend", "http://127.0.0.1:1", "--timeout-ms", "2000"]));
    assert_eq!(code, Some(4), "{said}");
    let (_listener, frontend) = silent();
    let (code, said) = end(place.start(&["--frontend", &frontend, "--timeout-ms", "2000"]));
    assert_eq!(code, Some(4), "{said}");
    assert!(!said.contains("may still be there"), "{said}");
    assert_eq!(place.banks(), []);
    place.check_no_file_and_no_process();
}

#[test]
fn a_trial_in_a_bank_that_is_there_leaves_the_bank_and_takes_its_item() {
    let place = TrialBed::new();
    run(&["bank", "create", "ours"], &place.up.environment()).unwrap();
    for args in [["--bank", "ours"], ["--bank", "new"]] {
        let (code, said) = end(place.start(&args));
        assert_eq!(code, Some(0), "{said}");
        assert_eq!(place.banks(), [("ours".to_owned(), 0)]);
    }
    let (_listener, frontend) = silent();
    let trial = place.start(&["--bank", "ours", "--frontend", &frontend]);
    place.wait_for_banks("the item", |banks| banks == [("ours".to_owned(), 1)]);
    kill_process(Pid::from_child(&trial), Signal::INT).unwrap();
    assert_eq!(end(trial).0, Some(130));
    assert_eq!(place.banks(), [("ours".to_owned(), 0)]);
}

#[test]
fn a_trial_that_is_stopped_removes_what_it_has_added() {
    let place = TrialBed::new();
    let (_listener, frontend) = silent();
    for signal in [Signal::INT, Signal::TERM] {
        let trial = place.start(&["--frontend", &frontend]);
        place.wait_for_banks("the item", |banks| matches!(banks, [(_, 1)]));
        kill_process(Pid::from_child(&trial), signal).unwrap();
        let (code, said) = end(trial);
        assert_eq!(code, Some(130), "{said}");
        assert!(said.contains("what this trial has added is removed"), "{said}");
        assert_eq!(place.banks(), []);
        place.check_no_file_and_no_process();
    }
}

/// Signals at moments other than the wait for the answer: before, between and after the writes.
#[test]
fn a_trial_that_is_stopped_at_any_moment_leaves_nothing() {
    let place = TrialBed::new();
    let (_listener, frontend) = silent();
    let begun = Instant::now();
    end(place.start(&["--timeout-ms", "20000"]));
    let whole = begun.elapsed();
    for part in 0..12 {
        let trial = place.start(&["--frontend", &frontend]);
        std::thread::sleep(whole * part / 8);
        kill_process(Pid::from_child(&trial), Signal::TERM).unwrap();
        let (code, said) = end(trial);
        // Before the program handles signals, the signal itself ends it.
        assert!(matches!(code, Some(130) | None), "{code:?} {said}");
        assert_eq!(place.banks(), [], "{said}");
    }
    place.check_no_file_and_no_process();
}

#[test]
fn a_trial_that_is_killed_leaves_its_bank_which_a_later_one_deletes() {
    let place = TrialBed::new();
    run(&["bank", "create", "vigie-try"], &place.up.environment()).unwrap();
    let (_listener, frontend) = silent();
    let mut trial = place.start(&["--frontend", &frontend, "--timeout-ms", "4000"]);
    place.wait_for_banks("the item", |banks| matches!(banks, [_, (_, 1)]));
    trial.kill().unwrap();
    assert_eq!(end(trial).0, None);
    place.check_no_file_and_no_process();
    let (name, items) = place.banks().pop().unwrap();
    assert!(name.starts_with("vigie-try-4000ms-") && items == 1, "{name}");

    // A trial that may still be running is not touched.
    let (code, said) = end(place.start(&[]));
    assert_eq!((code, said.contains("deleted")), (Some(0), false), "{said}");
    let deadline = Instant::now() + WITHIN;
    while place.banks().len() > 1 {
        assert!(Instant::now() < deadline, "{:?}", place.banks());
        let (code, said) = end(place.start(&[]));
        assert_eq!(code, Some(0), "{said}");
    }
    assert_eq!(place.banks(), [("vigie-try".to_owned(), 0)], "a bank of that name is anybody's");
}
