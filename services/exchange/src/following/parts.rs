//! Splits the records of a page into parts for the bank: withdrawals first, each key once, each part within
//! its limits.

use std::collections::HashSet;

use vigie_consortium::{Details, Metadata};
use vigie_formats::programme::foreign::foreign;
use vigie_formats::programme::{Key, Record};
use vigie_model::ItemContent;

use crate::bank::Put;

/// The approximate most bytes of one part: a call to the bank may have 4 MiB.
const PART_BYTES_MAX: usize = 2 << 20;

/// The records of a page, by kind.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// Keys of records to remove: those that the programme withdrew, and those without a hash that this build
    /// knows.
    pub(crate) withdrawn: Vec<Key>,
    pub(crate) puts: Vec<Put>,
    /// The number of records that the programme withdrew.
    pub(crate) withdrawn_by_programme: u64,
    /// The number of records without a hash that this build knows.
    pub(crate) without_hash: u64,
}

/// The withdrawals and puts of one call.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Batch {
    pub(crate) withdrawn: Vec<Key>,
    pub(crate) puts: Vec<Put>,
}

/// Sorts the records of a page by kind. Of records with the same key, the last counts. `own` is the
/// programme's name for the member who owns the exchange.
pub(crate) fn sort(records: Vec<Record>, own: Option<&str>) -> Sorted {
    let mut sorted = Sorted::default();
    let mut seen: HashSet<Key> = HashSet::with_capacity(records.len());
    let mut last: Vec<Record> =
        records.into_iter().rev().filter(|record| seen.insert(record.key.clone())).collect();
    last.reverse();
    for record in last {
        let content = record.draft().and_then(|draft| ItemContent::try_from(draft).ok());
        match content {
            Some(content) => sorted.puts.push(Put {
                foreign: foreign(&record),
                opinion: record.said(own),
                details: Details {
                    classification: record.classification(),
                    metadata: Metadata::default(),
                    ..Details::default()
                },
                content,
                key: record.key,
            }),
            None => {
                if record.withdrawn {
                    sorted.withdrawn_by_programme += 1;
                } else {
                    sorted.without_hash += 1;
                }
                sorted.withdrawn.push(record.key);
            }
        }
    }
    sorted
}

/// Splits sorted records into batches of at most `records_max` records each, withdrawals first.
pub(crate) fn batches(withdrawn: Vec<Key>, puts: Vec<Put>, records_max: usize) -> Vec<Batch> {
    let mut batches = Vec::new();
    let mut batch = Batch::default();
    let mut room = (records_max, PART_BYTES_MAX);
    let mut fit = |len: usize, batch: &mut Batch| {
        let (records, bytes) = room;
        if records == 0 || bytes < len {
            batches.push(std::mem::take(batch));
            room = (records_max, PART_BYTES_MAX);
        }
        room = (room.0 - 1, room.1.saturating_sub(len));
    };
    for key in withdrawn {
        fit(key.as_str().len() + 16, &mut batch);
        batch.withdrawn.push(key);
    }
    for put in puts {
        fit(size(&put), &mut batch);
        batch.puts.push(put);
    }
    if batch != Batch::default() {
        batches.push(batch);
    }
    batches
}

/// Returns the approximate bytes of a record in a call.
fn size(put: &Put) -> usize {
    let Put { key, content, details, foreign, opinion } = put;
    let hashes: usize = content.hashes().iter().map(|hash| hash.as_bytes().len() + 8).sum();
    let labels: usize = content.labels().iter().map(|label| label.len() + 4).sum();
    let classes: usize = details.classification.iter().map(|class| class.to_string().len() + 16).sum();
    let opinion = opinion.as_ref().map_or(0, |opinion| opinion.word.as_str().len() + 16);
    key.as_str().len() + hashes + labels + classes + foreign.len() + opinion + 64
}

#[cfg(test)]
mod tests {
    use vigie_formats::programme::{HashText, OtherHash};
    use vigie_model::Hash;

    use super::*;

    fn record(key: &str, byte: u8) -> Record {
        Record { hashes: vec![Hash::md5([byte; 16])], ..Record::new(Key::new(key).unwrap()) }
    }

    #[test]
    fn of_records_with_one_key_the_last_counts() {
        let withdrawn = |key: &str| Record { withdrawn: true, ..record(key, 1) };
        let other = OtherHash { kind: "x".into(), value: HashText::new("y") };
        let unknown = Record { hashes: vec![], other_hashes: vec![other], ..record("unknown", 1) };
        let records = vec![
            record("a", 1),
            withdrawn("b"),
            record("a", 2),
            record("b", 3),
            record("c", 4),
            withdrawn("c"),
            unknown,
        ];
        let sorted = sort(records, None);
        let keys = |keys: &[Key]| keys.iter().map(|key| key.as_str().to_owned()).collect::<Vec<_>>();
        assert_eq!(keys(&sorted.withdrawn), ["c", "unknown"]);
        let puts: Vec<_> =
            sorted.puts.iter().map(|put| (put.key.as_str(), put.content.hashes()[0].as_bytes()[0])).collect();
        assert_eq!(puts, [("a", 2), ("b", 3)]);
        assert_eq!((sorted.withdrawn_by_programme, sorted.without_hash), (1, 1));
    }

    #[test]
    fn batches_are_bounded_in_records_and_bytes_and_begin_with_withdrawals() {
        let keys = |count: usize| (0..count).map(|n| Key::new(&format!("gone-{n}")).unwrap()).collect();
        let puts = |count: usize, foreign: usize| {
            let put = |n: usize| {
                let mut put = sort(vec![record(&format!("key-{n}"), 1)], None).puts.remove(0);
                put.foreign = "x".repeat(foreign);
                put
            };
            (0..count).map(put).collect::<Vec<_>>()
        };
        let shape = |withdrawn, puts| -> Vec<(usize, usize)> {
            batches(withdrawn, puts, 1_000)
                .iter()
                .map(|batch| (batch.withdrawn.len(), batch.puts.len()))
                .collect()
        };
        assert_eq!(shape(keys(0), puts(0, 0)), []);
        assert_eq!(shape(keys(999), puts(2, 0)), [(999, 1), (0, 1)]);
        assert_eq!(shape(keys(1_001), puts(1_000, 0)), [(1_000, 0), (1, 999), (0, 1)]);
        let long = shape(keys(0), puts(1_000, 4_096));
        assert!(long.len() == 2 && long[0].1 > 450, "{long:?}");
    }
}
