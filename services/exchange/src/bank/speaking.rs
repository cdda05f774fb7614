//! Reads a member's opinions on the items of an exchange over gRPC, as a principal of that member.

use std::collections::BTreeMap;

use vigie_clients::{BankClient, CallError, Code, ExchangeListing, ListedOpinion, OpinionClient};
use vigie_model::{BankRef, ItemId, MemberId, Sequence};

use super::reading::{bearer, deadline, refusal};
use super::{BankError, OwnWord, RecordsOfItem, SaidOfItem, SaidPage};
use crate::secret::Secret;

/// The calls of a member about the bank of an exchange.
pub(super) struct Speaking<'l> {
    items: BankClient,
    opinions: OpinionClient,
    listing: &'l ExchangeListing,
}

impl<'l> Speaking<'l> {
    /// Makes the calls with a key, from clients that have no credential yet.
    pub(super) fn new(
        items: &BankClient,
        opinions: &OpinionClient,
        key: &Secret,
        listing: &'l ExchangeListing,
    ) -> Result<Self, BankError> {
        let bearer = bearer(key)?;
        let (items, opinions) = (items.bearing(bearer.clone()), opinions.bearing(bearer));
        Ok(Self { items, opinions, listing })
    }

    /// See [`Bank::said`](super::Bank::said).
    pub(super) async fn said(&self, after: Sequence, count_max: u16) -> Result<SaidPage, BankError> {
        let bank = BankRef { owner: None, name: self.listing.bank.name.clone() };
        // With a key of another member, the same name could mean another bank.
        let found = self.items.get_bank(&bank.name, deadline()).await.map_err(|error| self.error(&error))?;
        if found.value.id != self.listing.exchange.bank {
            let reason = format!("the bank {bank} that bank_key reads is another one");
            return Err(BankError::Refused(reason));
        }
        let page = self.opinions.list_opinions(&bank, after, true, count_max, deadline()).await;
        let page = page.map_err(|error| self.error(&error))?;
        let head = page.sequence;
        // The bank may be shared with the key's member under any name, but the opinions of that member are
        // not the owner's.
        let owner = self.listing.bank.owner.as_ref();
        if let Some(other) =
            page.value.opinions.iter().find(|one| owner.is_some_and(|owner| owner.as_str() != one.member))
        {
            let reason = format!("bank_key is a key of {}, and not of the bank's owner", other.member);
            return Err(BankError::Refused(reason));
        }
        let mut items: Vec<SaidOfItem> = Vec::new();
        let mut places: BTreeMap<ItemId, usize> = BTreeMap::new();
        for opinion in page.value.opinions.into_iter().filter(|opinion| !opinion.of_programme) {
            let place = *places.entry(opinion.item).or_insert_with(|| {
                items.push(SaidOfItem { item: opinion.item, words: Vec::new() });
                items.len() - 1
            });
            items[place].words.push(word(opinion));
        }
        Ok(SaidPage { items, head, next_after: page.value.next_after, has_more: page.value.has_more })
    }

    /// See [`Bank::records_of`](super::Bank::records_of).
    pub(super) async fn records_of(&self, item: ItemId) -> Result<Option<RecordsOfItem>, BankError> {
        let described = match self.items.describe_item(item, deadline()).await {
            Ok(described) => described.value,
            Err(error) if error.code() == Code::NotFound => return Ok(None),
            Err(error) => return Err(self.error(&error)),
        };
        let exchange = &self.listing.exchange;
        // Another member may name any programme and any key, so only the owner's submissions count.
        let is_of = |member: MemberId| member == exchange.owner;
        let keys: Vec<String> = described
            .submissions
            .iter()
            .map(|(_, submission)| submission)
            .filter(|one| is_of(one.member) && one.origin.programme() == exchange.name.as_str())
            .map(|one| one.origin.key().to_owned())
            .filter(|key| !key.is_empty())
            .collect();
        Ok((!keys.is_empty()).then_some(RecordsOfItem { keys, hashes: described.hashes }))
    }

    fn error(&self, error: &CallError) -> BankError {
        refusal(error, &self.listing.bank.name)
    }
}

fn word(opinion: ListedOpinion) -> OwnWord {
    OwnWord {
        hash: opinion.hash,
        kind: opinion.kind,
        reason: opinion.words.reason,
        word: opinion.words.foreign.to_string(),
        sequence: opinion.sequence,
    }
}
