//! The rows of indexes that an item has. Adding, removing, loading and the audit all use this module.
//!
//! A hash is one row in the index of its type and length. A video has one row for each distinct hash of its
//! usable frames, in one of two indexes: its *probe* frames and the *rest*. Probe frames are the frames that
//! are shown longest ([`vigie_model::DistinctFrames`]), taken until the remaining ones last less than
//! [`Percent::PROBED`] of the total time. So if at least that share of an item's time matches, then at least
//! one probe frame matches, and a search that needs no smaller share skips the rest.
//!
//! Whether a frame is a probe depends only on the bytes of one hash. If several videos of an item have a
//! frame in common, the item has one row for it in each index.

use vigie_model::{Frames, Hash, HashType, ItemId, PdqHash, Percent, SetDigest};

use crate::shard::indexes::{IndexKey, IndexPlan, Part};

/// Passes the rows of an item with these hashes to `take`, each once. Hashes that no index of the plan takes
/// have none.
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

/// Returns the digest of one row for the digest of everything that searches reach. A whole hash has the same
/// digest there as in the bank's; a frame has a digest of its own.
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

/// Returns the sum of the digests of all rows of an item.
pub(crate) fn digest_of_all(item: ItemId, hashes: &[Hash], plan: &IndexPlan) -> SetDigest {
    let mut all = SetDigest::EMPTY;
    each(hashes, plan, |key, row| {
        if let Some(one) = digest(item, key, row) {
            all += one;
        }
    });
    all
}
