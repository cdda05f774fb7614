//! Command-line arguments for the TLS and the credential of connections to servers.

mod credential;

use std::path::PathBuf;

use clap::Args;
use thiserror::Error;
use vigie_tls::{Sides, Tls, TlsConfig};

pub use credential::{CredentialArgs, CredentialError};

use crate::endpoint::is_plaintext_off_loopback;
use crate::network::Network;

/// The TLS files and the credential with which a command calls the cluster.
#[derive(Debug, Clone, Default, Args)]
pub struct TlsArgs {
    /// The authorities of the servers at https:// addresses [default: those of the system]
    #[arg(long, env = "VIGIE_CA", value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// The certificate to show to servers that ask for one
    #[arg(long, env = "VIGIE_CERTIFICATE", value_name = "FILE", requires = "key")]
    pub certificate: Option<PathBuf>,
    /// The private key of the certificate
    #[arg(long, env = "VIGIE_KEY", value_name = "FILE", requires = "certificate")]
    pub key: Option<PathBuf>,
    /// Allow plain text (http://) to other machines, too: everybody on the way may read and change it
    #[arg(long, env = "VIGIE_ALLOW_PLAINTEXT")]
    pub allow_plaintext: bool,
    /// The credential of the calls
    #[command(flatten)]
    pub credential: CredentialArgs,
}

/// The reasons for which servers cannot be reached with the given arguments.
#[derive(Debug, Error)]
pub enum TlsArgsError {
    /// The endpoint breaks the rule about plain text.
    #[error(
        "{0} is on another machine, and would be called in plain text: write https:// (and --ca, --certificate and --key as \
         needed), or allow it with --allow-plaintext: everybody on the way may then read and change the calls"
    )]
    PlaintextOffLoopback(String),
    /// The credential cannot be read or used.
    #[error(transparent)]
    Credential(#[from] CredentialError),
    /// The TLS files have these faults.
    #[error("TLS has faults: --{}", .0.join("; --"))]
    Faults(Vec<String>),
}

impl TlsArgs {
    /// Returns the network on which a command reaches these endpoints with its credential. Must be called
    /// within a tokio runtime.
    ///
    /// # Errors
    ///
    /// An endpoint would be called in plain text off this machine, the credential is invalid, or the files
    /// have faults.
    pub fn network(&self, endpoints: &[impl AsRef<str>]) -> Result<Network, TlsArgsError> {
        let mut endpoints = endpoints.iter().map(AsRef::as_ref);
        if !self.allow_plaintext
            && let Some(far) = endpoints.clone().find(|endpoint| is_plaintext_off_loopback(endpoint))
        {
            return Err(TlsArgsError::PlaintextOffLoopback(far.to_owned()));
        }
        let network = Network::tcp().bearing(self.credential.read()?);
        if !endpoints.any(|endpoint| endpoint.starts_with("https://")) {
            return Ok(network);
        }
        let Self { ca, certificate, key, .. } = self.clone();
        let config = TlsConfig { ca, certificate, key, ..TlsConfig::default() };
        let tls = Tls::start(config, Sides::Client).map_err(TlsArgsError::Faults)?;
        Ok(network.with_tls(Some(tls)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn plain_text_leaves_the_machine_only_where_that_is_allowed() {
        let near = ["http://127.0.0.1:1", "http://localhost:2"];
        let far = ["http://127.0.0.1:1", "http://bank.example:2"];
        let args = TlsArgs::default();
        assert!(args.network(&near).is_ok());
        let refused = args.network(&far).unwrap_err().to_string();
        assert!(refused.contains("bank.example:2") && refused.contains("--allow-plaintext"), "{refused}");
        assert!(TlsArgs { allow_plaintext: true, ..args }.network(&far).is_ok());
    }

    #[tokio::test]
    async fn a_credential_that_is_none_is_refused_before_any_call_and_none_leaves_the_machine_in_plain_text()
    {
        let mut args = TlsArgs::default();
        args.credential.api_key_file = Some("/no/such/key".into());
        let refused = |endpoint: &str| args.network(&[endpoint]).unwrap_err();
        assert!(matches!(refused("http://127.0.0.1:1"), TlsArgsError::Credential(_)));
        assert!(matches!(refused("http://bank.example:1"), TlsArgsError::PlaintextOffLoopback(_)));
    }

    #[tokio::test]
    async fn files_are_read_only_where_an_address_asks_for_tls_and_their_faults_name_the_argument() {
        let args = TlsArgs { ca: Some("no-such-file".into()), ..TlsArgs::default() };
        assert!(args.network(&["http://127.0.0.1:1"]).is_ok());
        let refused = args.network(&["https://localhost:1"]).unwrap_err().to_string();
        assert!(refused.contains("--ca: no-such-file"), "{refused}");
    }
}
