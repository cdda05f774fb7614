//! Tests exchanges in a cluster in one process: they are added, followed and removed by commands.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use vigie::local_cluster::{LocalCluster, LocalClusterConfig};

struct Fixture {
    cluster: LocalCluster,
    folder: tempfile::TempDir,
}

/// A StopNCII server that shares no hashes, and records what is submitted to it.
struct Programme {
    origin: String,
    /// Path and body of each request that was not a read.
    submitted: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Programme {
    /// Starts the server, which answers until the test ends.
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let submitted = Arc::<Mutex<Vec<(String, Value)>>>::default();
        let kept = Arc::clone(&submitted);
        std::thread::spawn(move || listener.incoming().for_each(|stream| answer(stream.unwrap(), &kept)));
        Self { origin, submitted }
    }

    fn count(&self) -> usize {
        self.submitted.lock().unwrap().len()
    }

    /// Returns the path of the last request, and its hashes.
    fn last(&self) -> (String, Vec<String>) {
        let submitted = self.submitted.lock().unwrap();
        let (path, body) = submitted.last().unwrap();
        let records = ["hashRecords", "hashFeedbacks"].iter().find_map(|list| body[list].as_array()).unwrap();
        let hash = |record: &Value| record["hashValue"].as_str().unwrap().to_owned();
        (path.clone(), records.iter().map(hash).collect())
    }
}

/// Answers one request, and closes the connection.
fn answer(stream: TcpStream, submitted: &Mutex<Vec<(String, Value)>>) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim().to_ascii_lowercase();
        match line.strip_prefix("content-length: ") {
            Some(number) => length = number.parse().unwrap(),
            None if line.is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let answer = if method == "GET" {
        r#"{"count": 0, "nextPageToken": null, "nextSetTimestamp": 11, "hasMoreRecords": false, "hashRecords": []}"#
    } else {
        submitted.lock().unwrap().push((path.to_owned(), serde_json::from_slice(&body).unwrap()));
        "{}"
    };
    let length = answer.len();
    let mut stream = reader.into_inner();
    write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}")
        .unwrap();
}

impl Fixture {
    async fn start() -> Self {
        Self::start_with(Vec::new()).await
    }

    /// Starts a cluster that accepts these origins of programmes in addition to the known ones.
    async fn start_with(origins: Vec<String>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = LocalClusterConfig::new(folder.path().join("data"));
        config.shard_count = 1;
        config.exchange = Some(vigie_exchange::Config {
            files_folder: Some(folder.path().to_owned()),
            credentials_folder: Some(folder.path().join("credentials")),
            origins,
            list_ms: 100,
            ..vigie_exchange::Config::default()
        });
        let mut cluster = Box::pin(LocalCluster::start(config)).await.unwrap();
        let deadline = vigie_clients::Deadline::now() + Duration::from_secs(60);
        Box::pin(cluster.wait_ready(deadline)).await.unwrap();
        Self { cluster, folder }
    }

    /// Runs a command, which must exit with `code`, and returns its standard output.
    fn exits(&self, code: i32, words: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        command.args(words.split(' ')).current_dir(self.folder.path()).stdin(Stdio::null());
        let key = self.folder.path().join("admin.key");
        if key.exists() {
            command.env("VIGIE_API_KEY_FILE", key);
        }
        let output = command.env("VIGIE_BANK", self.cluster.bank_url()).output().unwrap();
        let printed = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
        assert_eq!(output.status.code(), Some(code), "{words}: {printed}");
        printed
    }

    fn done(&self, words: &str) -> String {
        self.exits(0, words)
    }

    fn object(&self, words: &str) -> Value {
        let printed = self.done(&format!("--json {words}"));
        serde_json::from_str(printed.lines().last().unwrap()).unwrap()
    }

    /// Writes a list of these digests.
    fn write(&self, numbers: impl Iterator<Item = u8>) {
        let lines: String = numbers.map(|number| format!("md5 {}\n", digest(number))).collect();
        std::fs::write(self.folder.path().join("list.txt"), lines).unwrap();
    }

    /// Writes the credentials of StopNCII, followed by `line`.
    fn credentials(&self, line: &str) {
        let folder = self.folder.path().join("credentials");
        std::fs::create_dir_all(&folder).unwrap();
        let lines = format!("fetch_key=a\nsubscription_key=b\nsubmit_key=c\nfeedback_key=d\n{line}\n");
        std::fs::write(folder.join("stop_ncii"), lines).unwrap();
    }

    /// Returns the hashes of a bank.
    fn hashes(&self, bank: &str) -> BTreeSet<String> {
        let listed = self.done(&format!("--json item list {bank} --limit 1000"));
        let hash = |line: &str| {
            let item: Value = serde_json::from_str(line).unwrap();
            item["hashes"][0]["hash"].as_str().map(str::to_owned)
        };
        listed.lines().filter_map(hash).collect()
    }
}

