//! Answers about items that searches do not need: details, and removed items.

use vigie_consortium::{Details, Hold, Holds, MemberId, Submission};
use vigie_model::{BankRef, Facts, Hash, Item, ItemId, Labels, Sequence, UnixMillis};
use vigie_proto::Invalid;
use vigie_proto::bank::{answered_hash, details_of, member_from_wire};
use vigie_proto::consortium::bank_ref;
use vigie_proto::pb::bank::v1 as pb;

/// The changes of an item. A request that changes nothing is refused.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ItemUpdate {
    /// The new details; `None` keeps the present ones.
    pub details: Option<Details>,
    /// The new labels; `None` keeps the present ones.
    pub labels: Option<Labels>,
}

/// Only the details change.
impl From<Details> for ItemUpdate {
    fn from(details: Details) -> Self {
        Self { details: Some(details), labels: None }
    }
}

/// Items that were added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedItems {
    /// The ids, in the order of the request.
    pub ids: Vec<ItemId>,
    /// Number of items that existed already.
    pub known: u32,
}

/// A page of items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPage {
    /// The items, by id.
    pub items: Vec<Item>,
    /// The page holds every change up to this one.
    pub sequence: Sequence,
    /// The item after which the next page begins; `None` after the last one.
    pub next_after: Option<ItemId>,
}

/// The items to find: those that have one of the hashes, or whose external reference or one of whose labels
/// equals the text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ItemSearch {
    /// The bank, or `None` for all.
    pub bank: Option<BankRef>,
    /// At most 4 hashes; only equal ones are found.
    pub hashes: Vec<Hash>,
    /// At most 512 bytes; empty for none.
    pub text: String,
}

/// A page of the items found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundItems {
    /// The items by id, each with the caller's name for its bank. May be empty although there are more.
    pub items: Vec<(Item, BankRef)>,
    /// The item after which the next page begins; `None` after the last one.
    pub next_after: Option<ItemId>,
    /// Number of items that the bank read for this page.
    pub read: u64,
}

impl TryFrom<pb::FindItemsResponse> for FoundItems {
    type Error = Invalid;

    fn try_from(message: pb::FindItemsResponse) -> Result<Self, Invalid> {
        let item = |found: pb::FoundItem| {
            let item = found.item.ok_or_else(|| Invalid::missing("items.item"))?.try_into()?;
            Ok((item, bank_ref("items.bank", &found.bank)?))
        };
        Ok(Self {
            items: message.items.into_iter().map(item).collect::<Result<_, Invalid>>()?,
            next_after: (message.next_after_id > 0).then_some(ItemId(message.next_after_id)),
            read: message.read_count,
        })
    }
}

/// An item with its details, submissions, holds and facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedItem {
    /// Its id.
    pub id: ItemId,
    /// The caller's name for its bank.
    pub bank: BankRef,
    /// The name of the member that added it; empty if it is not known, and in lists.
    pub contributor: String,
    /// The id of that member.
    pub contributor_id: MemberId,
    /// When it was added.
    pub added_at: UnixMillis,
    /// Its hashes; empty if the caller may not read them.
    pub hashes: Vec<Hash>,
    /// Its labels.
    pub labels: Vec<String>,
    /// The contributor's own name for the item; empty for none.
    pub external_reference: String,
    /// Its details.
    pub details: Details,
    /// Its submissions, with the names of their members.
    pub submissions: Vec<(String, Submission)>,
    /// Its holds; empty for an item that matches.
    pub holds: Holds,
    /// The facts of the members' opinions; `None` if there are none.
    pub facts: Option<Facts>,
    /// The times at which the dispute about it was opened and is due; `None` if there is none.
    pub dispute: Option<(UnixMillis, UnixMillis)>,
}

impl TryFrom<pb::GetItemResponse> for DescribedItem {
    type Error = Invalid;

    fn try_from(message: pb::GetItemResponse) -> Result<Self, Invalid> {
        let item = message.item.ok_or_else(|| Invalid::missing("item"))?;
        Self::new(bank_ref("bank", &message.bank)?, message.contributor, item)
    }
}

impl DescribedItem {
    fn new(bank: BankRef, contributor: String, item: pb::Item) -> Result<Self, Invalid> {
        let content = item.content.ok_or_else(|| Invalid::missing("content"))?;
        let pb::ItemContent { hashes, labels, external_reference, details, origin: _ } = content;
        let submission = |one: pb::Submission| Ok((one.member.clone(), one.try_into()?));
        Ok(Self {
            id: ItemId(item.id),
            bank,
            contributor,
            contributor_id: member_from_wire(item.contributor_member_id),
            added_at: UnixMillis(item.added_at_unix_ms),
            hashes: hashes.into_iter().map(answered_hash).collect::<Result<_, _>>()?,
            labels,
            external_reference,
            details: details.map_or_else(|| Ok(Details::default()), |given| details_of("details", given))?,
            submissions: item.submissions.into_iter().map(submission).collect::<Result<_, Invalid>>()?,
            holds: Holds::new(item.holds.into_iter().map(Hold::try_from).collect::<Result<Vec<_>, _>>()?),
            facts: item.facts.map(Facts::try_from).transpose()?,
            dispute: item
                .dispute
                .map(|dispute| (UnixMillis(dispute.opened_at_unix_ms), UnixMillis(dispute.due_at_unix_ms))),
        })
    }
}

/// Returns the item after which the next page of a list begins: the last item, if the page was truncated or
/// is full.
pub(super) fn next_after(
    truncated: bool,
    page_size: u16,
    count: usize,
    last: Option<ItemId>,
) -> Option<ItemId> {
    last.filter(|_| truncated || count >= usize::from(page_size))
}

/// A page of items of a bank with their details and facts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedPage {
    /// The items, by id.
    pub items: Vec<DescribedItem>,
    /// The item after which the next page begins; `None` after the last one.
    pub next_after: Option<ItemId>,
}

impl DescribedPage {
    pub(crate) fn new(
        bank: &BankRef,
        message: pb::ListItemsResponse,
        page_size: u16,
    ) -> Result<Self, Invalid> {
        let truncated = message.truncated;
        let described = |item| DescribedItem::new(bank.clone(), String::new(), item);
        let items = message.items.into_iter().map(described).collect::<Result<Vec<_>, _>>()?;
        let next_after = next_after(truncated, page_size, items.len(), items.last().map(|item| item.id));
        Ok(Self { items, next_after })
    }
}

/// A removed item that can be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemovedItem {
    /// Its id.
    pub id: ItemId,
    /// When it was removed.
    pub removed_at: UnixMillis,
    /// The name of the member that removed it.
    pub removed_by: String,
    /// The time until which it can be restored.
    pub until: UnixMillis,
    /// The time of its first submission; `None` if only its id shows when it was added.
    pub submitted_at: Option<UnixMillis>,
}

impl From<pb::RemovedItem> for RemovedItem {
    fn from(message: pb::RemovedItem) -> Self {
        Self {
            id: ItemId(message.item_id),
            removed_at: UnixMillis(message.removed_at_unix_ms),
            removed_by: message.removed_by,
            until: UnixMillis(message.until_unix_ms),
            submitted_at: (message.submitted_at_unix_ms > 0)
                .then_some(UnixMillis(message.submitted_at_unix_ms)),
        }
    }
}
