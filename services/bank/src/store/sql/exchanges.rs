//! The statements that read exchanges and the records of programmes.

use vigie_consortium::{ContentDigest, Exchange, ExchangeId};
use vigie_model::ItemId;

use crate::store::error::corrupt;
use crate::store::exchanges::{self, KeyDigest, MappedRecord};
use crate::store::sql::read::{Read, Reader, Value, all, first};
use crate::store::sql::rows::{Column, StoredRow};

/// Reads all exchanges, by id.
pub(in crate::store) async fn all_exchanges<C: Reader>(connection: &mut C) -> Read<Vec<Exchange>> {
    let select = "SELECT id, payload FROM exchanges ORDER BY id";
    all(connection, "load exchanges", select, &[], to_exchange).await
}

/// Reads these records of an exchange; missing ones are left out.
pub(in crate::store) async fn records<C: Reader>(
    connection: &mut C,
    exchange: ExchangeId,
    keys: &[KeyDigest],
) -> Read<Vec<MappedRecord>> {
    let select = "SELECT exchange_id, key_digest, item_id, payload FROM exchange_records \
                  WHERE exchange_id = $1 AND key_digest = $2";
    let mut found = Vec::new();
    for key in keys {
        let values = [Value::Number(exchange.0), Value::Bytes(Some(&key.0))];
        let read = |row: &C::Row| to_record(row);
        found.extend(first(connection, "read records of an exchange", select, &values, read).await?);
    }
    Ok(found)
}

/// Reads the records of an exchange after a key, at most `limit`.
pub(in crate::store) async fn records_after<C: Reader>(
    connection: &mut C,
    exchange: ExchangeId,
    after: Option<KeyDigest>,
    limit: u16,
) -> Read<Vec<MappedRecord>> {
    let select = "SELECT exchange_id, key_digest, item_id, payload FROM exchange_records \
                  WHERE exchange_id = $1 AND key_digest > $2 ORDER BY key_digest LIMIT $3";
    // The empty byte string sorts before all digests.
    let after = after.as_ref().map_or(&[][..], |key| &key.0);
    let values = [Value::Number(exchange.0), Value::Bytes(Some(after)), Value::Number(limit.into())];
    all(connection, "list records of an exchange", select, &values, to_record).await
}

/// Reads the records of all exchanges with this content, at most `limit`.
pub(in crate::store) async fn records_of<C: Reader>(
    connection: &mut C,
    content: ContentDigest,
    limit: u16,
) -> Read<Vec<MappedRecord>> {
    let select = "SELECT exchange_id, key_digest, item_id, payload FROM exchange_records \
                  WHERE content_key = $1 ORDER BY exchange_id, key_digest LIMIT $2";
    let values = [content.key(), limit.into()].map(Value::Number);
    let mut found = all(connection, "read records of exchanges", select, &values, to_record).await?;
    // Other contents may have the same first bits.
    found.retain(|record: &MappedRecord| record.content == content);
    Ok(found)
}

fn to_exchange(row: &impl StoredRow) -> Read<Exchange> {
    let fault = |_| corrupt("an exchange");
    exchanges::read(ExchangeId(row.number(0).map_err(fault)?), row.bytes(1).map_err(fault)?)
}

fn to_record(row: &impl StoredRow) -> Read<MappedRecord> {
    let keys = || -> Column<_> {
        Ok((ExchangeId(row.number(0)?), KeyDigest(row.array(1)?), ItemId(row.number(2)?)))
    };
    let fault = |_| corrupt("the record of an exchange");
    let (exchange, key, item) = keys().map_err(fault)?;
    MappedRecord::read(exchange, key, item, row.bytes(3).map_err(fault)?)
}
