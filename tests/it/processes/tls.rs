//! A whole cluster of processes that use only mutual TLS, with the certificates that `vigie tls dev-ca`
//! makes.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use vigie_harness::binary::{Finished, loadtest_binary, run, run_of, vigie_binary};
use vigie_harness::cluster::Cluster;
use vigie_pictures::{Alteration, draw, encode_jpeg};

/// The time limit for a cluster to be ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The time limit for an immediate error. It is shorter than a second attempt would take; most of it is for
/// starting a program and drawing the data of a small scenario.
const AT_ONCE: Duration = Duration::from_secs(8);

/// The time limit for new files to be read; processes check them every second.
const READ_AGAIN_WITHIN: Duration = Duration::from_secs(15);

/// A cluster of processes, and the folder with its certificates.
struct Secured {
    cluster: Cluster,
    folder: PathBuf,
}

impl Secured {
    fn start(folder: &Path) -> Self {
        let certificates = folder.join("certificates");
        let mut cluster = Cluster::of(vigie_binary())
            .folder(folder)
            .shards(2)
            .certificates(&certificates)
            .log("info,access=debug", "text")
            .config_files()
            .build()
            .unwrap();
        for process in cluster.processes_mut() {
            let config = process.config_file().unwrap();
            let checked = run(&["config", "check", config.to_str().unwrap()], &[]).unwrap();
            assert_eq!(checked.code, 0, "{:?}", checked.lines);
            process.start().unwrap();
        }
        Self { cluster, folder: folder.to_owned() }
    }

    /// Returns the environment variables for the client of this name; without a name it shows no certificate.
    fn environment(&self, client: Option<&str>) -> Vec<(String, String)> {
        let mut environment = self.cluster.environment();
        if let Some(client) = client {
            for (variable, kind) in [("VIGIE_CERTIFICATE", "crt"), ("VIGIE_KEY", "key")] {
                let file = self.folder.join(format!("certificates/client-{client}.{kind}"));
                environment.push((variable.to_owned(), file.display().to_string()));
            }
        }
        environment
    }

    /// Runs a command as the client of this name.
    fn vigie(&self, client: Option<&str>, args: &[&str]) -> Finished {
        run(args, &self.environment(client)).unwrap()
    }

    fn done(&self, args: &[&str]) -> Vec<serde_json::Value> {
        let args = [&["--json"], args].concat();
        let finished = self.vigie(Some("curator"), &args);
        assert_eq!(finished.code, 0, "{args:?}: {:?} {}", finished.lines, finished.stderr);
        finished.json().unwrap()
    }

