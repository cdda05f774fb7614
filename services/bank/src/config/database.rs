//! The URL of a PostgreSQL database: how to connect, and what TLS must guarantee.
//!
//! | `sslmode` | connections |
//! |---|---|
//! | `disable` | are in clear text |
//! | `prefer`, the default | are encrypted if the server offers it, else in clear text; nothing is checked |
//! | `require` | are encrypted; who answers is not checked |
//! | `verify-ca` | are encrypted, to a server with a certificate of `sslrootcert`, whatever its name |
//! | `verify-full` | are encrypted, to a server with a certificate for the host of the URL |
//!
//! The files, and the file of passwords (`PGPASSFILE`), are read again for each new connection, so replacing
//! them needs no restart of the bank. sqlx trusts the system's authorities in addition to `sslrootcert`.
//! `SSL_CERT_FILE` replaces the system's authorities, and `verify-ca` requires it: with a public authority
//! `verify-ca` would accept a certificate that anybody can get.

use std::fmt;
use std::path::Path;
use std::str::FromStr as _;

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;
use vigie_tls::{Sides, TlsConfig};

/// The parameters that may follow the `?` of the URL. sqlx logs any other with its value, which could be a
/// password.
const PARAMETERS: [&str; 13] = [
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "statement-cache-capacity",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Parameters of PostgreSQL's own clients that sqlx would ignore, each with the alternative.
const UNSUPPORTED: [(&str, &str); 14] = [
    ("passfile", "name the file in the variable PGPASSFILE"),
    ("channel_binding", "sslmode=verify-full proves who answers"),
    ("gssencmode", "GSSAPI is not spoken: leave it out"),
    ("sslcompression", "it is always off: leave it out"),
    ("sslcrl", "certificates that were revoked are not looked up: leave it out"),
    ("sslcrldir", "certificates that were revoked are not looked up: leave it out"),
    ("sslcertmode", "a client certificate is shown where sslcert and sslkey are given"),
    ("sslnegotiation", "TLS is asked for by PostgreSQL's own request: leave it out"),
    ("sslpassword", "store the private key unencrypted, readable by the bank alone"),
    ("sslsni", "the host's name is always sent: leave it out"),
    ("ssl_min_protocol_version", "it is TLS 1.2: leave it out"),
    ("ssl_max_protocol_version", "it is TLS 1.3: leave it out"),
    ("connect_timeout", "it is 5 seconds: leave it out"),
    ("target_session_attrs", "a server that takes no writes is refused anyway: leave it out"),
];

/// Returns whether a store's URL names a database.
pub(super) fn is_url(store: &str) -> bool {
    store.starts_with("postgres://") || store.starts_with("postgresql://")
}

/// Returns why [`DatabaseUrl::parse`] refuses this URL, if the reason can be named without repeating a
/// secret.
pub(super) fn refusal(store: &str) -> Option<String> {
    let url = Url::parse(store).ok().filter(|_| is_url(store))?;
    let mut refusals = url.query_pairs().filter_map(|(name, value)| {
        if name == "sslmode" && PgSslMode::from_str(&value).is_err() {
            return Some(format!("sslmode: {MODES}"));
        }
        let (name, instead) = UNSUPPORTED.iter().find(|(unsupported, _)| *unsupported == name)?;
        Some(format!("the parameter {name} is not supported; {instead}"))
    });
    refusals.next().or_else(|| {
        let known = url.query_pairs().all(|(name, _)| PARAMETERS.contains(&&*name));
        (!known).then(|| format!("a parameter after the ? is none of {}", PARAMETERS.join(", ")))
    })
}

const MODES: &str = "must be disable, prefer, require, verify-ca or verify-full";

/// The URL of a database. It may hold a password, so it is shown without one.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    pub(super) fn parse(url: &str) -> Option<Self> {
        let parsed = Url::parse(url).ok()?;
        let all_known = parsed.query_pairs().all(|(name, _)| PARAMETERS.contains(&&*name));
        let url = Self(url.to_owned());
        (all_known && url.options().is_ok()).then_some(url)
    }

    /// Returns the present connection options. Values that are missing from the URL, such as the password,
    /// come from the same sources as in PostgreSQL's own clients: `PGPASSWORD` and similar variables, and a
    /// file of passwords, which is read each time.
    pub(crate) fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        PgConnectOptions::from_str(&self.0)
    }

    /// Returns every fault of the TLS parameters and of the files that they name. Blocks while it reads the
    /// files.
    pub(super) fn faults(&self) -> Vec<String> {
        let Ok(options) = self.options() else { return vec!["cannot be read".to_owned()] };
        let Ok(url) = Url::parse(&self.0) else { return vec!["cannot be read".to_owned()] };
        let said = |parameter: &str, variable: &str| {
            let named = url.query_pairs().filter(|(name, _)| name == parameter).last();
            named.map(|(_, value)| value.into_owned()).or_else(|| std::env::var(variable).ok())
        };
        let is_on_socket = options.get_socket().is_some() || options.get_host().starts_with('/');
        Said {
            mode: options.get_ssl_mode(),
            variable: std::env::var("PGSSLMODE").ok(),
            root: said("sslrootcert", "PGSSLROOTCERT"),
            certificate: said("sslcert", "PGSSLCERT"),
            key: said("sslkey", "PGSSLKEY"),
            system: std::env::var("SSL_CERT_FILE").ok(),
            is_on_socket,
        }
        .faults()
    }
}

