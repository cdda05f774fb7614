//! The real binary, as scripts and people use it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use vigie_harness::binary::{Finished, run, vigie_binary};
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_harness::up::UpProcess;
use vigie_model::{Content, Partition, ShardCount};
use vigie_pictures::{Alteration, draw, encode_jpeg, encode_png};
use vigie_tests::material::{digest_types, hashes_of_a_picture, image_item};

fn json(args: &[&str], up: &UpProcess) -> (i32, Vec<serde_json::Value>) {
    let mut all = vec!["--json"];
    all.extend(args);
    let finished = run(&all, &up.environment()).unwrap();
    (finished.code, finished.json().unwrap())
}

fn text(args: &[&str], up: &UpProcess) -> Finished {
    run(args, &up.environment()).unwrap()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> (PathBuf, String) {
    let path = folder.join(name);
    std::fs::write(&path, bytes).unwrap();
    let shown = path.to_str().unwrap().to_owned();
    (path, shown)
}

#[test]
fn hashing_prints_one_line_of_json_for_each_file() {
    let folder = tempfile::tempdir().unwrap();
    let (_, good) = write(folder.path(), "a.png", &encode_png(&draw(1, 320, 240)));
    let (_, bad) = write(folder.path(), "b.png", b"not an image");
    let finished = run(&["hash", "--json", &good, &bad, "/nowhere"], &[]).unwrap();
    assert_eq!(finished.code, 3, "{}", finished.stderr);
    let lines = finished.json().unwrap();
    assert_eq!(lines.len(), 3);

    assert_eq!(lines[0]["file"], *good);
    assert_eq!((lines[0]["width"].as_u64(), lines[0]["height"].as_u64()), (Some(320), Some(240)));
    assert_eq!(lines[0]["variants"].as_array().unwrap().len(), 8);
    assert_eq!(lines[0]["variants"][0], lines[0]["pdq"]);
    assert_eq!(lines[0]["pdq"].as_str().unwrap().len(), 64);
    assert_eq!(lines[0]["md5"].as_str().unwrap().len(), 32);
    assert_eq!(lines[0]["sha256"].as_str().unwrap().len(), 64);
    assert!(lines[0]["quality"].as_u64().unwrap() >= 50);
    let mut keys: Vec<_> = lines[0].as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    let digests: Vec<String> = digest_types().iter().map(ToString::to_string).collect();
    // Both sides are below 640 pixels, so the picture is also hashed scaled up.
    let mut expected = vec!["file", "height", "pdq", "quality", "variants", "ways", "width"];
    expected.extend(digests.iter().map(String::as_str));
    expected.sort_unstable();
    assert_eq!(keys, expected);

    assert_eq!(
        (lines[1]["file"].as_str(), lines[1]["error"]["code"].as_str()),
        (Some(&*bad), Some("unknown_format"))
    );
    assert!(lines[1]["error"]["message"].as_str().unwrap().contains("JPEG"));
    assert_eq!(lines[2]["error"]["code"], "unreadable");
}

#[test]
fn a_running_cluster_is_tried_out_and_left_as_it_was() {
    let data = tempfile::tempdir().unwrap();
    let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
    for _ in 0..2 {
        let (code, tried) = json(&["try"], &up);
        assert_eq!(code, 0, "{tried:?}");
        assert_eq!(tried[0]["recognised"], true);
        assert_eq!(tried[0]["recognised_after_removal"], false);
    }
    let (_, banks) = json(&["bank", "list"], &up);
    assert_eq!(banks, Vec::<serde_json::Value>::new());
    let nowhere = text(&["try", "--bank-url", "http://127.0.0.1:1", "--timeout-ms", "300"], &up);
    assert_eq!(nowhere.code, 4, "{}", nowhere.stderr);
}

/// Runs the commands of the README in order, from an empty cluster to a deleted bank.
#[test]
fn the_commands_of_the_readme_work_in_their_order() {
    let data = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let up = UpProcess::start_with(vigie_binary(), data.path(), &["--shards", "4"]).unwrap();
    let original = draw(2, 640, 480);
    let (_, banked) = write(folder.path(), "original.jpg", &encode_jpeg(&original, 95));
    let copies = folder.path().join("copies");
    std::fs::create_dir_all(copies.join("deep")).unwrap();
    write(&copies, "1-copy.jpg", &Alteration::Rotated90.apply(&original));
    write(&copies, "2-other.jpg", &encode_jpeg(&draw(77, 640, 480), 90));
    write(&copies.join("deep"), "flat.png", &encode_png(&image::RgbImage::new(300, 300)));
    let copies = copies.to_str().unwrap();

    assert!(text(&["bank", "list"], &up).lines[0].contains("no banks yet"));
    let (code, made) = json(&["bank", "create", "known"], &up);
    assert_eq!((code, made[0]["bank"].as_str(), made[0]["items"].as_u64()), (0, Some("known"), Some(0)));
    assert_eq!(text(&["bank", "create", "known"], &up).code, 1);

    let (code, added) = json(&["item", "add", "known", "--label", "drawn", &banked], &up);
    assert_eq!(code, 0);
    let item = added[0]["item_id"].as_u64().unwrap();
    let sequence = added[0]["sequence"].as_u64().unwrap().to_string();

    let (code, matched) = json(&["match", copies, "--min-sequence", &sequence], &up);
    assert_eq!(code, 0);
    assert_eq!(matched.len(), 3, "folders are walked");
    assert_eq!(matched[0]["matches"][0]["item_id"], item);
    assert_eq!(matched[0]["matches"][0]["variant"], "rotate-90");
    assert_eq!(matched[0]["matches"][0]["labels"][0], "drawn");
    assert_eq!(matched[0]["matches"][0]["external_reference"], "original.jpg");
    assert_eq!(matched[0]["coverage"]["shards_answered"], 4);
    assert!(matched[0]["sequence"].as_u64().unwrap() >= sequence.parse().unwrap());
    assert_eq!(matched[1]["matches"].as_array().unwrap().len(), 0);
    assert_eq!(matched[2]["skipped"][0]["reason"], "quality_below_floor");
    assert_eq!(text(&["match", "--exit-code", copies], &up).code, 10);
    let printed = text(&["match", copies], &up);
    assert!(
        printed.lines[0].contains("KNOWN, item") && printed.lines[0].contains("rotate-90"),
        "{:?}",
        printed.lines
    );
    assert!(printed.lines[2].contains("only exact copies"), "{:?}", printed.lines);

    // An undecodable file is searched by its digests, and the answer reports the failure.
    let (_, broken) = write(folder.path(), "broken.bin", b"not an image");
    let (code, lines) = json(&["match", &broken], &up);
    assert_eq!((code, lines[0]["decode_failure"]["code"].as_str()), (3, Some("unknown_format")));
    assert_eq!(lines[0]["skipped"][0]["reason"], "not_decoded");
    let printed = text(&["match", &broken], &up);
    assert!(
        printed.lines[0].contains("nothing found") && printed.lines[0].contains("by its digests only"),
        "{:?}",
        printed.lines
    );
    assert!(
        printed.lines[1].contains("1 open") && printed.lines[1].contains("could not be decoded"),
        "{:?}",
        printed.lines
    );

    let (code, shown) = json(&["item", "show", &item.to_string()], &up);
    assert_eq!((code, shown[0]["hashes"].as_array().unwrap().len()), (0, hashes_of_a_picture()));
    let (_, listed) = json(&["item", "list", "known"], &up);
    // An item that is shown alone has more fields than in a list.
    let of_item = |line: &serde_json::Value| {
        let keys = ["added_at_unix_ms", "bank", "external_reference", "hashes", "item_id", "labels"];
        keys.map(|key| line[key].clone())
    };
    assert_eq!((of_item(&listed[0]), listed[0].as_object().unwrap().len()), (of_item(&shown[0]), 6));
    assert_eq!(
        (shown[0]["contributor"].as_str(), &shown[0]["submissions"]),
        (Some("local"), &serde_json::json!([]))
    );

    let (code, status) = json(&["status"], &up);
    assert_eq!(
        (code, status[0]["complete"].as_bool(), status[0]["items"].as_u64()),
        (0, Some(true), Some(1))
    );
    let replicas = status[0]["replicas"].as_array().unwrap();
    assert_eq!(replicas.len(), 4);
    // All roles are in one process, so its memory counts once.
    assert_eq!(status[0]["processes"], 1);
    assert!(replicas.iter().all(|replica| replica["process"] == replicas[0]["process"]), "{status:?}");
    let memory = |object: &serde_json::Value| object["memory_bytes"].as_u64().unwrap();
    assert_eq!(memory(&status[0]), memory(&replicas[0]));
    let listed = text(&["item", "list", "known"], &up).lines.remove(0);
    let date = listed.split_whitespace().nth(1).unwrap();
    assert!(date.starts_with("20") && date.len() == "2026-11-28".len(), "{listed}");
    assert!(text(&["item", "show", &item.to_string()], &up).lines[0].contains(", added 20"), "{listed}");

    assert_eq!(json(&["item", "remove", &item.to_string()], &up).0, 0);
    assert_eq!(text(&["item", "remove", &item.to_string()], &up).code, 1, "it is gone");
    assert_eq!(json(&["item", "add", "known", &banked], &up).0, 0);
    assert_eq!(text(&["bank", "delete", "known"], &up).code, 1, "it holds an item");
    assert_eq!(json(&["bank", "delete", "known", "--with-items"], &up).1[0]["items"], 1);
    assert_eq!(text(&["bank", "show", "known"], &up).code, 1);
    up.kill().unwrap();
}

#[test]
fn hashes_are_imported_from_a_file_and_bad_lines_are_reported() {
    let data = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
    json(&["bank", "create", "known"], &up);
    let mut csv = "pdq,labels\n".to_owned();
    for number in 0..2_500 {
        csv.push_str(&format!("{number:064x},imported\n"));
    }
    csv.push_str("nonsense,\n");
    let (_, file) = write(folder.path(), "hashes.csv", csv.as_bytes());

    let (code, refused) = json(&["item", "add", "known", "--hashes", &file, "--strict"], &up);
    assert_eq!(code, 1);
    assert_eq!(refused[0]["line"], 2_502);
    assert_eq!(json(&["bank", "show", "known"], &up).1[0]["items"], 0, "nothing was added");

    let (code, lines) = json(&["item", "add", "known", "--hashes", &file], &up);
    assert_eq!(code, 3);
    let last = lines.last().unwrap();
    assert_eq!((last["added"].as_u64(), last["bad_lines"].as_u64()), (Some(2_500), Some(1)));
    assert_eq!(json(&["bank", "show", "known"], &up).1[0]["hashes"], 2_500);

    // A listing can be imported into another bank.
    let listed = run(&["--json", "item", "list", "known", "--limit", "10000"], &up.environment()).unwrap();
    let (_, file) = write(folder.path(), "items.jsonl", listed.lines.join("\n").as_bytes());
    json(&["bank", "create", "second"], &up);
    let (code, lines) = json(&["item", "add", "second", "--hashes", &file], &up);
    assert_eq!((code, lines[0]["added"].as_u64()), (0, Some(2_500)));
    up.kill().unwrap();
}

#[test]
fn a_cluster_that_is_not_there_is_reported_in_words_and_by_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let (_, file) = write(folder.path(), "a.png", &encode_png(&draw(1, 320, 240)));
    let nowhere = "http://127.0.0.1:9";
    let finished = run(&["match", "--frontend", nowhere, &file], &[]).unwrap();
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    assert!(
        finished.stderr.contains("cannot reach the frontend at http://127.0.0.1:9"),
        "{}",
        finished.stderr
    );
    let finished = run(&["bank", "list", "--bank-url", nowhere, "--timeout-ms", "300"], &[]).unwrap();
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    assert_eq!(run(&["match"], &[]).unwrap().code, 2);
    assert_eq!(run(&["match", &file, "--max-distance", "300"], &[]).unwrap().code, 1);
}

