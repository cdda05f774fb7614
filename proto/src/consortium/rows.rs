//! Rows of the directory, as stores keep them and as followers receive them.

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use vigie_consortium::{Difference, MemberId, OwnedBank, PrincipalId, Row, RowKey};
use vigie_model::{BankId, LogId, MemberName, Sequence, SetDigest};

use super::policy::{policies_of, policies_to_wire};
use crate::invalid::{Invalid, each};
use crate::model::bank_name;
use crate::pb::bank::v1 as bank;
use crate::pb::consortium::v1 as pb;
use pb::directory_key::Key as WireKey;
use pb::directory_row::Row as Wire;

/// The size in encoded bytes at which rows are split into another message.
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
            Row::Policies(member, policies) => Wire::Policies(policies_to_wire(member, &policies)),
            Row::HashType(declaration) => Wire::HashType(Arc::unwrap_or_clone(declaration).into()),
            Row::ModelCard(card) => Wire::ModelCard((&*card).into()),
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
            Wire::Policies(put) => {
                let (member, policies) = policies_of(put)?;
                Self::Policies(member, policies)
            }
            Wire::HashType(declared) => Self::HashType(Arc::new(declared.try_into()?)),
            Wire::ModelCard(card) => Self::ModelCard(Arc::new(card.try_into()?)),
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
            RowKey::Policies(member) => WireKey::PoliciesMemberId(member.0),
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
            WireKey::PoliciesMemberId(id) => Self::Policies(MemberId(id)),
        })
    }
}

/// Returns the bytes that a store keeps for a row.
#[must_use]
pub fn encode_row(row: Row) -> Vec<u8> {
    pb::DirectoryRow::from(row).encode_to_vec()
}

/// Reads what [`encode_row`] wrote.
pub fn decode_row(stored: &[u8]) -> Result<Row, Invalid> {
    pb::DirectoryRow::decode(stored).map_err(|error| Invalid::new("row", error))?.try_into()
}

/// A version of the directory of one log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryAt {
    /// The log.
    pub log: LogId,
    /// The newest change that it contains.
    pub sequence: Sequence,
    /// The digest of all rows.
    pub digest: SetDigest,
}

impl From<DirectoryAt> for bank::DirectoryState {
    fn from(at: DirectoryAt) -> Self {
        Self { log_id: at.log.0.to_vec(), sequence: at.sequence.0, digest: Some(at.digest.into()) }
    }
}

impl TryFrom<bank::DirectoryState> for DirectoryAt {
    type Error = Invalid;

    fn try_from(message: bank::DirectoryState) -> Result<Self, Invalid> {
        let log = message.log_id.try_into().map_err(|_| Invalid::new("log_id", "must have 16 bytes"))?;
        let digest = message.digest.ok_or_else(|| Invalid::missing("digest"))?;
        let digest = crate::model::digest("digest", digest)?;
        Ok(Self { log: LogId(log), sequence: Sequence(message.sequence), digest })
    }
}

/// The longest time for which one request may wait for a change.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A request for the directory: the follower's state, and how long to wait for a newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DirectoryRequest {
    /// The follower's state; `None` if it has none.
    pub have: Option<DirectoryAt>,
    /// The longest wait for a newer state, at most ten seconds.
    pub wait: Duration,
}

impl From<DirectoryRequest> for bank::ReadDirectoryRequest {
    fn from(request: DirectoryRequest) -> Self {
        let wait_ms = u32::try_from(request.wait.min(WAIT_MAX).as_millis()).unwrap_or_default();
        Self { have: request.have.map(Into::into), wait_ms }
    }
}

impl TryFrom<bank::ReadDirectoryRequest> for DirectoryRequest {
    type Error = Invalid;

    fn try_from(message: bank::ReadDirectoryRequest) -> Result<Self, Invalid> {
        let wait = Duration::from_millis(message.wait_ms.into());
        if wait > WAIT_MAX {
            let reason = format!("is {}; it must be at most {}", message.wait_ms, WAIT_MAX.as_millis());
            return Err(Invalid::new("wait_ms", reason));
        }
        let have = message.have.map(DirectoryAt::try_from).transpose();
        Ok(Self { have: have.map_err(|invalid| invalid.within("have"))?, wait })
    }
}

/// A part of the answer to a [`DirectoryRequest`].
#[derive(Debug, Clone, PartialEq)]
pub struct DirectoryPart {
    /// Whether the follower must drop its state before it applies this part.
    pub begins: bool,
    /// New, changed and removed rows.
    pub rows: Difference,
    /// The state that this part completes; `None` if more parts follow.
    pub completes: Option<DirectoryAt>,
}

