//! The audit in memory.

use async_trait::async_trait;
use vigie_audit::tree::{NodeHash, StoredIndex};

use super::{MemoryStore, page};
use crate::store::ReadAudit;
use crate::store::error::StoreError;
use crate::store::records::{AuditHead, EntryPage, EntryRange, FoundEntry, StoredEntry};

#[async_trait]
impl ReadAudit for MemoryStore {
    async fn audit_head(&self) -> Result<AuditHead, StoreError> {
        let contents = self.disk.contents();
        Ok(AuditHead { tree: contents.frontier()?, log: contents.log.head() })
    }

    async fn audit_entries(&self, range: &EntryRange) -> Result<EntryPage, StoreError> {
        let contents = self.disk.contents();
        let entries = contents.entries.iter().filter(|entry| entry.index >= range.from);
        let entries = entries.filter(|entry| range.member.is_none_or(|member| entry.member == member.0));
        let (entries, cut) = page(entries, range.count_max, range.bytes_max, |entry| entry.payload.len());
        let found = |entry: &StoredEntry| FoundEntry { index: entry.index, payload: entry.payload.clone() };
        let entries = entries.into_iter().map(found).collect();
        Ok(EntryPage { entries, cut, size: contents.audit_size()? })
    }

    async fn audit_hashes(&self, positions: &[StoredIndex]) -> Result<Vec<NodeHash>, StoreError> {
        self.disk.contents().nodes(positions)
    }

    async fn audit_hashes_from(
        &self,
        from: StoredIndex,
        limit: u16,
    ) -> Result<Vec<(StoredIndex, NodeHash)>, StoreError> {
        let contents = self.disk.contents();
        let nodes = (0..).map(StoredIndex).zip(contents.nodes.iter().copied());
        Ok(nodes.skip_while(|(position, _)| *position < from).take(limit.into()).collect())
    }
}
