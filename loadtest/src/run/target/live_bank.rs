//! The bank that a run writes to.

use std::time::Instant;

use vigie_clients::{BankClient, CallError, IdempotencyKey};
use vigie_model::{BankName, Hash, ItemContent, ItemDraft, Sequence};

use crate::judge::ledger::LiveItem;
use crate::judge::oracle::Identity;

/// The bank that this run writes to.
#[derive(Debug, Clone)]
pub(crate) struct LiveBank {
    pub(crate) client: BankClient,
    /// The bank's name. It is created for this run, and deleted after it.
    pub(crate) live: BankName,
}

impl LiveBank {
    /// Adds one item.
    pub(crate) async fn add(
        &self,
        live_seed: u64,
        number: u64,
        deadline: Instant,
    ) -> Result<(vigie_model::ItemId, Sequence), CallError> {
        let item = live_item(live_seed, number);
        let key = IdempotencyKey::named(format_args!("{}-{number}", self.live));
        let added = self.client.add_items(&self.live, vec![item], key, deadline.into()).await?;
        let id = added.value.first().copied().unwrap_or(vigie_model::ItemId(0));
        Ok((id, added.sequence))
    }

    /// Removes an item.
    pub(crate) async fn remove(&self, item: &LiveItem, deadline: Instant) -> Result<Sequence, CallError> {
        let key = IdempotencyKey::named(format_args!("{}-{}-gone", self.live, item.identity().reference()));
        Ok(self.client.remove_items(&[item.id], key, deadline.into()).await?.sequence)
    }

    /// Returns items of an import; no question asks for them.
    pub(crate) fn imported(seed: u64, numbers: std::ops::Range<u64>) -> Vec<ItemContent> {
        // The inverted seed keeps these hashes apart from those of items that questions ask for.
        numbers.map(|number| live_item(!seed, number)).collect()
    }
}

fn live_item(seed: u64, number: u64) -> ItemContent {
    let draft = ItemDraft {
        hashes: vec![Hash::pdq(LiveItem::hash_of(seed, number))],
        external_reference: Identity::Live(number).reference(),
        ..ItemDraft::default()
    };
    ItemContent::try_from(draft).expect("one hash and a short reference are an item")
}
