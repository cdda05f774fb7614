//! Credentials of exchanges, from a folder of files or from the environment. They are in no table and in no
//! log.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use crate::secret::Secret;
use crate::sources::settings::Api;

/// The most bytes of a file of credentials.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The API key of a member's principal, with which write-back reads the bank. Required if the deployment has
/// members.
pub(crate) const BANK_KEY: &str = "bank_key";

/// The credentials of one exchange, by field.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials(BTreeMap<String, Secret>);

/// Reasons why there are no credentials. No value is part of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CredentialsError {
    /// A field is set nowhere.
    #[error("no credential {field}: {variable}write `{field}=...` into a file of the credentials' folder")]
    Missing {
        /// The field.
        field: &'static str,
        /// The advice to set a variable, if a variable can hold the field.
        variable: String,
    },
    /// A file cannot be read.
    #[error("cannot read the credentials' file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// The reason.
        reason: String,
    },
}

impl Credentials {
    /// Returns the value of a field, or an empty text for an optional field that is not set.
    #[must_use]
    pub fn get(&self, field: &str) -> &str {
        self.0.get(field).map_or("", Secret::reveal)
    }

    /// Returns credentials with these fields.
    pub fn of(fields: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        Self(fields.into_iter().map(|(field, value)| (field.to_owned(), Secret::new(value))).collect())
    }
}

/// Returns the value of a variable.
type Lookup = dyn Fn(&str) -> Option<String> + Send + Sync;

