//! A line of JSON: an item as people write it or as `vigie item list --json` prints it, or a file as `vigie
//! hash --json` prints it.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use vigie_model::{Frame, Hash, HashType, ItemDraft, Quality, QueryHash, Variant};

use super::frames::of_frames;
use super::json_hash::JsonHash;
use super::parts::{TRUSTED, file_name, hash};
use super::table::typed;
use crate::files::fault::Unknown;
use crate::files::left_out::LeftOut;

/// The used fields of a line.
#[derive(Default)]
pub struct ItemJson {
    /// The fields that have the name of a hash type.
    by_type: Vec<(HashType, OneOrMany)>,
    hashes: Vec<NamedHash>,
    /// The eight PDQ hashes of a hashed file.
    variants: Vec<String>,
    labels: Vec<String>,
    external_reference: Option<String>,
    /// The path of a hashed file, and its quality, below which its perceptual hashes are not to be trusted.
    file: Option<String>,
    quality: Option<u8>,
    /// The frames of a hashed file, and whether the file is a video. The other fields already describe a
    /// picture completely.
    frames: Vec<FrameJson>,
    is_video: bool,
    /// Whether the line reports a file that was not hashed.
    has_error: bool,
    /// The names of unknown fields.
    unknown: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedHash {
    hash_type: String,
    hash: JsonHash,
}

/// A frame of a hashed file. Its other fields, for pictures, are ignored.
#[derive(Deserialize)]
struct FrameJson {
    time_s: Option<f64>,
    pdq: String,
    quality: u8,
}

impl FrameJson {
    /// Reads the frame of a video.
    fn read(&self) -> Result<Frame, String> {
        let mut pdq = [0; 32];
        pdq.copy_from_slice(hash(HashType::PDQ, &self.pdq)?.as_bytes());
        let milliseconds = (self.time_s.unwrap_or_default() * 1_000.0).round();
        let is_time = (0.0..=f64::from(u32::MAX)).contains(&milliseconds);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the bounds are checked")]
        let time_ms = is_time.then_some(milliseconds as u32).ok_or("has a frame at no time")?;
        Ok(Frame { pdq, quality: self.quality, time_ms })
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    None,
    Many(Vec<JsonHash>),
    // A list of numbers is one vector.
    One(JsonHash),
}

impl OneOrMany {
    fn as_slice(&self) -> &[JsonHash] {
        match self {
            Self::None => &[],
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// Fields of printed hashed files and items that a bank ignores.
const IGNORED: [&str; 7] =
    ["width", "height", "ways", "frames_left_out", "item_id", "bank", "added_at_unix_ms"];

/// Shows no value, which may be a hash.
impl fmt::Debug for ItemJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ItemJson").finish_non_exhaustive()
    }
}

impl<'de> Deserialize<'de> for ItemJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = ItemJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<ItemJson, M::Error> {
        let mut item = ItemJson::default();
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
                "frames" => item.frames = map.next_value()?,
                "duration_s" | "partial" => {
                    map.next_value::<IgnoredAny>()?;
                    item.is_video = true;
                }
                "error" => item.has_error = map.next_value::<Option<IgnoredAny>>()?.is_some(),
                ignored if IGNORED.contains(&ignored) => {
                    map.next_value::<IgnoredAny>()?;
                }
                other => match other.parse() {
                    Ok(hash_type) => item.by_type.push((hash_type, map.next_value()?)),
                    Err(_) => {
                        map.next_value::<IgnoredAny>()?;
                        item.unknown.push(name.clone());
                    }
                },
            }
            seen.push(name);
        }
        Ok(item)
    }
}

/// Parses JSON. No message repeats a value, which may be a hash.
pub(in crate::files) fn parse<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, String> {
    // The messages of serde_json may repeat a value; this one gives only the position.
    serde_json::from_str(text).map_err(|error| {
        let place = error.column();
        if error.is_data() {
            format!("has a value of the wrong kind, or a field twice, at column {place}")
        } else {
            format!("is not JSON at column {place}")
        }
    })
}

impl ItemJson {
    /// Reads a line.
    ///
    /// # Errors
    ///
    /// The reason why the line is not an item. No reason repeats a value.
    pub fn read(line: &str) -> Result<Self, String> {
        parse(line)
    }

