//! Checks the guarantee of suppression against an enumeration of all tables that agree with the shown
//! entries.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use vigie_model::MemberId;

use super::*;

/// Returns the values of each entry, including totals, over all tables that a reader cannot exclude.
fn possible(
    shown: &Published,
    known: Option<(usize, &[u64])>,
    cap: u64,
) -> BTreeMap<(usize, usize), BTreeSet<u64>> {
    let (rows, columns) = (shown.cells.len(), shown.column_totals.len());
    let range = |row: usize, column: usize| match (shown.cells[row][column], known) {
        (Cell::Shown(value), _) => value..=value,
        (Cell::Suppressed, Some((mine, values))) if mine == row => values[column]..=values[column],
        (Cell::Suppressed, _) => 0..=cap,
    };
    let agrees = |total: Cell, sum: u64| total.shown().is_none_or(|total| total == sum);
    let mut found: BTreeMap<(usize, usize), BTreeSet<u64>> = BTreeMap::new();
    let mut stack: Vec<Vec<u64>> = vec![Vec::new()];
    while let Some(table) = stack.pop() {
        let at = table.len();
        if at > 0 && at.is_multiple_of(columns) {
            let row = at / columns - 1;
            let mut sum = table[at - columns..].iter().sum();
            if let Some((mine, values)) = known
                && mine == row
            {
                assert_eq!(sum, values.iter().sum::<u64>());
                sum = values.iter().sum();
            }
            if !agrees(shown.row_totals[row], sum) {
                continue;
            }
        }
        if at < rows * columns {
            stack.extend(range(at / columns, at % columns).map(|value| [&table[..], &[value]].concat()));
            continue;
        }
        let column_sum = |column: usize| table.iter().skip(column).step_by(columns).sum::<u64>();
        let total = table.iter().sum();
        if !agrees(shown.total, total)
            || !(0..columns).all(|column| agrees(shown.column_totals[column], column_sum(column)))
        {
            continue;
        }
        for (at, value) in table.iter().enumerate() {
            found.entry((at / columns, at % columns)).or_default().insert(*value);
        }
        for row in 0..rows {
            found.entry((row, columns)).or_default().insert(table[row * columns..][..columns].iter().sum());
        }
        for column in 0..columns {
            found.entry((rows, column)).or_default().insert(column_sum(column));
        }
        found.entry((rows, columns)).or_default().insert(total);
    }
    found
}

fn entry(shown: &Published, (row, column): (usize, usize)) -> Cell {
    let (rows, columns) = (shown.cells.len(), shown.column_totals.len());
    match (row < rows, column < columns) {
        (true, true) => shown.cells[row][column],
        (true, false) => shown.row_totals[row],
        (false, true) => shown.column_totals[column],
        (false, false) => shown.total,
    }
}

fn tables(
    rows: usize,
    columns: usize,
    value: impl Strategy<Value = u64> + Clone,
) -> impl Strategy<Value = Vec<Row>> {
    let row = (prop::bool::weighted(0.9), prop::collection::vec(value, columns));
    prop::collection::vec(row.prop_map(|(is_member, cells)| Row { is_member, cells }), rows)
}

/// Checks whether an entry is the total of few members, which is not secret if their cells are shown.
fn is_of_few(rows: &[Row], (row, column): (usize, usize), rule: Rule) -> bool {
    let part = |row: &Row| {
        row.cells
            .iter()
            .enumerate()
            .filter(|(at, _)| *at == column || column == row.cells.len())
            .map(|(_, value)| value)
            .sum::<u64>()
    };
    let contributing = rows.iter().filter(|row| row.is_member && part(row) > 0).count();
    row == rows.len()
        && contributing < rule.members_min
        && rows.iter().map(part).sum::<u64>() >= rule.threshold
}

