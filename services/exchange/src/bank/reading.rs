//! Reads a bank's items over gRPC for write-back, as a principal of the bank's owner.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{
    BankClient, BankEntry, Bearer, CallError, ChangesFrom, Code, DescribedItem, EntryContent, EntryState,
};
use vigie_model::{BankId, BankRef, Hash, ItemContent, ItemId, MemberName, Sequence};

use super::{BankError, ChangePage, ItemChange, ItemState, Reader};

/// How long a call may take, attempts included.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Items of one call that tells their submissions.
const DESCRIBED_PAGE: u16 = 1_000;

/// The deadline of a call that begins now.
pub(super) fn deadline() -> Instant {
    Instant::now() + CALL_MAX
}

/// The calls of one reader.
pub(super) struct Reading<'r> {
    client: BankClient,
    reader: &'r Reader,
}

impl<'r> Reading<'r> {
    /// The calls of a reader, by a client without a credential.
    pub(super) fn new(client: &BankClient, reader: &'r Reader) -> Result<Self, BankError> {
        let key = reader.key.reveal();
        let bearer = (!key.is_empty()).then(|| Bearer::new(key, "bank_key")).transpose();
        let bearer = bearer.map_err(|fault| BankError::Refused(format!("bank_key: {fault}")))?;
        Ok(Self { client: client.bearing(bearer), reader })
    }

    /// See [`Bank::own_bank`](super::Bank::own_bank). `owner` is the member whose exchange it is; `None` where there are no members.
    pub(super) async fn own_bank(&self, owner: Option<&MemberName>) -> Result<BankId, BankError> {
        let bank = self.client.get_bank(&self.reader.bank, deadline()).await;
        let bank = bank.map_err(|error| self.error(&error))?.value;
        // A bank of another member is not this one's to give away, be it shared under any alias.
        if owner.is_some() && bank.owner.as_ref() != owner {
            let name = &self.reader.bank;
            return Err(BankError::Refused(format!("the bank {name} belongs to another member")));
        }
        Ok(bank.id)
    }

    /// See [`Bank::changes`](super::Bank::changes).
    pub(super) async fn changes(&self, after: Sequence, count_max: u16) -> Result<ChangePage, BankError> {
        let from = ChangesFrom::After(after);
        let page = self.client.bank_changes(&self.name(), from, None, count_max, deadline()).await;
        let page = page.map_err(|error| self.error(&error))?;
        let uncertain = page.entries.iter().filter(|entry| is_of_programme(entry)).map(|entry| entry.item);
        let own = self.own_among(uncertain.collect()).await?;
        let change = |entry: BankEntry| {
            let is_own = !is_of_programme(&entry) || own.contains(&entry.item);
            let BankEntry { item, sequence, changed_at, state, .. } = entry;
            ItemChange { item, sequence, changed_at, state: state_of(state, is_own) }
        };
        Ok(ChangePage {
            changes: page.entries.into_iter().map(change).collect(),
            head: page.sequence,
            next_after: page.next_after,
            has_more: page.has_more,
        })
    }

    /// See [`Bank::own_item`](super::Bank::own_item).
    pub(super) async fn own_item(&self, item: ItemId) -> Result<Option<Vec<Hash>>, BankError> {
        match self.client.describe_item(item, deadline()).await {
            Ok(described) => {
                let item = described.value;
                let is_canary = item.labels.iter().any(|label| label == ItemContent::CANARY_LABEL);
                Ok((is_own(&item) && item.holds.is_empty() && !is_canary).then_some(item.hashes))
            }
            Err(error) if error.code() == Code::NotFound => Ok(None),
            Err(error) => Err(self.error(&error)),
        }
    }

    /// Those of these items that have a submission without a programme. An entry names the origin of the first submission alone.
    async fn own_among(&self, items: BTreeSet<ItemId>) -> Result<BTreeSet<ItemId>, BankError> {
        let mut own = BTreeSet::new();
        let mut left = items;
        while let Some(first) = left.first().copied() {
            let after = first.0.checked_sub(1).map(ItemId);
            let page = self.client.describe_items(&self.name(), after, DESCRIBED_PAGE, deadline()).await;
            let page = page.map_err(|error| self.error(&error))?.value;
            let described: BTreeMap<ItemId, bool> =
                page.items.iter().map(|item| (item.id, is_own(item))).collect();
            let last = page.next_after.unwrap_or(ItemId(u64::MAX));
            own.extend(left.iter().filter(|item| described.get(item) == Some(&true)));
            // What is not in the page was removed meanwhile, and comes again as a change.
            left.retain(|item| *item > last);
        }
        Ok(own)
    }

    fn name(&self) -> BankRef {
        BankRef { owner: None, name: self.reader.bank.clone() }
    }

    /// The error of a call. None of them ends the exchange: its own bank is another matter.
    fn error(&self, error: &CallError) -> BankError {
        match error.code() {
            Code::NotFound => BankError::Refused(format!("there is no bank {} to submit", self.reader.bank)),
            Code::InvalidArgument
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::Unimplemented
            | Code::OutOfRange
            | Code::FailedPrecondition => BankError::Refused(format!(
                "cannot read the bank {} with the credential bank_key: {}",
                self.reader.bank,
                error.message()
            )),
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::ResourceExhausted
            | Code::Aborted
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss => BankError::Unavailable(error.message().to_owned()),
        }
    }
}

/// Whether the first submission of an item that is there names a programme.
fn is_of_programme(entry: &BankEntry) -> bool {
    match &entry.state {
        EntryState::Living(content) | EntryState::Held(content) => {
            content.origin.as_ref().is_some_and(|origin| !origin.programme().is_empty())
        }
        EntryState::Removed { .. } => false,
    }
}

/// Whether a submission names no programme. An item without any lives by its contributor's word.
fn is_own(item: &DescribedItem) -> bool {
    let submissions = &item.submissions;
    submissions.is_empty() || submissions.iter().any(|(_, one)| one.origin.programme().is_empty())
}

fn state_of(state: EntryState, is_own: bool) -> ItemState {
    let is_canary =
        |content: &EntryContent| content.labels.iter().any(|label| label == ItemContent::CANARY_LABEL);
    match state {
        EntryState::Living(content) | EntryState::Held(content) if is_canary(&content) => ItemState::Canary,
        EntryState::Living(content) | EntryState::Held(content) if !is_own => {
            ItemState::OfProgrammes(content.hashes)
        }
        EntryState::Living(content) => ItemState::Own(content.hashes),
        EntryState::Held(content) => ItemState::Held(content.hashes),
        EntryState::Removed { hashes } => ItemState::Removed(hashes),
    }
}
