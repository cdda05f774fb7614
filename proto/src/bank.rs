//! Package `vigie.bank.v1`: banks, items, and the changes of the log.

mod exchange;
mod feed;
mod log_change;
mod opinion;
mod record;

pub use crate::model::standing::{labels_of, opinion_kind};
pub use exchange::{
    ExchangePage, ForeignKey, ForeignRecord, exchange_config, exchange_interval, foreign_key, foreign_opinion,
};
pub use feed::changes_checksum;
pub use log_change::{LogChange, decode_log_change, encode_log_change};
pub use opinion::{class, opinion_reason, reason_to_wire, resolution};
pub use record::{ContributedItem, answered_hash, answered_submission, details_of, origin_of};

use prost::Message as _;
use vigie_model::{
    Bank, BankId, BankName, BankRef, Change, ChangeKind, Hash, Item, ItemContent, ItemDraft, ItemId, LogHead,
    MatchRatio, MemberId, Sequence, UnixMillis,
};

use crate::invalid::{Invalid, check_len, each};
use crate::model::standing::{standing_from_wire, standing_to_wire};
use crate::model::{Sender, bank_name, bank_ref, hash};
use crate::pb::bank::v1 as pb;

/// The most items or ids in one write.
pub const WRITE_ITEMS_MAX: usize = 1_000;
/// The most bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_LEN_MAX: usize = 128;
/// The most entries of one page.
pub const PAGE_MAX: u16 = 1_000;
/// The entries of a page if the caller gives no size.
pub const PAGE_DEFAULT: u16 = 100;

/// Reads a bank name. `field`: its field, for errors.
pub fn name(field: &str, name: &str) -> Result<BankName, Invalid> {
    bank_name(field, name)
}

/// Reads an idempotency key; `None` for an empty one.
pub fn idempotency_key(key: String) -> Result<Option<String>, Invalid> {
    if key.len() > IDEMPOTENCY_KEY_LEN_MAX {
        let reason = format!("has {} bytes; it must have 1 to {IDEMPOTENCY_KEY_LEN_MAX}", key.len());
        return Err(Invalid::new("idempotency_key", reason));
    }
    Ok((!key.is_empty()).then_some(key))
}

/// Reads the size of a page; 0 means [`PAGE_DEFAULT`].
pub fn page_size(size: i32) -> Result<u16, Invalid> {
    match u16::try_from(size) {
        Ok(0) => Ok(PAGE_DEFAULT),
        Ok(size @ 1..=PAGE_MAX) => Ok(size),
        _ => Err(Invalid::new(
            "page_size",
            format!("is {size}; it must be 1 to {PAGE_MAX}, or 0 for {PAGE_DEFAULT}"),
        )),
    }
}

/// Reads the items of one write.
pub fn contributed_items(messages: Vec<pb::ItemContent>) -> Result<Vec<ContributedItem>, Invalid> {
    check_len("items", messages.len(), 1, WRITE_ITEMS_MAX)?;
    each("items", messages, record::contributed_item)
}

/// The most hashes in one search for items.
pub const FIND_HASHES_MAX: usize = 4;

/// The criteria of a search for items. An item is found if it has one of the hashes or the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemQuery {
    /// The bank, as the caller names it; `None` for all banks.
    pub bank: Option<BankRef>,
    /// Hashes to find, at most [`FIND_HASHES_MAX`].
    pub hashes: Vec<Hash>,
    /// A text that equals the external reference or a label of an item; never empty.
    pub text: Option<String>,
}

impl ItemQuery {
    /// Returns whether an item has one of the hashes or the text. The bank is not compared.
    #[must_use]
    pub fn asks_for(&self, content: &ItemContent) -> bool {
        let is_text = |text: &str| self.text.as_deref() == Some(text);
        self.hashes.iter().any(|hash| content.hashes().contains(hash))
            || content.external_reference().is_some_and(is_text)
            || content.labels().iter().any(|label| is_text(label))
    }

    /// Returns 1 to [`FIND_HASHES_MAX`] + 1 byte strings. The encoding ([`encode_item`]) of every item that
    /// is searched for contains at least one of them.
    pub fn needles(&self) -> impl Iterator<Item = &[u8]> {
        self.hashes.iter().map(Hash::as_bytes).chain(self.text.as_deref().map(str::as_bytes))
    }
}

impl TryFrom<&pb::FindItemsRequest> for ItemQuery {
    type Error = Invalid;

