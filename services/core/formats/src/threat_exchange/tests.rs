//! Checks pages in the programme's structure, with data of our own, and that reading a written page returns
//! the same.

use std::collections::BTreeSet;

use proptest::prelude::*;
use vigie_model::{Hash, HashType, UnixMillis};

use super::*;
use crate::programme::{Fault, HashText, Key, Media, Record, Tally, View};

fn pdq() -> String {
    "0123456789abcdef".repeat(4)
}

fn page() -> String {
    let pdq = pdq();
    format!(
        r#"{{"data": [
        {{"id": "100", "indicator": "{pdq}", "type": "HASH_PDQ", "last_updated": 1700000000, "should_delete": false,
          "descriptors": {{"data": [
            {{"id": 11, "owner": {{"id": "555", "name": "An app"}}, "status": "MALICIOUS", "added_on": "2024-01-02T03:04:05+0000",
              "tags": {{"data": [{{"id": "1", "text": "violence"}}, {{"id": "2", "text": "media_type_video"}}]}},
              "reactions": [{{"key": "HELPFUL", "value": "1,2"}}, {{"key": "DISAGREE_WITH_TAGS", "value": "2,3,555"}}]}},
            {{"id": "12", "owner": {{"id": 556}}, "status": "NON_MALICIOUS", "tags": ["violence"]}},
            {{"id": "13", "status": "MALICIOUS"}}]}}}},
        {{"id": "101", "indicator": "{pdq}", "type": "HASH_PDQ", "last_updated": "1700000001", "should_delete": true}},
        {{"id": "102", "indicator": "00112233445566778899aabbccddeeff", "type": "HASH_MD5", "last_updated": 1700000002, "should_delete": false}},
        {{"id": "103", "indicator": "https://example.com/a", "type": "RAW_URI", "last_updated": 1700000003, "should_delete": false,
          "descriptors": {{"data": [{{"id": "14", "owner": {{"id": "555"}}, "status": "NEW_WORD"}}]}}}},
        {{"id": "104", "indicator": "00000000000000000000000000000000", "type": "HASH_MD5", "last_updated": 1700000004,
          "descriptors": {{"data": [{{"id": "15", "owner": {{"id": "555"}}, "status": "MALICIOUS"}}]}}}},
        {{"id": "105", "type": "HASH_MD5"}},
        {{"id": "106", "indicator": "{pdq}", "type": "HASH_PDQ", "last_updated": 1700000005, "should_delete": false,
          "descriptors": {{"data": [{{"id": "16", "status": "MALICIOUS"}}]}}}}],
        "paging": {{"cursors": {{"after": "x"}}, "next": "https://graph.example/next?access_token=SECRET"}}}}"#
    )
}

#[test]
fn a_page_in_the_programmes_shape_is_read() {
    let page = parse(page().as_bytes()).unwrap();
    assert_eq!(page.tally, Tally { bad_records: 1, ..Tally::default() });
    assert_eq!(page.next.as_ref().unwrap().0, "https://graph.example/next?access_token=SECRET");
    assert!(!format!("{page:?}").contains("SECRET") && !format!("{page:?}").contains(&pdq()));
    let descriptors = page.updates[0].descriptors.as_ref().unwrap();
    assert_eq!((descriptors[0].id.as_str(), descriptors[1].owner.as_deref()), ("11", Some("556")));
    assert_eq!(descriptors[1].tags, [Tag { id: String::new(), text: "violence".into() }]);
    assert_eq!(page.updates[1].last_updated, 1_700_000_001);
}

#[test]
fn a_status_outweighs_reactions_and_a_missing_descriptor_is_a_deletion() {
    let (records, tally) = records(&parse(page().as_bytes()).unwrap());
    assert_eq!(tally, Tally { bad_values: 1, unknown_types: 1, ..Tally::default() });
    let withdrawn: Vec<bool> = records.iter().map(|record| record.withdrawn).collect();
    assert_eq!(withdrawn, [false, true, true, false, false, true]);
    assert!(records[0].key == records[1].key && records[0].key == records[5].key);
    let first = &records[0];
    let opinions: Vec<_> = first.opinions.iter().map(|one| (one.by.as_deref().unwrap(), one.view)).collect();
    assert_eq!(
        opinions,
        [
            ("555", View::Positive),
            ("556", View::Negative),
            ("1", View::Positive),
            ("2", View::Positive),
            ("3", View::Negative)
        ]
    );
    assert_eq!(first.opinions[3].words, ["HELPFUL", "DISAGREE_WITH_TAGS"]);
    assert_eq!(first.labels, ["violence", "media_type_video"]);
    assert_eq!((first.media, first.changed_at), (Some(Media::Image), Some(UnixMillis(1_700_000_000_000))));
    assert_eq!(records[3].other_hashes[0].kind, "RAW_URI");
    assert_eq!(records[3].opinions[0].view, View::Seed);
    assert!(records[4].hashes.is_empty() && records[4].draft().is_none());
}

