//! Files of hashes: CSV, JSON Lines, or one PDQ hash a line. The first byte tells which.
//!
//! - JSON Lines: an object a line with `pdq`, `md5`, `sha256` (a hash or a list of them), `labels`,
//!   `external_reference`; or as `vigie item list --json` prints items, with `hashes`.
//! - CSV with a header that names any of `pdq`, `md5`, `sha256`, `labels` (separated by `;`), `external_reference`.
//! - One PDQ hash a line: 64 hexadecimal digits.
//!
//! A line that is none of this is reported by its number, and reading goes on. No hash is repeated in a report.

use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;
use vigie_model::{Hash, HashType, ItemContent, ItemDraft};

/// The longest line: an item at all its bounds has a tenth of it.
const LINE_BYTES_MAX: u64 = 64 << 10;

/// A line that is no item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// A line's number, and the item that it is or why it is none.
pub type Line = (u64, Result<ItemContent, BadLine>);

/// The items of a file, in its order.
pub struct HashFile<R: Read> {
    lines: Lines<R>,
    labels: Vec<String>,
}

enum Lines<R: Read> {
    Json { reader: BufReader<R>, line: u64 },
    Csv { records: csv::StringRecordsIntoIter<BufReader<R>>, columns: Vec<Column> },
}

impl<R: Read> std::fmt::Debug for HashFile<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HashFile").finish_non_exhaustive()
    }
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

impl<R: Read> HashFile<R> {
    /// Looks at the beginning of `source` and reads on as what it is. `labels` are given to every item.
    ///
    /// # Errors
    ///
    /// The source cannot be read, or is a CSV file whose header names a column that is not known.
    pub fn open(source: R, labels: &[String]) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(1 << 16, source);
        let begins_with_brace =
            reader.fill_buf()?.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        let lines = if begins_with_brace { Lines::Json { reader, line: 0 } } else { open_csv(reader)? };
        Ok(Self { lines, labels: labels.to_vec() })
    }
}

fn open_csv<R: Read>(mut reader: BufReader<R>) -> io::Result<Lines<R>> {
    let begun = reader.fill_buf()?;
    let first = begun.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let bare = Hash::from_hex(HashType::Pdq, first.trim().trim_matches('"')).is_ok();
    let mut file =
        csv::ReaderBuilder::new().has_headers(!bare).flexible(true).trim(csv::Trim::All).from_reader(reader);
    let columns = if bare {
        vec![Column::Hash(HashType::Pdq)]
    } else {
        let unknown = |name: &str| {
            let text =
                "the header names an unknown column; known are pdq, md5, sha256, labels, external_reference";
            // A name that looks like a hash is not repeated.
            let shown = if name.len() <= 24 { format!(" (`{name}`)") } else { String::new() };
            io::Error::new(io::ErrorKind::InvalidData, format!("{text}{shown}"))
        };
        file.headers()?
            .iter()
            .map(|name| Column::named(name).ok_or_else(|| unknown(name)))
            .collect::<Result<_, _>>()?
    };
    Ok(Lines::Csv { records: file.into_records(), columns })
}

impl<R: Read> Iterator for HashFile<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<Self::Item> {
        let (line, draft) = match &mut self.lines {
            Lines::Json { reader, line } => match next_json(reader, line)? {
                Ok(draft) => (*line, draft),
                Err(error) => return Some(Err(error)),
            },
            Lines::Csv { records, columns } => match next_csv(records, columns)? {
                Ok(read) => read,
                Err(error) => return Some(Err(error)),
            },
        };
        let item = draft.and_then(|mut draft| {
            draft.labels.extend(self.labels.iter().cloned());
            ItemContent::try_from(draft).map_err(|error| error.to_string())
        });
        Some(Ok((line, item.map_err(|reason| BadLine { line, reason }))))
    }
}

type Draft = Result<ItemDraft, String>;

