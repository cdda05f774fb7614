//! Reads the items of a file of hashes, in any of the formats that are common in the field.

use std::collections::VecDeque;
use std::io::Cursor;

use bytes::Bytes;
use vigie_formats::files::{FileError, FileReader, Format, ReadOptions, Unknown};
use vigie_formats::programme::{Fault, Key, Record, Tally};
use vigie_model::{Hash, HashType};

use super::source::Trouble;

/// A file is refused as a whole if more than one in this many items cannot be read: it has another format, or
/// is damaged.
const BAD_ITEMS_ONE_IN: u64 = 10;

/// The settings for reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FileForm {
    /// The format; `None` to recognise it.
    pub format: Option<Format>,
    /// The type of hashes whose type the file does not name.
    pub hash_type: Option<HashType>,
}

/// Reads the records of a file, each keyed by its hashes. An empty file has none.
pub(crate) fn records(bytes: Bytes, form: FileForm, tally: &mut Tally) -> Result<VecDeque<Record>, Trouble> {
    let mut records = VecDeque::new();
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(records);
    }
    let options = ReadOptions {
        format: form.format,
        hash_type: form.hash_type,
        unknown: Unknown::Ignored,
        ..ReadOptions::default()
    };
    let mut reader = FileReader::open(Box::new(Cursor::new(bytes)), options).map_err(trouble)?;
    let mut bad = 0;
    for entry in &mut reader {
        match entry.map_err(|error| trouble(error.into()))?.item {
            Err(_) => bad += 1,
            Ok(item) => {
                // Lists have contained all-zero values as fillers, which are not the hash of any content.
                let is_hash = |hash: &&Hash| hash.as_bytes().iter().any(|byte| *byte != 0);
                let hashes: Vec<Hash> = item.hashes().iter().filter(is_hash).cloned().collect();
                match Key::of_hashes(&hashes).ok().filter(|_| !hashes.is_empty()) {
                    None => bad += 1,
                    Some(key) => {
                        let labels = item.labels().iter().map(ToString::to_string).collect();
                        records.push_back(Record { hashes, labels, ..Record::new(key) });
                    }
                }
            }
        }
    }
    tally.bad_records += bad;
    tally.unknown_types += reader.left_out().unknown.values().sum::<u64>();
    let good = u64::try_from(records.len()).unwrap_or(u64::MAX);
    if bad > good.saturating_add(bad) / BAD_ITEMS_ONE_IN {
        return Err(Fault::Field { syntax: "text", field: "list of hashes" }.into());
    }
    Ok(records)
}

/// Converts the error to the terms of the settings; the reader's message is meant for a command line.
fn trouble(error: FileError) -> Trouble {
    Trouble::File(match error {
        FileError::Unrecognised => "the file's format is not recognised: set `format`".to_owned(),
        FileError::UncertainType { .. } | FileError::UntypedList | FileError::UntypedColumn => {
            "the type of the file's hashes is not certain: set `signal_type`".to_owned()
        }
        FileError::Bytes(_)
        | FileError::Utf16
        | FileError::UnknownColumn { .. }
        | FileError::NoHashColumn
        | FileError::Header(_)
        | FileError::NotWritable(_)
        | FileError::NoTable(_) => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, hash_type: Option<HashType>) -> (Result<usize, Trouble>, Tally) {
        let mut tally = Tally::default();
        let form = FileForm { format: None, hash_type };
        let records = records(Bytes::from(text.to_owned()), form, &mut tally);
        (records.map(|records| records.len()), tally)
    }

    #[test]
    fn files_of_the_fields_formats_are_read_and_bad_items_are_counted() {
        let md5 = |byte: u8| format!("{byte:02x}").repeat(16);
        let (pdq, zero) = ("ab".repeat(32), "0".repeat(32));
        let typed: String = (1..=20).map(|byte| format!("md5 {}\n", md5(byte))).collect();
        assert_eq!(read(&typed, None), (Ok(20), Tally::default()));
        let (count, tally) = read(&format!("{typed}md5 zz\nmd5 {zero}\n"), None);
        assert_eq!((count, tally.bad_records), (Ok(20), 2));
        assert_eq!(read(&format!("{pdq}\n"), Some(HashType::PDQ)).0, Ok(1));
        assert_eq!(read(&format!("pdq,labels\n{pdq},known\n"), None).0, Ok(1));
        assert_eq!(read(" \n", None).0, Ok(0));
    }

    #[test]
    fn what_cannot_be_read_with_certainty_is_refused_as_a_whole() {
        let uncertain = read(&format!("{}\n", "ab".repeat(32)), None).0.unwrap_err();
        assert!(uncertain.to_string().contains("signal_type"), "{uncertain}");
        let html = read("<html>\n<body>\n</html>\n", None).0.unwrap_err();
        assert!(!html.to_string().contains("--"), "{html}");
        let fault = Trouble::Page(Fault::Field { syntax: "text", field: "list of hashes" });
        let bad = format!("md5 {}\nmd5 zz\n", "ab".repeat(16));
        assert_eq!(read(&bad, None).0, Err(fault));
    }
}
