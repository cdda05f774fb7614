//! The changes of the bank's log in their stored form: changes of banks and items, which shards follow, and
//! others that only the bank and the directories need.

use prost::Message as _;
use vigie_consortium::Change as DirectoryChange;
use vigie_consortium::{
    Document, DocumentId, DocumentKey, DocumentKind, Exchange, ExchangeId, ItemRecord, MemberId, PrincipalId,
};
use vigie_model::{BankId, Change, ChangeKind, ItemId, MatchRatio, Partition, Sequence};

use super::match_ratio;
use crate::consortium::{
    card_change, card_to_wire, declared_change, declared_to_wire, policies_change, policies_to_wire,
};
use crate::invalid::Invalid;
use crate::pb::bank::v1 as pb;
use crate::pb::consortium::v1 as consortium;
use pb::change::Kind;

/// A change of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogChange {
    /// A change of a bank or an item, which shards follow.
    Shard(ChangeKind),
    /// A change of members, principals, grants, quotas, charters, hash types or model cards. Not sent to
    /// shards.
    Directory(DirectoryChange),
    /// A new record of an item. Not sent to shards.
    Record(ItemId, Box<ItemRecord>),
    /// A removed item (the first id) is restored as the second one, which is either new or an existing item
    /// that takes over its submissions. Not sent to shards.
    BroughtBack(ItemId, ItemId),
    /// A new share of lookups of a bank. Not sent to shards.
    MatchRatio(BankId, MatchRatio),
    /// A new or changed exchange. Not sent to shards.
    Exchange(Box<Exchange>),
    /// A removed exchange. Not sent to shards.
    ExchangeRemoved(ExchangeId),
    /// A new or changed document. Not sent to shards.
    Document(Box<Document>),
    /// A removed document. Not sent to shards.
    DocumentGone(DocumentId),
}

impl LogChange {
    /// Returns the partition whose shard must apply the change. `None` if every shard must, or if it is sent
    /// to none.
    #[must_use]
    pub fn partition(&self) -> Option<u16> {
        match self {
            Self::Shard(kind) => kind.partition().map(Partition::get),
            Self::Directory(_)
            | Self::Record(..)
            | Self::BroughtBack(..)
            | Self::MatchRatio(..)
            | Self::Exchange(_)
            | Self::ExchangeRemoved(_)
            | Self::Document(_)
            | Self::DocumentGone(_) => None,
        }
    }

    /// Returns the effect of this change on the directory; `None` if it has none.
    #[must_use]
    pub fn of_directory(&self) -> Option<DirectoryChange> {
        match self {
            Self::Record(..)
            | Self::BroughtBack(..)
            | Self::MatchRatio(..)
            | Self::Exchange(_)
            | Self::ExchangeRemoved(_)
            | Self::Document(_)
            | Self::DocumentGone(_) => None,
            Self::Directory(change) => Some(change.clone()),
            Self::Shard(kind) => match kind.clone() {
                ChangeKind::BankCreated { bank, owner, name, created_at: _ } => {
                    Some(DirectoryChange::BankCreated { bank, owner, name })
                }
                ChangeKind::BankRenamed { bank, name } => Some(DirectoryChange::BankRenamed { bank, name }),
                ChangeKind::BankEnabledSet { bank, enabled } => {
                    Some(DirectoryChange::BankEnabledSet { bank, enabled })
                }
                ChangeKind::BankDeleted { bank } => Some(DirectoryChange::BankDeleted { bank }),
                ChangeKind::ItemAdded(_)
                | ChangeKind::ItemRemoved { .. }
                | ChangeKind::ItemHeldSet { .. }
                | ChangeKind::ItemStandingSet { .. } => None,
            },
        }
    }
}

