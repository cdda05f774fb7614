//! Checks documents in the programme's structure, with data of our own, and that reading a written document
//! returns the same.

use proptest::prelude::*;
use vigie_consortium::Class;
use vigie_model::{Hash, UnixMillis};

use super::about::FeedbackGiven;
use super::*;
use crate::programme::{Fault, HashText, Key, Media, Record, Tally, View};

const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<n:queryResult xmlns:n="https://hashsharing.ncmec.org/hashsharing/v2">
  <paging><next>/v2/entries?from=2024-01-01T00%3A00%3A00Z&amp;to=2024-02-01T00%3A00%3A00Z&amp;start=1001&amp;size=1000&amp;max=1500</next></paging>
  <n:images count="4" maxTimestamp="2024-01-09T10:00:00Z">
    <n:image>
      <fingerprints>
        <md5>00112233445566778899aabbccddeeff</md5>
        <pdq>0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef</pdq>
        <netclean>some text</netclean>
        <sha1>not a digest</sha1>
        <tmk-pdqf rel="self" href="/v2/entries/7/large"/>
      </fingerprints>
      <feedback lastUpdateTimestamp="2024-01-08T00:00:00Z">
        <affirmativeFeedback type="Md5" lastUpdateTimestamp="2024-01-08T00:00:00Z">
          <members timestamp="2024-01-07T00:00:00Z"><member id="8">Eight</member><member id="9">Nine</member></members>
        </affirmativeFeedback>
        <negativeFeedback type="Pdq">
          <reasons>
            <reason guid="g-1" name="Not illegal" type="Pdq"/>
            <members timestamp="2024-01-06T00:00:00Z"><member id="10">Ten</member></members>
            <reason guid="g-2" name="Wrong &amp; old" type="Pdq"/>
            <members><member id="11">Eleven</member></members>
          </reasons>
        </negativeFeedback>
      </feedback>
      <id>first</id>
      <classification>A1</classification>
      <timestamp>2024-01-09T10:00:00Z</timestamp>
      <member id="7">Seven &lt;7&gt;</member>
    </n:image>
    <deletedImage><id>gone</id><timestamp>2024-01-01T00:00:00Z</timestamp><member id="7">Seven</member></deletedImage>
    <image><member id="7">Seven</member></image>
    <drawing><id>x</id></drawing>
  </n:images>
  <videos count="1" maxTimestamp="2024-01-02T00:00:00Z">
    <video><member id="7"/><id>clip</id><timestamp>2024-01-02T00:00:00Z</timestamp><classification>C9</classification>
      <fingerprints><md5>ffeeddccbbaa99887766554433221100</md5></fingerprints></video>
  </videos>
</n:queryResult>"#;

#[test]
fn a_page_in_the_programmes_shape_is_read_whatever_the_order_of_children() {
    let page = parse(PAGE.as_bytes()).unwrap();
    assert_eq!(page.tally, Tally { bad_records: 1, unknown_parts: 1, ..Tally::default() });
    assert!(page.next.as_deref().unwrap().ends_with("&start=1001&size=1000&max=1500"));
    let [first, gone, clip] = &page.entries[..] else { panic!("{} entries", page.entries.len()) };
    assert_eq!((first.media, first.deleted, first.member.id), (Media::Image, false, 7));
    assert_eq!(first.member.name, "Seven <7>");
    assert_eq!(first.fingerprints.len(), 5);
    assert_eq!(first.fingerprints[4], Fingerprint { kind: "tmk-pdqf".into(), value: None });
    let reason =
        |guid: &str, name: &str| Statement::Negative(Reason { guid: guid.into(), name: name.into() });
    let statements: Vec<_> = first.feedback.iter().map(|one| (&one.statement, one.members.len())).collect();
    assert_eq!(
        statements,
        [
            (&Statement::Affirmative, 2),
            (&reason("g-1", "Not illegal"), 1),
            (&reason("g-2", "Wrong & old"), 1)
        ]
    );
    assert!(gone.deleted && gone.id == "gone" && gone.fingerprints.is_empty());
    assert_eq!((clip.media, clip.timestamp), (Media::Video, Some(UnixMillis(1_704_153_600_000))));
    assert!(!format!("{page:?}").contains("ffeeddcc"), "Debug shows a hash");
}

