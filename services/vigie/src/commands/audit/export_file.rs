//! The format of an export file, its writer, and its verification.
//!
//! ```text
//! vigie-audit-export@v1
//! kind complete                     or: kind proven
//!
//! ORIGIN                            the checkpoint, a signed note: its text,
//! SIZE
//! ROOT
//!
//! - NAME SIGNATURE                  its signatures (after an em dash), and a blank line
//!
//! 0 HASH ENTRY                      each entry by index: the hash of its leaf and its bytes, both in Base64
//! 1 HASH ENTRY
//! end 2                             the number of entries
//! ```
//!
//! A `complete` export has all entries of the checkpoint, and they hash to its root. A `proven` export has
//! some of the entries, each followed by the hashes of its proof of inclusion. A reader cannot detect that
//! entries between them were left out.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;
use vigie_audit::export::{Export, ExportError, Fault, check_export};
use vigie_audit::note::NOTE_BYTES_MAX;
use vigie_audit::tree::{Full, LeafIndex, NodeHash, ProofError, TreeHead, check_inclusion};

use crate::commands::audit::order::{self, OrderFault};

/// The first line of an export file.
const VERSION: &str = "vigie-audit-export@v1";
/// The first line of a file that proves one entry, in the C2SP format tlog-proof.
pub(super) const PROOF: &str = "c2sp.org/tlog-proof@v1";
/// The maximum length of a line with an entry, in bytes: 16 KiB of an entry in Base64, and the longest proof.
const LINE_BYTES_MAX: usize = 32 << 10;
/// The format of a line with an entry, as error messages quote it.
const ENTRY: &str = "`INDEX HASH ENTRY` or `end COUNT`";

/// The claim that an export proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The entries of the file are all entries of the checkpoint.
    Complete,
    /// Each entry of the file is in the checkpoint.
    Proven,
}

impl Kind {
    /// Returns the name that is used in the file and in JSON.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Proven => "proven",
        }
    }
}

/// Writes an export, one entry at a time.
#[derive(Debug)]
pub(super) struct ExportWriter<W> {
    to: W,
    count: u64,
}

impl<W: Write> ExportWriter<W> {
    pub(super) fn begin(mut to: W, kind: Kind, note: &str) -> io::Result<Self> {
        write!(to, "{VERSION}\nkind {}\n\n{note}\n", kind.name())?;
        Ok(Self { to, count: 0 })
    }

    pub(super) fn entry(
        &mut self,
        index: LeafIndex,
        hash: &NodeHash,
        entry: &[u8],
        proof: &[NodeHash],
    ) -> io::Result<()> {
        write!(self.to, "{index} {hash} {}", BASE64_STANDARD.encode(entry))?;
        proof.iter().try_for_each(|hash| write!(self.to, " {hash}"))?;
        self.count += 1;
        writeln!(self.to)
    }

    /// Writes the last line, and returns the number of entries that were written.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        writeln!(self.to, "end {}", self.count)?;
        Ok(self.count)
    }
}

/// An export in a file. Each check reads the file line by line.
#[derive(Debug)]
pub(super) struct ExportFile {
    path: PathBuf,
    kind: Kind,
    note: String,
    /// Length in bytes of the part before the first entry.
    body: u64,
    /// Number of lines before the first entry.
    lines: u64,
}

/// A line after the checkpoint, parsed as far as its first field.
#[derive(Debug, PartialEq, Eq)]
enum Row {
    /// The index of an entry, and the rest of its line.
    Entry { index: LeafIndex, rest: String },
    /// The last line, with the number of entries.
    End { count: u64 },
}

/// An entry, and the number of its line in the file.
#[derive(Debug)]
struct EntryLine {
    line: u64,
    index: LeafIndex,
    hash: NodeHash,
    entry: Vec<u8>,
    proof: Vec<NodeHash>,
}

