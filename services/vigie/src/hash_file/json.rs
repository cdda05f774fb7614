//! One line of JSON: an item as people write it, as `vigie item list --json` prints it, or a file as `vigie hash --json`
//! prints it.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use vigie_model::{HashType, ItemDraft, Quality, UnknownHashType};

use super::{Draft, file_name, hash};

/// Reads a line. No message repeats a value, which may be a hash.
pub(super) fn read(text: &str) -> Draft {
    // The messages of serde_json may repeat a value: this one names the place, and what is expected there.
    let item: Item = serde_json::from_str(text).map_err(|error| {
        let place = error.column();
        if error.is_data() {
            format!("has an unknown field or a value of the wrong kind at column {place}")
        } else {
            format!("is not JSON at column {place}")
        }
    })?;
    item.into_draft()
}

/// The fields of a line that matter.
#[derive(Default)]
struct Item {
    /// Fields that are called as a hash type.
    by_type: Vec<(HashType, OneOrMany)>,
    hashes: Vec<NamedHash>,
    labels: Vec<String>,
    external_reference: Option<String>,
    /// A hashed file's path, and the quality below which its perceptual hashes are not to be trusted.
    file: Option<String>,
    quality: Option<u8>,
    /// The line reports a file that was not hashed.
    has_error: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedHash {
    hash_type: String,
    hash: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    None,
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::None => &[],
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// Fields that are printed with hashed files and with items, and mean nothing to a bank.
const IGNORED: [&str; 9] = [
    "width",
    "height",
    "variants",
    "ways",
    "frames",
    "frames_left_out",
    "item_id",
    "bank",
    "added_at_unix_ms",
];

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Item, M::Error> {
        let mut item = Item::default();
        let mut seen: Vec<String> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if seen.contains(&name) {
                return Err(M::Error::custom("a field comes twice"));
            }
            match name.as_str() {
                "hashes" => item.hashes = map.next_value()?,
                "labels" => item.labels = map.next_value()?,
                "external_reference" => item.external_reference = map.next_value()?,
                "file" => item.file = map.next_value()?,
                "quality" => item.quality = map.next_value()?,
                "error" => item.has_error = map.next_value::<Option<IgnoredAny>>()?.is_some(),
                ignored if IGNORED.contains(&ignored) => {
                    map.next_value::<IgnoredAny>()?;
                }
                hash_type => {
                    let hash_type = hash_type.parse().map_err(|_| M::Error::custom("an unknown field"))?;
                    item.by_type.push((hash_type, map.next_value()?));
                }
            }
            seen.push(name);
        }
        Ok(item)
    }
}

impl Item {
    fn into_draft(self) -> Draft {
        let Self { by_type, hashes, labels, external_reference, file, quality, has_error } = self;
        if has_error {
            return Err("reports a file that could not be hashed".to_owned());
        }
        let of_file = || file.map(|file| file_name(Path::new(&file))).unwrap_or_default();
        let external_reference = external_reference.unwrap_or_else(of_file);
        let mut draft = ItemDraft { hashes: Vec::new(), labels, external_reference };
        let trusted = quality.is_none_or(|quality| quality >= Quality::FLOOR_DEFAULT.get());
        for (hash_type, texts) in by_type {
            for text in texts.as_slice() {
                let hash = hash(hash_type, text)?;
                if trusted || !hash_type.has_quality_floor() {
                    draft.hashes.push(hash);
                }
            }
        }
        for NamedHash { hash_type, hash: text } in hashes {
            let hash_type = hash_type.parse().map_err(|error: UnknownHashType| error.to_string())?;
            draft.hashes.push(hash(hash_type, &text)?);
        }
        Ok(draft)
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::Hash;

    use super::*;

    #[test]
    fn every_hash_type_is_a_field() {
        for hash_type in HashType::known() {
            let len = hash_type.row().unwrap().lengths[0];
            let text = "ab".repeat(len);
            let draft = read(&format!("{{\"{hash_type}\":[\"{text}\"],\"labels\":[]}}")).unwrap();
            assert_eq!(draft.hashes, [Hash::from_text(hash_type, &text).unwrap()]);
        }
    }

    #[test]
    fn a_field_that_comes_twice_is_refused() {
        assert!(read("{\"labels\":[],\"labels\":[]}").is_err());
    }
}
