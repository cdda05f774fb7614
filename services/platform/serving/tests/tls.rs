//! A server that speaks TLS: whom it refuses, what it says of that, and what becomes of certificates that are replaced.

#![expect(clippy::unwrap_used, reason = "it is a test")]

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use vigie_serving::{Load, Reflection, Routes, Secured, ServeError, ServingConfig, Shutdown, serve};
use vigie_telemetry::CapturedLog;
use vigie_tls::dev_ca::{DevCa, Leaf, Validity};
use vigie_tls::{ClientCertificates, Sides, Tls, TlsConfig};

/// What all tests of this file have logged.
static LOG: LazyLock<CapturedLog> = LazyLock::new(|| {
    let log = CapturedLog::default();
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    lines.with_writer(log.clone()).init();
    log
});

/// The lines with this in them.
fn logged(what: &str) -> Vec<String> {
    LOG.lines(what)
}

/// Waits for what comes about by itself.
async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A client that shows whatever it is told to, which ours do not, and trusts the authority as it was.
struct Client(TlsConnector);

impl Client {
    fn new(ca: &DevCa, leaf: Option<&Leaf>, protocols: &[&[u8]]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(ca.certificate()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => {
                let chain = vec![CertificateDer::from_pem_file(&leaf.certificate).unwrap()];
                let key = PrivateKeyDer::from_pem_file(&leaf.key).unwrap();
                builder.with_client_auth_cert(chain, key).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Self(TlsConnector::from(Arc::new(config)))
    }

    async fn connect(&self, name: &'static str, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        self.0.connect(name.try_into().unwrap(), tcp).await
    }
}

/// Whether the server takes a connection of this client: it then sends its HTTP/2 settings. With TLS 1.3 a client has
/// finished its part before the server has seen its certificate.
async fn greet(client: &Client, tcp: TcpStream) -> io::Result<()> {
    let greet = async {
        let mut stream = client.connect("localhost", tcp).await?;
        stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
        stream.flush().await?;
        match stream.read(&mut [0; 64]).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    };
    tokio::time::timeout(Duration::from_secs(5), greet).await.expect("it hangs")
}

fn ca(folder: &Path) -> DevCa {
    DevCa::open(folder).unwrap()
}

fn config(ca: &DevCa, leaf: &Leaf) -> TlsConfig {
    TlsConfig {
        certificate: Some(leaf.certificate.clone()),
        key: Some(leaf.key.clone()),
        ca: Some(ca.certificate()),
        reload_ms: 10,
        ..TlsConfig::default()
    }
}

struct Server {
    folder: tempfile::TempDir,
    ca: DevCa,
    leaf: Leaf,
    address: SocketAddr,
    load: Load,
    shutdown: Shutdown,
    ended: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    async fn start(told: impl FnOnce(&mut TlsConfig), serving: ServingConfig) -> Self {
        LazyLock::force(&LOG);
        let folder = tempfile::tempdir().unwrap();
        let ca = ca(folder.path());
        let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
        let mut config = config(&ca, &leaf);
        told(&mut config);
        let tls = Tls::start(config, Sides::ServerAndClient).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::new(Reflection(vigie_proto::DESCRIPTORS)).unwrap();
        let (load, shutdown) = (routes.load(), Shutdown::new());
        let ended = tokio::spawn({
            let (listener, shutdown) = (Secured::new(listener, Some(tls)), shutdown.clone());
            async move { serve(listener, routes, 1 << 20, &serving, shutdown).await }
        });
        Self { folder, ca, leaf, address, load, shutdown, ended }
    }

    async fn strict() -> Self {
        Self::start(|_| {}, ServingConfig::default().without_lame_duck()).await
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.ended).await.unwrap().unwrap().unwrap();
    }

    /// A client that trusts the server and shows this.
    fn client(&self, leaf: Option<&Leaf>) -> Client {
        Client::new(&self.ca, leaf, &[b"h2"])
    }

    async fn tcp(&self) -> (TcpStream, SocketAddr) {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let here = tcp.local_addr().unwrap();
        (tcp, here)
    }

    /// See [`greet`].
    async fn takes(&self, client: &Client) -> (io::Result<()>, SocketAddr) {
        let (tcp, here) = self.tcp().await;
        (greet(client, tcp).await, here)
    }

    /// The one line about the client at this address says that it was refused, and why.
    async fn check_logged(&self, here: SocketAddr, reason: &str) {
        let peer = format!("peer={here} ");
        until(reason, || !logged(&peer).is_empty()).await;
        let lines = logged(&peer);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(" WARN ") && lines[0].contains("refused a handshake"), "{lines:?}");
        assert!(lines[0].contains(reason), "{lines:?}");
    }