#[test]
fn a_bank_that_cannot_be_opened_is_reported_at_once() {
    let data = tempfile::tempdir().unwrap();
    std::fs::write(data.path().join("bank.db"), "this is no database".repeat(1_000)).unwrap();
    vigie_binary();
    let begun = std::time::Instant::now();
    let finished = run(&["up", "--port", "0", "--data", data.path().to_str().unwrap()], &[]).unwrap();
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    let last = finished.stderr.lines().last().unwrap();
    assert!(last.contains("the bank failed") && last.contains("not a database"), "{last}");
    assert!(begun.elapsed().as_secs() < 30, "it was waited for");
}

/// Two shards, one of which is lost.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_does_not_cover_everything_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let picture = encode_png(&draw(1, 320, 240));
    let (_, banked) = write(folder.path(), "a.png", &picture);
    let (_, other) = write(folder.path(), "b.png", &encode_png(&draw(2, 320, 240)));
    let (_, broken) = write(folder.path(), "c.png", b"not an image");
    let mut cluster = Cluster::start_with(|config| config.shard_count = 2).await.unwrap();
    let bank = cluster.create_bank("known").await.unwrap();
    let items = (0..16).map(|_| image_item(&picture).unwrap()).collect();
    let (ids, sequence) = cluster.add(&bank, items).await.unwrap();
    let shards = ShardCount::new(2).unwrap();
    let stays = ids.iter().filter(|id| shards.shard_of(Partition::of(**id)).0 == 0).count();
    assert!(stays > 0 && stays < ids.len());
    let content = Content::Image(picture.into());
    cluster.ask_one(content, as_of(sequence)).await.unwrap();
    cluster.stop_matcher(1).await.unwrap();

    let environment = vec![("VIGIE_FRONTEND".to_owned(), cluster.frontend_url())];
    let ask = |args: &[&str]| {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let environment = environment.clone();
        tokio::task::spawn_blocking(move || {
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            run(&args, &environment).unwrap()
        })
    };
    let finished = ask(&["match", "--min-coverage", "0.5", &banked, &other]).await.unwrap();
    assert_eq!(finished.code, 4, "{:?}", finished.lines);
    assert_eq!(finished.lines.len(), stays + 2, "{:?}", finished.lines);
    for line in &finished.lines {
        assert!(line.contains("NOT COMPLETE: 1 of 2 shards answered (shard 1: "), "{line}");
        assert!(!line.contains("not known"), "{line}");
    }

    // Below the requested coverage, the partial answers come with the error, one line for each file.
    let finished = ask(&["match", "--json", &banked, &other, &broken]).await.unwrap();
    assert_eq!(finished.code, 4, "{}", finished.stderr);
    let lines = finished.json().unwrap();
    assert_eq!(lines.len(), 3, "{:?}", finished.lines);
    for (line, file) in lines.iter().zip([&banked, &other, &broken]) {
        assert_eq!(line["file"], **file);
    }
    assert_eq!(lines[0]["error"]["code"], "unavailable");
    assert_eq!(lines[0]["coverage"]["failures"][0]["shard"], 1);
    assert_eq!(lines[0]["matches"].as_array().unwrap().len(), stays);
    assert_eq!(lines[1]["matches"].as_array().unwrap().len(), 0);
    assert_eq!(lines[2]["error"]["code"], "unavailable");
    assert_eq!(lines[2]["decode_failure"]["code"], "unknown_format");
    assert_eq!(finished.stderr.lines().count(), 0, "{}", finished.stderr);

    // An unknown bank is an error for every file, once every shard has answered.
    cluster.start_matcher(1).await.unwrap();
    cluster.wait_ready(soon()).await.unwrap();
    let known = ["match", "--json", "--min-coverage", "0.5", "--bank", "unknown", &banked, &other, &broken];
    let finished = ask(&known).await.unwrap();
    assert_eq!(finished.code, 1, "{}", finished.stderr);
    let lines = finished.json().unwrap();
    assert_eq!(lines.len(), 3, "{:?}", finished.lines);
    assert_eq!([&lines[0]["error"]["code"], &lines[1]["error"]["code"]], ["not_found", "not_asked"]);
    assert!(finished.stderr.contains("2 files not asked"), "{}", finished.stderr);
    assert!(finished.stderr.contains("vigie bank list"), "{}", finished.stderr);
    assert_eq!(finished.stderr.matches("no bank").count(), 1, "{}", finished.stderr);
    cluster.stop().await.unwrap();
}

