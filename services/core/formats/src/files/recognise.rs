//! Determines the format of a file by its beginning, by options, or by both.

use std::io::{self, Read};

use vigie_model::HashType;

use super::fault::FileError;
use super::format::Format;
use super::left_out::LeftOut;
use super::lines::columns::{Column, columns};
use super::lines::frames::is_of_frames;
use super::lines::parts::{is_of, list_of, types_of};
use super::lines::table::{Cells, Table, read_quality};
use super::lines::words::{Sum, Words, signal};
use super::lines::{BYTE_ORDER_MARK, HEAD_BYTES_MAX};
use super::options::ReadOptions;

/// The number of lines at the beginning that are examined, so that a format is recognised even if its first
/// lines are bad.
const LINES_MAX: usize = 32;

/// The form of a line, or the kind of a document.
#[derive(Debug)]
pub(super) enum Shape {
    Table(Box<Table>),
    Words(Words),
    Json,
    Document,
}

/// A format, the form of its lines, and whether the first line is a header.
type Recognised = (Format, Shape, bool);

/// Reads the beginning of a source.
pub(super) fn head_of(source: &mut dyn Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    source.take(HEAD_BYTES_MAX as u64).read_to_end(&mut head)?;
    Ok(head)
}

/// Determines the format of the file that begins with `head`.
pub(super) fn recognise(
    head: &[u8],
    options: &ReadOptions,
    left_out: &mut LeftOut,
) -> Result<Recognised, FileError> {
    if head.starts_with(&[0xff, 0xfe]) || head.starts_with(&[0xfe, 0xff]) {
        return Err(FileError::Utf16);
    }
    let text = String::from_utf8_lossy(head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head));
    let is_whole = head.len() < HEAD_BYTES_MAX;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(LINES_MAX);
    let head = Head { text: text.trim(), is_whole, lines: lines.collect(), options };
    match (options.format, &options.columns) {
        (Some(format), _) => head.given(format, left_out),
        (None, Some(names)) => {
            let delimiter = head.delimiter_of(names.len());
            head.table(format_of(delimiter), delimiter, left_out)
        }
        (None, None) => head.guessed(left_out),
    }
}

/// The beginning of a file.
struct Head<'a> {
    text: &'a str,
    /// Whether this is the whole file.
    is_whole: bool,
    /// The lines, without empty ones.
    lines: Vec<&'a str>,
    options: &'a ReadOptions,
}

/// The delimiters of tables, in order of precedence.
const DELIMITERS: [u8; 3] = [b'\t', b';', b','];

const fn format_of(delimiter: u8) -> Format {
    match delimiter {
        b'\t' => Format::Tsv,
        b';' => Format::Semicolon,
        _ => Format::Csv,
    }
}

/// Returns the cells of a line; none if it is not a record.
fn cells(line: &str, delimiter: u8) -> Vec<String> {
    let mut cells = Vec::new();
    let read = Cells::new(delimiter).each(line, |_, cell| {
        cells.push(cell.to_owned());
        Ok(())
    });
    if read.is_ok() { cells } else { Vec::new() }
}

fn is_hash(text: &str) -> bool {
    !types_of(text).is_empty()
}

