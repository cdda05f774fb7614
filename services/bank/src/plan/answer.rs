//! The answers to writes, and their stored form under idempotency keys.

use prost::Message as _;
use vigie_consortium::{Change as DirectoryChange, Exchange};
use vigie_model::{Bank, BankId, BankName, ItemId, MemberId, Sequence};
use vigie_proto::bank::{LogChange, decode_log_change, encode_log_change};
use vigie_proto::pb::bank::v1 as pb;
use vigie_proto::pb::consortium::v1 as pb_members;

/// The answer to a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A bank was created or changed.
    Bank {
        /// The bank in its new state.
        bank: Bank,
        /// The change.
        sequence: Sequence,
    },
    /// The bank was deleted.
    BankDeleted {
        /// The change.
        sequence: Sequence,
        /// Number of items that were deleted with it.
        item_count: u64,
    },
    /// The items were added.
    ItemsAdded {
        /// The items' ids, in the order of the request.
        items: Vec<ItemId>,
        /// Number of items that existed before.
        known: u32,
        /// The last change; the newest change of the log if nothing changed.
        sequence: Sequence,
    },
    /// The item's details or labels were updated.
    ItemUpdated {
        /// The item.
        item: ItemId,
        /// The change; the newest change of the log if nothing changed.
        sequence: Sequence,
    },
    /// The items were removed.
    ItemsRemoved {
        /// The last change.
        sequence: Sequence,
    },
    /// The holds were set or lifted.
    HoldsSet {
        /// Number of these items that are held now.
        held: u32,
        /// The last change; the newest change of the log if nothing changed.
        sequence: Sequence,
    },
    /// An exchange was added or changed.
    Exchange {
        /// The exchange in its new state.
        exchange: Box<Exchange>,
        /// The change; the newest change of the log if nothing changed.
        sequence: Sequence,
    },
    /// The exchange was removed.
    ExchangeRemoved {
        /// The change.
        sequence: Sequence,
    },
    /// A page of a programme was applied.
    PageApplied {
        /// The last change; the newest change of the log if nothing changed.
        sequence: Sequence,
        /// Number of items that were added.
        added: u32,
        /// Number of items that were removed.
        removed: u32,
        /// True if the page had been applied before.
        was_applied: bool,
    },
    /// Items were added to the published list of their bank.
    ItemsListed {
        /// The newest change of the log.
        sequence: Sequence,
    },
    /// Items or documents were changed.
    Noted {
        /// Number of them.
        changed: u32,
        /// The last change; the newest change of the log if nothing changed.
        sequence: Sequence,
    },
    /// Floods were reported.
    FloodsHeld {
        /// The members and items whose holds exist now.
        held: Vec<(MemberId, ItemId)>,
        /// The last change; the newest change of the log if nothing changed.
        sequence: Sequence,
    },
    /// A case was created or changed.
    Case(CaseAnswer),
    /// Entries were appended to the audit.
    Recorded {
        /// Number of entries of the audit now.
        entries: u64,
    },
    /// The directory was changed.
    Directory {
        /// The change; changes of banks have other answers.
        change: DirectoryChange,
        /// The sequence of the change.
        sequence: Sequence,
    },
}

/// The answer to a write of a case.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct CaseAnswer {
    /// The number of the case; 0 if it has none.
    pub(crate) number: u64,
    /// Number of members, opinions or incidents that the write concerns.
    pub(crate) count: u32,
    /// The bank of the case.
    pub(crate) bank: Option<BankId>,
    /// The name of the bank, if one was created.
    pub(crate) name: Option<BankName>,
    /// The last change; the newest change of the log if nothing changed.
    pub(crate) sequence: Sequence,
}

impl CaseAnswer {
    fn encode(&self) -> Vec<u8> {
        let numbers = [self.sequence.0, self.number].map(u64::to_be_bytes).concat();
        let small = [self.count, self.bank.map_or(0, |bank| bank.0)].map(u32::to_be_bytes).concat();
        let name = self.name.as_ref().map_or("", BankName::as_str);
        [&numbers[..], &small, name.as_bytes()].concat()
    }

    fn decode(stored: &[u8]) -> Option<Self> {
        let (sequence, stored) = stored.split_first_chunk()?;
        let (number, stored) = stored.split_first_chunk()?;
        let (count, stored) = stored.split_first_chunk()?;
        let (bank, name) = stored.split_first_chunk()?;
        let (bank, name) = (u32::from_be_bytes(*bank), std::str::from_utf8(name).ok()?);
        Some(Self {
            number: u64::from_be_bytes(*number),
            count: u32::from_be_bytes(*count),
            bank: (bank != 0).then_some(BankId(bank)),
            name: (!name.is_empty()).then(|| name.parse()).transpose().ok()?,
            sequence: Sequence(u64::from_be_bytes(*sequence)),
        })
    }
}

