//! Pages of the changes of one bank.

use std::collections::HashMap;

use tonic::{Request, Response, Status};
use vigie_consortium::{ItemRecord, ListContent, Whose};
use vigie_log::{Sequence, UnixMillis};
use vigie_model::{Item, ItemId};
use vigie_proto::bank::page_size;
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::bank::v1::read_bank_changes_request::Start as WireStart;
use vigie_serving::Answers;

use super::banks::describe;
use super::page::{PAGE_BYTES_MAX, first_of, room_of};
use super::{BankGrpc, refused};
use crate::error::Error;
use crate::log::term;
use crate::store::changes::{ChangedItem, ChangedState, ChangesQuery, Start};

impl BankGrpc {
    /// Answers a page of changes. The settled time is read first, so that the page has every change up to it.
    pub(super) async fn changes_page(
        &self,
        request: Request<pb::ReadBankChangesRequest>,
    ) -> Result<Response<pb::ReadBankChangesResponse>, Status> {
        let reading = self.reading(&request)?;
        let answers = Answers::of(&request);
        let message = request.into_inner();
        let (name, limit) = (bank_ref("bank", &message.bank)?, page_size(message.page_size)?);
        let bank = reading.admitted()?.bank(&name).map_err(refused)?.id;
        let start = match message.start {
            None => Start::After(Sequence::ZERO),
            Some(WireStart::AfterSequence(sequence)) => Start::After(Sequence(sequence)),
            Some(WireStart::AfterUnixMs(time)) => Start::AfterTime(UnixMillis(time)),
        };
        let through = message.through_unix_ms.map(UnixMillis);
        let query = ChangesQuery { bank, start, through, count_max: limit, bytes_max: PAGE_BYTES_MAX };
        let mut room = answers.room(room_of(limit, PAGE_BYTES_MAX), reading.deadline).await?;
        let as_of = term(&self.current)?.log.settled();
        let page = reading.read(reading.store.bank_changes(&query)).await?;
        let page = page.ok_or_else(|| Error::bank_not_found(name))?;
        if page.after > page.head {
            return Err(Error::CursorBeyondLog { head: page.head }.into());
        }
        let records: HashMap<_, _> = page.records.into_iter().map(|set| (set.item, set.record)).collect();
        let entries = page.items.into_iter().map(|changed| {
            let record = records.get(&changed.item);
            entry(changed, record)
        });
        let (entries, bytes, is_cut) = first_of(entries, PAGE_BYTES_MAX);
        let has_hashes = |entry: &&pb::BankEntry| entry.content.is_some();
        let shown = entries.iter().filter(has_hashes).map(|entry| (ItemId(entry.item_id), bank));
        self.record_read(&reading, shown).await?;
        let last = entries.last().map(|entry| entry.sequence);
        room.shrink(bytes);
        answers.send(room);
        Ok(Response::new(pb::ReadBankChangesResponse {
            next_after_sequence: last.filter(|_| is_cut).unwrap_or(page.through.0),
            has_more: is_cut || page.has_more,
            entries,
            sequence: page.head.0,
            as_of_unix_ms: as_of.0,
        }))
    }
}

/// Converts an item to the form that the caller reads.
fn entry(changed: ChangedItem, record: Option<&ItemRecord>) -> pb::BankEntry {
    let ChangedItem { item: id, sequence, at, state } = changed;
    let whose = whose_of(&state, record);
    let brought_back = matches!(state, ChangedState::BroughtBack { .. });
    let (added_at, state, content) = match state {
        ChangedState::Living(item) => {
            let is_held = record.is_some_and(|record| !record.holds.is_empty());
            let state = if is_held { pb::EntryState::Held } else { pb::EntryState::Living };
            let mut content = pb::ItemContent::from(item.content);
            if let Some(record) = record {
                describe(&mut content, record);
            }
            (item.added_at.0, state, Some(content))
        }
        ChangedState::BroughtBack { added_at } => (added_at.0, pb::EntryState::Removed, None),
        ChangedState::Removed { added_at, item, whose: _ } => {
            let hashes =
                |content: pb::ItemContent| pb::ItemContent { hashes: content.hashes, ..Default::default() };
            let content = item.map(|item| hashes(item.content.into()));
            (added_at.0, pb::EntryState::Removed, content)
        }
    };
    pb::BankEntry {
        item_id: id.0,
        sequence: sequence.0,
        changed_unix_ms: at.0,
        added_unix_ms: added_at,
        state: state.into(),
        forgotten: content.is_none(),
        whose: whose.into(),
        brought_back,
        content,
    }
}

/// Returns the owner class of an item, at present or at its removal.
fn whose_of(state: &ChangedState, record: Option<&ItemRecord>) -> pb::EntryWhose {
    let is_canary = |item: &Item| ListContent::of(&item.content).is_none();
    let whose = match state {
        ChangedState::Living(item) if is_canary(item) => Whose::Canary,
        ChangedState::Living(_) => record.map_or(Whose::Own, ItemRecord::whose),
        ChangedState::Removed { whose, .. } => *whose,
        ChangedState::BroughtBack { .. } => Whose::Own,
    };
    match whose {
        Whose::Own => pb::EntryWhose::Own,
        Whose::FormerlyOwn => pb::EntryWhose::FormerlyOwn,
        Whose::Programmes => pb::EntryWhose::Programmes,
        Whose::Canary => pb::EntryWhose::Canary,
    }
}
