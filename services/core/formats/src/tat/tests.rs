//! Checks pages in the programme's structure, with data of our own, and that reading a written page returns
//! the same.

use proptest::prelude::*;
use vigie_model::{Hash, UnixMillis};

use super::login::Token;
use super::*;
use crate::programme::{Fault, HashText, Key, Media, Record, Tally};

const PAGE: &str = r#"{"count": 5, "next": "https://host.example/api/hash-list/v2/all?page=2", "previous": null,
  "checkpoint": "1724856487.709035,10594", "results": [
  {"hash_digest": "00112233445566778899aabbccddeeff", "algorithm": "MD5", "ideology": "islamist", "file_type": "mp4",
   "deleted": false, "updated_on": 1724856487.709035, "created_on": "2024-08-28T14:48:07.709035Z", "id": 10594},
  {"hash_digest": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", "algorithm": "PDQ", "ideology": "far-right",
   "file_type": "jpg", "deleted": true, "updated_on": "1724856488", "created_on": null, "id": "10595", "later": 1},
  {"hash_digest": "xyz", "algorithm": "MD5", "ideology": "islamist", "file_type": "mp4", "deleted": false, "updated_on": 1, "id": 3},
  {"hash_digest": "xyz", "algorithm": "VPDQ", "ideology": null, "file_type": "mp4", "deleted": false, "updated_on": 1, "id": 4},
  {"algorithm": "MD5"}]}"#;

#[test]
fn a_page_in_the_programmes_shape_is_read() {
    let page = parse(PAGE.as_bytes()).unwrap();
    assert_eq!(page.tally, Tally { bad_records: 1, ..Tally::default() });
    assert_eq!(page.checkpoint.as_deref(), Some("1724856487.709035,10594"));
    assert_eq!((page.entries[0].updated_on, page.entries[1].id), (1_724_856_487_709_035, 10_595));
    let (records, tally) = records(&page);
    assert_eq!(tally, Tally { bad_values: 1, unknown_types: 1, ..Tally::default() });
    let withdrawn: Vec<bool> = records.iter().map(|record| record.withdrawn).collect();
    assert_eq!(withdrawn, [false, true, false, false]);
    assert_eq!(
        (records[0].media, &records[0].labels[..]),
        (Some(Media::Video), &["islamist".to_owned()][..])
    );
    assert_eq!(records[0].changed_at, Some(UnixMillis(1_724_856_487_709)));
    assert_eq!(records[3].other_hashes[0].kind, "VPDQ");
}

#[test]
fn an_empty_checkpoint_is_none() {
    let page = parse(PAGE.replace("1724856487.709035,10594\"", "\"").as_bytes()).unwrap();
    assert_eq!(page.checkpoint, None);
    assert!(String::from_utf8(render(&page)).unwrap().contains(r#""checkpoint":"""#));
}

#[test]
fn every_truncation_is_a_fault() {
    for end in 0..PAGE.len() {
        assert_eq!(parse(&PAGE.as_bytes()[..end]), Err(Fault::Torn), "{end}");
    }
}

#[test]
fn an_item_makes_an_entry_for_each_hash() {
    let mut record = Record::new(Key::new("k").unwrap());
    record.hashes = vec![Hash::md5([3; 16]), Hash::sha256([4; 32])];
    record.labels = vec!["other".into(), "far-right".into()];
    record.changed_at = Some(UnixMillis(5_999));
    let list = entries(&record, 12);
    assert!(
        list.iter().all(|entry| entry.ideology == "far-right" && entry.file_type == "mp4" && entry.id == 12)
    );
    let (back, _) = records(&parse(&render(&Page { entries: list, ..Page::default() })).unwrap());
    assert_eq!(back.iter().flat_map(|one| one.hashes.clone()).collect::<Vec<_>>(), record.hashes);
    assert_eq!(back[0].changed_at, record.changed_at);
    record.withdrawn = true;
    let (gone, _) = records(&Page { entries: entries(&record, 12), ..Page::default() });
    assert!(gone.iter().zip(&back).all(|(gone, living)| gone.withdrawn && gone.key == living.key));
}

#[test]
fn a_login_reads_back_and_shows_no_token() {
    let token = Token("abc.def.ghi".into());
    assert_eq!(login::parse(&login::render(&token, "user")), Ok(token.clone()));
    assert_eq!(format!("{token:?}"), "Token");
    for bad in [r#"{"error": "no"}"#, r#"{"token": ""}"#, r#"{"token": "a\nb"}"#] {
        assert_eq!(login::parse(bad.as_bytes()), Err(Fault::Field { syntax: "JSON", field: "token" }));
    }
}

prop_compose! {
    fn any_entry()(
        digest in any::<String>(),
        algorithm in any::<String>(),
        ideology in any::<String>(),
        file_type in any::<String>(),
        deleted in any::<bool>(),
        updated_on in 0_u64..4_000_000_000_000_000,
        created_on in any::<String>(),
        id in any::<u64>(),
    ) -> Entry {
        let hash_digest = HashText::new(&digest);
        Entry { hash_digest, algorithm, ideology, file_type, deleted, updated_on, created_on, id }
    }
}

proptest! {
    #[test]
    fn a_page_that_is_written_reads_back(
        entries in proptest::collection::vec(any_entry(), 0..5),
        count in any::<u64>(),
        next in proptest::option::of("[a-z]{1,9}"),
        previous in proptest::option::of("[a-z]{1,9}"),
        checkpoint in proptest::option::of("[a-z]{1,9}"),
    ) {
        let page = Page { entries, count, next, previous, checkpoint, tally: Tally::default() };
        prop_assert_eq!(parse(&render(&page)), Ok(page));
    }
}
