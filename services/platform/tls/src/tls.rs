//! Both sides of a handshake, with the present contents of the files.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout_at};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::{Sides, TlsConfig};
use crate::files::{self, HTTP_1, HTTP_2, Material};
use crate::keep_up::{Reloads, Shared, keep_up};
use crate::name::peer_name;
use crate::refused::Refused;

/// The version of HTTP on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Http {
    /// HTTP/1.1.
    One,
    /// HTTP/2.
    Two,
}

/// A connection of a server.
pub type ServerStream<Io> = tokio_rustls::server::TlsStream<Io>;
/// A connection of a client.
pub type ClientStream<Io> = tokio_rustls::client::TlsStream<Io>;

/// The longest time in which a refused peer may read the reason.
const PARTING_MAX: Duration = Duration::from_millis(500);
/// The most bytes of a refused peer that are read and dropped for that.
const PARTING_BYTES_MAX: u64 = 64 << 10;

/// The configured TLS, with the present contents of the files. Clones share the state; when the last one is
/// dropped, the files are no longer read.
#[derive(Debug, Clone)]
pub struct Tls(Arc<Shared>);

impl Tls {
    /// Reads the files, and reads them again whenever they change. Must be called within a runtime.
    ///
    /// # Errors
    ///
    /// The faults of the configuration and of its files, each as `field: what is wrong`.
    pub fn start(config: TlsConfig, sides: Sides) -> Result<Self, Vec<String>> {
        let faults = config.faults_of_values(sides);
        if !faults.is_empty() {
            return Err(faults);
        }
        let material = files::read(&config)
            .and_then(|files| Material::new(&files, &config, sides))
            .map_err(|fault| vec![fault.to_string()])?;
        let every = config.reload_every();
        let current = ArcSwap::from_pointee(material);
        let shared = Arc::new(Shared { config, sides, current, reloads: Mutex::default() });
        tokio::spawn(keep_up(Arc::downgrade(&shared), every));
        Ok(Self(shared))
    }

    /// Returns the configuration.
    #[must_use]
    pub fn config(&self) -> &TlsConfig {
        &self.0.config
    }

    /// Returns how often changed files were read since the start.
    #[must_use]
    pub fn reloads(&self) -> Reloads {
        *self.0.reloads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the earliest end of the certificate in use and of those between it and its authority, in
    /// seconds since 1970. `None` without a certificate.
    #[must_use]
    pub fn certificate_not_after(&self) -> Option<u64> {
        self.0.current.load().not_after
    }

    /// Performs the server's side of a handshake for HTTP/2, within its time limit. A refused peer is sent
    /// the reason, as far as TLS has an alert for it.
    pub async fn accept<Io>(&self, io: Io) -> Result<ServerStream<Io>, Refused>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        self.accept_for(Http::Two, io).await
    }

    /// Performs the server's side of a handshake for one version of HTTP. A client that offers no protocol at
    /// all uses HTTP/1.1.
    pub async fn accept_for<Io>(&self, http: Http, io: Io) -> Result<ServerStream<Io>, Refused>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        let Some(server) = self.0.current.load().server.clone() else { return Err(Refused::NoServer) };
        let until = Instant::now() + self.config().handshake_max();
        let server = match http {
            Http::Two => server,
            // Most of the configuration is shared, so a copy costs little compared with a handshake.
            Http::One => {
                let mut server = (*server).clone();
                server.alpn_protocols = vec![HTTP_1.to_vec()];
                Arc::new(server)
            }
        };
        let handshake = TlsAcceptor::from(server).accept(io).into_fallible();
        match timeout_at(until, handshake).await {
            Ok(Ok(stream)) => match self.check(http, &stream) {
                Ok(()) => Ok(stream),
                Err(refused) => {
                    part(stream, until).await;
                    Err(refused)
                }
            },
            Ok(Err((error, io))) => {
                part(io, until).await;
                Err(Refused::by(&error))
            }
            Err(_) => Err(Refused::TooSlow { ms: self.config().handshake_ms_max }),
        }
    }

    /// Checks what the handshake does not.
    fn check<Io>(&self, http: Http, stream: &ServerStream<Io>) -> Result<(), Refused> {
        let (_, connection) = stream.get_ref();
        // The handshake accepts a client that offers no protocol at all.
        if http == Http::Two && connection.alpn_protocol() != Some(HTTP_2) {
            return Err(Refused::NoHttp2);
        }
        let names = &self.config().client_names;
        if !names.is_empty() {
            let name = connection.peer_certificates().and_then(peer_name);
            if !name.as_ref().is_some_and(|name| names.contains(name)) {
                return Err(Refused::NotAmongNames(name.unwrap_or_else(|| "no name".to_owned())));
            }
        }
        Ok(())
    }

    /// Performs the client's side of a handshake with the server of this name, within its time limit.
    pub async fn connect<Io>(&self, name: &str, io: Io) -> io::Result<ClientStream<Io>>
    where
        Io: AsyncRead + AsyncWrite + Unpin,
    {
        // In a URL an IPv6 address is in brackets.
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let server = ServerName::try_from(bare).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is no host's name"))
        })?;
        let client = Arc::clone(&self.0.current.load().client);
        let handshake = TlsConnector::from(client).connect(server.to_owned(), io);
        let stream =
            tokio::time::timeout(self.config().handshake_max(), handshake).await.unwrap_or_else(|_| {
                Err(io::Error::new(io::ErrorKind::TimedOut, "the TLS handshake took too long"))
            })?;
        if stream.get_ref().1.alpn_protocol() != Some(HTTP_2) {
            let why = "the server does not agree on HTTP/2 over TLS";
            return Err(io::Error::new(io::ErrorKind::InvalidData, why));
        }
        Ok(stream)
    }
}

/// Closes a connection so that the peer can read what was sent to it: if bytes from the peer are left unread,
/// closing would reset the connection, and what is on its way to the peer would be lost. Ends by `until`,
/// whatever the peer does.
async fn part<Io: AsyncRead + AsyncWrite + Unpin>(mut io: Io, until: Instant) {
    let parting = async {
        io.shutdown().await?;
        tokio::io::copy(&mut io.take(PARTING_BYTES_MAX), &mut tokio::io::sink()).await
    };
    // The peer has been refused already.
    let _ = timeout_at(until.min(Instant::now() + PARTING_MAX), parting).await;
}
