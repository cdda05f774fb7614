//! One line of JSON: an item as people write it, as `vigie item list --json` prints it, or a file as `vigie hash --json`
//! prints it.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use vigie_model::{Hash, HashType, ItemDraft, Quality, QueryHash, UnknownHashType, Variant};

use super::query_hashes::QueryHashes;
use super::{Draft, file_name, hash};

/// Reads a line. No message repeats a value, which may be a hash.
pub(super) fn read(text: &str) -> Draft {
    parse(text)?.into_draft()
}

fn parse(text: &str) -> Result<Item, String> {
    // The messages of serde_json may repeat a value: this one names the place, and what is expected there.
    serde_json::from_str(text).map_err(|error| {
        let place = error.column();
        if error.is_data() {
            format!("has an unknown field or a value of the wrong kind at column {place}")
        } else {
            format!("is not JSON at column {place}")
        }
    })
}

/// Reads a line to ask about: what it calls its content, and the hashes. Of a hashed file the turned and mirrored variants are
/// among them, and its quality, by which the frontend leaves out what is not to be trusted.
pub(super) fn query(text: &str) -> (Option<String>, Result<QueryHashes, String>) {
    match parse(text) {
        Ok(item) => (item.external_reference.clone().or(item.file.clone()), item.into_query()),
        Err(reason) => (None, Err(reason)),
    }
}

/// The fields of a line that matter.
#[derive(Default)]
struct Item {
    /// Fields that are called as a hash type.
    by_type: Vec<(HashType, OneOrMany)>,
    hashes: Vec<NamedHash>,
    /// The eight PDQ hashes of a hashed file.
    variants: Vec<String>,
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
const IGNORED: [&str; 8] =
    ["width", "height", "ways", "frames", "frames_left_out", "item_id", "bank", "added_at_unix_ms"];

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
                "variants" => item.variants = map.next_value()?,
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
        let hashes = self.read_hashes()?;
        let Self { labels, external_reference, file, quality, .. } = self;
        let of_file = || file.map(|file| file_name(Path::new(&file))).unwrap_or_default();
        let external_reference = external_reference.unwrap_or_else(of_file);
        let trusted = quality.is_none_or(|quality| quality >= Quality::FLOOR_DEFAULT.get());
        let hashes = hashes.into_iter().filter(|(_, is_named)| trusted || *is_named).map(|(hash, _)| hash);
        Ok(ItemDraft { hashes: hashes.collect(), labels, external_reference })
    }

    fn into_query(self) -> Result<QueryHashes, String> {
        let hashes = self.read_hashes()?.into_iter().map(|(hash, _)| hash);
        let mut query = QueryHashes::plain(hashes.collect());
        // The first variant is the hash itself.
        for (text, variant) in self.variants.iter().zip(Variant::ALL).skip(1) {
            query.hashes.push(QueryHash { hash: hash(HashType::PDQ, text)?, variant });
        }
        query.hashes.sort_by_key(|one| one.hash.hash_type());
        let quality = self.quality.map(|quality| Quality::new(quality.into())).transpose();
        query.quality = quality.map_err(|error| error.to_string())?;
        query.bounded()
    }

    /// The hashes, and whether each may be trusted whatever the quality.
    fn read_hashes(&self) -> Result<Vec<(Hash, bool)>, String> {
        if self.has_error {
            return Err("reports a file that could not be hashed".to_owned());
        }
        let mut hashes = Vec::new();
        for (hash_type, texts) in &self.by_type {
            for text in texts.as_slice() {
                hashes.push((hash(*hash_type, text)?, !hash_type.has_quality_floor()));
            }
        }
        for NamedHash { hash_type, hash: text } in &self.hashes {
            let hash_type = hash_type.parse().map_err(|error: UnknownHashType| error.to_string())?;
            hashes.push((hash(hash_type, text)?, true));
        }
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests {
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
