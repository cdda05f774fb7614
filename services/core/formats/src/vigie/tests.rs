use proptest::prelude::*;
use vigie_consortium::{Class, Classification, EntryDigest, ListChain, ListKey};
use vigie_model::{Hash, SetDigest, UnixMillis};

use super::*;
use crate::programme::Fault;

fn says() -> impl Strategy<Value = Says> {
    let hash = prop_oneof![any::<[u8; 32]>().prop_map(Hash::sha256), any::<[u8; 16]>().prop_map(Hash::md5)];
    let class = "[a-z]{1,8}".prop_map(|value| Class::new("local", "kind", &value).unwrap());
    let classes =
        prop::collection::vec(class, 0..3).prop_map(|classes| Classification::new(classes).unwrap());
    let put = (
        any::<[u8; 16]>(),
        prop::collection::vec(hash, 1..4),
        prop::collection::vec(".{1,9}", 0..3),
        classes,
    );
    prop_oneof![
        put.prop_map(|(key, hashes, labels, classes)| Says::Put {
            key: ListKey(key),
            hashes,
            labels,
            classes
        }),
        any::<[u8; 16]>().prop_map(|key| Says::Gone(ListKey(key))),
        any::<[u8; 32]>().prop_map(|digest| Says::Superseded(EntryDigest(digest))),
    ]
}

fn pages() -> impl Strategy<Value = Page> {
    let entries = prop::collection::vec((0..u64::MAX, says()), 0..6);
    let numbers = (any::<[u64; 4]>(), any::<u64>(), any::<u64>(), any::<u64>());
    (entries, any::<[u8; 32]>(), any::<(bool, bool)>(), numbers).prop_map(
        |(entries, chain, (has_more, is_whole), (sums, hashes, head, as_of))| Page {
            entries: entries.into_iter().map(|(number, says)| Entry { number, says }).collect(),
            chain: ListChain(chain),
            has_more,
            head,
            set: SetDigest { sums, hashes },
            is_whole,
            as_of: UnixMillis(as_of),
        },
    )
}

proptest! {
    #[test]
    fn a_page_reads_back(page in pages()) {
        prop_assert_eq!(parse(&render(&page)), Ok(page));
    }

    #[test]
    fn a_page_that_is_cut_off_is_a_fault(page in pages(), at in any::<prop::sample::Index>()) {
        let bytes = render(&page);
        prop_assert!(parse(&bytes[..at.index(bytes.len())]).is_err());
    }
}

#[test]
fn an_entry_that_cannot_be_read_is_a_fault_of_the_page() {
    let page = |entry: &str| {
        let (chain, set) = ("0".repeat(64), "0".repeat(64));
        format!(
            r#"{{"entries": [{entry}], "chain": "{chain}", "has_more": false, "head": 1, "items": 0, "set": "{set}",
                "is_whole": true, "as_of_unix_ms": 1, "later": 7}}"#
        )
    };
    let key = "ab".repeat(16);
    assert!(parse(page(&format!(r#"{{"number": 1, "state": "gone", "key": "{key}"}}"#)).as_bytes()).is_ok());
    let put = |kind: &str, hash: &str| {
        format!(
            r#"{{"number": 1, "state": "put", "key": "{key}", "hashes": [{{"hash_type": "{kind}", "hash": "{hash}"}}],
                "labels": [], "classification": []}}"#
        )
    };
    assert!(parse(page(&put("md5", &key)).as_bytes()).is_ok());
    for bad in [
        put("md5", "ab"),
        put("type-900", &key),
        r#"{"number": 1, "state": "gone", "key": "ab"}"#.to_owned(),
        r#"{"number": 1, "state": "moved"}"#.to_owned(),
    ] {
        assert!(matches!(parse(page(&bad).as_bytes()), Err(Fault::Field { .. })), "{bad}");
    }
}

#[test]
fn entries_are_records_by_the_keys_of_their_items() {
    let key = ListKey([7; 16]);
    let put = Entry {
        number: 1,
        says: Says::Put {
            key,
            hashes: vec![Hash::md5([1; 16])],
            labels: vec!["a".into()],
            classes: Classification::default(),
        },
    };
    let superseded = Entry { number: 2, says: Says::Superseded(EntryDigest([1; 32])) };
    let gone = Entry { number: 3, says: Says::Gone(key) };
    let records = records(&[put.clone(), superseded, gone]).unwrap();
    assert_eq!(records.len(), 2);
    assert_eq!((records[0].entry, records[0].withdrawn), (Some(put.digest()), false));
    assert!(records[1].withdrawn && records[0].key == records[1].key);
    assert_eq!(records[0].key.as_str(), "07".repeat(16));
}
