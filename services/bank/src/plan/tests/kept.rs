//! Applies the rows of groups of writes, as a store does.

use vigie_consortium::ListContent;

use super::*;

/// The rows of the items and of the digests, as a store has them after each batch.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) items: HashMap<ItemId, Placement>,
    pub(super) records: BTreeMap<ItemId, StoredRecord>,
    /// The bytes of all items that ever existed.
    pub(super) payloads: HashMap<ItemId, Vec<u8>>,
    pub(super) undos: BTreeMap<ItemId, Undo>,
    pub(super) parts: Parts,
    pub(super) totals: Parts,
}

impl Kept {
    pub(super) fn apply(&mut self, rows: &super::Rows, totals: &[(u16, SetDigest)]) {
        let written = || rows.items_added.iter().chain(&rows.items_relabelled);
        self.items.extend(written().map(|item| (item.placement.item, item.placement)));
        self.items.retain(|item, _| !rows.items_removed.contains(item));
        self.payloads.extend(written().map(|item| (item.placement.item, item.payload.clone())));
        self.undos.extend(rows.undos.iter().map(|undo| (undo.item, undo.clone())));
        self.undos.retain(|item, _| !rows.undone.contains(item));
        self.records.extend(rows.records_set.iter().map(|set| (set.item, set.clone())));
        self.records.retain(|item, _| !rows.items_removed.contains(item));
        rows.banks_deleted.iter().for_each(|bank| self.parts.remove(*bank));
        for PartDigest { bank, partition, digest } in &rows.digests {
            *self.parts.part(*bank, *partition) += *digest;
        }
        for (partition, digest) in totals {
            *self.totals.part(BankId(0), *partition) += *digest;
        }
    }

    /// Returns the present items.
    pub(super) fn contents(&self) -> Vec<Item> {
        self.items.keys().map(|item| decode_item(&self.payloads[item]).unwrap()).collect()
    }

    /// Compares the row and the record of an item with its labels.
    pub(super) fn check_labels(&self, item: ItemId, labels: &Labels) {
        let row = decode_item(&self.payloads[&item]).unwrap();
        assert_eq!(row.content.checked_labels(), labels);
        assert_eq!(self.items[&item].listed, ListContent::of(&row.content));
        let record = self.records.get(&item).map(|stored| &stored.record);
        let changed = record.and_then(|record| record.labels.as_ref());
        assert!(changed.is_none_or(|changed| changed == labels));
        assert_eq!(record.and_then(|record| record.standing.labels.as_ref()), changed);
    }

    pub(super) fn removed(&self) -> Vec<RemovedItem> {
        let removed = |undo: &Undo| {
            let item = decode_item(&self.payloads[&undo.item]).unwrap();
            RemovedItem { item, record: undo.record.clone(), removed_by: undo.member }
        };
        self.undos.values().map(removed).collect()
    }

    /// Computes the digests again: by bank and partition, and by partition.
    pub(super) fn counted(&self, banks: &[Bank]) -> (Parts, Parts) {
        let (mut parts, mut totals) = (Parts::default(), Parts::default());
        for placement in self.items.values() {
            if banks.iter().any(|bank| bank.id == placement.bank) {
                let (item, mut digest) = (placement.item, placement.digest);
                let partition = Partition::of(item).get();
                if let Some(StoredRecord { record, .. }) = self.records.get(&item) {
                    digest += SetDigest::of_standing(item, &record.standing);
                    let is_held = !record.holds.is_empty();
                    digest += if is_held { SetDigest::of_hold(item) } else { SetDigest::EMPTY };
                }
                *parts.part(placement.bank, partition) += digest;
                *totals.part(BankId(0), partition) += digest;
            }
        }
        (parts, totals)
    }
}