    fn try_from(message: &pb::FindItemsRequest) -> Result<Self, Invalid> {
        check_len("hashes", message.hashes.len(), 0, FIND_HASHES_MAX)?;
        check_len("text", message.text.len(), 0, ItemContent::EXTERNAL_REFERENCE_LEN_MAX)?;
        if message.hashes.is_empty() && message.text.is_empty() {
            return Err(Invalid::new("text", "is empty, and so are the hashes; one of them is required"));
        }
        let bank = (!message.bank.is_empty()).then(|| bank_ref("bank", &message.bank)).transpose()?;
        let hashes = each("hashes", message.hashes.clone(), |message| hash(message, Sender::Client))?;
        Ok(Self { bank, hashes, text: Some(message.text.clone()).filter(|text| !text.is_empty()) })
    }
}

/// Reads the ids of one removal: 1 to [`WRITE_ITEMS_MAX`], each once.
pub fn item_ids(ids: Vec<u64>) -> Result<Vec<ItemId>, Invalid> {
    check_len("item_ids", ids.len(), 1, WRITE_ITEMS_MAX)?;
    let mut sorted = ids.clone();
    sorted.sort_unstable();
    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Invalid::new("item_ids", "names an item twice"));
    }
    Ok(ids.into_iter().map(ItemId).collect())
}

/// Returns the bytes that the store keeps for a living item.
#[must_use]
pub fn encode_item(item: Item) -> Vec<u8> {
    pb::Item::from(item).encode_to_vec()
}

/// Reads what [`encode_item`] wrote.
pub fn decode_item(stored: &[u8]) -> Result<Item, Invalid> {
    pb::Item::decode(stored).map_err(|error| Invalid::new("item", error))?.try_into()
}

impl From<Bank> for pb::Bank {
    fn from(bank: Bank) -> Self {
        Self {
            id: bank.id.0,
            name: bank.name.to_string(),
            enabled: bank.enabled,
            created_at_unix_ms: bank.created_at.0,
            item_count: bank.item_count,
            hash_count: bank.hash_count,
            owner_member_id: member_to_wire(bank.owner),
            owner: String::new(),
            // The default has no bytes, so that answers which older builds recorded stay the same.
            match_ratio: (bank.match_ratio != MatchRatio::ALWAYS).then_some(bank.match_ratio.get()),
        }
    }
}

/// Reads the share of lookups in which a bank takes part. `field`: its field, for errors.
pub fn match_ratio(field: &str, ratio: f64) -> Result<MatchRatio, Invalid> {
    MatchRatio::try_from(ratio).map_err(|error| Invalid::new(field, error))
}

/// Reads the field `match_ratio`; the default if it is unset.
pub fn optional_match_ratio(ratio: Option<f64>) -> Result<MatchRatio, Invalid> {
    ratio.map_or(Ok(MatchRatio::ALWAYS), |ratio| match_ratio("match_ratio", ratio))
}

/// Returns the id of a member for the wire, where 0 is the host: changes written before there were members
/// have no field for it.
fn member_to_wire(member: MemberId) -> u32 {
    if member == MemberId::HOST { 0 } else { member.0 }
}

/// Returns the member with this id on the wire, where 0 is the host.
#[must_use]
pub const fn member_from_wire(id: u32) -> MemberId {
    if id == 0 { MemberId::HOST } else { MemberId(id) }
}

impl TryFrom<pb::Bank> for Bank {
    type Error = Invalid;

    fn try_from(message: pb::Bank) -> Result<Self, Invalid> {
        Ok(Self {
            id: BankId(message.id),
            owner: member_from_wire(message.owner_member_id),
            // A bank of another owner may be named with its owner, who is known by its id.
            name: bank_ref("name", &message.name)?.name,
            enabled: message.enabled,
            created_at: UnixMillis(message.created_at_unix_ms),
            item_count: message.item_count,
            hash_count: message.hash_count,
            match_ratio: optional_match_ratio(message.match_ratio)?,
        })
    }
}

impl From<ItemContent> for pb::ItemContent {
    fn from(content: ItemContent) -> Self {
        Self {
            hashes: content.hashes().iter().map(|hash| hash.clone().into()).collect(),
            labels: content.labels().iter().map(|label| label.to_string()).collect(),
            external_reference: content.external_reference().unwrap_or_default().to_owned(),
            origin: None,
            details: None,
        }
    }
}

fn item_content(message: pb::ItemContent, sender: Sender) -> Result<ItemContent, Invalid> {
    // The length is checked before the conversion too, so that a flood of hashes is not converted.
    check_len("hashes", message.hashes.len(), 1, ItemContent::HASHES_MAX)?;
    let draft = ItemDraft {
        hashes: each("hashes", message.hashes, |message| hash(message, sender))?,
        labels: message.labels,
        external_reference: message.external_reference,
    };
    ItemContent::try_from(draft).map_err(|error| Invalid::new(error.field(), error))
}

