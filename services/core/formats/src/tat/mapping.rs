//! Entries as records, and back.

use vigie_model::UnixMillis;

use super::page::{Entry, Page};
use crate::programme::hash_text::{self, Kind, Reading};
use crate::programme::{HashText, Key, Media, Record, Tally};
use crate::utc;

/// The programme's types by their words.
const KINDS: &[Kind] = &[
    Kind { word: "PDQ", number: 1, media: None },
    Kind { word: "MD5", number: 2, media: None },
    Kind { word: "SHA256", number: 3, media: None },
    Kind { word: "SHA1", number: 4, media: None },
    Kind { word: "SHA512", number: 5, media: None },
];

/// Extensions of the videos whose MD5 clients match.
const VIDEOS: [&str; 4] = ["mov", "m4v", "mp4", "webm"];

/// The records of a page, keyed by algorithm and digest, and the count of what was left out.
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

/// The entries of a record of ours, one for each of its hashes that the programme has a word for. `id` numbers all of them: clients
/// identify an entry by its algorithm and digest.
#[must_use]
pub fn entries(record: &Record, id: u64) -> Vec<Entry> {
    let changed_at = record.changed_at.unwrap_or(UnixMillis(0));
    let ideologies = ["islamist", "far-right"];
    let ideology = record.labels.iter().find(|label| ideologies.contains(&label.as_str()));
    // Clients match an MD5 of a video alone.
    let is_image =
        record.media == Some(Media::Image) || record.hashes.iter().any(|hash| hash.hash_type().number() == 1);
    let entry = |hash| {
        let algorithm = hash_text::word(KINDS, hash, None)?;
        Some(Entry {
            hash_digest: HashText::of(hash),
            algorithm: algorithm.to_owned(),
            ideology: ideology.cloned().unwrap_or_else(|| "all".to_owned()),
            file_type: if is_image { "jpg" } else { "mp4" }.to_owned(),
            deleted: record.withdrawn,
            updated_on: changed_at.0.saturating_mul(1_000),
            created_on: utc::to_text(changed_at),
            id,
        })
    };
    record.hashes.iter().filter_map(entry).collect()
}
