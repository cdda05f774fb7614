//! The exact index by Hamming distance as a [`HashIndex`].

use std::ops::Range;
use std::sync::{Arc, Weak};

use vigie_model::{BankId, Distance};

use super::batch::{HashEdit, HashEdits, HashRows};
use super::index::{HashIndex, HashSnapshot};
use super::shape::HashShape;
use crate::question::audit::{AuditError, Pace};
use crate::question::cancel::{Cancellation, Cancelled};
use crate::question::entry::{Edit, Entry, Hit};
use crate::question::filter::BankFilter;
use crate::radius::{RadiusIndex, RadiusSnapshot};
use crate::rows::saved::SavedFile;
use crate::rows::segment_file::SegmentError;
use crate::rows::stored::Stored;

impl<const BYTES: usize> HashIndex for RadiusIndex<BYTES> {
    fn shape(&self) -> HashShape {
        HashShape::Hamming { bytes: BYTES }
    }

    fn apply(&self, edits: &HashEdits) -> usize {
        self.apply_each(edits.iter().map(|edit| match edit {
            HashEdit::Insert(hash, entry) => Edit::Insert(*whole(hash), entry),
            HashEdit::Remove(hash, item) => Edit::Remove(*whole(hash), item),
        }))
    }

    fn load(&self, rows: HashRows) -> Result<(), SegmentError> {
        let pairs = rows.iter().map(|(hash, entry)| (*whole(hash), entry)).collect();
        drop(rows);
        self.load(pairs)
    }

    fn remove_bank(&self, bank: BankId) -> usize {
        self.remove_bank(bank)
    }

    fn merge(&self) -> Result<(), SegmentError> {
        self.merge()
    }

    fn clear_dead(&self, stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        self.clear_dead(stop)
    }

    fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError> {
        self.save(tag)
    }

    fn forget_before(&self, tag: &[u8]) {
        self.forget_before(tag);
    }

    fn fault(&self) -> Option<String> {
        self.footprint().fault
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn snapshot(&self) -> Arc<dyn HashSnapshot> {
        Arc::new(self.snapshot())
    }
}

impl<const BYTES: usize> HashSnapshot for RadiusSnapshot<BYTES> {
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
        self.each_of(queries.iter().map(|query| whole(query)), radius, filter, cancel, |query, hit| {
            take(query, hit);
            true
        })
    }

    fn each_while(
        &self,
        queries: &[&[u8]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(usize, Hit) -> bool,
    ) -> Result<(), Cancelled> {
        self.each_of(queries.iter().map(|query| whole(query)), radius, filter, cancel, take)
    }

    fn is_exact(&self) -> bool {
        true
    }

    fn audit(&self, pace: &mut Pace<'_>, take: &mut dyn FnMut(&[u8], Entry)) -> Result<(), AuditError> {
        self.audit(pace, &mut |hash, entry| take(hash, entry))
    }

    fn stored(&self) -> Vec<Weak<dyn Stored>> {
        self.stored()
    }

    fn tail_memory(&self) -> Vec<Range<usize>> {
        self.tail_memory()
    }
}

/// Converts a hash that has the length of the index's hashes.
fn whole<const BYTES: usize>(hash: &[u8]) -> &[u8; BYTES] {
    hash.try_into().expect("a hash as long as those of the index")
}
