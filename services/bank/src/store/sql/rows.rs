//! Decodes the rows of both databases.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use vigie_audit::tree::{NodeHash, StoredIndex};
use vigie_log::{Chain, Digest, Head, Recorded, Sequence, StoredBatch, StoredChange};
use vigie_model::{Bank, BankId, BankName, Item, ItemId, MatchRatio, MemberId, SetDigest, UnixMillis};
use vigie_proto::bank::decode_item;

use crate::plan::digests::PartDigest;
use crate::store::error::{StoreError, corrupt};
use crate::store::records::{
    Counts, DirectoryKey, DirectoryRow, FoundEntry, HeadRow, KeptUndo, StoredRecord, Undo,
};

/// The value of a column, or the error that it cannot be decoded.
pub(in crate::store) type Column<T> = Result<T, sqlx::Error>;

/// The column types of a row. Both databases store numbers as signed 64-bit integers.
pub(in crate::store) trait StoredRow: Send + Unpin {
    /// Returns a number, if the column is not NULL.
    fn number_if_any(&self, column: usize) -> Column<Option<i64>>;
    /// Returns bytes, if the column is not NULL.
    fn bytes_if_any(&self, column: usize) -> Column<Option<&[u8]>>;
    /// Returns a text.
    fn text(&self, column: usize) -> Column<&str>;
    /// Returns a boolean.
    fn flag(&self, column: usize) -> Column<bool>;
    /// Returns a floating-point number.
    fn real(&self, column: usize) -> Column<f64>;

    /// Returns a number that fits the requested type.
    fn number<T: TryFrom<i64>>(&self, column: usize) -> Column<T> {
        let number = self.number_if_any(column)?.and_then(|number| T::try_from(number).ok());
        number.ok_or_else(|| sqlx::Error::Decode("no number of this kind".into()))
    }

    /// Returns bytes.
    fn bytes(&self, column: usize) -> Column<&[u8]> {
        self.bytes_if_any(column)?.ok_or_else(|| sqlx::Error::Decode("no bytes".into()))
    }

    /// Returns a partition, if the column is not NULL.
    fn partition(&self, column: usize) -> Column<Option<u16>> {
        self.number_if_any(column)?.is_some().then(|| self.number(column)).transpose()
    }

    /// Returns a chain or a digest: 32 bytes.
    fn array(&self, column: usize) -> Column<[u8; 32]> {
        self.bytes(column)?.try_into().map_err(|source| sqlx::Error::Decode(Box::new(source)))
    }

    /// Returns a bank's match ratio: the share of lookups in which the bank takes part.
    fn ratio(&self, column: usize) -> Column<MatchRatio> {
        self.real(column)?.try_into().map_err(|source| sqlx::Error::Decode(Box::new(source)))
    }

    /// Returns the name of a bank.
    fn name(&self, column: usize) -> Column<BankName> {
        self.text(column)?.parse().map_err(|source| sqlx::Error::Decode(Box::new(source)))
    }
}

macro_rules! stored_row {
    ($($row:ty),*) => {$(
        impl StoredRow for $row {
            fn number_if_any(&self, column: usize) -> Column<Option<i64>> {
                self.try_get(column)
            }

            fn bytes_if_any(&self, column: usize) -> Column<Option<&[u8]>> {
                self.try_get(column)
            }

            fn text(&self, column: usize) -> Column<&str> {
                self.try_get(column)
            }

            fn flag(&self, column: usize) -> Column<bool> {
                self.try_get(column)
            }

            fn real(&self, column: usize) -> Column<f64> {
                self.try_get(column)
            }
        }
    )*};
}

stored_row!(SqliteRow, PgRow);

/// Decodes `sequence, chain, next_bank_id, bank_count, item_count, hash_count, floor, audit_count`.
pub(in crate::store) fn to_head(row: &impl StoredRow) -> Result<HeadRow, StoreError> {
    let read = || -> Column<HeadRow> {
        Ok(HeadRow {
            head: Head {
                sequence: Sequence(row.number(0)?),
                chain: Chain(row.array(1)?),
                floor: Sequence(row.number(6)?),
            },
            counts: Counts {
                next_bank: row.number(2)?,
                banks: row.number(3)?,
                items: row.number(4)?,
                hashes: row.number(5)?,
                audited: row.number(7)?,
            },
        })
    };
    read().map_err(|_| corrupt("the head"))
}

/// Decodes `id, owner_id, name, enabled, created_at_ms, item_count, hash_count, match_ratio`.
pub(in crate::store) fn to_bank(row: &impl StoredRow) -> Result<Bank, StoreError> {
    let read = || -> Column<Bank> {
        Ok(Bank {
            id: BankId(row.number(0)?),
            owner: MemberId(row.number(1)?),
            name: row.name(2)?,
            enabled: row.flag(3)?,
            created_at: UnixMillis(row.number(4)?),
            item_count: row.number(5)?,
            hash_count: row.number(6)?,
            match_ratio: row.ratio(7)?,
        })
    };
    read().map_err(|_| corrupt("a bank"))
}

/// Decodes `kind, first_id, second_id, payload`.
pub(in crate::store) fn to_directory_row(row: &impl StoredRow) -> Result<DirectoryRow, StoreError> {
    let key = || -> Column<DirectoryKey> {
        Ok(DirectoryKey { kind: row.number(0)?, first: row.number(1)?, second: row.number(2)? })
    };
    let fault = |_| corrupt("a row of the directory");
    DirectoryRow::read(key().map_err(fault)?, row.bytes(3).map_err(fault)?)
}

