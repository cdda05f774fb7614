//! Rows of the directory, as stores keep them and followers are sent them.

use std::sync::Arc;

use prost::Message as _;
use vigie_consortium::{Difference, MemberId, OwnedBank, PrincipalId, Row, RowKey};
use vigie_model::{BankId, MemberName, Sequence, SetDigest};

use crate::invalid::{Invalid, each};
use crate::model::bank_name;
use crate::pb::bank::v1 as bank;
use crate::pb::consortium::v1 as pb;
use pb::directory_key::Key as WireKey;
use pb::directory_row::Row as Wire;

/// Rows of one message are cut where their encodings exceed this.
pub const ROWS_BYTES_MAX: usize = 1 << 20;

impl From<Row> for pb::DirectoryRow {
    fn from(row: Row) -> Self {
        let row = match row {
            Row::Member(member) => Wire::Member(Arc::unwrap_or_clone(member).into()),
            Row::Principal(principal) => Wire::Principal(Arc::unwrap_or_clone(principal).into()),
            Row::Grant(grant) => Wire::Grant(Arc::unwrap_or_clone(grant).into()),
            Row::Quota(member, quota) => {
                Wire::Quota(pb::QuotaPut { member_id: member.0, quota: Some(quota.into()) })
            }
            Row::Bank(bank) => Wire::Bank(pb::OwnedBank {
                id: bank.id.0,
                owner_id: bank.owner.0,
                name: bank.name.to_string(),
                enabled: bank.enabled,
                charter: Some(bank.charter.clone().into()),
            }),
            Row::Used { principal, bank } => {
                Wire::UsedIds(pb::UsedIds { principal_id: principal.0, bank_id: bank.0 })
            }
        };
        Self { row: Some(row) }
    }
}

impl TryFrom<pb::DirectoryRow> for Row {
    type Error = Invalid;

    fn try_from(message: pb::DirectoryRow) -> Result<Self, Invalid> {
        Ok(match message.row.ok_or_else(|| Invalid::missing("row"))? {
            Wire::Member(member) => Self::Member(Arc::new(member.try_into()?)),
            Wire::Principal(principal) => Self::Principal(Arc::new(principal.try_into()?)),
            Wire::Grant(grant) => Self::Grant(Arc::new(grant.try_into()?)),
            Wire::Quota(put) => {
                let quota = put.quota.ok_or_else(|| Invalid::missing("quota"))?;
                Self::Quota(MemberId(put.member_id), quota.try_into()?)
            }
            Wire::Bank(message) => {
                let charter = message.charter.ok_or_else(|| Invalid::missing("charter"))?;
                Self::Bank(Arc::new(OwnedBank {
                    id: BankId(message.id),
                    owner: MemberId(message.owner_id),
                    name: bank_name("name", &message.name)?,
                    enabled: message.enabled,
                    charter: charter.try_into()?,
                }))
            }
            Wire::UsedIds(used) => {
                Self::Used { principal: PrincipalId(used.principal_id), bank: BankId(used.bank_id) }
            }
        })
    }
}

impl From<RowKey> for pb::DirectoryKey {
    fn from(key: RowKey) -> Self {
        let key = match key {
            RowKey::Principal(id) => WireKey::PrincipalId(id.0),
            RowKey::Bank(id) => WireKey::BankId(id.0),
            RowKey::Grant { bank, member } => {
                WireKey::Grant(pb::GrantRevoked { bank_id: bank.0, member_id: member.0 })
            }
            RowKey::Quota(member) => WireKey::QuotaMemberId(member.0),
        };
        Self { key: Some(key) }
    }
}

impl TryFrom<pb::DirectoryKey> for RowKey {
    type Error = Invalid;

    fn try_from(message: pb::DirectoryKey) -> Result<Self, Invalid> {
        Ok(match message.key.ok_or_else(|| Invalid::missing("key"))? {
            WireKey::PrincipalId(id) => Self::Principal(PrincipalId(id)),
            WireKey::BankId(id) => Self::Bank(BankId(id)),
            WireKey::Grant(grant) => {
                Self::Grant { bank: BankId(grant.bank_id), member: MemberId(grant.member_id) }
            }
            WireKey::QuotaMemberId(id) => Self::Quota(MemberId(id)),
        })
    }
}

/// The bytes that a store keeps for a row.
#[must_use]
pub fn encode_row(row: Row) -> Vec<u8> {
    pb::DirectoryRow::from(row).encode_to_vec()
}

/// Reads what [`encode_row`] wrote.
pub fn decode_row(stored: &[u8]) -> Result<Row, Invalid> {
    pb::DirectoryRow::decode(stored).map_err(|error| Invalid::new("row", error))?.try_into()
}

/// A part of what a follower of the directory is sent.
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryPart {
    /// The follower drops what it has before it applies this.
    pub begins: bool,
    /// Rows that are new and gone.
    pub rows: Difference,
    /// The state that these rows complete: its sequence and digest. `None` where more parts follow first.
    pub completes: Option<(Sequence, SetDigest)>,
    /// The log that the directory is of.
    pub log_id: [u8; 16],
}

