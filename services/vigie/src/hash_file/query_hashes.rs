//! The hashes of one content that is asked about.

use vigie_model::{Hash, Quality, Query, QueryHash, Variant};

/// Hashes of one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct QueryHashes {
    /// At least one.
    pub(crate) hashes: Vec<QueryHash>,
    /// PDQ's quality of the image, where it is known.
    pub(crate) quality: Option<Quality>,
}

impl QueryHashes {
    /// Hashes as they are, of an unturned image.
    pub(crate) fn plain(hashes: Vec<Hash>) -> Self {
        let hashes = hashes.into_iter().map(|hash| QueryHash { hash, variant: Variant::Original });
        Self { hashes: hashes.collect(), quality: None }
    }

    /// Checks that there are as many as a query may have.
    pub(super) fn bounded(self) -> Result<Self, String> {
        match self.hashes.len() {
            0 => Err("has no hash".to_owned()),
            1..=Query::HASHES_MAX => Ok(self),
            count => Err(format!("has {count} hashes; a query has at most {}", Query::HASHES_MAX)),
        }
    }
}