/// The TLS parameters of the URL and of the environment.
struct Said {
    mode: PgSslMode,
    /// `PGSSLMODE`.
    variable: Option<String>,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
    /// The file of authorities that replaces the system's.
    system: Option<String>,
    is_on_socket: bool,
}

impl Said {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        let name = name(self.mode);
        // sqlx treats an unknown mode as none, and would connect in clear text.
        let is_mode = self.variable.as_ref().is_none_or(|mode| PgSslMode::from_str(mode).is_ok());
        check(is_mode, format!("the variable PGSSLMODE {MODES}"));
        check(
            !matches!(self.mode, PgSslMode::Allow),
            "sslmode=allow is not supported: it would be clear text. Use disable, prefer, require, verify-ca or verify-full"
                .to_owned(),
        );
        let verifies = matches!(self.mode, PgSslMode::VerifyCa | PgSslMode::VerifyFull);
        check(
            verifies || self.root.is_none(),
            format!(
                "sslrootcert is given, and sslmode={name} checks no certificate: use verify-full, or leave sslrootcert out"
            ),
        );
        check(
            !verifies && !matches!(self.mode, PgSslMode::Require) || !self.is_on_socket,
            format!("the host is a socket, which has no TLS: leave sslmode={name} out"),
        );
        let shows = self.certificate.is_some() || self.key.is_some();
        check(
            !matches!(self.mode, PgSslMode::Disable) || !shows,
            "sslcert or sslkey is given, and sslmode=disable shows no certificate: use require or verify-full"
                .to_owned(),
        );
        if matches!(self.mode, PgSslMode::VerifyCa) {
            check(
                self.root.is_some() && self.root == self.system,
                "sslmode=verify-ca accepts any name, so it must trust one authority alone: give sslrootcert, and set the \
                 variable SSL_CERT_FILE to the same file; or use verify-full"
                    .to_owned(),
            );
        }
        for (parameter, value) in self.files() {
            let text = value.map_or("", String::as_str);
            check(
                !text.contains("-----BEGIN"),
                format!("{parameter}: must be the path of a file, not what the file holds"),
            );
            check(
                parameter != "sslrootcert" || text != "system",
                "sslrootcert: leave it out to trust the authorities of the system".to_owned(),
            );
        }
        if faults.is_empty() {
            faults.extend(self.file_faults());
        }
        faults
    }

    fn files(&self) -> [(&'static str, Option<&String>); 3] {
        [
            ("sslrootcert", self.root.as_ref()),
            ("sslcert", self.certificate.as_ref()),
            ("sslkey", self.key.as_ref()),
        ]
    }

    /// Returns the faults of the files, by the same rules as for the files of `[tls]`.
    fn file_faults(&self) -> impl Iterator<Item = String> + use<> {
        let [ca, certificate, key] =
            self.files().map(|(_, file)| file.map(|file| Path::new(file).to_owned()));
        let config = TlsConfig { certificate, key, ca, ..TlsConfig::default() };
        let fields = [("certificate:", "sslcert:"), ("key:", "sslkey:"), ("ca:", "sslrootcert:")];
        config.faults(Sides::Client).into_iter().map(move |fault| {
            let renamed = fields.iter().find_map(|(field, parameter)| {
                fault.strip_prefix(field).map(|rest| format!("{parameter}{rest}"))
            });
            renamed.unwrap_or(fault)
        })
    }
}

