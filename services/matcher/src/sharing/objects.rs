//! The object store in which snapshots are published.
//!
//! A thin layer over the providers' clients. It bounds memory and concurrency, compares lengths, and returns
//! errors that name the object and hold no credentials. It knows nothing of snapshots.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::buffered::BufWriter;
use object_store::local::LocalFileSystem;
use object_store::path::{Path as ObjectPath, PathPart};
use object_store::{GetOptions, ObjectStore, ObjectStoreExt as _};
use thiserror::Error;
use tokio::io::AsyncWriteExt as _;
use url::Url;

use crate::sharing::store_config::{Provider, StoreOptions, StoreUrl};

/// The most concurrent transfers. Each takes [`PIECE_BYTES`] of memory, an upload twice that.
pub(crate) const TRANSFERS_MAX: usize = 4;

/// The bytes of one request. They are enough that its latency hardly matters, and above the 5 MiB that S3
/// requires of each part except the last.
const PIECE_BYTES: u64 = 8 << 20;

/// S3 allows 10,000 parts in one object, so a larger file is sent in larger pieces.
const PIECES_MAX: u64 = 9_000;

/// The error of a failed request to the store.
#[derive(Debug, Error)]
#[error("cannot {doing} {object}: {reason}")]
pub(crate) struct StoreError {
    doing: &'static str,
    object: String,
    reason: String,
    /// Whether the object does not exist.
    pub(crate) is_missing: bool,
}

/// An object store and the prefix of the snapshots in it.
pub(crate) struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: ObjectPath,
    secrets: Secrets,
    url: StoreUrl,
}

/// A file of this machine and its object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transfer {
    pub(crate) object: String,
    pub(crate) file: PathBuf,
    pub(crate) bytes: u64,
}

impl Objects {
    /// Opens the store at a URL, without any request yet.
    ///
    /// Errors: every fault of the URL and of the options.
    pub(crate) fn open(url: &StoreUrl, options: &StoreOptions) -> Result<Self, Vec<String>> {
        let (provider, parsed) = url.parse().map_err(|fault| vec![format!("snapshot_url: {fault}")])?;
        let secrets = Secrets::of(options);
        let path = ObjectPath::from_url_path(parsed.path());
        let prefix = path.map_err(|_| vec!["snapshot_url: its path is none of an object".to_owned()])?;
        let store = match provider {
            Provider::Folder => folder(options)?,
            Provider::S3 | Provider::GoogleCloudStorage | Provider::AzureBlobStorage => {
                cloud(provider, &parsed, options, &secrets)?
            }
        };
        Ok(Self { store, prefix, secrets, url: url.clone() })
    }

    /// Returns the names of the folders directly below the prefix.
    pub(crate) async fn folders(&self) -> Result<Vec<String>, StoreError> {
        let listed = self.store.list_with_delimiter(Some(&self.prefix)).await;
        let listed = listed.map_err(|error| self.failed("list", "", &error))?;
        let name = |path: &ObjectPath| path.filename().map(str::to_owned);
        Ok(listed.common_prefixes.iter().filter_map(name).collect())
    }

    /// Returns the names of the objects of a folder, and their lengths in bytes.
    pub(crate) async fn lengths(&self, folder: &str) -> Result<BTreeMap<String, u64>, StoreError> {
        let listed = self.store.list(Some(&self.path(folder)));
        let named = listed.try_filter_map(async |object| {
            Ok(object.location.filename().map(|name| (name.to_owned(), object.size)))
        });
        named.try_collect().await.map_err(|error| self.failed("list", folder, &error))
    }

    /// Returns the time when an object was written, in milliseconds since 1970.
    pub(crate) async fn written_at(&self, object: &str) -> Result<i64, StoreError> {
        let head = self.store.head(&self.path(object)).await;
        let head = head.map_err(|error| self.failed("look at", object, &error))?;
        Ok(head.last_modified.timestamp_millis())
    }

