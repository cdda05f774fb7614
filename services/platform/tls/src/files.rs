//! Reads the files, and checks that their contents match.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;

use crate::config::{ClientCertificates, Sides, TlsConfig};
use crate::in_time;

/// The largest file: twice the size of all authorities of a system.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The most certificates of one chain. Peers do not follow longer chains.
const CHAIN_MAX: usize = 16;

/// HTTP/2 as ALPN names it (RFC 9113, section 3.2).
pub(crate) const HTTP_2: &[u8] = b"h2";
/// HTTP/1.1 as ALPN names it.
pub(crate) const HTTP_1: &[u8] = b"http/1.1";

/// Passed to each builder, and never set for the whole process, in which other code may have chosen another
/// provider.
static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// A fault of a file. It never contains any part of a key.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
#[error("{field}: {file}: {fault}")]
pub(crate) struct FileFault {
    field: &'static str,
    file: String,
    fault: String,
}

impl FileFault {
    pub(crate) fn new(field: &'static str, file: &Path, fault: impl ToString) -> Self {
        Self { field, file: file.display().to_string(), fault: fault.to_string() }
    }
}

/// The contents of the files at one moment.
#[derive(PartialEq, Eq)]
pub(crate) struct Files(BTreeMap<PathBuf, Vec<u8>>);

impl Files {
    /// Returns a digest that is equal for equal contents. A digest, so that no second copy of a key is kept
    /// for the comparison.
    pub(crate) fn fingerprint(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        for content in self.0.values() {
            hasher.update(blake3::hash(content).as_bytes());
        }
        hasher.finalize()
    }

    fn of(&self, file: &Path) -> &[u8] {
        self.0.get(file).map_or(&[], Vec::as_slice)
    }
}

impl TlsConfig {
    /// Returns every fault of these values and of the files that they name, each as `field: what is wrong`.
    #[must_use]
    pub fn faults(&self, sides: Sides) -> Vec<String> {
        let mut faults = self.faults_of_values(sides);
        let mut found = faults_of_files(self);
        if faults.is_empty()
            && found.is_empty()
            && let Err(fault) = read(self).and_then(|files| Material::new(&files, self, sides))
        {
            found.push(fault);
        }
        faults.extend(found.iter().map(ToString::to_string));
        faults
    }
}

/// Returns the faults of each file by itself, so that all of them are found at once.
fn faults_of_files(config: &TlsConfig) -> Vec<FileFault> {
    let fault = |(field, file): (&'static str, &PathBuf)| {
        let content = match content(file) {
            Ok(content) => content,
            Err(error) => return Some(FileFault::new(field, file, error)),
        };
        let files = Files(BTreeMap::from([(file.clone(), content)]));
        match field {
            KEY => signing(file, &files).err(),
            _ => certificates(field, file, &files).err(),
        }
    };
    named(config).into_iter().filter_map(fault).collect()
}

const KEY: &str = "key";

/// Returns the configured files, each with its field.
fn named(config: &TlsConfig) -> Vec<(&'static str, &PathBuf)> {
    let TlsConfig { certificate, key, ca, client_ca, .. } = config;
    let all = [("certificate", certificate), (KEY, key), ("ca", ca), ("client_ca", client_ca)];
    all.into_iter().filter_map(|(field, file)| Some((field, file.as_ref()?))).collect()
}

/// Reads all configured files as of one moment: if they are being replaced meanwhile, they are read again.
/// Blocks.
pub(crate) fn read(config: &TlsConfig) -> Result<Files, FileFault> {
    let mut before = read_once(config)?;
    // If the files are replaced continuously, the last contents are used, which have to match.
    for _ in 0..3 {
        let now = read_once(config)?;
        if now == before {
            break;
        }
        before = now;
    }
    Ok(before)
}

fn read_once(config: &TlsConfig) -> Result<Files, FileFault> {
    let mut files = BTreeMap::new();
    for (field, file) in named(config) {
        let content = content(file).map_err(|error| FileFault::new(field, file, error))?;
        files.insert(file.clone(), content);
    }
    Ok(Files(files))
}

fn content(file: &Path) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(file)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > FILE_BYTES_MAX {
        return Err(io::Error::other(format!("is larger than {FILE_BYTES_MAX} bytes")));
    }
    Ok(content)
}

/// The TLS settings of connections.
#[derive(Debug)]
pub(crate) struct Material {
    pub(crate) fingerprint: blake3::Hash,
    /// `None` for a client only.
    pub(crate) server: Option<Arc<ServerConfig>>,
    pub(crate) client: Arc<ClientConfig>,
    /// The earliest end of a certificate in the chain, in seconds since 1970.
    pub(crate) not_after: Option<u64>,
}

impl Material {
    /// Fails if anything in the files cannot be used or does not match the rest.
    pub(crate) fn new(files: &Files, config: &TlsConfig, sides: Sides) -> Result<Self, FileFault> {
        let own = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => Some(Own { certificate, key }),
            _ => None,
        };
        let own = own.map(|own| own.read(files)).transpose()?;
        if let Some(own) = &own {
            own.check_in_time(files, config)?;
        }
        let server = match (&own, sides) {
            (Some(own), Sides::ServerAndClient) => Some(Arc::new(server(files, config, own)?)),
            _ => None,
        };
        let client = Arc::new(client(files, config, own.as_ref())?);
        let algorithms = PROVIDER.signature_verification_algorithms.all;
        let not_after = own.as_ref().and_then(|own| in_time::ends(&own.certified.cert, algorithms));
        Ok(Self { fingerprint: files.fingerprint(), server, client, not_after })
    }
}

