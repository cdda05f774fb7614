//! Files of hashes to bank: CSV, JSON Lines, or one PDQ hash a line. The first line tells which. (`queries`: lines to ask about.)
//!
//! - JSON Lines: an object a line with `pdq`, `md5` or any other hash type (a hash or a list of them), `labels`,
//!   `external_reference`; or as `vigie item list --json` prints items, with `hashes`; or as `vigie hash --json` prints
//!   files, whose names become external references and whose PDQ hashes are left out below the usual quality.
//! - CSV with a header that names any of the hash types, `labels` (separated by `;`) and `external_reference`.
//! - One PDQ hash a line: 64 hexadecimal digits.
//!
//! A line that is none of this is reported by its number, and reading goes on: it costs no other line. No hash is repeated in a report.

mod json;
mod query_hashes;
mod queries;

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use vigie_model::{Hash, HashType, ItemContent, ItemDraft};

pub(crate) use queries::{QueryLine, any_hash, query_lines};
pub(crate) use query_hashes::QueryHashes;

/// The longest line: an item at all its bounds has a tenth of it.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// A line that is no item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLine {
    /// Its number, from 1.
    pub(crate) line: u64,
    /// What is wrong with it.
    pub(crate) reason: String,
}

/// A line's number, and the item that it is or why it is none.
pub(crate) type Line = (u64, Result<ItemContent, BadLine>);

/// The items of a file, in its order.
pub(crate) struct HashFile<R: Read> {
    lines: Lines<R>,
    shape: Shape,
    /// The first line, where it is an item and no header.
    first: Option<NumberedText>,
    labels: Vec<String>,
}

/// What the lines are.
#[derive(Debug)]
enum Shape {
    Json,
    Csv(Vec<Column>),
}

impl<R: Read> std::fmt::Debug for HashFile<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashFile").field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl<R: Read> HashFile<R> {
    /// Looks at the first line of `source` and reads on as what it is. `labels` are given to every item.
    ///
    /// # Errors
    ///
    /// The source cannot be read, or is a CSV file whose header names a column that is not known.
    pub(crate) fn open(source: R, labels: &[String]) -> io::Result<Self> {
        let mut lines = Lines::of(source);
        let mut first = lines.next().transpose()?;
        let begin = match &first {
            Some((_, Ok(text))) => text.trim_start_matches('\u{feff}').trim(),
            Some((line, Err(reason))) => return Err(invalid(format!("line {line} {reason}"))),
            None => "",
        };
        let shape = if begin.starts_with('{') {
            Shape::Json
        } else if begin.is_empty() || Hash::from_text(HashType::PDQ, begin.trim_matches('"')).is_ok() {
            Shape::Csv(vec![Column::Hash(HashType::PDQ)])
        } else {
            let header = Shape::Csv(header(begin)?);
            first = None;
            header
        };
        Ok(Self { lines, shape, first, labels: labels.to_vec() })
    }
}

impl<R: Read> Iterator for HashFile<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, text) =
            match self.first.take().map_or_else(|| self.lines.next(), |first| Some(Ok(first)))? {
                Ok(numbered) => numbered,
                Err(error) => return Some(Err(error)),
            };
        let draft = text.and_then(|text| {
            let text = text.trim_start_matches('\u{feff}');
            match &self.shape {
                Shape::Json => json::read(text),
                Shape::Csv(columns) => read_csv(text, columns),
            }
        });
        let item = draft.and_then(|mut draft| {
            draft.labels.extend(self.labels.iter().cloned());
            ItemContent::try_from(draft).map_err(|error| error.to_string())
        });
        Some(Ok((line, item.map_err(|reason| BadLine { line, reason }))))
    }
}

/// Lines of bounded length. Empty ones are left out, but counted.
struct Lines<R: Read> {
    reader: BufReader<R>,
    read: u64,
}

impl<R: Read> Lines<R> {
    fn of(source: R) -> Self {
        Self { reader: BufReader::with_capacity(1 << 16, source), read: 0 }
    }
}

/// A line's number, and its text or why it has none.
type NumberedText = (u64, Result<String, String>);

impl<R: Read> Iterator for Lines<R> {
    type Item = io::Result<NumberedText>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let mut text = Vec::new();
            match self.reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Ok(_) => self.read += 1,
                Err(error) => return Some(Err(error)),
            }
            let ended = text.last() == Some(&b'\n');
            if !ended && u64::try_from(text.len()).is_ok_and(|length| length > LINE_BYTES_MAX) {
                let too_long = Err(format!("has more than {LINE_BYTES_MAX} bytes"));
                return Some(self.reader.skip_until(b'\n').map(|_| (self.read, too_long)));
            }
            if !text.trim_ascii().is_empty() {
                let text = String::from_utf8(text).map_err(|_| "is not UTF-8".to_owned());
                return Some(Ok((self.read, text)));
            }
        }
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// What a column of a CSV file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Hash(HashType),
    Labels,
    ExternalReference,
}

