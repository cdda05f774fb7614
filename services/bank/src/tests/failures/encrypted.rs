//! Tests with PostgreSQL that accepts only TLS connections: every `sslmode`; certificates that are wrong,
//! expired or replaced; and passwords that are replaced.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;
use vigie_test_postgres::Files;
use vigie_tls::dev_ca::{DevCa, Leaf, Validity};

use crate::server::waiting::Causes;
use crate::tests::failures::disasters::{check, write};
use crate::tests::failures::standby::{served_by, terminate};
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

/// Opens the store; on failure returns the error with its causes, and whether it is retried.
async fn opened(url: &str) -> Result<Arc<dyn Store>, (String, bool)> {
    let location = Location::parse(&url.into()).unwrap();
    let opened = store::open(&location, &Config::default()).await;
    opened.map_err(|error| (Causes(&error).to_string(), error.is_away()))
}

async fn opens(url: &str) {
    opened(url).await.unwrap_or_else(|(error, _)| panic!("{url}: {error}")).close().await;
}

/// Checks that opening fails with this message and is not retried.
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
    // The behaviour of a server without TLS towards clients that ask for it.
    let plain = Server::shared().unwrap().database();
    opens(&format!("{}?sslmode=prefer", plain.url())).await;
    is_refused(&format!("{}?sslmode=require", plain.url()), "server does not support TLS").await;

    let expired = own.server("127.0.0.1", Validity::expired());
    let ca = own.file();
    server.replace_certificates(Files { certificate: &expired.certificate, key: &expired.key, ca: &ca });
    let url = at("127.0.0.1", "verify-full", Some(&right));
    for _ in 0..100 {
        // The server rereads its files a moment after the request to do so.
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

    // The bank's own files, named in its URL.
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
        // First both sides trust both authorities, then they show the new certificates, then they trust only
        // the new authority.
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
            // Every connection is opened again, with the present files.
            terminate(&bed, "application_name = 'vigie-bank'").await;
        }
    };
    let writers = join_all((0..4).map(|writer| write(&served, writer, until)));
    let (ledgers, ()) = tokio::join!(writers, rotation);
    let encrypted = "SELECT bool_and(ssl) AND count(*) >= 2 FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                     WHERE application_name = 'vigie-bank'";
    let Bed::Postgres(database) = &bed else { unreachable!() };
    assert_eq!(database.sql(encrypted), "t", "the writer and the session of the lead");
    // The old certificates are refused now: the present connections were made with the new ones.
    is_refused(
        &database.url_over_tls("localhost", &parameters("verify-full", Some(&old.file()), Some(&old_client))),
        "invalid peer certificate: UnknownIssuer",
    )
    .await;
    check(&bed, served, ledgers, 1).await;
    drop((old.folder, new.folder));
    server.stop();
}

/// Replaces the file of passwords by one with this password.
fn lay_password(file: &Path, password: &str) {
    let beside = file.with_extension("new");
    let mut new = fs::File::options().write(true).create_new(true).mode(0o600).open(&beside).unwrap();
    writeln!(new, "*:*:*:postgres:{password}").unwrap();
    fs::rename(beside, file).unwrap();
}

/// The variable that marks a child process whose file of passwords belongs to a test.
const CHILD: &str = "VIGIE_TEST_PASSWORD_CHILD";

/// Runs this test alone in a child process, with a file of passwords in its environment.
fn run_with_password_file(test: &str) {
    let folder = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--nocapture", test])
        .env(CHILD, "1")
        .env("PGPASSFILE", folder.path().join("passwords"))
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("1 passed"), "{test} is not its name: {printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_password_is_replaced_in_its_file_under_writers_and_no_write_is_lost() {
    let file = std::env::var_os("PGPASSFILE").filter(|_| std::env::var_os(CHILD).is_some());
    let Some(file) = file.map(PathBuf::from) else {
        let test = "tests::failures::encrypted::the_password_is_replaced_in_its_file_under_writers_and_no_write_is_lost";
        tokio::task::spawn_blocking(|| run_with_password_file(test)).await.unwrap();
        return;
    };
    let authority = Authority::new();
    let leaf = authority.server("localhost", Validity::days(1));
    let Some(server) = authority.started(&leaf, "scram-sha-256") else { return };
    let database = server.database();
    let set_role = |password: &str| format!("ALTER ROLE postgres PASSWORD '{password}'");
    database.sql(&set_role("first"));
    lay_password(&file, "wrong");
    let url = database.url_over_tls("localhost", &parameters("verify-full", Some(&authority.file()), None));
    is_refused(&url, "password authentication failed").await;
    lay_password(&file, "first");
    let bed = Bed::Postgres(database);
    let served = Served::start(Config { store: url.as_str().into(), ..bed.config() }).await;
    served.create_bank("a").await.unwrap();

    let Bed::Postgres(database) = &bed else { unreachable!() };
    let until = Instant::now() + Duration::from_secs(8);
    let rotation = async {
        for password in ["second", "third"] {
            tokio::time::sleep(Duration::from_millis(500)).await;
            lay_password(&file, password);
            // The server does not know the new password yet. Connections that end now are retried until it
            // does.
            terminate(&bed, "application_name = 'vigie-bank'").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            database.sql(&set_role(password));
            tokio::time::sleep(Duration::from_secs(1)).await;
            terminate(&bed, "application_name = 'vigie-bank'").await;
        }
    };
    let writers = join_all((0..4).map(|writer| write(&served, writer, until)));
    let (ledgers, ()) = tokio::join!(writers, rotation);
    is_refused(&url.replace("postgres@", "postgres:first@"), "password authentication failed").await;
    check(&bed, served, ledgers, 1).await;
    server.stop();
}

#[tokio::test]
async fn a_bank_of_a_second_role_takes_over_with_another_password() {
    let authority = Authority::new();
    let leaf = authority.server("localhost", Validity::days(1));
    let Some(server) = authority.started(&leaf, "scram-sha-256") else { return };
    let database = server.database();
    let (name, ca) = (database.name().to_owned(), authority.file());
    let url = database.url_over_tls("localhost", &parameters("verify-full", Some(&ca), None));
    let at = |credentials: &str| url.replace("postgres@", &format!("{credentials}@"));
    let bed = Bed::Postgres(database);
    let Bed::Postgres(database) = &bed else { unreachable!() };
    let start =
        |credentials: &str| Served::start(Config { store: at(credentials).as_str().into(), ..bed.config() });
    database.sql(&format!("CREATE ROLE vigie LOGIN PASSWORD 'first'; ALTER DATABASE {name} OWNER TO vigie"));
    let first = start("vigie:first").await;
    first.create_bank("a").await.unwrap();
    first.add("a", vec![item(1)]).await.unwrap();

    database.sql("CREATE ROLE vigie2 LOGIN PASSWORD 'second' IN ROLE vigie");
    database.sql("ALTER ROLE vigie2 SET role = 'vigie'");
    let second = start("vigie2:second").await;
    first.add("a", vec![item(2)]).await.unwrap();
    first.stop().await;
    database.sql("ALTER ROLE vigie NOLOGIN");
    is_refused(&at("vigie:first"), "not permitted to log in").await;
    served_by(&second, "b").await;
    second.add("a", vec![item(3)]).await.unwrap();
    assert_eq!(
        database.sql("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'"),
        "vigie"
    );
    second.stop().await;
    server.stop();
}
