//! The changes of a bank's items as what the programme has to get: withdrawals, and submissions.

use std::collections::HashSet;

use vigie_model::{Hash, ItemId, UnixMillis};

use crate::bank::{ItemChange, ItemState};
use crate::cursor::OutPlace;
use crate::targets::Submission;

/// Removed items whose hashes are missing after less than this were brought back as other items: no bank purges so early.
const PURGED_AFTER_MS: u64 = 3_600_000;

/// The changes of a page, sorted out.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Sorted {
    /// Hashes of items that may have been submitted and no longer belong to the programme, each hash once.
    pub(crate) withdrawals: Vec<(ItemId, Hash)>,
    /// Removed items that may have been submitted, and whose hashes are purged.
    pub(crate) forgotten: Vec<ItemId>,
    /// Own items, with those of their hashes that the programme takes.
    pub(crate) submissions: Vec<(ItemId, Vec<Submission>)>,
    /// The first item that came by a programme.
    pub(crate) of_programme: Option<ItemId>,
}

/// Sorts out changes. `takes` says which hashes the programme takes.
pub(crate) fn sort(
    changes: Vec<ItemChange>,
    out: &OutPlace,
    now: UnixMillis,
    takes: impl Fn(&Hash) -> bool,
) -> Sorted {
    let mut sorted = Sorted::default();
    let mut seen = HashSet::new();
    for change in changes {
        let is_purged = is_purged(&change, out, now);
        let ItemChange { item, sequence, changed_at, state } = change;
        let gone = match state {
            ItemState::Own(hashes) => {
                let submission = |hash| Submission { hash, changed_at };
                let taken: Vec<Submission> = hashes.into_iter().filter(&takes).map(submission).collect();
                if !taken.is_empty() {
                    sorted.submissions.push((item, taken));
                }
                continue;
            }
            ItemState::OfProgrammes(hashes) => {
                sorted.of_programme.get_or_insert(item);
                hashes
            }
            ItemState::Held(hashes) | ItemState::Removed(Some(hashes)) => hashes,
            ItemState::Removed(None) => {
                sorted.forgotten.extend(is_purged.then_some(item));
                continue;
            }
            ItemState::Canary => continue,
        };
        if out.may_have_submitted(item, sequence) {
            let gone = gone.into_iter().filter(&takes).filter(|hash| seen.insert(hash.clone()));
            sorted.withdrawals.extend(gone.map(|hash| (item, hash)));
        }
    }
    sorted
}

/// Whether an item that may have been submitted was removed and purged.
pub(crate) fn is_purged(change: &ItemChange, out: &OutPlace, now: UnixMillis) -> bool {
    change.state == ItemState::Removed(None)
        && out.may_have_submitted(change.item, change.sequence)
        && now.0.saturating_sub(change.changed_at.0) >= PURGED_AFTER_MS
}

#[cfg(test)]
mod tests {
    use vigie_model::Sequence;

    use super::*;

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
            change(5, ItemState::OfProgrammes(vec![hash(6)])),
            change(6, ItemState::Canary),
            change(7, ItemState::Removed(None)),
            change(11, ItemState::Removed(Some(vec![hash(7)]))),
            change(12, ItemState::Held(vec![hash(8)])),
            change(13, ItemState::Removed(None)),
        ];
        let out = OutPlace { through: 10, ..OutPlace::default() };
        let takes = |hash: &Hash| hash.as_bytes().len() == 16;
        let sorted = sort(changes.clone(), &out, UnixMillis(5_000 + PURGED_AFTER_MS), takes);
        let gone: Vec<_> =
            sorted.withdrawals.iter().map(|(item, hash)| (item.0, hash.as_bytes()[0])).collect();
        assert_eq!(gone, [(3, 3), (3, 4), (4, 5), (5, 6)]);
        assert_eq!((sorted.forgotten, sorted.of_programme), (vec![ItemId(7)], Some(ItemId(5))));
        let submitted = Submission { hash: hash(1), changed_at: UnixMillis(5_000) };
        assert_eq!(sorted.submissions, [(ItemId(1), vec![submitted])]);
        // So early the bank has purged nothing: the item was brought back.
        assert_eq!(sort(changes, &out, UnixMillis(6_000), takes).forgotten, []);
    }
}
