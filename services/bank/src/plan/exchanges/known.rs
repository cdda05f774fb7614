//! What the store knows of a page of a programme.

use std::collections::{HashMap, HashSet};

use vigie_consortium::{ContentDigest, Exchange, ItemRecord};
use vigie_model::ItemId;
use vigie_proto::bank::{ExchangePage, ForeignKey};

use crate::store::exchanges::{KeyDigest, MappedRecord};
use crate::store::{Placement, Store, StoreError, StoredRecord};

/// Records of other keys that are read for one content: more than a page can withdraw.
const OTHERS_MAX: u16 = 1_100;

/// The records of a programme that a page names, and those that share their items.
#[derive(Debug, Default)]
pub(crate) struct KnownPage {
    /// By the digests of keys that the page names.
    pub(super) mapped: HashMap<KeyDigest, MappedRecord>,
    /// Of content that has as many submissions of the owner as are kept: the records of all exchanges that have it.
    pub(super) others: HashMap<ContentDigest, Vec<MappedRecord>>,
}

/// What is looked up for a page.
#[derive(Debug, Default)]
pub(crate) struct LookedUp {
    pub(crate) page: KnownPage,
    pub(crate) placements: Vec<Placement>,
    pub(crate) records: Vec<StoredRecord>,
}

/// The keys that a page names.
pub(super) fn keys(page: &ExchangePage) -> impl Iterator<Item = &ForeignKey> {
    page.puts.iter().map(|put| &put.key).chain(&page.withdrawn)
}

/// Reads what is known of a page of an exchange.
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
    let mut others = HashMap::new();
    for stored in of_former() {
        let own = stored.record.members().filter(|member| *member == exchange.owner).count();
        if own >= ItemRecord::OF_MEMBER_MAX && !others.contains_key(&stored.record.content) {
            let content = stored.record.content;
            others.insert(content, store.exchange_records_of(content, OTHERS_MAX).await?);
        }
    }
    let mapped = mapped.into_iter().map(|record| (record.key_digest, record)).collect();
    Ok(LookedUp { page: KnownPage { mapped, others }, placements, records })
}