impl vigie_log::Answer for Answer {
    /// Encodes one byte for the variant, and the variant's protobuf message.
    fn encode(&self) -> Vec<u8> {
        let (tag, message) = match self.clone() {
            Self::Bank { bank, sequence } => {
                (1, pb::CreateBankResponse { bank: Some(bank.into()), sequence: sequence.0 }.encode_to_vec())
            }
            Self::BankDeleted { sequence, item_count } => {
                (2, pb::DeleteBankResponse { sequence: sequence.0, item_count }.encode_to_vec())
            }
            Self::ItemsAdded { items, known, sequence } => {
                let item_ids = items.into_iter().map(|item| item.0).collect();
                let message = pb::AddItemsResponse { item_ids, sequence: sequence.0, known_count: known };
                (7, message.encode_to_vec())
            }
            Self::ItemUpdated { item, sequence } => {
                (8, [item.0.to_be_bytes(), sequence.0.to_be_bytes()].concat())
            }
            Self::ItemsRemoved { sequence } => {
                (4, pb::RemoveItemsResponse { sequence: sequence.0 }.encode_to_vec())
            }
            Self::Directory { change, sequence } => {
                // The log stores each of these changes in this form.
                let change = encode_log_change(LogChange::Directory(change)).unwrap_or_default();
                (5, [&sequence.0.to_be_bytes()[..], &change].concat())
            }
            Self::Exchange { exchange, sequence } => {
                let message =
                    pb::AddExchangeResponse { exchange: Some((*exchange).into()), sequence: sequence.0 };
                (10, message.encode_to_vec())
            }
            Self::ExchangeRemoved { sequence } => {
                (11, pb::RemoveExchangeResponse { sequence: sequence.0 }.encode_to_vec())
            }
            Self::PageApplied { sequence, added, removed, was_applied } => {
                let message = pb::ApplyExchangePageResponse {
                    sequence: sequence.0,
                    added_count: added,
                    removed_count: removed,
                    was_applied,
                };
                (12, message.encode_to_vec())
            }
            Self::ItemsListed { sequence } => (13, sequence.0.to_be_bytes().to_vec()),
            Self::Noted { changed, sequence } => {
                (14, [&sequence.0.to_be_bytes()[..], &changed.to_be_bytes()].concat())
            }
            Self::FloodsHeld { held, sequence } => {
                let flood = |(member, item): (MemberId, ItemId)| pb_members::Flood {
                    member_id: member.0,
                    item_id: item.0,
                };
                let held = held.into_iter().map(flood).collect();
                (16, pb_members::ReportFloodsResponse { sequence: sequence.0, held }.encode_to_vec())
            }
            Self::Case(case) => (15, case.encode()),
            Self::Recorded { entries } => (6, entries.to_be_bytes().to_vec()),
            Self::HoldsSet { held, sequence } => {
                let message = pb::SetItemHoldResponse { held_count: held, sequence: sequence.0 };
                (9, message.encode_to_vec())
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
                // Format of older builds: the first and the last of consecutive ids.
                let message = pb::AddItemsResponse::decode(message).ok()?;
                let ids = *message.item_ids.first()?..=message.sequence;
                let items = ids.map(ItemId).collect();
                Some(Self::ItemsAdded { items, known: 0, sequence: Sequence(message.sequence) })
            }
            4 => {
                let message = pb::RemoveItemsResponse::decode(message).ok()?;
                Some(Self::ItemsRemoved { sequence: Sequence(message.sequence) })
            }
            5 => {
                let (sequence, change) = message.split_first_chunk()?;
                let LogChange::Directory(change) = decode_log_change(change).ok()? else { return None };
                Some(Self::Directory { change, sequence: Sequence(u64::from_be_bytes(*sequence)) })
            }
            7 => {
                let message = pb::AddItemsResponse::decode(message).ok()?;
                let items = message.item_ids.into_iter().map(ItemId).collect();
                let (known, sequence) = (message.known_count, Sequence(message.sequence));
                Some(Self::ItemsAdded { items, known, sequence })
            }
            8 => {
                let (item, sequence) = message.split_first_chunk()?;
                let sequence = Sequence(u64::from_be_bytes(sequence.try_into().ok()?));
                Some(Self::ItemUpdated { item: ItemId(u64::from_be_bytes(*item)), sequence })
            }
            13 => {
                Some(Self::ItemsListed { sequence: Sequence(u64::from_be_bytes(message.try_into().ok()?)) })
            }
            14 => {
                let (sequence, changed) = message.split_first_chunk()?;
                let changed = u32::from_be_bytes(changed.try_into().ok()?);
                Some(Self::Noted { changed, sequence: Sequence(u64::from_be_bytes(*sequence)) })
            }
            16 => {
                let message = pb_members::ReportFloodsResponse::decode(message).ok()?;
                let held =
                    message.held.iter().map(|flood| (MemberId(flood.member_id), ItemId(flood.item_id)));
                Some(Self::FloodsHeld { held: held.collect(), sequence: Sequence(message.sequence) })
            }
            15 => Some(Self::Case(CaseAnswer::decode(message)?)),
            6 => Some(Self::Recorded { entries: u64::from_be_bytes(message.try_into().ok()?) }),
            9 => {
                let message = pb::SetItemHoldResponse::decode(message).ok()?;
                Some(Self::HoldsSet { held: message.held_count, sequence: Sequence(message.sequence) })
            }
            10 => {
                let message = pb::AddExchangeResponse::decode(message).ok()?;
                let exchange = Box::new(message.exchange?.try_into().ok()?);
                Some(Self::Exchange { exchange, sequence: Sequence(message.sequence) })
            }
            11 => {
                let message = pb::RemoveExchangeResponse::decode(message).ok()?;
                Some(Self::ExchangeRemoved { sequence: Sequence(message.sequence) })
            }
            12 => {
                let message = pb::ApplyExchangePageResponse::decode(message).ok()?;
                Some(Self::PageApplied {
                    sequence: Sequence(message.sequence),
                    added: message.added_count,
                    removed: message.removed_count,
                    was_applied: message.was_applied,
                })
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use vigie_consortium::Member;
    use vigie_log::Answer as _;
    use vigie_model::UnixMillis;

    use super::*;

    #[test]
    fn answers_read_back_from_storage() {
        let bank = Bank {
            id: BankId(3),
            owner: MemberId(2),
            name: "n".parse().unwrap(),
            enabled: true,
            created_at: UnixMillis(5),
            item_count: 6,
            hash_count: 7,
            match_ratio: vigie_model::MatchRatio::ALWAYS,
        };
        let answers = [
            Answer::Bank { bank, sequence: Sequence(8) },
            Answer::BankDeleted { sequence: Sequence(8), item_count: 9 },
            Answer::ItemsAdded { items: vec![ItemId(4), ItemId(9)], known: 1, sequence: Sequence(9) },
            Answer::ItemUpdated { item: ItemId(4), sequence: Sequence(8) },
            Answer::ItemsRemoved { sequence: Sequence(8) },
            Answer::Directory { change: DirectoryChange::MemberPut(Member::local()), sequence: Sequence(8) },
            Answer::Recorded { entries: 9 },
            Answer::ItemsListed { sequence: Sequence(8) },
            Answer::HoldsSet { held: 2, sequence: Sequence(8) },
            Answer::Noted { changed: 3, sequence: Sequence(8) },
            Answer::FloodsHeld { held: vec![(MemberId(2), ItemId(7))], sequence: Sequence(8) },
            Answer::Case(CaseAnswer { number: 7, sequence: Sequence(8), ..CaseAnswer::default() }),
            Answer::Case(CaseAnswer {
                number: 7,
                count: 2,
                bank: Some(BankId(3)),
                name: Some("incident-7".parse().unwrap()),
                sequence: Sequence(8),
            }),
            Answer::ExchangeRemoved { sequence: Sequence(8) },
            Answer::PageApplied { sequence: Sequence(8), added: 1, removed: 2, was_applied: true },
        ];
        for answer in answers {
            assert_eq!(Answer::decode(&answer.encode()), Some(answer));
        }
        // Written by an older build.
        let older = pb::AddItemsResponse { item_ids: vec![4], sequence: 6, known_count: 0 };
        let older = [vec![3], older.encode_to_vec()].concat();
        let items = [4, 5, 6].map(ItemId).to_vec();
        assert_eq!(
            Answer::decode(&older),
            Some(Answer::ItemsAdded { items, known: 0, sequence: Sequence(6) })
        );
        assert_eq!(Answer::decode(&[]), None);
        assert_eq!(Answer::decode(&[99]), None);
    }
}
