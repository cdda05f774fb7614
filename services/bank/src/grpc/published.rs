//! Pages of the published list of one bank.

use tonic::{Request, Response, Status};
use vigie_consortium::items::published::entry_of;
use vigie_consortium::{Details, EntryDigest, ListChain, ListContent, ListKey};
use vigie_model::SetDigest;
use vigie_proto::Invalid;
use vigie_proto::bank::page_size;
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::bank::v1 as pb;
use vigie_serving::Answers;

use super::page::{PAGE_BYTES_MAX, first_of, room_of};
use super::{BankGrpc, refused};
use crate::error::Error;
use crate::log::term;
use crate::store::published::{FoundListed, ListPage, ListQuery};

impl BankGrpc {
    /// Answers a page of a list. The settled time is read first, so that the page has every change up to it.
    pub(super) async fn list_page(
        &self,
        request: Request<pb::ReadPublishedListRequest>,
    ) -> Result<Response<pb::ReadPublishedListResponse>, Status> {
        let reading = self.reading(&request)?;
        let answers = Answers::of(&request);
        let message = request.into_inner();
        let (name, limit) = (bank_ref("bank", &message.bank)?, page_size(message.page_size)?);
        let known = chain("after_chain", &message.after_chain)?;
        let bank = reading.admitted()?.bank(&name).map_err(refused)?.id;
        let after = message.after_number;
        let query = ListQuery { bank, after, count_max: limit, bytes_max: PAGE_BYTES_MAX };
        let mut room = answers.room(room_of(limit, PAGE_BYTES_MAX), reading.deadline).await?;
        let as_of = term(&self.current)?.log.settled();
        let page = reading.read(reading.store.list_page(&query)).await?;
        let ListPage { list, secret, chain, entries } = page.ok_or_else(|| Error::bank_not_found(name))?;
        if after > list.head.number || known.is_some_and(|known| known != chain) {
            return Err(Error::ListDiffers { number: list.head.number }.into());
        }
        let rows: Vec<_> = entries.iter().map(|found| found.entry).collect();
        let shown = entries.into_iter().map(|found| {
            let key = secret.key(bank, found.entry.item);
            entry(key, found)
        });
        let (entries, bytes, _) = first_of(shown, PAGE_BYTES_MAX);
        let rows = || rows.iter().zip(&entries);
        let read = rows().filter(|(_, entry)| entry.content.is_some()).map(|(row, _)| (row.item, bank));
        self.record_read(&reading, read).await?;
        let chain = rows().fold(chain, |chain, (row, _)| chain.after(row.number, &row.digest));
        let through = entries.last().map_or(after, |last| last.number);
        room.shrink(bytes);
        answers.send(room);
        Ok(Response::new(pb::ReadPublishedListResponse {
            has_more: through < list.head.number,
            entries,
            chain: chain.0.to_vec(),
            head_number: list.head.number,
            item_count: list.head.set.hashes,
            set_digest: sums(&list.head.set),
            is_whole: list.is_whole(),
            as_of_unix_ms: as_of.0,
        }))
    }
}

/// Converts an entry for a follower. The entry is complete if its item still matches it or is gone.
fn entry(key: ListKey, found: FoundListed) -> pb::PublishedEntry {
    let FoundListed { entry, item, record } = found;
    let shown = pb::PublishedEntry { number: entry.number, key: key.0.to_vec(), ..Default::default() };
    let content = item.map(|item| item.content);
    let now = content.as_ref().and_then(|content| entry_of(key, ListContent::of(content), record.as_ref()));
    match content.filter(|_| now == Some(entry.digest)) {
        Some(content) => {
            let pb::ItemContent { hashes, labels, .. } = content.into();
            // Followers get only the classification, and no other detail of the item.
            let details = record.map(|record| {
                let classification = record.details.classification;
                Details { classification, ..Details::default() }
            });
            let details = details.filter(|details| !details.is_empty()).map(Into::into);
            let content = pb::ItemContent { hashes, labels, details, ..Default::default() };
            pb::PublishedEntry { content: Some(content), ..shown }
        }
        // If the item is in the list now, it came back later, and a later entry says so.
        None if now.is_none() && entry.digest == EntryDigest::gone(key) => {
            pb::PublishedEntry { gone: true, ..shown }
        }
        None => pb::PublishedEntry { key: Vec::new(), superseded_digest: entry.digest.0.to_vec(), ..shown },
    }
}

/// Reads a chain; `None` if there are no bytes.
fn chain(field: &'static str, bytes: &[u8]) -> Result<Option<ListChain>, Invalid> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let chain = bytes.try_into().map_err(|_| Invalid::new(field, "has 32 bytes, or none"))?;
    Ok(Some(ListChain(chain)))
}

/// Returns the sums of a set, concatenated.
fn sums(set: &SetDigest) -> Vec<u8> {
    set.sums.iter().flat_map(|sum| sum.to_be_bytes()).collect()
}