/// Splits the rows of a new state into parts of about [`ROWS_BYTES_MAX`] bytes each. Returns at least one
/// part; the last one has the state.
#[must_use]
pub fn directory_parts(
    begins: bool,
    rows: Difference,
    state: DirectoryAt,
) -> Vec<bank::ReadDirectoryResponse> {
    let gone = rows.gone.into_iter().map(Into::into).collect();
    let mut part = bank::ReadDirectoryResponse { begins, gone, ..Default::default() };
    let (mut parts, mut bytes) = (Vec::new(), 0);
    for row in rows.set {
        let row = pb::DirectoryRow::from(row);
        bytes += row.encoded_len();
        if bytes > ROWS_BYTES_MAX && !part.rows.is_empty() {
            bytes = row.encoded_len();
            parts.push(std::mem::take(&mut part));
        }
        part.rows.push(row);
    }
    part.state = Some(state.into());
    parts.push(part);
    parts
}

impl TryFrom<bank::ReadDirectoryResponse> for DirectoryPart {
    type Error = Invalid;

    fn try_from(message: bank::ReadDirectoryResponse) -> Result<Self, Invalid> {
        let completes = message.state.map(DirectoryAt::try_from).transpose();
        let set = each("rows", message.rows, Row::try_from)?;
        let gone = each("gone", message.gone, RowKey::try_from)?;
        let completes = completes.map_err(|invalid| invalid.within("state"))?;
        Ok(Self { begins: message.begins, rows: Difference { set, gone }, completes })
    }
}

/// Reads an optional member name; `None` for the empty text.
pub fn optional_member(field: &str, name: &str) -> Result<Option<MemberName>, Invalid> {
    (!name.is_empty()).then(|| super::member_name(field, name)).transpose()
}

#[cfg(test)]
mod tests {
    use vigie_consortium::{Amount, Charter, Directory, Expiry, Flags, Grant, Member, Quota};
    use vigie_model::{Declaration, Distance, VectorClass};

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
            Row::HashType(Arc::new(Declaration {
                hash_type: VectorClass::ALL[0].hash_type(3),
                name: "clip".into(),
                elements: 384,
                distance_default: Distance(5),
                distance_max: Distance(9),
            })),
            Row::ModelCard(Arc::new(crate::consortium::test_card(5))),
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
        let [message] = &directory_parts(true, rows(), state())[..] else { panic!("one part") };
        let expected = DirectoryPart { begins: true, rows: rows(), completes: Some(state()) };
        assert_eq!(DirectoryPart::try_from(message.clone()), Ok(expected));
        let request = DirectoryRequest { have: Some(state()), wait: Duration::from_secs(2) };
        let message = bank::ReadDirectoryRequest::from(request);
        assert_eq!(DirectoryRequest::try_from(message.clone()), Ok(request));
        let long = bank::ReadDirectoryRequest { wait_ms: 10_001, ..message };
        assert_eq!(DirectoryRequest::try_from(long).unwrap_err().field, "wait_ms");
    }

    fn state() -> DirectoryAt {
        DirectoryAt { log: LogId([1; 16]), sequence: Sequence(7), digest: Directory::new().digest() }
    }

    #[test]
    fn a_large_state_comes_in_parts_of_which_the_last_completes_it() {
        let member = |number: u32| {
            let display_name = vigie_consortium::Text::new(&"x".repeat(128)).unwrap();
            let name = format!("m{number}").parse().unwrap();
            Row::Member(Arc::new(Member { id: MemberId(number), name, display_name, ..Member::local() }))
        };
        let rows = Difference { set: (1..20_000).map(member).collect(), gone: Vec::new() };
        let parts = directory_parts(true, rows, state());
        assert!(parts.len() > 2 && parts.iter().all(|part| part.encoded_len() < 2 * ROWS_BYTES_MAX));
        let parts: Vec<_> = parts.into_iter().map(|part| DirectoryPart::try_from(part).unwrap()).collect();
        assert_eq!(parts.iter().map(|part| part.rows.set.len()).sum::<usize>(), 19_999);
        let (last, others) = parts.split_last().unwrap();
        assert!(last.completes.is_some() && others.iter().all(|part| part.completes.is_none()));
        assert!(parts[0].begins && parts[1..].iter().all(|part| !part.begins));
    }
}