#[test]
fn the_frames_of_a_video_are_read_by_their_type_and_by_their_tag() {
    let video = Hash::sample(HashType::VPDQ, 7);
    let update = |kind: &str, tag: Option<&str>| Update {
        id: "1".into(),
        indicator: HashText::new(&video.to_line().replace("\",\"", "\", \"")),
        kind: kind.into(),
        last_updated: 1,
        should_delete: tag.is_none(),
        descriptors: tag.map(|tag| {
            vec![Descriptor {
                id: "11".into(),
                owner: Some("5".into()),
                status: Status::Malicious,
                tags: vec![Tag { id: "1".into(), text: tag.into() }],
                reactions: Vec::new(),
                added_on: None,
            }]
        }),
    };
    let read = |update| records(&Page { updates: vec![update], ..Page::default() });
    for (kind, tag) in [("HASH_VPDQ", "x"), ("DEBUG_STRING", "signal_type:vpdq")] {
        let (of_video, tally) = read(update(kind, Some(tag)));
        assert_eq!(
            (of_video[0].hashes.as_slice(), of_video[0].media),
            (std::slice::from_ref(&video), Some(Media::Video))
        );
        assert_eq!(tally, Tally::default());
        // The deletion, which has no tag, is for the same record.
        let (gone, _) = read(update(kind, None));
        assert!(gone[0].withdrawn && gone[0].key == of_video[0].key);
    }
    let (other, tally) = read(update("DEBUG_STRING", Some("signal_type:other")));
    assert_eq!((other[0].hashes.len(), tally.unknown_types), (0, 1));
    // A shared video has the form that threatexchange reads. It is never submitted.
    let mut record = Record::new(Key::new("1").unwrap());
    record.hashes = vec![video.clone()];
    let shared = updates(&record, 7, 1);
    assert_eq!((shared[0].kind.as_str(), shared[0].indicator.as_str()), ("HASH_VPDQ", &*video.to_line()));
    assert_eq!(super::submission::signal_type(&video, &[]), None);
}

#[test]
fn every_reaction_and_status_is_an_opinion_or_says_nothing() {
    use vigie_consortium::OpinionReason::{Other, OutOfScope, WrongClassification};
    use vigie_model::OpinionKind::{Negative, Positive, Seen};

    let said = |status: &str, reactions: &[(&str, &str)], own: Option<&str>| {
        let descriptor = |id: &str, owner: &str, status: &str, reactions: &[(&str, &str)]| Descriptor {
            id: id.into(),
            owner: Some(owner.into()),
            status: Status::from(status),
            tags: Vec::new(),
            reactions: reactions
                .iter()
                .map(|(kind, apps)| Reaction {
                    kind: (*kind).to_owned(),
                    apps: apps.split(',').map(str::to_owned).collect(),
                })
                .collect(),
            added_on: None,
        };
        let descriptors =
            vec![descriptor("11", "5", "MALICIOUS", reactions), descriptor("12", "6", status, &[])];
        let update = Update {
            id: "1".into(),
            indicator: HashText::new(&pdq()),
            kind: "HASH_PDQ".into(),
            last_updated: 1,
            should_delete: false,
            descriptors: Some(descriptors),
        };
        let (records, _) = records(&Page { updates: vec![update], ..Page::default() });
        records[0].said(own).map(|said| (said.kind, said.reason, said.word.to_string()))
    };
    let of = |kind, reason, word: &str| Some((Some(kind), reason, word.to_owned()));
    // Another owner that shares the same hash thereby supports it.
    assert_eq!(said("MALICIOUS", &[], None), of(Positive, None, "MALICIOUS"));
    assert_eq!(said("NON_MALICIOUS", &[], None), of(Negative, Some(OutOfScope), "NON_MALICIOUS"));
    assert_eq!((said("SUSPICIOUS", &[], None), said("UNKNOWN", &[], None)), (None, None));
    for (word, expected) in [
        ("HELPFUL", of(Positive, None, "HELPFUL")),
        ("NOT_HELPFUL", of(Negative, Some(Other), "NOT_HELPFUL")),
        ("DISAGREE_WITH_TAGS", of(Negative, Some(WrongClassification), "DISAGREE_WITH_TAGS")),
        ("SAW_THIS_TOO", of(Seen, None, "SAW_THIS_TOO")),
        ("OUTDATED", None),
        ("WANT_MORE_INFO", None),
        ("NEW_WORD", None),
    ] {
        assert_eq!(said("UNKNOWN", &[(word, "1,2")], None), expected, "{word}");
        assert_eq!(said("UNKNOWN", &[(word, "1")], Some("1")), None, "{word}");
    }
    // Of several opinions of one app, the one with the largest weight counts.
    let several = [("SAW_THIS_TOO", "1"), ("NOT_HELPFUL", "1"), ("WANT_MORE_INFO", "1")];
    assert_eq!(said("UNKNOWN", &several, None), of(Negative, Some(Other), "NOT_HELPFUL"));
    let helpful = [("DISAGREE_WITH_TAGS", "1"), ("HELPFUL", "1")];
    assert_eq!(said("UNKNOWN", &helpful, None), of(Positive, None, "HELPFUL"));
    // Two apps that disagree.
    let two = [("DISAGREE_WITH_TAGS", "1"), ("HELPFUL", "2")];
    assert_eq!(said("UNKNOWN", &two, None), Some((None, None, String::new())));
}

