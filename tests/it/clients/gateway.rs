//! python-threatexchange's own clients follow the feeds of a gateway, and end with the hashes that its bank
//! matches.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use vigie_harness::binary::{run, vigie_binary};
use vigie_harness::up::UpProcess;
use vigie_hashes::hex;

use super::follow::{Clients, Followed, Hashes};

const BANK: &str = "FOLLOWED";
/// Waiting time for new items: the client of NCMEC does not request the last five seconds.
const NCMEC_BLIND: Duration = Duration::from_secs(7);
/// The most ids in one command.
const IDS_MAX: usize = 500;

/// A deployment with one bank, which is followed.
struct Deployment {
    _data: tempfile::TempDir,
    up: UpProcess,
    random: Xoshiro256PlusPlus,
}

impl Deployment {
    fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
        let deployment = Self { _data: data, up, random: Xoshiro256PlusPlus::seed_from_u64(11) };
        deployment.command(&["bank", "create", BANK]);
        deployment
    }

    fn command(&self, arguments: &[&str]) -> Vec<serde_json::Value> {
        let finished = run(&[&["--json"], arguments].concat(), &self.up.environment()).unwrap();
        assert_eq!(finished.code, 0, "{arguments:?}: {}", finished.stderr);
        finished.json().unwrap()
    }

    /// Adds items; three in ten are videos.
    fn add(&mut self, folder: &Path, count: usize) {
        if count == 0 {
            return;
        }
        let mut text = "pdq,md5\n".to_owned();
        for _ in 0..count {
            let mut bytes = [0; 32];
            self.random.fill(&mut bytes);
            if self.random.random_bool(0.7) {
                writeln!(text, "{},", hex::encode(&bytes)).unwrap();
            } else {
                writeln!(text, ",{}", hex::encode(&bytes[..16])).unwrap();
            }
        }
        let file = folder.join("hashes.csv");
        fs::write(&file, text).unwrap();
        self.command(&["item", "add", BANK, "--hashes", file.to_str().unwrap(), "--strict"]);
    }

    /// Returns the bank's items by id, with signal type and value.
    fn items(&self) -> BTreeMap<String, (&'static str, String)> {
        let listed = self.command(&["item", "list", BANK, "--limit", "100000"]);
        let item = |item: &serde_json::Value| {
            let hash = &item["hashes"][0];
            let signal_type = match hash["hash_type"].as_str() {
                Some("pdq") => "pdq",
                Some("md5") => "video_md5",
                other => panic!("a hash of the type {other:?}"),
            };
            let id = item["item_id"].as_u64().unwrap();
            (id.to_string(), (signal_type, hash["hash"].as_str().unwrap().to_owned()))
        };
        listed.iter().map(item).collect()
    }

    /// Runs a command with every `step`-th item, and returns the ids.
    fn change(&self, command: &str, step: usize) -> Vec<String> {
        let ids: Vec<String> = self.items().into_keys().step_by(step).collect();
        for ids in ids.chunks(IDS_MAX) {
            let ids = ids.iter().map(String::as_str);
            self.command(&["item", command].into_iter().chain(ids).collect::<Vec<_>>());
        }
        ids
    }

    /// Returns the hashes that the bank matches: all but those of held items.
    fn hashes(&self, held: &[String]) -> Hashes {
        let mut hashes = Hashes::new();
        for (id, (signal_type, value)) in self.items() {
            if !held.contains(&id) {
                hashes.entry(signal_type.to_owned()).or_default().push(value);
            }
        }
        hashes.values_mut().for_each(|values| values.sort());
        hashes
    }

    fn feeds(&self) -> BTreeMap<String, String> {
        let programmes =
            [("ncmec", "ncmec"), ("te", "threat_exchange"), ("stopncii", "stop_ncii"), ("tat", "tat")];
        let url = |path: &str| format!("{}/feeds/{path}/{BANK}", self.up.http);
        programmes.map(|(programme, path)| (programme.to_owned(), url(path))).into()
    }
}

fn check_followed(followed: BTreeMap<String, Followed>, expected: &Hashes, when: &str) {
    assert_eq!(followed.len(), 4);
    for (programme, followed) in followed {
        assert_eq!(followed.error, None, "{programme}, {when}");
        assert_eq!(&followed.standing(), expected, "{programme}, {when}, {} pages", followed.pages);
    }
}

/// Checks that every client ends with the bank's hashes: from the beginning, from each checkpoint, and when
/// it continues after additions, removals and holds.
fn check(count: usize) {
    let Some(clients) = Clients::find() else { return };
    let mut deployment = Deployment::start();
    deployment.add(clients.folder(), count);
    sleep(NCMEC_BLIND);
    let followed = clients.follow(&deployment.feeds(), true, Some("rounds"));
    check_followed(followed, &deployment.hashes(&[]), &format!("{count} items"));

    deployment.add(clients.folder(), count / 4 + 3);
    deployment.change("remove", 5);
    let held = deployment.change("hold", 7);
    sleep(NCMEC_BLIND);
    let expected = deployment.hashes(&held);
    let went_on = clients.follow(&deployment.feeds(), false, Some("rounds"));
    check_followed(went_on, &expected, &format!("{count} items, a second round"));
    let began_anew = clients.follow(&deployment.feeds(), true, None);
    check_followed(began_anew, &expected, &format!("{count} items and changes, from nothing"));
}

#[test]
fn clients_follow_an_empty_bank() {
    check(0);
}

#[test]
fn clients_follow_a_bank_of_one_item() {
    check(1);
}

#[test]
fn clients_follow_a_bank_of_about_a_page() {
    check(1_001);
}

#[test]
#[ignore = "takes minutes: the client of NCMEC narrows its range to seconds"]
fn clients_follow_banks_of_up_to_several_pages() {
    for count in [999, 1_000, 2_500] {
        check(count);
    }
}