/// Returns the bytes that the log stores for a change, and whose digest its chain covers: the [`pb::Change`]
/// without its sequence.
///
/// Returns `None` for a change of a bank in the directory's form, because the log stores it in the shards'
/// form.
#[must_use]
pub fn encode_log_change(change: LogChange) -> Option<Vec<u8>> {
    let kind = match change {
        LogChange::Shard(kind) => kind.into(),
        LogChange::Directory(change) => directory_kind(change)?,
        LogChange::Record(item, record) => {
            Kind::ItemRecordPut(pb::ItemRecordPut { item_id: item.0, record: Some((*record).into()) })
        }
        LogChange::BroughtBack(item, back) => {
            Kind::ItemBroughtBack(pb::ItemBroughtBack { item_id: item.0, back_item_id: back.0 })
        }
        LogChange::MatchRatio(bank, ratio) => {
            Kind::BankMatchRatioSet(pb::BankMatchRatioSet { bank_id: bank.0, match_ratio: ratio.get() })
        }
        LogChange::Exchange(exchange) => {
            Kind::ExchangePut(pb::ExchangePut { exchange: Some((*exchange).into()) })
        }
        LogChange::ExchangeRemoved(id) => Kind::ExchangeRemoved(pb::ExchangeRemoved { exchange_id: id.0 }),
        LogChange::Document(document) => {
            let Document { kind, key, payload } = *document;
            let (kind, key) = (kind.number().into(), key.as_bytes().to_vec());
            Kind::DocumentPut(pb::DocumentPut { kind, key, payload: payload.into() })
        }
        LogChange::DocumentGone((kind, key)) => {
            Kind::DocumentGone(pb::DocumentGone { kind: kind.number().into(), key: key.as_bytes().to_vec() })
        }
    };
    Some(pb::Change { sequence: 0, kind: Some(kind) }.encode_to_vec())
}

fn directory_kind(change: DirectoryChange) -> Option<Kind> {
    Some(match change {
        DirectoryChange::MemberPut(member) => {
            Kind::MemberPut(consortium::MemberPut { member: Some(member.into()) })
        }
        DirectoryChange::PrincipalPut(principal) => Kind::PrincipalPut(principal.into()),
        DirectoryChange::PrincipalRevoked(id) => {
            Kind::PrincipalRevoked(consortium::PrincipalRevoked { principal_id: id.0 })
        }
        DirectoryChange::GrantPut(grant) => {
            Kind::GrantPut(consortium::GrantPut { grant: Some(grant.into()) })
        }
        DirectoryChange::GrantRevoked { bank, member } => {
            Kind::GrantRevoked(consortium::GrantRevoked { bank_id: bank.0, member_id: member.0 })
        }
        DirectoryChange::QuotaPut { member, quota } => {
            Kind::QuotaPut(consortium::QuotaPut { member_id: member.0, quota: Some(quota.into()) })
        }
        DirectoryChange::CharterPut { bank, charter } => {
            Kind::CharterPut(consortium::CharterPut { bank_id: bank.0, charter: Some(charter.into()) })
        }
        DirectoryChange::PoliciesPut { member, policies } => {
            Kind::PoliciesPut(policies_to_wire(member, &policies))
        }
        DirectoryChange::HashTypeDeclared(declaration) => {
            Kind::HashTypeDeclared(declared_to_wire(declaration))
        }
        DirectoryChange::ModelCardPut(card) => Kind::ModelCardPut(card_to_wire(&card)),
        DirectoryChange::BankCreated { .. }
        | DirectoryChange::BankRenamed { .. }
        | DirectoryChange::BankEnabledSet { .. }
        | DirectoryChange::BankDeleted { .. } => return None,
    })
}

