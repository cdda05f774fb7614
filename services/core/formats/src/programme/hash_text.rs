//! A hash as a programme wrote it, and how a programme's table of types reads it.

use std::fmt;

use serde::{Deserialize, Serialize};
use vigie_model::{Hash, HashType};

use super::media::Media;

/// A hash as a programme wrote it: any text. `Debug` shows only its length.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HashText(String);

impl HashText {
    /// Creates a hash text from any text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Returns the text of a hash: lower-case hexadecimal digits; for a video the JSON list of
    /// threatexchange.
    #[must_use]
    pub fn of(hash: &Hash) -> Self {
        Self(hash.to_line())
    }

    /// Returns the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HashText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HashText({} bytes)", self.0.len())
    }
}

/// A row of a programme's table: its word for a type, the type's number, and the media that the word
/// implies.
///
/// The row has a number and not a type, because a programme may share a type for which this build has no row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) word: &'static str,
    pub(crate) number: u16,
    pub(crate) media: Option<Media>,
}

/// The result of reading a programme's word and text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The text is a hash of a known type.
    Hash(Hash),
    /// A type that the programme's table or this build does not know.
    UnknownType,
    /// The text is not a hash of its type, or all of its bytes are zero: programmes have sent such fillers,
    /// which are not hashes of any content.
    BadValue,
}

/// Reads a programme's text as a hash of the type with this word, compared without case.
pub(crate) fn read(kinds: &[Kind], word: &str, text: &HashText) -> Reading {
    let kind = kinds.iter().find(|kind| kind.word.eq_ignore_ascii_case(word));
    let hash_type = kind.and_then(|kind| HashType::from_number(kind.number)).filter(|kind| kind.is_known());
    let Some(hash_type) = hash_type else { return Reading::UnknownType };
    match Hash::from_text(hash_type, text.as_str().trim()) {
        Ok(hash) if hash.as_bytes().iter().any(|byte| *byte != 0) => Reading::Hash(hash),
        Ok(_) | Err(_) => Reading::BadValue,
    }
}

/// Returns a programme's word for a hash that is submitted to it: the first of `words` that belongs to the
/// hash's type, or if `words` is empty the first of the table. `None` if there is none, and for a hash of
/// only zero bytes, which is not a hash of any content.
pub(crate) fn word_among(kinds: &[Kind], hash: &Hash, words: &[String]) -> Option<&'static str> {
    if hash.as_bytes().iter().all(|byte| *byte == 0) {
        return None;
    }
    if words.is_empty() {
        return word(kinds, hash, None);
    }
    let number = hash.hash_type().number();
    let row = |word: &String| kinds.iter().find(|kind| kind.word == word && kind.number == number);
    words.iter().find_map(row).map(|kind| kind.word)
}

/// Returns a programme's word for a hash; `None` if it has none. If several rows share a type, the first
/// whose media fits.
pub(crate) fn word(kinds: &[Kind], hash: &Hash, media: Option<Media>) -> Option<&'static str> {
    let fits = |kind: &&Kind| {
        kind.number == hash.hash_type().number()
            && (kind.media.is_none() || media.is_none() || kind.media == media)
    };
    kinds.iter().find(fits).map(|kind| kind.word)
}
