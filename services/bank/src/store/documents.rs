//! Documents as they are stored.

use std::collections::BTreeMap;

use vigie_consortium::{Document, DocumentId, DocumentKey, DocumentKind};
use vigie_model::Sequence;

/// Documents by kind and key; `None` for a document that does not exist.
pub(crate) type Documents = BTreeMap<DocumentId, Option<Document>>;

/// The query for documents of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentRange {
    /// The kind.
    pub(crate) kind: DocumentKind,
    /// The key after which the range begins. The empty key is before all others.
    pub(crate) after: DocumentKey,
    /// The key before which the range ends; `None` for no end.
    pub(crate) before: Option<DocumentKey>,
    /// The most documents that are returned.
    pub(crate) limit: u16,
}

impl DocumentRange {
    /// Returns the range of all documents of a kind, with a limit.
    pub(crate) fn all(kind: DocumentKind, limit: u16) -> Self {
        Self { kind, after: DocumentKey::default(), before: None, limit }
    }
}

/// The rows of documents that one commit sets and deletes.
#[derive(Debug, Clone, Default)]
pub(crate) struct DocumentRows {
    /// Documents in their new state.
    pub(crate) set: Vec<Document>,
    /// Deleted documents.
    pub(crate) gone: Vec<DocumentId>,
    /// The newest change of the log.
    pub(crate) sequence: Sequence,
}

impl DocumentRows {
    /// Makes the rows of changed documents; `None` for a deleted one.
    pub(crate) fn of(changed: Documents, sequence: Sequence) -> Self {
        let mut rows = Self { sequence, ..Self::default() };
        for (id, document) in changed {
            match document {
                Some(document) => rows.set.push(document),
                None => rows.gone.push(id),
            }
        }
        rows
    }

    /// Returns whether there is no change.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.gone.is_empty()
    }
}
