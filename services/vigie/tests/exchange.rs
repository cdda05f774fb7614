//! Exchanges of a cluster in one process: added, followed and removed by commands.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
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
        config.exchange = Some(vigie_exchange::Config {
            files_folder: Some(folder.path().to_owned()),
            list_ms: 100,
            ..vigie_exchange::Config::default()
        });
        let mut cluster = Box::pin(LocalCluster::start(config)).await.unwrap();
        let deadline = vigie_clients::Deadline::now() + Duration::from_secs(60);
        Box::pin(cluster.wait_ready(deadline)).await.unwrap();
        Self { cluster, folder }
    }

    /// What a command of words that exits with `code` prints.
    fn exits(&self, code: i32, words: &str) -> String {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
        command.args(words.split(' ')).current_dir(self.folder.path()).stdin(Stdio::null());
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

    /// The hashes of a bank.
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

    // What is no longer in the file is withdrawn; what another source has stays.
    fixture.write((3..=20).chain(30..=31));
    fixture.done("exchange fetch list --wait");
    assert_eq!(fixture.hashes("known"), (3..=20).chain(30..=31).map(digest).collect());

    // An empty file removes nothing, and is an alarm until it is mended.
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
    // What it brought stays.
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
