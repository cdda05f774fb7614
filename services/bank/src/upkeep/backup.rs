//! Copies the embedded store to a file while its bank runs, and restores a store from such a file.
//!
//! A copy has the state of one moment: SQLite writes it in one read transaction (`VACUUM INTO`), which does
//! not block the bank. A copy by an older build is migrated. Each copy is proven ([`crate::verify()`]) before
//! it gets its final name, and again before it becomes a store. Neither step ever replaces an existing file.
//! PostgreSQL has its own tools: `pg_dump`, `pg_restore`, and archives of its log.
//!
//! A restored log has the id of the log that it was copied from. A follower whose cursor is after the copy
//! notices: the chain at its cursor is different or missing.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use futures::future::BoxFuture;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};
use thiserror::Error;
use vigie_model::LogHead;

use crate::config::{Config, Location};
use crate::store::StoreError;
use crate::store::sqlite::SqliteStore;
use crate::upkeep::verify::{VerifyError, verify};

/// The suffix of an unfinished file's name.
const PARTIAL: &str = ".partial";

/// The reasons why a copy or a restored store was not made. Existing files are unchanged.
#[derive(Debug, Error)]
pub enum BackupError {
    /// The store is not a file.
    #[error("store: must be sqlite:<path>; a PostgreSQL database is copied by pg_dump and pg_restore")]
    NotEmbedded,
    /// A file of that name exists.
    #[error("{0} exists already and is not replaced")]
    Exists(PathBuf),
    /// The file to restore is a store that was in use.
    #[error(
        "{0} is beside the file: it is a store that was in use, and no finished copy; start and stop a bank on it, or copy it with `backup`"
    )]
    Unfinished(PathBuf),
    /// The database failed.
    #[error("cannot copy {path}")]
    Copy {
        /// The store.
        path: PathBuf,
        /// The database's error.
        source: sqlx::Error,
    },
    /// A file or folder failed.
    #[error("cannot {attempt} {path}")]
    File {
        /// The operation that failed.
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The copy does not hold what its head says.
    #[error("the copy is not sound")]
    Unsound(#[from] VerifyError),
}

/// Copies the store to a new file, while a bank may run on it. Returns the head of the copy.
pub fn backup<'a>(config: &'a Config, to: &'a Path) -> BoxFuture<'a, Result<LogHead, BackupError>> {
    Box::pin(backup_store(config, to))
}

async fn backup_store(config: &Config, to: &Path) -> Result<LogHead, BackupError> {
    let store = embedded(config)?;
    refuse_existing(to)?;
    let partial = with_suffix(to, PARTIAL);
    remove(&partial)?;
    let copied = async {
        copy(&store, &partial).await?;
        let head = prove(&partial).await?;
        put(&partial, to)?;
        Ok(head)
    };
    let copied = copied.await;
    remove(&partial)?;
    copied
}

/// Restores a store from a file that [`backup`] wrote, if there is no store yet. Returns its head.
pub fn restore<'a>(config: &'a Config, from: &'a Path) -> BoxFuture<'a, Result<LogHead, BackupError>> {
    Box::pin(restore_store(config, from))
}

async fn restore_store(config: &Config, from: &Path) -> Result<LogHead, BackupError> {
    let store = embedded(config)?;
    // The database file may be gone while its write-ahead log still holds the latest writes.
    for suffix in ["", "-wal"] {
        refuse_existing(&with_suffix(&store, suffix))?;
    }
    // A write-ahead log beside the file would hold its newest writes: the file is a store that was in use,
    // not a finished copy.
    let unfinished = with_suffix(from, "-wal");
    if unfinished.exists() {
        return Err(BackupError::Unfinished(unfinished));
    }
    let partial = with_suffix(&store, PARTIAL);
    remove(&partial)?;
    if let Some(folder) = store.parent() {
        fs::create_dir_all(folder).map_err(failed("create", folder))?;
    }
    fs::copy(from, &partial).map_err(failed("copy", from))?;
    let proven = prove(&partial).await;
    let Ok(head) = proven else {
        remove(&partial)?;
        return proven;
    };
    put(&partial, &store)?;
    remove(&partial)?;
    Ok(head)
}

fn embedded(config: &Config) -> Result<PathBuf, BackupError> {
    match Location::parse(&config.store) {
        Some(Location::File(path)) => Ok(path),
        Some(Location::Memory | Location::Postgres(_)) | None => Err(BackupError::NotEmbedded),
    }
}

/// Proves a copy, after migrating it if an older build wrote it. Returns its head.
async fn prove(copy: &Path) -> Result<LogHead, BackupError> {
    let outdated = SqliteStore::bring_copy_up_to_date(copy).await;
    outdated.map_err(|error: StoreError| BackupError::Unsound(error.into()))?;
    Ok(verify(&on(copy)).await?.head)
}

/// Returns the settings of a bank on this file, to prove the file.
fn on(path: &Path) -> Config {
    Config { store: format!("sqlite:{}", path.display()).into(), ..Config::default() }
}

async fn copy(store: &Path, to: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::Copy { path: store.to_owned(), source };
    let options = SqliteConnectOptions::new().filename(store).read_only(true);
    let mut connection = options.connect().await.map_err(failed)?;
    sqlx::query("VACUUM INTO ?")
        .bind(to.display().to_string())
        .execute(&mut connection)
        .await
        .map_err(failed)?;
    connection.close().await.map_err(failed)
}

/// Renames a finished file, unless the name is taken, so that a crash loses neither file.
fn put(partial: &Path, to: &Path) -> Result<(), BackupError> {
    File::open(partial).and_then(|file| file.sync_all()).map_err(failed("flush", partial))?;
    match fs::hard_link(partial, to) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::Exists(to.to_owned()));
        }
        linked => linked.map_err(failed("create", to))?,
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed("flush", folder))
}

fn refuse_existing(path: &Path) -> Result<(), BackupError> {
    match fs::symlink_metadata(path) {
        Ok(_) => Err(BackupError::Exists(path.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// Removes the partial file of an attempt, if there is one.
fn remove(partial: &Path) -> Result<(), BackupError> {
    match fs::remove_file(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("remove", partial)(error)),
        _ => Ok(()),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn failed(attempt: &'static str, path: &Path) -> impl FnOnce(io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { attempt, path, source }
}