impl DirectoryPart {
    /// Cuts the rows of one state into parts of about [`ROWS_BYTES_MAX`] bytes each, at least one.
    #[must_use]
    pub fn of_state(
        begins: bool,
        rows: Difference,
        state: (Sequence, SetDigest),
        log_id: [u8; 16],
    ) -> Vec<bank::WatchDirectoryResponse> {
        let (mut parts, mut bytes) = (Vec::new(), 0);
        let mut part = bank::WatchDirectoryResponse {
            begins,
            gone: rows.gone.into_iter().map(Into::into).collect(),
            log_id: log_id.to_vec(),
            ..Default::default()
        };
        for row in rows.set {
            let row = pb::DirectoryRow::from(row);
            bytes += row.encoded_len();
            if bytes > ROWS_BYTES_MAX && !part.rows.is_empty() {
                bytes = row.encoded_len();
                let next = bank::WatchDirectoryResponse { log_id: log_id.to_vec(), ..Default::default() };
                parts.push(bank::WatchDirectoryResponse {
                    goes_on: true,
                    ..std::mem::replace(&mut part, next)
                });
            }
            part.rows.push(row);
        }
        (part.sequence, part.digest) = (state.0.0, Some(state.1.into()));
        parts.push(part);
        parts
    }
}

impl TryFrom<bank::WatchDirectoryResponse> for DirectoryPart {
    type Error = Invalid;

    fn try_from(message: bank::WatchDirectoryResponse) -> Result<Self, Invalid> {
        let completes = if message.goes_on {
            None
        } else {
            let digest = message.digest.ok_or_else(|| Invalid::missing("digest"))?;
            Some((Sequence(message.sequence), crate::model::digest("digest", digest)?))
        };
        let set = each("rows", message.rows, Row::try_from)?;
        let gone = each("gone", message.gone, RowKey::try_from)?;
        let log_id = message.log_id.try_into().map_err(|_| Invalid::new("log_id", "must have 16 bytes"))?;
        Ok(Self { begins: message.begins, rows: Difference { set, gone }, completes, log_id })
    }
}

/// The name of a member, where a message has it; the empty text is none.
pub fn optional_member(field: &str, name: &str) -> Result<Option<MemberName>, Invalid> {
    (!name.is_empty()).then(|| super::member_name(field, name)).transpose()
}

#[cfg(test)]
mod tests {
    use vigie_consortium::{Amount, Charter, Directory, Expiry, Flags, Grant, Member, Quota};

    use super::*;

    fn rows() -> Difference {
        let quota = Quota { units_per_day: Amount::new(9).unwrap(), ..Quota::default() };
        let (bank, member) = (BankId(4), MemberId(2));
        let grant = Grant { bank, member, capabilities: Flags::all(), alias: None, expiry: Expiry::NEVER };
        let name = "known".parse().unwrap();
        let owned = OwnedBank { id: bank, owner: member, name, enabled: true, charter: Charter::default() };
        let set = vec![
            Row::Member(Arc::new(Member::local())),
            Row::Bank(Arc::new(owned)),
            Row::Grant(Arc::new(grant)),
            Row::Quota(member, quota),
            Row::Used { principal: PrincipalId(3), bank },
        ];
        let gone = vec![
            RowKey::Principal(PrincipalId(1)),
            RowKey::Bank(bank),
            RowKey::Grant { bank, member },
            RowKey::Quota(member),
        ];
        Difference { set, gone }
    }

    #[test]
    fn rows_survive_storage_and_the_wire() {
        for row in rows().set {
            assert_eq!(decode_row(&encode_row(row.clone())), Ok(row));
        }
        let state = (Sequence(7), Directory::new().digest());
        let [message] = &DirectoryPart::of_state(true, rows(), state, [1; 16])[..] else {
            panic!("one part")
        };
        let expected = DirectoryPart { begins: true, rows: rows(), completes: Some(state), log_id: [1; 16] };
        assert_eq!(DirectoryPart::try_from(message.clone()), Ok(expected));
    }

    #[test]
    fn a_large_state_comes_in_parts_of_which_the_last_completes_it() {
        let member = |number: u32| {
            let display_name = vigie_consortium::Text::new(&"x".repeat(128)).unwrap();
            let name = format!("m{number}").parse().unwrap();
            Row::Member(Arc::new(Member { id: MemberId(number), name, display_name, ..Member::local() }))
        };
        let rows = Difference { set: (1..20_000).map(member).collect(), gone: Vec::new() };
        let parts = DirectoryPart::of_state(true, rows, (Sequence(7), SetDigest::EMPTY), [1; 16]);
        assert!(parts.len() > 2 && parts.iter().all(|part| part.encoded_len() < 2 * ROWS_BYTES_MAX));
        let parts: Vec<_> = parts.into_iter().map(|part| DirectoryPart::try_from(part).unwrap()).collect();
        assert_eq!(parts.iter().map(|part| part.rows.set.len()).sum::<usize>(), 19_999);
        let (last, others) = parts.split_last().unwrap();
        assert!(last.completes.is_some() && others.iter().all(|part| part.completes.is_none()));
        assert!(parts[0].begins && parts[1..].iter().all(|part| !part.begins));
    }
}
