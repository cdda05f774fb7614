//! The properties of a file that the caller knows before it is read.

use vigie_model::HashType;

use super::fault::Unknown;
use super::format::Format;

/// The options of reading a file.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The labels of every item.
    pub labels: Vec<String>,
    /// The file's name, which becomes the external reference of an item that is the whole file; empty for
    /// none.
    pub name: String,
    /// The format; `None` to recognise it.
    pub format: Option<Format>,
    /// The type of hashes whose type nothing in the file names.
    pub hash_type: Option<HashType>,
    /// The names of a table's columns; `None` to read its header.
    pub columns: Option<Vec<String>>,
    /// The treatment of unknown hash types and columns.
    pub unknown: Unknown,
    /// Whether bad lines include their text.
    pub keeps_text: bool,
}
