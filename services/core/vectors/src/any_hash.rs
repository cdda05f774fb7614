//! The approximate index of hashes as a [`HashIndex`], for callers that learn the length of hashes at run
//! time.

use std::sync::{Arc, Weak};

use vigie_index::{
    AuditError, BankFilter, Cancellation, Cancelled, Edit, Entry, HashEdit, HashEdits, HashIndex, HashRows,
    HashShape, HashSnapshot, Hit, Pace, SavedFile, SegmentError, Stored, UnsupportedShape, Within,
};
use vigie_model::{BankId, Distance, Recall};

use crate::config::HnswConfig;
use crate::hashes::{HnswIndex, HnswSnapshot};

/// The number of rows that are loaded at once, which must fit into the list.
const ROWS_AT_ONCE: usize = 1_024;

/// The number of hits that are passed on between two checks for cancellation.
const HITS_AT_ONCE: usize = 4_096;

/// Creates an empty approximate index of hashes of `bytes` bytes, one of [`vigie_index::HAMMING_BYTES`].
///
/// # Panics
///
/// Panics if `config` has faults, or if the system refuses a thread.
pub fn hamming_index(bytes: usize, config: HnswConfig) -> Result<Box<dyn HashIndex>, UnsupportedShape> {
    Ok(match bytes {
        8 => Box::new(HnswIndex::<8>::new(config)),
        12 => Box::new(HnswIndex::<12>::new(config)),
        16 => Box::new(HnswIndex::<16>::new(config)),
        32 => Box::new(HnswIndex::<32>::new(config)),
        64 => Box::new(HnswIndex::<64>::new(config)),
        _ => return Err(UnsupportedShape::Hamming(bytes)),
    })
}

/// The index has no files: [`HashIndex::save`] and the other methods for files do nothing.
impl<const BYTES: usize> HashIndex for HnswIndex<BYTES> {
    fn shape(&self) -> HashShape {
        HashShape::Hamming { bytes: BYTES }
    }

    /// Waits for a build if the list is full.
    fn apply(&self, edits: &HashEdits) -> usize {
        let edits: Vec<Edit<BYTES>> = edits
            .iter()
            .map(|edit| match edit {
                HashEdit::Insert(hash, entry) => Edit::Insert(whole(hash), entry),
                HashEdit::Remove(hash, item) => Edit::Remove(whole(hash), item),
            })
            .collect();
        self.apply(&edits)
    }

    fn load(&self, rows: HashRows) -> Result<(), SegmentError> {
        let mut inserts = rows.iter().map(|(hash, entry)| Edit::Insert(whole(hash), entry));
        loop {
            let edits: Vec<Edit<BYTES>> = inserts.by_ref().take(ROWS_AT_ONCE).collect();
            if edits.is_empty() {
                return Ok(());
            }
            self.apply(&edits);
        }
    }

    fn remove_bank(&self, bank: BankId) -> usize {
        self.remove_bank(bank)
    }

    /// Does nothing: graphs are built in the background.
    fn merge(&self) -> Result<(), SegmentError> {
        Ok(())
    }

    fn save(&self, _: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        Ok(Vec::new())
    }

    fn forget_before(&self, _: &[u8]) {}

    fn fault(&self) -> Option<String> {
        None
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn recall(&self) -> Option<Recall> {
        self.recall()
    }

    fn snapshot(&self) -> Arc<dyn HashSnapshot> {
        Arc::new(self.snapshot())
    }
}

impl<const BYTES: usize> HashSnapshot for HnswSnapshot<BYTES> {
    fn shape(&self) -> HashShape {
        HashShape::Hamming { bytes: BYTES }
    }

    fn each(
        &self,
        queries: &[&[u8]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(usize, Hit),
    ) -> Result<(), Cancelled> {
        let queries: Vec<[u8; BYTES]> = queries.iter().map(|query| whole(query)).collect();
        for (query, hits) in self.search(&queries, radius, filter, cancel)?.into_iter().enumerate() {
            hits.into_iter().for_each(|hit| take(query, hit));
        }
        Ok(())
    }

    fn nearest_first(
        &self,
        query: &[u8],
        within: Within,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<(), Cancelled> {
        let hits = self.search_within(&whole(query), within, filter, cancel)?;
        for some in hits.chunks(HITS_AT_ONCE) {
            if cancel.is_cancelled() {
                return Err(Cancelled);
            }
            if !some.iter().copied().all(&mut *take) {
                break;
            }
        }
        Ok(())
    }

    fn is_exact(&self) -> bool {
        false
    }

    fn audit(&self, pace: &mut Pace<'_>, take: &mut dyn FnMut(&[u8], Entry)) -> Result<(), AuditError> {
        self.audit(pace, take)
    }

    /// Returns nothing, because the index has no files and no checksums.
    fn stored(&self) -> Vec<Weak<dyn Stored>> {
        Vec::new()
    }
}

/// Converts a hash that has the length of the index's hashes.
fn whole<const BYTES: usize>(hash: &[u8]) -> [u8; BYTES] {
    hash.try_into().expect("a hash as long as those of the index")
}
