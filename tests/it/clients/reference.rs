//! Tests of the clients themselves, against the small server `tests/clients/reference_server.py`: they have
//! to find what it serves, and to miss what it leaves out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;
use vigie_hashes::hex;

use super::follow::{Clients, Hashes};

/// The age of entries: the client of NCMEC does not request the last five seconds.
const AGE: Duration = Duration::from_secs(3_600);

/// The programmes whose formats are followed over HTTP.
const PROGRAMMES: [&str; 4] = ["ncmec", "te", "stopncii", "tat"];

/// An entry of the reference server's list.
#[derive(Debug, Clone, Serialize)]
struct Entry {
    key: String,
    #[serde(rename = "type")]
    signal_type: &'static str,
    value: String,
    time: u64,
    removed: bool,
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// A list of entries in a file, with changes in the order of their times.
struct List {
    path: PathBuf,
    entries: Vec<Entry>,
    random: Xoshiro256PlusPlus,
    time: u64,
    /// Seconds between an entry and the third one after it.
    pace: u64,
}

impl List {
    fn new(folder: &Path, count: usize) -> Self {
        let mut list = Self {
            path: folder.join(format!("entries-{count}.json")),
            entries: Vec::new(),
            random: Xoshiro256PlusPlus::seed_from_u64(7),
            time: now_s() - AGE.as_secs(),
            pace: 1,
        };
        list.add(count);
        list
    }

    /// Dates changes from now on with the present second.
    fn go_on(&mut self) {
        (self.time, self.pace) = (now_s(), 0);
    }

    /// Waits until the client of NCMEC would request the last change: it leaves out the last five seconds.
    fn wait_visible(&self) {
        while now_s() < self.time + 6 {
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Adds entries.
    fn add(&mut self, count: usize) {
        for _ in 0..count {
            let mut bytes = [0; 32];
            self.random.fill(&mut bytes);
            let (signal_type, value) = if self.random.random_bool(0.7) {
                ("pdq", hex::encode(&bytes))
            } else {
                ("video_md5", hex::encode(&bytes[..16]))
            };
            let key = (self.entries.len() + 1).to_string();
            if self.entries.len().is_multiple_of(3) {
                self.time += self.pace;
            }
            self.entries.push(Entry { key, signal_type, value, time: self.time, removed: false });
        }
        self.write();
    }

    /// Removes every `step`-th entry. A removal is a change, so its entry moves to the end.
    fn remove(&mut self, step: usize) {
        let (gone, mut kept): (Vec<_>, Vec<_>) =
            self.entries.drain(..).enumerate().partition(|(at, _)| at % step == 0);
        for (_, entry) in &gone {
            kept.push((0, Entry { time: self.time, removed: true, ..entry.clone() }));
        }
        self.entries = kept.into_iter().map(|(_, entry)| entry).collect();
        self.write();
    }

    fn write(&self) {
        // A server that reads at the same time gets the old list or the new one.
        let new = self.path.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.entries).unwrap()).unwrap();
        fs::rename(new, &self.path).unwrap();
    }

    fn hashes(&self) -> Hashes {
        let mut hashes = Hashes::new();
        for entry in self.entries.iter().filter(|entry| !entry.removed) {
            hashes.entry(entry.signal_type.to_owned()).or_default().push(entry.value.clone());
        }
        hashes.values_mut().for_each(|values| values.sort());
        hashes
    }
}

/// The reference server, which is stopped on drop.
struct Server {
    process: Child,
    feeds: BTreeMap<String, String>,
}

impl Server {
    fn start(clients: &Clients, list: &List, arguments: &[&str]) -> Self {
        let mut command = clients.script("reference_server.py");
        command.arg(&list.path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let feeds: BTreeMap<String, String> = serde_json::from_str(&line).unwrap();
        assert!(PROGRAMMES.iter().all(|programme| feeds.contains_key(*programme)), "{feeds:?}");
        Self { process, feeds }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It is killed at once, so that a test that panicked does not wait for it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Follows every feed of a list of this size: from the beginning, from each checkpoint, and again after
/// additions and removals.
fn check(count: usize) {
    let Some(clients) = Clients::find() else { return };
    let mut list = List::new(clients.folder(), count);
    let server = Server::start(&clients, &list, &[]);
    for (programme, followed) in clients.follow(&server.feeds, true, Some("rounds")) {
        assert_eq!(followed.error, None, "{programme}");
        assert_eq!(followed.standing(), list.hashes(), "{programme} of {count} entries");
        let resumed = followed.resumed.unwrap();
        assert!(resumed > 0 || count == 0, "{programme}: {} pages", followed.pages);
    }
    list.go_on();
    list.add(count / 3 + 2);
    list.remove(4);
    list.wait_visible();
    for (programme, followed) in clients.follow(&server.feeds, false, Some("rounds")) {
        assert_eq!(followed.error, None, "{programme}, a second round");
        assert_eq!(followed.standing(), list.hashes(), "{programme} of {count} entries, a second round");
    }
}

#[test]
fn an_empty_list_and_one_of_a_single_entry_are_followed() {
    check(0);
    check(1);
}

#[test]
fn lists_of_about_a_page_are_followed() {
    check(999);
    check(1_000);
}

#[test]
fn a_list_of_several_pages_is_followed() {
    check(1_001);
}

#[test]
fn an_entry_that_a_server_loses_is_missed() {
    let Some(clients) = Clients::find() else { return };
    let list = List::new(clients.folder(), 30);
    let lost = &list.entries[17].value;
    let server = Server::start(&clients, &list, &["--lose", lost]);
    for (programme, followed) in clients.follow(&server.feeds, true, None) {
        let mut expected = list.hashes();
        expected.values_mut().for_each(|values| values.retain(|value| value != lost));
        assert_eq!(followed.hashes, expected, "{programme}");
        assert_ne!(followed.hashes, list.hashes(), "{programme}");
    }
}

#[test]
fn four_refusals_are_waited_out_where_the_client_does_so_and_a_fifth_fails() {
    let Some(clients) = Clients::find() else { return };
    let list = List::new(clients.folder(), 10);
    for (refusals, is_followed) in [("4", true), ("5", false)] {
        for programme in ["ncmec", "stopncii", "tat"] {
            let server = Server::start(&clients, &list, &["--unavailable", refusals]);
            let feed = BTreeMap::from([(programme.to_owned(), server.feeds[programme].clone())]);
            let followed = clients.follow(&feed, false, None).remove(programme).unwrap();
            assert_eq!(followed.error.is_none(), is_followed, "{programme}: {:?}", followed.error);
            assert_eq!(followed.hashes == list.hashes(), is_followed, "{programme}");
        }
    }
}
