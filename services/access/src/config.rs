//! The settings of access.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_consortium::Process;
use vigie_credentials::CredentialsConfig;
use vigie_credentials::api_key::Pepper;
use zeroize::Zeroizing;

use crate::process::ClusterKey;

/// The most names of one kind of process.
const NAMES_MAX: usize = 256;

/// Who is let in: members by their credentials, and the deployment's own processes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AccessConfig {
    /// Credentials of members: certificates, tokens of identity providers, and the limit of failed attempts.
    pub credentials: CredentialsConfig,
    /// A file with a secret of 32 to 1,024 bytes, by which digests of API keys are keyed: the same for the bank and all frontends, and
    /// never another once there are keys. Without it a copy of the bank's store is enough to check a guessed key, which has 256 bits.
    pub pepper: Option<PathBuf>,
    /// A file with a secret of 32 to 1,024 bytes that all processes of the deployment share, by which they know each other. Needed where
    /// there are members and no certificates.
    pub cluster_key: Option<PathBuf>,
    /// The names in the certificates of frontends and gateways, at most 256.
    #[schemars(length(max = NAMES_MAX))]
    pub frontend_names: Vec<String>,
    /// The names in the certificates of coordinators, at most 256.
    #[schemars(length(max = NAMES_MAX))]
    pub coordinator_names: Vec<String>,
    /// The names in the certificates of matchers, at most 256.
    #[schemars(length(max = NAMES_MAX))]
    pub matcher_names: Vec<String>,
    /// The names in the certificates of banks, at most 256.
    #[schemars(length(max = NAMES_MAX))]
    pub bank_names: Vec<String>,
}

/// The secrets of a configuration, read from their files.
#[derive(Debug, Clone)]
pub(crate) struct Secrets {
    pub(crate) pepper: Pepper,
    pub(crate) cluster_key: Option<ClusterKey>,
}

impl AccessConfig {
    /// Every fault of the values, each beginning with its key. Reads the files.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults: Vec<String> =
            self.credentials.faults().into_iter().map(|fault| format!("credentials.{fault}")).collect();
        for (key, names) in [
            ("frontend_names", &self.frontend_names),
            ("coordinator_names", &self.coordinator_names),
            ("matcher_names", &self.matcher_names),
            ("bank_names", &self.bank_names),
        ] {
            if names.len() > NAMES_MAX {
                faults.push(format!("{key}: there may be at most {NAMES_MAX}"));
            }
            faults.extend(
                names.iter().filter(|name| name.is_empty()).map(|_| format!("{key}: a name is empty")),
            );
        }
        faults.extend(self.secrets().err().unwrap_or_default());
        faults
    }

    /// Reads the files.
    pub(crate) fn secrets(&self) -> Result<Secrets, Vec<String>> {
        let mut faults = Vec::new();
        let mut read = |key: &str, path: &Option<PathBuf>| {
            let path = path.as_ref()?;
            let fault = |fault| faults.push(format!("{key}: {} {fault}", path.display()));
            ClusterKey::read(path).map_err(fault).ok()
        };
        let cluster_key = read("cluster_key", &self.cluster_key);
        let pepper = read("pepper", &self.pepper);
        if faults.is_empty() { Ok(Secrets { pepper: pepper_of(pepper), cluster_key }) } else { Err(faults) }
    }

    /// The pepper, for the server that makes new keys.
    ///
    /// # Errors
    ///
    /// The files have faults.
    pub fn pepper(&self) -> Result<Pepper, Vec<String>> {
        self.secrets().map(|secrets| secrets.pepper)
    }

    /// The process that has a certificate of this name.
    pub(crate) fn process_called(&self, name: &str) -> Option<Process> {
        let lists = [
            (Process::Frontend, &self.frontend_names),
            (Process::Coordinator, &self.coordinator_names),
            (Process::Matcher, &self.matcher_names),
            (Process::Bank, &self.bank_names),
        ];
        lists
            .into_iter()
            .find(|(_, names)| names.iter().any(|listed| listed == name))
            .map(|(process, _)| process)
    }

    /// Whether processes of the deployment can prove themselves at all.
    #[must_use]
    pub fn knows_processes(&self) -> bool {
        let lists = [&self.frontend_names, &self.coordinator_names, &self.matcher_names, &self.bank_names];
        self.cluster_key.is_some() || lists.iter().any(|names| !names.is_empty())
    }
}

/// The pepper of a secret. Without one it is a constant: digests differ from those of every other program then, and are secret no more
/// than the store is.
fn pepper_of(secret: Option<ClusterKey>) -> Pepper {
    let material = secret.map_or_else(|| Zeroizing::new([0; 32]), |secret| secret.material());
    Pepper::new(blake3::derive_key("vigie 2026 pepper of api keys", &*material))
}
