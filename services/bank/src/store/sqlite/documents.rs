//! Documents on SQLite.

use async_trait::async_trait;
use sqlx::sqlite::SqliteConnection;
use vigie_consortium::{Document, DocumentId};

use super::SqliteStore;
use super::rows::rows;
use crate::store::ReadDocuments;
use crate::store::documents::{DocumentRange, DocumentRows};
use crate::store::error::{StoreError, failed};
use crate::store::sql::documents;
use crate::store::sql::read::integer;

#[async_trait]
impl ReadDocuments for SqliteStore {
    async fn documents(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError> {
        documents::documents(&mut self.writer().await?.connection, ids).await
    }

    async fn documents_seen(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError> {
        documents::documents(&mut *self.reader().await?, ids).await
    }

    async fn document_range(&self, range: &DocumentRange) -> Result<Vec<Document>, StoreError> {
        documents::document_range(&mut *self.reader().await?, range).await
    }
}

/// Sets and deletes documents.
pub(super) async fn set(connection: &mut SqliteConnection, state: &DocumentRows) -> Result<(), StoreError> {
    for (kind, key) in &state.gone {
        let delete = sqlx::query("DELETE FROM documents WHERE kind = ? AND key = ?");
        let delete = delete.bind(kind.number()).bind(key.as_bytes().to_vec()).execute(&mut *connection);
        delete.await.map_err(failed("remove documents"))?;
    }
    let insert = "INSERT OR REPLACE INTO documents (kind, key, sequence, payload) ";
    rows(connection, insert, &state.set, |mut row, document| {
        row.push_bind(document.kind.number())
            .push_bind(document.key.as_bytes().to_vec())
            .push_bind(integer(state.sequence.0))
            .push_bind(document.payload.to_vec());
    })
    .await
}