/// Reads what [`encode_log_change`] wrote.
pub fn decode_log_change(stored: &[u8]) -> Result<LogChange, Invalid> {
    let message = pb::Change::decode(stored).map_err(|error| Invalid::new("change", error))?;
    let missing = |field: &'static str| move || Invalid::missing(field);
    let change = match message.kind.ok_or_else(missing("kind"))? {
        Kind::MemberPut(put) => {
            DirectoryChange::MemberPut(put.member.ok_or_else(missing("member"))?.try_into()?)
        }
        Kind::PrincipalPut(put) => DirectoryChange::PrincipalPut(put.try_into()?),
        Kind::PrincipalRevoked(revoked) => {
            DirectoryChange::PrincipalRevoked(PrincipalId(revoked.principal_id))
        }
        Kind::GrantPut(put) => DirectoryChange::GrantPut(put.grant.ok_or_else(missing("grant"))?.try_into()?),
        Kind::GrantRevoked(revoked) => DirectoryChange::GrantRevoked {
            bank: BankId(revoked.bank_id),
            member: MemberId(revoked.member_id),
        },
        Kind::QuotaPut(put) => DirectoryChange::QuotaPut {
            member: MemberId(put.member_id),
            quota: put.quota.ok_or_else(missing("quota"))?.try_into()?,
        },
        Kind::CharterPut(put) => DirectoryChange::CharterPut {
            bank: BankId(put.bank_id),
            charter: put.charter.ok_or_else(missing("charter"))?.try_into()?,
        },
        Kind::PoliciesPut(put) => policies_change(put)?,
        Kind::HashTypeDeclared(declared) => declared_change(declared)?,
        Kind::ModelCardPut(put) => card_change(put)?,
        Kind::ItemRecordPut(put) => {
            let record = put.record.ok_or_else(missing("record"))?.try_into()?;
            return Ok(LogChange::Record(ItemId(put.item_id), Box::new(record)));
        }
        Kind::ItemBroughtBack(back) => {
            return Ok(LogChange::BroughtBack(ItemId(back.item_id), ItemId(back.back_item_id)));
        }
        Kind::BankMatchRatioSet(set) => {
            let ratio = match_ratio("match_ratio", set.match_ratio)?;
            return Ok(LogChange::MatchRatio(BankId(set.bank_id), ratio));
        }
        Kind::ExchangePut(put) => {
            let exchange = put.exchange.ok_or_else(missing("exchange"))?.try_into()?;
            return Ok(LogChange::Exchange(Box::new(exchange)));
        }
        Kind::ExchangeRemoved(removed) => {
            return Ok(LogChange::ExchangeRemoved(ExchangeId(removed.exchange_id)));
        }
        Kind::DocumentPut(put) => {
            let (kind, key) = document_id(put.kind, &put.key)?;
            let payload = put.payload.into();
            return Ok(LogChange::Document(Box::new(Document { kind, key, payload })));
        }
        Kind::DocumentGone(gone) => {
            return Ok(LogChange::DocumentGone(document_id(gone.kind, &gone.key)?));
        }
        kind @ (Kind::BankCreated(_)
        | Kind::BankRenamed(_)
        | Kind::BankEnabledSet(_)
        | Kind::BankDeleted(_)
        | Kind::ItemAdded(_)
        | Kind::ItemRemoved(_)
        | Kind::ItemHeldSet(_)
        | Kind::ItemStandingSet(_)) => {
            let change: Change = pb::Change { sequence: 0, kind: Some(kind) }.try_into()?;
            debug_assert_eq!(change.sequence, Sequence::ZERO);
            return Ok(LogChange::Shard(change.kind));
        }
    };
    Ok(LogChange::Directory(change))
}

