//! The gRPC adapter of the bank: it converts a request, calls the log or the store, and converts the answer.
//! The adapter decides nothing. `vigie-consortium` decides about rights, in the plan of a write and in the
//! view of a read.

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

/// Returns the status of a denied read.
fn refused(denied: Denied) -> Status {
    Error::Denied(denied).into()
}

/// Returns the name of a member in an answer; empty if there is no such member.
fn name_of_member(directory: &Directory, member: MemberId) -> String {
    directory.member(member).map(|member| member.name.to_string()).unwrap_or_default()
}

/// The directory of the bank that serves, as of the newest commit.
#[derive(Debug)]
pub(crate) struct OwnDirectory {
    /// The current term, if this bank leads.
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

/// The services for banks, items, members and the audit.
#[derive(Debug, Clone)]
pub(crate) struct BankGrpc {
    /// The current term, to which writes and reads are sent.
    pub(crate) current: CurrentTerm,
    /// The limits of the server, from which the deadline of a call is computed.
    pub(crate) serving: ServingConfig,
    /// Keys the digests of new API keys.
    pub(crate) pepper: vigie_credentials::api_key::Pepper,
    /// Signs checkpoints of the audit.
    pub(crate) checkpoints: Arc<Checkpoints>,
    /// The lease of the worker that follows the exchanges.
    pub(crate) lease: Arc<Lease>,
}

impl BankGrpc {
    /// Builds a write from a request, and waits until the log has done it or the call's deadline has passed.
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
        // The deadline has passed. The write is in the queue or further, so its outcome is unknown.
        Ok((called, written.unwrap_or(Err(Error::TimeSpent))?))
    }

    /// Begins a read: checks that this bank serves, and takes the store, the view and the deadline.
    fn reading<T>(&self, request: &Request<T>) -> Result<Reading, Status> {
        let called = Called::of(request)?;
        let (store, view) = (term(&self.current)?.application.store(), called.view()?);
        let deadline = deadline::of(request.metadata(), &self.serving);
        Ok(Reading { called, store, view, deadline })
    }
}

/// Returns the idempotency key under which a write is recorded. Each member has its own keys, so that no
/// member learns of another's. The host's keys are recorded unchanged, as they were before there were
/// members.
fn own_key(called: &Called, key: String) -> Result<String, Status> {
    let view = called.view()?;
    let member = called.admitted(&view)?.member().map(|member| member.id);
    Ok(match member {
        // Longer than any key of the host, and different for each pair of key and member.
        Some(member) if member != vigie_model::MemberId::HOST => {
            format!("{key: <width$}{}/{member}", key.len(), width = IDEMPOTENCY_KEY_LEN_MAX + 1)
        }
        Some(_) | None => key,
    })
}

/// A read by one caller: the store of the current term, the view of the directory, and the deadline.
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
