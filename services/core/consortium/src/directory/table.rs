//! Sorted rows in one block of memory. A copy shares the block until one of the two changes.

use std::cmp::Ordering;
use std::marker::PhantomData;
use std::sync::Arc;

/// A sort order of rows. No two rows of a table are equal in it.
pub(super) trait Order<R> {
    /// Compares two rows.
    fn compare(one: &R, other: &R) -> Ordering;
}

/// Rows sorted by `O`.
#[derive(Debug)]
pub(super) struct Table<R, O> {
    rows: Arc<Vec<R>>,
    order: PhantomData<O>,
}

impl<R, O> Clone for Table<R, O> {
    fn clone(&self) -> Self {
        Self { rows: Arc::clone(&self.rows), order: PhantomData }
    }
}

impl<R, O> Default for Table<R, O> {
    fn default() -> Self {
        Self { rows: Arc::new(Vec::new()), order: PhantomData }
    }
}

impl<R: Clone, O: Order<R>> Table<R, O> {
    /// Returns all rows, in order.
    pub(super) fn rows(&self) -> &[R] {
        &self.rows
    }

    /// Returns the index of the row for which `compare` returns `Equal`. `compare` orders a row against the
    /// wanted key.
    pub(super) fn place(&self, compare: impl Fn(&R) -> Ordering) -> Option<usize> {
        self.rows.binary_search_by(compare).ok()
    }

    /// Returns the row for which `compare` returns `Equal`.
    pub(super) fn find(&self, compare: impl Fn(&R) -> Ordering) -> Option<&R> {
        self.rows.get(self.place(compare)?)
    }

    /// Returns all rows for which `compare` returns `Equal`; the wanted key may be a prefix of the order's
    /// key.
    pub(super) fn range(&self, compare: impl Fn(&R) -> Ordering) -> &[R] {
        let begin = self.rows.partition_point(|row| compare(row).is_lt());
        let rest = &self.rows[begin..];
        &rest[..rest.partition_point(|row| compare(row).is_eq())]
    }

    /// Inserts a row, or replaces the equal one.
    pub(super) fn put(&mut self, row: R) {
        let found = self.rows.binary_search_by(|other| O::compare(other, &row));
        let rows = Arc::make_mut(&mut self.rows);
        match found {
            Ok(at) => rows[at] = row,
            Err(at) => rows.insert(at, row),
        }
    }

    /// Removes the row that is equal to this one.
    pub(super) fn remove(&mut self, row: &R) {
        if let Ok(at) = self.rows.binary_search_by(|other| O::compare(other, row)) {
            Arc::make_mut(&mut self.rows).remove(at);
        }
    }
}