impl From<Item> for pb::Item {
    fn from(item: Item) -> Self {
        Self {
            id: item.id.0,
            bank_id: item.bank.0,
            added_at_unix_ms: item.added_at.0,
            content: Some(item.content.into()),
            contributor_member_id: member_to_wire(item.contributor),
            submissions: Vec::new(),
            holds: Vec::new(),
            facts: None,
            dispute: None,
        }
    }
}

impl TryFrom<pb::Item> for Item {
    type Error = Invalid;

    fn try_from(message: pb::Item) -> Result<Self, Invalid> {
        let content = message.content.ok_or_else(|| Invalid::missing("content"))?;
        Ok(Self {
            id: ItemId(message.id),
            bank: BankId(message.bank_id),
            added_at: UnixMillis(message.added_at_unix_ms),
            contributor: member_from_wire(message.contributor_member_id),
            content: item_content(content, Sender::Peer).map_err(|invalid| invalid.within("content"))?,
        })
    }
}

impl From<ChangeKind> for pb::change::Kind {
    fn from(kind: ChangeKind) -> Self {
        match kind {
            ChangeKind::BankCreated { bank, owner, name, created_at } => Self::BankCreated(pb::BankCreated {
                bank_id: bank.0,
                name: name.to_string(),
                created_at_unix_ms: created_at.0,
                owner_member_id: member_to_wire(owner),
            }),
            ChangeKind::BankRenamed { bank, name } => {
                Self::BankRenamed(pb::BankRenamed { bank_id: bank.0, name: name.to_string() })
            }
            ChangeKind::BankEnabledSet { bank, enabled } => {
                Self::BankEnabledSet(pb::BankEnabledSet { bank_id: bank.0, enabled })
            }
            ChangeKind::BankDeleted { bank } => Self::BankDeleted(pb::BankDeleted { bank_id: bank.0 }),
            ChangeKind::ItemAdded(item) => Self::ItemAdded(item.into()),
            ChangeKind::ItemRemoved { item, bank } => {
                Self::ItemRemoved(pb::ItemRemoved { item_id: item.0, bank_id: bank.0 })
            }
            ChangeKind::ItemHeldSet { item, bank, held } => {
                Self::ItemHeldSet(pb::ItemHeldSet { item_id: item.0, bank_id: bank.0, held })
            }
            ChangeKind::ItemStandingSet { item, bank, standing } => {
                let standing = standing_to_wire(&standing);
                Self::ItemStandingSet(pb::ItemStandingSet { item_id: item.0, bank_id: bank.0, standing })
            }
        }
    }
}

impl From<Change> for pb::Change {
    fn from(change: Change) -> Self {
        Self { sequence: change.sequence.0, kind: Some(change.kind.into()) }
    }
}

impl TryFrom<pb::Change> for Change {
    type Error = Invalid;

    fn try_from(message: pb::Change) -> Result<Self, Invalid> {
        use pb::change::Kind;
        let kind = match message.kind.ok_or_else(|| Invalid::missing("kind"))? {
            Kind::BankCreated(created) => ChangeKind::BankCreated {
                bank: BankId(created.bank_id),
                owner: member_from_wire(created.owner_member_id),
                name: bank_name("bank_created.name", &created.name)?,
                created_at: UnixMillis(created.created_at_unix_ms),
            },
            Kind::BankRenamed(renamed) => ChangeKind::BankRenamed {
                bank: BankId(renamed.bank_id),
                name: bank_name("bank_renamed.name", &renamed.name)?,
            },
            Kind::BankEnabledSet(set) => {
                ChangeKind::BankEnabledSet { bank: BankId(set.bank_id), enabled: set.enabled }
            }
            Kind::BankDeleted(deleted) => ChangeKind::BankDeleted { bank: BankId(deleted.bank_id) },
            Kind::ItemAdded(item) => ChangeKind::ItemAdded(
                item.try_into().map_err(|invalid: Invalid| invalid.within("item_added"))?,
            ),
            Kind::ItemRemoved(removed) => {
                ChangeKind::ItemRemoved { item: ItemId(removed.item_id), bank: BankId(removed.bank_id) }
            }
            Kind::ItemHeldSet(set) => ChangeKind::ItemHeldSet {
                item: ItemId(set.item_id),
                bank: BankId(set.bank_id),
                held: set.held,
            },
            Kind::ItemStandingSet(set) => ChangeKind::ItemStandingSet {
                item: ItemId(set.item_id),
                bank: BankId(set.bank_id),
                standing: standing_from_wire(set.standing)
                    .map_err(|invalid| invalid.within("item_standing_set.standing"))?,
            },
            Kind::MemberPut(_)
            | Kind::PrincipalPut(_)
            | Kind::PrincipalRevoked(_)
            | Kind::GrantPut(_)
            | Kind::GrantRevoked(_)
            | Kind::QuotaPut(_)
            | Kind::CharterPut(_)
            | Kind::ModelCardPut(_)
            | Kind::ItemRecordPut(_)
            | Kind::ItemBroughtBack(_)
            | Kind::BankMatchRatioSet(_)
            | Kind::DocumentPut(_)
            | Kind::DocumentGone(_)
            | Kind::PoliciesPut(_)
            | Kind::HashTypeDeclared(_)
            | Kind::ExchangePut(_)
            | Kind::ExchangeRemoved(_) => {
                return Err(Invalid::new(
                    "kind",
                    "is a change of the directory or of a record, which is no shard's",
                ));
            }
        };
        Ok(Self { sequence: Sequence(message.sequence), kind })
    }
}

