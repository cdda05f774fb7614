//! The operations of every index of hashes, whatever the hashes' length and metric.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Weak};

use vigie_model::{BankId, Distance, Recall};

use super::batch::{HashEdits, HashRows};
use super::shape::HashShape;
use crate::question::audit::{AuditError, Pace};
use crate::question::cancel::{Cancellation, Cancelled};
use crate::question::entry::{Entry, Hit};
use crate::question::filter::BankFilter;
use crate::rows::saved::SavedFile;
use crate::rows::segment_file::SegmentError;
use crate::rows::stored::Stored;

/// Pairs of a hash and an item that can be searched while they are written to. An index stores each pair
/// once.
///
/// Searches take no lock and see the index as it is at one moment. Edits wait for each other, and an edit is
/// visible to every snapshot that is taken after it returned.
pub trait HashIndex: Send + Sync + fmt::Debug {
    /// Returns the shape of the hashes that the index stores.
    fn shape(&self) -> HashShape;

    /// Applies the edits in their order and makes them visible to searches all at once. Returns how many
    /// changed something: new pairs, and removed pairs. Inserting an existing pair again only replaces its
    /// bank.
    ///
    /// # Panics
    ///
    /// Panics if the hashes have another length than those of the index.
    fn apply(&self, edits: &HashEdits) -> usize;

    /// Adds many pairs at once, in any order. Much faster than [`Self::apply`] if the index can build from
    /// them directly. Of equal pairs, the one with the greatest bank is kept.
    ///
    /// # Panics
    ///
    /// Panics if the hashes have another length than those of the index.
    fn load(&self, rows: HashRows) -> Result<(), SegmentError>;

    /// Removes every hash of every item of a bank at one moment, and returns the number of removed hashes.
    fn remove_bank(&self, bank: BankId) -> usize;

    /// Merges everything into one segment, or into as few as the size limit of a segment allows. Does nothing
    /// if the index arranges its rows without merges.
    fn merge(&self) -> Result<(), SegmentError>;

    /// Rewrites every file that holds removed hashes at the time of the call, until `stop` returns true. Does
    /// nothing if the index has no files. The old files are deleted when the checkpoints that name them are
    /// given up ([`Self::forget_before`]).
    fn clear_dead(&self, _stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        Ok(())
    }

    /// Writes the current state of the index to its folder under a tag by which it can be opened, and returns
    /// the files of that state; none if the index is in memory.
    fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError>;

    /// Gives up the checkpoints older than that of the tag, and the files that only those needed.
    fn forget_before(&self, tag: &[u8]);

    /// Returns the last fault of the index's files. A fault loses no data: segments that could not be merged
    /// stay in use.
    fn fault(&self) -> Option<String>;

    /// Returns the number of live hashes, counted once for each item.
    fn len(&self) -> usize;

    /// Checks whether there is no live hash.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks whether answers always equal those of a linear scan.
    fn is_exact(&self) -> bool;

    /// Returns the measured recall of an approximate index; `None` before the first measurement, and for an
    /// exact index.
    fn recall(&self) -> Option<Recall> {
        None
    }

    /// Returns the index as it is now, unaffected by later edits. Cheap.
    fn snapshot(&self) -> Arc<dyn HashSnapshot>;
}

/// The extent of a search by [`HashSnapshot::nearest_first`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// The largest distance.
    pub radius: Distance,
    /// If true, no hash within the radius may be omitted.
    pub exact: bool,
}

/// A [`HashIndex`] as it was at one moment: later edits are not visible.
///
/// A snapshot keeps the data of that moment in memory until it is dropped.
pub trait HashSnapshot: Send + Sync + fmt::Debug {
    /// Returns the shape of the hashes that the index stores.
    fn shape(&self) -> HashShape;

    /// Passes every hash within `radius` of each query to the callback, with the number of the query, in no
    /// particular order. After a failure, the hits that were passed on must be discarded. An index that
    /// compares for equality answers with distance 0, whatever the radius.
    ///
    /// # Panics
    ///
    /// Panics if a query has another length than the hashes of the index.
    fn each(
        &self,
        queries: &[&[u8]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(usize, Hit),
    ) -> Result<(), Cancelled>;

    /// Searches like [`Self::each`], but passes on no more hits of a query once `take` returned false for it.
    /// For callers that limit the hits of each query: the omitted hits then cost little.
    ///
    /// # Panics
    ///
    /// Panics if a query has another length than the hashes of the index.
    fn each_while(
        &self,
        queries: &[&[u8]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(usize, Hit) -> bool,
    ) -> Result<(), Cancelled> {
        let mut wanted = vec![true; queries.len()];
        self.each(queries, radius, filter, cancel, &mut |query, hit| {
            wanted[query] = wanted[query] && take(query, hit);
        })
    }

    /// Passes on the hashes within a distance of one query, the nearest first, as long as `take` returns
    /// true. An approximate index may omit some unless `exact` is set. The call may start again from the
    /// nearest hash when the caller takes more hits than the first search looked for.
    ///
    /// # Panics
    ///
    /// Panics if the query has another length than the hashes of the index.
    fn nearest_first(
        &self,
        query: &[u8],
        within: Within,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<(), Cancelled> {
        debug_assert!(self.is_exact() || !within.exact, "an approximate index has its own exact search");
        let mut hits = Vec::new();
        self.each(&[query], within.radius, filter, cancel, &mut |_, hit| hits.push(hit))?;
        hits.sort_unstable();
        hits.into_iter().all(take);
        Ok(())
    }

    /// Checks whether answers always equal those of a linear scan.
    fn is_exact(&self) -> bool;

    /// Checks that searches at this moment reach every live hash of the index, by each path that a search may
    /// take. Passes on each hash with its item and bank, in the form that [`HashShape::held`] returns. After
    /// a failure, the rows that were passed on must be discarded.
    ///
    /// The audit reads everything once, most of it in random order: some seconds for ten million hashes.
    /// `pace` may slow it down.
    fn audit(&self, pace: &mut Pace<'_>, take: &mut dyn FnMut(&[u8], Entry)) -> Result<(), AuditError>;

    /// Returns the parts of the index that have their own checksums. A part is dropped once a merge has
    /// replaced it and no search reads it any more.
    fn stored(&self) -> Vec<Weak<dyn Stored>>;

    /// Returns the memory ranges of the newest rows, for tests that damage them there.
    #[doc(hidden)]
    fn tail_memory(&self) -> Vec<Range<usize>> {
        Vec::new()
    }
}
