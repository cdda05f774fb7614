//! Checks pages in the programme's structure, with data of our own, and that reading a written page returns
//! the same.

use proptest::prelude::*;
use vigie_model::{Hash, UnixMillis};

use super::submission::{
    SubmittedFeedback, SubmittedHash, parse_feedback, parse_hashes, render_feedback, render_hashes,
};
use super::*;
use crate::programme::{Fault, HashText, Key, Media, Record, Tally, View};

const PAGE: &str = r#"{"count": 7, "nextPageToken": "token", "nextSetTimestamp": 1725175071, "hasMoreRecords": true, "hashRecords": [
  {"lastModtimestamp": 1725167804, "signalType": "ImagePDQ", "hashStatus": "Active", "hashRegions": ["UK"],
   "hashValue": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
   "caseNumbers": {"case-1": "Withdrawn", "case-2": "Active"},
   "CSPFeedbacks": [{"source": "Acme", "feedbackValue": "Blocked", "tags": ["Nude"]},
                    {"source": "Other", "feedbackValue": "NotBlocked", "tags": []},
                    {"source": "Third", "feedbackValue": "NewWord"}]},
  {"lastModtimestamp": 1725167805, "signalType": "StopNCIISignalType.VideoMD5", "hashStatus": "Withdrawn",
   "hashValue": "00112233445566778899aabbccddeeff", "caseNumbers": []},
  {"lastModtimestamp": 1725167806, "signalType": "ImagePDQ", "hashStatus": "Active",
   "hashValue": "FF23456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
   "caseNumbers": {"case-3": "Withdrawn", "case-4": "Deleted"}, "CSPFeedbacks": null},
  {"lastModtimestamp": 1725167807, "signalType": "ImagePDQ", "hashStatus": "Active",
   "hashValue": "00000000000000000000000000000000", "caseNumbers": {}},
  {"lastModtimestamp": 1725167808, "signalType": "VideoTMK", "hashStatus": "Received", "hashValue": "long text", "caseNumbers": {}},
  {"lastModtimestamp": 1725167809, "signalType": "Text", "hashStatus": "Received", "hashValue": "x", "caseNumbers": ["no", "map"]},
  {"signalType": 7}]}"#;

#[test]
fn a_page_in_the_programmes_shape_is_read_and_a_bad_record_costs_itself() {
    let page = parse(PAGE.as_bytes()).unwrap();
    assert_eq!(page.tally, Tally { bad_records: 2, ..Tally::default() });
    assert_eq!((page.next_page_token.as_deref(), page.has_more_records), (Some("token"), true));
    assert_eq!((page.records.len(), page.next_set_timestamp), (5, 1_725_175_071));
    assert_eq!(page.records[1].signal_type, SignalType::VideoMd5);
    assert_eq!(page.records[0].feedbacks[2].feedback_value, FeedbackValue::Other("NewWord".into()));
    assert!(!format!("{page:?}").contains("0123456789abcdef"), "Debug shows a hash");
}

#[test]
fn a_withdrawal_is_recognised_by_the_status_or_by_all_cases() {
    let (records, tally) = records(&parse(PAGE.as_bytes()).unwrap());
    assert_eq!(tally, Tally { bad_values: 1, unknown_types: 1, ..Tally::default() });
    let withdrawn: Vec<bool> = records.iter().map(|record| record.withdrawn).collect();
    assert_eq!(withdrawn, [false, true, true, false, false]);
    let views: Vec<View> = records[0].opinions.iter().map(|opinion| opinion.view).collect();
    assert_eq!(views, [View::Positive, View::Negative, View::Seed, View::Seed]);
    assert_eq!(records[0].opinions[2].words, ["NewWord"]);
    assert_eq!((records[1].media, records[1].hashes.len()), (Some(Media::Video), 1));
    assert!(records[3].draft().is_none() && records[3].hashes.is_empty());
    assert_eq!(records[4].other_hashes[0].kind, "VideoTMK");
}

