//! Which files there are, and what is asked of clients.

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
    /// The certificate of this process and those between it and its authority, in this order. With it the
    /// process answers, and by it, it is known to those whom it calls.
    #[schemars(extend("x-value" = "FILE"))]
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate.
    #[schemars(extend("x-value" = "FILE"))]
    pub key: Option<PathBuf>,
    /// The authorities of the servers that this process calls; without it, those of the system. By default
    /// also those of its clients.
    #[schemars(extend("x-value" = "FILE"))]
    pub ca: Option<PathBuf>,
    /// The authorities of its clients, if they are others than `ca`.
    #[schemars(extend("x-value" = "FILE"))]
    pub client_ca: Option<PathBuf>,
    /// Whether clients have to show a certificate.
    pub client_certificates: ClientCertificates,
    /// The clients that may connect, by the names in their certificates: SPIFFE IDs, and DNS names in lower
    /// case. Empty: everybody for whom an authority has signed. It is asked once, when a connection is made.
    #[schemars(length(max = CLIENT_NAMES_MAX), extend("x-value" = "NAME"))]
    pub client_names: Vec<String>,
    /// How often the files are looked at, in milliseconds. If they have changed they are read again.
    #[schemars(range(min = 10))]
    pub reload_ms: u64,
    /// How long it may take from a connection to the first bytes of HTTP/2 on it, the handshake and the
    /// refusal of a peer included, in milliseconds; then it is closed.
    #[schemars(range(min = 1))]
    pub handshake_ms_max: u64,
    /// Handshakes that may be under way at once; one more is closed as it comes. Of one host (of IPv6, one
    /// /64) there may be an eighth of them, and one at least. What they wait for are peers, so there are more
    /// of them than there is work.
    #[schemars(range(min = 1))]
    pub handshakes_max: usize,
}

/// Whether clients have to show a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// They have to.
    #[default]
    Required,
    /// They may. One that is shown has to be good.
    Optional,
    /// They are not asked.
    None,
}

/// The sides of TLS that a process takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// It is called, and calls.
    ServerAndClient,
    /// It only calls; it may do without a certificate.
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

    /// The field and the file of the authorities of clients.
    pub(crate) fn client_authorities(&self) -> Option<(&'static str, &PathBuf)> {
        let own = self.client_ca.as_ref().map(|file| ("client_ca", file));
        own.or_else(|| self.ca.as_ref().map(|file| ("ca", file)))
    }

    pub(crate) const fn reload_every(&self) -> Duration {
        Duration::from_millis(self.reload_ms)
    }

    /// How long a handshake may take.
    #[must_use]
    pub const fn handshake_max(&self) -> Duration {
        Duration::from_millis(self.handshake_ms_max)
    }
}