    fn wait_ready(&mut self) {
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let status = self.vigie(Some("curator"), &["status"]);
            if status.code == 0 {
                return;
            }
            self.cluster.check_running().unwrap();
            assert!(Instant::now() < deadline, "not ready: {:?} {}", status.lines, status.stderr);
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

#[test]
fn a_cluster_of_processes_under_mutual_tls_adds_matches_and_removes() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certificates");
    let make = || {
        let folder = certificates.to_str().unwrap();
        let made = run(&["tls", "dev-ca", folder, "--client", "curator"], &[]).unwrap();
        assert_eq!(made.code, 0, "{}", made.stderr);
        assert!(made.stderr.contains("for development"), "{}", made.stderr);
        made.lines.join("\n")
    };
    let said = make();
    for word in ["localhost, 127.0.0.1, ::1", "spiffe://vigie.dev/curator", "[tls]", "certificate = "] {
        assert!(said.contains(word), "{word} in {said}");
    }
    for key in ["ca.key", "localhost.key", "client-curator.key"] {
        let mode = std::fs::metadata(certificates.join(key)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{key}");
    }

    let mut cluster = Secured::start(folder.path());
    cluster.wait_ready();
    let picture = draw(2, 640, 480);
    let (original, copy) = (folder.path().join("original.jpg"), folder.path().join("copy.jpg"));
    std::fs::write(&original, encode_jpeg(&picture, 95)).unwrap();
    std::fs::write(&copy, Alteration::Rotated90.apply(&picture)).unwrap();
    let (original, copy) = (original.to_str().unwrap(), copy.to_str().unwrap());
    cluster.done(&["bank", "create", "known"]);
    let added = &cluster.done(&["item", "add", "known", original])[0];
    let (item, sequence) = (added["item_id"].to_string(), added["sequence"].to_string());
    let matched = &cluster.done(&["match", copy, "--min-sequence", &sequence])[0];
    assert_eq!(matched["matches"][0]["item_id"].to_string(), item, "{matched}");

    // The certificates are renewed while the cluster runs; the authority stays the same.
    let authority = std::fs::read(certificates.join("ca.crt")).unwrap();
    let before = std::fs::read(certificates.join("localhost.crt")).unwrap();
    make();
    assert_eq!(std::fs::read(certificates.join("ca.crt")).unwrap(), authority);
    assert_ne!(std::fs::read(certificates.join("localhost.crt")).unwrap(), before);
    let deadline = Instant::now() + READ_AGAIN_WITHIN;
    while let Some(role) =
        cluster.cluster.processes().iter().find(|role| !role.logged().unwrap().contains("were read again"))
    {
        assert!(Instant::now() < deadline, "not read again: {}", role.logged().unwrap());
        std::thread::sleep(Duration::from_millis(50));
    }
    let removed = &cluster.done(&["item", "remove", &item])[0];
    let matched = &cluster.done(&["match", copy, "--min-sequence", &removed["sequence"].to_string()])[0];
    assert_eq!(matched["matches"].as_array().map(Vec::len), Some(0), "{matched}");

    // A client without a certificate is refused, and the bank logs the client and the reason.
    let refused = cluster.vigie(None, &["bank", "list"]);
    assert_eq!(refused.code, 1, "trying again is of no use: {:?}", refused.lines);
    let logged = cluster.cluster.processes()[0].logged().unwrap();
    assert!(logged.contains("refused a handshake") && logged.contains("shows no certificate"), "{logged}");
    for word in ["BankService/CreateBank", "spiffe://vigie.dev/curator", "client=\"localhost\""] {
        assert!(logged.contains(word), "{word} in {logged}");
    }
}

/// Returns the environment without this variable.
fn without(environment: &[(String, String)], variable: &str) -> Vec<(String, String)> {
    environment.iter().filter(|(name, _)| name != variable).cloned().collect()
}

#[test]
fn a_cluster_under_mutual_tls_is_put_under_load_and_every_answer_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let certificates = folder.path().join("certificates");
    let made = run(&["tls", "dev-ca", certificates.to_str().unwrap(), "--client", "curator"], &[]).unwrap();
    assert_eq!(made.code, 0, "{}", made.stderr);
    let mut cluster = Secured::start(folder.path());
    cluster.wait_ready();
    let curator = cluster.environment(Some("curator"));
    let url = |variable: &str| curator.iter().find(|(name, _)| name == variable).unwrap().1.clone();
    let (frontend, bank) = (url("VIGIE_FRONTEND"), url("VIGIE_BANK"));
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let results = folder.path().join("results").display().to_string();
    let arguments = ["run", "smoke", "--target", &frontend, "--bank-url", &bank, "--json", "--plain"];
    let short = [
        "--set",
        "data.hashes=2000",
        "--set",
        "drive.warm_up=1s",
        "--set",
        "drive.duration=3s",
        "--set",
        "arrivals.rate=50",
    ];
    let two = ["--out", &results, "--generators", "2", "--listen", &address];
    let lead = [&arguments[..], &short, &two].concat();
    let (led, joined) = std::thread::scope(|scope| {
        let leader = scope.spawn(|| run_of(loadtest_binary(), &lead, &curator).unwrap());
        let joined = run_of(loadtest_binary(), &["run", "--join", &address], &curator).unwrap();
        (leader.join().unwrap(), joined)
    });
    // The thresholds require that nothing is missed, false or stale, and that nothing fails.
    assert_eq!(led.code, 0, "{:?} {}", led.lines, led.stderr);
    assert_eq!(joined.code, 0, "{}", joined.stderr);
    let result = &led.json().unwrap()[0];
    assert!(result["verdict"]["judged"].as_u64().unwrap() > 100, "{}", result["verdict"]);
    assert_eq!(result["generator"]["processes"], 2);

    // A client that does not know the authority, or shows no certificate, gets that error at once.
    let lookups = folder.path().join("lookups.toml");
    std::fs::write(&lookups, "name = 'lookups'\n[data]\nhashes = 1000\n[arrivals]\nrate = 10\n").unwrap();
    let lookups = lookups.to_str().unwrap();
    let no_authority = without(&curator, "VIGIE_CA");
    let stranger = cluster.environment(None);
    for (environment, reason) in [(no_authority, "UnknownIssuer"), (stranger, "CertificateRequired")] {
        // Once from the connection to the bank, and once from those to the frontend.
        for arguments in [[&arguments[..], &short].concat(), vec!["run", lookups, "--target", &frontend]] {
            let begun = Instant::now();
            let refused = run_of(loadtest_binary(), &arguments, &environment).unwrap();
            assert_eq!(refused.code, 1, "{}", refused.stderr);
            assert!(refused.stderr.contains(reason), "{reason} in {}", refused.stderr);
            assert!(begun.elapsed() < AT_ONCE, "{:?}", begun.elapsed());
        }
    }
}

#[test]
fn plain_text_to_another_machine_is_refused_by_roles_and_by_commands() {
    let refused =
        run(&["bank", "--listen", "0.0.0.0:0", "--set", "bank.store=sqlite::memory:"], &[]).unwrap();
    assert_eq!(refused.code, 1);
    for remedy in ["[tls]", "allow_plaintext = true"] {
        assert!(refused.stderr.contains(remedy), "{}", refused.stderr);
    }
    let refused = run(&["bank", "list", "--bank-url", "http://bank.example:7742"], &[]).unwrap();
    assert_eq!(refused.code, 1);
    for remedy in ["https://", "--allow-plaintext"] {
        assert!(refused.stderr.contains(remedy), "{}", refused.stderr);
    }
}