#[test]
fn every_word_of_feedback_is_an_opinion_or_says_nothing() {
    use vigie_consortium::OpinionReason;
    use vigie_model::OpinionKind::{Negative, Positive, Seen};

    let record = |values: &[&str]| HashRecord {
        last_mod_timestamp: 1,
        signal_type: SignalType::VideoMd5,
        hash_value: HashText::of(&Hash::md5([1; 16])),
        hash_status: CaseStatus::Active,
        case_numbers: Default::default(),
        feedbacks: values
            .iter()
            .enumerate()
            .map(|(at, value)| Feedback {
                source: format!("Platform {at}"),
                feedback_value: FeedbackValue::from(*value),
                tags: vec!["Nude".into()],
            })
            .collect(),
    };
    let said = |values: &[&str]| {
        let page = Page { records: vec![record(values)], ..Page::default() };
        records(&page).0[0].said(None).map(|said| (said.kind, said.reason, said.word.to_string()))
    };
    let alone = |kind, word: &str| {
        let reason = (kind == Negative).then_some(OpinionReason::Other);
        Some((Some(kind), reason, word.to_owned()))
    };
    for (value, expected) in [
        ("Blocked", alone(Positive, "Blocked")),
        ("NotBlocked", alone(Negative, "NotBlocked")),
        ("PendingReview", alone(Seen, "PendingReview")),
        ("QualityUnknown", None),
        ("None", None),
        ("Withdrawn", None),
        ("Deleted", None),
        ("Unknown", None),
        ("NewWord", None),
    ] {
        assert_eq!(said(&[value]), expected, "{value}");
        assert_eq!(said(&[value, value, "None"]), expected, "{value}");
    }
    assert_eq!(said(&["PendingReview", "NotBlocked"]), alone(Negative, "NotBlocked"));
    assert_eq!(said(&["Blocked", "PendingReview", "NotBlocked"]), Some((None, None, String::new())));
}

#[test]
fn every_truncation_is_a_fault() {
    for end in 0..PAGE.len() {
        assert_eq!(parse(&PAGE.as_bytes()[..end]), Err(Fault::Torn), "{end}");
    }
    let without = PAGE.replace("hasMoreRecords", "has_more");
    assert!(matches!(parse(without.as_bytes()), Err(Fault::Field { .. })));
}

#[test]
fn an_item_makes_a_record_for_each_hash_that_the_programme_knows() {
    let mut record = Record::new(Key::new("k").unwrap());
    record.hashes = vec![Hash::pdq([1; 32]), Hash::md5([3; 16]), Hash::sha256([4; 32])];
    record.changed_at = Some(UnixMillis(5_999));
    let page = |record: &Record| Page { records: hash_records(record, "7"), ..Page::default() };
    let (living, _) = records(&parse(&render(&page(&record))).unwrap());
    let hashes: Vec<Hash> = living.iter().flat_map(|one| one.hashes.clone()).collect();
    assert_eq!(hashes, record.hashes[..2]);
    record.withdrawn = true;
    let (gone, _) = records(&parse(&render(&page(&record))).unwrap());
    assert!(gone.iter().zip(&living).all(|(gone, living)| gone.withdrawn && gone.key == living.key));
}

