//! The items of a file in batches of the size that a bank accepts in one call, and a count of a file's
//! contents.

use std::collections::BTreeMap;
use std::io;

use vigie_model::{HashType, ItemContent};

use super::reader::{BadLine, Entry, FileReader};

/// Items of one batch: the most that a bank accepts in one call.
pub const BATCH_ITEMS: usize = 1_000;
/// Approximate bytes of one batch: a quarter of the largest message that a bank accepts.
const BATCH_BYTES: usize = 1 << 20;

/// Items of a file up to a line, and the invalid lines among them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The items.
    pub items: Vec<ItemContent>,
    /// The encoded size of the items, in bytes.
    bytes: usize,
    /// The invalid lines.
    pub bad: Vec<BadLine>,
    /// The number of the last line, or record of a document.
    pub through: u64,
}

impl Batch {
    fn is_full(&self) -> bool {
        self.items.len() + self.bad.len() >= BATCH_ITEMS || self.bytes >= BATCH_BYTES
    }

    fn take(&mut self, entry: Entry) {
        let Entry { number, item } = entry;
        self.through = number;
        match item {
            Ok(item) => {
                self.bytes += wire_bytes(&item);
                self.items.push(item);
            }
            Err(bad) => self.bad.push(bad),
        }
    }
}

/// Returns an upper bound of an item's encoded size in bytes: each part with its tag and length.
fn wire_bytes(item: &ItemContent) -> usize {
    const FRAME: usize = 8;
    let hashes = item.hashes().iter().map(|hash| FRAME + hash.as_bytes().len());
    let texts = item.labels().iter().map(AsRef::as_ref).chain(item.external_reference());
    FRAME + hashes.chain(texts.map(|text: &str| FRAME + text.len())).sum::<usize>()
}

/// Batches of the items after a line of a file. The last batch may be empty.
#[derive(Debug)]
pub struct Batches<'r, 'a> {
    reader: &'r mut FileReader<'a>,
    after: u64,
    is_done: bool,
}

impl<'a> FileReader<'a> {
    /// Returns the remaining items in batches, and skips lines up to `after`.
    pub const fn batches(&mut self, after: u64) -> Batches<'_, 'a> {
        Batches { reader: self, after, is_done: false }
    }
}

impl Iterator for Batches<'_, '_> {
    type Item = io::Result<Batch>;

    fn next(&mut self) -> Option<io::Result<Batch>> {
        if self.is_done {
            return None;
        }
        let mut batch = Batch::default();
        for entry in self.reader.by_ref() {
            match entry {
                Ok(entry) if entry.number <= self.after => {}
                Ok(entry) => batch.take(entry),
                Err(error) => {
                    self.is_done = true;
                    return Some(Err(error));
                }
            }
            if batch.is_full() {
                return Some(Ok(batch));
            }
        }
        self.is_done = true;
        Some(Ok(batch))
    }
}

/// Counts of a file's contents.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The number of items.
    pub items: u64,
    /// The number of their hashes, by type.
    pub hashes: BTreeMap<HashType, u64>,
}

impl Survey {
    /// Adds items to the counts.
    pub fn take(&mut self, items: &[ItemContent]) {
        self.items += items.len() as u64;
        for hash in items.iter().flat_map(ItemContent::hashes) {
            *self.hashes.entry(hash.hash_type()).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::ReadOptions;

    #[test]
    fn batches_are_bounded_and_go_on_after_a_line() {
        let line =
            |number: u32| if number == 1_500 { "bad\n".to_owned() } else { format!("{number:032x}\n") };
        let text: String = (1..=2_500).map(line).collect();
        let options = ReadOptions { hash_type: Some(HashType::MD5), ..ReadOptions::default() };
        let read = |after| {
            let mut reader = FileReader::open(Box::new(text.as_bytes()), options.clone()).unwrap();
            let mut survey = Survey::default();
            let batches: Vec<_> = reader.batches(after).collect::<io::Result<_>>().unwrap();
            batches.iter().for_each(|batch| survey.take(&batch.items));
            let sizes: Vec<_> =
                batches.iter().map(|one| (one.items.len(), one.bad.len(), one.through)).collect();
            (sizes, survey)
        };
        let (sizes, survey) = read(0);
        assert_eq!(sizes, [(1_000, 0, 1_000), (999, 1, 2_000), (500, 0, 2_500)]);
        assert_eq!((survey.items, survey.hashes[&HashType::MD5]), (2_499, 2_499));
        assert_eq!(read(2_499).0, [(1, 0, 2_500)]);
        assert_eq!(read(2_500).0, [(0, 0, 0)]);
    }

    #[test]
    fn batches_of_the_largest_items_stay_well_below_a_message() {
        let pdq: Vec<String> =
            (0..ItemContent::HASHES_MAX).map(|number| format!("\"{number:064x}\"")).collect();
        let labels: Vec<String> =
            (10..42).map(|number| format!("\"{}\"", number.to_string().repeat(64))).collect();
        let line = format!(
            "{{\"pdq\":[{}],\"labels\":[{}],\"external_reference\":\"{}\"}}\n",
            pdq.join(","),
            labels.join(","),
            "x".repeat(ItemContent::EXTERNAL_REFERENCE_LEN_MAX)
        );
        let text = line.repeat(1_500);
        let mut reader = FileReader::open(Box::new(text.as_bytes()), ReadOptions::default()).unwrap();
        let batches: Vec<Batch> = reader.batches(0).collect::<io::Result<_>>().unwrap();
        assert_eq!(batches.iter().map(|batch| batch.items.len()).sum::<usize>(), 1_500);
        assert!(batches.iter().all(|batch| batch.bytes < 2 * BATCH_BYTES && batch.bad.is_empty()));
        let largest = wire_bytes(&batches[0].items[0]);
        assert!(largest > 64 * 32 + 32 * 128 + 512, "{largest}");
    }
}