/// The certificate of this process.
struct Own<'a> {
    certificate: &'a Path,
    key: &'a Path,
}

struct Pair<'a> {
    certified: Arc<CertifiedKey>,
    certificate: &'a Path,
}

impl<'a> Own<'a> {
    fn read(self, files: &Files) -> Result<Pair<'a>, FileFault> {
        let Self { certificate, key } = self;
        let chain = certificates("certificate", certificate, files)?;
        if chain.len() > CHAIN_MAX {
            let fault = format!("holds {} certificates; a chain has at most {CHAIN_MAX}", chain.len());
            return Err(FileFault::new("certificate", certificate, fault));
        }
        let signing = signing(key, files)?;
        let certified = CertifiedKey::new(chain, signing);
        if let Err(error) = certified.keys_match() {
            if matches!(error, rustls::Error::InconsistentKeys(_)) {
                let fault = format!("does not belong to the certificate in {}", certificate.display());
                return Err(FileFault::new("key", key, fault));
            }
            return Err(FileFault::new("certificate", certificate, error));
        }
        Ok(Pair { certified: Arc::new(certified), certificate })
    }
}

/// Returns the private key in a file.
fn signing(file: &Path, files: &Files) -> Result<Arc<dyn SigningKey>, FileFault> {
    // The reader's own error may repeat what it read.
    let secret = PrivateKeyDer::from_pem_slice(files.of(file)).map_err(|_| {
        FileFault::new(KEY, file, "holds no private key in PEM (one that is encrypted is none)")
    })?;
    let signing = PROVIDER.key_provider.load_private_key(secret);
    signing.map_err(|_| FileFault::new(KEY, file, "holds a private key of no known kind"))
}

impl Pair<'_> {
    /// Peers refuse a certificate outside its validity, and the one before may still be valid.
    fn check_in_time(&self, files: &Files, config: &TlsConfig) -> Result<(), FileFault> {
        let authorities = config.ca.as_ref().map(|file| roots("ca", file, files)).transpose()?;
        let (chain, authorities) = match &authorities {
            Some(authorities) => (&self.certified.cert[..], &authorities.roots[..]),
            // Without authorities it is not known which of the others are on the path to one.
            None => (&self.certified.cert[..1], [].as_slice()),
        };
        let algorithms = PROVIDER.signature_verification_algorithms.all;
        in_time::check(chain, authorities, algorithms, UnixTime::now())
            .map_err(|fault| FileFault::new("certificate", self.certificate, fault))
    }
}

fn server(files: &Files, config: &TlsConfig, own: &Pair<'_>) -> Result<ServerConfig, FileFault> {
    let cannot = |error| FileFault::new("certificate", own.certificate, error);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(cannot)?;
    let authorities = match config.client_certificates {
        ClientCertificates::None => None,
        ClientCertificates::Required | ClientCertificates::Optional => config.client_authorities(),
    };
    let verifier = match authorities {
        None => WebPkiClientVerifier::no_client_auth(),
        Some((field, file)) => {
            let roots = Arc::new(roots(field, file, files)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&PROVIDER));
            let verifier = match config.client_certificates {
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
                ClientCertificates::Required | ClientCertificates::None => verifier,
            };
            verifier.build().map_err(|error| FileFault::new(field, file, error))?
        }
    };
    let certificate = Arc::new(rustls::sign::SingleCertAndKey::from(Arc::clone(&own.certified)));
    let mut server = builder.with_client_cert_verifier(verifier).with_cert_resolver(certificate);
    server.alpn_protocols = vec![HTTP_2.to_vec()];
    // A resumed session is not checked again: a certificate that has expired since, or whose authority was
    // removed, would be accepted. Connections are few and long, so resumption gains little.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(server)
}

fn client(files: &Files, config: &TlsConfig, own: Option<&Pair<'_>>) -> Result<ClientConfig, FileFault> {
    let roots = match &config.ca {
        Some(file) => roots("ca", file, files)?,
        None => system_roots(),
    };
    let builder = ClientConfig::builder_with_provider(Arc::clone(&PROVIDER))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| FileFault::new("ca", Path::new("TLS"), error))?
        .with_root_certificates(roots);
    let mut client = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let certificate = rustls::sign::SingleCertAndKey::from(Arc::clone(&own.certified));
            builder.with_client_cert_resolver(Arc::new(certificate))
        }
    };
    client.alpn_protocols = vec![HTTP_2.to_vec()];
    client.resumption = Resumption::disabled();
    Ok(client)
}

/// Returns the authorities of the system, as of the first call.
fn system_roots() -> RootCertStore {
    static ROOTS: LazyLock<RootCertStore> = LazyLock::new(|| {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (known, _) = roots.add_parsable_certificates(found.certs);
        if known == 0 {
            tracing::warn!("the system has no authorities: no server is trusted unless `ca` names them");
        }
        roots
    });
    ROOTS.clone()
}

fn roots(field: &'static str, file: &Path, files: &Files) -> Result<RootCertStore, FileFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(field, file, files)? {
        roots.add(certificate).map_err(|error| FileFault::new(field, file, error))?;
    }
    Ok(roots)
}

/// Returns the certificates in a file, of which there must be at least one.
fn certificates(
    field: &'static str,
    file: &Path,
    files: &Files,
) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(files.of(file)).collect();
    match found {
        Ok(found) if found.is_empty() => Err(FileFault::new(field, file, "holds no certificate in PEM")),
        Ok(found) => Ok(found),
        Err(_) => Err(FileFault::new(field, file, "is no PEM")),
    }
}
