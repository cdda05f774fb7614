//! Converts the programme's records to those of all programmes, and back.

use std::collections::BTreeMap;

use vigie_consortium::OpinionReason;
use vigie_model::UnixMillis;

use super::page::{CaseStatus, Feedback, FeedbackValue, HashRecord, Page, SignalType};
use crate::programme::hash_text::{self, Kind, Reading};
use crate::programme::{HashText, Key, Media, Opinion, Record, Tally, View};

/// The programme's words and their hash types. TMK, texts and URLs have no row here. The programme announces
/// PhotoDNA, but its word is not known.
pub(super) const KINDS: &[Kind] = &[
    Kind { word: "ImagePDQ", number: 1, media: Some(Media::Image) },
    Kind { word: "VideoMD5", number: 2, media: Some(Media::Video) },
];

/// Returns the records of a page, keyed by type and value, and the counts of what was left out.
#[must_use]
pub fn records(page: &Page) -> (Vec<Record>, Tally) {
    let mut tally = Tally::default();
    let records = page.records.iter().filter_map(|one| record(one, &mut tally)).collect();
    (records, tally)
}

fn record(one: &HashRecord, tally: &mut Tally) -> Option<Record> {
    let kind = one.signal_type.as_str();
    let reading = hash_text::read(KINDS, kind, &one.hash_value);
    let hash = match &reading {
        Reading::Hash(hash) => Some(hash),
        Reading::UnknownType | Reading::BadValue => None,
    };
    let Ok(key) = Key::of_value(kind, &one.hash_value, hash) else {
        tally.bad_records += 1;
        return None;
    };
    let mut record = Record::new(key);
    record.take(kind, &one.hash_value, reading, tally);
    record.withdrawn = is_gone(one);
    record.media = KINDS.iter().find(|row| row.word == kind).and_then(|row| row.media);
    record.changed_at = Some(UnixMillis(one.last_mod_timestamp.saturating_mul(1_000)));
    record.opinions = one.feedbacks.iter().map(opinion).collect();
    // Hashes submitted by a person have not been reviewed.
    record.opinions.push(Opinion {
        by: None,
        about: None,
        view: View::Seed,
        reason: None,
        words: vec![one.hash_status.as_str().to_owned()],
        at: None,
    });
    Some(record)
}

/// Checks whether the hash is withdrawn: by its own state, or because each of its cases is.
fn is_gone(record: &HashRecord) -> bool {
    let cases = &record.case_numbers;
    record.hash_status.is_gone() || !cases.is_empty() && cases.values().all(CaseStatus::is_gone)
}

fn opinion(feedback: &Feedback) -> Opinion {
    let view = match feedback.feedback_value {
        FeedbackValue::Blocked => View::Positive,
        FeedbackValue::NotBlocked => View::Negative,
        // The platform has found the content, but has not reviewed it.
        FeedbackValue::PendingReview => View::Seen,
        FeedbackValue::QualityUnknown
        | FeedbackValue::None
        | FeedbackValue::Withdrawn
        | FeedbackValue::Deleted
        | FeedbackValue::Unknown
        | FeedbackValue::Other(_) => View::Seed,
    };
    let value = feedback.feedback_value.as_str().to_owned();
    Opinion {
        by: (!feedback.source.is_empty()).then(|| feedback.source.clone()),
        about: None,
        view,
        // The programme gives no reason.
        reason: (view == View::Negative).then_some(OpinionReason::Other),
        words: [value].into_iter().chain(feedback.tags.iter().cloned()).collect(),
        at: None,
    }
}

/// Returns the programme's records for a record: one for each hash for which the programme has a word. `case`
/// is the case to which they belong.
#[must_use]
pub fn hash_records(record: &Record, case: &str) -> Vec<HashRecord> {
    let status = if record.withdrawn { CaseStatus::Withdrawn } else { CaseStatus::Active };
    let one = |hash| {
        let word = hash_text::word(KINDS, hash, None)?;
        Some(HashRecord {
            last_mod_timestamp: record.changed_at.map_or(0, |at| at.0 / 1_000),
            signal_type: SignalType::from(word),
            hash_value: HashText::of(hash),
            hash_status: status.clone(),
            case_numbers: BTreeMap::from([(case.to_owned(), status.clone())]),
            feedbacks: Vec::new(),
        })
    };
    record.hashes.iter().filter_map(one).collect()
}
