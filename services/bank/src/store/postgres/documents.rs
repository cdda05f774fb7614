//! Documents on PostgreSQL.

use async_trait::async_trait;
use sqlx::postgres::PgConnection;
use vigie_consortium::{Document, DocumentId};

use crate::store::ReadDocuments;
use crate::store::documents::{DocumentRange, DocumentRows};
use crate::store::error::{StoreError, failed};
use crate::store::postgres::PostgresStore;
use crate::store::sql::documents;
use crate::store::sql::read::integer;

#[async_trait]
impl ReadDocuments for PostgresStore {
    async fn documents(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError> {
        let read = async |connection: &mut PgConnection| documents::documents(connection, ids).await;
        self.writer().await.read(read).await
    }

    async fn documents_seen(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError> {
        documents::documents(&mut *self.reader().await?, ids).await
    }

    async fn document_range(&self, range: &DocumentRange) -> Result<Vec<Document>, StoreError> {
        documents::document_range(&mut *self.reader().await?, range).await
    }
}

/// Sets and deletes documents.
pub(super) async fn set(connection: &mut PgConnection, state: &DocumentRows) -> Result<(), StoreError> {
    if !state.gone.is_empty() {
        let (kinds, keys): (Vec<_>, Vec<_>) =
            state.gone.iter().map(|(kind, key)| (i16::from(kind.number()), key.as_bytes().to_vec())).unzip();
        sqlx::query(
            "DELETE FROM documents USING UNNEST($1::SMALLINT[], $2::BYTEA[]) AS gone (kind, key) \
             WHERE documents.kind = gone.kind AND documents.key = gone.key",
        )
        .bind(kinds)
        .bind(keys)
        .execute(&mut *connection)
        .await
        .map_err(failed("remove documents"))?;
    }
    if state.set.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO documents (kind, key, sequence, payload) \
         SELECT kind, key, $3, payload FROM UNNEST($1::SMALLINT[], $2::BYTEA[], $4::BYTEA[]) AS new (kind, key, payload) \
         ON CONFLICT (kind, key) DO UPDATE SET sequence = excluded.sequence, payload = excluded.payload",
    )
    .bind(state.set.iter().map(|document| i16::from(document.kind.number())).collect::<Vec<_>>())
    .bind(state.set.iter().map(|document| document.key.as_bytes().to_vec()).collect::<Vec<_>>())
    .bind(integer(state.sequence.0))
    .bind(state.set.iter().map(|document| document.payload.to_vec()).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
    .map_err(failed("set documents"))
}