    /// Reads a small object. An object of more than `bytes_max` bytes is an error.
    pub(crate) async fn read(&self, object: &str, bytes_max: u64) -> Result<Bytes, StoreError> {
        let failed = |error| self.failed("read", object, &error);
        let found = self.store.get(&self.path(object)).await.map_err(failed)?;
        if found.meta.size > bytes_max {
            return Err(self.error("read", object, format!("it has {} bytes", found.meta.size)));
        }
        found.bytes().await.map_err(failed)
    }

    /// Writes a small object atomically, and replaces an existing one.
    pub(crate) async fn write(&self, object: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let written = self.store.put(&self.path(object), bytes.into()).await;
        written.map(drop).map_err(|error| self.failed("write", object, &error))
    }

    /// Uploads a file. The object appears complete, or not at all.
    ///
    /// A file larger than one piece is uploaded in parts, one at a time while the next is read.
    pub(crate) async fn upload(&self, transfer: &Transfer) -> Result<(), StoreError> {
        let Transfer { object, bytes, .. } = transfer;
        let capacity = usize::try_from(piece_bytes(*bytes)).unwrap_or(usize::MAX);
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), self.path(object), capacity);
        let mut writer = writer.with_max_concurrency(1);
        let sent = async {
            for range in pieces(*bytes) {
                let piece = self.piece_of_file(transfer, range).await?;
                writer.put(piece.into()).await.map_err(|error| self.failed("write", object, &error))?;
            }
            Ok(())
        };
        if let Err(error) = sent.await {
            // Parts that cannot be deleted now are left to the bucket's own rule for unfinished uploads.
            let _later = writer.abort().await;
            return Err(error);
        }
        // The writer aborts by itself if this fails.
        writer.shutdown().await.map_err(|error| self.error("write", object, error.to_string()))
    }

    async fn piece_of_file(&self, transfer: &Transfer, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let (file, length) = (transfer.file.clone(), range.end - range.start);
        let read = blocking(move || {
            let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
            File::open(file)?.read_exact_at(&mut piece, range.start).map(|()| piece)
        });
        read.await.map_err(|error| self.error("read the file for", &transfer.object, error.to_string()))
    }

    /// Downloads objects into files, which must not exist before. Every object must have the expected length;
    /// nothing else is checked.
    pub(crate) async fn download(&self, transfers: Vec<Transfer>) -> Result<(), StoreError> {
        let of = |one: Transfer| pieces(one.bytes).map(move |range| (one.clone(), range));
        let all = futures::stream::iter(transfers.into_iter().flat_map(of).map(Ok));
        all.try_for_each_concurrent(TRANSFERS_MAX, |(one, range)| self.download_piece(one, range)).await
    }

    async fn download_piece(&self, transfer: Transfer, range: Range<u64>) -> Result<(), StoreError> {
        let Transfer { object, file, bytes } = transfer;
        let failed = |error| self.failed("read", &object, &error);
        let options = GetOptions { range: Some(range.clone().into()), ..GetOptions::default() };
        let found = self.store.get_opts(&self.path(&object), options).await.map_err(failed)?;
        let length = found.meta.size;
        if length != bytes {
            let other = format!("it has {length} bytes, and not {bytes}");
            return Err(self.error("use", &object, other));
        }
        let piece = found.bytes().await.map_err(failed)?;
        if piece.len() as u64 != range.end - range.start {
            return Err(self.error("read", &object, format!("{} bytes arrived of {range:?}", piece.len())));
        }
        let written = blocking(move || {
            let file = File::options().create(true).truncate(false).write(true).open(file)?;
            file.write_all_at(&piece, range.start)
        });
        written.await.map_err(|error| self.error("write the file of", &object, error.to_string()))
    }

    /// Deletes objects of a folder. An object that does not exist is no error.
    pub(crate) async fn delete(&self, folder: &str, names: Vec<String>) -> Result<(), StoreError> {
        let objects = names.into_iter().map(|name| format!("{folder}/{name}"));
        let each = futures::stream::iter(objects).map(async |object| {
            match self.store.delete(&self.path(&object)).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(self.failed("delete", &object, &error)),
            }
        });
        each.buffer_unordered(TRANSFERS_MAX).try_collect().await
    }

    /// Returns the error for an object with invalid content.
    pub(crate) fn refuse(&self, object: &str, reason: impl Into<String>) -> StoreError {
        self.error("use", object, reason.into())
    }

    fn path(&self, object: &str) -> ObjectPath {
        let parts = object.split('/').filter(|part| !part.is_empty()).map(PathPart::from);
        self.prefix.parts().chain(parts).collect()
    }

    fn failed(&self, doing: &'static str, object: &str, error: &object_store::Error) -> StoreError {
        let is_missing = matches!(error, object_store::Error::NotFound { .. });
        let reason = if is_missing { "it does not exist".to_owned() } else { error.to_string() };
        StoreError { is_missing, ..self.error(doing, object, reason) }
    }

    fn error(&self, doing: &'static str, object: &str, reason: String) -> StoreError {
        let object = format!("{}/{object}", self.url);
        StoreError { doing, object, reason: self.secrets.hide(reason), is_missing: false }
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Objects({})", self.url)
    }
}