    async fn check_refused(&self, leaf: Option<&Leaf>, reason: &str, alert: &str) {
        let (taken, here) = self.takes(&self.client(leaf)).await;
        let error = taken.expect_err(reason);
        assert!(error.to_string().contains(alert), "{error}");
        self.check_logged(here, reason).await;
        assert_eq!(self.load.refused().handshakes, 1);
    }
}

#[tokio::test]
async fn a_client_of_the_same_authority_is_taken() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let (taken, here) = server.takes(&server.client(Some(&leaf))).await;
    taken.unwrap();
    assert!(logged(&format!("peer={here} ")).is_empty());
    server.stop().await;
}

#[tokio::test]
async fn a_client_without_a_certificate_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    server.check_refused(None, "the client shows no certificate", "CertificateRequired").await;
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let leaf = ca(elsewhere.path()).client("platform", Validity::days(1)).unwrap();
    server.check_refused(Some(&leaf), "of an unknown authority", "UnknownCA").await;
    server.stop().await;
}

#[tokio::test]
async fn the_authority_of_clients_is_not_the_one_of_servers_where_another_is_named() {
    let elsewhere = tempfile::tempdir().unwrap();
    let other = ca(elsewhere.path());
    let of_clients = |config: &mut TlsConfig| config.client_ca = Some(other.certificate());
    let server = Server::start(of_clients, ServingConfig::default().without_lame_duck()).await;
    let leaf = other.client("platform", Validity::days(1)).unwrap();
    server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    server.check_refused(Some(&leaf), "of an unknown authority", "UnknownCA").await;
    server.stop().await;
}

