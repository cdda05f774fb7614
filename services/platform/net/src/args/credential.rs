//! The credential of a command's calls: an API key or a token, from a file or from the environment. There is
//! no argument for the text itself, which lists of processes would show.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use clap::Args;
use thiserror::Error;
use vigie_credentials::TOKEN_BYTES_MAX;
use vigie_credentials::api_key::{KeyFault, PREFIX};
use zeroize::Zeroizing;

use crate::bearer::{Bearer, BearerFault};

const API_KEY: &str = "VIGIE_API_KEY";
const TOKEN: &str = "VIGIE_TOKEN";

/// The credential of calls, besides a certificate. A file takes precedence over the text in the environment;
/// without both, calls carry none.
#[derive(Debug, Clone, Default, Args)]
pub struct CredentialArgs {
    /// A file with the API key of the calls and nothing else [default: the key in VIGIE_API_KEY, if set]
    #[arg(long, env = "VIGIE_API_KEY_FILE", value_name = "FILE")]
    pub api_key_file: Option<PathBuf>,
    /// A file with a token (JWT) of an identity provider, instead of an API key [default: the token in
    /// VIGIE_TOKEN, if set]
    #[arg(long, env = "VIGIE_TOKEN_FILE", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The credential once it is read: a pipe cannot be read a second time, and one warning is enough.
    #[arg(skip)]
    read: Arc<OnceLock<Bearer>>,
}

/// The reasons why a named credential cannot be used. They repeat no part of it.
#[derive(Debug, Error)]
pub enum CredentialError {
    /// Both a key and a token are set.
    #[error("{0} and {1} are both set, and a call carries one credential: leave one of them out")]
    Two(&'static str, &'static str),
    /// The file cannot be read.
    #[error("cannot read the credential of {}: {error}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The system's reason.
        error: io::Error,
    },
    /// The text is no such credential.
    #[error("{source_name}: {fault}{}", .hint.map(|hint| format!("; {hint}")).unwrap_or_default())]
    Malformed {
        /// The file or the variable that holds the text.
        source_name: String,
        /// The fault.
        fault: BearerFault,
        /// The argument to use instead, if the text looks like the other kind.
        hint: Option<&'static str>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    ApiKey,
    Token,
}

/// The place of a credential, and its kind.
#[derive(Debug, PartialEq, Eq)]
enum Source {
    File(Kind, PathBuf),
    Variable(Kind, &'static str, Zeroizing<String>),
}

impl CredentialArgs {
    /// Reads the credential, once; a file that others may read is reported on standard error.
    ///
    /// # Errors
    ///
    /// A credential is named that cannot be read or is none, or two are.
    pub(super) fn read(&self) -> Result<Option<Bearer>, CredentialError> {
        if let Some(bearer) = self.read.get() {
            return Ok(Some(bearer.clone()));
        }
        let bearer = match self.source(|name| std::env::var_os(name))? {
            None => return Ok(None),
            Some(Source::Variable(kind, name, text)) => bearer(kind, &text, name)?,
            Some(Source::File(kind, file)) => {
                let (text, is_open) = contents(&file)
                    .map_err(|error| CredentialError::Unreadable { file: file.clone(), error })?;
                let file = file.display();
                if is_open {
                    eprintln!("warning: others may read the credential in {file}: chmod 600 {file}");
                }
                bearer(kind, &text, &format!("file {file}"))?
            }
        };
        Ok(Some(self.read.get_or_init(|| bearer).clone()))
    }

