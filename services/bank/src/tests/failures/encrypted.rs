//! PostgreSQL that accepts connections over TLS alone: every `sslmode`, certificates that are wrong, expired or replaced.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use vigie_test_postgres::Files;
use vigie_tls::dev_ca::{DevCa, Leaf, Validity};

use crate::server::waiting::Causes;
use crate::tests::failures::disasters::{check, write};
use crate::tests::*;

/// An authority with the certificates that it has signed, in a folder.
struct Authority {
    folder: TempDir,
    ca: DevCa,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ca = DevCa::open(folder.path()).unwrap();
        Self { folder, ca }
    }

    fn server(&self, name: &str, validity: Validity) -> Leaf {
        self.ca.server(&[name.to_owned()], validity).unwrap()
    }

    fn client(&self, name: &str, validity: Validity) -> Leaf {
        self.ca.client(name, validity).unwrap()
    }

    fn file(&self) -> PathBuf {
        self.ca.certificate()
    }

    fn started(&self, leaf: &Leaf, access: &str) -> Option<&'static Server> {
        let ca = self.file();
        let files = Files { certificate: &leaf.certificate, key: &leaf.key, ca: &ca };
        Some(Box::leak(Box::new(Server::start_with_tls(files, access)?)))
    }
}

fn parameters(mode: &str, ca: Option<&Path>, leaf: Option<&Leaf>) -> String {
    let mut parameters = format!("sslmode={mode}");
    if let Some(ca) = ca {
        parameters += &format!("&sslrootcert={}", ca.display());
    }
    if let Some(leaf) = leaf {
        parameters += &format!("&sslcert={}&sslkey={}", leaf.certificate.display(), leaf.key.display());
    }
    parameters
}

/// Opens the store, and gives why it does not open, with its causes.
async fn opened(url: &str) -> Result<Arc<dyn Store>, (String, bool)> {
    let location = Location::parse(&url.into()).unwrap();
    let opened = store::open(&location, &Config::default()).await;
    opened.map_err(|error| (Causes(&error).to_string(), error.is_away()))
}

async fn opens(url: &str) {
    opened(url).await.unwrap_or_else(|(error, _)| panic!("{url}: {error}")).close().await;
}

/// It is refused in words, and not waited for.
async fn is_refused(url: &str, part: &str) {
    let (words, is_away) = opened(url).await.map(drop).expect_err(url);
    assert!(words.contains(part), "{words:?} does not say {part:?}");
    assert!(!is_away, "{words}");
}

