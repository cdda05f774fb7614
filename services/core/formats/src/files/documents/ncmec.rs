//! Entries of NCMEC's hash sharing: a `queryResult` document, read event by event.
//!
//! A document type is refused, so no entity is expanded. Reading ends at a syntax error, because the data
//! after it cannot be trusted.

use std::cell::Cell;
use std::io::{self, BufRead, BufReader, Read};
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::errors::Error as XmlError;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use vigie_model::{Hash, HashType, ItemContent, ItemDraft};

use super::Found;
use crate::files::fault::Unknown;
use crate::files::left_out::LeftOut;
use crate::files::lines::parts::hash;

/// The largest size of one event, and of one entry, in bytes.
const ENTRY_BYTES_MAX: usize = 1 << 20;
/// The largest depth of nested elements.
const DEPTH_MAX: usize = 32;
/// The largest length of a text that is read, in bytes.
const TEXT_LEN_MAX: usize = 4_096;

/// The fingerprints for which there is a hash type.
pub(in crate::files) const FINGERPRINTS: [(&str, HashType); 4] =
    [("md5", HashType::MD5), ("sha1", HashType::SHA1), ("pdq", HashType::PDQ), ("pdna", HashType::PHOTODNA)];

/// The values of `classification`.
pub(in crate::files) const CLASSES: [&str; 4] = ["A1", "A2", "B1", "B2"];

/// The entries of a document.
pub(in crate::files) struct Entries<'a> {
    reader: Reader<Counted<'a>>,
    line: Rc<Cell<u64>>,
    budget: Rc<Cell<usize>>,
    /// The names of the open elements.
    path: Vec<Vec<u8>>,
    text: String,
    buffer: Vec<u8>,
    entry: Option<Entry>,
    is_over: bool,
}

impl std::fmt::Debug for Entries<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entries").field("line", &self.line).finish_non_exhaustive()
    }
}

/// An entry that is being read.
struct Entry {
    line: u64,
    /// The number of open elements, including this one.
    depth: usize,
    is_deleted: bool,
    /// The number of bytes that the entry may still use.
    budget: usize,
    member: String,
    id: String,
    classification: String,
    hashes: Vec<Hash>,
    has_unknown: bool,
    bad: Vec<(u64, String)>,
}

/// An entry with the line on which it begins.
pub(in crate::files) type NumberedEntry = (u64, Found);

/// A reader that counts lines, and fails in an event that is too long.
struct Counted<'a> {
    inner: BufReader<Box<dyn Read + 'a>>,
    line: Rc<Cell<u64>>,
    budget: Rc<Cell<usize>>,
}

impl Read for Counted<'_> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(to)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for Counted<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let bytes = self.inner.fill_buf()?;
        let budget = self.budget.get();
        if budget == 0 && !bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, TooLong));
        }
        Ok(&bytes[..bytes.len().min(budget)])
    }

    fn consume(&mut self, count: usize) {
        let taken = self.inner.buffer().get(..count).unwrap_or_default();
        let lines = taken.iter().filter(|byte| **byte == b'\n').count();
        self.line.set(self.line.get() + lines as u64);
        self.budget.set(self.budget.get().saturating_sub(count));
        self.inner.consume(count);
    }
}

/// An event is too long.
#[derive(Debug, thiserror::Error)]
#[error("an element has more than {ENTRY_BYTES_MAX} bytes")]
struct TooLong;

impl<'a> Entries<'a> {
    /// Creates a reader of a source's entries.
    pub(in crate::files) fn new(source: Box<dyn Read + 'a>) -> Self {
        let (line, budget) = (Rc::new(Cell::new(1)), Rc::new(Cell::new(ENTRY_BYTES_MAX)));
        let inner = BufReader::with_capacity(64 << 10, source);
        let counted = Counted { inner, line: Rc::clone(&line), budget: Rc::clone(&budget) };
        Self {
            reader: Reader::from_reader(counted),
            line,
            budget,
            path: Vec::new(),
            text: String::new(),
            buffer: Vec::new(),
            entry: None,
            is_over: false,
        }
    }

