//! The items that a member has matched lately, in a fixed amount of memory.

use vigie_model::ItemId;

/// The number of remembered items: 8 KiB for a member whose matched items are limited.
const SLOTS: usize = 1_024;

/// The items that were matched last: one for each remainder of an id modulo [`SLOTS`]. The log assigns ids,
/// so callers cannot choose which items evict each other.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    /// Ids, 0 for none: no item has the id 0. Empty until the first match.
    slots: Box<[u64]>,
}

impl Seen {
    /// Whether the item is remembered.
    pub(super) fn contains(&self, item: ItemId) -> bool {
        self.slots.get(slot(item)) == Some(&item.0)
    }

    /// Remembers an item.
    pub(super) fn insert(&mut self, item: ItemId) {
        if self.slots.is_empty() {
            self.slots = vec![0; SLOTS].into();
        }
        if let Some(held) = self.slots.get_mut(slot(item)) {
            *held = item.0;
        }
    }

    /// Whether no memory is allocated.
    #[cfg(test)]
    pub(super) fn slots_are_none(&self) -> bool {
        self.slots.is_empty()
    }

    /// Forgets all items.
    pub(super) fn clear(&mut self) {
        self.slots.fill(0);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the remainder is below SLOTS")]
fn slot(item: ItemId) -> usize {
    (item.0 % SLOTS as u64) as usize
}
