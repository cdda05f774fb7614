//! Converts updates to records, and records to updates.

use std::collections::BTreeMap;

use vigie_consortium::OpinionReason;
use vigie_model::UnixMillis;

use super::page::{Descriptor, Page, Status, Tag, Update};
use crate::programme::hash_text::{self, Kind, Reading};
use crate::programme::{HashText, Key, Media, Opinion, Record, Tally, View};
use crate::utc;

/// The programme's words and their hash types. If two words share a type, the first one is written.
pub(super) const KINDS: &[Kind] = &[
    Kind { word: "HASH_PDQ", number: 1, media: Some(Media::Image) },
    Kind { word: "HASH_VIDEO_MD5", number: 2, media: Some(Media::Video) },
    Kind { word: "HASH_MD5", number: 2, media: None },
    Kind { word: "HASH_VIDEO_SHA256", number: 3, media: Some(Media::Video) },
    Kind { word: "HASH_SHA256", number: 3, media: None },
    Kind { word: "HASH_SHA1", number: 4, media: None },
    Kind { word: "HASH_SHA512", number: 5, media: None },
    Kind { word: "HASH_TEXT_TLSH", number: 7, media: None },
    Kind { word: VPDQ, number: 10, media: Some(Media::Video) },
];

/// The word for the frames of a video, in the form of threatexchange's signal `vpdq`. The programme has no
/// type of its own for them today.
pub(super) const VPDQ: &str = "HASH_VPDQ";
/// The type of arbitrary values, and the tag by which python-threatexchange recognises the signal `vpdq`
/// among them.
const DEBUG_STRING: &str = "DEBUG_STRING";
/// The tag of a value of type [`DEBUG_STRING`] that is a `vpdq` signal.
const VPDQ_TAG: &str = "signal_type:vpdq";

/// The tag of a digest of a video.
const VIDEO_TAG: &str = "media_type_video";

/// Returns the records of a page, keyed by type and indicator, and the counts of what was left out.
#[must_use]
pub fn records(page: &Page) -> (Vec<Record>, Tally) {
    let mut tally = Tally::default();
    let records = page.updates.iter().filter_map(|update| record(update, &mut tally)).collect();
    (records, tally)
}

fn record(update: &Update, tally: &mut Tally) -> Option<Record> {
    let is_debug = update.kind.eq_ignore_ascii_case(DEBUG_STRING);
    // A deletion has no tags, but the same key.
    let read = |kind| hash_text::read(KINDS, kind, &update.indicator);
    let hash = match if is_debug { read(VPDQ) } else { read(&update.kind) } {
        Reading::Hash(hash) => Some(hash),
        Reading::UnknownType | Reading::BadValue => None,
    };
    let Ok(key) = Key::of_value(&update.kind, &update.indicator, hash.as_ref()) else {
        tally.bad_records += 1;
        return None;
    };
    let mut record = Record::new(key);
    let has_tag = || {
        let mut tags = update.descriptors.iter().flatten().flat_map(|descriptor| &descriptor.tags);
        tags.any(|tag| tag.text == VPDQ_TAG)
    };
    let kind = if is_debug && has_tag() { VPDQ } else { &update.kind };
    record.take(&update.kind, &update.indicator, read(kind), tally);
    record.changed_at = Some(UnixMillis(update.last_updated.saturating_mul(1_000)));
    // A descriptor without an owner is not meant for the caller.
    let descriptors: Vec<&Descriptor> =
        update.descriptors.iter().flatten().filter(|descriptor| descriptor.owner.is_some()).collect();
    record.withdrawn = update.should_delete || descriptors.is_empty();
    if record.withdrawn {
        return Some(record);
    }
    record.opinions = opinions(&descriptors);
    record.owner = descriptors.first().and_then(|descriptor| descriptor.owner.clone());
    let tags = descriptors.iter().flat_map(|descriptor| &descriptor.tags);
    for Tag { text, .. } in tags {
        if !record.labels.contains(text) {
            record.labels.push(text.clone());
        }
    }
    let kind = KINDS.iter().find(|one| one.word.eq_ignore_ascii_case(kind));
    let is_video = record.labels.iter().any(|label| label == VIDEO_TAG);
    record.media = kind.and_then(|kind| kind.media).or(is_video.then_some(Media::Video));
    Some(record)
}