    /// Reads the next entry; `None` at the end.
    pub(in crate::files) fn next_entry(
        &mut self,
        unknown: Unknown,
        left_out: &mut LeftOut,
    ) -> io::Result<Option<NumberedEntry>> {
        while !self.is_over {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            self.budget.set(ENTRY_BYTES_MAX);
            let step = match self.reader.read_event_into(&mut buffer) {
                Ok(event) => self.take(event, unknown),
                Err(XmlError::Io(error)) if error.get_ref().is_none_or(|inner| !inner.is::<TooLong>()) => {
                    return Err(io::Error::new(error.kind(), error));
                }
                Err(XmlError::Io(error)) => Step::Fault(error.to_string()),
                Err(_) => Step::Fault("is not well-formed XML".to_owned()),
            };
            if let Some(entry) = &mut self.entry {
                entry.budget = entry.budget.saturating_sub(ENTRY_BYTES_MAX - self.budget.get());
            }
            self.buffer = buffer;
            match step {
                Step::Next => {}
                Step::Unknown(name) => left_out.unknown("type", &name),
                Step::Entry(entry) => return Ok(Some(entry.found(left_out))),
                Step::Fault(reason) => {
                    self.is_over = true;
                    let line = self.line.get();
                    return Ok(Some((line, Found { draft: None, bad: vec![(line, reason)] })));
                }
                Step::End => self.is_over = true,
            }
        }
        Ok(None)
    }

    fn take(&mut self, event: Event<'_>, unknown: Unknown) -> Step {
        match event {
            Event::Start(start) => {
                self.text.clear();
                if self.path.len() >= DEPTH_MAX {
                    return Step::Fault(format!("has more than {DEPTH_MAX} elements within each other"));
                }
                self.path.push(start.local_name().as_ref().to_vec());
                self.begin(&start);
            }
            // A large fingerprint, of which the document has only a link.
            Event::Empty(_) => self.text.clear(),
            Event::Text(text) => match text.decode() {
                Ok(text) => self.append(&text),
                Err(_) => return Step::Fault("is not UTF-8".to_owned()),
            },
            Event::CData(text) => match text.decode() {
                Ok(text) => self.append(&text),
                Err(_) => return Step::Fault("is not UTF-8".to_owned()),
            },
            Event::GeneralRef(name) => {
                let letter = name.resolve_char_ref().ok().flatten().map(String::from);
                let text = letter.or_else(|| {
                    let name = std::str::from_utf8(&name).ok()?;
                    resolve_predefined_entity(name).map(str::to_owned)
                });
                match text {
                    Some(text) => self.append(&text),
                    None => return Step::Fault("has an entity that XML does not define".to_owned()),
                }
            }
            Event::End(_) => return self.end(unknown),
            Event::DocType(_) => return Step::Fault("has a document type, which is refused".to_owned()),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof if self.path.is_empty() => return Step::End,
            Event::Eof => {
                return Step::Fault("ends in the middle: the document is not whole".to_owned());
            }
        }
        Step::Next
    }

    fn append(&mut self, text: &str) {
        if self.text.len() + text.len() <= TEXT_LEN_MAX {
            self.text.push_str(text);
        }
    }

    fn begin(&mut self, start: &BytesStart<'_>) {
        let depth = self.path.len();
        match &mut self.entry {
            None => {
                let is_deleted = match start.local_name().as_ref() {
                    b"image" | b"video" => false,
                    b"deletedImage" | b"deletedVideo" => true,
                    _ => return,
                };
                self.entry = Some(Entry::new(self.line.get(), depth, is_deleted));
            }
            Some(entry) if depth == entry.depth + 1 && start.local_name().as_ref() == b"member" => {
                let id = start.try_get_attribute("id").ok().flatten();
                entry.member =
                    id.map(|id| String::from_utf8_lossy(&id.value).into_owned()).unwrap_or_default();
            }
            Some(_) => {}
        }
    }

