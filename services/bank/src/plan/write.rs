//! What callers ask of the log, and what they are answered.

use prost::Message as _;
use vigie_model::{Bank, BankId, BankName, Item, ItemContent, ItemId, Sequence, UnixMillis};
use vigie_proto::bank::encode_item;
use vigie_proto::pb::bank::v1 as pb;

/// A write, checked as far as it can be without knowing the state.
#[derive(Debug, Clone)]
pub(crate) enum Write {
    /// A new bank.
    CreateBank {
        /// Its name.
        name: BankName,
    },
    /// Another name.
    RenameBank {
        /// The present one.
        name: BankName,
        /// The new one.
        new_name: BankName,
    },
    /// To be searched, or no longer.
    SetBankEnabled {
        /// The bank.
        name: BankName,
        /// Whether.
        enabled: bool,
    },
    /// A bank and its items to be gone.
    DeleteBank {
        /// The bank.
        name: BankName,
    },
    /// New items.
    AddItems {
        /// Their bank.
        bank: BankName,
        /// One at least.
        items: Vec<ItemContent>,
    },
    /// Items to be gone.
    RemoveItems {
        /// One at least, each once.
        items: Vec<ItemId>,
    },
}

impl Write {
    /// Whether it is the deletion of a bank.
    pub(crate) const fn deletes_bank(&self) -> bool {
        matches!(self, Self::DeleteBank { .. })
    }
}

impl vigie_log::Write for Write {
    fn change_count(&self) -> usize {
        match self {
            Self::CreateBank { .. }
            | Self::RenameBank { .. }
            | Self::SetBankEnabled { .. }
            | Self::DeleteBank { .. } => 1,
            Self::AddItems { items, .. } => items.len(),
            Self::RemoveItems { items } => items.len(),
        }
    }

    /// A deletion goes alone: what is looked up for it is of the bank as it was before the group.
    fn goes_alone(&self) -> bool {
        self.deletes_bank()
    }

    fn weight(&self) -> usize {
        const EACH: usize = 256;
        match self {
            Self::CreateBank { .. }
            | Self::RenameBank { .. }
            | Self::SetBankEnabled { .. }
            | Self::DeleteBank { .. } => EACH,
            Self::AddItems { items, .. } => items.iter().map(|item| EACH + content_weight(item)).sum(),
            Self::RemoveItems { items } => EACH + items.len() * size_of::<ItemId>(),
        }
    }

    /// BLAKE3 of the request.
    fn digest(&self) -> [u8; 32] {
        let mut parts = Parts(blake3::Hasher::new());
        match self {
            Self::CreateBank { name } => parts.add(b"create").add(name.as_str().as_bytes()),
            Self::RenameBank { name, new_name } => {
                parts.add(b"rename").add(name.as_str().as_bytes()).add(new_name.as_str().as_bytes())
            }
            Self::SetBankEnabled { name, enabled } => {
                parts.add(b"enable").add(name.as_str().as_bytes()).add(&[u8::from(*enabled)])
            }
            Self::DeleteBank { name } => parts.add(b"delete").add(name.as_str().as_bytes()),
            Self::AddItems { bank, items } => {
                parts.add(b"add").add(bank.as_str().as_bytes());
                for content in items {
                    // In the store's form of an item, without what the bank adds to it.
                    let (id, bank, added_at) = (ItemId(0), BankId(0), UnixMillis(0));
                    parts.add(&encode_item(Item { id, bank, added_at, content: content.clone() }));
                }
                &mut parts
            }
            Self::RemoveItems { items } => {
                parts.add(b"remove");
                for item in items {
                    parts.add(&item.0.to_be_bytes());
                }
                &mut parts
            }
        };
        parts.0.finalize().into()
    }
}

/// Parts behind their lengths, so that no two lists of parts run together to the same bytes.
struct Parts(blake3::Hasher);

impl Parts {
    fn add(&mut self, part: &[u8]) -> &mut Self {
        self.0.update(&(part.len() as u64).to_be_bytes()).update(part);
        self
    }
}

fn content_weight(content: &ItemContent) -> usize {
    let labels: usize = content.labels().iter().map(|label| label.len() + size_of::<Box<str>>()).sum();
    size_of_val(content.hashes()) + labels + content.external_reference().map_or(0, str::len)
}

