//! The opinions of the members of simulated programmes, in the words of each programme, and the opinions that
//! a bank makes of them.

use vigie_formats::{ncmec, stop_ncii, threat_exchange};
use vigie_model::OpinionKind;

use super::model::{Said, Thing};

/// Returns the opinion that a bank gets about a thing, with the programme's word for it. `words` are the
/// words for right, wrong and seen, if the programme has them.
pub(crate) fn opinion(
    words: [Option<&'static str>; 3],
    thing: &Thing,
) -> Option<(Option<OpinionKind>, &'static str)> {
    let [right, wrong, seen] = words;
    let (kind, word) = match thing.said {
        Said::Nothing => return None,
        Said::Right => (Some(OpinionKind::Positive), right),
        Said::Wrong => (Some(OpinionKind::Negative), wrong),
        Said::Seen => (Some(OpinionKind::Seen), seen),
        Said::Both => (None, right.and(Some(""))),
    };
    word.map(|word| (kind, word))
}

/// Adds the opinions about a thing to its entries.
pub(crate) fn of_entries(mut entries: Vec<ncmec::Entry>, said: Said) -> Vec<ncmec::Entry> {
    let feedback = |statement, id| ncmec::Feedback {
        kind: "Md5".to_owned(),
        statement,
        at: None,
        members: vec![ncmec::Member { id, name: "Other".to_owned() }],
    };
    let reason = || ncmec::Reason { guid: "g-1".to_owned(), name: "Not illegal".to_owned() };
    for entry in entries.iter_mut().filter(|entry| !entry.deleted) {
        // The member that shares the entry confirms it too, which adds nothing.
        entry.feedback.push(feedback(ncmec::Statement::Affirmative, entry.member.id));
        entry.feedback[0].members[0] = entry.member.clone();
        entry.feedback.extend(said.is_right().then(|| feedback(ncmec::Statement::Affirmative, 20)));
        entry.feedback.extend(said.is_wrong().then(|| feedback(ncmec::Statement::Negative(reason()), 21)));
    }
    entries
}

/// Adds the opinions about a thing to its updates.
pub(crate) fn of_updates(
    mut updates: Vec<threat_exchange::Update>,
    said: Said,
) -> Vec<threat_exchange::Update> {
    let words = [
        (said.is_right(), "HELPFUL", "20"),
        (said.is_wrong(), "NOT_HELPFUL", "21"),
        (said == Said::Seen, "SAW_THIS_TOO", "22"),
        (true, "WANT_MORE_INFO", "23"),
    ];
    let words = words.iter().filter(|(is_said, ..)| *is_said).map(|(_, word, app)| {
        threat_exchange::Reaction { kind: (*word).to_owned(), apps: [(*app).to_owned()].into() }
    });
    let reactions: Vec<_> = words.collect();
    for descriptor in updates.iter_mut().filter_map(|update| update.descriptors.as_mut()).flatten() {
        descriptor.reactions = reactions.clone();
    }
    updates
}

/// Adds the opinions about a thing to its records.
pub(crate) fn of_records(mut records: Vec<stop_ncii::HashRecord>, said: Said) -> Vec<stop_ncii::HashRecord> {
    let words = [
        (said.is_right(), "Blocked"),
        (said.is_wrong(), "NotBlocked"),
        (said == Said::Seen, "PendingReview"),
        (true, "None"),
    ];
    let words = words.iter().filter(|(is_said, _)| *is_said);
    let feedback = |(_, word): &(bool, &str)| stop_ncii::Feedback {
        source: format!("Platform {word}"),
        feedback_value: stop_ncii::FeedbackValue::from(*word),
        tags: Vec::new(),
    };
    let feedbacks: Vec<_> = words.map(feedback).collect();
    records.iter_mut().for_each(|record| record.feedbacks = feedbacks.clone());
    records
}
