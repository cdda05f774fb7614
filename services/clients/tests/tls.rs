//! Tests of clients and a server over TLS: the identity of each, and certificates that are replaced under
//! load.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test, and it measures")]

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tonic::{Request, Response, Status};
use vigie_clients::{BankClient, Code, MatcherClient, Network};
use vigie_model::{ReplicaDescription, Sequence, ShardGroup};
use vigie_net::{Connect, Connection};
use vigie_proto::pb::matcher::v1 as pb;
use vigie_proto::pb::matcher::v1::matcher_service_server::{MatcherService, MatcherServiceServer};
use vigie_serving::{Call, Reflection, Routes, Secured, ServingConfig, Shutdown, serve};
use vigie_telemetry::CapturedLog;
use vigie_tls::dev_ca::{DevCa, Leaf, Validity};
use vigie_tls::{Sides, Tls, TlsConfig};

/// The log of all tests of this file.
static LOG: LazyLock<CapturedLog> = LazyLock::new(|| {
    let log = CapturedLog::default();
    let lines = tracing_subscriber::fmt().with_env_filter("access=debug,vigie_serving=warn,vigie_tls=warn");
    lines.with_ansi(false).with_writer(log.clone()).init();
    log
});

/// Returns the log lines that contain this text.
fn logged(what: &str) -> Vec<String> {
    LOG.lines(what)
}

/// A matcher that answers its callers with their identity.
struct Mirror;

#[tonic::async_trait]
impl MatcherService for Mirror {
    async fn search(&self, _: Request<pb::SearchRequest>) -> Result<Response<pb::SearchResponse>, Status> {
        Err(Status::aborted("nobody searches here"))
    }

    async fn describe(
        &self,
        request: Request<pb::DescribeRequest>,
    ) -> Result<Response<pb::DescribeResponse>, Status> {
        let identity = Call::of(&request).identity().map(|identity| identity.0.to_string());
        let description = ReplicaDescription {
            shards: ShardGroup::new(0, 1, 1).unwrap(),
            sequence: Sequence(0),
            head: Sequence(0),
            unready_reason: Some(identity.unwrap_or_default()),
            items: 0,
            hashes: Vec::new(),
            digest: Default::default(),
            memory_bytes: 0,
            process_id: 0,
        };
        Ok(Response::new(description.into()))
    }

    type WatchStream = tokio_stream::Pending<Result<pb::WatchResponse, Status>>;

    async fn watch(&self, _: Request<pb::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(tokio_stream::pending()))
    }
}

/// A server that ends with the test.
struct Server {
    address: SocketAddr,
    _running: JoinSet<()>,
}

impl Server {
    async fn start(tls: Option<Tls>) -> Self {
        LazyLock::force(&LOG);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes =
            Routes::new(Reflection { descriptors: vigie_proto::DESCRIPTORS, roles: vigie_proto::ROLES })
                .unwrap();
        let routes = routes.with(MatcherServiceServer::new(Mirror));
        let mut running = JoinSet::new();
        running.spawn(async move {
            let config = ServingConfig::default().without_lame_duck();
            serve(Secured::new(listener, tls), routes, 1 << 20, &config, Shutdown::new()).await.unwrap();
        });
        Self { address, _running: running }
    }

    async fn of(ca: &DevCa, leaf: &Leaf) -> Self {
        Self::start(Some(Tls::start(config(ca, leaf), Sides::ServerAndClient).unwrap())).await
    }

    fn client(&self, network: &Network) -> MatcherClient {
        MatcherClient::new_on(&format!("https://localhost:{}", self.address.port()), network).unwrap()
    }
}

fn config(ca: &DevCa, leaf: &Leaf) -> TlsConfig {
    TlsConfig {
        certificate: Some(leaf.certificate.clone()),
        key: Some(leaf.key.clone()),
        ca: Some(ca.certificate()),
        ..TlsConfig::default()
    }
}

fn network(ca: &DevCa, leaf: &Leaf) -> Network {
    Network::tcp().with_tls(Some(Tls::start(config(ca, leaf), Sides::Client).unwrap()))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(5)
}

