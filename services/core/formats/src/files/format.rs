//! The table of file formats.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A format of files that hold hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Comma-separated columns with a header that names hash types and other columns.
    Csv,
    /// The same, separated by tabs.
    Tsv,
    /// The same, separated by semicolons, as forensic tools and the ICSE database write them.
    Semicolon,
    /// An object of JSON a line: items, or hashed files.
    JsonLines,
    /// A hash a line, all of one type.
    List,
    /// A hash a line, all of one type, and a file's name after it.
    Named,
    /// What `md5sum`, `sha1sum`, `sha256sum` and `sha512sum` print, also in BSD's form.
    Sums,
    /// What `pdq-photo-hasher` prints: hash, quality, file.
    Pdq,
    /// What `pdq-photo-hasher --details` prints: `hash=...,quality=...,filename=...`.
    PdqDetails,
    /// ThreatExchange's indicators: type and indicator, separated by commas.
    ThreatExchange,
    /// What `tx hash` and `tx dataset` print: a signal type and a signal a line.
    Tx,
    /// What `tx dataset --csv` prints.
    TxDataset,
    /// The frames of a video, as the C++ tools of vPDQ, its command and threatexchange write them: the file is an item. Or the frames of a
    /// video as a JSON list a line.
    Vpdq,
    /// Objects of HMA's REST API: the hashes of a file, or content with its signals.
    Hma,
    /// Records of StopNCII.
    StopNcii,
    /// A `queryResult` document of NCMEC's hash sharing.
    Ncmec,
}

/// One row of the table.
struct Row {
    format: Format,
    name: &'static str,
    is_writable: bool,
}

const fn row(format: Format, name: &'static str, is_writable: bool) -> Row {
    Row { format, name, is_writable }
}

/// The table, in the order in which people are shown it.
const ROWS: [Row; 16] = [
    row(Format::Csv, "csv", true),
    row(Format::Tsv, "tsv", true),
    row(Format::Semicolon, "semicolon", true),
    row(Format::JsonLines, "jsonl", true),
    row(Format::List, "list", true),
    row(Format::Named, "named", true),
    row(Format::Sums, "sums", true),
    row(Format::Pdq, "pdq", false),
    row(Format::PdqDetails, "pdq-details", false),
    row(Format::ThreatExchange, "threatexchange", true),
    row(Format::Tx, "tx", true),
    row(Format::TxDataset, "tx-dataset", true),
    row(Format::Vpdq, "vpdq", false),
    row(Format::Hma, "hma", true),
    row(Format::StopNcii, "stopncii", true),
    row(Format::Ncmec, "ncmec", true),
];

/// The text names no format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown format")]
pub struct UnknownFormat;

impl Format {
    /// Every format.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.format)
    }

    /// The formats that can be written. The others hold what a bank does not keep, such as PDQ's quality, or one item.
    pub fn writable() -> impl Iterator<Item = Self> {
        ROWS.iter().filter(|row| row.is_writable).map(|row| row.format)
    }

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROWS.iter().find(|row| row.format == self).map_or("", |row| row.name)
    }

    /// Whether entries are records of a document, not lines.
    #[must_use]
    pub const fn is_document(self) -> bool {
        matches!(self, Self::Hma | Self::StopNcii | Self::Ncmec)
    }

    /// What separates the columns of a table; `None` for a format that is none.
    pub(super) const fn delimiter(self) -> Option<u8> {
        match self {
            Self::Csv | Self::ThreatExchange | Self::TxDataset => Some(b','),
            Self::Tsv => Some(b'\t'),
            Self::Semicolon => Some(b';'),
            Self::JsonLines
            | Self::List
            | Self::Named
            | Self::Sums
            | Self::Pdq
            | Self::PdqDetails
            | Self::Tx
            | Self::Vpdq
            | Self::Hma
            | Self::StopNcii
            | Self::Ncmec => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        ROWS.iter().find(|row| row.name == text).map(|row| row.format).ok_or(UnknownFormat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_has_a_name_that_is_read_back() {
        assert_eq!(Format::all().count(), 16);
        for format in Format::all() {
            assert_eq!(format.name().parse(), Ok(format));
        }
        assert_eq!("xlsx".parse::<Format>(), Err(UnknownFormat));
    }
}