#[tokio::test]
async fn who_is_not_among_the_names_of_clients_is_refused_and_the_log_says_so() {
    let names = ["spiffe://vigie.dev/frontend", "matcher.vigie.internal"].map(str::to_owned);
    let named = |config: &mut TlsConfig| config.client_names = names.to_vec();
    let server = Server::start(named, ServingConfig::default().without_lame_duck()).await;
    let frontend = server.ca.client("frontend", Validity::days(1)).unwrap();
    let matcher = server.ca.server(&names[1..], Validity::days(1)).unwrap();
    for leaf in [frontend, matcher] {
        server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    }
    assert_eq!(server.load.refused().handshakes, 0);
    // Neither a longer name, nor one that is signed by the same authority for somebody else, nor none.
    let longer = server.ca.client("frontend/2", Validity::days(1)).unwrap();
    let host = server.ca.server(&["127.0.0.1".to_owned()], Validity::days(1)).unwrap();
    for (leaf, name) in [(longer, "spiffe://vigie.dev/frontend/2"), (host, "no name")] {
        let (taken, here) = server.takes(&server.client(Some(&leaf))).await;
        assert!(taken.is_err(), "{name}");
        server.check_logged(here, &format!("not among client_names: its certificate says {name}")).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn an_expired_certificate_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::expired()).unwrap();
    server.check_refused(Some(&leaf), "certificate has expired", "CertificateExpired").await;
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_yet_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let from = SystemTime::now() + Duration::from_secs(3_600);
    let later = Validity { from, until: from + Duration::from_secs(3_600) };
    let leaf = server.ca.client("platform", later).unwrap();
    server.check_refused(Some(&leaf), "certificate is not valid yet", "CertificateExpired").await;
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_that_is_not_for_clients_is_refused_and_the_log_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, label: &str, der: &[u8]| {
        let text = base64::engine::general_purpose::STANDARD.encode(der);
        let file = folder.path().join(name);
        std::fs::write(&file, format!("-----BEGIN {label}-----\n{text}\n-----END {label}-----\n")).unwrap();
        file
    };
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pair = KeyPair::generate().unwrap();
    let authority = file("ca.crt", "CERTIFICATE", params.self_signed(&pair).unwrap().der());
    let issuer = Issuer::new(params, pair);
    let leaf_for = |purpose: ExtendedKeyUsagePurpose| {
        let mut params = CertificateParams::new(["platform.example".to_owned()]).unwrap();
        params.extended_key_usages = vec![purpose];
        let pair = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&pair, &issuer).unwrap();
        Leaf {
            certificate: file("leaf.crt", "CERTIFICATE", certificate.der()),
            key: file("leaf.key", "PRIVATE KEY", &pair.serialize_der()),
        }
    };
    let of_clients = |config: &mut TlsConfig| config.client_ca = Some(authority);
    let server = Server::start(of_clients, ServingConfig::default().without_lame_duck()).await;
    let leaf = leaf_for(ExtendedKeyUsagePurpose::ClientAuth);
    server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    let leaf = leaf_for(ExtendedKeyUsagePurpose::ServerAuth);
    server.check_refused(Some(&leaf), "it is not one for clients", "").await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_offer_http_2_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let offers: [&[&[u8]]; 2] = [&[], &[b"http/1.1"]];
    for protocols in offers {
        let client = Client::new(&server.ca, Some(&leaf), protocols);
        let (taken, here) = server.takes(&client).await;
        assert!(taken.is_err(), "{protocols:?}");
        server.check_logged(here, "the client does not offer HTTP/2").await;
    }
    let both = Client::new(&server.ca, Some(&leaf), &[b"http/1.1", b"h2"]);
    server.takes(&both).await.0.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn where_certificates_are_optional_none_is_taken_and_a_bad_one_is_not() {
    let optional = |config: &mut TlsConfig| config.client_certificates = ClientCertificates::Optional;
    let server = Server::start(optional, ServingConfig::default().without_lame_duck()).await;
    server.takes(&server.client(None)).await.0.unwrap();
    let leaf = server.ca.client("platform", Validity::expired()).unwrap();
    server.check_refused(Some(&leaf), "certificate has expired", "CertificateExpired").await;
    server.stop().await;
}

/// A ClientHello of TLS 1.1 (RFC 4346, section 7.4.1.2), which offers one suite of that time.
fn hello_of_tls_1_1(extensions: &[u8]) -> Vec<u8> {
    const VERSION: [u8; 2] = [3, 2];
    let mut hello = VERSION.to_vec();
    hello.extend([7; 32]);
    // No session, TLS_RSA_WITH_AES_128_CBC_SHA, no compression.
    hello.extend([0, 0, 2, 0, 0x2f, 1, 0]);
    if !extensions.is_empty() {
        hello.extend([0, u8::try_from(extensions.len()).unwrap()]);
        hello.extend(extensions);
    }
    let length = u8::try_from(hello.len()).unwrap();
    let mut record = vec![22, VERSION[0], VERSION[1], 0, length + 4, 1, 0, 0, length];
    record.extend(hello);
    record
}

#[tokio::test]
async fn a_client_that_speaks_tls_1_1_only_gets_an_alert_and_the_log_says_so() {
    const HANDSHAKE_FAILURE: u8 = 40;
    const PROTOCOL_VERSION: u8 = 70;
    // The signature algorithms (RFC 5246, section 7.4.1.4.1) are what a client of TLS 1.1 does not know of, unless it has
    // been told to speak no later version than that.
    let signature_algorithms = [0, 13, 0, 4, 0, 2, 4, 3];
    let server = Server::strict().await;
    for (extensions, alert) in [([].as_slice(), HANDSHAKE_FAILURE), (&signature_algorithms, PROTOCOL_VERSION)]
    {
        let (mut tcp, here) = server.tcp().await;
        tcp.write_all(&hello_of_tls_1_1(extensions)).await.unwrap();
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(5), tcp.read_to_end(&mut answer)).await;
        read.expect("it is not closed").unwrap();
        // A record of the type alert, and a fatal one.
        assert_eq!((answer[0], &answer[5..]), (21, [2, alert].as_slice()), "{answer:?}");
        server.check_logged(here, "no version of TLS from 1.2 on").await;
    }
    server.stop().await;
}

