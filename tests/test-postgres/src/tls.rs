//! Servers that accept TCP connections only over TLS, on a port of the loopback interface.

use std::fs;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::Path;

use crate::{Database, Server, User, installed, start};

/// The certificate of a server, its key, and the authority of accepted client certificates.
#[derive(Debug, Clone, Copy)]
pub struct Files<'a> {
    /// The certificate, in PEM.
    pub certificate: &'a Path,
    /// The private key of the certificate, in PEM.
    pub key: &'a Path,
    /// The authority of client certificates, in PEM.
    pub ca: &'a Path,
}

/// The TLS parameters of a server.
pub(crate) struct Tls<'a> {
    files: Files<'a>,
    access: &'a str,
}

/// Returns the settings of a server with TLS.
pub(crate) fn settings(port: u16) -> String {
    format!(
        "listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\nssl_cert_file = 'server.crt'\n\
         ssl_key_file = 'server.key'\nssl_ca_file = 'ca.crt'\n"
    )
}

impl Tls<'_> {
    /// Copies the files into the server's folder, and finds a port.
    pub(crate) fn prepare(&self, user: Option<&User>, folder: &Path) -> io::Result<u16> {
        lay(self.files, user, folder)?;
        write_access(folder, self.access)?;
        // The port was free a moment ago. If another process takes it before the server does, the server does
        // not start.
        Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
    }
}

fn write_access(folder: &Path, access: &str) -> io::Result<()> {
    fs::write(
        folder.join("data/pg_hba.conf"),
        format!("local all all trust\nhostssl all all 127.0.0.1/32 {access}\n"),
    )
}

fn lay(files: Files<'_>, user: Option<&User>, folder: &Path) -> io::Result<()> {
    for (from, name) in [(files.certificate, "server.crt"), (files.key, "server.key"), (files.ca, "ca.crt")] {
        let (new, file) = (folder.join("data/new"), folder.join("data").join(name));
        let mut open = fs::File::options().write(true).create_new(true).mode(0o600).open(&new)?;
        open.write_all(&fs::read(from)?)?;
        if let Some(User { uid, gid, .. }) = user {
            chown(&new, Some(*uid), Some(*gid))?;
        }
        fs::rename(new, file)?;
    }
    Ok(())
}

impl Server {
    /// Starts a separate server with these certificates, which accepts no TCP connection without TLS.
    /// `access` is the method and the options of the only line for TCP in `pg_hba.conf`, such as
    /// `trust clientcert=verify-ca`. `None` where PostgreSQL is not installed.
    ///
    /// # Panics
    ///
    /// As [`Self::start`].
    #[must_use]
    pub fn start_with_tls(files: Files<'_>, access: &str) -> Option<Self> {
        let tls = Tls { files, access };
        Some(start(installed()?, "", Some(&tls)).expect("a PostgreSQL server with TLS can be started"))
    }

    /// Replaces the certificates, and reloads the server: new connections get the new ones.
    ///
    /// # Panics
    ///
    /// The certificates cannot be read or written.
    pub fn replace_certificates(&self, files: Files<'_>) {
        lay(files, self.user.as_ref(), &self.folder).expect("the certificates can be replaced");
        self.reload();
    }

    /// Replaces the method and the options of the line for TCP; they apply to new connections.
    ///
    /// # Panics
    ///
    /// The file `pg_hba.conf` cannot be written.
    pub fn replace_access(&self, access: &str) {
        write_access(&self.folder, access).expect("pg_hba.conf can be replaced");
        self.reload();
    }

    fn reload(&self) {
        self.control_at_once(&["reload"]);
    }
}

impl Database<'_> {
    /// Returns the URL of the database on a server with TLS, with this host name and these parameters.
    ///
    /// # Panics
    ///
    /// The server has no TLS.
    #[must_use]
    pub fn url_over_tls(&self, host: &str, parameters: &str) -> String {
        let port = self.server.port.expect("the server was started with TLS");
        format!("postgres://postgres@{host}:{port}/{}?{parameters}", self.name)
    }
}
