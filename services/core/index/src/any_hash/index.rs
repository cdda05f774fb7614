//! What every index of hashes can do, whatever their length and comparison.

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

/// Pairs of a hash and an item that are searched while they are written to. It holds the same pair once.
///
/// Searches take no lock and see the index as it is at one moment; edits wait for each other, and are visible to every
/// snapshot that is taken after they returned.
pub trait HashIndex: Send + Sync + fmt::Debug {
    /// Which hashes it holds.
    fn shape(&self) -> HashShape;

    /// Makes the edits in their order and shows them to searches all at once. Returns how many changed something: pairs
    /// that were new, and pairs that were removed. Inserting a pair again only replaces its bank.
    ///
    /// # Panics
    ///
    /// If the hashes have another length than those of the index.
    fn apply(&self, edits: &HashEdits) -> usize;

    /// Adds many pairs at once, in any order: much quicker than [`Self::apply`] where the index can build from them
    /// directly. Of equal pairs, the one with the greatest bank counts.
    ///
    /// # Panics
    ///
    /// If the hashes have another length than those of the index.
    fn load(&self, rows: HashRows) -> Result<(), SegmentError>;

    /// Removes every hash of every item of a bank, all at one moment, and returns how many they were.
    fn remove_bank(&self, bank: BankId) -> usize;

    /// Makes one segment of everything, or as few as the greatest size of a segment allows; nothing where the index
    /// arranges its rows by itself.
    fn merge(&self) -> Result<(), SegmentError>;

    /// Writes every file anew that holds removed hashes now, until `stop` says otherwise; nothing where the index has no files.
    /// The files before go when the checkpoints that name them are given up ([`Self::forget_before`]).
    fn clear_dead(&self, _stop: &(dyn Fn() -> bool + Sync)) -> Result<(), SegmentError> {
        Ok(())
    }

    /// Writes the index to its folder as it is now, under a tag by which it can be opened, and returns the files that it
    /// consists of; none where the index is in memory.
    fn save(&self, tag: &[u8]) -> Result<Vec<SavedFile>, SegmentError>;

    /// Gives up what was saved before the tag was, and the files that only that needed.
    fn forget_before(&self, tag: &[u8]);

    /// What last went wrong with its files. Nothing is lost by it: what could not be merged stays in use.
    fn fault(&self) -> Option<String>;

    /// The living hashes, counted once for each item.
    fn len(&self) -> usize;

    /// Whether there is no living hash.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether answers are always those of a linear scan.
    fn is_exact(&self) -> bool;

    /// How much of the truth an approximate index finds, once it has been measured.
    fn recall(&self) -> Option<Recall> {
        None
    }

    /// The index as it is now, and stays in this view however it changes meanwhile. Cheap.
    fn snapshot(&self) -> Arc<dyn HashSnapshot>;
}

/// How far [`HashSnapshot::nearest_first`] looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// The largest distance.
    pub radius: Distance,
    /// Nothing within it may be left out.
    pub exact: bool,
}

/// A [`HashIndex`] at one moment: later edits do not show.
///
/// It holds what the index held then until it is dropped.
pub trait HashSnapshot: Send + Sync + fmt::Debug {
    /// Which hashes it holds.
    fn shape(&self) -> HashShape;

    /// Hands over every hash within `radius` of each query with the number of the query, in no particular order. What was
    /// handed over before a failure is of no use. An index that compares for equality answers with distance 0, whatever
    /// the radius.
    ///
    /// # Panics
    ///
    /// If a query has another length than the hashes of the index.
    fn each(
        &self,
        queries: &[&[u8]],
        radius: Distance,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(usize, Hit),
    ) -> Result<(), Cancelled>;

    /// The same, but of a query for which `take` returns false nothing more is handed over: for who bounds what it takes of each. What is
    /// left out then costs little.
    ///
    /// # Panics
    ///
    /// If a query has another length than the hashes of the index.
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

    /// Hands over the hashes within a distance of one query, the nearest first, as long as `take` returns true. An approximate index may
    /// leave some out unless `exact` is set. It may begin again from the nearest when more is wanted than it looked for at first.
    ///
    /// # Panics
    ///
    /// If the query has another length than the hashes of the index.
    fn nearest_first(
        &self,
        query: &[u8],
        within: Within,
        filter: &BankFilter,
        cancel: &Cancellation,
        take: &mut dyn FnMut(Hit) -> bool,
    ) -> Result<(), Cancelled> {
        let mut hits = Vec::new();
        self.each(&[query], within.radius, filter, cancel, &mut |_, hit| hits.push(hit))?;
        hits.sort_unstable();
        hits.into_iter().all(take);
        Ok(())
    }

    /// Whether answers are always those of a linear scan.
    fn is_exact(&self) -> bool;

    /// Checks that searches of this moment reach every living hash that the index holds, by each of the ways that a search
    /// may take, and hands over each with its item and bank, as [`HashShape::held`] returns it. What was handed over before
    /// a failure is of no use.
    ///
    /// It reads everything once, and most of it at random: seconds for ten million hashes. `pace` may slow it down.
    fn audit(&self, pace: &mut Pace<'_>, take: &mut dyn FnMut(&[u8], Entry)) -> Result<(), AuditError>;

    /// What of it has checksums of its own; gone once a merge has replaced it and no search reads it any more.
    fn stored(&self) -> Vec<Weak<dyn Stored>>;

    /// Where the newest rows lie in memory. For tests that damage them there.
    #[doc(hidden)]
    fn tail_memory(&self) -> Vec<Range<usize>> {
        Vec::new()
    }
}