#[test]
fn a_video_and_its_tag_are_one_type() {
    let tagged = r#"{"data": [{"id": "1", "indicator": "00112233445566778899aabbccddeeff", "type": "HASH_MD5",
        "last_updated": 1, "descriptors": {"data": [{"id": "2", "owner": {"id": "3"}, "status": "MALICIOUS",
        "tags": {"data": [{"text": "media_type_video"}]}}]}}]}"#;
    let (records, _) = records(&parse(tagged.as_bytes()).unwrap());
    assert_eq!((records[0].media, records[0].hashes[0].hash_type()), (Some(Media::Video), HashType::MD5));
}

#[test]
fn an_item_makes_an_update_for_each_hash_and_its_removal_the_same_keys() {
    let mut record = Record::new(Key::new("k").unwrap());
    record.hashes = vec![Hash::pdq([1; 32]), Hash::md5([3; 16]), Hash::sha256([4; 32])];
    record.labels = vec!["violence".into()];
    record.changed_at = Some(UnixMillis(5_999));
    let living = updates(&record, 12, 99);
    let kinds: Vec<_> = living.iter().map(|update| (update.id.as_str(), update.kind.as_str())).collect();
    assert_eq!(kinds, [("1200", "HASH_PDQ"), ("1201", "HASH_VIDEO_MD5"), ("1202", "HASH_VIDEO_SHA256")]);
    let page = Page { updates: living, ..Page::default() };
    let (back, _) = records_of(&page);
    assert_eq!(back.iter().flat_map(|record| record.hashes.clone()).collect::<Vec<_>>(), record.hashes);
    assert!(back.iter().all(|one| !one.withdrawn && one.opinions[0].view == View::Positive));
    record.media = Some(Media::Image);
    assert_eq!(updates(&record, 12, 99)[1].kind, "HASH_MD5");
    record.media = None;
    record.withdrawn = true;
    let (gone, _) = records_of(&Page { updates: updates(&record, 12, 99), ..Page::default() });
    assert!(gone.iter().all(|one| one.withdrawn));
    let keys = |records: &[Record]| records.iter().map(|record| record.key.clone()).collect::<Vec<_>>();
    assert_eq!(keys(&gone), keys(&back));
}

fn records_of(page: &Page) -> (Vec<Record>, Tally) {
    records(&parse(&render(page)).unwrap())
}

