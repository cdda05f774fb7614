//! The errors of a store.

#![expect(clippy::wildcard_enum_match_arm, reason = "the enums of errors are other crates' own, and grow")]

use std::path::PathBuf;

use sqlx::migrate::MigrateError;
use thiserror::Error;
use vigie_log::{ProofError, StoreFault};

/// The reasons why a batch was not committed.
pub(crate) type CommitError = vigie_log::CommitError<StoreError>;

/// The reasons why the store refused an operation. Nothing was changed.
#[derive(Debug, Error)]
pub(crate) enum StoreError {
    /// The database failed.
    #[error("the database failed while it was asked to {attempt}")]
    Database {
        /// The operation that failed.
        attempt: &'static str,
        /// The database's error.
        source: sqlx::Error,
    },
    /// The folder of the database does not exist and cannot be created.
    #[error("cannot create the folder {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// Another bank runs on the database.
    #[error("another bank runs on {database}: it holds {lock}")]
    InUse {
        /// The database.
        database: PathBuf,
        /// The file that it has locked.
        lock: PathBuf,
    },
    /// The file that locks the database for one bank cannot be locked.
    #[error("cannot lock {path}")]
    Lock {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The database cannot be opened.
    #[error("cannot open the database {location}")]
    Open {
        /// The database's path, or its URL without the password.
        location: String,
        /// The database's error.
        source: sqlx::Error,
    },
    /// The server would acknowledge commits before they are flushed.
    #[error(
        "{location} has {setting} = off and could lose what it has acknowledged: a bank does not run on it"
    )]
    Unflushed {
        /// The database.
        location: String,
        /// The setting.
        setting: &'static str,
    },
    /// The server takes no writes.
    #[error("{location} is a replica and takes no writes")]
    ReadOnly {
        /// The database.
        location: String,
    },
    /// The schema could not be migrated.
    #[error("cannot bring the schema of {location} up to date")]
    Migrate {
        /// The database's path, or its URL without the password.
        location: String,
        /// The cause.
        source: MigrateError,
    },
    /// The store of an older build does not hold what its head says, and was not migrated.
    #[error(
        "the log in {location} is not what was committed: it was not migrated and is as it was; restore a backup of it"
    )]
    Unproven {
        /// The database's path, or its URL without the password.
        location: String,
        /// The fault.
        source: Box<ProofError<Self>>,
    },
    /// The store was written by an older build, and can be read only after its migration.
    #[error(
        "{location} was written by an older build: bring it up to date first, by `vigie bank migrate` or by starting a bank on it"
    )]
    Outdated {
        /// The database's path, or its URL without the password.
        location: String,
    },
    /// Stored data cannot be decoded.
    #[error("{row} cannot be decoded")]
    Corrupt {
        /// The row: its table and its key, without any content.
        row: String,
    },
    /// A simulation injected the failure.
    #[error("simulated")]
    Simulated,
    /// A test injected the failure.
    #[cfg(test)]
    #[error("injected")]
    Injected,
}

impl StoreFault for StoreError {
    fn is_corrupt(&self) -> bool {
        match self {
            Self::Corrupt { .. } => true,
            Self::Database { .. }
            | Self::Folder { .. }
            | Self::InUse { .. }
            | Self::Lock { .. }
            | Self::Open { .. }
            | Self::Unflushed { .. }
            | Self::ReadOnly { .. }
            | Self::Migrate { .. }
            | Self::Unproven { .. }
            | Self::Outdated { .. }
            | Self::Simulated => false,
            #[cfg(test)]
            Self::Injected => false,
        }
    }
}

impl StoreError {
    /// Returns whether the database is out of reach and may return without a change of the settings: its
    /// server is down, starting, full of connections, or a replica that may be promoted. A refused password,
    /// name or certificate stays refused until a person changes it.
    pub(crate) fn is_away(&self) -> bool {
        match self {
            Self::ReadOnly { .. } => true,
            Self::Database { source, .. } | Self::Open { source, .. } => is_away(source),
            Self::Migrate { source, .. } => match source {
                MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => is_away(source),
                _ => false,
            },
            Self::Folder { .. }
            | Self::InUse { .. }
            | Self::Lock { .. }
            | Self::Unflushed { .. }
            | Self::Unproven { .. }
            | Self::Outdated { .. }
            | Self::Corrupt { .. }
            | Self::Simulated => false,
            #[cfg(test)]
            Self::Injected => false,
        }
    }
}

/// PostgreSQL's codes: ended by an administrator, ended by a crash, starting or stopping, no connection left.
const AWAY: [&str; 4] = ["57P01", "57P02", "57P03", "53300"];

fn is_away(error: &sqlx::Error) -> bool {
    match error.as_database_error().and_then(|error| error.code()) {
        Some(code) => AWAY.contains(&&*code) || code.starts_with("08"),
        None => match error {
            sqlx::Error::Io(_) => !vigie_tls::is_for_good(error),
            sqlx::Error::PoolTimedOut => true,
            _ => false,
        },
    }
}

/// Converts the database's error to a [`StoreError`].
pub(super) fn failed(attempt: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Database { attempt, source }
}

/// Returns the error for undecodable data, which it names without its content.
pub(super) fn corrupt(row: &str) -> StoreError {
    StoreError::Corrupt { row: row.to_owned() }
}