fn digest(number: u8) -> String {
    format!("{number:02x}").repeat(16)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_followed_by_commands_and_withdrawn_from() {
    let fixture = Box::pin(Fixture::start()).await;
    fixture.done("bank create known");
    fixture.write(1..=20);
    let refused = fixture.exits(1, "exchange add list --api local_file --bank known --settings {\"file\":1}");
    assert!(refused.contains("settings"), "{refused}");
    fixture.done("exchange add list --api local_file --bank known --settings {\"path\":\"list.txt\"}");
    let fetched = fixture.object("exchange fetch list --wait");
    assert_eq!(
        (&fetched["succeeded"], &fetched["alarm"]),
        (&Value::from(true), &Value::from("")),
        "{fetched}"
    );
    assert_eq!(fixture.hashes("known"), (1..=20).map(digest).collect());

    // Items that are no longer in the file are withdrawn; items that another source has stay.
    fixture.write((3..=20).chain(30..=31));
    fixture.done("exchange fetch list --wait");
    assert_eq!(fixture.hashes("known"), (3..=20).chain(30..=31).map(digest).collect());

    // An empty file removes nothing, and raises an alarm until it is corrected.
    fixture.write(std::iter::empty());
    let failed = fixture.exits(1, "exchange fetch list --wait");
    assert!(failed.contains("would remove 20 of 20"), "{failed}");
    assert!(fixture.done("exchange list").contains("needs attention"));
    assert_eq!(fixture.hashes("known").len(), 20);
    fixture.write(3..=20);
    fixture.done("exchange fetch list --wait");
    assert_eq!(fixture.hashes("known"), (3..=20).map(digest).collect());

    fixture.done("exchange pause list");
    assert_eq!(fixture.object("exchange status list")["enabled"], false);
    fixture.exits(1, "exchange fetch list");
    fixture.done("exchange resume list");
    fixture.done("exchange fetch --all --wait");
    fixture.done("exchange remove list");
    assert!(fixture.exits(1, "exchange status list").contains("list"));
    // The items that the exchange added stay.
    assert_eq!(fixture.hashes("known").len(), 18);
    fixture.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sample_is_there_and_a_programme_without_credentials_needs_attention() {
    let fixture = Box::pin(Fixture::start()).await;
    fixture.done("bank create sample");
    fixture.done("exchange add sample --api sample --bank sample");
    fixture.done("exchange fetch sample --wait");
    assert_eq!(fixture.hashes("sample").len(), 18);
    fixture.exits(1, "exchange add secret --api stop_ncii --bank sample --settings {\"password\":\"x\"}");
    fixture.done("exchange add ncii --api stop_ncii --bank sample");
    let failed = fixture.exits(1, "exchange fetch ncii --wait");
    assert!(failed.contains("VIGIE_EXCHANGE_NCII_FETCH_KEY"), "{failed}");
    fixture.cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn own_items_are_submitted_and_withdrawn_with_members_and_without() {
    let programme = Programme::start();
    let fixture = Box::pin(Fixture::start_with(vec![programme.origin.clone()])).await;
    fixture.credentials("");
    fixture.done("bank create own-list");
    fixture.done("bank create stop");
    fixture.write(1..=2);
    fixture.done("item add own-list --hashes list.txt");
    let settings = format!("{{\"base_url\":\"{}\",\"submit\":{{\"bank\":\"own-list\"}}}}", programme.origin);
    let added = fixture.done(&format!("exchange add s --api stop_ncii --bank stop --settings {settings}"));
    assert!(added.contains("submit_key") && added.contains("bank_key"), "{added}");
    fixture.done("exchange fetch s --wait");
    assert_eq!(programme.last(), ("/SubmitHashes".to_owned(), vec![digest(1), digest(2)]));
    // There is nothing new, so nothing is sent.
    fixture.done("exchange fetch s --wait");
    assert_eq!(programme.count(), 1);

    let items = |fixture: &Fixture| -> Vec<Value> {
        let listed = fixture.done("--json item list own-list");
        listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    fixture.done(&format!("item remove {}", items(&fixture)[0]["item_id"]));
    fixture.done("exchange fetch s --wait");
    assert_eq!(programme.last(), ("/SubmitFeedback".to_owned(), vec![digest(1)]));

    // Items that came from a programme are not submitted to any programme, and neither is their removal.
    fixture.write(7..=7);
    fixture.done("item add own-list --hashes list.txt --programme ncmec");
    fixture.done("exchange fetch s --wait");
    fixture.done(&format!("item remove {}", items(&fixture)[1]["item_id"]));
    fixture.done("exchange fetch s --wait");
    assert_eq!(programme.count(), 2);

    // With members, the exchange reads as a principal of the bank's owner.
    fixture.done("principal add --role administrator,operator --key-file admin.key --turn-on");
    fixture.exits(1, "exchange fetch s --wait");
    assert!(fixture.done("exchange status s").contains("bank_key"));
    fixture.done("principal add --role reviewer --key-file reader.key");
    fixture.done("principal add --role contributor --key-file writer.key");
    let key =
        |name: &str| std::fs::read_to_string(fixture.folder.path().join(name)).unwrap().trim().to_owned();
    fixture.credentials(&format!("bank_key={}", key("reader.key")));
    fixture.write(9..=9);
    fixture.done(&format!(
        "item add own-list --hashes list.txt --api-key-file {}",
        fixture.folder.path().join("writer.key").display()
    ));
    fixture.done("exchange fetch s --wait");
    assert_eq!(programme.last(), ("/SubmitHashes".to_owned(), vec![digest(9)]));
    fixture.cluster.stop().await.unwrap();
}
