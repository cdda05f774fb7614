//! Converts entries to records of a programme.

use vigie_consortium::ListKey;

use super::page::{Entry, Says};
use crate::programme::{Key, KeyError, Record};

/// Returns the records of entries: those that add or change an item, and withdrawals. A superseded entry has
/// no record, because a later entry has one.
pub fn records(entries: &[Entry]) -> Result<Vec<Record>, KeyError> {
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        match &entry.says {
            Says::Put { key, hashes, labels, classes } => records.push(Record {
                hashes: hashes.clone(),
                labels: labels.clone(),
                classes: classes.iter().cloned().collect(),
                entry: Some(entry.digest()),
                ..Record::new(self::key(*key)?)
            }),
            Says::Gone(key) => {
                records.push(Record { withdrawn: true, ..Record::new(self::key(*key)?) });
            }
            Says::Superseded(_) => {}
        }
    }
    Ok(records)
}

/// Returns the key of the record of an item.
pub fn key(of: ListKey) -> Result<Key, KeyError> {
    Key::new(&data_encoding::HEXLOWER.encode(&of.0))
}
