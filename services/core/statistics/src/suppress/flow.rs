//! A two-way table with totals as a circulation, and the range to which a reader can narrow one of its
//! entries.

use std::collections::VecDeque;

/// The entries of a table, including totals: the last column has the totals of rows, the last row the totals
/// of columns.
///
/// An entry is an arc between the node of its row and that of its column. A cell leads from its row to its
/// column, the total of a row from the column of totals to the row, the total of a column from the column to
/// the row of totals, and the grand total from there to the column of totals. The flow into a node equals the
/// flow out of it, which is one equation of the table for each node.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) rows: usize,
    pub(super) columns: usize,
    values: Vec<u64>,
    is_suppressed: Vec<bool>,
}

/// The position of an entry, by row and column.
pub(super) type At = (usize, usize);

/// The result of pushing a change through the unknown entries.
#[derive(Debug)]
pub(super) struct Pushed {
    /// The possible change of the entry, at most the requested one.
    pub(super) amount: u64,
    /// The rows whose unknown entries change.
    pub(super) rows: Vec<usize>,
    /// The smallest shown entry whose suppression would allow more; `None` if the amount suffices or no entry
    /// helps.
    pub(super) help: Option<At>,
}

/// The direction of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Up,
    Down,
}

impl Entries {
    /// Creates the table of these rows of cells, with its totals, all shown.
    pub(super) fn new(cells: &[&[u64]], columns: usize) -> Self {
        let (rows, width) = (cells.len(), columns + 1);
        let mut entries = Self {
            rows,
            columns,
            values: vec![0; (rows + 1) * width],
            is_suppressed: vec![false; (rows + 1) * width],
        };
        for (row, line) in cells.iter().enumerate() {
            for (column, value) in line.iter().take(columns).enumerate() {
                for at in [(row, column), (row, columns), (rows, column), (rows, columns)] {
                    let index = entries.index(at);
                    entries.values[index] = entries.values[index].saturating_add(*value);
                }
            }
        }
        entries
    }

    fn index(&self, (row, column): At) -> usize {
        row * (self.columns + 1) + column
    }

    pub(super) fn all(&self) -> impl Iterator<Item = At> + use<> {
        let (rows, columns) = (self.rows, self.columns);
        (0..=rows).flat_map(move |row| (0..=columns).map(move |column| (row, column)))
    }

    pub(super) fn value(&self, at: At) -> u64 {
        self.values[self.index(at)]
    }

    pub(super) fn is_suppressed(&self, at: At) -> bool {
        self.is_suppressed[self.index(at)]
    }

    pub(super) fn suppress(&mut self, at: At) {
        let index = self.index(at);
        self.is_suppressed[index] = true;
    }

    fn row_node(row: usize) -> usize {
        row
    }

    fn column_node(&self, column: usize) -> usize {
        self.rows + 1 + column
    }

    /// Returns the nodes at which an entry begins and ends.
    fn ends(&self, (row, column): At) -> (usize, usize) {
        let (row_node, column_node) = (Self::row_node(row), self.column_node(column));
        if (row == self.rows) == (column == self.columns) {
            (row_node, column_node)
        } else {
            (column_node, row_node)
        }
    }

    /// Returns by how much an entry can increase or decrease, at most `wanted`, for a reader that knows the
    /// shown entries and those of one row.
    pub(super) fn push(
        &self,
        entry: At,
        direction: Direction,
        wanted: u64,
        known_row: Option<usize>,
    ) -> Pushed {
        let (tail, head) = self.ends(entry);
        // A change of the entry is balanced by changes of others along a path from its head to its tail, or
        // back.
        let (source, target) = if direction == Direction::Up { (head, tail) } else { (tail, head) };
        let wanted = if direction == Direction::Up { wanted } else { wanted.min(self.value(entry)) };
        let mut changes = vec![0_i128; self.values.len()];
        let mut amount = 0;
        let mut help = None;
        while amount < wanted {
            let is_unknown = |at: At| at != entry && self.is_suppressed(at) && known_row != Some(at.0);
            let before = self.paths((source, target), &changes, is_unknown);
            let Some(path) = trace(&before, source, target) else {
                help = self.help(entry, &before, source, known_row);
                break;
            };
            let left = path.iter().map(|(at, is_forward)| self.capacity(*at, *is_forward, &changes));
            let step = left.min().unwrap_or(0).min(i128::from(wanted - amount));
            for (at, is_forward) in path {
                changes[self.index(at)] += if is_forward { step } else { -step };
            }
            amount += u64::try_from(step).unwrap_or(wanted);
        }
        let changed = self.all().filter(|at| changes[self.index(*at)] != 0).map(|(row, _)| row);
        let mut rows: Vec<usize> = changed.filter(|row| *row < self.rows).collect();
        rows.dedup();
        Pushed { amount, rows, help }
    }

    /// Returns how much an entry can change: without limit upwards, and down to 0.
    fn capacity(&self, at: At, is_forward: bool, changes: &[i128]) -> i128 {
        if is_forward { i128::MAX } else { i128::from(self.value(at)) + changes[self.index(at)] }
    }

    /// Searches the nodes that are reachable through unknown entries, breadth first, until it reaches the
    /// target. Returns for each node the step that led to it.
    fn paths(
        &self,
        (source, target): (usize, usize),
        changes: &[i128],
        is_unknown: impl Fn(At) -> bool,
    ) -> Vec<Option<Step>> {
        let mut before = vec![None; self.rows + self.columns + 2];
        let mut queue = VecDeque::from([source]);
        while let Some(node) = queue.pop_front() {
            for at in self.entries_of(node) {
                let (tail, head) = self.ends(at);
                let is_forward = tail == node;
                let next = if is_forward { head } else { tail };
                let is_open = next != source && before[next].is_none();
                if is_open && is_unknown(at) && self.capacity(at, is_forward, changes) > 0 {
                    before[next] = Some(Step { from: node, at, is_forward });
                    if next == target {
                        return before;
                    }
                    queue.push_back(next);
                }
            }
        }
        before
    }

    fn entries_of(&self, node: usize) -> impl Iterator<Item = At> + use<> {
        let (rows, columns) = (self.rows, self.columns);
        let is_row = node <= rows;
        let count = if is_row { columns + 1 } else { rows + 1 };
        (0..count).map(move |other| if is_row { (node, other) } else { (other, node - rows - 1) })
    }

    /// Returns the smallest shown entry that leads out of the reachable nodes.
    fn help(
        &self,
        entry: At,
        before: &[Option<Step>],
        source: usize,
        known_row: Option<usize>,
    ) -> Option<At> {
        let is_reached = |node: usize| node == source || before[node].is_some();
        let leads_out = |at: &At| {
            let (tail, head) = self.ends(*at);
            let is_shown = *at != entry && !self.is_suppressed(*at) && known_row != Some(at.0);
            let is_forward = is_reached(tail) && !is_reached(head);
            let is_backward = is_reached(head) && !is_reached(tail) && self.value(*at) > 0;
            is_shown && (is_forward || is_backward)
        };
        self.all().filter(leads_out).min_by_key(|at| self.value(*at))
    }
}

#[derive(Debug, Clone, Copy)]
struct Step {
    from: usize,
    at: At,
    is_forward: bool,
}

/// Returns the entries of the path from the source to the target, with their directions.
fn trace(before: &[Option<Step>], source: usize, target: usize) -> Option<Vec<(At, bool)>> {
    let (mut node, mut path) = (target, Vec::new());
    while node != source {
        let step = before[node]?;
        path.push((step.at, step.is_forward));
        node = step.from;
    }
    Some(path)
}
