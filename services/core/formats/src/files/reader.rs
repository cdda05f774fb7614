//! Reads the items of a file in any format, one at a time.

use std::collections::VecDeque;
use std::io::{self, Read};

use vigie_model::{ItemContent, ItemDraft};

use super::documents::ncmec::Entries;
use super::documents::records::{Record, Records};
use super::documents::{Found, hma, stop_ncii};
use super::fault::{FileError, Unknown};
use super::format::Format;
use super::left_out::LeftOut;
use super::lines::frames::FrameLists;
use super::lines::item_json::ItemJson;
use super::lines::{LINE_BYTES_MAX, Line, Lines};
use super::options::ReadOptions;
use super::recognise::{Shape, head_of, recognise};

/// A line, or a part of a record, that is not an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// The number of the line, from 1.
    pub line: u64,
    /// The reason why it is not an item.
    pub reason: String,
    /// The text of the line, or of the record of a document, cut to [`BadLine::TEXT_LEN_MAX`] bytes; present
    /// if the options ask for it.
    pub text: Option<String>,
}

impl BadLine {
    /// The largest length of a kept text, in bytes.
    pub const TEXT_LEN_MAX: usize = 4_096;
}

/// An item, or a fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The number of the line, or of the record of a document, from 1. A record may have several entries.
    pub number: u64,
    /// The item, or the fault.
    pub item: Result<ItemContent, BadLine>,
}

/// A reader of the items of a file, in the file's order.
#[derive(Debug)]
pub struct FileReader<'a> {
    source: Source<'a>,
    format: Format,
    labels: Vec<String>,
    unknown: Unknown,
    keeps_text: bool,
    left_out: LeftOut,
    /// The number of records read so far, and the remaining entries of the last one.
    records: u64,
    waiting: VecDeque<Entry>,
}

