//! Converts entries to records, and records to entries.

use vigie_consortium::{Class, OpinionReason};
use vigie_model::{Hash, ItemContent};

use super::page::{Entry, Feedback, Fingerprint, Member, Page, Statement};
use crate::programme::hash_text::{self, Kind};
use crate::programme::{HashText, Key, Media, Opinion, Record, Tally, View};

/// The programme's elements and their hash types. `netclean`, `videntifier`, `tmk-pdqf` and the two of Safer
/// have no row here.
const KINDS: &[Kind] = &[
    Kind { word: "pdq", number: 1, media: None },
    Kind { word: "md5", number: 2, media: None },
    Kind { word: "sha1", number: 4, media: None },
    Kind { word: "pdna", number: 6, media: None },
];

/// The taxonomy of the programme's classification.
const TAXONOMY: &str = "ncmec";
/// The only dimension of the taxonomy.
const DIMENSION: &str = "classification";

/// The word for feedback that is not negative, which has no reason.
const AFFIRMATIVE: &str = "affirmative";

/// Returns the records of a page, keyed by member and entry, and the counts of what was left out.
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
        match value {
            Some(value) => record.take(kind, value, hash_text::read(KINDS, kind, value), tally),
            // A large fingerprint, such as TMK of a video, is a link that must not be kept.
            None => tally.unknown_types += 1,
        }
    }
    if let Some(word) = &entry.classification {
        match Class::new(TAXONOMY, DIMENSION, word) {
            Ok(class) => record.classes.push(class),
            // A word that is not in the known taxonomy: programmes add words.
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
        Statement::Affirmative => (View::Positive, vec![AFFIRMATIVE.to_owned()]),
        Statement::Negative(reason) => (
            View::Negative,
            [&reason.guid, &reason.name].into_iter().filter(|w| !w.is_empty()).cloned().collect(),
        ),
    };
    feedback.members.iter().map(move |one| Opinion {
        by: Some(member(one)),
        about: Some(feedback.kind.clone()),
        view,
        // The reasons differ between environments and are identified by ids.
        reason: (view == View::Negative).then_some(OpinionReason::Other),
        words: words.clone(),
        at: feedback.at,
    })
}

/// Returns the entries of a record, shared by `member` under `id`.
///
/// Clients keep one fingerprint of a type for each entry, so an item with several hashes of one type becomes
/// several entries: `id`, `id.1`, `id.2` and so on. If the media is not known, perceptual hashes count as
/// those of images and digests as those of videos, because clients match digests of videos only. A withdrawn
/// record becomes the tombstones of all its entries; if its hashes are no longer known, of as many as an item
/// can have. Hashes of types that the programme does not share are left out.
#[must_use]
pub fn entries(record: &Record, member: &Member, id: &str) -> Vec<Entry> {
    let class =
        record.classes.iter().find(|class| class.taxonomy() == TAXONOMY && class.dimension() == DIMENSION);
    let mut parts = parts(record);
    if record.withdrawn && record.hashes.is_empty() {
        parts.resize(ItemContent::HASHES_MAX, (Media::Image, Vec::new()));
    }
    let entry = |(number, (media, hashes)): (usize, Part<'_>)| {
        let fingerprint = |(word, hash): (&str, &Hash)| Fingerprint {
            kind: word.to_owned(),
            value: Some(HashText::of(hash)),
        };
        let living = !record.withdrawn;
        Entry {
            media,
            deleted: record.withdrawn,
            member: member.clone(),
            id: if number == 0 { id.to_owned() } else { format!("{id}.{number}") },
            timestamp: record.changed_at,
            classification: class.filter(|_| living).map(|class| class.value().to_owned()),
            fingerprints: hashes.into_iter().filter(|_| living).map(fingerprint).collect(),
            feedback: Vec::new(),
        }
    };
    parts.into_iter().enumerate().map(entry).collect()
}

/// The media and the hashes of one entry. The hashes are keyed by their words, and each word occurs once.
type Part<'a> = (Media, Vec<(&'static str, &'a Hash)>);

/// Returns the media and the hashes of each entry.
fn parts(record: &Record) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    // Images before videos, so that the first entry always has the item's own id.
    for media in [Media::Image, Media::Video] {
        let first = parts.len();
        for hash in
            record.hashes.iter().filter(|hash| record.media.unwrap_or_else(|| media_of(hash)) == media)
        {
            let Some(word) = hash_text::word(KINDS, hash, None) else { continue };
            let has_room = |(_, hashes): &&mut Part<'_>| hashes.iter().all(|(other, _)| *other != word);
            match parts.iter_mut().skip(first).find(has_room) {
                Some((_, hashes)) => hashes.push((word, hash)),
                None => parts.push((media, vec![(word, hash)])),
            }
        }
    }
    parts
}

/// Returns the media of a hash whose item does not name it.
fn media_of(hash: &Hash) -> Media {
    match hash.hash_type().number() {
        1 | 6 => Media::Image,
        _ => Media::Video,
    }
}
