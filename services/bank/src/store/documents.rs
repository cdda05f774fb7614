//! Documents as they are stored.

use std::collections::BTreeMap;

use vigie_consortium::{Document, DocumentId, DocumentKey, DocumentKind};
use vigie_model::Sequence;

/// Documents, by kind and key; `None` for those that are not there.
pub(crate) type Documents = BTreeMap<DocumentId, Option<Document>>;

/// Which documents of a kind to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentRange {
    /// The kind.
    pub(crate) kind: DocumentKind,
    /// Keys after this one. The empty key comes before all.
    pub(crate) after: DocumentKey,
    /// Keys before this one alone; `None` for all.
    pub(crate) before: Option<DocumentKey>,
    /// The most documents.
    pub(crate) limit: u16,
}

impl DocumentRange {
    /// All documents of a kind, at most so many.
    pub(crate) fn all(kind: DocumentKind, limit: u16) -> Self {
        Self { kind, after: DocumentKey::default(), before: None, limit }
    }
}

/// The rows of documents that one commit sets and takes out.
#[derive(Debug, Clone, Default)]
pub(crate) struct DocumentRows {
    /// Documents as they are from now on.
    pub(crate) set: Vec<Document>,
    /// Documents that are no longer there.
    pub(crate) gone: Vec<DocumentId>,
    /// The newest change of the log.
    pub(crate) sequence: Sequence,
}

impl DocumentRows {
    /// The rows of documents that changed; `None` for those that are gone.
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

    /// Whether nothing changes.
    pub(crate) fn is_empty(&self) -> bool {
        self.set.is_empty() && self.gone.is_empty()
    }
}
