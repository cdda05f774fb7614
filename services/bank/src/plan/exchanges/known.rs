//! Looks up the stored data that a page of a programme concerns.

use std::collections::{HashMap, HashSet};

use vigie_consortium::{ContentDigest, Exchange, ItemRecord, ListContent, Submission};
use vigie_model::{Item, ItemId};
use vigie_proto::bank::{ExchangePage, ForeignKey, ForeignRecord};

use crate::store::exchanges::{KeyDigest, MappedRecord};
use crate::store::{Placement, Store, StoreError, StoredRecord};

/// The most records of other keys that are read for one content: more than a page can withdraw.
const OTHERS_MAX: u16 = 1_100;

/// The records of a programme that a page names, and those that share their items.
#[derive(Debug, Default)]
pub(crate) struct KnownPage {
    /// Records by the digests of the keys that the page names.
    pub(super) mapped: HashMap<KeyDigest, MappedRecord>,
    /// For content that has the most submissions that are kept of one owner: the records of all exchanges
    /// with that content.
    pub(super) others: HashMap<ContentDigest, Vec<MappedRecord>>,
}

/// The data that is looked up for a page.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    pub(crate) page: KnownPage,
    pub(crate) placements: Vec<Placement>,
    /// Items whose records now have other labels.
    pub(crate) contents: Vec<Item>,
    pub(crate) records: Vec<StoredRecord>,
}

/// Returns the keys that a page names.
pub(super) fn keys(page: &ExchangePage) -> impl Iterator<Item = &ForeignKey> {
    page.puts.iter().map(|put| &put.key).chain(&page.withdrawn)
}

/// Looks up the stored data for a page of an exchange.
pub(crate) async fn look_up(
    store: &dyn Store,
    exchange: &Exchange,
    page: &ExchangePage,
) -> Result<LookedUp, StoreError> {
    let digests: Vec<KeyDigest> = keys(page).map(KeyDigest::of).collect();
    let mapped = store.exchange_records(exchange.id, &digests).await?;
    let of_puts =
        page.puts.iter().map(|put| ContentDigest::of(exchange.bank, put.item.content.hashes()).key());
    let former: HashSet<ContentDigest> = mapped.iter().map(|record| record.content).collect();
    let content: Vec<u64> = of_puts.chain(former.iter().map(ContentDigest::key)).collect();
    let records = if content.is_empty() { Vec::new() } else { store.known_records(&[], &content).await? };
    let of_former = || records.iter().filter(|stored| former.contains(&stored.record.content));
    let items: Vec<ItemId> = records.iter().map(|stored| stored.item).collect();
    let placements = if items.is_empty() { Vec::new() } else { store.placements(&items).await? };
    let relabelled = may_be_relabelled(exchange, page, &records, &placements);
    let contents = if relabelled.is_empty() { Vec::new() } else { store.contents(&relabelled).await? };
    let mut others = HashMap::new();
    for stored in of_former() {
        let own = stored.record.members().filter(|member| *member == exchange.owner).count();
        if own >= ItemRecord::OF_MEMBER_MAX && !others.contains_key(&stored.record.content) {
            let content = stored.record.content;
            others.insert(content, store.exchange_records_of(content, OTHERS_MAX).await?);
        }
    }
    let mapped = mapped.into_iter().map(|record| (record.key_digest, record)).collect();
    Ok(LookedUp { page: KnownPage { mapped, others }, placements, contents, records })
}

/// Returns the items whose labels the page may replace.
fn may_be_relabelled(
    exchange: &Exchange,
    page: &ExchangePage,
    records: &[StoredRecord],
    placements: &[Placement],
) -> Vec<ItemId> {
    let puts: HashMap<ContentDigest, Vec<&ForeignRecord>> =
        page.puts.iter().fold(HashMap::new(), |mut all, put| {
            all.entry(ContentDigest::of(exchange.bank, put.item.content.hashes())).or_default().push(put);
            all
        });
    let followed = records.iter().filter(|stored| is_of_programme_alone(&stored.record, exchange));
    let followed: HashSet<ItemId> = followed.map(|stored| stored.item).collect();
    let is_other = |placement: &&Placement| {
        let puts = puts.get(&placement.content).filter(|_| followed.contains(&placement.item));
        puts.is_some_and(|puts| puts.iter().any(|put| differs(placement, put)))
    };
    placements.iter().filter(is_other).map(|placement| placement.item).collect()
}

/// Returns whether all submissions of an item come from this exchange.
pub(super) fn is_of_programme_alone(record: &ItemRecord, exchange: &Exchange) -> bool {
    let is_its =
        |one: &Submission| one.member == exchange.owner && one.origin.programme() == exchange.name.as_str();
    record.submissions.iter().all(is_its)
}

/// Returns whether a record with the hashes of an item has other labels. A canary's labels never come from a
/// programme, and a programme adds no canary.
pub(super) fn differs(placement: &Placement, put: &ForeignRecord) -> bool {
    let put = ListContent::of(&put.item.content);
    placement.listed.zip(put).is_some_and(|(listed, put)| listed != put)
}
