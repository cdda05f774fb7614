//! Reads a bank's items over gRPC for write-back, as a principal of the bank's owner.

use std::time::Duration;

use tokio::time::Instant;
use vigie_clients::{BankClient, BankEntry, Bearer, CallError, ChangesFrom, Code, DescribedItem, EntryState};
use vigie_consortium::Whose;
use vigie_model::{BankId, BankName, BankRef, Hash, ItemContent, ItemId, MemberName, Sequence};

use super::{BankError, ChangePage, ItemChange, ItemState, Reader};
use crate::secret::Secret;

/// The time limit of a call, with all its attempts.
const CALL_MAX: Duration = Duration::from_secs(30);
/// Returns the deadline of a call that begins now.
pub(super) fn deadline() -> Instant {
    Instant::now() + CALL_MAX
}

/// The calls for one reader.
pub(super) struct Reading<'r> {
    client: BankClient,
    reader: &'r Reader,
}

impl<'r> Reading<'r> {
    /// Makes the calls of a reader with a client that has no credential yet.
    pub(super) fn new(client: &BankClient, reader: &'r Reader) -> Result<Self, BankError> {
        Ok(Self { client: client.bearing(bearer(&reader.key)?), reader })
    }

    /// See [`Bank::own_bank`](super::Bank::own_bank). `owner` is the member who owns the exchange; `None` in
    /// a deployment without members.
    pub(super) async fn own_bank(&self, owner: Option<&MemberName>) -> Result<BankId, BankError> {
        let bank = self.client.get_bank(&self.reader.bank, deadline()).await;
        let bank = bank.map_err(|error| self.error(&error))?.value;
        // A bank of another member must not be given away by this one, under whatever alias it is shared.
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
        let change = |entry: BankEntry| {
            let BankEntry { item, sequence, changed_at, state, whose, .. } = entry;
            ItemChange { item, sequence, changed_at, state: state_of(state, whose) }
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

    fn name(&self) -> BankRef {
        BankRef { owner: None, name: self.reader.bank.clone() }
    }

    fn error(&self, error: &CallError) -> BankError {
        refusal(error, &self.reader.bank)
    }
}

/// Returns the credential of a key, or `None` if the key is empty.
pub(super) fn bearer(key: &Secret) -> Result<Option<Bearer>, BankError> {
    let key = key.reveal();
    let bearer = (!key.is_empty()).then(|| Bearer::new(key, "bank_key")).transpose();
    bearer.map_err(|fault| BankError::Refused(format!("bank_key: {fault}")))
}

/// Converts the error of a call about a reader's bank. It never ends the exchange, because the exchange's own
/// bank may be another one.
pub(super) fn refusal(error: &CallError, bank: &BankName) -> BankError {
    match error.code() {
        Code::NotFound => BankError::Refused(format!("there is no bank {bank} that bank_key reads")),
        Code::InvalidArgument
        | Code::PermissionDenied
        | Code::Unauthenticated
        | Code::Unimplemented
        | Code::OutOfRange
        | Code::FailedPrecondition => BankError::Refused(format!(
            "cannot read the bank {bank} with the credential bank_key: {}",
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

/// Returns whether a submission of the item names no programme. An item without submissions exists by its
/// contributor alone.
fn is_own(item: &DescribedItem) -> bool {
    let submissions = &item.submissions;
    submissions.is_empty() || submissions.iter().any(|(_, one)| one.origin.programme().is_empty())
}

fn state_of(state: EntryState, whose: Whose) -> ItemState {
    match (state, whose) {
        (_, Whose::Programmes | Whose::Canary) => ItemState::NotOwn,
        (EntryState::BroughtBack, _) => ItemState::BroughtBack,
        (EntryState::Living(content), Whose::Own) => ItemState::Own(content.hashes),
        (EntryState::Held(content), Whose::Own) => ItemState::Held(content.hashes),
        (EntryState::Living(content) | EntryState::Held(content), Whose::FormerlyOwn) => {
            ItemState::FormerlyOwn(content.hashes)
        }
        (EntryState::Removed { hashes }, Whose::Own | Whose::FormerlyOwn) => ItemState::Removed(hashes),
    }
}
