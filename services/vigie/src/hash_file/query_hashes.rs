//! The hashes of one content to look up.

use vigie_model::{Hash, Quality, Query, QueryHash, Variant};

/// The hashes of one content to look up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryHashes {
    /// The hashes; at least one.
    pub(crate) hashes: Vec<QueryHash>,
    /// PDQ's quality of the image, if it is known.
    pub(crate) quality: Option<Quality>,
}

impl QueryHashes {
    /// Returns hashes without variants: the image is not turned or mirrored.
    pub(crate) fn plain(hashes: Vec<Hash>) -> Self {
        let hashes = hashes.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original });
        Self { hashes: hashes.collect(), quality: None }
    }

    /// Checks that the number of hashes is at most that of a query.
    pub(super) fn bounded(self) -> Result<Self, String> {
        match self.hashes.len() {
            0 => Err("has no hash".to_owned()),
            1..=Query::HASHES_MAX => Ok(self),
            count => Err(format!("has {count} hashes; a query has at most {}", Query::HASHES_MAX)),
        }
    }
}
