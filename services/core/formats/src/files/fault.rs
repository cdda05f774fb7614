//! The reasons why a file cannot be read, and why a line of it is not an item.

use std::io;

use thiserror::Error;
use vigie_model::HashType;

use super::format::Format;

/// The largest length of a column's name in an error, in bytes. A longer name may be a hash.
const NAME_LEN_MAX: usize = 24;

/// The treatment of unknown hash types and columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Unknown {
    /// A line with an unknown type is bad; a header with an unknown column is refused.
    #[default]
    Refused,
    /// Unknown types and columns are counted and left out.
    Ignored,
}

/// The reasons why a file cannot be read or written. No message repeats a hash.
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
    /// The file's encoding is not UTF-8.
    #[error("the file is UTF-16; convert it to UTF-8")]
    Utf16,
    /// The hashes of the file have a text form of several types.
    #[error(
        "hashes that are written like {example} may be {}: name the type with {}",
        choice(types),
        arguments(types)
    )]
    UncertainType {
        /// The text form: "64 hexadecimal digits".
        example: String,
        /// The types with this text form.
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
        /// The column's name in parentheses; empty for a name that may be a hash.
        shown: String,
    },
    /// No column is known to hold hashes.
    #[error("no header names a column of hashes: name the columns with --columns NAME,NAME,...")]
    NoHashColumn,
    /// A column has hashes, and nothing names their type.
    #[error(
        "the type of the column of hashes is not known: name it with --type ({})",
        names(HashType::known())
    )]
    UntypedColumn,
    /// The first line is not a valid header.
    #[error("the header {0}")]
    Header(String),
    /// The format can be read, but not written.
    #[error("the format {0} cannot be written: use {list}", list = names(Format::writable()))]
    NotWritable(Format),
    /// Columns were named for a format without columns.
    #[error("the format {0} has no columns to name")]
    NoTable(Format),
}

impl FileError {
    pub(in crate::files) fn unknown_column(name: &str) -> Self {
        let is_shown = name.len() <= NAME_LEN_MAX && !name.chars().any(char::is_control);
        Self::UnknownColumn { shown: if is_shown { format!(" (`{name}`)") } else { String::new() } }
    }
}

/// Returns names as a list: "pdq, md5".
fn names<T: ToString>(all: impl Iterator<Item = T>) -> String {
    all.map(|one| one.to_string()).collect::<Vec<_>>().join(", ")
}

/// Returns types as a choice: "pdq, sha256 or text_sha256".
fn choice(types: &[HashType]) -> String {
    match types.split_last() {
        Some((last, [])) => last.to_string(),
        Some((last, others)) => format!("{} or {last}", names(others.iter())),
        None => String::new(),
    }
}

/// Returns the arguments that select a type: "--type pdq, --type sha256 or --type text_sha256".
fn arguments(types: &[HashType]) -> String {
    let arguments: Vec<String> = types.iter().map(|one| format!("--type {one}")).collect();
    match arguments.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => "--type".to_owned(),
    }
}
