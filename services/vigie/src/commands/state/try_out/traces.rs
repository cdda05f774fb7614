//! Records what a trial has written to the bank, and removes it.
//!
//! Each write is recorded before it is sent. If its answer is lost, the write may have been applied or may be
//! applied later. It is therefore sent again with the same idempotency key before its result is removed.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use vigie_clients::{BankClient, Code, Deadline, IdempotencyKey};
use vigie_model::{BankRef, ItemContent, ItemId, Sequence, UnixMillis};

/// Maximum time for the removal, whatever the timeout of the trial.
pub(super) const REMOVED_WITHIN: Duration = Duration::from_secs(10);

/// The bank and the item that a trial may have written, and their state.
pub(super) struct Traces {
    name: BankRef,
    content: ItemContent,
    bank: Trace<()>,
    item: Trace<ItemId>,
}

/// The state of one write.
enum Trace<T> {
    /// Not sent, refused, or already removed.
    None,
    /// Sent with this key; the answer is not known.
    Unknown(IdempotencyKey),
    Made(T),
}

impl fmt::Display for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.bank, &self.item) {
            (Trace::None, Trace::Made(item)) => write!(f, "item {item} in the bank {}", self.name),
            (Trace::None, Trace::Unknown(_)) => write!(f, "an item in the bank {}", self.name),
            _ => write!(f, "the bank {}", self.name),
        }
    }
}

impl Traces {
    pub(super) const fn new(name: BankRef, content: ItemContent) -> Self {
        Self { name, content, bank: Trace::None, item: Trace::None }
    }

    pub(super) const fn bank(&self) -> &BankRef {
        &self.name
    }

    /// Returns whether anything may have to be removed.
    pub(super) const fn are_possible(&self) -> bool {
        !matches!((&self.bank, &self.item), (Trace::None, Trace::None))
    }

    /// Creates the bank, and returns its time of creation. Returns `None` if the bank already exists; it is
    /// then not removed.
    pub(super) async fn create_bank(
        &mut self,
        client: &BankClient,
        deadline: Deadline,
    ) -> anyhow::Result<Option<UnixMillis>> {
        // This call detects an unreachable bank before anything may be left in it.
        match client.get_bank(&self.name, deadline).await {
            Ok(_) => return Ok(None),
            Err(error) if error.code() == Code::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let key = IdempotencyKey::random();
        self.bank = Trace::Unknown(key.clone());
        match client.create_bank(&self.name, key, deadline).await {
            Ok(made) => {
                self.bank = Trace::Made(());
                Ok(Some(made.value.created_at))
            }
            Err(error) if error.code() == Code::AlreadyExists => {
                self.bank = Trace::None;
                Ok(None)
            }
            Err(error) => {
                if is_refusal(error.code()) {
                    self.bank = Trace::None;
                }
                Err(error.into())
            }
        }
    }

    /// Adds the picture, and returns its id and the sequence of the addition.
    pub(super) async fn add_item(
        &mut self,
        client: &BankClient,
        deadline: Deadline,
    ) -> anyhow::Result<(ItemId, Sequence)> {
        let key = IdempotencyKey::random();
        self.item = Trace::Unknown(key.clone());
        match client.add_items(&self.name, vec![self.content.clone()], key, deadline).await {
            Ok(added) => {
                let item = added.value.first().copied().context("the bank named no item")?;
                self.item = Trace::Made(item);
                Ok((item, added.sequence))
            }
            Err(error) => {
                if is_refusal(error.code()) {
                    self.item = Trace::None;
                }
                Err(error.into())
            }
        }
    }

    /// Removes the picture if it was added, and returns the sequence of the removal.
    pub(super) async fn remove_item(
        &mut self,
        client: &BankClient,
        deadline: Deadline,
    ) -> anyhow::Result<Sequence> {
        let Trace::Made(item) = self.item else { return Ok(Sequence::ZERO) };
        let removed = client.remove_items(&[item], IdempotencyKey::random(), deadline).await?;
        self.item = Trace::None;
        Ok(removed.sequence)
    }

    /// Removes everything that may have been written.
    pub(super) async fn remove(&mut self, client: &BankClient) -> anyhow::Result<()> {
        let deadline = Deadline::now() + REMOVED_WITHIN;
        if let Trace::Unknown(key) = &self.bank {
            match client.create_bank(&self.name, key.clone(), deadline).await {
                Ok(_) => self.bank = Trace::Made(()),
                // The bank belonged to somebody else all the time.
                Err(error) if error.code() == Code::AlreadyExists => self.bank = Trace::None,
                Err(error) => return Err(error.into()),
            }
        }
        if let Trace::Unknown(key) = &self.item {
            let items = vec![self.content.clone()];
            let added = client.add_items(&self.name, items, key.clone(), deadline).await?;
            self.item = added.value.first().map_or(Trace::None, |item| Trace::Made(*item));
        }
        match self.remove_item(client, deadline).await {
            Ok(_) => {}
            Err(error) if is_not_found(&error) => self.item = Trace::None,
            Err(error) => return Err(error),
        }
        if let Trace::Made(()) = self.bank {
            let bank = client.get_bank(&self.name, deadline).await;
            match bank {
                // The bank contains items, so somebody else uses it, and it stays.
                Ok(bank) if bank.value.item_count > 0 => {}
                Ok(_) => {
                    client.delete_bank(&self.name, IdempotencyKey::random(), deadline).await?;
                }
                Err(error) if error.code() == Code::NotFound => {}
                Err(error) => return Err(error.into()),
            }
            self.bank = Trace::None;
        }
        Ok(())
    }
}

/// Returns whether a call that ended with this code has certainly changed nothing.
const fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::InvalidArgument
            | Code::NotFound
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::FailedPrecondition
            | Code::Unimplemented
            | Code::ResourceExhausted
    )
}

fn is_not_found(error: &anyhow::Error) -> bool {
    let call = error.downcast_ref::<vigie_clients::CallError>();
    call.is_some_and(|call| call.code() == Code::NotFound)
}