#[tokio::test]
async fn plain_text_is_refused_and_the_log_says_so() {
    let server = Server::strict().await;
    let (mut tcp, here) = server.tcp().await;
    tcp.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), tcp.read_to_end(&mut Vec::new())).await;
    closed.expect("it is not closed").unwrap();
    server.check_logged(here, "does not speak TLS").await;
    server.stop().await;
}

#[tokio::test]
async fn a_handshake_that_does_not_end_is_cut_off_and_holds_nobody_up() {
    let hasty = |config: &mut TlsConfig| config.handshake_ms_max = 2_000;
    let server = Server::start(hasty, ServingConfig::default().without_lame_duck()).await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let (mut silent, here) = server.tcp().await;
    let begun = Instant::now();
    server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(2), "others wait for it: {:?}", begun.elapsed());
    let closed = tokio::time::timeout(Duration::from_secs(5), silent.read(&mut [0; 1])).await;
    assert!(matches!(closed.expect("it is not closed"), Ok(0) | Err(_)));
    assert!(begun.elapsed() >= Duration::from_millis(1_990));
    server.check_logged(here, "took longer than 2000 ms").await;
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_after_its_handshake_is_cut_off_and_does_not_hold_the_drain_up() {
    let hasty = |config: &mut TlsConfig| config.handshake_ms_max = 1_000;
    let serving = ServingConfig { drain_ms_max: 60_000, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(hasty, serving).await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let client = server.client(Some(&leaf));
    let secured = async || client.connect("localhost", server.tcp().await.0).await.unwrap();
    let mut silent = secured().await;
    // The server's settings come, and then the end.
    let closed = tokio::time::timeout(Duration::from_secs(5), silent.read_to_end(&mut Vec::new())).await;
    let _either = closed.expect("it is not closed");
    until("its place is free", || server.load.connections() == 0).await;

    // One that lets its bytes drip has no more time.
    let mut dripping = secured().await;
    let begun = Instant::now();
    let drip = async {
        while dripping.write_all(b"P").await.is_ok() && dripping.flush().await.is_ok() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), drip).await.expect("it is not closed");
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());

    let silent = secured().await;
    until("a connection", || server.load.connections() == 1).await;
    server.stop().await;
    drop(silent);
}

#[tokio::test]
async fn one_handshake_too_many_is_closed_as_it_comes() {
    let one = |config: &mut TlsConfig| config.handshakes_max = 1;
    let server = Server::start(one, ServingConfig::default().without_lame_duck()).await;
    let (silent, _) = server.tcp().await;
    until("a handshake under way", || server.load.connections() == 1).await;
    let (mut second, here) = server.tcp().await;
    let closed = tokio::time::timeout(Duration::from_secs(5), second.read(&mut [0; 1])).await;
    assert!(matches!(closed.expect("it is not closed"), Ok(0) | Err(_)));
    server.check_logged(here, "too many handshakes").await;
    drop(silent);
    until("its place is free", || server.load.connections() == 0).await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    server.takes(&server.client(Some(&leaf))).await.0.unwrap();
    server.stop().await;
}

