//! A certificate authority for development and tests: its key is in a file beside the certificates that it
//! signs.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData as _, SanType,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use webpki::EndEntityCert;

use crate::name::is_spiffe;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The validity of the authority, in days.
const AUTHORITY_DAYS: u32 = 10 * 365;
/// The validity of the certificates that it signs, in days, unless another is given.
pub const LEAF_DAYS: u32 = 90;
/// Clocks differ, so a certificate is valid from an hour before it was made.
const EARLIER: Duration = Duration::from_secs(60 * 60);

/// The trust domain of clients' names.
pub const TRUST_DOMAIN: &str = "spiffe://vigie.dev/";

/// The reasons for which a certificate could not be made.
#[derive(Debug, Error)]
pub enum DevCaError {
    /// A file cannot be read or written.
    #[error("cannot use {}", .0.display())]
    File(PathBuf, #[source] io::Error),
    /// The authority's key file holds no key, or not the key of the certificate, or one of the two files is
    /// missing.
    #[error("{}: {}", .0.display(), .1)]
    Authority(PathBuf, &'static str),
    /// Two names of this run belong to the same file.
    #[error("{} was already written for another name: two of the names give the same file name", .0.display())]
    Twice(PathBuf),
    /// The name cannot be in a certificate.
    #[error("`{0}` is no name that a certificate can hold")]
    Name(String),
    /// The certificate cannot be made.
    #[error("cannot make a certificate")]
    Certificate(#[from] rcgen::Error),
}

/// The authority in a folder.
#[derive(Debug)]
pub struct DevCa {
    folder: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    /// The names of the files that it has written since it was opened.
    written: Mutex<HashSet<String>>,
    /// Whether the authority was created by [`DevCa::open`].
    pub is_new: bool,
}

/// A certificate with its key, in files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// The certificate.
    pub certificate: PathBuf,
    /// The certificate's private key.
    pub key: PathBuf,
}

/// The period of validity of a certificate.
#[derive(Debug, Clone, Copy)]
pub struct Validity {
    /// The first moment.
    pub from: SystemTime,
    /// The last moment.
    pub until: SystemTime,
}

impl Validity {
    /// Returns a validity from now on for this many days.
    #[must_use]
    pub fn days(days: u32) -> Self {
        let now = SystemTime::now();
        Self { from: now - EARLIER, until: now + DAY * days }
    }

    /// Returns a validity that ended an hour ago.
    #[must_use]
    pub fn expired() -> Self {
        let now = SystemTime::now();
        Self { from: now - DAY, until: now - EARLIER }
    }
}

impl DevCa {
    /// Opens the authority in `folder`, which is created if there is none.
    pub fn open(folder: &Path) -> Result<Self, DevCaError> {
        fs::create_dir_all(folder).map_err(|error| DevCaError::File(folder.to_owned(), error))?;
        let (certificate, key) = (folder.join("ca.crt"), folder.join("ca.key"));
        let is_new = match (certificate.exists(), key.exists()) {
            (true, true) => false,
            (false, false) => true,
            (true, false) => return Err(DevCaError::Authority(certificate, "is there without ca.key")),
            (false, true) => return Err(DevCaError::Authority(key, "is there without ca.crt")),
        };
        let pair = if is_new { KeyPair::generate()? } else { read_key(&key)? };
        let params = authority_params(&pair);
        if !is_new && !is_of(&certificate, &pair)? {
            return Err(DevCaError::Authority(certificate, "does not belong to ca.key"));
        }
        if is_new {
            let signed = params.self_signed(&pair)?;
            write_key(&key, &pair)?;
            write_certificate(&certificate, &signed)?;
        }
        let (folder, issuer) = (folder.to_owned(), Issuer::new(params, pair));
        Ok(Self { folder, issuer, written: Mutex::default(), is_new })
    }

    /// Returns the file of its own certificate, with which others check the certificates that it signed.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    /// Makes a certificate for a server with these names, which it also presents as a client: `NAME.crt` and
    /// `NAME.key`, after the first name. Files of a former run are replaced, those of this run are not.
    pub fn server(&self, names: &[String], validity: Validity) -> Result<Leaf, DevCaError> {
        let first = names.first().ok_or_else(|| DevCaError::Name(String::new()))?;
        let names = names.iter().map(|name| host(name)).collect::<Result<_, _>>()?;
        let uses = [ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.leaf(&file_name(first)?, names, &uses, validity)
    }

    /// Makes a certificate for a client named `spiffe://vigie.dev/NAME`: `client-NAME.crt` and
    /// `client-NAME.key`.
    pub fn client(&self, name: &str, validity: Validity) -> Result<Leaf, DevCaError> {
        let wrong = || DevCaError::Name(name.to_owned());
        let uri = format!("{TRUST_DOMAIN}{name}");
        if name.len() > 200 || !is_spiffe(&uri) {
            return Err(wrong());
        }
        let uri = uri.try_into().map_err(|_| wrong())?;
        let file = format!("client-{}", file_name(name)?);
        self.leaf(&file, vec![SanType::URI(uri)], &[ExtendedKeyUsagePurpose::ClientAuth], validity)
    }

    fn leaf(
        &self,
        file: &str,
        names: Vec<SanType>,
        uses: &[ExtendedKeyUsagePurpose],
        validity: Validity,
    ) -> Result<Leaf, DevCaError> {
        if !self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(file.to_owned()) {
            return Err(DevCaError::Twice(self.folder.join(format!("{file}.crt"))));
        }
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, format!("{file} (development)"));
        params.subject_alt_names = names;
        params.not_before = validity.from.into();
        params.not_after = validity.until.into();
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = uses.to_vec();
        params.use_authority_key_identifier_extension = true;
        let pair = KeyPair::generate()?;
        let signed = params.signed_by(&pair, &self.issuer)?;
        let leaf = Leaf {
            certificate: self.folder.join(format!("{file}.crt")),
            key: self.folder.join(format!("{file}.key")),
        };
        write_key(&leaf.key, &pair)?;
        write_certificate(&leaf.certificate, &signed)?;
        Ok(leaf)
    }
}

/// Returns the parameters of the authority, from its key alone, so that its certificate need not be read to
/// sign with it.
fn authority_params(pair: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    let digest = blake3::hash(pair.public_key_raw()).to_hex();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("Vigie development authority {}", &digest[..8]));
    let validity = Validity::days(AUTHORITY_DAYS);
    params.not_before = validity.from.into();
    params.not_after = validity.until.into();
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn host(name: &str) -> Result<SanType, DevCaError> {
    if let Ok(address) = name.parse::<IpAddr>() {
        return Ok(SanType::IpAddress(address));
    }
    let wrong = || DevCaError::Name(name.to_owned());
    let bare = name.strip_prefix("*.").unwrap_or(name);
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if bare.is_empty() || name.len() > 253 || !bare.bytes().all(is_fit) {
        return Err(wrong());
    }
    Ok(SanType::DnsName(name.try_into().map_err(|_| wrong())?))
}

/// Turns a name into a file name: colons, slashes and stars are replaced.
fn file_name(name: &str) -> Result<String, DevCaError> {
    let file: String = name.replace('*', "any").replace([':', '/'], "_");
    if matches!(file.as_str(), "" | "." | ".." | "ca") {
        Err(DevCaError::Name(name.to_owned()))
    } else {
        Ok(file)
    }
}

fn read_key(file: &Path) -> Result<KeyPair, DevCaError> {
    let pem = fs::read(file).map_err(|error| DevCaError::File(file.to_owned(), error))?;
    // The reader's error may repeat what it read.
    let wrong = || DevCaError::Authority(file.to_owned(), "holds no private key that can sign");
    let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| wrong())?;
    KeyPair::try_from(&der).map_err(|_| wrong())
}

/// Returns whether the certificate in this file is that of this key.
fn is_of(file: &Path, pair: &KeyPair) -> Result<bool, DevCaError> {
    let pem = fs::read(file).map_err(|error| DevCaError::File(file.to_owned(), error))?;
    let wrong = || DevCaError::Authority(file.to_owned(), "holds no certificate");
    let der = CertificateDer::from_pem_slice(&pem).map_err(|_| wrong())?;
    let certificate = EndEntityCert::try_from(&der).map_err(|_| wrong())?;
    Ok(certificate.subject_public_key_info().as_ref() == pair.subject_public_key_info())
}

fn write_certificate(file: &Path, certificate: &Certificate) -> Result<(), DevCaError> {
    write(file, 0o644, &pem("CERTIFICATE", certificate.der()))
}

fn write_key(file: &Path, pair: &KeyPair) -> Result<(), DevCaError> {
    write(file, 0o600, &pem("PRIVATE KEY", &pair.serialize_der()))
}

/// Writes a new file in place of an existing one: no reader sees half of it, and the permissions of the old
/// file are not kept.
fn write(file: &Path, mode: u32, text: &str) -> Result<(), DevCaError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let new = file.with_added_extension("new");
    let write = || {
        // A file left over from a former run may have other permissions.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Err(_) | Ok(()) => {}
        }
        let mut open = File::options().write(true).create_new(true).mode(mode).open(&new)?;
        open.write_all(text.as_bytes())?;
        open.sync_all()?;
        fs::rename(&new, file)
    };
    write().map_err(|error| DevCaError::File(file.to_owned(), error))
}

/// Returns the textual form (RFC 7468).
fn pem(label: &str, der: &[u8]) -> String {
    let encoded = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.extend(line.iter().copied().map(char::from));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}
