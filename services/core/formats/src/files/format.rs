//! The table of file formats.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A format of files that hold hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Format {
    /// Comma-separated columns with a header that names hash types and other columns.
    Csv,
    /// Columns as in [`Format::Csv`], separated by tabs.
    Tsv,
    /// Columns as in [`Format::Csv`], separated by semicolons, as forensic tools and the ICSE database write
    /// them.
    Semicolon,
    /// A JSON object on each line: items, or hashed files.
    JsonLines,
    /// A hash on each line, all of one type.
    List,
    /// A hash on each line, all of one type, followed by a file's name.
    Named,
    /// The output of `md5sum`, `sha1sum`, `sha256sum` and `sha512sum`, also in BSD's form.
    Sums,
    /// The output of `pdq-photo-hasher`: hash, quality, file.
    Pdq,
    /// The output of `pdq-photo-hasher --details`: `hash=...,quality=...,filename=...`.
    PdqDetails,
    /// ThreatExchange's indicators: type and indicator, separated by commas.
    ThreatExchange,
    /// The output of `tx hash` and `tx dataset`: one signal type and one signal a line.
    Tx,
    /// The output of `tx dataset --csv`.
    TxDataset,
    /// The frames of a video, as the C++ tools of vPDQ, its command and threatexchange write them: the whole
    /// file is one item. Or the frames of one video as a JSON list on each line.
    Vpdq,
    /// Objects of HMA's REST API: the hashes of a file, or content with its signals.
    Hma,
    /// Records of StopNCII.
    StopNcii,
    /// A `queryResult` document of NCMEC's hash sharing.
    Ncmec,
}

/// A row of the table.
struct Row {
    format: Format,
    name: &'static str,
    is_writable: bool,
}

const fn row(format: Format, name: &'static str, is_writable: bool) -> Row {
    Row { format, name, is_writable }
}

/// The table, in the order in which it is shown to people.
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

/// The text does not name a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("unknown format")]
pub struct UnknownFormat;

impl Format {
    /// Returns every format.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.format)
    }

    /// Returns the formats that can be written. The others contain data that a bank does not keep, such as
    /// PDQ's quality, or only one item.
    pub fn writable() -> impl Iterator<Item = Self> {
        ROWS.iter().filter(|row| row.is_writable).map(|row| row.format)
    }

    /// Returns the name used on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        ROWS.iter().find(|row| row.format == self).map_or("", |row| row.name)
    }

    /// Checks whether entries are records of a document, not lines.
    #[must_use]
    pub const fn is_document(self) -> bool {
        matches!(self, Self::Hma | Self::StopNcii | Self::Ncmec)
    }

    /// Returns the byte that separates the columns of a table; `None` for a format that is not a table.
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
