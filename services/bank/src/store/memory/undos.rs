//! Removed items in memory that can be restored.

use std::ops::Bound::{Excluded, Unbounded};

use vigie_log::{ChangeRange, Sequence, Slice};
use vigie_model::{BankId, ItemId};

use super::Contents;
use crate::store::records::{KeptUndo, Rows, Undo};

impl Contents {
    /// Records removed items, with the bytes of their rows, which still exist; deletes the rows of restored
    /// items.
    pub(super) fn set_undos(&mut self, rows: &Rows) {
        let kept = |undo: &Undo| (undo.item, (undo.clone(), self.items.get(&undo.item).cloned()));
        self.undos.extend(rows.undos.iter().map(kept));
        rows.undone.iter().for_each(|item| drop(self.undos.remove(item)));
    }

    /// Returns the rows of removed items with these ids.
    pub(super) fn kept_undos(&self, items: &[ItemId]) -> Vec<KeptUndo> {
        let kept = |item: &ItemId| {
            let (undo, payload) = self.undos.get(item)?.clone();
            let through = Sequence(item.0);
            let (after, slice) = (through.before(), Slice::ALL);
            let range = ChangeRange { after, through, slice, count_max: 1, bytes_max: usize::MAX };
            let mut added = self.log.changes(&range).changes.pop();
            if let (Some(change), Some(_)) = (&mut added, &payload) {
                change.bytes = None;
            }
            Some(KeptUndo { undo, payload, added })
        };
        items.iter().filter_map(kept).collect()
    }

    /// Returns the removed items of a bank after an id, by id.
    pub(super) fn undos_of(&self, bank: BankId, after: ItemId) -> impl Iterator<Item = Undo> {
        let beyond = self.undos.range((Excluded(after), Unbounded)).map(|(_, (undo, _))| undo.clone());
        beyond.filter(move |undo| undo.bank == bank)
    }
}
