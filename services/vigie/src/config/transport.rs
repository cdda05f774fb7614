//! The settings of TLS, and the rule about plain text.
//!
//! Plain text is meant for one machine. A process that listens on or calls an address other than a loopback
//! one, without TLS, must be configured to allow that. Otherwise a cluster that is in plain text by mistake
//! would look like a secure one.

use std::net::SocketAddr;

use anyhow::bail;
use toml::{Table, Value};
use vigie_net::is_plaintext_off_loopback;
use vigie_tls::{Sides, Tls, TlsConfig};

use super::fitting::fitting;
use super::names::{ALLOW_PLAINTEXT, TLS};

const REMEDIES: &str = "add a [tls] table, or set allow_plaintext = true where everybody on the way may read and change what is said";

/// The settings of TLS and plain text for incoming and outgoing connections.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Transport {
    /// The settings of TLS; `None` for plain text.
    pub(crate) tls: Option<TlsConfig>,
    /// Whether plain text may leave the machine.
    pub(crate) allow_plaintext: bool,
}

impl Transport {
    /// Reads the settings, and adds the faults of the files that they name.
    pub(super) fn read(table: &Table, faults: &mut Vec<String>) -> Self {
        let allow_plaintext = match table.get(ALLOW_PLAINTEXT) {
            None => false,
            Some(Value::Boolean(allowed)) => *allowed,
            Some(value) => {
                faults
                    .push(format!("{ALLOW_PLAINTEXT}: is a {}; it must be true or false", value.type_str()));
                false
            }
        };
        let fitted = table.get(TLS).and_then(|value| fitting::<TlsConfig>(TLS, value, faults));
        if let Some(fitted) = &fitted {
            let found = fitted.config.faults(Sides::ServerAndClient).into_iter();
            let found = found.map(|fault| format!("{TLS}.{fault}"));
            // If `ca` does not fit, it may be the authority that `client_ca` is missing.
            let is_of_ca = |fault: &String| {
                fault.starts_with("tls.client_ca: is missing") && !fitted.is_of_a_value("tls.ca")
            };
            faults.extend(found.filter(|fault| fitted.is_of_a_value(fault) && !is_of_ca(fault)));
        }
        Self { tls: fitted.map(|fitted| fitted.config), allow_plaintext }
    }

    /// Adds a fault if an address to listen on needs TLS and there is none.
    pub(super) fn check_listen(&self, listen: SocketAddr, table: &Table, faults: &mut Vec<String>) {
        let is_near = listen.ip().to_canonical().is_loopback();
        // A `[tls]` table with a fault is still present, so this is not another fault.
        if !is_near && !self.allow_plaintext && !table.contains_key(TLS) {
            faults.push(format!(
                "listen: {listen} can be reached from other machines, in plain text: {REMEDIES}"
            ));
        }
    }

    /// Adds a fault if an endpoint is called in plain text and must not be, or is called over TLS without a
    /// `[tls]` table.
    pub(super) fn check_endpoint(
        &self,
        field: &str,
        endpoint: &str,
        table: &Table,
        faults: &mut Vec<String>,
    ) {
        let bare = endpoint.strip_prefix("dns+").unwrap_or(endpoint);
        if is_plaintext_off_loopback(bare) && !self.allow_plaintext {
            faults.push(format!(
                "{field}: {endpoint} is on another machine, and called in plain text: write https:// and {REMEDIES}"
            ));
        }
        if bare.starts_with("https://") && !table.contains_key(TLS) {
            faults.push(format!("{field}: {endpoint} is called over TLS: add a [tls] table"));
        }
    }

    /// Loads the certificates, and starts to reload them when they change. Must be called within a runtime.
    pub(crate) fn start(&self) -> anyhow::Result<Option<Tls>> {
        let Some(config) = self.tls.clone() else { return Ok(None) };
        match Tls::start(config, Sides::ServerAndClient) {
            Ok(tls) => Ok(Some(tls)),
            Err(faults) => {
                let faults: Vec<_> = faults.into_iter().map(|fault| format!("{TLS}.{fault}")).collect();
                bail!("TLS has faults: {}", faults.join("; "))
            }
        }
    }
}
