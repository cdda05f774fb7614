//! What lines of every format are made of.

use std::path::Path;

use vigie_model::{Hash, HashType, ItemContent, Quality};

/// The quality below which a hash of PDQ is not banked.
pub(in crate::files) const TRUSTED: Quality = Quality::FLOOR_DEFAULT;

/// Reads a hash. The reason does not repeat the text.
pub(in crate::files) fn hash(hash_type: HashType, text: &str) -> Result<Hash, String> {
    Hash::from_text(hash_type, text).map_err(|error| error.to_string())
}

/// Why an item of nothing but a PDQ hash of low quality is none.
pub(in crate::files) fn untrusted() -> String {
    format!("has a PDQ hash of too little detail: its quality is below {}", TRUSTED.get())
}

/// The types of which a text is a hash. Vectors are none of them: almost any text is one of some length, so only a name makes a vector.
pub(in crate::files) fn types_of(text: &str) -> Vec<HashType> {
    if begins_as_list(text) {
        // Its end may be beyond what was read of a file.
        return vec![HashType::VPDQ];
    }
    HashType::of_table().filter(|hash_type| Hash::from_text(*hash_type, text).is_ok()).collect()
}

/// Whether a text is a hash of a type that something names. Of a vector the form is enough: its end may be beyond what was read of a file.
pub(in crate::files) fn is_of(hash_type: HashType, text: &str) -> bool {
    if hash_type.vector_class().is_none() {
        return types_of(text).contains(&hash_type);
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.starts_with('[') || !text.is_empty() && text.bytes().all(is_base64)
}

/// Whether a text begins as a JSON list of frames.
pub(in crate::files) fn begins_as_list(text: &str) -> bool {
    let mut texts = text.split('"');
    let is_list = texts
        .next()
        .is_some_and(|before| before.strip_prefix('[').is_some_and(|after| after.trim_start().is_empty()));
    is_list && texts.next().is_some_and(|first| Hash::from_text(HashType::VPDQ, first).is_ok())
}

/// The external reference of a hashed file: its name, cut to what fits, without what would not be accepted.
#[must_use]
pub fn file_name(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut kept = String::new();
    for letter in name.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > ItemContent::EXTERNAL_REFERENCE_LEN_MAX {
            break;
        }
        kept.push(letter);
    }
    kept
}

/// The external reference of a file that a list names, on whichever system.
pub(in crate::files) fn listed_file(path: &str) -> String {
    let windows = path.rsplit('\\').next().filter(|_| !path.contains('/'));
    file_name(Path::new(windows.unwrap_or(path)))
}

/// A JSON list at the beginning of a text, and what comes after it. No text of a frame has a bracket.
pub(in crate::files) fn list_of(text: &str) -> Option<(&str, &str)> {
    let end = text.starts_with('[').then(|| text.find(']')).flatten()?;
    Some(text.split_at(end + 1))
}
