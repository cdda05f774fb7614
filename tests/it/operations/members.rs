//! Several organisations on one deployment, from the first operator to the last revocation: the commands of
//! the README.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vigie_harness::binary::{Finished, run, vigie_binary};
use vigie_harness::up::UpProcess;
use vigie_pictures::{Alteration, draw, encode_jpeg};

/// The time limit for frontends and matchers to apply a change. They have 5 seconds; the rest is for a busy
/// machine.
const WITHIN: Duration = Duration::from_secs(30);

/// A deployment, and the keys of its users.
pub(super) struct Deployment {
    up: UpProcess,
    pub(super) folder: tempfile::TempDir,
    _data: tempfile::TempDir,
}

impl Deployment {
    pub(super) fn start() -> Self {
        let data = tempfile::tempdir().unwrap();
        let up = UpProcess::start(vigie_binary(), data.path()).unwrap();
        Self { up, folder: tempfile::tempdir().unwrap(), _data: data }
    }

    /// Returns the path of a key's file.
    pub(super) fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(name).with_extension("key")
    }

    /// Runs a command with the key of this name; without a key if the name is empty.
    pub(super) fn run(&self, key: &str, args: &[&str]) -> Finished {
        let file = self.key(key);
        let credential = ["--api-key-file", text(&file)];
        let args = if key.is_empty() { args.to_vec() } else { [args, &credential].concat() };
        run(&args, &self.up.environment()).unwrap()
    }

    /// Runs a command that has to succeed.
    pub(super) fn done(&self, key: &str, args: &[&str]) -> Finished {
        let finished = self.run(key, args);
        assert_eq!(finished.code, 0, "{args:?}: {:?} {}", finished.lines, finished.stderr);
        finished
    }

    /// Runs a command that has to be refused for this reason.
    pub(super) fn refused(&self, key: &str, args: &[&str], reason: &str) {
        let finished = self.run(key, args);
        assert_eq!(finished.code, 1, "{args:?}: {:?} {}", finished.lines, finished.stderr);
        assert!(finished.stderr.contains(reason), "{args:?}: no `{reason}` in {}", finished.stderr);
    }

    /// Creates a principal with the key of `author`, and writes the new key to the file of `name`.
    pub(super) fn principal(&self, author: &str, name: &str, args: &[&str]) {
        let file = self.key(name);
        self.done(author, &[&["principal", "add", "--key-file", text(&file)], args].concat());
    }

    /// Returns the id of the newest principal of the member with this key.
    fn newest(&self, key: &str) -> String {
        let listed = self.done(key, &["--json", "principal", "list"]).json().unwrap();
        listed.last().unwrap()["principal_id"].to_string()
    }

    /// Repeats a command until its result satisfies a condition.
    pub(super) fn until(&self, key: &str, args: &[&str], is_so: impl Fn(&Finished) -> bool) {
        let deadline = Instant::now() + WITHIN;
        loop {
            let finished = self.run(key, args);
            if is_so(&finished) {
                return;
            }
            assert!(Instant::now() < deadline, "{args:?}: {:?} {}", finished.lines, finished.stderr);
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

pub(super) fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

pub(super) fn is_known(finished: &Finished) -> bool {
    finished.code == 0 && finished.lines[0].contains("KNOWN")
}

pub(super) fn is_not_known(finished: &Finished) -> bool {
    finished.code == 0 && finished.lines[0].contains("not known")
}

fn is_refused(finished: &Finished) -> bool {
    finished.code == 1 && finished.stderr.contains("credentials are not valid")
}

#[test]
fn members_share_a_bank_and_take_it_back() {
    let deployment = Deployment::start();
    let original = draw(5, 640, 480);
    let file = |name: &str, content: Vec<u8>| {
        let path = deployment.folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        text(&path).to_owned()
    };
    let original_file = file("original.jpg", encode_jpeg(&original, 95));
    let copy = file("copy.jpg", Alteration::Rotated90.apply(&original));

    // Before and after members are turned on.
    assert!(deployment.done("", &["whoami"]).lines[0].starts_with("no members"));
    deployment.refused("", &["principal", "add", "--role", "operator"], "--turn-on");
    deployment.principal("", "operator", &["--role", "operator", "--turn-on"]);
    deployment.refused("", &["whoami"], "--api-key-file");
    deployment.refused("", &["match", &copy], "needs a credential");
    assert!(deployment.done("operator", &["whoami"]).lines[1].contains("operator"));
    deployment.refused("operator", &["bank", "create", "mine"], "`vigie whoami`");
    deployment.until("operator", &["status"], |finished| finished.code == 0);

    // Two members, each with an administrator, who does the rest.
    for member in ["hive", "acme"] {
        deployment.done("operator", &["member", "add", member]);
        deployment.refused(
            "operator",
            &["principal", "add", "--member", member, "--role", "matcher"],
            "roles",
        );
        let administrator = format!("{member}-admin");
        let roles = ["--member", member, "--role", "administrator"];
        deployment.principal("operator", &administrator, &roles);
    }
    deployment.principal("hive-admin", "hive", &["--role", "contributor"]);
    deployment.principal("acme-admin", "acme", &["--role", "matcher", "--expires", "30d"]);
    deployment.done("hive-admin", &["bank", "create", "known"]);
    deployment.done("hive", &["item", "add", "known", "--label", "drawn", &original_file]);
    deployment.until("hive", &["match", &copy], is_known);
    deployment.until("acme", &["match", &copy], is_not_known);
    assert_ne!(deployment.run("acme", &["status"]).code, 0);
    let by_name = ["match", copy.as_str(), "--bank", "hive/known"];
    deployment.refused("acme", &by_name, "there is no bank called hive/known");

    // A shared bank is visible as far as it is shared, and no further.
    deployment.done("hive-admin", &["grant", "put", "known", "acme", "--allow", "match"]);
    deployment.until("acme", &by_name, is_known);
    let matched = deployment.done("acme", &by_name).lines.swap_remove(0);
    assert!(matched.contains("an item of hive/known") && !matched.contains("drawn"), "{matched}");
    deployment.done("hive-admin", &["grant", "put", "known", "acme", "--allow", "match,see-details"]);
    deployment.until("acme", &by_name, |finished| finished.lines[0].contains("labels drawn"));
    let given = deployment.done("hive-admin", &["--json", "grant", "list", "known"]).json().unwrap();
    assert_eq!((given[0]["member"].as_str(), given[0]["bank"].as_str()), (Some("acme"), Some("known")));
    deployment.done("acme-admin", &["grant", "alias", "hive/known", "theirs"]);
    deployment.until("acme", &["match", &copy, "--bank", "theirs"], is_known);
    let received = deployment.done("acme-admin", &["--json", "grant", "list"]).json().unwrap();
    assert_eq!((received[0]["bank"].as_str(), received[0]["owner"].as_str()), (Some("theirs"), Some("hive")));
    deployment.refused("acme", &["item", "list", "theirs"], "roles");

    // Keys are rotated, and then revoked.
    let acme = deployment.newest("acme-admin");
    let (second, third) = (deployment.key("acme-2"), deployment.key("acme-3"));
    deployment.done("acme-admin", &["principal", "rotate", &acme, "--key-file", text(&second)]);
    deployment.until("acme-2", &["match", &copy], is_known);
    deployment.done("acme", &["match", &copy]);
    let at_once = ["principal", "rotate", &acme, "--overlap", "0", "--key-file", text(&third)];
    deployment.done("acme-admin", &at_once);
    deployment.until("acme-3", &["match", &copy], is_known);
    deployment.until("acme-2", &["match", &copy], is_refused);
    deployment.done("hive-admin", &["grant", "revoke", "known", "acme"]);
    deployment.until("acme-3", &["match", &copy], is_not_known);
    deployment.done("acme-admin", &["principal", "revoke", &acme]);
    deployment.until("acme-3", &["match", &copy], is_refused);
    deployment.done("operator", &["member", "suspend", "hive"]);
    deployment.until("hive", &["match", &copy], |finished| finished.stderr.contains("suspended"));
    deployment.refused("operator", &["principal", "revoke", "1"], "has to remain");
}

#[test]
fn limits_and_terms_are_shown_as_they_were_set() {
    let deployment = Deployment::start();
    deployment.principal("", "operator", &["--role", "operator,administrator", "--turn-on"]);
    let quota = |args: &[&str]| {
        let args = [&["--json", "quota"], args].concat();
        deployment.done("operator", &args).json().unwrap().swap_remove(0)
    };
    let set = quota(&["set", "local", "--units-per-second", "100", "--images-only", "true"]);
    assert_eq!((set["units_per_second"].as_u64(), set["images_only"].as_bool()), (Some(100), Some(true)));
    quota(&["set", "local", "--items-added-per-day", "5"]);
    let shown = quota(&["show"]);
    let limits = ["units_per_second", "items_added_per_day", "units_per_day"].map(|key| shown[key].as_u64());
    assert_eq!(limits, [Some(100), Some(5), Some(0)]);

    deployment.done("operator", &["bank", "create", "known"]);
    let charter = |args: &[&str]| {
        let args = [&["--json", "bank", "charter"], args].concat();
        deployment.done("operator", &args).json().unwrap().swap_remove(0)
    };
    charter(&["set", "known", "--taxonomies", "ncmec,iwf", "--purge-hours", "24"]);
    charter(&["set", "known", "--two-person-items", "100"]);
    let shown = charter(&["show", "known"]);
    assert_eq!(shown["taxonomies"], serde_json::json!(["iwf", "ncmec"]));
    assert_eq!((shown["purge_hours"].as_u64(), shown["two_person_items"].as_u64()), (Some(24), Some(100)));

    deployment
        .done("operator", &["member", "add", "acme", "--display-name", "Acme", "--jurisdictions", "FR"]);
    deployment.done("operator", &["member", "edit", "acme", "--jurisdictions", "FR,DE"]);
    deployment.done("operator", &["member", "issuers", "acme", "https://id.acme.example"]);
    deployment.done("operator", &["member", "quarantine", "acme"]);
    let members = deployment.done("operator", &["--json", "member", "list"]).json().unwrap();
    let acme = &members[1];
    assert_eq!((acme["display_name"].as_str(), acme["state"].as_str()), (Some("Acme"), Some("quarantined")));
    assert_eq!(acme["jurisdictions"], serde_json::json!(["DE", "FR"]));
    assert_eq!(acme["token_issuers"], serde_json::json!(["https://id.acme.example"]));
}