fn next_csv<R: Read>(
    records: &mut csv::StringRecordsIntoIter<BufReader<R>>,
    columns: &[Column],
) -> Option<io::Result<(u64, Draft)>> {
    let record = match records.next()? {
        Ok(record) => record,
        Err(error) => {
            let line = error.position().map_or(0, csv::Position::line);
            // The error of the library repeats the record; its kind says enough.
            let reason = if matches!(error.kind(), csv::ErrorKind::Utf8 { .. }) {
                "is not UTF-8"
            } else {
                "is not CSV"
            };
            return Some(if let csv::ErrorKind::Io(error) = error.into_kind() {
                Err(error)
            } else {
                Ok((line, Err(reason.to_owned())))
            });
        }
    };
    let line = record.position().map_or(0, csv::Position::line);
    if record.len() > columns.len() {
        return Some(Ok((line, Err(format!("has {} columns, the header {}", record.len(), columns.len())))));
    }
    let mut draft = ItemDraft::default();
    for (column, cell) in columns.iter().zip(&record).filter(|(_, cell)| !cell.is_empty()) {
        match column {
            Column::Hash(hash_type) => match Hash::from_hex(*hash_type, cell) {
                Ok(hash) => draft.hashes.push(hash),
                Err(error) => return Some(Ok((line, Err(error.to_string())))),
            },
            Column::Labels => {
                let labels = cell.split(';').map(str::trim).filter(|label| !label.is_empty());
                draft.labels.extend(labels.map(str::to_owned));
            }
            Column::ExternalReference => draft.external_reference = cell.to_owned(),
        }
    }
    Some(Ok((line, Ok(draft))))
}

/// An item as a line of JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonItem {
    #[serde(default)]
    pdq: Option<OneOrMany>,
    #[serde(default)]
    md5: Option<OneOrMany>,
    #[serde(default)]
    sha256: Option<OneOrMany>,
    #[serde(default)]
    hashes: Vec<JsonHash>,
    #[serde(default)]
    labels: Vec<String>,
    #[serde(default)]
    external_reference: Option<String>,
    /// These are printed with items and have no meaning in another bank.
    #[serde(default, rename = "item_id")]
    _item_id: Option<u64>,
    #[serde(default, rename = "bank")]
    _bank: Option<String>,
    #[serde(default, rename = "added_at_unix_ms")]
    _added_at_unix_ms: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonHash {
    hash_type: String,
    hash: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

fn next_json<R: Read>(reader: &mut BufReader<R>, line: &mut u64) -> Option<io::Result<Draft>> {
    loop {
        *line += 1;
        let mut text = Vec::new();
        match reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut text) {
            Ok(0) => return None,
            Ok(_) => {}
            Err(error) => return Some(Err(error)),
        }
        let complete = text.last() == Some(&b'\n');
        if !complete && u64::try_from(text.len()).is_ok_and(|length| length > LINE_BYTES_MAX) {
            if let Err(error) = skip_line(reader) {
                return Some(Err(error));
            }
            return Some(Ok(Err(format!("has more than {LINE_BYTES_MAX} bytes"))));
        }
        if !text.trim_ascii().is_empty() {
            return Some(Ok(read_json(&text)));
        }
    }
}

fn skip_line<R: Read>(reader: &mut BufReader<R>) -> io::Result<()> {
    loop {
        let (skipped, ended) = match reader.fill_buf()? {
            [] => return Ok(()),
            buffer => match buffer.iter().position(|byte| *byte == b'\n') {
                Some(at) => (at + 1, true),
                None => (buffer.len(), false),
            },
        };
        reader.consume(skipped);
        if ended {
            return Ok(());
        }
    }
}

fn read_json(text: &[u8]) -> Draft {
    // serde_json's messages may repeat a value, which may be a hash: say where, and what is expected.
    let item: JsonItem = serde_json::from_slice(text).map_err(|error| {
        let place = error.column();
        if error.is_data() {
            format!("has an unknown field or a value of the wrong kind at column {place}")
        } else {
            format!("is not JSON at column {place}")
        }
    })?;
    let JsonItem { pdq, md5, sha256, hashes, labels, external_reference, .. } = item;
    let named = [(HashType::Pdq, pdq), (HashType::Md5, md5), (HashType::Sha256, sha256)];
    let mut draft =
        ItemDraft { hashes: Vec::new(), labels, external_reference: external_reference.unwrap_or_default() };
    let mut add = |hash_type: HashType, text: &str| {
        Hash::from_hex(hash_type, text).map(|hash| draft.hashes.push(hash)).map_err(|error| error.to_string())
    };
    for (hash_type, texts) in named {
        match texts {
            None => {}
            Some(OneOrMany::One(text)) => add(hash_type, &text)?,
            Some(OneOrMany::Many(texts)) => texts.iter().try_for_each(|text| add(hash_type, text))?,
        }
    }
    for JsonHash { hash_type, hash } in hashes {
        let hash_type = hash_type.parse().map_err(|error: vigie_model::HashError| error.to_string())?;
        add(hash_type, &hash)?;
    }
    Ok(draft)
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
        assert_eq!(items[2].hashes()[0].to_hex(), md5().to_lowercase());
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
        let text =
            format!("{{\"pdq\":\"{}\"}}\n{{{}\n{{\"pdq\":\"{}\"}}\n", pdq(), " ".repeat(200_000), pdq());
        check(&text, &[1, 3], &[(2, "more than 65536 bytes")]);
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