impl Head<'_> {
    fn given(&self, format: Format, left_out: &mut LeftOut) -> Result<Recognised, FileError> {
        if let Some(delimiter) = format.delimiter() {
            return self.table(format, delimiter, left_out);
        }
        if self.options.columns.is_some() {
            return Err(FileError::NoTable(format));
        }
        let words = |words| Ok((format, Shape::Words(words), false));
        match format {
            Format::JsonLines => Ok((format, Shape::Json, false)),
            Format::List => words(Words::List(self.list_type()?)),
            Format::Named => {
                let mut first_words = self.lines.iter().filter_map(|line| line.split_whitespace().next());
                let hash_type = match first_words.find(|word| is_hash(word)) {
                    // A file without lines has no hashes, so any type will do.
                    None if self.lines.is_empty() => HashType::PDQ,
                    found => self.type_of(found.unwrap_or_default())?,
                };
                words(Words::Named(hash_type))
            }
            Format::Sums => words(Words::Sums(self.options.hash_type)),
            // Some people write a header above the tool's output.
            Format::Pdq => {
                let has_header = self.lines.first().is_some_and(|line| line.starts_with("hash,"));
                Ok((format, Shape::Words(Words::Pdq), has_header))
            }
            Format::PdqDetails => words(Words::PdqDetails),
            Format::Tx => words(Words::Tx),
            Format::Vpdq | Format::Hma | Format::StopNcii | Format::Ncmec => {
                Ok((format, Shape::Document, false))
            }
            Format::Csv | Format::Tsv | Format::Semicolon | Format::ThreatExchange | Format::TxDataset => {
                Err(FileError::Unrecognised)
            }
        }
    }

    fn guessed(&self, left_out: &mut LeftOut) -> Result<Recognised, FileError> {
        let Some(first) = self.lines.first() else {
            return Ok((Format::List, Shape::Words(Words::List(self.options.hash_type)), false));
        };
        if first.starts_with('<') {
            return Ok((Format::Ncmec, Shape::Document, false));
        }
        if is_of_frames(self.text, self.is_whole) {
            return Ok((Format::Vpdq, Shape::Document, false));
        }
        if first.starts_with('[')
            && let Some(words) = self.vectors(first)
        {
            return Ok((words.0, Shape::Words(words.1), false));
        }
        if first.starts_with(['{', '[']) {
            return Ok(self.json(first));
        }
        if let Some(delimiter) = self.header(first) {
            return self.table(named_format(&cells(first, delimiter), delimiter), delimiter, left_out);
        }
        let found = self.lines.iter().find_map(|line| self.form_of(line));
        let (format, words) = found.unwrap_or(Err(FileError::Unrecognised))?;
        match words {
            Some(words) => Ok((format, Shape::Words(words), false)),
            None => self.given(format, left_out),
        }
    }

    fn json(&self, first: &str) -> Recognised {
        let has = |field: &str| self.text.contains(&format!("\"{field}\""));
        if has("hashRecords") || has("hashValue") {
            return (Format::StopNcii, Shape::Document, false);
        }
        if first.starts_with('{') && first.ends_with('}') && !has("signals") {
            return (Format::JsonLines, Shape::Json, false);
        }
        // A first line that is longer than the bytes read still counts as a line.
        let is_cut = self.text.len() + 3 >= HEAD_BYTES_MAX && self.lines.len() == 1;
        if is_cut && first.starts_with('{') && !has("signals") {
            return (Format::JsonLines, Shape::Json, false);
        }
        (Format::Hma, Shape::Document, false)
    }

    /// Returns the delimiter of a line that names columns.
    fn header(&self, line: &str) -> Option<u8> {
        let known = |delimiter: &u8| {
            let cells = cells(line, *delimiter);
            let is_known = |cell: &&String| !cell.is_empty() && Column::named(cell).is_some();
            let known = cells.iter().filter(is_known).count();
            (if cells.iter().any(|cell| is_hash(cell)) { 0 } else { known }, cells.len())
        };
        DELIMITERS.into_iter().max_by_key(known).filter(|delimiter| known(delimiter).0 > 0)
    }

    /// Returns the delimiter that gives the first line this many cells, or the most.
    fn delimiter_of(&self, count: usize) -> u8 {
        let first = self.lines.first().copied().unwrap_or_default();
        let fit = |delimiter: &u8| {
            let cells = cells(first, *delimiter).len();
            (cells == count, cells)
        };
        // If several are equal, the comma is used.
        DELIMITERS.into_iter().max_by_key(fit).unwrap_or(b',')
    }

    /// Returns a table of a format, with the columns of the options, of its header, or of the format.
    fn table(&self, format: Format, delimiter: u8, left_out: &mut LeftOut) -> Result<Recognised, FileError> {
        let ReadOptions { hash_type, unknown, columns: given, .. } = self.options;
        let first = self.lines.first().map(|line| cells(line, delimiter)).unwrap_or_default();
        let names_columns = first.iter().any(|cell| !cell.is_empty() && Column::named(cell).is_some());
        let is_header = names_columns && !first.iter().any(|cell| is_hash(cell));
        let (names, has_header): (Vec<&str>, bool) = match (given, format) {
            (Some(names), _) => (names.iter().map(String::as_str).collect(), is_header),
            (None, Format::ThreatExchange) if !is_header => (vec!["type", "indicator"], false),
            (None, Format::TxDataset) if !is_header => {
                (vec!["collab", "signal_type", "signal_str", "category", "tags"], false)
            }
            (None, _) if first.is_empty() => {
                let is_empty = self.lines.is_empty();
                if !is_empty {
                    return Err(FileError::Header("has a quote that does not end".to_owned()));
                }
                (vec!["pdq"], false)
            }
            (None, _) if first.iter().any(|cell| is_hash(cell)) => return Err(FileError::NoHashColumn),
            (None, _) => (first.iter().map(String::as_str).collect(), true),
        };
        let columns = columns(names.into_iter(), *hash_type, *unknown, left_out)?;
        let table = Table::new(delimiter, columns, *hash_type, *unknown);
        Ok((format, Shape::Table(Box::new(table)), has_header))
    }

    /// Returns the format of a line that is not a header; `None` if several are possible or the line is bad.
    /// Without words, the format alone determines them.
    fn form_of(&self, line: &str) -> Option<Result<(Format, Option<Words>), FileError>> {
        let given = self.options.hash_type;
        let form = |format, words| Some(Ok((format, Some(words))));
        if line.starts_with("hash=") {
            return form(Format::PdqDetails, Words::PdqDetails);
        }
        if Sum::read(line).is_some_and(|sum| sum.is_sound()) {
            return form(Format::Sums, Words::Sums(given));
        }
        if let Some((first, rest)) = line.split_once(',') {
            let first_types = types_of(first.trim());
            let is_quality = |cell: &str| read_quality(cell.trim()).is_ok();
            if first_types.contains(&HashType::PDQ) && rest.split(',').any(is_quality) {
                return form(Format::Pdq, Words::Pdq);
            }
            let named = first.trim().parse::<HashType>().ok();
            let second = rest.split(',').next().unwrap_or_default();
            if named.is_some_and(|named| is_of(named, second.trim().trim_matches('"'))) {
                return Some(Ok((Format::ThreatExchange, None)));
            }
        }
        if let Some((name, text)) = signal(line)
            && name.parse().is_ok_and(|named| is_of(named, text))
        {
            return form(Format::Tx, Words::Tx);
        }
        let word = line.trim_matches('"');
        if let Some((name, text)) = word.split_once(':')
            && name.parse().is_ok_and(|named| is_of(named, text))
        {
            return form(Format::List, Words::List(given));
        }
        if let Some((format, words)) = self.vectors(word) {
            return form(format, words);
        }
        if is_hash(word) {
            return Some(self.type_of(word).map(|of| (Format::List, Some(Words::List(Some(of))))));
        }
        if let Some((word, _)) = line.split_once(char::is_whitespace)
            && is_hash(word)
        {
            return Some(self.type_of(word).map(|of| (Format::Named, Some(Words::Named(of)))));
        }
        let has_hash = |delimiter: u8| cells(line, delimiter).iter().any(|cell| is_hash(cell));
        DELIMITERS.into_iter().any(has_hash).then_some(Err(FileError::NoHashColumn))
    }

    /// Returns the format of a line that begins with a vector of the type that the options give.
    fn vectors(&self, line: &str) -> Option<(Format, Words)> {
        let hash_type = self.options.hash_type.filter(|hash_type| hash_type.vector_class().is_some())?;
        let cut_at_space = || line.split_once(char::is_whitespace).filter(|_| !line.starts_with('['));
        let (vector, name) = list_of(line).or_else(cut_at_space).unwrap_or((line, ""));
        // A name may follow beyond the bytes that were read.
        let is_line_whole = self.is_whole || self.lines.len() > 1;
        let words = || match name.trim() {
            "" if is_line_whole => (Format::List, Words::List(Some(hash_type))),
            _ => (Format::Named, Words::Named(hash_type)),
        };
        is_of(hash_type, vector).then(words)
    }

    /// Returns the type of a list; `None` if each line names its own.
    fn list_type(&self) -> Result<Option<HashType>, FileError> {
        let words = self.lines.iter().map(|line| line.trim_matches('"'));
        let is_typed =
            |word: &str| word.split_once(':').is_some_and(|(name, _)| name.parse::<HashType>().is_ok());
        match words.clone().find(|word| is_hash(word) || is_typed(word)) {
            Some(word) if is_typed(word) => Ok(self.options.hash_type),
            Some(word) => self.type_of(word).map(Some),
            None if self.options.hash_type.is_none() && !self.lines.is_empty() => Err(FileError::UntypedList),
            None => Ok(self.options.hash_type),
        }
    }

    /// Returns the type of a hash that nothing names: that of the options, or the only one with this text
    /// form.
    fn type_of(&self, text: &str) -> Result<HashType, FileError> {
        if let Some(given) = self.options.hash_type {
            return Ok(given);
        }
        let types = types_of(text);
        match types.as_slice() {
            [] => Err(FileError::UntypedList),
            [only] => Ok(*only),
            _ => {
                let is_hex = text.bytes().all(|byte| byte.is_ascii_hexdigit());
                let form = if is_hex { "hexadecimal digits" } else { "letters of base64" };
                Err(FileError::UncertainType { example: format!("{} {form}", text.len()), types })
            }
        }
    }
}

/// Returns the format of a table by the names in its header.
fn named_format(names: &[String], delimiter: u8) -> Format {
    let has = |name: &str| names.iter().any(|cell| cell.eq_ignore_ascii_case(name));
    match delimiter {
        b',' if has("signal_type") && has("signal_str") => Format::TxDataset,
        b',' if has("type") && has("indicator") => Format::ThreatExchange,
        other => format_of(other),
    }
}
