//! The configuration of access: credentials of members and processes.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_consortium::Process;
use vigie_credentials::CredentialsConfig;
use vigie_credentials::api_key::Pepper;
use vigie_net::{Bearer, Network};
use zeroize::Zeroizing;

use crate::process::ClusterKey;

/// The most names of one kind of process.
const NAMES_MAX: usize = 256;

/// Credentials of members.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Certificates, tokens of identity providers, and the limit of failed attempts.
    pub credentials: CredentialsConfig,
    /// A file with a secret of 32 to 1,024 bytes, which keys the digests of API keys. It must be the same for
    /// the bank and all frontends, and must not change once there are keys. Without it, a copy of the bank's
    /// store is enough to check a guessed key, which has 256 bits.
    #[schemars(extend("x-value" = "FILE"))]
    pub pepper: Option<PathBuf>,
}

impl AccessConfig {
    /// Returns every fault of the values, each beginning with its key. Reads the file.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let credentials = self.credentials.faults().into_iter().map(|fault| format!("credentials.{fault}"));
        credentials.chain(self.pepper().err()).collect()
    }

    /// Returns the pepper of the file. Without a file it is a constant: digests are then no more secret than
    /// the store is.
    ///
    /// # Errors
    ///
    /// The fault of the file.
    pub fn pepper(&self) -> Result<Pepper, String> {
        let material = match &self.pepper {
            Some(path) => read("pepper", path)?.material(),
            None => Zeroizing::new([0; 32]),
        };
        Ok(Pepper::new(blake3::derive_key("vigie 2026 pepper of api keys", &*material)))
    }
}

/// The processes of one deployment, which recognise each other by a key that they share, by the names in
/// their certificates, or by both.
///
/// If nothing is set, a process accepts every caller as a process of the deployment, as far as TLS lets it
/// in.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessesConfig {
    /// A file with a secret of 32 to 1,024 bytes that all processes of the deployment share, such as the
    /// output of `openssl rand -hex 32`. Required if there are members and processes show no certificates.
    #[schemars(extend("x-value" = "FILE"))]
    pub cluster_key: Option<PathBuf>,
    /// The complete names in the certificates of frontends and gateways, at most 256.
    #[schemars(length(max = NAMES_MAX), extend("x-value" = "NAME"))]
    pub frontend_names: Vec<String>,
    /// The names in the certificates of coordinators, at most 256.
    #[schemars(length(max = NAMES_MAX), extend("x-value" = "NAME"))]
    pub coordinator_names: Vec<String>,
    /// The names in the certificates of matchers, at most 256.
    #[schemars(length(max = NAMES_MAX), extend("x-value" = "NAME"))]
    pub matcher_names: Vec<String>,
    /// The names in the certificates of banks, at most 256.
    #[schemars(length(max = NAMES_MAX), extend("x-value" = "NAME"))]
    pub bank_names: Vec<String>,
    /// The names in the certificates of exchange processes, at most 256.
    #[schemars(length(max = NAMES_MAX), extend("x-value" = "NAME"))]
    pub exchange_names: Vec<String>,
    /// The names in the certificates of classifiers, at most 256.
    #[schemars(length(max = NAMES_MAX), extend("x-value" = "NAME"))]
    pub classifier_names: Vec<String>,
}

impl ProcessesConfig {
    const fn names(&self) -> [(&'static str, Process, &Vec<String>); 6] {
        [
            ("frontend_names", Process::Frontend, &self.frontend_names),
            ("coordinator_names", Process::Coordinator, &self.coordinator_names),
            ("matcher_names", Process::Matcher, &self.matcher_names),
            ("bank_names", Process::Bank, &self.bank_names),
            ("exchange_names", Process::Exchange, &self.exchange_names),
            ("classifier_names", Process::Classifier, &self.classifier_names),
        ]
    }

    /// Returns every fault of the values, each beginning with its key. Reads the file.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for (key, _, names) in self.names() {
            if names.len() > NAMES_MAX {
                faults.push(format!("{key}: has {} names; it may have at most {NAMES_MAX}", names.len()));
            }
            if names.iter().any(String::is_empty) {
                faults.push(format!("{key}: a name is empty"));
            }
        }
        faults.extend(self.key().err());
        faults
    }

    /// Reads the key from its file, if one is configured.
    pub(crate) fn key(&self) -> Result<Option<ClusterKey>, String> {
        self.cluster_key.as_ref().map(|path| read("cluster_key", path)).transpose()
    }

    /// Returns the process that has a certificate of this name.
    pub(crate) fn process_called(&self, name: &str) -> Option<Process> {
        let lists = self.names();
        let mut found = lists.into_iter().filter(|(.., names)| names.iter().any(|listed| listed == name));
        found.next().map(|(_, process, _)| process)
    }

    /// Returns whether processes of the deployment can prove themselves at all.
    #[must_use]
    pub fn is_set(&self) -> bool {
        self.cluster_key.is_some() || self.names().iter().any(|(.., names)| !names.is_empty())
    }

    /// Returns a network on which calls carry the proof of a process of this kind, if there is a key.
    ///
    /// # Errors
    ///
    /// The fault of the file.
    pub fn network(&self, network: &Network, process: Process) -> Result<Network, String> {
        let Some(key) = self.key()? else { return Ok(network.clone()) };
        let bearer = Bearer::new(&key.bearer(process), "cluster_key");
        let bearer = bearer.map_err(|error| format!("cluster_key: {error}"))?;
        Ok(network.clone().bearing(Some(bearer)))
    }
}

fn read(key: &str, path: &Path) -> Result<ClusterKey, String> {
    ClusterKey::read(path).map_err(|fault| format!("{key}: {} {fault}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_have_no_fault_and_name_no_process() {
        assert_eq!(AccessConfig::default().faults(), Vec::<String>::new());
        assert_eq!(ProcessesConfig::default().faults(), Vec::<String>::new());
        assert!(!ProcessesConfig::default().is_set());
    }

    #[test]
    fn every_fault_is_named() {
        let no_file = || Some(PathBuf::from("no-such-file"));
        let access = AccessConfig { pepper: no_file(), ..AccessConfig::default() };
        assert!(access.faults()[0].starts_with("pepper: no-such-file cannot be read"));
        let names = vec![String::new(); NAMES_MAX + 1];
        let config =
            ProcessesConfig { cluster_key: no_file(), bank_names: names, ..ProcessesConfig::default() };
        let faults = config.faults();
        for (fault, text) in faults.iter().zip([
            "bank_names: has 257 names; it may have at most 256",
            "bank_names: a name is empty",
            "cluster_key: no-such-file cannot be read",
        ]) {
            assert!(fault.starts_with(text), "{fault}");
        }
        assert_eq!(faults.len(), 3);
    }

    #[test]
    fn a_process_is_known_by_its_whole_name() {
        let matcher_names = vec!["spiffe://d/matcher".to_owned()];
        let config = ProcessesConfig { matcher_names, ..ProcessesConfig::default() };
        assert!(config.is_set());
        assert_eq!(config.process_called("spiffe://d/matcher"), Some(Process::Matcher));
        assert_eq!(config.process_called("spiffe://d/matcher-2"), None);
    }
}
