//! Converts the changes of a bank's items to what the programme has to receive: withdrawals and submissions.

use std::collections::HashSet;

use vigie_model::{Hash, HashType, ItemId};

use crate::bank::{ItemChange, ItemState};
use crate::cursor::OutPlace;
use crate::targets::Submission;

/// The changes of a page, by kind.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sorted {
    /// Hashes to withdraw, each once: their items may have been submitted, and must no longer be at the
    /// programme.
    pub(crate) withdrawals: Vec<(ItemId, Hash)>,
    /// Removed items that may have been submitted, and whose hashes are purged.
    pub(crate) forgotten: Vec<ItemId>,
    /// Own items, with those of their hashes that the programme accepts.
    pub(crate) submissions: Vec<(ItemId, Vec<Submission>)>,
}

/// Sorts changes by kind. `takes` returns whether the programme accepts a hash; its second argument is
/// whether the item is a picture.
pub(crate) fn sort(changes: Vec<ItemChange>, out: &OutPlace, takes: impl Fn(&Hash, bool) -> bool) -> Sorted {
    let mut sorted = Sorted::default();
    let mut seen = HashSet::new();
    for change in changes {
        let is_purged = is_purged(&change, out);
        let ItemChange { item, sequence, changed_at, state } = change;
        let gone = match state {
            ItemState::Own(hashes) => {
                let submission = |hash| Submission { hash, changed_at };
                let taken: Vec<Submission> = taken(hashes, &takes).map(submission).collect();
                if !taken.is_empty() {
                    sorted.submissions.push((item, taken));
                }
                continue;
            }
            ItemState::Held(hashes) | ItemState::FormerlyOwn(hashes) | ItemState::Removed(Some(hashes)) => {
                hashes
            }
            ItemState::Removed(None) => {
                sorted.forgotten.extend(is_purged.then_some(item));
                continue;
            }
            ItemState::BroughtBack | ItemState::NotOwn => continue,
        };
        if out.may_have_submitted(sequence) {
            let gone = taken(gone, &takes).filter(|hash| seen.insert(hash.clone()));
            sorted.withdrawals.extend(gone.map(|hash| (item, hash)));
        }
    }
    sorted
}

/// Returns those of an item's hashes that the programme accepts. An item with a perceptual hash of pictures
/// is a picture.
pub(crate) fn taken(hashes: Vec<Hash>, takes: impl Fn(&Hash, bool) -> bool) -> impl Iterator<Item = Hash> {
    let of_picture = hashes.iter().any(|hash| hash.hash_type() == HashType::PDQ);
    hashes.into_iter().filter(move |hash| takes(hash, of_picture))
}

/// Returns whether an item that may have been submitted was removed and purged.
pub(crate) fn is_purged(change: &ItemChange, out: &OutPlace) -> bool {
    change.state == ItemState::Removed(None) && out.may_have_submitted(change.sequence)
}

#[cfg(test)]
mod tests {
    use vigie_model::{Sequence, UnixMillis};

    use super::*;
    use crate::cursor::Pass;

    #[test]
    fn only_what_may_have_been_submitted_is_withdrawn_and_only_own_items_are_submitted() {
        let hash = |byte: u8| Hash::md5([byte; 16]);
        let change = |item: u64, state: ItemState| ItemChange {
            item: ItemId(item),
            sequence: Sequence(100 + item),
            changed_at: UnixMillis(5_000),
            state,
        };
        let sha = Hash::sha256([9; 32]);
        let changes = vec![
            change(1, ItemState::Own(vec![hash(1), sha.clone()])),
            change(2, ItemState::Own(vec![sha])),
            change(3, ItemState::Removed(Some(vec![hash(3), hash(4)]))),
            change(4, ItemState::Held(vec![hash(4), hash(5)])),
            change(5, ItemState::FormerlyOwn(vec![hash(6)])),
            change(6, ItemState::NotOwn),
            change(8, ItemState::BroughtBack),
            change(7, ItemState::Removed(None)),
            change(11, ItemState::Removed(Some(vec![hash(7)]))),
            change(12, ItemState::Held(vec![hash(8)])),
            change(13, ItemState::Removed(None)),
        ];
        let takes = |hash: &Hash, _of_picture| hash.as_bytes().len() == 16;
        let gone = |sorted: &Sorted| -> Vec<_> {
            sorted.withdrawals.iter().map(|(item, hash)| (item.0, hash.as_bytes()[0])).collect()
        };
        let out = OutPlace { through: 10, ..OutPlace::default() };
        let sorted = sort(changes.clone(), &out, takes);
        assert_eq!(gone(&sorted), [(3, 3), (3, 4), (4, 5), (5, 6), (11, 7), (12, 8)]);
        assert_eq!(sorted.forgotten, [ItemId(7), ItemId(13)]);
        let submitted = Submission { hash: hash(1), changed_at: UnixMillis(5_000) };
        assert_eq!(sorted.submissions, [(ItemId(1), vec![submitted])]);
        // In the first pass, only items that existed when it began and were removed since are withdrawn.
        let first = OutPlace { pass: Some(Pass { base: 0, head: 111 }), ..out };
        let sorted = sort(changes, &first, takes);
        assert_eq!((gone(&sorted), sorted.forgotten), (vec![(12, 8)], vec![ItemId(13)]));
    }

    #[test]
    fn the_other_hashes_of_a_picture_are_recognised_as_its_own() {
        let (pdq, md5) = (Hash::pdq([7; 32]), Hash::md5([1; 16]));
        let of = |hashes: Vec<Hash>| taken(hashes, |_, of_picture| !of_picture).count();
        assert_eq!((of(vec![md5.clone()]), of(vec![md5, pdq])), (1, 0));
    }
}
