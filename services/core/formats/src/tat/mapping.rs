//! Converts entries to records, and records to entries.

use vigie_model::{Hash, UnixMillis};

use super::page::{Entry, Page};
use crate::programme::hash_text::{self, Kind, Reading};
use crate::programme::{HashText, Key, Media, Record, Tally};
use crate::utc;

/// The programme's words and their hash types.
const KINDS: &[Kind] = &[
    Kind { word: "PDQ", number: 1, media: None },
    Kind { word: "MD5", number: 2, media: None },
    Kind { word: "SHA256", number: 3, media: None },
    Kind { word: "SHA1", number: 4, media: None },
    Kind { word: "SHA512", number: 5, media: None },
];

/// The file extensions of videos whose MD5 clients match.
const VIDEOS: [&str; 4] = ["mov", "m4v", "mp4", "webm"];

/// Returns the records of a page, keyed by algorithm and digest, and the counts of what was left out.
#[must_use]
pub fn records(page: &Page) -> (Vec<Record>, Tally) {
    let mut tally = Tally::default();
    let records = page.entries.iter().filter_map(|entry| record(entry, &mut tally)).collect();
    (records, tally)
}

fn record(entry: &Entry, tally: &mut Tally) -> Option<Record> {
    let reading = hash_text::read(KINDS, &entry.algorithm, &entry.hash_digest);
    let hash = match &reading {
        Reading::Hash(hash) => Some(hash),
        Reading::UnknownType | Reading::BadValue => None,
    };
    let Ok(key) = Key::of_value(&entry.algorithm, &entry.hash_digest, hash) else {
        tally.bad_records += 1;
        return None;
    };
    let mut record = Record::new(key);
    record.take(&entry.algorithm, &entry.hash_digest, reading, tally);
    record.withdrawn = entry.deleted;
    record.changed_at = Some(UnixMillis(entry.updated_on / 1_000));
    let is_video = VIDEOS.iter().any(|extension| entry.file_type.eq_ignore_ascii_case(extension));
    record.media = is_video.then_some(Media::Video);
    if !entry.ideology.is_empty() {
        record.labels.push(entry.ideology.clone());
    }
    Some(record)
}

/// Returns the entries of a record: one for each hash for which the programme has a word. All of them have
/// the number `id`: clients identify an entry by its algorithm and digest.
#[must_use]
pub fn entries(record: &Record, id: u64) -> Vec<Entry> {
    let changed_at = record.changed_at.unwrap_or(UnixMillis(0));
    let ideologies = ["islamist", "far-right"];
    let ideology = record.labels.iter().find(|label| ideologies.contains(&label.as_str()));
    // Clients match an MD5 only for videos, so a digest whose media is not known counts as one of a video.
    let is_image =
        |hash: &Hash| record.media.map_or(hash.hash_type().number() == 1, |media| media == Media::Image);
    let entry = |hash: &Hash| {
        let algorithm = hash_text::word(KINDS, hash, None)?;
        Some(Entry {
            hash_digest: HashText::of(hash),
            algorithm: algorithm.to_owned(),
            ideology: ideology.cloned().unwrap_or_else(|| "all".to_owned()),
            file_type: if is_image(hash) { "jpg" } else { "mp4" }.to_owned(),
            deleted: record.withdrawn,
            updated_on: changed_at.0.saturating_mul(1_000),
            created_on: utc::to_text(changed_at),
            id,
        })
    };
    record.hashes.iter().filter_map(entry).collect()
}