    fn end(&mut self, unknown: Unknown) -> Step {
        let depth = self.path.len();
        let name = self.path.pop().unwrap_or_default();
        let text = std::mem::take(&mut self.text);
        let Some(entry) = &mut self.entry else { return Step::Next };
        if depth == entry.depth {
            return self.entry.take().map_or(Step::Next, |entry| Step::Entry(Box::new(entry)));
        }
        if entry.budget == 0 {
            return Step::Next;
        }
        let is_fingerprint =
            depth == entry.depth + 2 && self.path.last().is_some_and(|parent| parent == b"fingerprints");
        if is_fingerprint {
            return entry.fingerprint(&name, text.trim(), self.line.get(), unknown);
        }
        match (name.as_slice(), depth == entry.depth + 1) {
            (b"id", true) => text.trim().clone_into(&mut entry.id),
            (b"classification", true) => text.trim().clone_into(&mut entry.classification),
            _ => {}
        }
        Step::Next
    }
}

/// The result of an event.
enum Step {
    Next,
    Unknown(String),
    Entry(Box<Entry>),
    Fault(String),
    End,
}

impl Entry {
    fn new(line: u64, depth: usize, is_deleted: bool) -> Self {
        Self {
            line,
            depth,
            is_deleted,
            budget: ENTRY_BYTES_MAX,
            member: String::new(),
            id: String::new(),
            classification: String::new(),
            hashes: Vec::new(),
            has_unknown: false,
            bad: Vec::new(),
        }
    }

    fn fingerprint(&mut self, name: &[u8], text: &str, line: u64, unknown: Unknown) -> Step {
        let known = FINGERPRINTS.iter().find(|(known, _)| known.as_bytes().eq_ignore_ascii_case(name));
        if text.is_empty() {
            if known.is_some() {
                return Step::Next;
            }
            // A large fingerprint, such as TMK of a video, is a link.
            self.has_unknown = true;
            return Step::Unknown(String::from_utf8_lossy(name).into_owned());
        }
        match known {
            Some((_, hash_type)) => match hash(*hash_type, text) {
                Ok(hash) => self.hashes.push(hash),
                Err(reason) => self.bad.push((line, reason)),
            },
            None => {
                self.has_unknown = true;
                let name = String::from_utf8_lossy(name).into_owned();
                match unknown {
                    Unknown::Ignored => return Step::Unknown(name),
                    Unknown::Refused => {
                        self.bad.push((line, "has an unknown type of fingerprint".to_owned()));
                    }
                }
            }
        }
        Step::Next
    }

    /// Returns the entry's content. Its key is that of the programme: the member and the id.
    fn found(self, left_out: &mut LeftOut) -> NumberedEntry {
        let Self {
            line, is_deleted, budget, member, id, classification, hashes, has_unknown, mut bad, ..
        } = self;
        if is_deleted {
            left_out.withdrawn += 1;
            return (line, Found::default());
        }
        if budget == 0 {
            bad.push((line, format!("is an entry of more than {ENTRY_BYTES_MAX} bytes")));
            return (line, Found { draft: None, bad });
        }
        if hashes.is_empty() {
            if bad.is_empty() && !has_unknown {
                bad.push((line, "is an entry without a fingerprint".to_owned()));
            }
            return (line, Found { draft: None, bad });
        }
        let external_reference = if member.is_empty() { id } else { format!("{member}-{id}") };
        let label = Some(classification).filter(|text| !text.is_empty());
        let labels = label.filter(|text| text.len() <= ItemContent::LABEL_LEN_MAX).into_iter().collect();
        (line, Found { draft: Some(ItemDraft { hashes, labels, external_reference }), bad })
    }
}