fn causes(error: &dyn std::error::Error) -> String {
    let all = std::iter::successors(Some(error), |error| error.source());
    all.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[tokio::test]
async fn the_name_in_the_certificate_reaches_the_handler_and_the_access_log() {
    let folder = tempfile::tempdir().unwrap();
    let ca = DevCa::open(folder.path()).unwrap();
    let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
    let server = Server::of(&ca, &leaf).await;
    let platform = ca.client("the-first-platform", Validity::days(1)).unwrap();
    let client = server.client(&network(&ca, &platform));
    let name = client.describe(soon()).await.unwrap().unready_reason.unwrap();
    assert_eq!(name, "spiffe://vigie.dev/the-first-platform");
    // A service uses the certificate that it serves with as its client certificate.
    let service = server.client(&network(&ca, &leaf));
    assert_eq!(service.describe(soon()).await.unwrap().unready_reason.unwrap(), "localhost");

    // A failed call is logged too.
    let options = vigie_model::SearchOptions::default();
    let failed = client.search([], &options, Default::default(), soon()).await.unwrap_err();
    assert_eq!(failed.code(), Code::Aborted);
    let deadline = soon();
    while logged("the-first-platform").len() < 2 {
        assert!(Instant::now() < deadline, "the calls are not logged");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lines = logged("the-first-platform");
    assert_eq!(lines.len(), 2, "{lines:?}");
    for (line, method, code) in [(&lines[0], "Describe", "Ok"), (&lines[1], "Search", "Aborted")] {
        let method = format!("method=\"vigie.matcher.v1.MatcherService/{method}\" code={code} ms=");
        assert!(line.contains(" access: call ") && line.contains(&method), "{line}");
        assert!(line.contains("peer=127.0.0.1:"), "{line}");
    }
}

#[tokio::test]
async fn in_plain_text_nobody_has_a_name() {
    let server = Server::start(None).await;
    let client = MatcherClient::new(&format!("http://{}", server.address)).unwrap();
    assert_eq!(client.describe(soon()).await.unwrap().unready_reason.unwrap(), "");
}

#[tokio::test]
async fn a_client_checks_the_authority_and_the_name_of_a_server() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [ca, other] = [&folders[0], &folders[1]].map(|folder| DevCa::open(folder.path()).unwrap());
    let leaf = ca.server(&["matchers.vigie.internal".to_owned()], Validity::days(1)).unwrap();
    let server = Server::of(&ca, &leaf).await;
    let fails = async |network: Network, why: &str| {
        let error = server.client(&network).describe(soon()).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable, "{error}");
        assert!(causes(&error).contains(why), "{}", causes(&error));
    };
    fails(network(&ca, &leaf), "not valid for name \"localhost\"").await;
    fails(network(&other, &leaf).expecting("matchers.vigie.internal"), "UnknownIssuer").await;
    fails(Network::tcp(), "the endpoint asks for TLS").await;
    let expecting = network(&ca, &leaf).expecting("matchers.vigie.internal");
    server.client(&expecting).describe(soon()).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_reported_at_once_and_not_at_the_deadline() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [ca, other] = [&folders[0], &folders[1]].map(|folder| DevCa::open(folder.path()).unwrap());
    let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
    let server = Server::of(&ca, &leaf).await;
    let url = format!("https://localhost:{}", server.address.port());
    let nameless = TlsConfig { certificate: None, key: None, ..config(&ca, &leaf) };
    let nameless = Network::tcp().with_tls(Some(Tls::start(nameless, Sides::Client).unwrap()));
    for (network, why) in [(network(&other, &leaf), "UnknownIssuer"), (nameless, "CertificateRequired")] {
        let begun = Instant::now();
        let bank = BankClient::new_on(&url, &network).unwrap();
        let refused = bank.log_head(begun + Duration::from_secs(60)).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        assert!(refused.is_for_good() && causes(&refused).contains(why), "{}", causes(&refused));
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    }
}

/// Refuses the first two connections, and leaves later ones waiting.
#[derive(Debug)]
struct Closing(AtomicU64);

impl Connect for Closing {
    fn connect(&self, _: &str, _: u16) -> BoxFuture<'static, io::Result<Box<dyn Connection>>> {
        let refused = self.0.fetch_add(1, Ordering::Relaxed) < 2;
        Box::pin(async move {
            if !refused {
                std::future::pending::<()>().await;
            }
            Err(io::ErrorKind::ConnectionRefused.into())
        })
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_reported_with_the_last_attempt() {
    let nobody = BankClient::new("http://127.0.0.1:1").unwrap();
    let refused = nobody.log_head(Instant::now() + Duration::from_secs(1)).await.unwrap_err();
    assert!(
        !refused.is_for_good() && causes(&refused).contains("Connection refused"),
        "{}",
        causes(&refused)
    );

    let network = Network::of(Closing(AtomicU64::new(0)));
    let bank = BankClient::new_on("http://bank:1", &network).unwrap();
    let late = bank.log_head(Instant::now() + Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded, "{}", causes(&late));
    for word in ["no answer within the deadline; the last attempt: ", "connection refused"] {
        assert!(late.message().contains(word), "{word} in {}", late.message());
    }
}

/// Certificates mounted as Kubernetes does it: `tls.crt` and the other files lead through the link `..data`
/// into a folder, and the link is replaced in one step.
struct Mounted {
    authority: PathBuf,
    folder: PathBuf,
    generation: u64,
}

impl Mounted {
    fn new(authority: &Path, folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).unwrap();
        for name in ["tls.crt", "tls.key", "ca.crt"] {
            symlink(Path::new("..data").join(name), folder.join(name)).unwrap();
        }
        let mut mounted = Self { authority: authority.to_owned(), folder, generation: 0 };
        mounted.rotate();
        mounted
    }