#[test]
fn what_was_hashed_elsewhere_can_be_banked() {
    let data = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
    json(&["bank", "create", "known"], &up);
    let (_, good) = write(folder.path(), "good.png", &encode_png(&draw(3, 320, 240)));
    let (_, flat) = write(folder.path(), "flat.png", &encode_png(&image::RgbImage::new(300, 300)));
    let hashed = run(&["hash", "--json", &good, &flat, "/nowhere"], &[]).unwrap();
    let (_, hashes) = write(folder.path(), "hashed.jsonl", hashed.lines.join("\n").as_bytes());
    let (code, lines) = json(&["item", "add", "known", "--hashes", &hashes], &up);
    assert_eq!((code, lines[0]["line"].as_u64(), lines[1]["added"].as_u64()), (3, Some(3), Some(2)));

    let (_, items) = json(&["item", "list", "known"], &up);
    let counts: Vec<_> = items.iter().map(|item| item["hashes"].as_array().unwrap().len()).collect();
    let expected = [hashes_of_a_picture(), hashes_of_a_picture() - 1];
    assert_eq!(counts, expected, "a flat picture's PDQ hash is left out");
    assert_eq!(items[0]["external_reference"], "good.png");

    // Many files are added in order.
    let many = vec![&*good; 40];
    let (code, added) = json(&[&["item", "add", "known"], &*many, &["/nowhere", &flat]].concat(), &up);
    assert_eq!((code, added.len()), (3, 42));
    assert_eq!(added[40]["error"]["code"], "unreadable");
    assert_eq!(added[41]["file"], *flat);

    let (_, empty) = write(folder.path(), "empty.csv", b"pdq,md5\n");
    let finished = text(&["item", "add", "known", "--hashes", &empty], &up);
    assert_eq!(finished.code, 3);
    assert!(finished.stderr.contains("holds no item"), "{}", finished.stderr);
    assert!(text(&["bank", "show", "nobody"], &up).stderr.contains("`vigie bank list` shows the banks"));
    up.kill().unwrap();
}

