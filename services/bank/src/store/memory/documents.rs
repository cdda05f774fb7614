//! Documents in memory.

use std::ops::Bound;

use async_trait::async_trait;
use vigie_consortium::{Document, DocumentId};

use super::{Contents, MemoryStore};
use crate::store::ReadDocuments;
use crate::store::documents::{DocumentRange, DocumentRows};
use crate::store::error::StoreError;

#[async_trait]
impl ReadDocuments for MemoryStore {
    async fn documents(&self, ids: &[DocumentId]) -> Result<Vec<Document>, StoreError> {
        let contents = self.disk.contents();
        Ok(ids.iter().filter_map(|id| contents.documents.get(id).cloned()).collect())
    }

    async fn document_range(&self, range: &DocumentRange) -> Result<Vec<Document>, StoreError> {
        let contents = self.disk.contents();
        let from = Bound::Excluded((range.kind, range.after.clone()));
        let of_kind = contents.documents.range((from, Bound::Unbounded));
        let is_in = |document: &&Document| {
            document.kind == range.kind && range.before.as_ref().is_none_or(|before| document.key < *before)
        };
        let found = of_kind.map(|(_, document)| document).take_while(is_in);
        Ok(found.take(range.limit.into()).cloned().collect())
    }
}

impl Contents {
    /// Sets and deletes documents.
    pub(super) fn set_documents(&mut self, rows: &DocumentRows) {
        rows.gone.iter().for_each(|id| drop(self.documents.remove(id)));
        self.documents.extend(rows.set.iter().map(|document| (document.id(), document.clone())));
    }
}
