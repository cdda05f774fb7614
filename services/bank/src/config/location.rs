//! The location of a bank's data, as parsed from its settings.

use std::fmt;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::database::{self, DatabaseUrl};

/// The setting that names a store. It may hold a password and is not shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct StoreUrl(String);

impl<T: Into<String>> From<T> for StoreUrl {
    fn from(text: T) -> Self {
        Self(text.into())
    }
}

impl fmt::Debug for StoreUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Location::parse(self) {
            Some(location) => write!(f, "StoreUrl({location})"),
            None => f.write_str("StoreUrl(?)"),
        }
    }
}

/// The location of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// In this file, the two that SQLite keeps beside it, and one that is locked while a bank runs.
    File(PathBuf),
    /// In memory; lost when the process ends.
    Memory,
    /// In this database of a PostgreSQL server.
    Postgres(DatabaseUrl),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Memory => f.write_str(":memory:"),
            Self::Postgres(url) => url.fmt(f),
        }
    }
}

impl Location {
    /// Parses [`Config::store`]; `None` if it names no store that this bank supports.
    pub(crate) fn parse(store: &StoreUrl) -> Option<Self> {
        let StoreUrl(store) = store;
        if database::is_url(store) {
            return DatabaseUrl::parse(store).map(Self::Postgres);
        }
        let path = store.strip_prefix("sqlite:")?;
        let path = path.strip_prefix("//").unwrap_or(path);
        match path {
            "" => None,
            ":memory:" => Some(Self::Memory),
            path => Some(Self::File(path.into())),
        }
    }
}

impl StoreUrl {
    /// Returns every fault of the URL and of the files that it names. Blocks while it reads the files.
    pub(super) fn faults(&self) -> Vec<String> {
        match Location::parse(self) {
            Some(Location::File(_) | Location::Memory) => Vec::new(),
            Some(Location::Postgres(url)) => url.faults(),
            None => vec![database::refusal(&self.0).unwrap_or_else(|| {
                "must be sqlite:<path>, sqlite::memory: or postgres://<user>@<host>/<database>".to_owned()
            })],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stores_are_named_by_path() {
        let parse = |store: &str| Location::parse(&store.into());
        let file = |path: &str| Some(Location::File(path.into()));
        assert_eq!(parse("sqlite:a b?.db"), file("a b?.db"));
        assert_eq!(parse("sqlite:/var/bank.db"), file("/var/bank.db"));
        assert_eq!(parse("sqlite:///var/bank.db"), file("/var/bank.db"));
        assert_eq!(parse("sqlite::memory:"), Some(Location::Memory));
        assert_eq!(parse("sqlite:"), None);
        assert_eq!(parse("/var/bank.db"), None);
    }
}