#[test]
fn feedback_is_one_opinion_with_the_id_of_its_reason() {
    use vigie_consortium::OpinionReason;
    use vigie_model::OpinionKind;

    let said = |feedback: &str, own: Option<&str>| {
        let text = format!(
            r#"<queryResult xmlns="{}"><images><image><member id="7">Seven</member><id>a</id><timestamp>2024-01-09T10:00:00Z</timestamp>
               <fingerprints><md5>00112233445566778899aabbccddeeff</md5></fingerprints>
               <feedback>{feedback}</feedback></image></images></queryResult>"#,
            NAMESPACE
        );
        let (records, _) = records(&parse(text.as_bytes()).unwrap());
        records[0].said(own).map(|said| (said.kind, said.reason, said.word.to_string()))
    };
    let affirmative = |id: u64| {
        format!(
            r#"<affirmativeFeedback type="Md5"><members><member id="{id}">M</member></members></affirmativeFeedback>"#
        )
    };
    let negative = |id: u64| {
        format!(
            r#"<negativeFeedback type="Md5"><reasons><reason guid="g-1" name="Not illegal" type="Md5"/><members><member
               id="{id}">M</member></members></reasons></negativeFeedback>"#
        )
    };
    let positive = Some((Some(OpinionKind::Positive), None, "affirmative".to_owned()));
    let wrong = Some((Some(OpinionKind::Negative), Some(OpinionReason::Other), "g-1".to_owned()));
    let disputed = Some((None, None, String::new()));
    assert_eq!(said("", None), None);
    assert_eq!(said(&affirmative(8), None), positive);
    assert_eq!(said(&negative(8), None), wrong);
    assert_eq!(said(&[affirmative(8), negative(9)].concat(), None), disputed);
    assert_eq!(said(&[affirmative(8), negative(9)].concat(), Some("8")), wrong);
    // A hundred members count as one voice.
    assert_eq!(said(&(8..108).map(negative).collect::<String>(), None), wrong);
}

#[test]
fn records_are_keyed_by_member_and_entry_and_keep_foreign_words() {
    let (records, tally) = records(&parse(PAGE.as_bytes()).unwrap());
    // The fingerprint of NetClean, and a link to a fingerprint of TMK.
    assert_eq!(tally, Tally { bad_values: 1, unknown_types: 2, ..Tally::default() });
    let [first, gone, clip] = &records[..] else { panic!("{} records", records.len()) };
    assert_eq!(first.key.as_str(), "7-first");
    assert_eq!(first.hashes.len(), 2);
    assert_eq!(first.other_hashes[0].kind, "netclean");
    assert_eq!(first.classes, [Class::new("ncmec", "classification", "A1").unwrap()]);
    let views: Vec<_> = first.opinions.iter().map(|one| (one.by.as_deref().unwrap(), one.view)).collect();
    assert_eq!(
        views,
        [
            ("8 Eight", View::Positive),
            ("9 Nine", View::Positive),
            ("10 Ten", View::Negative),
            ("11 Eleven", View::Negative)
        ]
    );
    assert_eq!(first.opinions[2].words, ["g-1", "Not illegal"]);
    assert_eq!((gone.key.as_str(), gone.withdrawn), ("7-gone", true));
    // A word that is not in the taxonomy becomes a label.
    assert_eq!((&clip.labels[..], clip.classes.len()), (&["ncmec:C9".to_owned()][..], 0));
}

#[test]
fn what_is_no_page_is_a_fault() {
    let fault = |text: &str| parse(text.as_bytes()).unwrap_err();
    assert_eq!(fault(&PAGE[..PAGE.len() - 20]), Fault::Torn);
    assert_eq!(fault("<html/>"), Fault::Field { syntax: "XML", field: "root queryResult" });
    let declared = PAGE.replace("<n:queryResult", "<!DOCTYPE q [<!ENTITY e \"x\">]><n:queryResult");
    assert_eq!(fault(&declared), Fault::DocumentType);
    // Every truncation is a fault, and never a shorter page.
    for end in (0..PAGE.len()).filter(|end| PAGE.is_char_boundary(*end)) {
        parse(&PAGE.as_bytes()[..end]).unwrap_err();
    }
}