#[test]
fn an_empty_page_has_no_next() {
    let page = Page { next: Some(NextLink("https://x".into())), ..Page::default() };
    assert_eq!(render(&page), br#"{"data":[]}"#);
}

#[test]
fn every_truncation_is_a_fault() {
    let text = page();
    for end in 0..text.len() {
        assert_eq!(parse(&text.as_bytes()[..end]), Err(Fault::Torn), "{end}");
    }
    assert!(matches!(parse(b"{}"), Err(Fault::Field { .. })));
}

fn number() -> impl Strategy<Value = String> {
    any::<u64>().prop_map(|number| number.to_string())
}

fn any_descriptor() -> impl Strategy<Value = Descriptor> {
    let status = prop_oneof![
        Just(Status::Malicious),
        Just(Status::NonMalicious),
        "X[A-Z]{0,5}".prop_map(|word| Status::from(word.as_str()))
    ];
    let tag = (number(), any::<String>()).prop_map(|(id, text)| Tag { id, text });
    let reaction = ("[A-Z_]{1,9}", proptest::collection::btree_set(number(), 0..3))
        .prop_map(|(kind, apps): (String, BTreeSet<String>)| Reaction { kind, apps });
    let (tags, reactions) = (proptest::collection::vec(tag, 0..3), proptest::collection::vec(reaction, 0..3));
    let owner = proptest::option::of(number());
    (number(), owner, status, tags, reactions, proptest::option::of(any::<String>())).prop_map(
        |(id, owner, status, tags, reactions, added_on)| Descriptor {
            id,
            owner,
            status,
            tags,
            reactions,
            added_on,
        },
    )
}

prop_compose! {
    fn any_update()(
        id in number(),
        indicator in any::<String>(),
        kind in "[A-Z_]{1,9}",
        last_updated in any::<u64>(),
        should_delete in any::<bool>(),
        descriptors in proptest::option::of(proptest::collection::vec(any_descriptor(), 0..3)),
    ) -> Update {
        let indicator = HashText::new(&indicator);
        Update { id, indicator, kind, last_updated, should_delete, descriptors }
    }
}

proptest! {
    #[test]
    fn a_page_that_is_written_reads_back(
        updates in proptest::collection::vec(any_update(), 1..5),
        next in proptest::option::of("[a-z]{1,9}"),
    ) {
        let page = Page { updates, next: next.map(NextLink), tally: Tally::default() };
        prop_assert_eq!(parse(&render(&page)), Ok(page));
    }
}

#[test]
fn a_submission_has_the_required_fields_and_only_its_own_descriptor_is_found() {
    use super::submission::{OF_GROUP, Sharing, error_code, parse_found, parse_success, signal_type};
    let mut sharing = Sharing {
        share_level: "AMBER".into(),
        privacy_type: OF_GROUP.into(),
        group: "7".into(),
        description: "known".into(),
        tags: vec!["a".into(), "b".into()],
    };
    let hash = Hash::md5([0xab; 16]);
    let kind = signal_type(&hash, &[]).unwrap();
    let fields = |sharing: &Sharing| {
        let fields = sharing.fields(&hash, kind);
        fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
    };
    let value = "ab".repeat(16);
    assert_eq!(
        fields(&sharing),
        format!(
            "indicator={value}&type=HASH_VIDEO_MD5&description=known&share_level=AMBER&status=MALICIOUS\
             &privacy_type=HAS_PRIVACY_GROUP&privacy_members=7&tags=a,b"
        )
    );
    (sharing.privacy_type, sharing.tags) = ("VISIBLE".into(), Vec::new());
    assert!(fields(&sharing).ends_with("privacy_type=VISIBLE"));
    let words = ["HASH_PDQ", "HASH_MD5"].map(str::to_owned);
    assert_eq!(signal_type(&hash, &words), Some("HASH_MD5"));
    assert_eq!(signal_type(&hash, &words[..1]), None);
    assert_eq!(signal_type(&Hash::md5([0; 16]), &[]), None);

    assert_eq!(parse_success(br#"{"success": true, "id": "1"}"#), Ok(()));
    assert!(parse_success(br#"{"success": false}"#).is_err() && parse_success(b"{}").is_err());
    let answer = format!(
        r#"{{"data": [{{"id": 11, "raw_indicator": "{value}", "type": "HASH_VIDEO_MD5", "owner": {{"id": "5"}}}},
            {{"id": "12", "raw_indicator": "{value}", "type": "HASH_VIDEO_MD5", "owner": {{"id": "6"}}}},
            {{"id": "13", "raw_indicator": "00", "type": "HASH_VIDEO_MD5", "owner": {{"id": "5"}}}},
            {{"id": "14", "raw_indicator": "{value}", "type": "HASH_MD5", "owner": {{"id": "5"}}}},
            {{"id": "15", "raw_indicator": "{value}", "type": "HASH_VIDEO_MD5"}}], "paging": {{"next": "https://x"}}}}"#
    );
    let (found, has_more) = parse_found(answer.as_bytes()).unwrap();
    let own: Vec<&str> =
        found.iter().filter(|one| one.is_of("5", &hash, kind)).map(|one| one.id.as_str()).collect();
    assert_eq!((own, has_more, found.len()), (vec!["11"], true, 5));
    assert!(!format!("{found:?}").contains(&value));
    assert!(parse_found(br#"{"data": [{"id": 11}]}"#).is_err());
    assert_eq!(error_code(br#"{"error": {"code": 190}}"#), Some(190));
    assert_eq!(error_code(b"<html>"), None);
}
