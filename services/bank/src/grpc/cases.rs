//! The common parts of the services of reports, referrals, incidents and decisions.

mod reports;
mod referrals;
mod incidents;
mod decisions;

use prost::Message;
use tonic::{Request, Status};
use vigie_consortium::rights::Members;
use vigie_consortium::{Document, DocumentKey, DocumentKind};
use vigie_model::BankId;
use vigie_proto::Invalid;

use super::page::PAGE_BYTES_MAX;
use super::{BankGrpc, Reading, refused};
use crate::error::Error;
use crate::plan::answer::{Answer, CaseAnswer};
use crate::plan::cases::stage::Stage;
use crate::plan::cases::write::{CaseAction, CaseWrite};
use crate::plan::write::Action;
use crate::store::documents::DocumentRange;

/// The most documents that one call reads: a member's own are among those of others.
const SCANNED_MAX: u16 = 1_000;

impl BankGrpc {
    /// Writes a change of a case.
    async fn write_case<T: Message>(
        &self,
        request: Request<T>,
        action: impl FnOnce(&T) -> Result<CaseAction, Invalid>,
        key: impl FnOnce(T) -> String,
    ) -> Result<CaseAnswer, Status> {
        let action = |message: &T| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(std::any::type_name::<T>().as_bytes()).update(&message.encode_to_vec());
            let (action, request_digest) = (action(message)?, hasher.finalize().into());
            Ok(Action::Case(CaseWrite { action, request_digest }))
        };
        let (_, answer) = self.write(request, action, key).await?;
        let Answer::Case(answer) = answer else { return Err(Error::Broken.into()) };
        Ok(answer)
    }
}

/// Returns the number of a case in a request. Cases are numbered by sequences, so 0 is refused.
fn case_number(number: u64) -> Result<u64, Invalid> {
    if number == 0 { Err(Invalid::missing("number")) } else { Ok(number) }
}

/// A page of cases that is being filled. Few documents of many may be shown, so one call reads a bounded
/// number.
struct CasePage<M> {
    limit: usize,
    shown: Vec<M>,
    bytes: usize,
    /// The key of the last document that was read; `None` once all were.
    last: Option<DocumentKey>,
}

impl<M: Message> CasePage<M> {
    fn new(limit: u16, documents: &[Document]) -> Self {
        let is_full = documents.len() == usize::from(SCANNED_MAX);
        let last = documents.last().filter(|_| is_full).map(|last| last.key.clone());
        Self { limit: limit.into(), shown: Vec::new(), bytes: 0, last }
    }

    /// Adds the shown form of a document. Returns whether the page is full.
    fn add(&mut self, shown: M, key: &DocumentKey) -> bool {
        self.bytes += shown.encoded_len() + 5;
        self.shown.push(shown);
        let is_full = self.shown.len() == self.limit || self.bytes > PAGE_BYTES_MAX;
        if is_full {
            self.last = Some(key.clone());
        }
        is_full
    }

    /// Returns the page, and the key after which the next one begins; empty for no further page.
    fn end(self) -> (Vec<M>, Vec<u8>) {
        (self.shown, self.last.map(|last| last.as_bytes().to_vec()).unwrap_or_default())
    }
}

impl Reading {
    /// Returns the members whose cases the caller may read.
    fn case_members(&self) -> Result<Members, Status> {
        self.admitted()?.members().map_err(refused)
    }

    /// Reads documents of cases for one page, up to the stage `before`.
    async fn case_documents(
        &self,
        kind: DocumentKind,
        after_key: &[u8],
        before: Option<Stage>,
    ) -> Result<Vec<Document>, Status> {
        let after = DocumentKey::new(after_key).map_err(|error| Invalid::new("after_key", error))?;
        let range = DocumentRange { kind, after, before: before.map(Stage::begin), limit: SCANNED_MAX };
        self.read(self.store.document_range(&range)).await
    }

    /// Returns the caller's name for a bank; empty if the caller does not see it.
    fn case_bank(&self, bank: u32) -> Result<String, Status> {
        let admitted = self.admitted()?;
        let (Some(member), Some(owned)) = (admitted.member(), self.view.directory().bank(BankId(bank)))
        else {
            return Ok(String::new());
        };
        let name = self.view.name_for(member.id, owned, self.called.now());
        Ok(name.map(|name| name.to_string()).unwrap_or_default())
    }
}
