//! Compares the hashes that searches of a shard reach with those that the shard should hold.
//!
//! The hashes that it should hold are known from the changes alone: each change updates a sum, and the bank's
//! digest has confirmed the sum. The hashes that searches reach are read from the tables, columns and lists
//! of every index, as a search would read them.

use std::sync::Arc;

use thiserror::Error;
use vigie_index::{AuditError, Pace};
use vigie_model::{Hash, HashType, ItemId, SetDigest};

use crate::shard::banks::Searched;
use crate::shard::indexes::IndexKey;
use crate::shard::rows;
use crate::shard::state::Shard;

/// The result of an audit without a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audited {
    /// Searches reach exactly what they should.
    Whole,
    /// Nothing can be concluded: the caller stopped the audit, or the shard changed during it.
    Open,
}

/// A fault in an index: searches may miss something, or find something that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum AuditFault {
    #[error("the index of {hash_type} hashes is damaged: {what}")]
    Index { hash_type: HashType, what: &'static str },
    #[error("the index of {hash_type} hashes names item {item}, which has no record with such a hash")]
    Record { hash_type: HashType, item: ItemId },
    #[error("the digest of the hashes that searches reach is {reached}, and should be {held}")]
    Digest { reached: SetDigest, held: SetDigest },
    #[error("searches reach hashes in a bank that is not theirs")]
    Banks,
}

/// Reads everything that searches of the present moment reach, and compares it with what they should reach.
pub(crate) fn audit(shard: &Shard, pace: &mut Pace<'_>) -> Result<Audited, AuditFault> {
    let moment = shard.moment();
    let mut reached = Searched::default();
    for (key, index) in moment.indexes.all() {
        let shape = index.shape();
        let (hash_type, mut lost) = (key.hash_type, None);
        let recorded = |item: ItemId, held: &[u8]| {
            let is_it = |hash: &Hash| IndexKey::of(hash) == key && *shape.held(hash.as_bytes()) == *held;
            shard.item(item, |record| record.hashes().into_iter().find(is_it)).flatten()
        };
        let walked = index.audit(pace, &mut |held, entry| {
            let hash = shape.holds_digests().then(|| recorded(entry.item, held));
            let digest = match &hash {
                None => rows::digest(entry.item, key, held),
                Some(None) => None,
                Some(Some(hash)) => rows::digest(entry.item, key, hash.as_bytes()),
            };
            match digest {
                Some(digest) => reached.add(entry.bank, digest),
                None => lost = lost.or(Some(entry.item)),
            }
        });
        match walked {
            Ok(()) => {}
            Err(AuditError::Stopped) => return Ok(Audited::Open),
            Err(AuditError::Damaged(what)) => return Err(AuditFault::Index { hash_type, what }),
        }
        if let Some(item) = lost {
            // Records are not kept for old moments, so the item may have been removed during the audit.
            let is_same = Arc::ptr_eq(&moment, &shard.moment());
            return if is_same { Err(AuditFault::Record { hash_type, item }) } else { Ok(Audited::Open) };
        }
    }
    if reached.digest != moment.searched.digest {
        return Err(AuditFault::Digest { reached: reached.digest, held: moment.searched.digest });
    }
    if reached == moment.searched { Ok(Audited::Whole) } else { Err(AuditFault::Banks) }
}
