//! The rows of indexes that an item has: the one place from which they follow, for adding, removing, loading and the audit.
//!
//! A hash is one row of the index of its type and length. A video is a row for each distinct hash of its usable frames, in two indexes:
//! its *probe* frames and the *rest*. Probe frames are those of the stretches that last longest ([`vigie_model::DistinctFrames`]), until the
//! stretches with others last less than [`Percent::PROBED`] of the time of all. So an item of which such a share matches, by time, matches in a probe frame at least, and a search
//! for that alone leaves the rest out.
//!
//! What is a probe follows from the bytes of one hash. An item whose videos have a frame in common has one row for it in each index.

use vigie_model::{Frames, Hash, HashType, ItemId, PdqHash, Percent, SetDigest};

use crate::shard::indexes::{IndexKey, IndexPlan, Part};

/// Hands over the rows of an item with these hashes, each once, as planned: hashes that no index takes have none.
pub(crate) fn each(hashes: &[Hash], plan: &IndexPlan, mut take: impl FnMut(IndexKey, &[u8])) {
    let searched = || hashes.iter().filter(|hash| plan.searches(hash.hash_type()));
    let mut videos = searched().filter_map(Hash::frames);
    for hash in searched().filter(|hash| hash.hash_type() != HashType::VPDQ) {
        take(IndexKey::of(hash), hash.as_bytes());
    }
    let Some(first) = videos.next() else { return };
    let mut rows = Vec::new();
    add_rows(first, &mut rows);
    let first_rows = rows.len();
    videos.for_each(|frames| add_rows(frames, &mut rows));
    if rows.len() > first_rows {
        rows.sort_unstable();
        rows.dedup();
    }
    for (part, pdq) in rows {
        take(IndexKey::frames(part), &pdq);
    }
}

/// Adds the rows of one video.
fn add_rows(frames: Frames<'_>, rows: &mut Vec<(Part, PdqHash)>) {
    let distinct = frames.distinct();
    let order = distinct.longest_first();
    let probes = distinct.taken_until_less(&order, Percent::PROBED.of(distinct.time_ms().into()));
    let parts = std::iter::repeat_n(Part::Probe, probes).chain(std::iter::repeat(Part::Rest));
    rows.extend(parts.zip(order).map(|(part, at)| (part, distinct.hashes()[at])));
}

/// What a row counts in the digest of what searches reach: a whole hash as in the digest of all, and a frame by itself.
pub(crate) fn digest(item: ItemId, key: IndexKey, row: &[u8]) -> Option<SetDigest> {
    let part: &[u8] = match key.part {
        Part::Whole => {
            let hash = Hash::from_peer(key.hash_type, row).ok()?;
            return Some(SetDigest::of_item(item, &[hash]));
        }
        Part::Probe => b"probe",
        Part::Rest => b"rest",
    };
    // No hash type has a number that is encoded as three zeros.
    let element = [&item.0.to_be_bytes()[..], &[0, 0, 0], part, row].concat();
    Some(SetDigest::of_bytes(&element))
}

/// What all rows of an item come to.
pub(crate) fn digest_of_all(item: ItemId, hashes: &[Hash], plan: &IndexPlan) -> SetDigest {
    let mut all = SetDigest::EMPTY;
    each(hashes, plan, |key, row| {
        if let Some(one) = digest(item, key, row) {
            all += one;
        }
    });
    all
}