fn check_possible(rows: &[Row], columns: usize, rule: Rule) {
    let shown = suppress_table(rows, columns, rule);
    let cap = rows.iter().flat_map(|row| &row.cells).max().unwrap() + rule.threshold;
    let readers = (0..rows.len()).filter(|row| rows[*row].is_member).map(Some).chain([None]);
    for reader in readers {
        let known = reader.map(|row| (row, rows[row].cells.as_slice()));
        for ((row, column), values) in possible(&shown, known, cap) {
            let truth: u64 = (0..rows.len())
                .filter(|at| row == rows.len() || row == *at)
                .flat_map(|at| rows[at].cells.iter().enumerate())
                .filter(|(at, _)| column == columns || column == *at)
                .map(|(_, value)| value)
                .sum();
            assert!(values.contains(&truth));
            match entry(&shown, (row, column)) {
                Cell::Shown(number) => assert!(number == truth && number >= rule.threshold),
                // The member's own numbers, and the totals of a table without other rows.
                Cell::Suppressed
                    if is_of_few(rows, (row, column), rule)
                        || reader == Some(row)
                        || (reader.is_some() && rows.len() == 1) => {}
                Cell::Suppressed => {
                    let is_total = row == rows.len();
                    if truth < rule.threshold && !(reader.is_some() && is_total) {
                        assert!(
                            (0..rule.threshold).all(|value| values.contains(&value)),
                            "{row} {column} {reader:?} {rows:?} {shown:?}"
                        );
                    }
                    assert!(
                        values.len() as u64 >= rule.threshold,
                        "{row} {column} {reader:?} {rows:?} {shown:?}"
                    );
                }
            }
        }
    }
}