    /// Writes a new certificate with a new key.
    fn rotate(&mut self) {
        self.generation += 1;
        let at = |generation: u64| self.folder.join(format!("..{generation}"));
        let new = at(self.generation);
        std::fs::create_dir(&new).unwrap();
        let ca = DevCa::open(&self.authority).unwrap();
        let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
        std::fs::copy(leaf.certificate, new.join("tls.crt")).unwrap();
        std::fs::copy(leaf.key, new.join("tls.key")).unwrap();
        std::fs::copy(ca.certificate(), new.join("ca.crt")).unwrap();
        symlink(new.file_name().unwrap(), self.folder.join("..data_tmp")).unwrap();
        std::fs::rename(self.folder.join("..data_tmp"), self.folder.join("..data")).unwrap();
        if self.generation > 1 {
            std::fs::remove_dir_all(at(self.generation - 1)).unwrap();
        }
    }

    fn certificate(&self) -> Vec<u8> {
        use rustls::pki_types::pem::PemObject as _;
        let file = self.folder.join("tls.crt");
        rustls::pki_types::CertificateDer::from_pem_file(file).unwrap().to_vec()
    }

    fn tls(&self, sides: Sides) -> Tls {
        let file = |name: &str| Some(self.folder.join(name));
        let config = TlsConfig {
            certificate: file("tls.crt"),
            key: file("tls.key"),
            ca: file("ca.crt"),
            reload_ms: 20,
            ..TlsConfig::default()
        };
        Tls::start(config, sides).unwrap()
    }
}

/// Counts of the callers' calls so far.
#[derive(Default)]
struct Answered {
    lasting: AtomicU64,
    fresh: AtomicU64,
    ends: AtomicBool,
}

/// Calls periodically, on one connection or on a new one each time, until it is stopped.
async fn call(
    at: u16,
    network: Network,
    every: Duration,
    is_new: bool,
    answered: Arc<Answered>,
) -> Result<(), String> {
    let connect = || MatcherClient::new_on(&format!("https://localhost:{at}"), &network).unwrap();
    let counter = if is_new { &answered.fresh } else { &answered.lasting };
    let mut client = connect();
    let mut ticks = tokio::time::interval(every);
    while !answered.ends.load(Ordering::Relaxed) {
        ticks.tick().await;
        if is_new {
            client = connect();
        }
        // One attempt, which no client repeats.
        client.describe(soon()).await.map_err(|error| causes(&error))?;
        counter.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// Replaces the certificates of a server and of its clients while about a thousand calls a second go on.
async fn check_rotations(rotations: u32, every: Duration) {
    const LASTING: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let authority = folder.path().join("authority");
    let mut served = Mounted::new(&authority, folder.path().join("server"));
    let mut shown = Mounted::new(&authority, folder.path().join("client"));
    let server = Server::start(Some(served.tls(Sides::ServerAndClient))).await;
    let client_tls = shown.tls(Sides::Client);
    let network = Network::tcp().with_tls(Some(client_tls.clone()));

    let answered = Arc::new(Answered::default());
    let mut callers = JoinSet::new();
    for number in 0..=LASTING {
        let is_new = number == LASTING;
        let pause = Duration::from_millis(if is_new { 25 } else { 8 });
        callers.spawn(call(server.address.port(), network.clone(), pause, is_new, Arc::clone(&answered)));
    }
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for rotation in 1..=rotations {
        served.rotate();
        shown.rotate();
        let swapped = Instant::now();
        // Each certificate has to be taken into use, so that none is skipped.
        loop {
            let tcp = TcpStream::connect(server.address).await.unwrap();
            let stream = client_tls.connect("localhost", tcp).await.unwrap();
            if stream.get_ref().1.peer_certificates().unwrap()[0].as_ref() == served.certificate() {
                break;
            }
            assert!(swapped.elapsed() < Duration::from_secs(5), "rotation {rotation} is not taken");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        slowest = slowest.max(swapped.elapsed());
        tokio::time::sleep_until(begun + every * rotation).await;
    }
    let took = begun.elapsed();
    answered.ends.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        assert_eq!(ended.unwrap(), Ok(()), "a call failed");
    }
    let lasting = answered.lasting.load(Ordering::Relaxed);
    let fresh = answered.fresh.load(Ordering::Relaxed);
    println!(
        "{rotations} rotations in {took:.1?}, each in use after at most {slowest:.0?}; {lasting} calls on {LASTING} lasting \
         connections and {fresh} on new ones, none failed"
    );
    assert!(fresh > u64::from(rotations), "{fresh} calls on new connections");
    let warned = logged(&folder.path().display().to_string());
    assert!(warned.is_empty(), "{warned:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_are_replaced_under_load_and_no_call_fails() {
    check_rotations(20, Duration::from_millis(250)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn a_hundred_rotations_at_a_thousand_calls_a_second() {
    check_rotations(100, Duration::from_millis(600)).await;
}
