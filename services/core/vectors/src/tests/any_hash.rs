//! Tests the approximate index through the trait that all indexes of hashes share.

use vigie_index::{BankFilter, Cancellation, HashEdits, HashRows, HashShape, HashSnapshot, Hit};
use vigie_model::{BankId, Distance, ItemId};

use super::{entry, graphs_only};
use crate::{HnswConfig, hamming_index};

fn found(snapshot: &dyn HashSnapshot, query: &[u8], radius: u32) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut take = |query: usize, hit: Hit| {
        assert_eq!(query, 0);
        hits.push(hit);
    };
    let (all, never) = (BankFilter::all(), Cancellation::never());
    snapshot.each(&[query], Distance(radius), &all, &never, &mut take).unwrap();
    hits
}

#[test]
fn every_length_is_loaded_edited_and_searched() {
    for bytes in vigie_index::HAMMING_BYTES {
        let index = hamming_index(bytes, HnswConfig::default()).unwrap();
        assert_eq!((index.shape(), index.is_exact()), (HashShape::Hamming { bytes }, false));
        let hash =
            |number: u16| -> Vec<u8> { number.to_le_bytes().into_iter().cycle().take(bytes).collect() };
        let mut rows = HashRows::new(bytes);
        // More than are inserted at once.
        (0..3_000).for_each(|item| rows.push(&hash(item), entry(item.into(), u32::from(item % 2))));
        index.load(rows).unwrap();
        assert_eq!(index.len(), 3_000);
        let before = index.snapshot();
        let mut edits = HashEdits::new(bytes);
        edits.remove(&hash(7), ItemId(7));
        edits.insert(&hash(8), entry(9_000, 0));
        assert_eq!((index.apply(&edits), index.remove_bank(BankId(1))), (2, 1_499));
        let items = |snapshot: &dyn HashSnapshot, number| -> Vec<u64> {
            let mut items: Vec<u64> =
                found(snapshot, &hash(number), 0).iter().map(|hit| hit.entry.item.0).collect();
            items.sort_unstable();
            items
        };
        assert_eq!((items(&*before, 7), items(&*before, 8)), (vec![7], vec![8]));
        let after = index.snapshot();
        assert_eq!((after.shape(), after.is_exact()), (HashShape::Hamming { bytes }, false));
        assert_eq!((items(&*after, 7), items(&*after, 8)), (vec![], vec![8, 9_000]));
        // There are no files.
        index.merge().unwrap();
        assert_eq!((index.save(b"tag").unwrap().len(), index.fault()), (0, None));
    }
}

#[test]
fn a_length_without_an_index_is_refused_and_debug_shows_no_hash() {
    for bytes in [0, 7, 20, 33, 65] {
        assert!(hamming_index(bytes, graphs_only()).is_err());
    }
    let index = hamming_index(8, graphs_only()).unwrap();
    let mut edits = HashEdits::new(8);
    edits.insert(&[0xab; 8], entry(1, 1));
    index.apply(&edits);
    let text = format!("{index:?} {:?}", index.snapshot()).to_lowercase();
    assert!(!text.contains("171") && !text.contains("ab,"), "{text}");
}