#[tokio::test]
async fn every_mode_does_what_it_says_and_a_wrong_server_is_refused() {
    let (own, other) = (Authority::new(), Authority::new());
    let leaf = own.server("localhost", Validity::days(1));
    let Some(server) = own.started(&leaf, "trust") else { return };
    let database = server.database();
    let at =
        |host: &str, mode: &str, ca: Option<&Path>| database.url_over_tls(host, &parameters(mode, ca, None));
    let (right, wrong) = (own.file(), other.file());
    is_refused(&at("localhost", "disable", None), "no encryption").await;
    opens(&at("localhost", "prefer", None)).await;
    opens(&at("localhost", "require", None)).await;
    for mode in ["verify-ca", "verify-full"] {
        opens(&at("localhost", mode, Some(&right))).await;
        is_refused(&at("localhost", mode, Some(&wrong)), "invalid peer certificate: UnknownIssuer").await;
        is_refused(&at("localhost", mode, None), "invalid peer certificate: UnknownIssuer").await;
    }
    opens(&at("127.0.0.1", "verify-ca", Some(&right))).await;
    is_refused(&at("127.0.0.1", "verify-full", Some(&right)), "certificate not valid for name \"127.0.0.1\"")
        .await;
    // What a server without TLS does about those that ask for it.
    let plain = Server::shared().unwrap().database();
    opens(&format!("{}?sslmode=prefer", plain.url())).await;
    is_refused(&format!("{}?sslmode=require", plain.url()), "server does not support TLS").await;

    let expired = own.server("127.0.0.1", Validity::expired());
    let ca = own.file();
    server.replace_certificates(Files { certificate: &expired.certificate, key: &expired.key, ca: &ca });
    let url = at("127.0.0.1", "verify-full", Some(&right));
    for _ in 0..100 {
        // The server reads its files a moment after it is asked to.
        match opened(&url).await {
            Err((words, _)) if words.contains("expired") => break,
            _ => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
    is_refused(&url, "invalid peer certificate: certificate expired").await;
    server.stop();
}

#[tokio::test]
async fn a_client_certificate_is_shown_and_a_wrong_one_is_refused() {
    let (own, other) = (Authority::new(), Authority::new());
    let leaf = own.server("localhost", Validity::days(1));
    let Some(server) = own.started(&leaf, "trust clientcert=verify-ca") else { return };
    let database = server.database();
    let ca = own.file();
    let with =
        |leaf: Option<&Leaf>| database.url_over_tls("localhost", &parameters("verify-full", Some(&ca), leaf));
    opens(&with(Some(&own.client("bank", Validity::days(1))))).await;
    is_refused(&with(None), "connection requires a valid client certificate").await;
    is_refused(&with(Some(&other.client("bank", Validity::days(1)))), "received fatal alert").await;
    is_refused(&with(Some(&own.client("late", Validity::expired()))), "received fatal alert").await;
    server.stop();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_and_authorities_are_replaced_under_writers_and_no_write_is_lost() {
    let (old, new) = (Authority::new(), Authority::new());
    let (old_server, new_server) =
        (old.server("localhost", Validity::days(1)), new.server("localhost", Validity::days(1)));
    let (old_client, new_client) =
        (old.client("bank", Validity::days(1)), new.client("bank", Validity::days(1)));
    let Some(server) = old.started(&old_server, "trust clientcert=verify-ca") else { return };
    let database = server.database();

    // The bank's own files, which its URL names.
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("both.crt");
    fs::write(&bundle, [fs::read(old.file()).unwrap(), fs::read(new.file()).unwrap()].concat()).unwrap();
    let ca = folder.path().join("ca.crt");
    let own = Leaf { certificate: folder.path().join("tls.crt"), key: folder.path().join("tls.key") };
    let lay = |authorities: &Path, leaf: &Leaf| {
        for (from, to) in [(authorities, &ca), (&leaf.certificate, &own.certificate), (&leaf.key, &own.key)] {
            let beside = to.with_extension("new");
            fs::copy(from, &beside).unwrap();
            fs::rename(beside, to).unwrap();
        }
    };
    lay(&old.file(), &old_client);
    let url = database.url_over_tls("localhost", &parameters("verify-full", Some(&ca), Some(&own)));
    let bed = Bed::Postgres(database);
    let config = Config { store: url.as_str().into(), ..bed.config() };
    assert_eq!(config.faults(), Vec::<String>::new());
    let served = Served::start(config).await;
    served.create_bank("a").await.unwrap();

    let until = Instant::now() + Duration::from_secs(7);
    let rotation = async {
        // First both sides trust both authorities, then they show the new certificates, then they trust the new authority alone.
        let steps = [
            (bundle.as_path(), &old_client, &old_server),
            (bundle.as_path(), &new_client, &new_server),
            (&new.file(), &new_client, &new_server),
        ];
        for (authorities, client, leaf) in steps {
            tokio::time::sleep(Duration::from_millis(500)).await;
            lay(authorities, client);
            server.replace_certificates(Files {
                certificate: &leaf.certificate,
                key: &leaf.key,
                ca: authorities,
            });
            tokio::time::sleep(Duration::from_millis(500)).await;
            // Every connection is made anew, with what is there now.
            crate::tests::failures::standby::terminate(&bed, "application_name = 'vigie-bank'").await;
        }
    };
    let writers = join_all((0..4).map(|writer| write(&served, writer, until)));
    let (ledgers, ()) = tokio::join!(writers, rotation);
    let encrypted = "SELECT bool_and(ssl) AND count(*) >= 2 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'vigie-bank'";
    let Bed::Postgres(database) = &bed else { unreachable!() };
    assert_eq!(database.sql(encrypted), "t", "the writer and the session of the lead");
    // The old certificates are of no use any more: the connections of now were made with the new ones.
    is_refused(
        &database.url_over_tls("localhost", &parameters("verify-full", Some(&old.file()), Some(&old_client))),
        "invalid peer certificate: UnknownIssuer",
    )
    .await;
    check(&bed, served, ledgers, 1).await;
    drop((old.folder, new.folder));
    server.stop();
}