#[tokio::test]
async fn one_host_cannot_have_all_handshakes() {
    let sixteen = |config: &mut TlsConfig| config.handshakes_max = 16;
    let server = Server::start(sixteen, ServingConfig::default().without_lame_duck()).await;
    let _silent = (server.tcp().await, server.tcp().await);
    until("handshakes under way", || server.load.connections() == 2).await;
    let (mut third, here) = server.tcp().await;
    let closed = tokio::time::timeout(Duration::from_secs(2), third.read(&mut [0; 1])).await;
    assert!(matches!(closed.expect("it is not closed"), Ok(0) | Err(_)));
    server.check_logged(here, "too many handshakes of its host").await;

    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let client = server.client(Some(&leaf));
    let elsewhere = tokio::net::TcpSocket::new_v4().unwrap();
    elsewhere.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let tcp = elsewhere.connect(server.address).await.unwrap();
    greet(&client, tcp).await.unwrap();
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_is_refused_has_no_more_time_than_its_handshake() {
    LazyLock::force(&LOG);
    let folder = tempfile::tempdir().unwrap();
    let ca = ca(folder.path());
    let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
    let hasty = TlsConfig { handshake_ms_max: 200, ..config(&ca, &leaf) };
    let tls = Tls::start(hasty, Sides::ServerAndClient).unwrap();
    let (mut here, there) = tokio::io::duplex(1 << 10);
    here.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let begun = Instant::now();
    let refused = tls.accept(there).await.unwrap_err();
    assert_eq!(refused, vigie_tls::Refused::NotTls);
    assert!(begun.elapsed() < Duration::from_millis(300), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_connection_counts_while_it_is_in_its_handshake() {
    let serving = ServingConfig { connections_max: 1, ..ServingConfig::default().without_lame_duck() };
    let server = Server::start(|_| {}, serving).await;
    let (silent, _) = server.tcp().await;
    until("a handshake under way", || server.load.connections() == 1).await;
    let (mut second, _) = server.tcp().await;
    let closed = tokio::time::timeout(Duration::from_secs(5), second.read(&mut [0; 1])).await;
    assert!(matches!(closed.expect("it is not closed"), Ok(0) | Err(_)));
    assert_eq!((server.load.refused().connections, server.load.refused().handshakes), (1, 0));
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn a_broken_new_certificate_leaves_the_old_one_in_use_and_is_told_once() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    let client = server.client(Some(&leaf));
    let certificate = server.leaf.certificate.display().to_string();
    let told = |fault: &str| logged(&certificate).iter().filter(|line| line.contains(fault)).count();

    // A certificate of another key: the swap is half done.
    replace(&server.leaf.certificate, &std::fs::read(&leaf.certificate).unwrap());
    until("the warning", || told("does not belong to the certificate") == 1).await;
    server.takes(&client).await.0.unwrap();
    // Another fault is told too.
    replace(&server.leaf.certificate, b"nothing of the kind");
    until("the warning", || told("holds no certificate in PEM") == 1).await;
    server.takes(&client).await.0.unwrap();
    // One whose time is over, and one whose time has not come.
    let signed = |validity: Validity| {
        let leaf = ca(server.folder.path()).server(&["renewed".to_owned()], validity).unwrap();
        replace(&server.leaf.key, &std::fs::read(&leaf.key).unwrap());
        replace(&server.leaf.certificate, &std::fs::read(&leaf.certificate).unwrap());
    };
    signed(Validity::expired());
    until("the warning", || told("holds a certificate that has expired") == 1).await;
    server.takes(&client).await.0.unwrap();
    let from = SystemTime::now() + Duration::from_secs(3_600);
    signed(Validity { from, until: from + Duration::from_secs(3_600) });
    until("the warning", || told("holds a certificate that is not valid yet") == 1).await;
    server.takes(&client).await.0.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    let all = [told("holds no certificate"), told("has expired"), told("not valid yet")];
    assert_eq!(all, [1, 1, 1], "at each look again");
    // And what is good is taken.
    let renewed = ca(server.folder.path()).server(&["localhost".to_owned()], Validity::days(2)).unwrap();
    assert_eq!(renewed, server.leaf);
    let pem = std::fs::read(&renewed.certificate).unwrap();
    let shown = || async {
        let stream = client.connect("localhost", server.tcp().await.0).await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let deadline = Instant::now() + Duration::from_secs(10);
    while shown().await != der(&pem) {
        assert!(Instant::now() < deadline, "the new certificate is not taken");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.stop().await;
}

/// Nobody sees half of it.
fn replace(file: &Path, content: &[u8]) {
    let new = file.with_extension("new");
    std::fs::write(&new, content).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn der(pem: &[u8]) -> Vec<u8> {
    CertificateDer::from_pem_slice(pem).unwrap().to_vec()
}

#[tokio::test]
async fn an_authority_that_is_taken_away_is_trusted_no_more() {
    let server = Server::strict().await;
    let leaf = server.ca.client("platform", Validity::days(1)).unwrap();
    // It goes on trusting the server.
    let client = server.client(Some(&leaf));
    server.takes(&client).await.0.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = ca(elsewhere.path());
    replace(&server.ca.certificate(), &std::fs::read(other.certificate()).unwrap());
    let deadline = Instant::now() + Duration::from_secs(10);
    let here = loop {
        let (taken, here) = server.takes(&client).await;
        if taken.is_err() {
            break here;
        }
        assert!(Instant::now() < deadline, "it is trusted still");
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    server.check_logged(here, "of an unknown authority").await;
    server.stop().await;
}

#[test]
fn faults_of_the_configuration_name_the_field_and_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let ca = ca(folder.path());
    let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
    let other = ca.server(&["other".to_owned()], Validity::days(1)).unwrap();
    let good = || config(&ca, &leaf);
    let faults = |config: TlsConfig| config.faults(Sides::ServerAndClient);
    let check = |config: TlsConfig, field: &str, what: &str| {
        let faults = faults(config);
        assert_eq!(faults.len(), 1, "{faults:?}");
        assert!(faults[0].starts_with(&format!("{field}: ")) && faults[0].contains(what), "{faults:?}");
    };
    assert_eq!(faults(good()), Vec::<String>::new());
    check(TlsConfig { key: Some(other.key.clone()), ..good() }, "key", "does not belong to the certificate");
    check(TlsConfig { key: Some(leaf.certificate.clone()), ..good() }, "key", "holds no private key");
    check(TlsConfig { key: None, ..good() }, "key", "is missing");
    check(TlsConfig { certificate: None, ..good() }, "certificate", "is missing");
    check(TlsConfig { ca: Some(leaf.key.clone()), ..good() }, "ca", "holds no certificate");
    check(TlsConfig { ca: None, ..good() }, "client_ca", "is missing");
    let nowhere = folder.path().join("nowhere");
    check(TlsConfig { client_ca: Some(nowhere.clone()), ..good() }, "client_ca", "nowhere");
    check(TlsConfig { certificate: Some(nowhere), ..good() }, "certificate", "No such file");
    for bad in ["", "Frontend", "a b", "*.vigie.dev", "a..b", "spiffe://", "spiffe://A/b", "https://a/b"] {
        check(TlsConfig { client_names: vec![bad.to_owned()], ..good() }, "client_names", bad);
    }
    let expired = ca.server(&["expired".to_owned()], Validity::expired()).unwrap();
    let expired = || TlsConfig {
        certificate: Some(expired.certificate.clone()),
        key: Some(expired.key.clone()),
        ..good()
    };
    check(expired(), "certificate", "has expired");
    let without_ca = TlsConfig { ca: None, client_ca: Some(ca.certificate()), ..expired() };
    check(without_ca, "certificate", "has expired");
    // It may be of an authority that only its clients know.
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = DevCa::open(elsewhere.path()).unwrap().certificate();
    assert_eq!(faults(TlsConfig { ca: Some(foreign.clone()), ..good() }), Vec::<String>::new());
    check(TlsConfig { ca: Some(foreign), ..expired() }, "certificate", "has expired");
    let named = TlsConfig { client_names: vec!["frontend.vigie.dev".to_owned()], ..good() };
    let optional = ClientCertificates::Optional;
    let unasked = TlsConfig { client_certificates: optional, ..named.clone() };
    check(unasked, "client_names", "required");
    assert_eq!(faults(named), Vec::<String>::new());
    check(TlsConfig { reload_ms: 0, ..good() }, "reload_ms", "at least");
    let open = TlsConfig { ca: None, client_certificates: ClientCertificates::None, ..good() };
    assert_eq!(faults(open), Vec::<String>::new());
    assert_eq!(TlsConfig::default().faults(Sides::Client), Vec::<String>::new());
}
