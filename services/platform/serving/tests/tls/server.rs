//! A server over TLS, and clients that present certificates which ours would not.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

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
use vigie_tls::{Sides, Tls, TlsConfig};

/// The log of all tests of this program.
pub(crate) static LOG: LazyLock<CapturedLog> = LazyLock::new(|| {
    let log = CapturedLog::default();
    let lines = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_ansi(false);
    lines.with_writer(log.clone()).init();
    log
});

/// Returns the log lines that contain `what`.
pub(crate) fn logged(what: &str) -> Vec<String> {
    LOG.lines(what)
}

/// Waits until `holds` returns true, at most ten seconds.
pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !holds() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A client that presents any given certificate, which ours does not, and trusts the authority as it was at
/// its creation.
pub(crate) struct Client(TlsConnector);

impl Client {
    pub(crate) fn new(ca: &DevCa, leaf: Option<&Leaf>, protocols: &[&[u8]]) -> Self {
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

    pub(crate) async fn connect(
        &self,
        name: &'static str,
        tcp: TcpStream,
    ) -> io::Result<TlsStream<TcpStream>> {
        self.0.connect(name.try_into().unwrap(), tcp).await
    }
}

/// Checks that the server accepts a connection of this client: it then sends its HTTP/2 settings. With TLS
/// 1.3 a client has finished its part before the server has seen its certificate.
pub(crate) async fn greet(client: &Client, tcp: TcpStream) -> io::Result<()> {
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

pub(crate) fn ca(folder: &Path) -> DevCa {
    DevCa::open(folder).unwrap()
}

pub(crate) fn config(ca: &DevCa, leaf: &Leaf) -> TlsConfig {
    TlsConfig {
        certificate: Some(leaf.certificate.clone()),
        key: Some(leaf.key.clone()),
        ca: Some(ca.certificate()),
        reload_ms: 10,
        ..TlsConfig::default()
    }
}

pub(crate) struct Server {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) ca: DevCa,
    pub(crate) leaf: Leaf,
    pub(crate) address: SocketAddr,
    pub(crate) load: Load,
    pub(crate) shutdown: Shutdown,
    pub(crate) ended: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) async fn start(configure: impl FnOnce(&mut TlsConfig), serving: ServingConfig) -> Self {
        LazyLock::force(&LOG);
        let folder = tempfile::tempdir().unwrap();
        let ca = ca(folder.path());
        let leaf = ca.server(&["localhost".to_owned()], Validity::days(1)).unwrap();
        let mut config = config(&ca, &leaf);
        configure(&mut config);
        let tls = Tls::start(config, Sides::ServerAndClient).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let routes = Routes::new(Reflection { descriptors: &[], roles: &[] }).unwrap();
        let (load, shutdown) = (routes.load(), Shutdown::new());
        let ended = tokio::spawn({
            let (listener, shutdown) = (Secured::new(listener, Some(tls)), shutdown.clone());
            async move { serve(listener, routes, 1 << 20, &serving, shutdown).await }
        });
        Self { folder, ca, leaf, address, load, shutdown, ended }
    }

    pub(crate) async fn strict() -> Self {
        Self::start(|_| {}, ServingConfig::default().without_lame_duck()).await
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(Duration::from_secs(5), self.ended).await.unwrap().unwrap().unwrap();
    }

    /// Returns a client that trusts the server and presents `leaf`.
    pub(crate) fn client(&self, leaf: Option<&Leaf>) -> Client {
        Client::new(&self.ca, leaf, &[b"h2"])
    }

    pub(crate) async fn tcp(&self) -> (TcpStream, SocketAddr) {
        let tcp = TcpStream::connect(self.address).await.unwrap();
        let here = tcp.local_addr().unwrap();
        (tcp, here)
    }

    /// Connects a client and checks with [`greet`] that it is accepted.
    pub(crate) async fn takes(&self, client: &Client) -> (io::Result<()>, SocketAddr) {
        let (tcp, here) = self.tcp().await;
        (greet(client, tcp).await, here)
    }

    /// Checks that the log has exactly one line about the client at this address, which contains the reason
    /// of the refusal.
    pub(crate) async fn check_logged(&self, here: SocketAddr, reason: &str) {
        let peer = format!("peer={here} ");
        until(reason, || !logged(&peer).is_empty()).await;
        let lines = logged(&peer);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains(" WARN ") && lines[0].contains("refused a handshake"), "{lines:?}");
        assert!(lines[0].contains(reason), "{lines:?}");
    }

    pub(crate) async fn check_refused(&self, leaf: Option<&Leaf>, reason: &str, alert: &str) {
        let (taken, here) = self.takes(&self.client(leaf)).await;
        let error = taken.expect_err(reason);
        assert!(error.to_string().contains(alert), "{error}");
        self.check_logged(here, reason).await;
        assert_eq!(self.load.refused().handshakes, 1);
    }
}
