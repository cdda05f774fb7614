//! What a caller knows of a file before it is read.

use vigie_model::HashType;

use super::fault::Unknown;
use super::format::Format;

/// How a file is to be read.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// Labels of every item.
    pub labels: Vec<String>,
    /// The file's name, which an item gets that is a whole file; empty for none.
    pub name: String,
    /// The format; `None` for that which is recognised.
    pub format: Option<Format>,
    /// The type of hashes that nothing in the file names.
    pub hash_type: Option<HashType>,
    /// The names of a table's columns; `None` for those of its header.
    pub columns: Option<Vec<String>>,
    /// What is done with hash types and columns that are not known.
    pub unknown: Unknown,
    /// Whether bad lines carry their text.
    pub keeps_text: bool,
}