fn piece_bytes(bytes: u64) -> u64 {
    PIECE_BYTES.max(bytes.div_ceil(PIECES_MAX))
}

/// Returns the ranges of one piece each that cover so many bytes. The last one may be shorter.
fn pieces(bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let piece = piece_bytes(bytes);
    (0..bytes.div_ceil(piece)).map(move |number| number * piece..((number + 1) * piece).min(bytes))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|panic| Err(io::Error::other(panic)))
}

/// Opens a folder as a store. The files of a snapshot are flushed before the pointer that names it.
fn folder(options: &StoreOptions) -> Result<Arc<dyn ObjectStore>, Vec<String>> {
    let unknown = options.iter().map(|(name, _)| format!("snapshot_options.{name}: a folder has no options"));
    let faults: Vec<String> = unknown.collect();
    if faults.is_empty() { Ok(Arc::new(LocalFileSystem::new().with_fsync(true))) } else { Err(faults) }
}

#[cfg(not(feature = "cloud"))]
fn cloud(
    provider: Provider,
    _: &Url,
    _: &StoreOptions,
    _: &Secrets,
) -> Result<Arc<dyn ObjectStore>, Vec<String>> {
    let fault =
        format!("snapshot_url: {provider:?} is not built in; build with the feature `cloud`, or use file://");
    Err(vec![fault])
}

/// Opens a provider's store with the provider's usual environment variables. The options take precedence over
/// them.
#[cfg(feature = "cloud")]
fn cloud(
    provider: Provider,
    url: &Url,
    options: &StoreOptions,
    secrets: &Secrets,
) -> Result<Arc<dyn ObjectStore>, Vec<String>> {
    use object_store::RetryConfig;
    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;

    // If a request fails this often, the caller decides: the publication is tried again, or the state is
    // loaded from the bank.
    let retry = RetryConfig {
        max_retries: 5,
        retry_timeout: std::time::Duration::from_secs(60),
        ..RetryConfig::default()
    };
    // The default is for the whole process. If another one was installed before, it is used.
    let _chosen = rustls::crypto::ring::default_provider().install_default();
    macro_rules! build {
        ($builder:ty) => {{
            let mut builder = <$builder>::from_env().with_url(url.as_str()).with_retry(retry);
            let mut faults = Vec::new();
            for (name, value) in options.iter() {
                match name.to_ascii_lowercase().parse() {
                    Ok(key) => builder = builder.with_config(key, value),
                    Err(_) => {
                        faults.push(format!("snapshot_options.{name}: {provider:?} has no such option"))
                    }
                }
            }
            if !faults.is_empty() {
                return Err(faults);
            }
            let fault = |error: object_store::Error| {
                vec![format!("snapshot_options: {}", secrets.hide(error.to_string()))]
            };
            Arc::new(builder.build().map_err(fault)?)
        }};
    }
    Ok(match provider {
        Provider::S3 => build!(AmazonS3Builder),
        Provider::GoogleCloudStorage => build!(GoogleCloudStorageBuilder),
        Provider::AzureBlobStorage => build!(MicrosoftAzureBuilder),
        Provider::Folder => folder(options)?,
    })
}