impl Column {
    fn named(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "labels" => Some(Self::Labels),
            "external_reference" => Some(Self::ExternalReference),
            name => name.parse().ok().map(Self::Hash),
        }
    }
}

fn header(text: &str) -> io::Result<Vec<Column>> {
    let unknown = |name: &str| {
        let types: Vec<String> = HashType::known().map(|hash_type| hash_type.to_string()).collect();
        let text = format!(
            "the header names an unknown column; known are {}, labels, external_reference",
            types.join(", ")
        );
        // A name that looks like a hash is not repeated.
        let shown = if name.len() <= 24 { format!(" (`{name}`)") } else { String::new() };
        invalid(format!("{text}{shown}"))
    };
    let cells = record(text).map_err(|reason| invalid(format!("the header {reason}")))?;
    cells.iter().map(|name| Column::named(name).ok_or_else(|| unknown(name))).collect()
}

/// One line as one record. A quoted cell cannot go on in the next line: no cell may hold a line's end anyway, and so a
/// stray quote costs its own line and not the rest of the file.
fn record(text: &str) -> Result<csv::StringRecord, String> {
    if text.matches('"').count() % 2 == 1 {
        return Err("has a quote that does not end".to_owned());
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .trim(csv::Trim::All)
        .buffer_capacity(text.len())
        .from_reader(text.as_bytes());
    let mut record = csv::StringRecord::new();
    // The error of the library repeats the record.
    reader.read_record(&mut record).map_err(|_| "is not CSV".to_owned())?;
    Ok(record)
}

type Draft = Result<ItemDraft, String>;

fn read_csv(text: &str, columns: &[Column]) -> Draft {
    let record = record(text)?;
    if record.len() > columns.len() {
        return Err(format!("has {} columns, the header {}", record.len(), columns.len()));
    }
    let mut draft = ItemDraft::default();
    for (column, cell) in columns.iter().zip(&record).filter(|(_, cell)| !cell.is_empty()) {
        match column {
            Column::Hash(hash_type) => draft.hashes.push(hash(*hash_type, cell)?),
            Column::Labels => {
                let labels = cell.split(';').map(str::trim).filter(|label| !label.is_empty());
                draft.labels.extend(labels.map(str::to_owned));
            }
            Column::ExternalReference => draft.external_reference = cell.to_owned(),
        }
    }
    Ok(draft)
}

fn hash(hash_type: HashType, text: &str) -> Result<Hash, String> {
    Hash::from_text(hash_type, text).map_err(|error| error.to_string())
}

/// The external reference of a hashed file: its name, cut to what fits, without what would not be accepted.
pub(crate) fn file_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut kept = String::new();
    for letter in name.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > ItemContent::EXTERNAL_REFERENCE_LEN_MAX {
            break;
        }
        kept.push(letter);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<Line> {
        HashFile::open(text.as_bytes(), &["given".to_owned()]).unwrap().collect::<io::Result<_>>().unwrap()
    }

    /// Which lines are items, and which are not and why.
    fn check(text: &str, good: &[u64], bad: &[(u64, &str)]) -> Vec<ItemContent> {
        let (items, faults): (Vec<_>, Vec<_>) = read(text).into_iter().partition(|(_, item)| item.is_ok());
        assert_eq!(items.iter().map(|(line, _)| *line).collect::<Vec<_>>(), good, "{text}");
        assert_eq!(faults.len(), bad.len(), "{faults:?}");
        for ((line, fault), (expected_line, words)) in faults.iter().zip(bad) {
            let BadLine { line: told, reason } = fault.as_ref().unwrap_err();
            assert_eq!((line, told), (expected_line, expected_line));
            assert!(reason.contains(words), "{reason}");
            assert!(!reason.contains("abab"), "a hash is repeated: {reason}");
        }
        items.into_iter().map(|(_, item)| item.unwrap()).collect()
    }

    fn pdq() -> String {
        "ab".repeat(32)
    }

    fn md5() -> String {
        "CD".repeat(16)
    }

    #[test]
    fn csv_is_read_by_its_header_and_bad_lines_are_told_by_number() {
        let text = format!(
            "md5,pdq,labels,external_reference\n{},{},a; b,first\n,{},,\nxyz,,,\n,,only labels,\n,{}0,,\n{},,,\n,,,,,\n",
            md5(),
            pdq(),
            pdq(),
            pdq(),
            md5()
        );
        let bad = [(4, "hexadecimal"), (5, "at least one hash"), (6, "hexadecimal"), (8, "6 columns")];
        let items = check(&text, &[2, 3, 7], &bad);
        assert_eq!(items[0].hashes().len(), 2);
        assert_eq!(items[0].labels().iter().map(|label| &**label).collect::<Vec<_>>(), ["a", "b", "given"]);
        assert_eq!(items[0].external_reference(), Some("first"));
        assert_eq!(items[2].hashes()[0].to_text(), md5().to_lowercase());
    }

    #[test]
    fn a_bare_list_of_pdq_hashes_needs_no_header() {
        let text = format!("{}\n{}\r\nabab\n{}", pdq(), pdq().to_uppercase(), pdq());
        assert_eq!(check(&text, &[1, 2, 4], &[(3, "64 hexadecimal")]).len(), 3);
    }

    #[test]
    fn json_lines_are_read_in_both_shapes() {
        let text = format!(
            "{{\"pdq\":\"{0}\",\"md5\":[\"{1}\"],\"labels\":[\"x\"]}}\n\n{{\"item_id\":4,\"bank\":\"b\",\"added_at_unix_ms\":1,\
             \"external_reference\":\"r\",\"labels\":[],\"hashes\":[{{\"hash_type\":\"pdq\",\"hash\":\"{0}\"}}]}}\n{{\"pqd\":\"{0}\"}}\n\
             {{\"pdq\":\"{0}ab\"}}\nnot json {0}\n{{\"hashes\":[{{\"hash_type\":\"no\",\"hash\":\"\"}}]}}",
            pdq(),
            md5()
        );
        let bad = [(4, "unknown field"), (5, "32 bytes"), (6, "not JSON"), (7, "unknown hash type")];
        let items = check(&text, &[1, 3], &bad);
        assert_eq!(items[0].hashes().len(), 2);
        assert_eq!(items[1].external_reference(), Some("r"));
    }

    #[test]
    fn an_endless_line_is_skipped() {
        let json = format!("{{\"pdq\":\"{}\"}}", pdq());
        check(
            &format!("{json}\n{{{}\n{json}\n", " ".repeat(200_000)),
            &[1, 3],
            &[(2, "more than 65536 bytes")],
        );
        let csv = format!("labels,pdq\n,{0}\n\"{1},{0}\n,{0}\n", pdq(), "x".repeat(200_000));
        check(&csv, &[2, 4], &[(3, "more than 65536 bytes")]);
    }

    #[test]
    fn a_quote_that_does_not_end_costs_its_own_line() {
        let text =
            format!("pdq,labels\n{0},\"one, two\"\n{0},\"three\n{0},four\n{0},fi\"ve\n\n{0},six\n", pdq());
        let items = check(&text, &[2, 4, 7], &[(3, "quote that does not end"), (5, "quote")]);
        assert_eq!(&*items[0].labels()[0], "one, two");
    }

    #[test]
    fn hashed_files_are_read_as_they_are_printed() {
        let line = |file: &str, quality: u8| {
            let (pdq, md5, variants) = (pdq(), md5(), vec![pdq(); 8]);
            let line = serde_json::json!({
                "file": file, "width": 640, "height": 480, "pdq": pdq, "quality": quality, "variants": variants,
                "md5": md5, "sha256": pdq,
            });
            line.to_string()
        };
        let failed = r#"{"file":"c","error":{"code":"unknown_format","message":"x"}}"#;
        let text = [line("some/where/a.jpg", 50), line("b.jpg", 49), failed.to_owned()].join("\n");
        let items = check(&text, &[1, 2], &[(3, "could not be hashed")]);
        assert_eq!(items[0].external_reference(), Some("a.jpg"));
        let types = |item: &ItemContent| item.hashes().iter().map(Hash::hash_type).collect::<Vec<_>>();
        assert_eq!(types(&items[0]), [HashType::PDQ, HashType::MD5, HashType::SHA256]);
        assert_eq!(types(&items[1]), [HashType::MD5, HashType::SHA256]);
    }

    #[test]
    fn a_mark_of_byte_order_is_no_part_of_the_header() {
        check(&format!("\u{feff}pdq\n{}\n", pdq()), &[2], &[]);
    }

    #[test]
    fn an_unknown_column_is_refused() {
        let error = HashFile::open("pdq,colour\n".as_bytes(), &[]).unwrap_err();
        assert!(error.to_string().contains("`colour`"), "{error}");
    }

    #[test]
    fn an_empty_file_has_no_items() {
        assert!(read("").is_empty());
    }
}