/// What a write is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The bank after its creation, renaming, enabling or disabling.
    Bank {
        /// The bank.
        bank: Bank,
        /// The change.
        sequence: Sequence,
    },
    /// The bank is gone.
    BankDeleted {
        /// The change.
        sequence: Sequence,
        /// Items that went with it.
        item_count: u64,
    },
    /// The items are there, with the ids `first` to `last`, in the order of the request.
    ItemsAdded {
        /// The id of the first.
        first: ItemId,
        /// The id of the last.
        last: ItemId,
    },
    /// The items are gone.
    ItemsRemoved {
        /// The last change.
        sequence: Sequence,
    },
}

impl vigie_log::Answer for Answer {
    /// A byte for the variant, then the message that the wire has for it.
    fn encode(&self) -> Vec<u8> {
        let (tag, message) = match self.clone() {
            Self::Bank { bank, sequence } => {
                (1, pb::CreateBankResponse { bank: Some(bank.into()), sequence: sequence.0 }.encode_to_vec())
            }
            Self::BankDeleted { sequence, item_count } => {
                (2, pb::DeleteBankResponse { sequence: sequence.0, item_count }.encode_to_vec())
            }
            Self::ItemsAdded { first, last } => {
                // The ids in between follow from these two.
                let message = pb::AddItemsResponse { item_ids: vec![first.0], sequence: last.0 };
                (3, message.encode_to_vec())
            }
            Self::ItemsRemoved { sequence } => {
                (4, pb::RemoveItemsResponse { sequence: sequence.0 }.encode_to_vec())
            }
        };
        std::iter::once(tag).chain(message).collect()
    }

    fn decode(stored: &[u8]) -> Option<Self> {
        let (tag, message) = stored.split_first()?;
        match tag {
            1 => {
                let message = pb::CreateBankResponse::decode(message).ok()?;
                let sequence = Sequence(message.sequence);
                Some(Self::Bank { bank: message.bank?.try_into().ok()?, sequence })
            }
            2 => {
                let message = pb::DeleteBankResponse::decode(message).ok()?;
                let sequence = Sequence(message.sequence);
                Some(Self::BankDeleted { sequence, item_count: message.item_count })
            }
            3 => {
                let message = pb::AddItemsResponse::decode(message).ok()?;
                let first = ItemId(*message.item_ids.first()?);
                Some(Self::ItemsAdded { first, last: ItemId(message.sequence) })
            }
            4 => {
                let message = pb::RemoveItemsResponse::decode(message).ok()?;
                Some(Self::ItemsRemoved { sequence: Sequence(message.sequence) })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_log::{Answer as _, Write as _};

    use super::*;

    fn name(text: &str) -> BankName {
        text.parse().unwrap()
    }

    #[test]
    fn answers_read_back_from_storage() {
        let bank = Bank {
            id: BankId(3),
            name: name("n"),
            enabled: true,
            created_at: UnixMillis(5),
            item_count: 6,
            hash_count: 7,
        };
        let answers = [
            Answer::Bank { bank, sequence: Sequence(8) },
            Answer::BankDeleted { sequence: Sequence(8), item_count: 9 },
            Answer::ItemsAdded { first: ItemId(4), last: ItemId(8) },
            Answer::ItemsRemoved { sequence: Sequence(8) },
        ];
        for answer in answers {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
        assert_eq!(Answer::decode(&[]), None);
        assert_eq!(Answer::decode(&[9]), None);
    }

    #[test]
    fn different_requests_have_different_digests() {
        let writes = [
            Write::CreateBank { name: name("a") },
            Write::CreateBank { name: name("b") },
            Write::DeleteBank { name: name("a") },
            Write::RenameBank { name: name("a"), new_name: name("bc") },
            Write::RenameBank { name: name("ab"), new_name: name("c") },
            Write::SetBankEnabled { name: name("a"), enabled: true },
            Write::SetBankEnabled { name: name("a"), enabled: false },
            Write::RemoveItems { items: vec![ItemId(1), ItemId(2)] },
            Write::RemoveItems { items: vec![ItemId(2), ItemId(1)] },
        ];
        for (i, one) in writes.iter().enumerate() {
            for (j, other) in writes.iter().enumerate() {
                assert_eq!(one.digest() == other.digest(), i == j, "{one:?} and {other:?}");
            }
        }
    }
}
