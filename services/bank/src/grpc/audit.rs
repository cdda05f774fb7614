//! The audit service: lists entries for their readers, and proves the tree.

use prost::Message as _;
use tonic::{Code, Request, Response, Status};
use vigie_access::{Called, Who};
use vigie_audit::tree::{self, LeafIndex, NodeHash, Query, SIZE_MAX, Size};
use vigie_consortium::quotas::Sign;
use vigie_consortium::rights::Members;
use vigie_consortium::{Caller, Method, PrincipalId, Process};
use vigie_model::{BankId, ItemId, MemberId, UnixMillis};
use vigie_proto::Invalid;
use vigie_proto::bank::page_size;
use vigie_proto::consortium::optional_member;
use vigie_proto::pb::consortium::v1 as pb;
use vigie_serving::Answers;

use super::checkpoints::{NoCheckpoint, Signed};
use super::page::PAGE_BYTES_MAX;
use super::{BankGrpc, Reading, refused};
use crate::error::Error;
use crate::plan::answer::Answer;
use crate::plan::audit::{About, NewEntry};
use crate::plan::write::{Action, Author, Write};
use crate::store::{EntryRange, FoundEntry};

/// The most counts of one report.
const COUNTS_MAX: usize = 1_000;
/// The most bytes of an entry of usual size: the memory to reserve for a page is a multiple of it.
const ENTRY_BYTES: usize = 2 << 10;

impl BankGrpc {
    /// Records that hashes of these items are about to be answered. An answer that cannot be recorded is not
    /// given.
    pub(super) async fn record_read(
        &self,
        reading: &Reading,
        items: impl IntoIterator<Item = (ItemId, BankId)>,
    ) -> Result<(), Status> {
        let about = About::items(items);
        if about.items == 0 || !reading.view.directory().is_on() {
            return Ok(());
        }
        let (called, view) = (&reading.called, &*reading.view);
        let method = called.method();
        let (by, action) = (called.who(view), method.path().to_owned());
        let entry = NewEntry { by, action, code: Code::Ok, about, calls: 1, since: None };
        let by = Author { caller: called.caller(view), method };
        let write = Write { by, action: Action::Record(vec![entry]) };
        let log = &crate::log::term(&self.current)?.log;
        let written = tokio::time::timeout_at(reading.deadline, log.write(write, None, reading.deadline));
        written.await.unwrap_or(Err(Error::TimeSpent))?;
        Ok(())
    }

    async fn checkpoint(&self, reading: &Reading) -> Result<Signed, Status> {
        let newest = async { Ok(self.checkpoints.newest(&*reading.store).await) };
        vigie_serving::deadline::within(reading.deadline, newest).await?.map_err(|error| match error {
            NoCheckpoint::NoKey => Status::failed_precondition(error.to_string()),
            NoCheckpoint::Store(error) => Error::from_read(&error).into(),
            NoCheckpoint::Checkpoint(_) | NoCheckpoint::Sign(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "cannot make an audit checkpoint");
                Error::Broken.into()
            }
        })
    }

    /// Returns the tree size that a request for a proof names, at most the size of the present tree. For 0 it
    /// is the size of the newest checkpoint, or of the present tree if checkpoints are not signed.
    async fn size(&self, reading: &Reading, field: &str, named: u64) -> Result<Size, Status> {
        if named == 0 && self.checkpoints.are_signed() {
            return Ok(self.checkpoint(reading).await?.size);
        }
        let head = reading.read(reading.store.audit_head()).await?;
        let present = head.tree.size();
        if named == 0 {
            return Ok(present);
        }
        let size = Size::new(named).filter(|size| *size <= present);
        let reason = || format!("is {named}; the audit has {present} entries");
        Ok(size.ok_or_else(|| Invalid::new(field, reason()))?)
    }

    async fn proof(&self, reading: &Reading, query: Query<Vec<NodeHash>>) -> Result<Vec<Vec<u8>>, Status> {
        let hashes = reading.read(reading.store.audit_hashes(query.positions())).await?;
        let proof = query.answer(&hashes).map_err(|_| Error::Broken)?;
        Ok(proof.into_iter().map(|hash| hash.0.to_vec()).collect())
    }
}

impl Reading {
    /// Reads the entry at an index, and the member whose call it records.
    async fn entry(&self, index: u64) -> Result<Option<(FoundEntry, Option<MemberId>)>, Status> {
        let range = EntryRange { from: index, member: None, count_max: 1, bytes_max: usize::MAX };
        let page = self.read(self.store.audit_entries(&range)).await?;
        let Some(found) = page.entries.into_iter().find(|entry| entry.index == index) else {
            return Ok(None);
        };
        let entry = pb::AuditEntry::decode(&found.payload[..]).map_err(|_| Error::Broken)?;
        Ok(Some((found, (entry.member_id > 0).then_some(MemberId(entry.member_id)))))
    }
}

/// Converts a counted call of a report to an entry.
fn reported(number: usize, counted: &pb::CountedCalls) -> Result<NewEntry, Invalid> {
    let field = |name: &str| format!("calls[{number}].{name}");
    let method = Method::from_path(&counted.method).map(Method::path);
    let action = method.or_else(|| Sign::of_event(&counted.method).map(Sign::event));
    let reason = || format!("is {:?}, which is no method and no alarm", counted.method);
    let action = action.ok_or_else(|| Invalid::new(field("method"), reason()))?;
    if counted.calls == 0 {
        return Err(Invalid::new(field("calls"), "is 0; it must be at least 1"));
    }
    let by = Who {
        member: (counted.member_id > 0).then_some(MemberId(counted.member_id)),
        principal: (counted.principal_id > 0).then_some(PrincipalId(counted.principal_id)),
    };
    Ok(NewEntry {
        by,
        action: action.to_owned(),
        code: Code::from(counted.code),
        about: About {
            banks: (counted.bank_id > 0).then_some(BankId(counted.bank_id)).into_iter().collect(),
            first_item: (counted.item_id > 0).then_some(ItemId(counted.item_id)),
            items: counted.item_count,
            sequence: None,
            card: None,
        },
        calls: counted.calls,
        since: (counted.since_unix_ms > 0).then_some(UnixMillis(counted.since_unix_ms)),
    })
}

