//! The directory in the store: one row for each member, principal, grant, quota, policy, declared hash type
//! and model; one for each charter that is not the default; and one for the used ids. Banks themselves have a
//! table of their own.

use std::sync::Arc;

use vigie_consortium::{Charter, Difference, Directory, OwnedBank, Row, RowKey};
use vigie_model::{Bank, BankId, Sequence};
use vigie_proto::consortium::{decode_row, encode_row};

use crate::store::error::{StoreError, corrupt};

/// The key of a row: its kind, and one or two ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DirectoryKey {
    /// The number of the row's kind.
    pub(crate) kind: u8,
    /// The first id of the key.
    pub(crate) first: u64,
    /// The second id, if the kind has two; otherwise 0.
    pub(crate) second: u64,
}

impl DirectoryKey {
    const fn new(kind: u8, first: u64, second: u64) -> Self {
        Self { kind, first, second }
    }

    const fn charter(bank: BankId) -> Self {
        Self::new(5, bank.0 as u64, 0)
    }

    /// By a digest of the name, 63 bits of it in each part: stores have signed numbers.
    fn model_card(name: &str) -> Self {
        let digest = blake3::hash(name.as_bytes());
        let mut parts =
            digest.as_bytes().as_chunks::<8>().0.iter().map(|part| u64::from_be_bytes(*part) >> 1);
        let mut part = || parts.next().unwrap_or_default();
        Self::new(9, part(), part())
    }

    fn of(row: &Row) -> Self {
        match row {
            Row::Member(member) => Self::new(1, member.id.0.into(), 0),
            Row::Principal(principal) => Self::of_gone(RowKey::Principal(principal.id)),
            Row::Grant(grant) => Self::of_gone(RowKey::Grant { bank: grant.bank, member: grant.member }),
            Row::Quota(member, _) => Self::of_gone(RowKey::Quota(*member)),
            Row::Policies(member, _) => Self::of_gone(RowKey::Policies(*member)),
            Row::Bank(bank) => Self::charter(bank.id),
            Row::Used { .. } => Self::new(6, 0, 0),
            Row::HashType(declaration) => Self::new(8, declaration.hash_type.number().into(), 0),
            Row::ModelCard(card) => Self::model_card(card.name()),
        }
    }

    fn of_gone(key: RowKey) -> Self {
        match key {
            RowKey::Principal(id) => Self::new(2, id.0, 0),
            RowKey::Grant { bank, member } => Self::new(3, bank.0.into(), member.0.into()),
            RowKey::Quota(member) => Self::new(4, member.0.into(), 0),
            RowKey::Bank(id) => Self::charter(id),
            RowKey::Policies(member) => Self::new(7, member.0.into(), 0),
        }
    }
}

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectoryRow {
    /// Its key.
    pub(crate) key: DirectoryKey,
    /// The row.
    pub(crate) row: Row,
}

impl DirectoryRow {
    /// Returns the bytes to store.
    pub(crate) fn payload(&self) -> Vec<u8> {
        encode_row(self.row.clone())
    }

    /// Reads a stored row.
    pub(crate) fn read(key: DirectoryKey, payload: &[u8]) -> Result<Self, StoreError> {
        let row = decode_row(payload).ok().filter(|row| DirectoryKey::of(row) == key);
        let row = row.ok_or_else(|| corrupt("a row of the directory"))?;
        Ok(Self { key, row })
    }
}

/// The rows that one commit sets and deletes.
#[derive(Debug, Clone, Default)]
pub(crate) struct DirectoryRows {
    /// Rows in their new state.
    pub(crate) set: Vec<DirectoryRow>,
    /// Keys of deleted rows, whether or not they ever existed.
    pub(crate) gone: Vec<DirectoryKey>,
}

impl From<Difference> for DirectoryRows {
    fn from(difference: Difference) -> Self {
        let mut rows = Self::default();
        for row in difference.set {
            let key = DirectoryKey::of(&row);
            match &row {
                Row::Bank(bank) if bank.charter == Charter::default() => rows.gone.push(key),
                Row::Member(_)
                | Row::Principal(_)
                | Row::Bank(_)
                | Row::Grant(_)
                | Row::Quota(..)
                | Row::Policies(..)
                | Row::HashType(_)
                | Row::ModelCard(_)
                | Row::Used { .. } => rows.set.push(DirectoryRow { key, row }),
            }
        }
        rows.gone.extend(difference.gone.into_iter().map(DirectoryKey::of_gone));
        rows
    }
}

/// Returns the directory of stored rows and banks, as of a sequence. A store from before there were members
/// has none of these rows: all its banks belong to the host.
pub(crate) fn directory_of(
    rows: &[DirectoryRow],
    banks: &[Bank],
    next_bank: u32,
    sequence: Sequence,
) -> Directory {
    let charter_of = |bank: BankId| {
        let key = DirectoryKey::charter(bank);
        let found = rows.binary_search_by_key(&key, |row| row.key).ok().map(|at| &rows[at].row);
        match found {
            Some(Row::Bank(bank)) => bank.charter.clone(),
            // The key determines the kind.
            Some(
                Row::Member(_)
                | Row::Principal(_)
                | Row::Grant(_)
                | Row::Quota(..)
                | Row::Policies(..)
                | Row::HashType(_)
                | Row::ModelCard(_)
                | Row::Used { .. },
            )
            | None => Charter::default(),
        }
    };
    let owned = banks.iter().map(|bank| {
        let (id, owner, name, enabled) = (bank.id, bank.owner, bank.name.clone(), bank.enabled);
        Row::Bank(Arc::new(OwnedBank { id, owner, name, enabled, charter: charter_of(id) }))
    });
    let others = rows.iter().map(|row| row.row.clone()).filter(|row| !matches!(row, Row::Bank(_)));
    let mut directory = Directory::from_rows(others.chain(owned), sequence);
    // The head stores it too, since before there were members.
    let bank = BankId(next_bank.saturating_sub(1));
    directory.set_row(Row::Used { principal: directory.principal_used(), bank });
    directory
}
