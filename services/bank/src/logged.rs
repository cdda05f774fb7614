//! Items compared with the changes that added them, as far as the log still keeps those.
//!
//! An item whose labels were replaced is compared without its labels: its record has the present ones.

use std::collections::BTreeSet;

use vigie_log::{ChangeRange, Slice, StoredChange, digest};
use vigie_model::{ChangeKind, Item, ItemId, Labels, Sequence};
use vigie_proto::bank::{LogChange, encode_item, encode_log_change};

use crate::plan::step::Step;
use crate::store::{Store, StoreError, to_model};

/// The most changes of one read, and the most bytes of them.
const PAGE: (usize, usize) = (2_000, 4 << 20);

/// An item that differs from what its change added.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Altered {
    pub(crate) item: ItemId,
    /// The item that was added, if the log keeps it and can prove it.
    pub(crate) added: Option<Item>,
}

/// Returns the items that differ from what their changes added. `items` are in ascending order of id, and of
/// one slice of the log. An item is not checked if its change is no longer kept. An item that was removed
/// meanwhile is left out: the log has its removal after the reader's position.
pub(crate) async fn altered(
    store: &dyn Store,
    slice: Slice,
    items: &[Item],
) -> Result<Vec<Altered>, StoreError> {
    let (Some(first), Some(last)) = (items.first(), items.last()) else { return Ok(Vec::new()) };
    let (count_max, bytes_max) = PAGE;
    let (mut after, through) = (first.id.0 - 1, last.id.0);
    let (mut found, mut floor) = (Vec::new(), Sequence::ZERO);
    while after < through {
        let (after_sequence, through) = (vigie_log::Sequence(after), vigie_log::Sequence(through));
        let range = ChangeRange { after: after_sequence, through, slice, count_max, bytes_max };
        let page = store.changes(&range).await?;
        let is_of_item =
            |change: &StoredChange| items.binary_search_by_key(&change.sequence.0, |item| item.id.0).is_ok();
        found.extend(page.changes.into_iter().filter(is_of_item));
        (after, floor) = (page.through.0, floor.max(to_model(page.floor)));
    }
    let differing = items.iter().filter(|item| item.id.0 > floor.0).filter_map(|item| {
        let logged = found.binary_search_by_key(&item.id.0, |change| change.sequence.0);
        let logged = logged.ok().map(|at| &found[at]);
        let differs = !logged.is_some_and(|change| adds(change, item));
        differs.then_some((item, logged))
    });
    let differing: Vec<(&Item, Option<&StoredChange>)> = differing.collect();
    let relabelled = relabelled(store, &differing).await?;
    let altered = differing.into_iter().filter(|(item, _)| !relabelled.contains(&item.id));
    Ok(altered.map(|(item, logged)| Altered { item: item.id, added: logged.and_then(proven_item) }).collect())
}

/// Returns the ids of those `differing` items that need not be reported: items whose labels were replaced and
/// that differ in nothing else, and items that were removed meanwhile together with their records.
async fn relabelled(
    store: &dyn Store,
    differing: &[(&Item, Option<&StoredChange>)],
) -> Result<BTreeSet<ItemId>, StoreError> {
    let (mut same, mut purged) = (Vec::new(), Vec::new());
    for (item, logged) in differing {
        match logged {
            Some(change) if change.is_purged() => purged.push(item.id),
            Some(change) if adds_but_for_labels(change, item) => same.push(item.id),
            Some(_) | None => {}
        }
    }
    let records = if same.is_empty() { Vec::new() } else { store.records(&same).await? };
    let of_record = records.into_iter().filter(|stored| stored.record.labels.is_some());
    let mut relabelled: BTreeSet<ItemId> = of_record.map(|stored| stored.item).collect();
    for item in same.into_iter().chain(purged) {
        if !relabelled.contains(&item) && store.item(item).await?.value.is_none() {
            relabelled.insert(item);
        }
    }
    Ok(relabelled)
}

/// Returns whether `change` added `item`. If the bytes of the change were purged or not read, they are
/// encoded again from the item and compared with the digest.
pub(crate) fn adds(change: &StoredChange, item: &Item) -> bool {
    if change.is_purged() {
        let again = encode_log_change(LogChange::Shard(ChangeKind::ItemAdded(item.clone())));
        return again.is_some_and(|bytes| digest(&bytes) == change.digest);
    }
    added_by(change).is_some_and(|added| encode_item(added) == encode_item(item.clone()))
}

/// Returns whether a change that still has its bytes added this item, apart from its labels.
fn adds_but_for_labels(change: &StoredChange, item: &Item) -> bool {
    let without = |item: Item| Item { content: item.content.with_labels(Labels::default()), ..item };
    added_by(change).is_some_and(|added| encode_item(without(added)) == encode_item(without(item.clone())))
}

/// Returns the item that a change added, if the bytes of the change match its digest.
pub(crate) fn proven_item(change: &StoredChange) -> Option<Item> {
    change.proven_bytes()?;
    added_by(change)
}

fn added_by(change: &StoredChange) -> Option<Item> {
    let read = Step::read(change.sequence, change.partition, change.bytes.as_ref()?)?;
    match read.change {
        LogChange::Shard(ChangeKind::ItemAdded(added)) => Some(added),
        LogChange::Shard(_)
        | LogChange::Directory(_)
        | LogChange::Record(..)
        | LogChange::BroughtBack(..)
        | LogChange::MatchRatio(..)
        | LogChange::Exchange(_)
        | LogChange::ExchangeRemoved(_)
        | LogChange::Document(_)
        | LogChange::DocumentGone(_) => None,
    }
}
