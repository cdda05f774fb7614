//! Commands of the real binary: without a server, with a wrong server, and with various inputs.

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use vigie_harness::binary::{Finished, run, vigie_binary};
use vigie_harness::up::UpProcess;
use vigie_pictures::{draw, encode_jpeg, encode_png};

/// An address at which nothing listens.
const NOWHERE: &str = "http://127.0.0.1:1";

fn start() -> (tempfile::TempDir, UpProcess) {
    let data = tempfile::tempdir().unwrap();
    let up = UpProcess::start_with(vigie_binary(), data.path(), &["--shards", "4"]).unwrap();
    (data, up)
}

fn text(args: &[&str], up: &UpProcess) -> Finished {
    run(args, &up.environment()).unwrap()
}

fn json(args: &[&str], up: &UpProcess) -> (i32, Vec<serde_json::Value>) {
    let finished = text(&[&["--json"], args].concat(), up);
    (finished.code, finished.json().unwrap())
}

/// Runs a command with this standard input.
fn fed(args: &[&str], input: &[u8], up: &UpProcess) -> Finished {
    let mut child = Command::new(vigie_binary())
        .args(args)
        .envs(up.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    Finished {
        code: output.status.code().unwrap(),
        lines: String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, bytes).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn the_status_shows_what_answers_and_a_line_for_what_does_not() {
    let (_data, up) = start();
    let begun = Instant::now();
    let finished = text(&["status", "--bank-url", NOWHERE], &up);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    let bank = &finished.lines[0];
    assert!(
        bank.starts_with("bank         NO ANSWER  cannot reach the bank at http://127.0.0.1:1: "),
        "{bank}"
    );
    assert!(finished.lines[1].ends_with("  4 shards"), "{:?}", finished.lines);
    let ready = finished.lines.iter().filter(|line| line.contains("  ready  ")).count();
    assert_eq!(ready, 4, "{:?}", finished.lines);

    let finished = text(&["status", "--coordinator", NOWHERE], &up);
    let [bank, coordinator, frontend] = &finished.lines[..] else { panic!("{:?}", finished.lines) };
    assert_eq!(finished.code, 4);
    assert!(bank.contains("sequence") && coordinator.contains("NO ANSWER"), "{:?}", finished.lines);
    assert!(frontend.starts_with("frontend     http://") && frontend.contains("  videos "), "{frontend}");
    let finished = text(&["status", "--frontend", NOWHERE], &up);
    assert_eq!(finished.code, 0, "others may be reached: {}", finished.stderr);
    assert!(finished.lines[2].starts_with("frontend     NO ANSWER  "), "{:?}", finished.lines);

    let (code, lines) = json(&["status", "--bank-url", NOWHERE], &up);
    let status = &lines[0];
    assert_eq!(
        (code, status["complete"].as_bool(), status["shard_count"].as_u64()),
        (4, Some(true), Some(4))
    );
    assert_eq!(
        (&status["sequence"], &status["unanswered"][0]["part"]),
        (&serde_json::Value::Null, &"bank".into())
    );
    assert_eq!(status["unanswered"][0]["error"]["code"], "unavailable");
    up.kill().unwrap();
}

#[test]
fn a_command_gives_up_soon_where_nothing_listens_and_says_what_it_waits_for_where_nothing_answers() {
    vigie_binary();
    for args in
        [&["bank", "list"][..], &["item", "show", "1"], &["item", "find", "x"], &["bank", "create", "a"]]
    {
        let begun = Instant::now();
        let finished = run(&[args, &["--bank-url", NOWHERE]].concat(), &[]).unwrap();
        assert_eq!(finished.code, 4, "{}", finished.stderr);
        assert!(begun.elapsed() < Duration::from_secs(10), "{args:?}: {:?}", begun.elapsed());
        let last = finished.stderr.lines().last().unwrap();
        assert!(last.contains("cannot reach the bank at http://127.0.0.1:1: "), "{last}");
    }
    let patient = ["bank", "list", "--bank-url", NOWHERE, "--connect-timeout-ms", "3000"];
    let finished = run(&patient, &[]).unwrap();
    assert!(finished.stderr.contains("; trying again, for "), "{}", finished.stderr);

    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for (service, args) in [
        ("bank", ["bank", "list", "--timeout-ms", "2500", "--bank-url", &url]),
        (
            "frontend",
            ["match", "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd", "--timeout-ms", "2500", "--frontend", &url],
        ),
    ] {
        let finished = run(&args, &[]).unwrap();
        assert_eq!(finished.code, 4, "{}", finished.stderr);
        let waiting = format!("waiting for the {service} at {url}, for ");
        assert!(finished.stderr.starts_with(&waiting), "{}", finished.stderr);
    }
}

#[test]
fn an_address_of_another_service_is_named_as_that() {
    let (_data, up) = start();
    let hash = "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd";
    let wrong = |args: &[&str], said: &str| {
        let finished = text(args, &up);
        assert_eq!(finished.code, 1, "{args:?}: {}", finished.stderr);
        let shown = finished.lines.join("\n") + &finished.stderr;
        assert!(shown.contains(said), "{args:?}: {shown}");
        assert!(shown.contains("hint: --frontend"), "{args:?}: {shown}");
    };
    wrong(&["match", hash, "--frontend", &up.bank], "a bank answers at this address, and no frontend");
    wrong(
        &["match", hash, "--frontend", &up.coordinator],
        "a coordinator answers at this address, and no frontend",
    );
    wrong(&["bank", "list", "--bank-url", &up.frontend], "a frontend answers at this address, and no bank");
    wrong(&["status", "--coordinator", &up.bank], "a bank answers at this address, and no coordinator");
    wrong(&["try", "--bank-url", &up.frontend], "a frontend answers at this address, and no bank");
    up.kill().unwrap();
}

#[test]
fn of_several_banks_the_one_that_answers_is_found() {
    let (_data, up) = start();
    let banks = format!("{NOWHERE},{}", up.bank);
    let begun = Instant::now();
    let finished = text(&["bank", "create", "known", "--bank-url", &banks], &up);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    let finished = text(&["status", "--bank-url", &banks], &up);
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    assert!(finished.lines[0].contains(&up.bank), "{:?}", finished.lines);
    let nobody = format!("{NOWHERE},http://127.0.0.1:2");
    let finished = text(&["bank", "list", "--bank-url", &nobody], &up);
    assert!(
        finished.stderr.contains("127.0.0.1:1") && finished.stderr.contains("127.0.0.1:2"),
        "{}",
        finished.stderr
    );
    up.kill().unwrap();
}

#[test]
fn hashes_are_matched_and_their_items_found() {
    let (_data, up) = start();
    let folder = tempfile::tempdir().unwrap();
    json(&["bank", "create", "known"], &up);
    json(&["bank", "create", "other"], &up);
    let picture = write(folder.path(), "lighthouse.jpg", &encode_jpeg(&draw(2, 640, 480), 95));
    let (_, added) = json(&["item", "add", "known", &picture, "--label", "drawn"], &up);
    let (item, sequence) = (&added[0]["item_id"], added[0]["sequence"].as_u64().unwrap().to_string());
    json(&["item", "add", "other", &picture], &up);
    json(&["bank", "disable", "other"], &up);
    let hashed = text(&["hash", "--json", &picture], &up);
    let hashes = &hashed.json().unwrap()[0];
    let [pdq, md5] = ["pdq", "md5"].map(|name| hashes[name].as_str().unwrap().to_owned());

    let (code, matched) =
        json(&["match", &pdq, &md5, &format!("md5:{md5}"), &picture, "--min-sequence", &sequence], &up);
    assert_eq!((code, matched.len()), (0, 4));
    for (line, name) in matched.iter().zip([Some(&pdq), Some(&md5), None, None]) {
        assert_eq!(&line["matches"][0]["item_id"], item, "{line}");
        assert!(name.is_none_or(|name| line["hash"] == **name), "{line}");
    }
    assert_eq!(matched[3]["file"], *picture);
    let shown = text(&["match", &pdq, &picture], &up);
    assert!(shown.lines[0].starts_with(&format!("{pdq}: KNOWN, item {item} of known")), "{:?}", shown.lines);
    assert!(shown.lines[2].starts_with("1 file, 1 hash: 2 known"), "{:?}", shown.lines);

    // Standard input: lines of several kinds, one of them wrong; and an image.
    let lines = format!("{md5}  a name\nnonsense\n{}\n", hashed.lines[0]);
    let finished = fed(&["match", "--json", "-"], lines.as_bytes(), &up);
    let matched = finished.json().unwrap();
    assert_eq!((finished.code, matched.len()), (3, 3), "{}", finished.stderr);
    assert_eq!((&matched[0]["line"], &matched[0]["name"]), (&1.into(), &"a name".into()));
    assert_eq!((&matched[0]["matches"][0]["item_id"], &matched[2]["matches"][0]["item_id"]), (item, item));
    assert_eq!(matched[1]["error"]["code"], "bad_line");
    assert_eq!(
        fed(&["match", "-", "--exit-code"], lines.as_bytes(), &up).code,
        10,
        "a match says more than a fault"
    );
    let finished = fed(&["match", "-"], &std::fs::read(&picture).unwrap(), &up);
    assert!(finished.lines[0].starts_with("-: KNOWN"), "{:?}", finished.lines);

    // Finds items in every bank, enabled or not.
    for what in [&*pdq, &*md5, &*format!("md5:{md5}"), "lighthouse.jpg"] {
        let (code, found) = json(&["item", "find", what], &up);
        assert_eq!((code, found.len()), (0, 2), "{what}: {found:?}");
        assert_eq!((&found[0]["item_id"], found[1]["bank"].as_str()), (item, Some("other")));
        let (_, found) = json(&["item", "find", what, "--bank", "known"], &up);
        assert_eq!(found.len(), 1);
    }
    let (_, found) = json(&["item", "find", "drawn"], &up);
    assert_eq!((found.len(), &found[0]["item_id"]), (1, item));
    let first = text(&["item", "find", "lighthouse.jpg", "--limit", "1"], &up);
    assert_eq!(first.lines.len(), 1);
    assert!(first.stderr.contains(&format!("go on with --after {item}")), "{}", first.stderr);
    let rest = json(&["item", "find", "lighthouse.jpg", "--after", &item.to_string()], &up).1;
    assert_eq!((rest.len(), rest[0]["bank"].as_str()), (1, Some("other")));
    let nothing = text(&["item", "find", "lighthouse"], &up);
    assert_eq!((nothing.code, &*nothing.lines[0]), (0, "no item has that hash, external reference or label"));
    assert_eq!(text(&["item", "find", "x", "--bank", "nowhere"], &up).code, 1);
    up.kill().unwrap();
}

#[test]
fn folders_are_taken_everywhere_and_what_is_no_image_in_them_is_no_failure() {
    let (_data, up) = start();
    let folder = tempfile::tempdir().unwrap();
    json(&["bank", "create", "known"], &up);
    write(folder.path(), "a.png", &encode_png(&draw(1, 320, 240)));
    write(folder.path(), "deep/b.png", &encode_png(&draw(2, 320, 240)));
    let notes = write(folder.path(), "notes.txt", b"remember the milk");
    write(folder.path(), ".keep", b"");
    write(folder.path(), "video.bin", &vec![7; 20_000_001]);
    let all = folder.path().to_str().unwrap();
    let said = "3 files in folders are no images, and left out";

    let hashed = text(&["hash", all, "--json"], &up);
    assert_eq!((hashed.code, hashed.lines.len()), (0, 2), "{}", hashed.stderr);
    assert!(hashed.stderr.contains(said), "{}", hashed.stderr);
    let added = text(&["item", "add", "known", all, "--json"], &up);
    assert_eq!((added.code, added.lines.len()), (0, 2), "{}", added.stderr);
    assert!(added.stderr.contains(said), "{}", added.stderr);
    let sequence = added.json().unwrap()[1]["sequence"].as_u64().unwrap().to_string();

    let matched = text(&["match", all, "--min-sequence", &sequence], &up);
    assert_eq!((matched.code, matched.lines.len()), (0, 3), "{:?} {}", matched.lines, matched.stderr);
    let summary = &matched.lines[2];
    assert!(
        summary.starts_with("2 files: 2 known, 0 not, 0 failed; 3 more files in folders are no image"),
        "{summary}"
    );
    assert_eq!(json(&["match", all], &up).1.len(), 5, "every file has its line of JSON");

    // A file that is named itself is not skipped.
    for args in [&["hash", &notes][..], &["item", "add", "known", &notes], &["match", &notes]] {
        assert_eq!(text(args, &up).code, 3, "{args:?}");
    }
    assert_eq!(text(&["match", all, &notes, "--exit-code"], &up).code, 10);
    up.kill().unwrap();
}