/// Decodes `bank_id, partition, hash_count, sum_0, sum_1, sum_2, sum_3`.
pub(in crate::store) fn to_part(row: &impl StoredRow) -> Result<PartDigest, StoreError> {
    let read = || -> Column<PartDigest> {
        let sums = [row.number(3)?, row.number(4)?, row.number(5)?, row.number(6)?];
        let digest = SetDigest { sums, hashes: row.number(2)? };
        Ok(PartDigest { bank: BankId(row.number(0)?), partition: row.number(1)?, digest })
    };
    read().map_err(|_| corrupt("a digest"))
}

/// Decodes `id, payload`.
pub(in crate::store) fn to_item(row: &impl StoredRow) -> Result<Item, StoreError> {
    let id: Option<u64> = row.number(0).ok();
    let item = row.bytes(1).ok().and_then(|payload| decode_item(payload).ok());
    item.filter(|item| Some(item.id.0) == id)
        .ok_or_else(|| StoreError::Corrupt { row: format!("item {}", id.unwrap_or_default()) })
}

/// Decodes `sequence, partition, digest, payload`.
pub(in crate::store) fn to_change(row: &impl StoredRow) -> Result<StoredChange, StoreError> {
    let read = || -> Column<StoredChange> {
        let (sequence, digest) = (Sequence(row.number(0)?), Digest(row.array(2)?));
        let bytes = row.bytes_if_any(3)?.map(<[u8]>::to_vec);
        Ok(StoredChange { sequence, partition: row.partition(1)?, digest, bytes })
    };
    read().map_err(|_| corrupt("a change"))
}

/// Decodes `last_sequence, chain, former_chain`.
pub(in crate::store) fn to_batch(row: &impl StoredRow) -> Result<StoredBatch, StoreError> {
    let read = || -> Column<StoredBatch> {
        let former = row.bytes_if_any(2)?.is_some().then(|| row.array(2)).transpose()?;
        Ok(StoredBatch {
            last: Sequence(row.number(0)?),
            chain: Chain(row.array(1)?),
            former: former.map(Chain),
        })
    };
    read().map_err(|_| corrupt("a batch"))
}

/// Decodes `key, request_digest, response, created_at_ms`.
pub(in crate::store) fn to_recorded(row: &impl StoredRow) -> Result<Recorded, StoreError> {
    let read = || -> Column<Recorded> {
        Ok(Recorded {
            key: row.text(0)?.to_owned(),
            digest: row.array(1)?,
            answer: row.bytes(2)?.to_vec(),
            created_at: vigie_log::UnixMillis(row.number(3)?),
        })
    };
    read().map_err(|_| corrupt("a key"))
}

/// Decodes `entry_index, payload`.
pub(in crate::store) fn to_entry(row: &impl StoredRow) -> Result<FoundEntry, StoreError> {
    let read = || -> Column<FoundEntry> {
        Ok(FoundEntry { index: row.number(0)?, payload: row.bytes(1)?.to_vec() })
    };
    read().map_err(|_| corrupt("an entry of the audit"))
}

/// Decodes `position, hash`.
pub(in crate::store) fn to_node(row: &impl StoredRow) -> Result<(StoredIndex, NodeHash), StoreError> {
    let read = || -> Column<_> { Ok((StoredIndex(row.number(0)?), NodeHash(row.array(1)?))) };
    read().map_err(|_| corrupt("a hash of the audit"))
}

/// Decodes `item_id, payload`.
pub(in crate::store) fn to_record(row: &impl StoredRow) -> Result<StoredRecord, StoreError> {
    let fault = |_| corrupt("the record of an item");
    StoredRecord::read(ItemId(row.number(0).map_err(fault)?), row.bytes(1).map_err(fault)?)
}

/// Decodes `item_id, bank_id, member_id, removed_at_ms, until_ms, record`.
pub(in crate::store) fn to_undo(row: &impl StoredRow) -> Result<Undo, StoreError> {
    let fault = |_| corrupt("a removed item");
    let item = ItemId(row.number(0).map_err(fault)?);
    let record = row.bytes_if_any(5).map_err(fault)?;
    let record = record.map(|payload| StoredRecord::read(item, payload)).transpose()?;
    let read = || -> Column<Undo> {
        Ok(Undo {
            item,
            bank: BankId(row.number(1)?),
            member: MemberId(row.number(2)?),
            removed_at: UnixMillis(row.number(3)?),
            until: UnixMillis(row.number(4)?),
            record: record.map(|stored| stored.record),
        })
    };
    read().map_err(fault)
}

/// Decodes the columns of [`to_undo`], `payload`, and `sequence, partition, digest, payload` of the change
/// that added the item, if it exists.
pub(in crate::store) fn to_kept_undo(row: &impl StoredRow) -> Result<KeptUndo, StoreError> {
    let undo = to_undo(row)?;
    let read = || -> Column<KeptUndo> {
        let payload = row.bytes_if_any(6)?.map(<[u8]>::to_vec);
        let added = || -> Column<StoredChange> {
            let (sequence, digest) = (Sequence(row.number(7)?), Digest(row.array(9)?));
            let bytes = row.bytes_if_any(10)?.map(<[u8]>::to_vec);
            Ok(StoredChange { sequence, partition: row.partition(8)?, digest, bytes })
        };
        let added = row.number_if_any(7)?.map(|_| added()).transpose()?;
        Ok(KeptUndo { undo, payload, added })
    };
    read().map_err(|_| corrupt("a removed item"))
}
