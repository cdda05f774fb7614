//! Tests files of hashes against a cluster: they are added, compared with a bank, and written.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use vigie::local_cluster::{LocalCluster, LocalClusterConfig};

struct Fixture {
    cluster: LocalCluster,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LocalClusterConfig::new(folder.path().join("data"));
        config.shard_count = 1;
        let mut cluster = LocalCluster::start(config).await.unwrap();
        let deadline = vigie_clients::Deadline::now() + Duration::from_secs(60);
        cluster.wait_ready(deadline).await.unwrap();
        Self { cluster, folder }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        command.args(args).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("VIGIE_BANK", self.cluster.bank_url()).env("VIGIE_FRONTEND", self.cluster.frontend_url());
        command
    }

    /// Runs a command; `words` are its arguments, separated by spaces.
    fn run(&self, words: &str) -> Output {
        self.command(&words.split(' ').collect::<Vec<_>>()).output().unwrap()
    }

    /// Runs a command, which must exit with `code`, and returns its standard output and its standard error.
    fn exits(&self, code: i32, words: &str) -> (String, String) {
        let output = self.run(words);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{words}: {stdout}{stderr}");
        (stdout, stderr)
    }

    fn done(&self, words: &str) -> String {
        self.exits(0, words).0
    }

    fn object(&self, words: &str) -> Value {
        let stdout = self.done(&format!("--json {words}"));
        serde_json::from_str(stdout.lines().last().unwrap()).unwrap()
    }

    fn write(&self, file: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(file);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    /// Returns the items of a bank, each as its set of hashes. Two items with the same hashes are both
    /// returned.
    fn items(&self, bank: &str) -> Vec<BTreeSet<String>> {
        let listed = self.done(&format!("--json item list {bank} --limit 100000"));
        let mut items: Vec<BTreeSet<String>> = listed.lines().map(hashes_of).collect();
        items.sort();
        items
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn hashes_of(line: &str) -> BTreeSet<String> {
    let item: Value = serde_json::from_str(line).unwrap();
    let hash =
        |hash: &Value| format!("{}:{}", hash["hash_type"].as_str().unwrap(), hash["hash"].as_str().unwrap());
    item["hashes"].as_array().unwrap().iter().map(hash).collect()
}

fn digits(number: u64, bytes: usize) -> String {
    format!("{number:0width$x}", width = 2 * bytes)
}

/// Returns a table of named MD5 digests.
fn table(numbers: impl Iterator<Item = u64>) -> String {
    let lines: Vec<String> =
        numbers.map(|number| format!("{},name-{number}\n", digits(number, 16))).collect();
    format!("md5,external_reference\n{}", lines.concat())
}

fn md5s(numbers: impl Iterator<Item = u64>) -> Vec<BTreeSet<String>> {
    numbers.map(|number| BTreeSet::from([format!("md5:{}", digits(number, 16))])).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_added_by_its_format_and_what_is_not_certain_is_refused() {
    let it = Fixture::start().await;
    it.done("bank create known");
    let sha256 = digits(7, 32);
    it.write("bare.txt", &format!("{sha256}\n"));
    let (_, refused) = it.exits(1, "item add known --hashes bare.txt");
    assert!(refused.contains("--type pdq, --type sha256 or --type text_sha256"), "{refused}");
    assert!(!refused.contains(&sha256), "{refused}");
    assert_eq!(it.items("known"), []);

    it.done("item add known --hashes bare.txt --type sha256");
    it.write("sums.txt", &format!("{}  a.jpg\n{}  b.jpg\n", digits(8, 64), digits(9, 16)));
    it.done("item add known --hashes sums.txt");
    it.write("mixed.csv", &format!("{0};x\nbad;y\n{1};z\n", digits(10, 20), digits(11, 20)));
    let (_, errors) =
        it.exits(3, "item add known --hashes mixed.csv --columns sha1,reference --rejects rejects.csv");
    assert!(errors.contains("line 2: a sha1 hash"), "{errors}");
    assert_eq!(it.read("rejects.csv").lines().count(), 2);
    assert!(it.read("rejects.csv").lines().last().unwrap().ends_with(",bad;y"), "{}", it.read("rejects.csv"));
    it.write("te.csv", &format!("type,indicator\nHASH_URL_MD5,{}\nURI,http://a\n", digits(12, 16)));
    it.done("item add known --hashes te.csv --ignore-unknown");

    let expected = [
        format!("md5:{}", digits(9, 16)),
        format!("sha1:{}", digits(10, 20)),
        format!("sha1:{}", digits(11, 20)),
        format!("sha256:{sha256}"),
        format!("sha512:{}", digits(8, 64)),
        format!("url_md5:{}", digits(12, 16)),
    ];
    assert_eq!(it.items("known"), expected.clone().map(|hash| BTreeSet::from([hash])));
    for hash in expected {
        let newest = it.object("bank show known")["sequence"].to_string();
        let matched = it.done(&format!("--json match {hash} --min-sequence {newest}"));
        let matched: Value = serde_json::from_str(matched.lines().next().unwrap()).unwrap();
        assert_eq!(matched["matches"].as_array().map(Vec::len), Some(1), "{hash}: {matched}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_shows_what_a_file_holds_and_adds_nothing() {
    let it = Fixture::start().await;
    it.done("bank create known");
    it.write("list.csv", &format!("{}x,y\nbad,z\n", table(1..=3).trim_end()));
    let (shown, errors) = it.exits(3, "item add known --hashes list.csv --dry-run");
    assert!(shown.contains("list.csv (csv): 2 items (md5 2); 2 bad lines"), "{shown}");
    assert!(errors.contains("line 5"), "{errors}");
    it.write("whole.csv", &table(1..=3));
    let object = it.object("item add known --hashes whole.csv --dry-run");
    assert_eq!(
        (&object["items"], &object["hashes"]["md5"], &object["format"]),
        (&3.into(), &3.into(), &"csv".into())
    );
    assert_eq!(it.items("known"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_makes_a_bank_equal_to_a_file_and_changes_nothing_the_second_time() {
    let it = Fixture::start().await;
    it.done("bank create known");
    let check = |file: &str, words: &str, expected: [u64; 3]| {
        let object = it.object(&format!("bank sync known {file}{words}"));
        let counts = ["added", "kept", "removed"].map(|name| object[name].as_u64().unwrap());
        assert_eq!(counts, expected, "{file}{words}");
    };
    it.write("one.csv", &table((1..=30).chain([7])));
    check("one.csv", " --dry-run", [30, 0, 0]);
    assert_eq!(it.items("known"), []);
    check("one.csv", "", [30, 0, 0]);
    assert_eq!(it.items("known"), md5s(1..=30));
    check("one.csv", "", [0, 30, 0]);

    it.write("two.csv", &table(3..=32));
    check("two.csv", " --dry-run", [2, 28, 2]);
    check("two.csv", "", [2, 28, 2]);
    assert_eq!(it.items("known"), md5s(3..=32));

    // The same hashes, first with one item renamed, then without names.
    it.write("renamed.csv", &table(3..=32).replace("name-9\n", "other-9\n"));
    check("renamed.csv", "", [0, 30, 0]);
    check("renamed.csv", "", [0, 30, 0]);
    it.write("bare.txt", &(3..=32).map(|number| digits(number, 16) + "\n").collect::<String>());
    check("bare.txt", " --type md5", [0, 30, 0]);
    assert_eq!(it.items("known"), md5s(3..=32));

    // If all items get other names, this does not count as a removal, which would be refused.
    it.write("others.csv", &table(3..=32).replace("name-", "another-"));
    check("others.csv", "", [0, 30, 0]);
    assert_eq!(it.items("known"), md5s(3..=32));

    // Items that others have added, and an item that is there twice, are removed like any other.
    it.write("more.csv", "md5\n00000000000000000000000000000003\n000000000000000000000000000000ff\n");
    it.done("item add known --hashes more.csv");
    check("two.csv", "", [0, 30, 2]);
    assert_eq!(it.items("known"), md5s(3..=32));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_torn_or_faulty_removes_nothing() {
    let it = Fixture::start().await;
    it.done("bank create known");
    it.write("whole.csv", &table(1..=20));
    it.done("bank sync known whole.csv");
    let unchanged = |words: &str, message: &str| {
        let (_, errors) = it.exits(1, &format!("bank sync known {words}"));
        assert!(errors.contains(message) && errors.contains("nothing was changed"), "{words}: {errors}");
        assert_eq!(it.items("known"), md5s(1..=20), "{words}");
    };
    it.write("empty.csv", "");
    unchanged("empty.csv", "20 of 20 items would be removed");
    it.write("short.csv", &table(1..=17));
    unchanged("short.csv", "more than --remove-max 10%");
    it.write("torn.csv", &table(1..=20)[..table(1..=20).len() - 25]);
    unchanged("torn.csv", "1 bad line");
    it.exits(1, "bank sync nowhere whole.csv");
    it.exits(2, "bank sync known short.csv --remove-max 101%");

    it.write("bad.csv", &format!("{}x,y\n", table(1..=19)));
    let (said, _) = it.exits(3, "bank sync known bad.csv --ignore-bad");
    assert!(said.contains("added 0, kept 19, removed 1"), "{said}");
    it.done("bank sync known short.csv --remove-max 100%");
    assert_eq!(it.items("known"), md5s(1..=17));
    it.done("bank sync known empty.csv --remove-max 100%");
    assert_eq!(it.items("known"), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_was_killed_goes_on_without_duplicates() {
    let it = Fixture::start().await;
    it.done("bank create known");
    it.write("large.csv", &table(1..=30_000));
    let mut child =
        it.command(&["bank", "sync", "known", "large.csv"]).stdout(Stdio::null()).spawn().unwrap();
    while it.object("bank show known")["items"].as_u64() == Some(0) && child.try_wait().unwrap().is_none() {}
    child.kill().unwrap();
    child.wait().unwrap();
    let object = it.object("bank sync known large.csv");
    let [added, kept, removed] = ["added", "kept", "removed"].map(|name| object[name].as_u64().unwrap());
    assert_eq!((added + kept, removed), (30_000, 0));
    assert!(kept > 0, "something was added before");
    assert_eq!(it.items("known"), md5s(1..=30_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn canaries_stay_in_a_bank_that_is_made_equal_to_a_file() {
    let it = Fixture::start().await;
    it.done("bank create known");
    it.write("canary.csv", &table(99..=99));
    it.done("item add known --hashes canary.csv --label vigie:canary");
    it.write("list.csv", &table(1..=5));
    it.done("bank sync known list.csv");
    assert_eq!(it.items("known"), md5s((1..=5).chain([99])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_each_format_is_added_with_the_same_hashes() {
    let it = Fixture::start().await;
    it.done("bank create known");
    let items: Vec<String> = (1..=5)
        .map(|number| {
            let [pdq, md5, sha1] = [32, 16, 20].map(|bytes| digits(number, bytes));
            format!("{{\"pdq\":\"{pdq}\",\"md5\":\"{md5}\",\"sha1\":\"{sha1}\",\"labels\":[\"a;b\"],\"external_reference\":\"n, {number}\"}}\n")
        })
        .collect();
    it.write("items.jsonl", &items.concat());
    it.done("item add known --hashes items.jsonl");
    let all = |bank: &str| it.items(bank).into_iter().flatten().collect::<BTreeSet<String>>();
    let whole = all("known");
    assert_eq!(whole.len(), 15);
    for (format, more, types) in [
        ("csv", "", "pdq md5 sha1"),
        ("tsv", "", "pdq md5 sha1"),
        ("semicolon", "", "pdq md5 sha1"),
        ("jsonl", "", "pdq md5 sha1"),
        ("threatexchange", "", "pdq md5 sha1"),
        ("tx", "", "pdq md5 sha1"),
        ("tx-dataset", "", "pdq md5 sha1"),
        ("hma", "", "pdq md5 sha1"),
        ("ncmec", "", "pdq md5 sha1"),
        ("stopncii", "", "pdq md5"),
        ("sums", "", "md5 sha1"),
        ("list", " --type pdq", "pdq"),
        ("named", " --type pdq", "pdq"),
    ] {
        let file = format!("{format}.out");
        let object = it.object(&format!("bank export known --format {format}{more} --output {file}"));
        assert_eq!(object["items"], 5, "{format}");
        it.done(&format!("bank create {format}"));
        it.done(&format!("item add {format} --hashes {file}{more}"));
        let is_held = |hash: &&String| types.split(' ').any(|of| hash.starts_with(&format!("{of}:")));
        assert_eq!(
            all(format),
            whole.iter().filter(is_held).cloned().collect(),
            "{format}: {}",
            it.read(&file)
        );
        assert_eq!(
            it.done(&format!("bank export known --format {format}{more}")).lines().count(),
            it.read(&file).lines().count()
        );
    }
    for whole_items in ["csv", "tsv", "semicolon", "jsonl"] {
        assert_eq!(it.items(whole_items), it.items("known"));
    }
    let (_, refused) = it.exits(1, "bank export known --output csv.out");
    assert!(refused.contains("--force"), "{refused}");
    it.done("bank export known --output csv.out --force");
    it.exits(1, "bank export known --format list");
    it.exits(2, "bank export known --format pdq");
}
