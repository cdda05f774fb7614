//! Entries as records of a programme.

use super::page::{Entry, Says};
use crate::programme::{Key, KeyError, Record};

/// The records of entries: those that put an item, and withdrawals. A superseded entry has none: a later one has.
pub fn records(entries: &[Entry]) -> Result<Vec<Record>, KeyError> {
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        match &entry.says {
            Says::Put { key, hashes, labels, classes } => records.push(Record {
                hashes: hashes.clone(),
                labels: labels.clone(),
                classes: classes.iter().cloned().collect(),
                entry: Some(entry.digest()),
                ..Record::new(record_key(&key.0)?)
            }),
            Says::Gone(key) => {
                records.push(Record { withdrawn: true, ..Record::new(record_key(&key.0)?) });
            }
            Says::Superseded(_) => {}
        }
    }
    Ok(records)
}

fn record_key(key: &[u8]) -> Result<Key, KeyError> {
    Key::new(&data_encoding::HEXLOWER.encode(key))
}