#[test]
fn submissions_read_back_in_both_spellings() {
    let hash = SubmittedHash {
        last_mod_timestamp: 7,
        signal_type: SignalType::ImagePdq,
        hash_value: HashText::new("ab"),
        feedbacks: Vec::new(),
    };
    let body = render_hashes(std::slice::from_ref(&hash));
    assert_eq!(parse_hashes(&body), Ok((vec![hash.clone()], 0)));
    let prefixed = String::from_utf8(body).unwrap().replace("ImagePDQ", "StopNCIISignalType.ImagePDQ");
    assert_eq!(parse_hashes(prefixed.as_bytes()), Ok((vec![hash], 0)));
    let feedback = SubmittedFeedback {
        tags: vec!["a".into()],
        feedback_value: FeedbackValue::Blocked,
        hash_value: HashText::new("ab"),
    };
    assert_eq!(parse_feedback(&render_feedback(std::slice::from_ref(&feedback))), Ok((vec![feedback], 0)));
    assert_eq!(parse_feedback(br#"{"hashFeedbacks": [{}]}"#), Ok((vec![], 1)));
}

#[test]
fn a_hash_is_submitted_as_blocked_and_taken_back_by_its_value() {
    let (pdq, md5) = (Hash::pdq([1; 32]), Hash::md5([3; 16]));
    let tags = ["violence".to_owned()];
    let submit =
        |hash: &Hash, types: &[String]| SubmittedHash::blocked(hash, types, &tags, UnixMillis(5_999));
    let submitted = submit(&pdq, &[]).unwrap();
    assert_eq!((submitted.last_mod_timestamp, submitted.signal_type), (5, SignalType::ImagePdq));
    let [feedback] = <[Feedback; 1]>::try_from(submitted.feedbacks).unwrap();
    assert_eq!((feedback.feedback_value, feedback.tags.as_slice()), (FeedbackValue::Blocked, &tags[..]));
    let only_md5 = ["VideoMD5".to_owned()];
    assert_eq!(submit(&pdq, &only_md5), None);
    assert_eq!(submit(&md5, &only_md5).unwrap().signal_type, SignalType::VideoMd5);
    assert_eq!(submit(&Hash::sha256([4; 32]), &[]), None);
    assert_eq!(submit(&Hash::pdq([0; 32]), &[]), None);
    let withdrawn = SubmittedFeedback::withdrawn(&md5);
    assert_eq!(withdrawn.feedback_value, FeedbackValue::Withdrawn);
    // A value without a type identifies one hash, because the lengths of the types that can be submitted
    // differ.
    assert_ne!(pdq.to_text().len(), withdrawn.hash_value.as_str().len());
}

fn status() -> impl Strategy<Value = CaseStatus> {
    let words = ["Received", "Active", "Withdrawn", "Deleted", "Unknown", "Later"];
    proptest::sample::select(words.to_vec()).prop_map(CaseStatus::from)
}

fn any_feedback() -> impl Strategy<Value = Feedback> {
    let words = ["Blocked", "NotBlocked", "PendingReview", "None", "Later"];
    let value = proptest::sample::select(words.to_vec()).prop_map(FeedbackValue::from);
    (any::<String>(), value, proptest::collection::vec(any::<String>(), 0..3))
        .prop_map(|(source, feedback_value, tags)| Feedback { source, feedback_value, tags })
}

prop_compose! {
    fn any_record()(
        last_mod_timestamp in any::<u64>(),
        signal_type in proptest::sample::select(&["ImagePDQ", "VideoMD5", "Text", "Later"][..]),
        value in any::<String>(),
        hash_status in status(),
        case_numbers in proptest::collection::btree_map(any::<String>(), status(), 0..3),
        feedbacks in proptest::collection::vec(any_feedback(), 0..3),
    ) -> HashRecord {
        let (signal_type, hash_value) = (SignalType::from(signal_type), HashText::new(&value));
        HashRecord { last_mod_timestamp, signal_type, hash_value, hash_status, case_numbers, feedbacks }
    }
}

proptest! {
    #[test]
    fn a_page_that_is_written_reads_back(
        records in proptest::collection::vec(any_record(), 0..5),
        next_page_token in proptest::option::of("[a-z]{1,9}"),
        next_set_timestamp in any::<u64>(),
        has_more_records in any::<bool>(),
    ) {
        let tally = Tally::default();
        let page = Page { records, next_page_token, next_set_timestamp, has_more_records, tally };
        prop_assert_eq!(parse(&render(&page)), Ok(page));
    }
}