#[test]
fn two_clusters_never_share_a_folder() {
    let data = tempfile::tempdir().unwrap();
    let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
    let second = run(&["up", "--port", "0", "--data", data.path().to_str().unwrap()], &[]).unwrap();
    assert_eq!(second.code, 1);
    assert!(second.stderr.contains("another cluster runs on"), "{}", second.stderr);
    up.kill().unwrap();
}

#[test]
fn every_fault_of_a_configuration_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let (_, bad) =
        write(folder.path(), "bad.toml", b"[matcher]\nshard = 9\nshard_count = 4\n[bank]\nstore = 'x'\n");
    let finished = run(&["config", "check", &bad, "--json"], &[]).unwrap();
    assert_eq!(finished.code, 1);
    let faults = finished.json().unwrap()[0]["faults"].as_array().unwrap().len();
    assert_eq!(faults, 3, "`listen` is missing too: {:?}", finished.lines);
    let (_, torn) = write(folder.path(), "torn.toml", b"listen = '127.0.0.1:7742'\n[bank\n");
    let finished = run(&["matcher", "--config", &torn, "--json"], &[]).unwrap();
    let message = finished.json().unwrap()[0]["error"]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("torn.toml: line 2: ") && !message.contains('\n'), "{message}");
    let (_, good) = write(folder.path(), "good.toml", b"listen = '127.0.0.1:7742'\n[bank]\n");
    assert_eq!(run(&["config", "check", &good], &[]).unwrap().code, 0);

    // A role runs with explicit settings only, not with unstated defaults.
    let refused = |args: &[&str]| {
        let finished = run(args, &[]).unwrap();
        assert_eq!(finished.code, 1, "{}", finished.stderr);
        finished.stderr
    };
    assert!(refused(&["matcher", "--config", &good]).contains("has no [matcher] table"));
    assert!(refused(&["coordinator", "--listen", "127.0.0.1:0"]).contains("has no [coordinator] table"));
    let set = ["coordinator", "--listen", "127.0.0.1:0", "--set", "coordinator.silence_ms_max=5000"];
    assert!(refused(&set).contains("coordinator.matchers: "));

    // An embedded coordinator needs the same settings as a separate one.
    let set = ["frontend", "--listen", "127.0.0.1:0", "--set", "frontend.coordinator=embedded"];
    assert!(refused(&set).contains("has no [coordinator] table"));
    let embedded =
        b"listen = '127.0.0.1:1'\n[frontend]\ncoordinator = 'embedded'\n[coordinator]\nmatchers = ['x']\n";
    let (_, wrong) = write(folder.path(), "embedded.toml", embedded);
    assert!(
        refused(&["frontend", "--config", &wrong]).contains("coordinator.matchers[0]: `x` is no endpoint")
    );
}

#[test]
fn the_demonstration_recognises_every_copy_and_nothing_else() {
    let finished = run(&["demo", "--json", "--pictures", "2", "--unrelated", "4"], &[]).unwrap();
    assert_eq!(finished.code, 0, "{}", finished.stderr);
    let lines = finished.json().unwrap();
    let summary = lines.last().unwrap();
    assert_eq!(summary["missed"], 0);
    assert_eq!(summary["false"], 0);
    assert_eq!(summary["queries"].as_u64().unwrap() - 4, summary["matched"].as_u64().unwrap());
}

#[test]
fn a_demonstration_that_is_interrupted_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = Command::new(vigie_binary())
        .args(["demo", "--pictures", "1000"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The first line is printed when the cluster runs; then its folder exists.
    BufReader::new(demo.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    let sent = Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap();
    assert!(sent.success());
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
