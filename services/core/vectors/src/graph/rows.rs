//! Rows in the order of their vectors, with their entries and the numbers of their removals.
//!
//! A vector is stored once, for any number of items: it is a *node* with a range of *rows*, one for each
//! item. A hundred thousand copies of a hash are therefore one comparison, and one node of a graph. (Equal
//! nodes would link only to each other and divide a graph into parts.)
//!
//! Because of the order, a row can be found for its removal, and merging two of these containers takes one
//! pass.
//!
//! Vectors and entries never change. A removal only adds a stamp, its number. A reader of the index as it was
//! after n removals skips rows with stamps of 1 to n. The only writer writes stamps with relaxed stores and
//! then publishes a view with the number of removals; loading that view makes the stamps visible. A reader of
//! an older view may see newer stamps: their numbers are above its own, and it ignores them.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

use vigie_model::ItemId;

use super::metric::Element;
use vigie_index::Entry;

/// Rows in the order of their vectors: vectors, entries, and removals.
pub(crate) struct Rows<E> {
    /// The number of elements of a vector.
    width: usize,
    /// The vectors one after the other, one for each node, ascending.
    vectors: Vec<E>,
    /// The first row of each node; the last entry is the number of rows.
    starts: Vec<u32>,
    /// The entry of each row, in ascending order of item within a node.
    entries: Vec<Entry>,
    /// For each row the number of the removal that ended it, 0 while it is live. Allocated by the first
    /// removal.
    deaths: OnceLock<Box<[AtomicU64]>>,
    /// The first of those numbers, for readers to whom no row is dead yet; 0 if there is none.
    first_death: AtomicU64,
    dead: AtomicUsize,
}

/// The position of a row before it was copied.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin {
    source: u32,
    row: u32,
}

impl<E: Element> Rows<E> {
    pub(crate) fn empty(width: usize) -> Self {
        Self {
            width,
            vectors: Vec::new(),
            starts: vec![0],
            entries: Vec::new(),
            deaths: OnceLock::new(),
            first_death: AtomicU64::new(0),
            dead: AtomicUsize::new(0),
        }
    }

    /// Adds a row at the end. It must not be before the last one in the order of vector and item.
    pub(crate) fn push(&mut self, vector: &[E], entry: Entry) {
        let nodes = self.node_count();
        let is_new = nodes == 0 || E::order(self.vector(nodes - 1), vector) != Ordering::Equal;
        if is_new {
            self.vectors.extend_from_slice(vector);
            self.starts.push(0);
        }
        self.entries.push(entry);
        let end = u32::try_from(self.entries.len()).expect("one index holds fewer than 2^32 rows");
        *self.starts.last_mut().expect("the number of rows is always there") = end;
    }

    /// Returns the live rows of all sources, and for each its position in its source.
    pub(crate) fn merged(width: usize, sources: &[&Self]) -> (Self, Vec<Origin>) {
        let mut order: Vec<(u32, u32, u32)> = Vec::new();
        for (source, rows) in (0..).zip(sources) {
            for node in 0..rows.node_count() {
                for row in rows.rows_of(node).filter(|&row| rows.lives_at(row, u64::MAX)) {
                    order.push((source, index(node), index(row)));
                }
            }
        }
        // The stable sort finds the ascending runs of the sources, and merges them.
        order.sort_by(|one, other| {
            let vector =
                |&(source, node, _): &(u32, u32, u32)| sources[source as usize].vector(node as usize);
            let item =
                |&(source, _, row): &(u32, u32, u32)| sources[source as usize].entries[row as usize].item;
            E::order(vector(one), vector(other)).then_with(|| item(one).cmp(&item(other)))
        });
        let mut merged = Self::empty(width);
        merged.entries.reserve_exact(order.len());
        for &(source, node, row) in &order {
            let from = sources[source as usize];
            merged.push(from.vector(node as usize), from.entries[row as usize]);
        }
        merged.vectors.shrink_to_fit();
        merged.starts.shrink_to_fit();
        let origins = order.into_iter().map(|(source, _, row)| Origin { source, row }).collect();
        (merged, origins)
    }

    /// Stamps the rows whose originals have died since they were copied.
    pub(crate) fn repeat_removals(&self, sources: &[&Self], origins: &[Origin]) {
        for (row, origin) in origins.iter().enumerate() {
            let source = sources[origin.source as usize];
            if let Some(deaths) = source.deaths.get() {
                let removal = deaths[origin.row as usize].load(Relaxed);
                if removal != 0 {
                    self.end(row, removal);
                }
            }
        }
    }

    pub(crate) fn node_count(&self) -> usize {
        self.starts.len() - 1
    }

