//! Checks that a search reaches every row of a tail.

use std::sync::atomic::Ordering;

use super::columns::{BLOCK_ROWS, Link, Lists, Tail};
use super::keys::LISTS;
use crate::question::audit::{AuditError, Pace, Steps, check};

impl<const BYTES: usize> Tail<BYTES> {
    /// Checks that a search reaches each of the first `rows` rows. Skips rows that are appended during the
    /// audit.
    ///
    /// Each key files the same number of rows, each under its own list and check, and the other rows of a
    /// hash are linked from the filed one. The audit therefore counts the rows that it reaches and compares
    /// the count with the number of rows. Every list leads from newer rows to older ones, which limits the
    /// walk.
    pub(crate) fn audit(&self, rows: usize, pace: &mut Pace<'_>) -> Result<(), AuditError> {
        // Without lists, a search reads every row.
        let Some(lists) = self.lists.get() else { return Ok(()) };
        let mut steps = Steps::of(BYTES + size_of::<u64>(), pace);
        let (mut reached, mut filed) = (0, None);
        for key in 0..self.keys.count() {
            let mut filed_here = 0;
            for list in key * LISTS..(key + 1) * LISTS {
                self.audit_list(lists, key, list, &mut steps, &mut |row, steps| {
                    if row >= rows {
                        return Ok(());
                    }
                    filed_here += 1;
                    if key == 0 {
                        reached += self.audit_copies(row, rows, steps)?;
                    }
                    Ok(())
                })?;
            }
            check(*filed.get_or_insert(filed_here) == filed_here, "a tail's lists lack rows")?;
        }
        check(reached == rows, "a tail's lists do not lead to all rows")?;
        steps.end()
    }

    fn audit_list<'p, 'a>(
        &self,
        lists: &Lists,
        key: usize,
        list: usize,
        steps: &mut Steps<'p, 'a>,
        each: &mut dyn FnMut(usize, &mut Steps<'p, 'a>) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut link = Link::unpack(lists.heads.get()[list].load(Ordering::Acquire));
        let mut newer = usize::MAX;
        while !link.is_empty() {
            let row = link.row();
            check(row < newer && self.has(row), "a tail's list leads back")?;
            let own = self.keys.of(&self.hash(row)).nth(key);
            check(own == Some((list, link.check)), "a tail's list leads to another row")?;
            each(row, steps)?;
            steps.step()?;
            if link.is_last() {
                return Ok(());
            }
            newer = row;
            let node = row * self.keys.count() + key;
            link = Link::unpack(lists.nodes.get()[node].load(Ordering::Relaxed));
            check(!link.is_empty(), "a tail's list ends too early")?;
        }
        Ok(())
    }

    /// Counts the rows, among the first `rows`, that have the hash of a filed row and are reached from it.
    fn audit_copies(
        &self,
        filed: usize,
        rows: usize,
        steps: &mut Steps<'_, '_>,
    ) -> Result<usize, AuditError> {
        let hash = self.hash(filed);
        let (mut row, mut newer, mut reached) = (filed, usize::MAX, 0);
        loop {
            check(self.hash(row) == hash, "a tail's copies are of another row")?;
            reached += usize::from(row < rows);
            steps.step()?;
            let copy = self.block(row).copies[row % BLOCK_ROWS].load(Ordering::Acquire);
            let Some(next) = copy.checked_sub(1) else { return Ok(reached) };
            row = next as usize;
            check(filed < row && row < newer && self.has(row), "a tail's copies lead back")?;
            newer = row;
        }
    }
}