/// Returns one opinion for each app: its own status outweighs its reactions. Of these, `HELPFUL` outweighs
/// `DISAGREE_WITH_TAGS` and `NOT_HELPFUL`.
fn opinions(descriptors: &[&Descriptor]) -> Vec<Opinion> {
    let mut opinions: BTreeMap<&str, Opinion> = BTreeMap::new();
    for descriptor in descriptors {
        let Some(owner) = &descriptor.owner else { continue };
        let (view, reason) = match descriptor.status {
            Status::Malicious => (View::Positive, None),
            Status::NonMalicious => (View::Negative, Some(OpinionReason::OutOfScope)),
            Status::Suspicious | Status::Unknown | Status::Other(_) => (View::Seed, None),
        };
        let tags = descriptor.tags.iter().map(|tag| tag.text.clone());
        let words = [descriptor.status.as_str().to_owned()].into_iter().chain(tags).collect();
        let at = descriptor.added_on.as_deref().and_then(utc::from_text);
        opinions.insert(owner, Opinion { by: Some(owner.clone()), about: None, view, reason, words, at });
    }
    let mut reactions: BTreeMap<&str, Opinion> = BTreeMap::new();
    for reaction in descriptors.iter().flat_map(|descriptor| &descriptor.reactions) {
        let (view, reason) = match reaction.kind.as_str() {
            "HELPFUL" => (View::Positive, None),
            "DISAGREE_WITH_TAGS" => (View::Negative, Some(OpinionReason::WrongClassification)),
            "NOT_HELPFUL" => (View::Negative, Some(OpinionReason::Other)),
            "SAW_THIS_TOO" => (View::Seen, None),
            _ => (View::Seed, None),
        };
        for app in reaction.apps.iter().filter(|app| !opinions.contains_key(app.as_str())) {
            let opinion = reactions.entry(app).or_insert_with(|| Opinion {
                by: Some(app.clone()),
                about: None,
                view,
                reason,
                words: Vec::new(),
                at: None,
            });
            if weight(view) > weight(opinion.view) {
                (opinion.view, opinion.reason) = (view, reason);
                opinion.words.insert(0, reaction.kind.clone());
            } else {
                opinion.words.push(reaction.kind.clone());
            }
        }
    }
    opinions.into_values().chain(reactions.into_values()).collect()
}

/// Returns the weight of an app's reaction; the one with the largest weight counts.
const fn weight(view: View) -> u8 {
    match view {
        View::Positive => 3,
        View::Negative => 2,
        View::Seen => 1,
        View::Seed => 0,
    }
}

/// Returns the updates of a record, shared by an app: one for each hash for which the programme has a word.
/// Their ids are the item's id followed by two digits, which number its hashes.
#[must_use]
pub fn updates(record: &Record, item_id: u64, app: u64) -> Vec<Update> {
    let tag = |text: &String| Tag { id: "1".to_owned(), text: text.clone() };
    let update = |(at, hash): (usize, _)| {
        let kind = hash_text::word(KINDS, hash, record.media)?;
        let id = format!("{item_id}{at:02}");
        let descriptor = Descriptor {
            id: id.clone(),
            owner: Some(app.to_string()),
            status: Status::Malicious,
            tags: record.labels.iter().map(tag).collect(),
            reactions: Vec::new(),
            added_on: None,
        };
        Some(Update {
            id,
            indicator: HashText::of(hash),
            kind: kind.to_owned(),
            last_updated: record.changed_at.map_or(0, |at| at.0 / 1_000),
            should_delete: record.withdrawn,
            descriptors: (!record.withdrawn).then(|| vec![descriptor]),
        })
    };
    record.hashes.iter().enumerate().filter_map(update).collect()
}