/// Texts that are removed from the messages of a provider's client.
struct Secrets(Vec<String>);

/// Parts of the names of options and variables with credentials.
const SECRET_NAMES: [&str; 6] = ["key", "secret", "token", "credential", "password", "sas"];
/// Prefixes of the providers' environment variables.
const VARIABLES: [&str; 3] = ["AWS_", "AZURE_", "GOOGLE_"];
/// A shorter value is no secret, and may be a part of other words.
const SECRET_BYTES_MIN: usize = 4;

impl Secrets {
    fn of(options: &StoreOptions) -> Self {
        let is_secret = |name: &str| {
            let name = name.to_ascii_lowercase();
            SECRET_NAMES.iter().any(|part| name.contains(part))
        };
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, _)| VARIABLES.iter().any(|prefix| name.starts_with(prefix)));
        let options = options.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let secret = |(name, value): (String, String)| {
            (is_secret(&name) && value.len() >= SECRET_BYTES_MIN).then_some(value)
        };
        let mut secrets: Vec<String> = variables.chain(options).filter_map(secret).collect();
        // A secret that contains another one is replaced first.
        secrets.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self(secrets)
    }

    fn hide(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| text.replace(secret, "(hidden)"))
    }
}

/// Returns the transfer of an object of this length to or from a file.
pub(crate) fn transfer(object: String, file: &Path, bytes: u64) -> Transfer {
    Transfer { object, file: file.to_owned(), bytes }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_a_file_once() {
        for bytes in [0, 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES, 300 << 30] {
            let pieces: Vec<_> = pieces(bytes).collect();
            assert!(pieces.len() as u64 <= PIECES_MAX);
            assert!(pieces.windows(2).all(|two| two[0].end == two[1].start));
            assert_eq!(pieces.iter().map(|piece| piece.end - piece.start).sum::<u64>(), bytes);
        }
    }

    /// Uploads a file whose length is given as `promised`. Returns the outcome and the names in the store.
    async fn upload(held: u64, promised: u64) -> (Result<(), StoreError>, Vec<String>) {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let url = StoreUrl::new(format!("file://{}", there.path().display()));
        let objects = Objects::open(&url, &StoreOptions::default()).unwrap();
        let file = here.path().join("file");
        let bytes: Vec<u8> = (0..held).map(|at| (at % 251) as u8).collect();
        std::fs::write(&file, &bytes).unwrap();
        let outcome = objects.upload(&transfer("a/b".to_owned(), &file, promised)).await;
        let names = std::fs::read_dir(there.path().join("a")).into_iter().flatten().flatten();
        let names: Vec<String> = names.map(|name| name.file_name().into_string().unwrap()).collect();
        let found = std::fs::read(there.path().join("a/b")).unwrap_or_default();
        assert!(outcome.is_err() || found == bytes, "{promised}");
        (outcome, names)
    }

    #[tokio::test]
    async fn a_file_of_any_length_is_uploaded_whole() {
        for bytes in
            [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 2 * PIECE_BYTES, 5 * PIECE_BYTES / 2]
        {
            let (outcome, names) = upload(bytes, bytes).await;
            outcome.unwrap();
            assert_eq!(names, ["b"], "{bytes}");
        }
    }

    #[tokio::test]
    async fn an_upload_that_fails_leaves_nothing() {
        for (held, promised) in [(0, 1), (PIECE_BYTES, 2 * PIECE_BYTES), (2 * PIECE_BYTES, 3 * PIECE_BYTES)] {
            let (outcome, names) = upload(held, promised).await;
            assert!(outcome.unwrap_err().to_string().contains("a/b"));
            assert!(names.is_empty(), "{names:?}");
        }
    }

    #[test]
    fn credentials_are_cut_out_of_errors() {
        let options =
            StoreOptions::from_iter([("azure_storage_sas_key", "sword"), ("access_key", "swordfish")]);
        let text = Secrets::of(&options).hide("denied: swordfish, sword".to_owned());
        assert_eq!(text, "denied: (hidden), (hidden)");
    }
}
