//! The real clients, as programs that tests start: `tests/clients/follow_feeds.py` drives
//! python-threatexchange.
//!
//! `VIGIE_PYTHON` names another interpreter than `python3`. With `VIGIE_REQUIRE_THREATEXCHANGE` set, the
//! absence of the package `threatexchange` is a failure; otherwise the tests report that they are skipped.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::repository::source::root;

/// The exit code of `follow_feeds.py` without the package.
const ABSENT: i32 = 77;
/// Hashes by signal type, as python-threatexchange names it.
pub(super) type Hashes = BTreeMap<String, Vec<String>>;

/// The result of following one feed to its end.
#[derive(Debug, Deserialize)]
pub(super) struct Followed {
    #[serde(default)]
    pub(super) hashes: Hashes,
    #[serde(default)]
    pub(super) pages: u64,
    /// Number of checkpoints from which the feed was followed again.
    pub(super) resumed: Option<u64>,
    /// StopNCII only: values whose latest status is withdrawn. The client still matches them.
    #[serde(default)]
    withdrawn: Vec<String>,
    pub(super) error: Option<String>,
}

impl Followed {
    /// Returns the hashes without those that the feed reports as withdrawn.
    pub(super) fn standing(&self) -> Hashes {
        let mut standing = self.hashes.clone();
        for values in standing.values_mut() {
            values.retain(|value| self.withdrawn.binary_search(value).is_err());
        }
        standing.retain(|_, values| !values.is_empty());
        standing
    }
}

/// The clients, with a folder for their state between two rounds.
pub(super) struct Clients {
    python: String,
    folder: tempfile::TempDir,
}

impl Clients {
    /// Returns the folder, which is removed with this value.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Finds the clients; returns `None`, and reports it, where the package is not installed.
    pub(super) fn find() -> Option<Self> {
        let python = env::var("VIGIE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let clients = Self { python, folder: tempfile::tempdir().unwrap() };
        let asked = clients.script("follow_feeds.py").arg("--help").output();
        let absence = match asked {
            Ok(output) if output.status.success() => return Some(clients),
            Ok(output) if output.status.code() == Some(ABSENT) => {
                String::from_utf8_lossy(&output.stderr).trim().to_owned()
            }
            Ok(output) => panic!("{}", String::from_utf8_lossy(&output.stderr)),
            Err(error) => format!("`{}` cannot be started: {error}", clients.python),
        };
        let required = "VIGIE_REQUIRE_THREATEXCHANGE";
        assert!(env::var_os(required).is_none(), "{absence}, and {required} is set");
        eprintln!(
            "SKIPPED: {absence}, so no real client has followed our feeds. pip install threatexchange==1.2.17"
        );
        None
    }

    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = Command::new(&self.python);
        command.arg(root().join("tests/clients").join(name)).env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Follows feeds to their ends; `round` names the state that a client continues from, if there is one.
    pub(super) fn follow(
        &self,
        feeds: &BTreeMap<String, String>,
        resume: bool,
        round: Option<&str>,
    ) -> BTreeMap<String, Followed> {
        let mut command = self.script("follow_feeds.py");
        for (programme, url) in feeds {
            command.args([format!("--{programme}"), url.clone()]);
        }
        if resume {
            command.arg("--resume");
        }
        if let Some(round) = round {
            command.arg("--state").arg(self.folder.path().join(round));
        }
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
    }
}
