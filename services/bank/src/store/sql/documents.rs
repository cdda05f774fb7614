//! The statements that read documents.

use vigie_consortium::{Document, DocumentId, DocumentKey, DocumentKind};

use crate::store::documents::DocumentRange;
use crate::store::error::corrupt;
use crate::store::sql::read::{Read, Reader, Value, all, first};
use crate::store::sql::rows::{Column, StoredRow};

/// Reads these documents; missing ones are left out. PostgreSQL stores the kind in two bytes, while rows are
/// read as eight-byte numbers.
pub(in crate::store) async fn documents<C: Reader>(
    connection: &mut C,
    ids: &[DocumentId],
) -> Read<Vec<Document>> {
    let select = "SELECT CAST(kind AS BIGINT), key, payload FROM documents WHERE kind = $1 AND key = $2";
    let mut found = Vec::new();
    for (kind, key) in ids {
        let values = [Value::Number(kind.number().into()), Value::Bytes(Some(key.as_bytes()))];
        let read = |row: &C::Row| to_document(row);
        found.extend(first(connection, "read documents", select, &values, read).await?);
    }
    Ok(found)
}

/// Reads documents of a range, by key.
pub(in crate::store) async fn document_range<C: Reader>(
    connection: &mut C,
    range: &DocumentRange,
) -> Read<Vec<Document>> {
    let DocumentRange { kind, after, before, limit } = range;
    let (kind, after) = (Value::Number(kind.number().into()), Value::Bytes(Some(after.as_bytes())));
    let limit = Value::Number((*limit).into());
    match before {
        None => {
            let select = "SELECT CAST(kind AS BIGINT), key, payload FROM documents \
                          WHERE kind = $1 AND key > $2 ORDER BY key LIMIT $3";
            all(connection, "list documents", select, &[kind, after, limit], to_document).await
        }
        Some(before) => {
            let select = "SELECT CAST(kind AS BIGINT), key, payload FROM documents \
                          WHERE kind = $1 AND key > $2 AND key < $3 ORDER BY key LIMIT $4";
            let before = Value::Bytes(Some(before.as_bytes()));
            all(connection, "list documents", select, &[kind, after, before, limit], to_document).await
        }
    }
}

fn to_document(row: &impl StoredRow) -> Read<Document> {
    let columns = || -> Column<_> { Ok((row.number::<u32>(0)?, row.bytes(1)?, row.bytes(2)?)) };
    let read = || {
        let (kind, key, payload) = columns().ok()?;
        let (kind, key) = (DocumentKind::from_number(kind)?, DocumentKey::new(key).ok()?);
        Some(Document { kind, key, payload: payload.into() })
    };
    read().ok_or_else(|| corrupt("a document"))
}