#[tonic::async_trait]
impl pb::audit_service_server::AuditService for BankGrpc {
    async fn list_entries(
        &self,
        request: Request<pb::ListEntriesRequest>,
    ) -> Result<Response<pb::ListEntriesResponse>, Status> {
        let reading = self.reading(&request)?;
        let answers = Answers::of(&request);
        let message = request.into_inner();
        let limit = page_size(message.page_size)?;
        let admitted = reading.admitted()?;
        let readable = admitted.members().map_err(refused)?;
        let member = match (optional_member("member", &message.member)?, readable) {
            (Some(name), _) => Some(admitted.member_called(&name).map_err(refused)?.id),
            (None, Members::Only(member)) => Some(member),
            (None, Members::Every) => None,
        };
        let mut room = answers.room(usize::from(limit) * ENTRY_BYTES, reading.deadline).await?;
        let from = message.from_index;
        let range = EntryRange { from, member, count_max: limit.into(), bytes_max: PAGE_BYTES_MAX };
        let page = reading.read(reading.store.audit_entries(&range)).await?;
        let next_index = if page.cut { page.entries.last().map_or(0, |last| last.index + 1) } else { 0 };
        let entries: Vec<Vec<u8>> = page.entries.into_iter().map(|entry| entry.payload).collect();
        room.shrink(entries.iter().map(|entry| entry.len() + 5).sum());
        answers.send(room);
        let tree_size = page.size.get();
        Ok(Response::new(pb::ListEntriesResponse { entries, next_index, tree_size }))
    }

    async fn get_checkpoint(
        &self,
        request: Request<pb::GetCheckpointRequest>,
    ) -> Result<Response<pb::GetCheckpointResponse>, Status> {
        let reading = self.reading(&request)?;
        reading.admitted()?;
        let signed_note = self.checkpoint(&reading).await?.note.to_string();
        Ok(Response::new(pb::GetCheckpointResponse { signed_note }))
    }

    async fn prove_inclusion(
        &self,
        request: Request<pb::ProveInclusionRequest>,
    ) -> Result<Response<pb::ProveInclusionResponse>, Status> {
        let reading = self.reading(&request)?;
        let pb::ProveInclusionRequest { index, tree_size } = *request.get_ref();
        let admitted = reading.admitted()?;
        let size = self.size(&reading, "tree_size", tree_size).await?;
        let query = tree::inclusion(LeafIndex(index), size).ok();
        let found = if query.is_some() { reading.entry(index).await? } else { None };
        let of = found.as_ref().map(|(_, member)| *member);
        admitted.entry(index, of).map_err(refused)?;
        let (Some(query), Some((entry, _))) = (query, found) else { return Err(Error::Broken.into()) };
        let path = self.proof(&reading, query).await?;
        let leaf_hash = NodeHash::of_entry(&entry.payload).0.to_vec();
        Ok(Response::new(pb::ProveInclusionResponse { leaf_hash, path, tree_size: size.get() }))
    }

    async fn prove_consistency(
        &self,
        request: Request<pb::ProveConsistencyRequest>,
    ) -> Result<Response<pb::ProveConsistencyResponse>, Status> {
        let reading = self.reading(&request)?;
        let pb::ProveConsistencyRequest { old_size, new_size } = *request.get_ref();
        reading.admitted()?;
        let new = self.size(&reading, "new_size", new_size).await?;
        let old = Size::new(old_size).filter(|old| (1..=new.get()).contains(&old.get()));
        let reason = || format!("is {old_size}; it must be 1 to {}", new.get().min(SIZE_MAX));
        let old = old.ok_or_else(|| Invalid::new("old_size", reason()))?;
        let query = tree::consistency(old, new).map_err(|_| Error::Broken)?;
        let path = self.proof(&reading, query).await?;
        Ok(Response::new(pb::ProveConsistencyResponse { path, new_size: new.get() }))
    }

    async fn record_calls(
        &self,
        request: Request<pb::RecordCallsRequest>,
    ) -> Result<Response<pb::RecordCallsResponse>, Status> {
        let called = Called::of(&request)?;
        let of_matcher = called.caller(&*called.view()?) == Caller::Process(Process::Matcher);
        let action = |message: &pb::RecordCallsRequest| {
            let counts = message.calls.len();
            if !(1..=COUNTS_MAX).contains(&counts) {
                let reason = format!("has {counts} counts; it must have 1 to {COUNTS_MAX}");
                return Err(Invalid::new("calls", reason).into());
            }
            let entries = message.calls.iter().enumerate().map(|(number, counted)| reported(number, counted));
            let entries: Vec<NewEntry> = entries.collect::<Result<_, _>>()?;
            let is_of_nobody = |entry: &NewEntry| entry.by == Who::default() && entry.code != Code::Ok;
            if of_matcher && !entries.iter().all(is_of_nobody) {
                let reason = "a matcher knows no members: it reports refused calls of nobody";
                return Err(Invalid::new("calls", reason).into());
            }
            Ok(Action::Record(entries))
        };
        let (_, answer): (Called, Answer) =
            self.write(request, action, |message| message.idempotency_key).await?;
        let Answer::Recorded { entries } = answer else { return Err(Error::Broken.into()) };
        Ok(Response::new(pb::RecordCallsResponse { tree_size: entries }))
    }
}