fn document_id(kind: u32, key: &[u8]) -> Result<DocumentId, Invalid> {
    let known = DocumentKind::from_number(kind);
    let known = known.ok_or_else(|| Invalid::new("kind", format!("{kind} is no kind of a document")))?;
    Ok((known, DocumentKey::new(key).map_err(|error| Invalid::new("key", error))?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use vigie_consortium::{
        Charter, Credential, Expiry, Flags, Grant, Member, MemberPolicies, Principal, Quota, Roles, Text,
    };

    use vigie_model::{
        BankName, Declaration, Distance, Hash, Item, ItemDraft, ItemId, Standing, UnixMillis, VectorClass,
    };

    use super::*;

    fn item() -> Item {
        let draft = ItemDraft { hashes: vec![Hash::pdq([9; 32])], ..ItemDraft::default() };
        let (id, bank, contributor) = (ItemId(7), BankId(2), MemberId(4));
        Item { id, bank, added_at: UnixMillis(5), contributor, content: draft.try_into().unwrap() }
    }

    #[test]
    fn every_kind_of_change_survives_storage() {
        let name: BankName = "n".parse().unwrap();
        let (bank, owner) = (BankId(1), MemberId(3));
        let grant =
            Grant { bank, member: owner, capabilities: Flags::all(), alias: None, expiry: Expiry::NEVER };
        let principal = Principal {
            id: PrincipalId(1),
            member: MemberId::HOST,
            roles: Roles::all(),
            credential: Credential::Certificate("spiffe://d/member/local/a".parse().unwrap()),
            created_at: UnixMillis(1),
            expiry: Expiry::NEVER,
            note: Text::default(),
        };
        let of_shards = [
            ChangeKind::BankCreated { bank, owner, name: name.clone(), created_at: UnixMillis(3) },
            ChangeKind::BankRenamed { bank, name: name.clone() },
            ChangeKind::BankEnabledSet { bank, enabled: false },
            ChangeKind::BankDeleted { bank },
            ChangeKind::ItemAdded(item()),
            ChangeKind::ItemRemoved { item: ItemId(7), bank: BankId(2) },
            ChangeKind::ItemHeldSet { item: ItemId(7), bank: BankId(2), held: true },
            ChangeKind::ItemHeldSet { item: ItemId(7), bank: BankId(2), held: false },
            ChangeKind::ItemStandingSet { item: ItemId(7), bank: BankId(2), standing: Arc::default() },
            ChangeKind::ItemStandingSet {
                item: ItemId(7),
                bank: BankId(2),
                standing: Arc::new(Standing { probation: true, ..Standing::default() }),
            },
        ];
        let of_directory = [
            DirectoryChange::MemberPut(Member::local()),
            DirectoryChange::PrincipalPut(principal),
            DirectoryChange::PrincipalRevoked(PrincipalId(2)),
            DirectoryChange::GrantPut(grant),
            DirectoryChange::GrantRevoked { bank, member: owner },
            DirectoryChange::QuotaPut {
                member: owner,
                quota: Quota { images_only: true, ..Quota::default() },
            },
            DirectoryChange::CharterPut { bank, charter: Charter::default() },
            DirectoryChange::HashTypeDeclared(Declaration {
                hash_type: VectorClass::ALL[1].hash_type(9),
                name: "clip".into(),
                elements: 384,
                distance_default: Distance(0),
                distance_max: Distance(u32::MAX - 1),
            }),
            DirectoryChange::ModelCardPut(Arc::new(crate::consortium::test_card(3))),
            DirectoryChange::PoliciesPut { member: owner, policies: Arc::default() },
            DirectoryChange::PoliciesPut {
                member: owner,
                policies: Arc::new(MemberPolicies::default().with(Arc::default(), true)),
            },
        ];
        let (kind, key) = (DocumentKind::Report, DocumentKey::of_numbers(&[7]));
        let document = Document { kind, key, payload: Box::new([1, 2]) };
        let ratio = LogChange::MatchRatio(bank, MatchRatio::try_from(0.25).unwrap());
        let all = of_shards
            .map(LogChange::Shard)
            .into_iter()
            .chain(of_directory.map(LogChange::Directory))
            .chain([ratio, LogChange::BroughtBack(ItemId(5), ItemId(9))])
            .chain([LogChange::DocumentGone(document.id()), LogChange::Document(Box::new(document))]);
        for change in all {
            let stored = encode_log_change(change.clone()).unwrap();
            assert_eq!(decode_log_change(&stored), Ok(change));
        }
        // The log has one form of each change only.
        let twice = LogChange::Directory(DirectoryChange::BankDeleted { bank });
        assert_eq!(encode_log_change(twice), None);
        assert!(decode_log_change(&[0xff]).is_err());
    }

    #[test]
    fn what_was_written_before_there_were_members_is_the_hosts() {
        let created =
            pb::BankCreated { bank_id: 1, name: "n".into(), created_at_unix_ms: 3, owner_member_id: 0 };
        let stored = pb::Change { sequence: 0, kind: Some(Kind::BankCreated(created)) }.encode_to_vec();
        let read = decode_log_change(&stored).unwrap();
        assert!(matches!(read, LogChange::Shard(ChangeKind::BankCreated { owner: MemberId::HOST, .. })));
        // The host's banks are still written in that form, so that the digests of old logs stay valid.
        assert_eq!(encode_log_change(read), Some(stored));
    }
}