/// The places where credentials are stored. They are read again for every round, so that new ones apply
/// without a restart.
#[derive(Clone)]
pub struct Vault {
    folder: Option<PathBuf>,
    environment: Arc<Lookup>,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Vault {
    /// Returns a vault for a folder, with a file for each exchange or interface, and an environment.
    pub fn new(
        folder: Option<PathBuf>,
        environment: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        Self { folder, environment: Arc::new(environment) }
    }

    /// Returns the credentials that an interface needs, and its optional ones that are set.
    ///
    /// For an exchange of the host, a field is searched in the file with the exchange's name, in the file
    /// with its interface's name, and in the variables `VIGIE_EXCHANGE_<EXCHANGE>_<FIELD>` and
    /// `VIGIE_EXCHANGE_<INTERFACE>_<FIELD>`; the first value found counts. For an exchange of another member,
    /// it is searched only in the file `<MEMBER>/<EXCHANGE>`, so that no member's exchange gets another's
    /// credentials.
    ///
    /// Errors: a required field is set nowhere, or a file cannot be read.
    pub fn read(
        &self,
        member: Option<&str>,
        exchange: &str,
        api: Api,
    ) -> Result<Credentials, CredentialsError> {
        self.find(member, exchange, api, api.credentials(), api.optional_credentials())
    }

    /// Returns the credentials for the write-back of an interface, and the API key with which it reads the
    /// bank, if that is set.
    ///
    /// They are searched like the others, but read separately, because an exchange can follow its programme
    /// without them.
    pub fn read_for_submission(
        &self,
        member: Option<&str>,
        exchange: &str,
        api: Api,
    ) -> Result<Credentials, CredentialsError> {
        self.find(member, exchange, api, api.submit_credentials(), &[BANK_KEY])
    }

    /// Returns the credentials with which an interface accepts opinions, and the API key with which the bank
    /// is read, if that is set.
    pub fn read_for_feedback(
        &self,
        member: Option<&str>,
        exchange: &str,
        api: Api,
    ) -> Result<Credentials, CredentialsError> {
        self.find(member, exchange, api, api.feedback_credentials(), &[BANK_KEY])
    }

    fn find(
        &self,
        member: Option<&str>,
        exchange: &str,
        api: Api,
        needed: &[&'static str],
        optional: &[&'static str],
    ) -> Result<Credentials, CredentialsError> {
        let (files, variables) = match member {
            None => (vec![exchange.to_owned(), api.name().to_owned()], vec![exchange, api.name()]),
            Some(member) => (vec![format!("{member}/{exchange}")], Vec::new()),
        };
        let files = files.iter().map(|name| self.file(name)).collect::<Result<Vec<_>, _>>()?;
        let mut found = BTreeMap::new();
        for (field, is_needed) in
            needed.iter().map(|field| (field, true)).chain(optional.iter().map(|field| (field, false)))
        {
            let variables: Vec<String> = variables.iter().map(|name| variable(name, field)).collect();
            let of_files = files.iter().find_map(|file| file.get(*field).cloned());
            let value = of_files
                .or_else(|| variables.iter().find_map(|name| (self.environment)(name)).map(Secret::new));
            match value.filter(|value| !value.reveal().is_empty()) {
                Some(value) => {
                    found.insert((*field).to_owned(), value);
                }
                None if is_needed => {
                    let variable =
                        variables.first().map_or_else(String::new, |name| format!("set {name}, or "));
                    return Err(CredentialsError::Missing { field, variable });
                }
                None => {}
            }
        }
        Ok(Credentials(found))
    }

    /// Returns the fields of one file with lines `field=value`; no fields if the file does not exist.
    fn file(&self, name: &str) -> Result<BTreeMap<String, Secret>, CredentialsError> {
        let Some(folder) = &self.folder else { return Ok(BTreeMap::new()) };
        // Names of members and exchanges are plain words. A name that leads out of the folder is treated as
        // missing.
        let is_within = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if !is_within {
            return Ok(BTreeMap::new());
        }
        let path = folder.join(name);
        let fault = |reason: String| CredentialsError::File { path: path.display().to_string(), reason };
        match std::fs::metadata(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(fault(error.kind().to_string())),
            Ok(metadata) if metadata.len() > FILE_BYTES_MAX => {
                return Err(fault("it is too long".to_owned()));
            }
            Ok(_) => {}
        }
        let text = std::fs::read_to_string(&path).map_err(|error| fault(error.kind().to_string()))?;
        let text = Secret::new(text);
        let field = |line: &str| {
            let (field, value) = line.split_once('=')?;
            Some((field.trim().to_owned(), Secret::new(value.trim().to_owned())))
        };
        let lines = text.reveal().lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        lines.map(|line| field(line).ok_or_else(|| fault("a line is not `field=value`".to_owned()))).collect()
    }
}

/// Returns the name of a variable: upper-case letters, digits and `_`.
fn variable(name: &str, field: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(fit).collect();
    format!("VIGIE_EXCHANGE_{name}_{}", field.to_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_the_exchange_comes_before_that_of_the_interface_and_the_environment() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tat"), "# comment\nuser = general\npassword=p=w\n").unwrap();
        std::fs::write(folder.path().join("my-tat"), "user=own\n").unwrap();
        let environment = |name: &str| match name {
            "VIGIE_EXCHANGE_OTHER_X_USER" => Some("from the environment".to_owned()),
            "VIGIE_EXCHANGE_NCMEC_PASSWORD" => Some("secret".to_owned()),
            _ => None,
        };
        let vault = Vault::new(Some(folder.path().to_owned()), environment);
        let read = |exchange: &str, api: &str| vault.read(None, exchange, api.parse().unwrap());
        let own = read("my-tat", "tat").unwrap();
        assert_eq!((own.get("user"), own.get("password"), own.get("more")), ("own", "p=w", ""));
        assert_eq!(read("another", "tat").unwrap().get("user"), "general");
        assert_eq!(read("other.x", "ncmec").unwrap().get("password"), "secret");
        assert!(!format!("{own:?} {vault:?}").contains("p=w"));
        let missing = read("none", "ncmec").unwrap_err();
        assert_eq!(
            missing.to_string(),
            "no credential user: set VIGIE_EXCHANGE_NONE_USER, or write `user=...` into a file of the credentials' folder"
        );
        std::fs::write(folder.path().join("torn"), "user").unwrap();
        assert!(matches!(read("torn", "tat"), Err(CredentialsError::File { .. })));
    }

    #[test]
    fn another_members_exchange_gets_its_own_credentials_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tat"), "user=host\npassword=host\n").unwrap();
        std::fs::write(folder.path().join("mine"), "user=host\npassword=host\n").unwrap();
        let vault = Vault::new(Some(folder.path().to_owned()), |_| Some("of the host".to_owned()));
        let read = |member: &str, exchange: &str| vault.read(Some(member), exchange, Api::Tat);
        for (member, exchange) in [("acme", "mine"), ("acme", "tat"), ("..", "tat"), (".", "mine")] {
            let error = read(member, exchange).unwrap_err();
            let advice = "no credential user: write `user=...` into a file of the credentials' folder";
            assert_eq!(error.to_string(), advice, "{member}/{exchange}");
        }
        std::fs::create_dir(folder.path().join("acme")).unwrap();
        std::fs::write(folder.path().join("acme/mine"), "user=acme\npassword=x\n").unwrap();
        assert_eq!(read("acme", "mine").unwrap().get("user"), "acme");
    }
}