/// Fills each line that lacks one entry until nothing changes, as a reader with a pencil would. Returns the
/// number of secrets that it finds.
fn pencil(of: &[Row], shown: &Published, known: Option<(usize, &[u64])>) -> usize {
    let (rows, columns) = (shown.cells.len(), shown.column_totals.len());
    let mut table: Vec<Vec<Option<i128>>> = (0..=rows)
        .map(|row| (0..=columns).map(|column| entry(shown, (row, column)).shown().map(i128::from)).collect())
        .collect();
    if let Some((row, values)) = known {
        for (column, value) in values.iter().enumerate() {
            table[row][column] = Some(i128::from(*value));
        }
        table[row][columns] = Some(values.iter().map(|value| i128::from(*value)).sum());
    }
    let lines = (0..=rows).map(|row| (0..=columns).map(|column| (row, column)).collect::<Vec<_>>());
    let lines: Vec<_> =
        lines.chain((0..=columns).map(|column| (0..=rows).map(|row| (row, column)).collect())).collect();
    let mut found = 0;
    while let Some(line) = lines
        .iter()
        .find(|line| line.iter().filter(|(row, column)| table[*row][*column].is_none()).count() == 1)
    {
        let sign = |at: &(usize, usize)| if line.last() == Some(at) { -1 } else { 1 };
        let sum: i128 = line.iter().filter_map(|at| table[at.0][at.1].map(|value| sign(at) * value)).sum();
        let at = line.iter().find(|(row, column)| table[*row][*column].is_none()).unwrap();
        table[at.0][at.1] = Some(-sign(at) * sum);
        found += usize::from(!is_of_few(of, *at, Rule::default()));
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn no_reader_of_a_small_table_narrows_a_suppressed_cell(
        (columns, rows) in prop_oneof![(1_usize..=2, 1_usize..=3), (3_usize..=3, 1_usize..=2)]
            .prop_flat_map(|(columns, rows)| (Just(columns), tables(rows, columns, prop_oneof![0_u64..=2, 0_u64..=6]))),
        members_min in 1_usize..=3,
    ) {
        check_possible(&rows, columns, Rule { threshold: 3, members_min });
    }

    #[test]
    fn no_reader_of_a_large_table_finds_a_cell_with_a_pencil(
        (columns, rows) in (1_usize..=12, 1_usize..=12)
            .prop_flat_map(|(columns, rows)| (Just(columns), tables(rows, columns, prop_oneof![1 => 0_u64..10, 4 => 0_u64..500])))
    ) {
        let shown = suppress_table(&rows, columns, Rule::default());
        prop_assert_eq!(pencil(&rows, &shown, None), 0);
        for (at, row) in rows.iter().enumerate().filter(|(_, row)| row.is_member && rows.len() > 1) {
            prop_assert_eq!(pencil(&rows, &shown, Some((at, &row.cells))), 0);
        }
    }

    #[test]
    fn a_table_without_small_cells_is_shown_whole(
        (columns, rows) in (1_usize..=6, 3_usize..=6).prop_flat_map(|(columns, rows)| (Just(columns), tables(rows, columns, 10_u64..500)))
    ) {
        let rows: Vec<Row> = rows.into_iter().map(|row| Row { is_member: true, ..row }).collect();
        let shown = suppress_table(&rows, columns, Rule::default());
        let cells = shown.cells.iter().flatten().chain(&shown.row_totals).chain(&shown.column_totals).chain([&shown.total]);
        prop_assert!(cells.into_iter().all(|cell| !cell.is_suppressed()));
    }

    /// The oracle distributes the suppressed parts that a reader does not know in all ways.
    #[test]
    fn no_reader_of_a_list_narrows_what_others_contribute(
        parts in prop::collection::vec(prop::collection::btree_map(prop::option::weighted(0.9, (1_u32..5).prop_map(MemberId)), 0_u64..30, 0..5), 1..6),
    ) {
        let rule = Rule::default();
        let sum = |part: &Contributions| part.values().sum::<u64>();
        let total = parts.iter().map(sum).sum();
        let shown = suppress_list(&parts, Cell::Shown(total), rule);
        prop_assert!(suppress_list(&parts, Cell::Suppressed, rule).iter().all(|cell| cell.is_suppressed()));
        for (cell, part) in shown.iter().zip(&parts) {
            let members = part.iter().filter(|(member, count)| member.is_some() && **count > 0).count();
            prop_assert!(cell.shown().is_none_or(|number| number == sum(part) && number >= 10 && members >= 3));
        }
        let hidden: Vec<&Contributions> = shown.iter().zip(&parts).filter(|(cell, _)| cell.is_suppressed()).map(|(_, part)| part).collect();
        // A list in which nothing is shown reveals no more than its total.
        if hidden.is_empty() || hidden.len() == parts.len() {
            return Ok(());
        }
        prop_assert!(hidden.len() >= 2);
        for reader in [None].into_iter().chain((1..5).map(|member| Some(MemberId(member)))) {
            let unknown = |part: &&Contributions| part.iter().filter(|(member, _)| reader.is_none() || **member != reader).map(|(_, count)| count).sum::<u64>();
            prop_assert!(hidden.iter().map(unknown).sum::<u64>() >= 9);
        }
    }
}

#[test]
fn complements_and_the_arithmetic_of_members_are_closed() {
    let member = |cells: &[u64]| Row { is_member: true, cells: cells.to_vec() };
    // One small cell: its row and column suppress more, enough that the members of those cells cannot
    // subtract their own numbers.
    let rows: Vec<Row> =
        (0..12).map(|row| member(&[if row == 0 { 4 } else { 20 + row }, 50, 60, 70])).collect();
    let shown = suppress_table(&rows, 4, Rule::default());
    let hidden = |column: usize| shown.cells.iter().filter(|row| row[column].is_suppressed()).count();
    assert!(shown.cells[0][0].is_suppressed() && hidden(0) >= 3);
    assert!(!shown.total.is_suppressed() && shown.column_totals.iter().all(|cell| !cell.is_suppressed()));
    assert!((0..4).map(hidden).sum::<usize>() <= 12, "{shown:?}");
    // Two members do not give a shown total.
    let shown = suppress_table(&[member(&[40]), member(&[50])], 1, Rule::default());
    assert_eq!((shown.cells[0][0], shown.total), (Cell::Shown(40), Cell::Suppressed));
    assert!(suppress_table(&[], 0, Rule::default()).total.is_suppressed());
}

#[test]
fn a_table_of_a_hundred_members_and_a_year_takes_no_minute() {
    let value = |row: u64, column: u64| (row * 7_919 + column * 104_729) % 97 * ((row + column) % 3);
    let rows: Vec<Row> = (0..100)
        .map(|row| Row { is_member: true, cells: (0..12).map(|column| value(row, column)).collect() })
        .collect();
    let start = std::time::Instant::now();
    let shown = suppress_table(&rows, 12, Rule::default());
    assert!(shown.cells.iter().flatten().any(|cell| !cell.is_suppressed()));
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    assert_eq!(pencil(&rows, &shown, None), 0);
}