const fn name(mode: PgSslMode) -> &'static str {
    match mode {
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
        PgSslMode::VerifyFull => "verify-full",
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Ok(options) = self.options() else { return f.write_str("postgres://?") };
        let host = options.get_socket().map_or(options.get_host().into(), |path| path.to_string_lossy());
        let (user, port) = (options.get_username(), options.get_port());
        write!(f, "postgres://{user}@{host}:{port}/{}", options.get_database().unwrap_or(user))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

#[cfg(test)]
mod tests {
    use vigie_tls::dev_ca::{DevCa, Validity};

    use super::*;
    use crate::config::{Config, Location};

    #[test]
    fn a_database_is_named_without_its_password() {
        for url in ["postgres://vigie:hush@db:5433/known", "postgresql://vigie@db:5433/known?password=hush"] {
            let config = Config { store: url.into(), ..Config::default() };
            assert_eq!(config.faults(), Vec::<String>::new());
            let location = Location::parse(&config.store).unwrap();
            assert_eq!(location.to_string(), "postgres://vigie@db:5433/known");
            assert!(!format!("{config:?} {location:?}").contains("hush"));
        }
        // A misspelt parameter could be a password.
        assert_eq!(Location::parse(&"postgres://vigie@db/known?pasword=hush".into()), None);
        assert_eq!(Location::parse(&"postgres://vigie@db:port/known".into()), None);
    }

    /// Returns the faults of a store, without the field's name.
    fn faults(store: &str) -> Vec<String> {
        let config = Config { store: store.into(), ..Config::default() };
        let faults = config.faults();
        faults.into_iter().map(|fault| fault.strip_prefix("store: ").unwrap().to_owned()).collect()
    }

    #[track_caller]
    fn check(parameters: &str, part: &str) {
        let faults = faults(&format!("postgres://vigie@db/known?{parameters}"));
        assert!(
            faults.len() == 1 && faults[0].contains(part),
            "{parameters}: {faults:?} should say {part:?}"
        );
    }

    #[test]
    fn what_tls_cannot_do_is_refused_in_words() {
        for mode in ["disable", "prefer", "require", "verify-full"] {
            assert_eq!(faults(&format!("postgres://vigie@db/known?sslmode={mode}")), Vec::<String>::new());
        }
        check("sslmode=allow", "sslmode=allow is not supported");
        check("sslmode=verify", "must be disable, prefer, require, verify-ca or verify-full");
        check("sslmode=verify-ca", "must trust one authority alone");
        check("sslmode=require&sslrootcert=ca.pem", "sslmode=require checks no certificate");
        check("sslrootcert=ca.pem", "sslmode=prefer checks no certificate");
        check("sslmode=disable&sslcert=a&sslkey=b", "sslmode=disable shows no certificate");
        check("sslmode=require&host=/run/postgresql", "a socket, which has no TLS");
        check(
            "sslmode=verify-full&sslrootcert=system",
            "leave it out to trust the authorities of the system",
        );
        for (parameter, instead) in UNSUPPORTED {
            check(&format!("sslmode=require&{parameter}=x"), instead);
        }
        check("sslmode=require&pasword=hush", "a parameter after the ? is none of sslmode, ");
        // The text of a key, given instead of its path, is not repeated.
        check("sslmode=require&sslkey=-----BEGIN+hush", "sslkey: must be the path of a file");
        let repeated = faults("postgres://vigie@db/known?pasword=hush&sslkey=-----BEGIN+hush").concat();
        assert!(!repeated.contains("hush"), "{repeated}");
    }

    #[test]
    fn a_variable_that_is_no_mode_is_no_reason_for_clear_text() {
        let said = |mode, variable: &str, system: Option<&str>| Said {
            mode,
            variable: Some(variable.to_owned()),
            root: system.map(str::to_owned),
            certificate: None,
            key: None,
            system: system.map(str::to_owned),
            is_on_socket: false,
        };
        let faults = said(PgSslMode::Prefer, "verify_full", None).faults();
        assert_eq!(
            faults,
            ["the variable PGSSLMODE must be disable, prefer, require, verify-ca or verify-full"]
        );
        let folder = tempfile::tempdir().unwrap();
        let ca = DevCa::open(folder.path()).unwrap().certificate();
        let sound = said(PgSslMode::VerifyCa, "verify-ca", ca.to_str());
        assert_eq!(sound.faults(), Vec::<String>::new());
        assert_eq!(Said { system: None, ..sound }.faults().len(), 1);
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_their_fault() {
        let folder = tempfile::tempdir().unwrap();
        let ca = DevCa::open(folder.path()).unwrap();
        let good = ca.client("bank", Validity::days(1)).unwrap();
        let other = ca.client("other", Validity::days(1)).unwrap();
        let expired = ca.client("expired", Validity::expired()).unwrap();
        let pair = |certificate: &Path, key: &Path| {
            format!("sslmode=require&sslcert={}&sslkey={}", certificate.display(), key.display())
        };
        let sound = format!("postgres://vigie@db/known?{}", pair(&good.certificate, &good.key));
        assert_eq!(faults(&sound), Vec::<String>::new());
        check(&pair(&good.certificate, &other.key), "does not belong to the certificate");
        check(&pair(&good.key, &good.key), "holds no certificate in PEM");
        check(&pair(&expired.certificate, &expired.key), "holds a certificate that has expired");
        check(&format!("sslmode=require&sslcert={}", good.certificate.display()), "sslkey: is missing, and");
        check(
            "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
            "sslrootcert: /nowhere/ca.pem: No such file",
        );
        let own = format!("sslmode=verify-full&sslrootcert={}", ca.certificate().display());
        assert_eq!(faults(&format!("postgres://vigie@db/known?{own}")), Vec::<String>::new());
    }
}
