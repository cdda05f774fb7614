//! Checks that a cancelled search stops within some thousand steps, wherever it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use vigie_model::{BankId, Distance, ItemId};

use crate::{BankFilter, Cancellation, Cancelled, Edit, Entry, EqualityIndex, RadiusIndex};

/// The number of rows of each index: more than a full tail, so that some rows are in a segment.
const ROWS: u32 = 150_000;

/// The largest number of hits that may be passed on after the flag was raised: those between two checks, once
/// for hits and once more for comparisons.
const MORE_MAX: usize = 2 * 8_192 / 16;

/// Runs `search` with a flag that the first hit raises; checks that it fails, and soon.
fn check(case: &str, search: impl FnOnce(&Cancellation, &mut dyn FnMut()) -> Result<(), Cancelled>) {
    let raised = Arc::new(AtomicBool::new(false));
    let cancel = Cancellation::never().with_flag(Arc::clone(&raised));
    let mut hits = 0;
    let outcome = search(&cancel, &mut || {
        raised.store(true, Ordering::Relaxed);
        hits += 1;
    });
    assert_eq!(outcome, Err(Cancelled), "{case}");
    assert!((1..=MORE_MAX).contains(&hits), "{case}: {hits} hits were handed over");
}

fn check_all(rows: &[([u8; 32], Entry)], radii: &[u32]) {
    let (radius, equality) = (RadiusIndex::<32>::new(), EqualityIndex::<32>::new());
    let (all, queries) = (BankFilter::all(), [[0x5a; 32]; 4]);
    let check_both = |place: &str| {
        for &bits in radii {
            check(&format!("{place}, within {bits}"), |cancel, hit| {
                radius.each(&queries, Distance(bits), &all, cancel, |_, _| hit())
            });
        }
        check(&format!("{place}, equal"), |cancel, hit| equality.each(&queries, &all, cancel, |_, _| hit()));
    };
    for rows in rows.chunks(100_000) {
        let edits: Vec<_> = rows.iter().map(|&(hash, entry)| Edit::Insert(hash, entry)).collect();
        radius.apply(&edits);
        equality.apply(&edits);
        check_both("in tails");
    }
    radius.merge().unwrap();
    equality.merge().unwrap();
    check_both("in a segment");
}

fn entry(item: u32) -> Entry {
    Entry { item: ItemId(item.into()), bank: BankId(1) }
}

#[test]
fn a_search_stops_among_the_copies_of_one_hash() {
    let rows: Vec<_> = (0..ROWS).map(|item| ([0x5a; 32], entry(item))).collect();
    check_all(&rows, &[0, 8, 31, 64]);
}

#[test]
fn a_search_stops_among_neighbours_of_one_hash() {
    let near = |item: u32| {
        let mut hash = [0x5a_u8; 32];
        // Up to 17 bits, in all chunks, so that each number has a different hash.
        for bit in 0..17 {
            hash[bit + 7] ^= u8::from(item >> bit & 1 == 1);
        }
        (hash, entry(item))
    };
    let rows: Vec<_> = (0..ROWS).map(near).collect();
    let (radius, all) = (RadiusIndex::<32>::new(), BankFilter::all());
    radius.load(rows).unwrap();
    for bits in [17, 31, 64] {
        check(&format!("within {bits}"), |cancel, hit| {
            radius.each(&[[0x5a; 32]; 4], Distance(bits), &all, cancel, |_, _| hit())
        });
    }
}