    fn source(&self, variable: impl Fn(&str) -> Option<OsString>) -> Result<Option<Source>, CredentialError> {
        match (&self.api_key_file, &self.token_file) {
            (Some(_), Some(_)) => {
                let (key, token) =
                    ("--api-key-file (or VIGIE_API_KEY_FILE)", "--token-file (or VIGIE_TOKEN_FILE)");
                return Err(CredentialError::Two(key, token));
            }
            (Some(file), None) => return Ok(Some(Source::File(Kind::ApiKey, file.clone()))),
            (None, Some(file)) => return Ok(Some(Source::File(Kind::Token, file.clone()))),
            (None, None) => {}
        }
        // What is not UTF-8 is no credential, and is refused as one. An empty variable is one that is not
        // set.
        let text = |name| {
            let text = variable(name)?.into_string().unwrap_or_else(|_| "\u{fffd}".to_owned());
            Some(Zeroizing::new(text)).filter(|text| !text.is_empty())
        };
        match (text(API_KEY), text(TOKEN)) {
            (Some(_), Some(_)) => Err(CredentialError::Two(API_KEY, TOKEN)),
            (Some(key), None) => Ok(Some(Source::Variable(Kind::ApiKey, API_KEY, key))),
            (None, Some(token)) => Ok(Some(Source::Variable(Kind::Token, TOKEN, token))),
            (None, None) => Ok(None),
        }
    }
}

fn bearer(kind: Kind, text: &str, source: &str) -> Result<Bearer, CredentialError> {
    let text = text.trim_end_matches(['\r', '\n']);
    let malformed = |fault, hint| CredentialError::Malformed { source_name: source.to_owned(), fault, hint };
    match (kind, text.starts_with(PREFIX)) {
        (Kind::ApiKey, true) | (Kind::Token, false) => {
            Bearer::new(text, source).map_err(|fault| malformed(fault, None))
        }
        (Kind::ApiKey, false) => {
            let is_token = text.matches('.').count() == 2;
            let hint = is_token.then_some("pass a token with --token-file or VIGIE_TOKEN");
            Err(malformed(KeyFault::Prefix.into(), hint))
        }
        (Kind::Token, true) => {
            let hint = "this begins like an API key: pass it with --api-key-file or VIGIE_API_KEY";
            Err(malformed(BearerFault::Token, Some(hint)))
        }
    }
}

/// Returns the beginning of a file, longer than any credential, and whether others than its owner may use it.
fn contents(file: &Path) -> io::Result<(Zeroizing<String>, bool)> {
    let file = File::open(file)?;
    let metadata = file.metadata()?;
    let longest = TOKEN_BYTES_MAX + 16;
    let mut text = Zeroizing::new(String::with_capacity(longest));
    file.take(u64::try_from(longest).unwrap_or(u64::MAX)).read_to_string(&mut text)?;
    Ok((text, metadata.is_file() && metadata.mode() & 0o077 != 0))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use vigie_credentials::api_key::ApiKey;

    use super::*;

    const JWT: &str = "header.claims.signature";

    fn file(text: &[u8], mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        file
    }

    fn of_key(file: &Path) -> CredentialArgs {
        CredentialArgs { api_key_file: Some(file.to_owned()), ..CredentialArgs::default() }
    }

    #[test]
    fn a_key_is_read_with_the_end_of_its_line_and_once() {
        let key = ApiKey::generate().unwrap();
        for end in ["", "\n", "\r\n"] {
            let held = file(format!("{}{end}", *key.reveal()).as_bytes(), 0o600);
            let args = of_key(held.path());
            let name = format!("API key {} of file {}", key.id(), held.path().display());
            assert_eq!(args.read().unwrap().unwrap().name(), name);
            std::fs::remove_file(held.path()).unwrap();
            assert_eq!(args.clone().read().unwrap().unwrap().name(), name, "a pipe cannot be read again");
        }
    }

    #[test]
    fn a_file_that_others_may_use_is_known() {
        for (mode, is_open) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true)] {
            assert_eq!(contents(file(b"x", mode).path()).unwrap().1, is_open, "{mode:o}");
        }
    }

    #[test]
    fn a_fault_names_its_source_and_the_way_out_and_no_part_of_the_credential() {
        let key = ApiKey::generate().unwrap().reveal();
        let check = |kind, text: &str, expected: &str| {
            let shown = bearer(kind, text, "SOURCE").unwrap_err().to_string();
            assert!(shown.starts_with("SOURCE: ") && shown.contains(expected), "{shown}");
            assert!(!shown.contains("claims") && !shown.contains(&key[30..40]), "{shown}");
        };
        check(Kind::ApiKey, "", "begins with vgk_");
        check(Kind::ApiKey, &key[..78], "has 79 characters, and this has 78");
        check(Kind::ApiKey, &format!("{} {}", *key, *key), "copy the whole");
        check(Kind::ApiKey, JWT, "VIGIE_TOKEN");
        check(Kind::Token, &key, "--api-key-file");
        check(Kind::Token, "two words claims", "a token is 1 to 8192");
        check(Kind::Token, "", "a token is 1 to 8192");
        let unreadable = of_key(Path::new("/no/such/file")).read().unwrap_err().to_string();
        assert!(unreadable.contains("/no/such/file"), "{unreadable}");
        assert!(of_key(file(&[0xff], 0o600).path()).read().is_err());
    }

    #[test]
    fn a_file_counts_before_the_environment_and_two_of_a_sort_are_refused() {
        let both = |name: &str| Some(OsString::from(name));
        let none = |_: &str| None;
        let chosen = |args: &CredentialArgs, variable: &dyn Fn(&str) -> Option<OsString>| {
            args.source(variable).map_err(|error| error.to_string())
        };
        let args = of_key(Path::new("key"));
        assert_eq!(chosen(&args, &both), Ok(Some(Source::File(Kind::ApiKey, "key".into()))));
        let two = CredentialArgs { token_file: Some("token".into()), ..args };
        assert!(chosen(&two, &none).unwrap_err().contains("--token-file"));

        let args = CredentialArgs::default();
        assert_eq!(chosen(&args, &none), Ok(None));
        assert!(chosen(&args, &both).unwrap_err().starts_with("VIGIE_API_KEY and VIGIE_TOKEN"));
        let token = |name: &str| (name == TOKEN).then(|| JWT.into());
        let expected = Source::Variable(Kind::Token, TOKEN, JWT.to_owned().into());
        assert_eq!(chosen(&args, &token), Ok(Some(expected)));
        assert_eq!(chosen(&args, &|_| Some(OsString::new())), Ok(None));
    }
}
