//! The parts of lines that all formats share.

use std::path::Path;

use vigie_model::{Hash, HashType, ItemContent, Quality};

/// The PDQ quality below which a hash is not banked.
pub(in crate::files) const TRUSTED: Quality = Quality::FLOOR_DEFAULT;

/// Reads a hash. The reason of a failure does not repeat the text.
pub(in crate::files) fn hash(hash_type: HashType, text: &str) -> Result<Hash, String> {
    Hash::from_text(hash_type, text).map_err(|error| error.to_string())
}

/// Returns the reason why an item with only a PDQ hash of low quality is refused.
pub(in crate::files) fn untrusted() -> String {
    format!("has a PDQ hash of too little detail: its quality is below {}", TRUSTED.get())
}

/// Returns the types for which a text is a valid hash. Vectors are excluded: almost any text is a vector of
/// some length, so only a name makes a vector.
pub(in crate::files) fn types_of(text: &str) -> Vec<HashType> {
    if begins_as_list(text) {
        // The end of the text may be beyond the bytes that were read.
        return vec![HashType::VPDQ];
    }
    HashType::of_table().filter(|hash_type| Hash::from_text(*hash_type, text).is_ok()).collect()
}

/// Checks whether a text is a hash of a type that was named. For a vector only the form is checked, because
/// the end of the text may be beyond the bytes that were read.
pub(in crate::files) fn is_of(hash_type: HashType, text: &str) -> bool {
    if hash_type.vector_class().is_none() {
        return types_of(text).contains(&hash_type);
    }
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    text.starts_with('[') || !text.is_empty() && text.bytes().all(is_base64)
}

/// Checks whether a text begins like a JSON list of frames.
pub(in crate::files) fn begins_as_list(text: &str) -> bool {
    let mut texts = text.split('"');
    let is_list = texts
        .next()
        .is_some_and(|before| before.strip_prefix('[').is_some_and(|after| after.trim_start().is_empty()));
    is_list && texts.next().is_some_and(|first| Hash::from_text(HashType::VPDQ, first).is_ok())
}

/// Returns the external reference of a hashed file: its name, cut to the largest length, without characters
/// that are not accepted.
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

/// Returns the external reference of a file that a list names, with the path separators of any system.
pub(in crate::files) fn listed_file(path: &str) -> String {
    let windows = path.rsplit('\\').next().filter(|_| !path.contains('/'));
    file_name(Path::new(windows.unwrap_or(path)))
}

/// Returns a JSON list at the beginning of a text, and the text after it. The text of a frame contains no
/// bracket.
pub(in crate::files) fn list_of(text: &str) -> Option<(&str, &str)> {
    let end = text.starts_with('[').then(|| text.find(']')).flatten()?;
    Some(text.split_at(end + 1))
}