impl ExportFile {
    /// Reads the part before the entries. It does not verify anything.
    pub(super) fn open(path: &Path) -> Result<Self, ReadError> {
        let mut lines = Lines::from(BufReader::new(File::open(path)?));
        let mut next = || lines.next_line()?.ok_or(ReadError::CutOff);
        if next()?.1 != VERSION {
            return Err(ReadError::NotAnExport);
        }
        let kind = match next()? {
            (_, line) if line == "kind complete" => Kind::Complete,
            (_, line) if line == "kind proven" => Kind::Proven,
            (line, _) => return Err(ReadError::Line { line, is: "`kind complete` or `kind proven`" }),
        };
        if let (line, 1..) = next().map(|(line, text)| (line, text.len()))? {
            return Err(ReadError::Line { line, is: "blank" });
        }
        let mut note = String::new();
        // The note contains one blank line, and one follows it.
        for blank in [true, false] {
            loop {
                let (_, line) = next()?;
                if line.is_empty() {
                    break;
                }
                note.push_str(&line);
                note.push('\n');
                if note.len() > NOTE_BYTES_MAX {
                    return Err(ReadError::NoteTooLong);
                }
            }
            if blank {
                note.push('\n');
            }
        }
        Ok(Self { path: path.to_owned(), kind, note, body: lines.bytes, lines: lines.line })
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns the checkpoint, as a signed note.
    pub(super) fn note(&self) -> &str {
        &self.note
    }

    /// Checks that the entries are those of `tree`, which must come from a signed checkpoint, and returns
    /// their number. Memory does not grow with the size of the log.
    pub(super) fn check(&self, tree: &TreeHead) -> Result<u64, ExportFault> {
        match self.kind {
            Kind::Complete => self.check_complete(tree),
            Kind::Proven => self.check_proven(tree),
        }
    }

    fn check_complete(&self, tree: &TreeHead) -> Result<u64, ExportFault> {
        // Each line has both the entry and its hash, so the hashes cannot show which line is missing or
        // moved. Only the indexes can.
        if let Some(fault) = order::fault(|| self.indexes(), tree.size.get())? {
            return Err(fault.into());
        }
        match check_export(tree, self) {
            Ok(checked) => Ok(checked.entries),
            Err(ExportError::Read(error)) => Err(error.into()),
            Err(ExportError::Fault(fault)) => Err(fault.into()),
            Err(ExportError::Full(full)) => Err(full.into()),
        }
    }

    fn check_proven(&self, tree: &TreeHead) -> Result<u64, ExportFault> {
        let (mut count, mut last) = (0, None::<LeafIndex>);
        for line in self.entry_lines() {
            let EntryLine { line, index, hash, entry, proof } = line?;
            if let Some(after) = last.filter(|last| *last >= index) {
                return Err(ExportFault::OutOfOrder { line, index, after });
            }
            if NodeHash::of_entry(&entry) != hash {
                return Err(ExportFault::Altered { line, index });
            }
            check_inclusion(&proof, index, &hash, tree).map_err(|error| ExportFault::NotProven {
                line,
                index,
                error,
            })?;
            (count, last) = (count + 1, Some(index));
        }
        Ok(count)
    }

    /// Iterates over the indexes of the entries, and does not parse the rest of their lines.
    fn indexes(&self) -> impl Iterator<Item = Result<u64, ReadError>> + use<> {
        self.rows().filter_map(|row| match row {
            Ok((_, Row::Entry { index, .. })) => Some(Ok(index.0)),
            Ok((_, Row::End { .. })) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Iterates over the entries. It ends with an error if the last line gives another number of entries.
    fn entry_lines(&self) -> impl Iterator<Item = Result<EntryLine, ReadError>> + use<> {
        let (mut found, kind) = (0, self.kind);
        self.rows().filter_map(move |row| match row {
            Ok((line, Row::Entry { index, rest })) => {
                found += 1;
                Some(
                    parts(&rest, kind)
                        .map_err(|is| ReadError::EntryLine { line, index, is })
                        .map(|(hash, entry, proof)| EntryLine { line, index, hash, entry, proof }),
                )
            }
            Ok((line, Row::End { count })) if count != found => {
                Some(Err(ReadError::Count { line, count, found }))
            }
            Ok((_, Row::End { .. })) => None,
            Err(error) => Some(Err(error)),
        })
    }

    /// Iterates over the lines after the checkpoint, with their line numbers: the entries, and the last line.
    /// Ends after the first error.
    fn rows(&self) -> impl Iterator<Item = Result<(u64, Row), ReadError>> + use<> {
        let (path, body, lines) = (self.path.clone(), self.body, self.lines);
        let mut rows = Rows::NotOpen { path, body, lines };
        std::iter::from_fn(move || {
            let next = rows.next().transpose();
            if let Some(Err(_)) = next {
                rows = Rows::Done;
            }
            next
        })
    }
}

impl Export for ExportFile {
    type Error = ReadError;
    type Entry = Vec<u8>;

    fn entries(&self) -> impl Iterator<Item = Result<Vec<u8>, ReadError>> {
        self.entry_lines().map(|line| line.map(|line| line.entry))
    }

    fn leaves(&self) -> impl Iterator<Item = Result<NodeHash, ReadError>> {
        self.entry_lines().map(|line| line.map(|line| line.hash))
    }
}

/// The state of an iteration over the lines after the checkpoint.
enum Rows {
    NotOpen { path: PathBuf, body: u64, lines: u64 },
    Open(Lines),
    Done,
}

impl Rows {
    fn next(&mut self) -> Result<Option<(u64, Row)>, ReadError> {
        if let Self::NotOpen { path, body, lines } = self {
            let mut file = File::open(path)?;
            file.seek(SeekFrom::Start(*body))?;
            *self = Self::Open(Lines { from: BufReader::new(file), line: *lines, bytes: *body });
        }
        let Self::Open(lines) = self else { return Ok(None) };
        let (line, text) = lines.next_line()?.ok_or(ReadError::CutOff)?;
        let (first, rest) = text.split_once(' ').ok_or(ReadError::Line { line, is: ENTRY })?;
        let number = |text| decimal(text).ok_or(ReadError::Line { line, is: ENTRY });
        if first != "end" {
            let index = LeafIndex(number(first)?);
            return Ok(Some((line, Row::Entry { index, rest: rest.to_owned() })));
        }
        let count = number(rest)?;
        if lines.next_line()?.is_some() {
            return Err(ReadError::AfterTheEnd { line });
        }
        *self = Self::Done;
        Ok(Some((line, Row::End { count })))
    }
}

/// The lines of a file, without their line ends.
struct Lines {
    from: BufReader<File>,
    /// Number of lines that were read.
    line: u64,
    /// Number of bytes that were read.
    bytes: u64,
}

impl From<BufReader<File>> for Lines {
    fn from(from: BufReader<File>) -> Self {
        Self { from, line: 0, bytes: 0 }
    }
}

impl Lines {
    /// Returns the next line and its number, from 1; `None` at the end of the file.
    fn next_line(&mut self) -> Result<Option<(u64, String)>, ReadError> {
        self.line += 1;
        let line = self.line;
        let mut bytes = Vec::new();
        // Reading one byte more than allowed detects a line that is too long.
        let most = u64::try_from(LINE_BYTES_MAX + 1).unwrap_or(u64::MAX);
        let read = (&mut self.from).take(most).read_until(b'\n', &mut bytes)?;
        self.bytes += u64::try_from(read).unwrap_or(u64::MAX);
        match bytes.pop() {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(_) if read > LINE_BYTES_MAX => return Err(ReadError::LineTooLong { line }),
            Some(_) => return Err(ReadError::CutOff),
        }
        let text = String::from_utf8(bytes).map_err(|_| ReadError::Line { line, is: "UTF-8" })?;
        Ok(Some((line, text)))
    }
}

type Parts = (NodeHash, Vec<u8>, Vec<NodeHash>);

/// Splits the part of an entry's line after its index. The error is the format that the line should have.
fn parts(rest: &str, kind: Kind) -> Result<Parts, &'static str> {
    let mut fields = rest.split(' ');
    let mut next = || fields.next().ok_or("`INDEX HASH ENTRY`");
    let hash = next()?.parse().map_err(|_| "a number and a hash in Base64")?;
    let entry = BASE64_STANDARD.decode(next()?).map_err(|_| "a number, a hash, and an entry in Base64")?;
    let proof: Result<Vec<NodeHash>, _> = fields.map(str::parse).collect();
    match (kind, proof) {
        (Kind::Complete, Ok(proof)) if proof.is_empty() => Ok((hash, entry, proof)),
        (Kind::Complete, _) => Err("`INDEX HASH ENTRY` and nothing more"),
        (Kind::Proven, Ok(proof)) => Ok((hash, entry, proof)),
        (Kind::Proven, Err(_)) => Err("`INDEX HASH ENTRY` and the hashes of a proof in Base64"),
    }
}

/// Parses a decimal number without leading zeroes.
fn decimal(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// An error while reading an export.
#[derive(Debug, Error)]
pub(super) enum ReadError {
    #[error("cannot read the file")]
    Io(#[from] io::Error),
    #[error("the file is neither an export nor a proof: its first line is not `{VERSION}` and not `{PROOF}`")]
    NotAnExport,
    #[error("the checkpoint has more than {NOTE_BYTES_MAX} bytes")]
    NoteTooLong,
    #[error("line {line} is not {is}")]
    Line { line: u64, is: &'static str },
    #[error("line {line}, of entry {index}, is not {is}")]
    EntryLine { line: u64, index: LeafIndex, is: &'static str },
    #[error("line {line} is longer than {LINE_BYTES_MAX} bytes")]
    LineTooLong { line: u64 },
    #[error("the file is cut off: its last line is not `end COUNT`")]
    CutOff,
    #[error("more lines follow the last one, which is line {line}")]
    AfterTheEnd { line: u64 },
    #[error("the last line, {line}, counts {count} entries, and {found} are there")]
    Count { line: u64, count: u64, found: u64 },
}

/// An error that shows that the entries of an export are not proven.
#[derive(Debug, Error)]
pub(super) enum ExportFault {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Order(#[from] OrderFault),
    #[error(transparent)]
    Entries(#[from] Fault),
    #[error(transparent)]
    Full(#[from] Full),
    #[error("entry {index} (line {line}) follows entry {after}: it was moved, or is there twice")]
    OutOfOrder { line: u64, index: LeafIndex, after: LeafIndex },
    #[error("entry {index} (line {line}) is not what was logged: its bytes do not have its hash")]
    Altered { line: u64, index: LeafIndex },
    #[error("entry {index} (line {line}) is not what was logged")]
    NotProven {
        line: u64,
        index: LeafIndex,
        #[source]
        error: ProofError,
    },
}
