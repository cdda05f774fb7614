//! A fault of a configuration: the key, the source of its value, and the accepted values.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use anyhow::anyhow;
use serde::Serialize;

use super::reference;

/// A fault of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Fault {
    /// The source of the value: the path of the file, the name of an environment variable, or an argument.
    pub(crate) source: String,
    /// The key with its table, such as `matcher.shard`; `None` if the whole file is at fault.
    pub(crate) key: Option<String>,
    /// Description of the fault.
    pub(crate) message: String,
    /// The values that the key accepts; `None` if there is no such key.
    pub(crate) accepts: Option<String>,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.source)?;
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        match &self.accepts {
            Some(accepts) if !self.message.contains(accepts.as_str()) && !self.message.contains("one of") => {
                write!(f, " (accepts {accepts})")
            }
            _ => Ok(()),
        }
    }
}

/// The source of each key that is not from the file.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<String, String>);

impl Origins {
    /// Records that a key was set by the variable or argument `source`.
    pub(super) fn set(&mut self, key: String, source: String) {
        self.0.insert(key, source);
    }

    /// Returns the source of the key, or of a table that contains it.
    fn of(&self, key: &str) -> Option<&str> {
        let mut tables = std::iter::successors(Some(key), |key| Some(key.rsplit_once('.')?.0));
        tables.find_map(|key| self.0.get(key)).map(String::as_str)
    }
}

/// Parses faults of the form `key: what is wrong`, and adds the source of each.
pub(super) fn located(faults: Vec<String>, origins: &Origins, file: Option<&Path>) -> Vec<Fault> {
    let file = file.map_or_else(|| "the configuration".to_owned(), |file| file.display().to_string());
    let locate = |fault: String| {
        let (key, message) = match fault.split_once(": ") {
            Some((key, message)) if is_key(key) => (Some(key.to_owned()), message.to_owned()),
            _ => (None, fault),
        };
        let bare = key.as_deref().map(|key| key.split('[').next().unwrap_or_default());
        let source = bare.and_then(|key| origins.of(key)).unwrap_or(&file).to_owned();
        let accepts = bare.and_then(reference::key).map(|key| key.accepts.clone());
        Fault { source, key, message, accepts }
    };
    faults.into_iter().map(locate).collect()
}

fn is_key(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.[]".contains(&byte);
    !text.is_empty() && text.bytes().all(is_part)
}

/// Returns the error of a role that does not start because of these faults. If there are several, each has
/// its own line.
pub(super) fn error_of(faults: &[Fault]) -> anyhow::Error {
    if let [fault] = faults {
        return anyhow!("the configuration has a fault: {fault}");
    }
    let lines: Vec<String> = faults.iter().map(|fault| format!("\n  {fault}")).collect();
    let count = crate::output::counted(faults.len() as u64, "fault");
    anyhow!("the configuration has {count}:{}", lines.concat())
}
