//! The files of TLS, and the requirements on clients.

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::is_name;

/// The most names of clients that may be listed: they are compared one by one.
const CLIENT_NAMES_MAX: usize = 1_000;

/// Certificates, keys and authorities of TLS, in PEM files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The certificate of this process, followed by the intermediate ones up to its authority. The process
    /// shows it to its clients and to the servers that it calls.
    #[schemars(extend("x-value" = "FILE"))]
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate.
    #[schemars(extend("x-value" = "FILE"))]
    pub key: Option<PathBuf>,
    /// The authorities of the servers that this process calls, by default those of the system. Also the
    /// authorities of its clients, unless `client_ca` is set.
    #[schemars(extend("x-value" = "FILE"))]
    pub ca: Option<PathBuf>,
    /// The authorities of the clients, if they differ from `ca`.
    #[schemars(extend("x-value" = "FILE"))]
    pub client_ca: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    pub client_certificates: ClientCertificates,
    /// The clients that may connect, by the names in their certificates: SPIFFE IDs, and DNS names in lower
    /// case. An empty list allows every client with a certificate of an authority. Checked once, when a
    /// connection is made.
    #[schemars(length(max = CLIENT_NAMES_MAX), extend("x-value" = "NAME"))]
    pub client_names: Vec<String>,
    /// How often the files are checked for changes, in milliseconds. Changed files are read again.
    #[schemars(range(min = 10))]
    pub reload_ms: u64,
    /// The longest time from accepting a connection to the first bytes of HTTP/2 on it, in milliseconds,
    /// including the handshake and the refusal of a peer; then the connection is closed.
    #[schemars(range(min = 1))]
    pub handshake_ms_max: u64,
    /// The most handshakes in progress; a further connection is closed. One host (of IPv6, one /64) may have
    /// an eighth of them, and at least one. Handshakes mostly wait for their peers, so many of them cause
    /// little work.
    #[schemars(range(min = 1))]
    pub handshakes_max: usize,
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Clients must show a certificate.
    #[default]
    Required,
    /// Clients may show a certificate, which must then be valid.
    Optional,
    /// Clients are not asked for a certificate.
    None,
}

/// The sides of TLS that a process takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// A server, which also makes calls.
    ServerAndClient,
    /// A client only, which needs no certificate.
    Client,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            ca: None,
            client_ca: None,
            client_certificates: ClientCertificates::Required,
            client_names: Vec::new(),
            reload_ms: 1_000,
            handshake_ms_max: 3_000,
            handshakes_max: 1_024,
        }
    }
}

impl TlsConfig {
    pub(crate) fn faults_of_values(&self, sides: Sides) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: &str| {
            if !holds {
                faults.push(fault.to_owned());
            }
        };
        let serves = sides == Sides::ServerAndClient;
        match (&self.certificate, &self.key) {
            (Some(_), None) => check(false, "key: is missing, and certificate is given"),
            (None, Some(_)) => check(false, "certificate: is missing, and key is given"),
            (None, None) => {
                check(!serves, "certificate: is missing");
                check(!serves, "key: is missing");
            }
            (Some(_), Some(_)) => {}
        }
        let asks = serves && self.client_certificates != ClientCertificates::None;
        check(
            !asks || self.client_authorities().is_some(),
            "client_ca: is missing, and so is ca, which stands in for it; without either, no certificate of a client can be checked \
             (client_certificates = \"none\" asks for none)",
        );
        check(
            self.client_names.is_empty() || self.client_certificates == ClientCertificates::Required,
            "client_names: who shows no certificate has no name: client_certificates has to be \"required\"",
        );
        check(
            self.client_names.len() <= CLIENT_NAMES_MAX,
            &format!("client_names: there may be at most {CLIENT_NAMES_MAX}"),
        );
        for name in self.client_names.iter().filter(|name| !is_name(name)) {
            let fault = format!("client_names: {name:?} is neither a SPIFFE ID nor a DNS name in lower case");
            check(false, &fault);
        }
        check(self.reload_ms >= 10, "reload_ms: must be at least 10");
        check(self.handshake_ms_max >= 1, "handshake_ms_max: must be at least 1");
        check(self.handshakes_max >= 1, "handshakes_max: must be at least 1");
        faults
    }

    /// Returns the field and the file of the authorities of clients.
    pub(crate) fn client_authorities(&self) -> Option<(&'static str, &PathBuf)> {
        let own = self.client_ca.as_ref().map(|file| ("client_ca", file));
        own.or_else(|| self.ca.as_ref().map(|file| ("ca", file)))
    }

    pub(crate) const fn reload_every(&self) -> Duration {
        Duration::from_millis(self.reload_ms)
    }

    /// The longest time that a handshake may take.
    #[must_use]
    pub const fn handshake_max(&self) -> Duration {
        Duration::from_millis(self.handshake_ms_max)
    }
}
