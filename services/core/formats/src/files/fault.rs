//! Why a file cannot be read as a whole, and why a line of it is no item.

use std::io;

use thiserror::Error;
use vigie_model::HashType;

use super::format::Format;

/// Bytes of a column's name that is shown. A longer one may be a hash.
const NAME_LEN_MAX: usize = 24;

/// What is done with hash types and columns that are not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// A line with one is bad; a header with one is refused.
    #[default]
    Refused,
    /// They are counted and left out.
    Ignored,
}

/// Why a file cannot be read or written. Never repeats a hash.
#[derive(Debug, Error)]
pub enum FileError {
    /// Reading or writing fails.
    #[error("the file's bytes cannot be read or written")]
    Bytes(#[from] io::Error),
    /// Neither the beginning of the file nor an option determines its format.
    #[error(
        "no format is recognised: name it with --format ({}), or its columns with --columns",
        names(Format::all())
    )]
    Unrecognised,
    /// The file is encoded otherwise than in UTF-8.
    #[error("the file is UTF-16; convert it to UTF-8")]
    Utf16,
    /// Hashes like those of the file may be of several types.
    #[error(
        "hashes that are written like {example} may be {}: name the type with {}",
        choice(types),
        arguments(types)
    )]
    UncertainType {
        /// How they are written: "64 hexadecimal digits".
        example: String,
        /// The types that are written so.
        types: Vec<HashType>,
    },
    /// A list needs a type, and neither an option nor its lines name one.
    #[error("the type of the hashes is not known: name it with --type ({})", names(HashType::known()))]
    UntypedList,
    /// A header names an unknown column.
    #[error(
        "the header names an unknown column{shown}; known are {}, labels, external_reference, file, quality, hash and type; \
         --ignore-unknown leaves others out",
        names(HashType::known())
    )]
    UnknownColumn {
        /// Its name in parentheses; empty for one that might be a hash.
        shown: String,
    },
    /// No column is known to hold hashes.
    #[error("no header names a column of hashes: name the columns with --columns NAME,NAME,...")]
    NoHashColumn,
    /// A column holds hashes, and nothing names their type.
    #[error(
        "the type of the column of hashes is not known: name it with --type ({})",
        names(HashType::known())
    )]
    UntypedColumn,
    /// The first line is no header.
    #[error("the header {0}")]
    Header(String),
    /// The format is read, and not written.
    #[error("the format {0} cannot be written: use {list}", list = names(Format::writable()))]
    NotWritable(Format),
    /// Columns are named for a format that has none.
    #[error("the format {0} has no columns to name")]
    NoTable(Format),
}

impl FileError {
    pub(in crate::files) fn unknown_column(name: &str) -> Self {
        let is_shown = name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control);
        Self::UnknownColumn { shown: if is_shown { format!(" (`{name}`)") } else { String::new() } }
    }
}

/// Names as a list: "pdq, md5".
fn names<T: ToString>(all: impl Iterator<Item = T>) -> String {
    all.map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
}

/// Types as a choice: "pdq, sha256 or text_sha256".
fn choice(types: &[HashType]) -> String {
    match types.split_last() {
        Some((last, [])) => last.to_string(),
        Some((last, others)) => format!("{} or {last}", names(others.iter())),
        None => String::new(),
    }
}

/// The arguments that decide: "--type pdq, --type sha256 or --type text_sha256".
fn arguments(types: &[HashType]) -> String {
    let arguments: Vec<String> = types.iter().map(|one| format!("--type {one}")).collect();
    match arguments.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "--type".to_owned(),
    }
}
