//! The reasons why a page cannot be read, and the counts of what was left out of a readable page.

use std::ops::AddAssign;

use thiserror::Error;

/// The largest size of a page of any programme, in bytes. The largest pages of programmes have 1,000 records
/// of a few KiB.
pub const PAGE_BYTES_MAX: usize = 32 << 20;

/// The reasons why a page cannot be read as a whole. No message repeats the page's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Fault {
    /// The page has more bytes than any programme sends.
    #[error("a page of {len} bytes; at most {max} are read", max = PAGE_BYTES_MAX)]
    TooLong {
        /// The size of the page in bytes.
        len: usize,
    },
    /// The page is not UTF-8.
    #[error("a page that is not UTF-8")]
    Encoding,
    /// The document declares a document type, which can define entities.
    #[error("an XML document with a document type declaration, which may define entities")]
    DocumentType,
    /// The document refers to an entity that XML does not predefine.
    #[error("an XML document that refers to an undefined entity")]
    Entity,
    /// Elements are nested deeper than in any document of the format.
    #[error("a document nested more than {0} deep")]
    Depth(usize),
    /// The document has more elements than any page of the format.
    #[error("a document of more than {0} elements")]
    Elements(usize),
    /// The bytes end within the document.
    #[error("the page ends within its document")]
    Torn,
    /// The bytes are not a document of this syntax.
    #[error("not well-formed {syntax} at {at}")]
    Malformed {
        /// `XML` or `JSON`.
        syntax: &'static str,
        /// The position: the byte in an XML document, or the line in a JSON document.
        at: u64,
    },
    /// The document is well-formed, but not a page of the format.
    #[error("a {syntax} document without a usable {field}")]
    Field {
        /// `XML` or `JSON`.
        syntax: &'static str,
        /// The element, the key, or the line at which the document differs from the format.
        field: &'static str,
    },
}

/// Counts of the parts of pages that were not understood or left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// The number of records without a usable key, or of another form than the format's.
    pub bad_records: u64,
    /// The number of hashes that are not valid for their type, including hashes of only zeros. The rest of
    /// their record is kept.
    pub bad_values: u64,
    /// The number of hashes of types for which this build has no row. They are kept as text.
    pub unknown_types: u64,
    /// The number of parts of a page that the format does not define.
    pub unknown_parts: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.bad_records += other.bad_records;
        self.bad_values += other.bad_values;
        self.unknown_types += other.unknown_types;
        self.unknown_parts += other.unknown_parts;
    }
}

/// Checks the bytes of a page and returns its text, without a byte order mark.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, Fault> {
    if bytes.len() > PAGE_BYTES_MAX {
        return Err(Fault::TooLong { len: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| match error.error_len() {
        // The bytes end within a character.
        None => Fault::Torn,
        Some(_) => Fault::Encoding,
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