impl From<LogHead> for pb::GetLogHeadResponse {
    fn from(head: LogHead) -> Self {
        Self {
            sequence: head.sequence.0,
            chain: head.chain.to_vec(),
            bank_count: head.banks,
            item_count: head.items,
            hash_count: head.hashes,
            floor_sequence: head.floor.0,
        }
    }
}

impl TryFrom<pb::GetLogHeadResponse> for LogHead {
    type Error = Invalid;

    fn try_from(message: pb::GetLogHeadResponse) -> Result<Self, Invalid> {
        Ok(Self {
            sequence: Sequence(message.sequence),
            chain: message.chain.try_into().map_err(|_| Invalid::new("chain", "must have 32 bytes"))?,
            banks: message.bank_count,
            items: message.item_count,
            hashes: message.hash_count,
            floor: Sequence(message.floor_sequence),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item() -> Item {
        let draft = ItemDraft {
            hashes: vec![Hash::pdq([9; 32]), Hash::md5([1; 16])],
            labels: vec!["a".into(), "b".into()],
            external_reference: "ref".into(),
        };
        let content = draft.try_into().unwrap();
        Item { id: ItemId(7), bank: BankId(2), added_at: UnixMillis(5), contributor: MemberId(3), content }
    }

    #[test]
    fn stored_items_read_back() {
        assert_eq!(decode_item(&encode_item(item())).unwrap(), item());
        assert!(decode_item(&[0xff]).is_err());
    }

    #[test]
    fn items_are_asked_for_by_hash_reference_or_label_and_hold_the_bytes_of_that() {
        let content = item().content;
        let query = |hashes: Vec<Hash>, text: &str| {
            let hashes = hashes.into_iter().map(Into::into).collect();
            ItemQuery::try_from(&pb::FindItemsRequest { hashes, text: text.into(), ..Default::default() })
        };
        let asked = [
            query(vec![Hash::pdq([9; 32])], ""),
            query(vec![Hash::sha256([9; 32]), Hash::md5([1; 16])], "x"),
            query(vec![], "ref"),
            query(vec![], "b"),
        ];
        let stored = encode_item(item());
        for query in asked.map(Result::unwrap) {
            assert!(query.asks_for(&content), "{query:?}");
            let is_held = |needle: &[u8]| stored.windows(needle.len()).any(|bytes| bytes == needle);
            assert!(query.needles().any(is_held), "{query:?}");
        }
        for query in [query(vec![Hash::sha256([9; 32])], ""), query(vec![], "re"), query(vec![], "a b")] {
            assert!(!query.unwrap().asks_for(&content));
        }
        for (hashes, text, field) in [(0, 0, "text: is empty"), (5, 0, "hashes: "), (0, 513, "text: has 513")]
        {
            let refused = query(vec![Hash::md5([1; 16]); hashes], &"x".repeat(text)).unwrap_err();
            assert!(refused.to_string().starts_with(field), "{refused}");
        }
    }

    #[test]
    fn a_removal_names_each_item_once() {
        assert!(item_ids(vec![1, 2]).is_ok());
        assert_eq!(item_ids(vec![2, 1, 2]).unwrap_err().to_string(), "item_ids: names an item twice");
        assert!(item_ids(vec![]).is_err());
    }
}
