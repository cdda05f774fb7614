//! Entries as records, and back.

use vigie_consortium::Class;
use vigie_model::{Hash, ItemContent};

use super::page::{Entry, Feedback, Fingerprint, Member, Page, Statement};
use crate::programme::hash_text::{self, Kind};
use crate::programme::{HashText, Key, Media, Opinion, Record, Tally, View};

/// The programme's types by their elements. `netclean`, `videntifier`, `tmk-pdqf` and the two of Safer have no row here.
const KINDS: &[Kind] = &[
    Kind { word: "pdq", number: 1, media: None },
    Kind { word: "md5", number: 2, media: None },
    Kind { word: "sha1", number: 4, media: None },
    Kind { word: "pdna", number: 6, media: None },
];

/// The taxonomy of the programme's classification.
const TAXONOMY: &str = "ncmec";
/// Its only dimension.
const DIMENSION: &str = "classification";

/// The records of a page, keyed by member and entry, and the count of what was left out.
#[must_use]
pub fn records(page: &Page) -> (Vec<Record>, Tally) {
    let mut tally = Tally::default();
    let records = page.entries.iter().filter_map(|entry| record(entry, &mut tally)).collect();
    (records, tally)
}

fn record(entry: &Entry, tally: &mut Tally) -> Option<Record> {
    let Ok(key) = Key::new(&format!("{}-{}", entry.member.id, entry.id)) else {
        tally.bad_records += 1;
        return None;
    };
    let mut record = Record::new(key);
    record.withdrawn = entry.deleted;
    record.media = Some(entry.media);
    record.owner = Some(member(&entry.member));
    record.changed_at = entry.timestamp;
    for Fingerprint { kind, value } in &entry.fingerprints {
        if let Some(value) = value {
            record.take(kind, value, hash_text::read(KINDS, kind, value), tally);
        }
    }
    if let Some(word) = &entry.classification {
        match Class::new(TAXONOMY, DIMENSION, word) {
            Ok(class) => record.classes.push(class),
            // A word that the known taxonomy has not: programmes add some.
            Err(_) => record.labels.push(format!("{TAXONOMY}:{word}")),
        }
    }
    record.opinions = entry.feedback.iter().flat_map(opinions).collect();
    Some(record)
}

fn member(member: &Member) -> String {
    format!("{} {}", member.id, member.name).trim_end().to_owned()
}

fn opinions(feedback: &Feedback) -> impl Iterator<Item = Opinion> {
    let (view, words) = match &feedback.statement {
        Statement::Affirmative => (View::Positive, Vec::new()),
        Statement::Negative(reason) => (
            View::Negative,
            [&reason.name, &reason.guid].into_iter().filter(|w| !w.is_empty()).cloned().collect(),
        ),
    };
    feedback.members.iter().map(move |one| Opinion {
        by: Some(member(one)),
        about: Some(feedback.kind.clone()),
        view,
        words: words.clone(),
        at: feedback.at,
    })
}

/// The entries of a record of ours, shared by `member` under `id`.
///
/// Clients keep one fingerprint of a type for each entry, so an item with several hashes of one type makes several entries: `id`,
/// `id.1`, `id.2` and so on. A withdrawn record makes the tombstones of all of them; where its hashes are no longer known, of as many as
/// an item can have. Hashes of types that the programme does not share are left out.
#[must_use]
pub fn entries(record: &Record, member: &Member, id: &str) -> Vec<Entry> {
    let words: Vec<(&str, &Hash)> =
        record.hashes.iter().filter_map(|hash| Some((hash_text::word(KINDS, hash, None)?, hash))).collect();
    // The number of the entry that holds each hash: how many of its type come before it.
    let place = |at: usize| {
        let (word, _) = words[at];
        words.iter().take(at).filter(|(other, _)| *other == word).count()
    };
    let places: Vec<usize> = (0..words.len()).map(place).collect();
    let known = places.iter().max().map_or(0, |last| last + 1);
    let count = if record.withdrawn && record.hashes.is_empty() { ItemContent::HASHES_MAX } else { known };
    let class =
        record.classes.iter().find(|class| class.taxonomy() == TAXONOMY && class.dimension() == DIMENSION);
    let entry = |part: usize| {
        let hashes = words.iter().zip(&places).filter(|(_, place)| **place == part);
        let fingerprint = |((word, hash), _): (&(&str, &Hash), &usize)| Fingerprint {
            kind: (*word).to_owned(),
            value: Some(HashText::of(hash)),
        };
        Entry {
            media: record.media.unwrap_or_else(|| media(&record.hashes)),
            deleted: record.withdrawn,
            member: member.clone(),
            id: if part == 0 { id.to_owned() } else { format!("{id}.{part}") },
            timestamp: record.changed_at,
            classification: class.filter(|_| !record.withdrawn).map(|class| class.value().to_owned()),
            fingerprints: if record.withdrawn { Vec::new() } else { hashes.map(fingerprint).collect() },
            feedback: Vec::new(),
        }
    };
    (0..count).map(entry).collect()
}

/// The media of an item that does not say it: a picture where it has a hash of pictures; otherwise a video, because clients match
/// digests of videos alone.
fn media(hashes: &[Hash]) -> Media {
    let is_of_pictures = |hash: &Hash| [1, 6].contains(&hash.hash_type().number());
    if hashes.iter().any(is_of_pictures) { Media::Image } else { Media::Video }
}