#[test]
fn an_empty_page_has_counts_and_no_time() {
    let text = String::from_utf8(render(&Page::default())).unwrap();
    assert!(text.contains(r#"<images count="0"/><videos count="0"/></queryResult>"#), "{text}");
    assert!(text.contains(r#"<queryResult xmlns="https://hashsharing.ncmec.org/hashsharing/v2">"#));
}

#[test]
fn an_item_with_several_hashes_of_a_type_makes_several_entries_and_as_many_tombstones() {
    let mut record = Record::new(Key::new("k").unwrap());
    record.hashes = vec![Hash::pdq([1; 32]), Hash::pdq([2; 32]), Hash::md5([3; 16]), Hash::sha256([4; 32])];
    record.changed_at = Some(UnixMillis(5_000));
    let member = Member { id: 7, name: "Seven".into() };
    let living = entries(&record, &member, "12");
    let shape = |entries: &[Entry]| -> Vec<(String, Vec<String>)> {
        let kinds = |entry: &Entry| entry.fingerprints.iter().map(|one| one.kind.clone()).collect();
        entries.iter().map(|entry| (entry.id.clone(), kinds(entry))).collect()
    };
    assert_eq!(
        shape(&living),
        [
            ("12".into(), vec!["pdq".into()]),
            ("12.1".into(), vec!["pdq".into()]),
            ("12.2".into(), vec!["md5".into()])
        ]
    );
    let media: Vec<Media> = living.iter().map(|entry| entry.media).collect();
    assert_eq!(media, [Media::Image, Media::Image, Media::Video]);
    record.withdrawn = true;
    let gone = entries(&record, &member, "12");
    assert_eq!(shape(&gone), [("12".into(), vec![]), ("12.1".into(), vec![]), ("12.2".into(), vec![])]);
    // If the media is known, all hashes belong to it.
    let image = Record { media: Some(Media::Image), withdrawn: false, ..record.clone() };
    assert_eq!(
        shape(&entries(&image, &member, "12")),
        [("12".into(), vec!["pdq".into(), "md5".into()]), ("12.1".into(), vec!["pdq".into()])]
    );
    assert!(gone.iter().all(|entry| entry.deleted));
    // If the hashes are no longer known, as many entries are withdrawn as an item can have.
    record.hashes.clear();
    assert_eq!(entries(&record, &member, "12").len(), 64);
    // The written entries are read back as the same records.
    record.withdrawn = false;
    record.hashes = vec![Hash::md5([3; 16])];
    let page = Page { entries: entries(&record, &member, "12"), ..Page::default() };
    let (back, _) = records(&parse(&render(&page)).unwrap());
    assert_eq!(
        (back[0].key.as_str(), &back[0].hashes, back[0].media),
        ("7-12", &record.hashes, Some(Media::Video))
    );
}

#[test]
fn the_smaller_documents_read_back() {
    let member = Member { id: 7, name: "Sev<n".into() };
    assert_eq!(about::parse_status(&about::status("127.0.0.1", "user", &member)), Ok(member.clone()));
    let text = String::from_utf8(about::members(&[member])).unwrap();
    assert!(text.contains(r#"<member id="7">Sev&lt;n</member></members>"#), "{text}");
    for given in [FeedbackGiven::Affirmative, FeedbackGiven::Negative(vec!["a".into(), "b".into()])] {
        assert_eq!(about::parse_feedback(&about::feedback(&given)), Ok(given));
    }
    let reasons = [Reason { guid: "g".into(), name: "n".into() }];
    let text = String::from_utf8(about::reasons("PDQ", &reasons)).unwrap();
    assert!(text.contains(r#"<reason guid="g" name="n" type="PDQ"/></availableFeedbackReasons>"#), "{text}");
    assert!(about::parse_feedback(b"<feedbackSubmission/>").is_err());
}

fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9<>&'\"é./:_-]([a-zA-Z0-9<>&'\"é ./:_-]{0,10}[a-zA-Z0-9<>&'\"é./:_-])?"
}

fn time() -> impl Strategy<Value = Option<UnixMillis>> {
    proptest::option::of((0_u64..4_000_000_000).prop_map(|seconds| UnixMillis(seconds * 1_000)))
}

fn any_member() -> impl Strategy<Value = Member> {
    (any::<u64>(), text()).prop_map(|(id, name)| Member { id, name })
}

fn any_feedback() -> impl Strategy<Value = Feedback> {
    let reason = (text(), text()).prop_map(|(guid, name)| Statement::Negative(Reason { guid, name }));
    let statement = prop_oneof![Just(Statement::Affirmative), reason];
    (text(), statement, time(), proptest::collection::vec(any_member(), 0..3))
        .prop_map(|(kind, statement, at, members)| Feedback { kind, statement, at, members })
}

fn any_entry(media: Media) -> impl Strategy<Value = Entry> {
    let value = proptest::option::of(text().prop_map(|text| HashText::new(&text)));
    let fingerprint = ("[a-z][a-z0-9-]{0,8}", value).prop_map(|(kind, value)| Fingerprint { kind, value });
    let fingerprints = proptest::collection::vec(fingerprint, 0..4);
    let feedback = proptest::collection::vec(any_feedback(), 0..3);
    let classification = proptest::option::of(text());
    (any_member(), text(), time(), any::<bool>(), classification, fingerprints, feedback).prop_map(
        move |(member, id, timestamp, deleted, classification, fingerprints, feedback)| {
            let entry =
                Entry { media, deleted, member, id, timestamp, classification, fingerprints, feedback };
            if deleted {
                Entry { classification: None, fingerprints: Vec::new(), feedback: Vec::new(), ..entry }
            } else {
                entry
            }
        },
    )
}

proptest! {
    #[test]
    fn a_page_that_is_written_reads_back(
        images in proptest::collection::vec(any_entry(Media::Image), 0..4),
        videos in proptest::collection::vec(any_entry(Media::Video), 0..4),
        next in proptest::option::of(text()),
    ) {
        let page = Page { entries: [images, videos].concat(), next, tally: Tally::default() };
        prop_assert_eq!(parse(&render(&page)), Ok(page));
    }
}