    pub(crate) fn row_count(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn live_count(&self) -> usize {
        self.entries.len() - self.dead_count()
    }

    pub(crate) fn dead_count(&self) -> usize {
        self.dead.load(Relaxed)
    }

    #[inline]
    pub(crate) fn vector(&self, node: usize) -> &[E] {
        &self.vectors[node * self.width..][..self.width]
    }

    #[inline]
    pub(crate) fn rows_of(&self, node: usize) -> Range<usize> {
        self.starts[node] as usize..self.starts[node + 1] as usize
    }

    #[inline]
    pub(crate) fn entry(&self, row: usize) -> Entry {
        self.entries[row]
    }

    /// Returns the vector of a row.
    pub(crate) fn vector_of_row(&self, row: usize) -> &[E] {
        self.vector(self.starts.partition_point(|&start| start as usize <= row) - 1)
    }

    /// Returns the row of this vector and item, dead or alive.
    pub(crate) fn find(&self, vector: &[E], item: ItemId) -> Option<usize> {
        let (mut low, mut high) = (0, self.node_count());
        while low < high {
            let middle = low.midpoint(high);
            match E::order(self.vector(middle), vector) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => {
                    let rows = self.rows_of(middle);
                    let at = self.entries[rows.clone()].binary_search_by_key(&item, |entry| entry.item);
                    return at.ok().map(|at| rows.start + at);
                }
            }
        }
        None
    }

    /// Stamps a live row with the number of the removal that ends it, which is above 0.
    pub(crate) fn end(&self, row: usize, removal: u64) {
        let zeros = || (0..self.entries.len()).map(|_| AtomicU64::new(0)).collect();
        self.deaths.get_or_init(zeros)[row].store(removal, Relaxed);
        if self.dead.fetch_add(1, Relaxed) == 0 || removal < self.first_death.load(Relaxed) {
            self.first_death.store(removal, Relaxed);
        }
    }

    /// Checks whether the row was live after `removals` removals.
    #[inline]
    pub(crate) fn lives_at(&self, row: usize, removals: u64) -> bool {
        self.deaths.get().is_none_or(|deaths| {
            let death = deaths[row].load(Relaxed);
            death == 0 || death > removals
        })
    }

    /// Checks whether all rows were live after `removals` removals.
    pub(crate) fn all_live_at(&self, removals: u64) -> bool {
        let first = self.first_death.load(Relaxed);
        first == 0 || first > removals
    }
}

/// Converts a number of rows or nodes, of which `push` allows fewer than 2^32.
#[expect(clippy::cast_possible_truncation, reason = "there are fewer than 2^32 rows")]
pub(crate) const fn index(at: usize) -> u32 {
    at as u32
}

#[cfg(test)]
mod tests {
    use vigie_model::BankId;

    use super::*;

    fn entry(item: u64) -> Entry {
        Entry { item: ItemId(item), bank: BankId(1) }
    }

    fn rows(pairs: &[(u8, u64)]) -> Rows<u8> {
        let mut rows = Rows::empty(2);
        for &(byte, item) in pairs {
            rows.push(&[byte, 7], entry(item));
        }
        rows
    }

    fn pairs(rows: &Rows<u8>) -> Vec<(u8, u64)> {
        let of_node =
            |node| rows.rows_of(node).map(move |row| (rows.vector(node)[0], rows.entry(row).item.0));
        (0..rows.node_count()).flat_map(of_node).collect()
    }

    #[test]
    fn a_vector_stands_once_and_its_rows_are_found() {
        let rows = rows(&[(1, 5), (1, 6), (1, 9), (3, 5)]);
        assert_eq!((rows.node_count(), rows.row_count()), (2, 4));
        assert_eq!(rows.find(&[1, 7], ItemId(9)), Some(2));
        assert_eq!(rows.find(&[3, 7], ItemId(5)), Some(3));
        assert_eq!(rows.find(&[3, 7], ItemId(6)), None);
        assert_eq!(rows.find(&[2, 7], ItemId(5)), None);
        assert_eq!(rows.vector_of_row(2), [1, 7]);
        assert_eq!(rows.vector_of_row(3), [3, 7]);
    }

    #[test]
    fn a_merge_keeps_the_order_and_leaves_out_the_dead() {
        let (one, other) = (rows(&[(1, 5), (1, 9), (4, 1)]), rows(&[(0, 3), (1, 6), (9, 9)]));
        one.end(2, 1);
        let (merged, origins) = Rows::merged(2, &[&one, &other]);
        assert_eq!(pairs(&merged), [(0, 3), (1, 5), (1, 6), (1, 9), (9, 9)]);
        assert_eq!((merged.node_count(), merged.live_count()), (3, 5));
        one.end(0, 2);
        other.end(2, 3);
        merged.repeat_removals(&[&one, &other], &origins);
        let living: Vec<bool> = (0..5).map(|row| merged.lives_at(row, 3)).collect();
        assert_eq!(living, [true, false, true, true, false]);
    }

    #[test]
    fn an_ended_row_is_still_seen_by_who_came_before() {
        let rows = rows(&[(1, 5), (2, 5)]);
        assert!(rows.all_live_at(u64::MAX));
        rows.end(0, 5);
        assert!(rows.lives_at(0, 4) && rows.all_live_at(4));
        assert!(!rows.lives_at(0, 5) && !rows.all_live_at(5));
        assert!(rows.lives_at(1, u64::MAX));
        assert_eq!((rows.live_count(), rows.dead_count()), (1, 1));
    }
}