#[derive(Debug)]
enum Source<'a> {
    Lines(Lines<'a>, Shape),
    Records(Records<'a>),
    Entries(Box<Entries<'a>>),
    Frames(Box<FrameLists<'a>>),
}

impl<'a> FileReader<'a> {
    /// Reads the beginning of a source and recognises its format.
    ///
    /// # Errors
    ///
    /// Fails if the source cannot be read, its format is not recognised, or the type of its hashes is not
    /// certain.
    pub fn open(mut source: Box<dyn Read + 'a>, options: ReadOptions) -> Result<Self, FileError> {
        let head = head_of(&mut source)?;
        let mut left_out = LeftOut::default();
        let (format, shape, has_header) = recognise(&head, &options, &mut left_out)?;
        let source: Box<dyn Read + 'a> = Box::new(io::Cursor::new(head).chain(source));
        let source = match format {
            Format::Ncmec => Source::Entries(Box::new(Entries::new(source))),
            Format::StopNcii => Source::Records(Records::new(source, Some(stop_ncii::CONTAINER))),
            Format::Hma => Source::Records(Records::new(source, None)),
            Format::Vpdq => Source::Frames(Box::new(FrameLists::new(source, options.name.clone()))),
            Format::Csv
            | Format::Tsv
            | Format::Semicolon
            | Format::JsonLines
            | Format::List
            | Format::Named
            | Format::Sums
            | Format::Pdq
            | Format::PdqDetails
            | Format::ThreatExchange
            | Format::Tx
            | Format::TxDataset => {
                let mut lines = Lines::new(source);
                if has_header {
                    lines.next_line()?;
                }
                Source::Lines(lines, shape)
            }
        };
        let ReadOptions { labels, unknown, keeps_text, .. } = options;
        let (records, waiting) = (0, VecDeque::new());
        Ok(Self { source, format, labels, unknown, keeps_text, left_out, records, waiting })
    }

    /// Returns the format.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    /// Returns the counts of what was left out so far.
    #[must_use]
    pub const fn left_out(&self) -> &LeftOut {
        &self.left_out
    }

    /// Reads the next line that is an item or a fault.
    fn next_of_lines(&mut self) -> Option<io::Result<Entry>> {
        let Self { source: Source::Lines(lines, shape), left_out, .. } = self else { return None };
        loop {
            let Line { number, text } = match lines.next_line() {
                Ok(line) => line?,
                Err(error) => return Some(Err(error)),
            };
            let (line, draft) = match text {
                Ok(text) => {
                    let draft = match shape {
                        Shape::Table(table) => table.read(text, left_out),
                        Shape::Words(words) => words.read(text, self.unknown, left_out),
                        Shape::Json => {
                            ItemJson::read(text).and_then(|item| item.into_draft(self.unknown, left_out))
                        }
                        Shape::Document => Ok(None),
                    };
                    (Some(text), draft)
                }
                Err(reason) => (None, Err(reason)),
            };
            let item = match draft {
                Ok(None) => continue,
                Ok(Some(draft)) => item_of(draft, &self.labels),
                Err(reason) => Err(reason),
            };
            let text = line.filter(|_| self.keeps_text && item.is_err()).map(cut);
            return Some(Ok(Entry {
                number,
                item: item.map_err(|reason| BadLine { line: number, reason, text }),
            }));
        }
    }

    /// Reads the next video.
    fn next_of_frames(&mut self) -> Option<io::Result<Entry>> {
        let Source::Frames(lists) = &mut self.source else { return None };
        let (number, draft) = match lists.next_list() {
            Ok(list) => list?,
            Err(error) => return Some(Err(error)),
        };
        let item = draft.and_then(|draft| item_of(draft, &self.labels));
        Some(Ok(Entry { number, item: item.map_err(|reason| BadLine { line: number, reason, text: None }) }))
    }

    /// Reads the next record that has an item or a fault.
    fn next_of_records(&mut self) -> Option<io::Result<Entry>> {
        while self.waiting.is_empty() {
            let (line, text, found) = match self.next_found() {
                Ok(found) => found?,
                Err(error) => return Some(Err(error)),
            };
            self.records += 1;
            let Found { draft, mut bad } = found;
            let number = self.records;
            let item = draft.and_then(|draft| {
                item_of(draft, &self.labels).map_err(|reason| bad.push((line, reason))).ok()
            });
            let text = text.filter(|_| self.keeps_text).as_deref().map(cut);
            let bad = bad.into_iter().map(|(line, reason)| Err(BadLine { line, reason, text: text.clone() }));
            let entries = item.map(Ok).into_iter().chain(bad);
            self.waiting.extend(entries.map(|item| Entry { number, item }));
        }
        self.waiting.pop_front().map(Ok)
    }

    /// Reads the next record: the line on which it begins, its text, and its content.
    fn next_found(&mut self) -> io::Result<Option<(u64, Option<String>, Found)>> {
        let (unknown, left_out) = (self.unknown, &mut self.left_out);
        match &mut self.source {
            Source::Lines(..) | Source::Frames(_) => Ok(None),
            Source::Entries(entries) => {
                let entry = entries.next_entry(unknown, left_out)?;
                Ok(entry.map(|(line, found)| (line, None, found)))
            }
            Source::Records(records) => {
                let Some(Record { line, text }) = records.next_record()? else { return Ok(None) };
                let read = if self.format == Format::StopNcii { stop_ncii::read } else { hma::read };
                Ok(Some(match text {
                    Ok(text) => {
                        let found = read(&text, line, unknown, left_out);
                        (line, Some(text), found)
                    }
                    Err(reason) => (line, None, Found { draft: None, bad: vec![(line, reason)] }),
                }))
            }
        }
    }
}

impl Iterator for FileReader<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<io::Result<Entry>> {
        match self.source {
            Source::Lines(..) => self.next_of_lines(),
            Source::Frames(_) => self.next_of_frames(),
            Source::Records(_) | Source::Entries(_) => self.next_of_records(),
        }
    }
}

fn item_of(mut draft: ItemDraft, labels: &[String]) -> Result<ItemContent, String> {
    draft.labels.extend_from_slice(labels);
    ItemContent::try_from(draft).map_err(|error| error.to_string())
}

/// Cuts a text to the largest length, at the end of a whole character.
fn cut(text: &str) -> String {
    const { assert!(BadLine::TEXT_LEN_MAX <= LINE_BYTES_MAX) };
    text[..text.floor_char_boundary(BadLine::TEXT_LEN_MAX)].to_owned()
}
