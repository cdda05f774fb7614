//! Reads files of every format, with and without faults.

mod formats;
mod lines;
mod documents;
mod certainty;
mod round_trip;
mod vectors;

use std::io;

use vigie_model::{Hash, HashType, ItemContent};

use super::{BadLine, FileError, FileReader, Format, LeftOut, ReadOptions};

/// The result of reading a file.
struct Read {
    format: Format,
    items: Vec<(u64, ItemContent)>,
    bad: Vec<(u64, String)>,
    left_out: LeftOut,
}

impl Read {
    fn of(text: &str, options: ReadOptions) -> Result<Self, FileError> {
        let mut reader = FileReader::open(Box::new(text.as_bytes()), options)?;
        let entries: Vec<_> = reader.by_ref().collect::<io::Result<_>>().unwrap();
        let (mut items, mut bad) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry.item {
                Ok(item) => items.push((entry.number, item)),
                Err(BadLine { line, reason, .. }) => bad.push((line, reason)),
            }
        }
        Ok(Self { format: reader.format(), items, bad, left_out: reader.left_out().clone() })
    }

    fn plain(text: &str) -> Self {
        Self::of(text, ReadOptions::default()).unwrap()
    }

    /// Returns all hashes with the external references of their items.
    fn hashes(&self) -> Vec<(String, Option<String>)> {
        let of_item = |(_, item): &(u64, ItemContent)| {
            let reference = item.external_reference().map(str::to_owned);
            let texts = item.hashes().iter().map(|hash| format!("{}:{}", hash.hash_type(), hash.to_text()));
            texts.map(|text| (text, reference.clone())).collect::<Vec<_>>()
        };
        self.items.iter().flat_map(of_item).collect()
    }
}

/// Returns the text of a hash of a type whose bytes all have this value.
fn text_of(hash_type: HashType, byte: u8) -> String {
    let length = hash_type.row().unwrap().lengths.least();
    Hash::from_bytes(hash_type, &vec![byte; length]).unwrap().to_text()
}

fn pdq(byte: u8) -> String {
    text_of(HashType::PDQ, byte)
}

fn md5(byte: u8) -> String {
    text_of(HashType::MD5, byte)
}
