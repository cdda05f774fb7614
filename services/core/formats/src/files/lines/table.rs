//! Tables: each line is an item, and a header or the caller names the columns.

use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use vigie_model::{Hash, HashType, ItemDraft, Quality};

use super::columns::Column;
use super::parts::{TRUSTED, hash, list_of, listed_file, untrusted};
use crate::files::fault::Unknown;
use crate::files::left_out::LeftOut;

/// The largest number of cells of a line.
const CELLS_MAX: usize = 1_024;

/// Reads lines of separated cells.
///
/// A quoted cell cannot continue on the next line: no cell may contain a line end in any case, and a stray
/// quote then costs only its own line and not the rest of the file.
#[derive(Debug)]
pub(in crate::files) struct Cells {
    delimiter: u8,
    /// The reader of lines with quotes; other lines are split directly.
    quoted: Reader,
    /// The texts of the cells of a line with quotes, and their ends.
    texts: Vec<u8>,
    ends: Vec<usize>,
}

impl Cells {
    pub(in crate::files) fn new(delimiter: u8) -> Self {
        Self {
            delimiter,
            quoted: ReaderBuilder::new().delimiter(delimiter).build(),
            texts: Vec::new(),
            ends: vec![0; CELLS_MAX],
        }
    }

    /// Passes on each cell of a line, trimmed, with its number from 0, and returns how many there are.
    ///
    /// # Errors
    ///
    /// The reason why the line is not a record, or the error of `take`.
    pub(in crate::files) fn each(
        &mut self,
        line: &str,
        mut take: impl FnMut(usize, &str) -> Result<(), String>,
    ) -> Result<usize, String> {
        if !line.contains('"') {
            let mut count = 0;
            for cell in line.split(char::from(self.delimiter)) {
                take(count, cell.trim())?;
                count += 1;
            }
            return Ok(count);
        }
        let count = self.read_quoted(line)?;
        let mut begin = 0;
        for (at, end) in self.ends[..count].iter().enumerate() {
            let cell = std::str::from_utf8(&self.texts[begin..*end]).map_err(|_| "is not CSV".to_owned())?;
            take(at, cell.trim())?;
            begin = *end;
        }
        Ok(count)
    }

    /// Splits a line with quotes, and returns the number of its cells.
    fn read_quoted(&mut self, line: &str) -> Result<usize, String> {
        if line.bytes().filter(|byte| *byte == b'"').count() % 2 == 1 {
            return Err("has a quote that does not end".to_owned());
        }
        self.texts.resize(line.len() + 1, 0);
        self.quoted.reset();
        let (mut result, _, written, mut count) =
            self.quoted.read_record(line.as_bytes(), &mut self.texts, &mut self.ends);
        // The end of the input ends the record. A quote that is still open was in the middle of a cell, which
        // is kept as it is.
        if result == ReadRecordResult::InputEmpty {
            let (last, _, _, more) =
                self.quoted.read_record(b"", &mut self.texts[written..], &mut self.ends[count..]);
            (result, count) = (last, count + more);
        }
        match result {
            ReadRecordResult::Record | ReadRecordResult::End => Ok(count),
            ReadRecordResult::InputEmpty
            | ReadRecordResult::OutputFull
            | ReadRecordResult::OutputEndsFull => Err(format!("has more than {CELLS_MAX} columns")),
        }
    }
}

/// A table with known columns.
#[derive(Debug)]
pub(in crate::files) struct Table {
    cells: Cells,
    columns: Vec<Column>,
    /// The type of hashes in a column of values, if the column of types is empty.
    hash_type: Option<HashType>,
    unknown: Unknown,
    has_types: bool,
}

impl Table {
    pub(in crate::files) fn new(
        delimiter: u8,
        columns: Vec<Column>,
        hash_type: Option<HashType>,
        unknown: Unknown,
    ) -> Self {
        let has_types = columns.contains(&Column::Type);
        Self { cells: Cells::new(delimiter), columns, hash_type, unknown, has_types }
    }

    /// Reads a line as an item; `None` if every part of it was left out.
    pub(in crate::files) fn read(
        &mut self,
        line: &str,
        left_out: &mut LeftOut,
    ) -> Result<Option<ItemDraft>, String> {
        let columns = &self.columns;
        let mut draft = ItemDraft { hashes: Vec::with_capacity(1), ..ItemDraft::default() };
        let (mut quality, mut named_type, mut value) = (None, None, None);
        let count = self.cells.each(line, |at, cell| {
            let Some(column) = columns.get(at).filter(|_| !cell.is_empty()) else { return Ok(()) };
            match column {
                Column::Hash(hash_type) => {
                    for text in hashes_of(cell) {
                        draft.hashes.push(hash(*hash_type, text)?);
                    }
                }
                Column::Value => value = Some(cell.to_owned()),
                Column::Type => named_type = Some(cell.to_owned()),
                Column::Labels => draft.labels.extend(words(cell.split(';'))),
                Column::Tags => draft.labels.extend(words(cell.split([' ', ',']))),
                Column::ExternalReference => draft.external_reference = cell.to_owned(),
                Column::File => draft.external_reference = listed_file(cell),
                Column::Quality => quality = Some(read_quality(cell)?),
                Column::Ignored => {}
            }
            Ok(())
        })?;
        if count > columns.len() {
            return Err(format!("has {count} columns, the header {}", columns.len()));
        }
        if self.has_types {
            let Some(value) = value else { return Err("has no hash".to_owned()) };
            match typed(named_type.as_deref(), self.hash_type, self.unknown, left_out)? {
                Some(hash_type) => draft.hashes.push(hash(hash_type, &value)?),
                None if draft.hashes.is_empty() => return Ok(None),
                None => {}
            }
        }
        if quality.is_some_and(|quality| quality < TRUSTED) && !draft.hashes.is_empty() {
            draft.hashes.retain(|hash: &Hash| !hash.hash_type().has_quality_floor());
            if draft.hashes.is_empty() {
                return Err(untrusted());
            }
        }
        Ok(Some(draft))
    }
}

/// Returns the type that a line names; `None` if it is unknown and left out.
pub(in crate::files) fn typed(
    name: Option<&str>,
    default: Option<HashType>,
    unknown: Unknown,
    left_out: &mut LeftOut,
) -> Result<Option<HashType>, String> {
    let Some(name) = name else { return default.map(Some).ok_or_else(|| "names no hash type".to_owned()) };
    match (name.parse::<HashType>(), unknown) {
        (Ok(hash_type), _) => Ok(Some(hash_type)),
        (Err(_), Unknown::Ignored) => {
            left_out.unknown("type", name);
            Ok(None)
        }
        (Err(error), Unknown::Refused) => Err(error.to_string()),
    }
}

/// Reads a PDQ quality.
pub(in crate::files) fn read_quality(text: &str) -> Result<Quality, String> {
    let number = text.parse().map_err(|_| "has a quality that is no number from 0 to 100".to_owned())?;
    Quality::new(number).map_err(|error| error.to_string())
}

/// Returns the hashes of a cell, which are separated by spaces. The lists of frames of videos may contain
/// spaces.
fn hashes_of(cell: &str) -> impl Iterator<Item = &str> {
    let mut rest = cell;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let (text, after) = list_of(rest).unwrap_or_else(|| {
            rest.split_at(rest.find(|sign: char| sign.is_ascii_whitespace()).unwrap_or(rest.len()))
        });
        rest = after;
        (!text.is_empty()).then_some(text)
    })
}

fn words<'a>(cells: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    cells.map(str::trim).filter(|label| !label.is_empty()).map(str::to_owned)
}
