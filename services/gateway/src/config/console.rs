//! The configuration of the console.

mod oidc;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vigie_credentials::CredentialsConfig;
use zeroize::Zeroizing;

pub use oidc::OidcConfig;

/// The fewest bytes of a session key.
const KEY_BYTES_MIN: usize = 32;
/// The most bytes of a file with a session key.
const KEY_BYTES_MAX: usize = 4_096;

/// The console: pages in a browser.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConsoleConfig {
    /// Whether there is a console, at `/console/`.
    pub enabled: bool,
    /// A file with at least 32 random bytes, the key that seals sessions. Gateways behind one address need
    /// the same key. Without it, each gateway makes a key when it starts, and people sign in again after a
    /// restart.
    #[schemars(extend("x-value" = "FILE"))]
    pub session_key_file: Option<PathBuf>,
    /// The longest lifetime of a session, in minutes.
    #[schemars(range(min = 1, max = 10_080))]
    pub session_minutes: u32,
    /// Signing in at an identity provider, by OpenID Connect.
    pub oidc: OidcConfig,
}

impl Default for ConsoleConfig {
    fn default() -> Self {
        Self { enabled: true, session_key_file: None, session_minutes: 720, oidc: OidcConfig::default() }
    }
}

impl ConsoleConfig {
    /// Returns the longest lifetime of a session.
    #[must_use]
    pub const fn session_lifetime(&self) -> Duration {
        Duration::from_secs(self.session_minutes as u64 * 60)
    }

    /// Returns the key that seals sessions: the content of the configured file, or random bytes.
    ///
    /// # Errors
    ///
    /// Returns the fault of the file, prefixed with its configuration key.
    pub(crate) fn session_key(&self) -> Result<Zeroizing<Vec<u8>>, String> {
        let Some(path) = &self.session_key_file else {
            return Ok(Zeroizing::new(rand::random::<[u8; KEY_BYTES_MIN]>().to_vec()));
        };
        let cannot = |why: String| format!("session_key_file: {} {why}", path.display());
        let bytes = std::fs::read(path).map_err(|error| cannot(format!("cannot be read: {error}")))?;
        let bytes = Zeroizing::new(bytes);
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&bytes.len()) {
            let has = bytes.len();
            return Err(cannot(format!("has {has} bytes; it must have {KEY_BYTES_MIN} to {KEY_BYTES_MAX}")));
        }
        Ok(bytes)
    }

    /// Returns every fault of the values, each prefixed with its configuration key. Reads the files.
    /// `credentials`: the issuers whose tokens the gateway accepts. `public_url`: the URL by which browsers
    /// reach the console.
    #[must_use]
    pub fn faults(&self, credentials: &CredentialsConfig, public_url: Option<&str>) -> Vec<String> {
        let mut faults = Vec::new();
        faults.extend(self.session_key().err());
        if !(1..=10_080).contains(&self.session_minutes) {
            faults.push(format!("session_minutes: is {}; it must be 1 to 10080", self.session_minutes));
        }
        let oidc = self.oidc.faults(credentials, public_url).into_iter();
        faults.extend(oidc.map(|fault| format!("oidc.{fault}")));
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_from_its_file_and_has_its_bytes() {
        let config = |session_key_file| ConsoleConfig { session_key_file, ..ConsoleConfig::default() };
        let (one, other) = (config(None).session_key().unwrap(), config(None).session_key().unwrap());
        assert!(one.len() == 32 && one != other);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        std::fs::write(&path, [7; 32]).unwrap();
        assert_eq!(**config(Some(path.clone())).session_key().unwrap(), [7; 32]);
        std::fs::write(&path, [7; 31]).unwrap();
        let faults = config(Some(path)).faults(&CredentialsConfig::default(), None);
        assert!(faults[0].starts_with("session_key_file: ") && faults[0].contains("31 bytes"), "{faults:?}");
        let none = ConsoleConfig { session_minutes: 0, ..ConsoleConfig::default() };
        assert_eq!(
            none.faults(&CredentialsConfig::default(), None),
            ["session_minutes: is 0; it must be 1 to 10080"]
        );
    }
}
