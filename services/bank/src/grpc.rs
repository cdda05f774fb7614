//! The gRPC side: converts, calls, converts. Decides nothing: rights are decided by `vigie-consortium`, in
//! the plan of a write and in the view of a read.

mod checkpoints;
mod banks;
mod audit;
mod changes;
mod exchanges;
mod lease;
mod feed;
mod members;
mod opinions;
mod cases;
mod page;
mod policies;
/// Classifiers: their cards and uses.
mod classifiers {
    mod model_cards;
    pub(super) mod scores;
}
/// Hash types of vectors, which a deployment declares.
mod vectors {
    mod hash_types;
}
mod published;
mod statistics;

use std::sync::Arc;

use tokio::time::Instant;
use tonic::{Request, Status};
use vigie_access::{Called, Directories};
use vigie_consortium::{Admitted, Denied, Directory, MemberId, View};
use vigie_model::UnixMillis;
use vigie_proto::bank::{IDEMPOTENCY_KEY_LEN_MAX, idempotency_key};
use vigie_serving::{ServingConfig, deadline};

pub(crate) use self::checkpoints::Checkpoints;
pub(crate) use self::feed::FeedGrpc;
pub(crate) use self::lease::Lease;

use crate::error::Error;
use crate::log::{CurrentTerm, term};
use crate::plan::answer::Answer;
use crate::plan::write::{Action, Author, Write};
use crate::store::{Store, StoreError};

/// The refusal of a denied read.
fn refused(denied: Denied) -> Status {
    Error::Denied(denied).into()
}

/// The name of a member in an answer; empty where there is no such member.
fn name_of_member(directory: &Directory, member: MemberId) -> String {
    directory.member(member).map(|member| member.name.to_string()).unwrap_or_default()
}

/// The directory of the bank that serves: always that of the newest commit.
#[derive(Debug)]
pub(crate) struct OwnDirectory {
    /// The term under way.
    pub(crate) current: CurrentTerm,
    /// The bank's clock.
    pub(crate) clock: Arc<dyn vigie_log::Clock>,
}

impl Directories for OwnDirectory {
    fn view(&self) -> Result<Arc<View>, Status> {
        Ok(term(&self.current)?.application.view())
    }

    fn now(&self) -> UnixMillis {
        UnixMillis(self.clock.now().0)
    }
}

/// The services that keep banks, items, members and the audit.
#[derive(Debug, Clone)]
pub(crate) struct BankGrpc {
    /// Where writes and reads go.
    pub(crate) current: CurrentTerm,
    /// How long a call may take.
    pub(crate) serving: ServingConfig,
    /// Keys the digests of new API keys.
    pub(crate) pepper: vigie_credentials::api_key::Pepper,
    /// Signs checkpoints of the audit.
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// The lease of the worker that follows the exchanges.
    pub(crate) lease: Arc<Lease>,
}

impl BankGrpc {
    /// Makes a write of a request and has it done.
    async fn write<T>(
        &self,
        request: Request<T>,
        action: impl FnOnce(&T) -> Result<Action, Status>,
        key: impl FnOnce(T) -> String,
    ) -> Result<(Called, Answer), Status> {
        let called = Called::of(&request)?;
        let term = term(&self.current)?;
        let (metadata, _, message) = request.into_parts();
        let deadline = deadline::of(&metadata, &self.serving);
        let action = action(&message)?;
        let key = idempotency_key(key(message))?.map(|key| own_key(&called, key)).transpose()?;
        let by = Author { caller: called.caller(&*called.view()?), method: called.method() };
        let write = Write { by, action };
        let written = tokio::time::timeout_at(deadline, term.log.write(write, key, deadline)).await;
        // It is in the queue or beyond, and nobody knows how far.
        Ok((called, written.unwrap_or(Err(Error::TimeSpent))?))
    }

    /// Begins a read.
    fn reading<T>(&self, request: &Request<T>) -> Result<Reading, Status> {
        let called = Called::of(request)?;
        let (store, view) = (term(&self.current)?.application.store(), called.view()?);
        let deadline = deadline::of(request.metadata(), &self.serving);
        Ok(Reading { called, store, view, deadline })
    }
}

/// The key as it is recorded: each member has keys of its own, so that nobody learns of another's. Those of
/// the host are as they were before there were members.
fn own_key(called: &Called, key: String) -> Result<String, Status> {
    let view = called.view()?;
    let member = called.admitted(&view)?.member().map(|member| member.id);
    Ok(match member {
        // Longer than a key of the host may be, and never the same for two keys or two members.
        Some(member) if member != vigie_model::MemberId::HOST => {
            format!("{key: <width$}{}/{member}", key.len(), width = IDEMPOTENCY_KEY_LEN_MAX + 1)
        }
        Some(_) | None => key,
    })
}

/// A read by one caller: the store, while this bank serves, and the directory.
struct Reading {
    called: Called,
    store: Arc<dyn Store>,
    view: Arc<View>,
    deadline: Instant,
}

impl Reading {
    fn admitted(&self) -> Result<Admitted<'_>, Status> {
        self.called.admitted(&self.view)
    }

    async fn read<T>(&self, read: impl Future<Output = Result<T, StoreError>>) -> Result<T, Status> {
        deadline::within(self.deadline, async { Ok(read.await.map_err(|error| Error::from_read(&error))?) })
            .await
    }
}