    /// Returns the name that the line gives its content.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.external_reference.as_deref().or(self.file.as_deref())
    }

    /// Returns the PDQ quality of the hashed file.
    ///
    /// # Errors
    ///
    /// Fails if the quality is above 100.
    pub fn quality(&self) -> Result<Option<Quality>, String> {
        self.quality
            .map(|quality| Quality::new(quality.into()))
            .transpose()
            .map_err(|error| error.to_string())
    }

    /// Returns the hashes of a query, including the rotated and mirrored variants of a hashed file.
    ///
    /// # Errors
    ///
    /// Fails if a hash is not valid, a field is unknown, or the line reports a failure.
    pub fn query_hashes(&self) -> Result<Vec<QueryHash>, String> {
        let hashes = self.known_hashes(Unknown::Refused, &mut LeftOut::default())?;
        let plain = |(hash, _)| QueryHash { hash, variant: Variant::Original };
        let mut hashes: Vec<QueryHash> = hashes.into_iter().map(plain).collect();
        // The first variant is the hash itself.
        for (text, variant) in self.variants.iter().zip(Variant::ALL).skip(1) {
            hashes.push(QueryHash { hash: hash(HashType::PDQ, text)?, variant });
        }
        hashes.sort_by_key(|one| one.hash.hash_type());
        Ok(hashes)
    }

    /// Returns the item; `None` if every part of the line was left out.
    pub(in crate::files) fn into_draft(
        self,
        unknown: Unknown,
        left_out: &mut LeftOut,
    ) -> Result<Option<ItemDraft>, String> {
        let hashes = self.known_hashes(unknown, left_out)?;
        if hashes.is_empty() && !(self.unknown.is_empty() && self.hashes.is_empty()) {
            return Ok(None);
        }
        let trusted = self.quality()?.is_none_or(|quality| quality >= TRUSTED);
        let Self { labels, external_reference, file, .. } = self;
        let of_file = || file.map(|file| file_name(Path::new(&file))).unwrap_or_default();
        let external_reference = external_reference.unwrap_or_else(of_file);
        let hashes = hashes.into_iter().filter(|(_, is_named)| trusted || *is_named).map(|(hash, _)| hash);
        Ok(Some(ItemDraft { hashes: hashes.collect(), labels, external_reference }))
    }

    /// Returns the hashes of known types, and whether each can be trusted whatever the quality.
    fn known_hashes(&self, unknown: Unknown, left_out: &mut LeftOut) -> Result<Vec<(Hash, bool)>, String> {
        if self.has_error {
            return Err("reports a file that could not be hashed".to_owned());
        }
        for name in &self.unknown {
            match unknown {
                Unknown::Ignored => left_out.unknown("field", name),
                Unknown::Refused => return Err("has an unknown field".to_owned()),
            }
        }
        let mut hashes = Vec::new();
        for (hash_type, texts) in &self.by_type {
            for text in texts.as_slice() {
                hashes.push((hash(*hash_type, text.as_str())?, !hash_type.has_quality_floor()));
            }
        }
        if self.is_video && !self.frames.is_empty() {
            let frames = self.frames.iter().map(FrameJson::read).collect::<Result<Vec<_>, _>>()?;
            hashes.push((of_frames(&frames)?, true));
        }
        for NamedHash { hash_type, hash: text } in &self.hashes {
            if let Some(hash_type) = typed(Some(hash_type), None, unknown, left_out)? {
                hashes.push((hash(hash_type, text.as_str())?, true));
            }
        }
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests {
    use vigie_model::declared;

    use super::*;

    fn read(text: &str) -> Result<Option<ItemDraft>, String> {
        ItemJson::read(text)?.into_draft(Unknown::Refused, &mut LeftOut::default())
    }

    #[test]
    fn no_hash_type_can_be_declared_under_the_name_of_a_field() {
        let read = ["hashes", "variants", "labels", "external_reference", "file", "quality", "frames"];
        for name in read.into_iter().chain(["duration_s", "partial", "error"]).chain(IGNORED) {
            assert!(declared::is_name_in_files(name), "{name}");
        }
    }

    #[test]
    fn every_hash_type_is_a_field() {
        for hash_type in HashType::known() {
            let hash = Hash::sample(hash_type, 3);
            let text = hash.to_text();
            let draft = read(&format!("{{\"{hash_type}\":[\"{text}\"],\"labels\":[]}}")).unwrap().unwrap();
            assert_eq!(draft.hashes, [hash]);
        }
    }

    #[test]
    fn the_frames_of_a_hashed_video_are_one_hash_and_those_of_a_picture_none() {
        let frame = |time_s: &str| {
            format!("{{\"frame\":3,\"time_s\":{time_s},\"pdq\":\"{}\",\"quality\":99}}", "ab".repeat(32))
        };
        let line = |rest: &str| {
            let frames = [frame("0.0"), frame("1.0004")].join(",");
            format!(
                "{{\"file\":\"x/a.mp4\",\"width\":1,\"height\":1,{rest}\"frames\":[{frames}],\"md5\":\"{}\"}}",
                "cd".repeat(16)
            )
        };
        let video = read(&line("\"duration_s\":2.0,\"partial\":null,")).unwrap().unwrap();
        assert_eq!((video.external_reference.as_str(), video.hashes.len()), ("a.mp4", 2));
        let frames: Vec<Frame> = video.hashes[1].frames().unwrap().iter().collect();
        assert_eq!(
            frames.iter().map(|frame| (frame.time_ms, frame.quality)).collect::<Vec<_>>(),
            [(0, 99), (1_000, 99)]
        );
        let picture = read(&line("")).unwrap().unwrap();
        assert_eq!(picture.hashes.len(), 1);
        assert!(
            read(&line("\"partial\":\"damaged\",").replace("1.0004", "-1"))
                .unwrap_err()
                .contains("at no time")
        );
    }

    #[test]
    fn a_field_that_comes_twice_is_refused() {
        assert!(read("{\"labels\":[],\"labels\":[]}").is_err());
    }

    #[test]
    fn a_field_that_is_not_known_is_refused_or_counted() {
        let text = format!("{{\"md5\":\"{}\",\"simhash\":\"x\",\"colour\":3}}", "ab".repeat(16));
        assert!(read(&text).unwrap_err().contains("unknown field"));
        let mut left_out = LeftOut::default();
        let draft = ItemJson::read(&text).unwrap().into_draft(Unknown::Ignored, &mut left_out).unwrap();
        assert_eq!((draft.unwrap().hashes.len(), left_out.unknown.len()), (1, 2));
        let of_others = ItemJson::read("{\"simhash\":\"x\"}").unwrap();
        assert!(of_others.into_draft(Unknown::Ignored, &mut left_out).unwrap().is_none());
    }
}
