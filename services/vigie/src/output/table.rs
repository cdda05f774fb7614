//! Formats tables for people, at most as wide as a terminal.

use super::style::{self, Style};

/// Number of spaces between two columns.
const GAP: usize = 2;
/// Minimum width of a narrowed column, unless a word of its title is longer.
const NARROW: usize = 8;

/// Returns the lines of a table. If the table is wider than `width`, its widest columns are narrowed, and
/// their cells are wrapped. Columns without a title and without cells are left out.
pub(super) fn lines(
    header: &[&str],
    rows: &[Vec<String>],
    width: Option<usize>,
    style_of: impl Fn(usize, &str) -> Style,
) -> Vec<String> {
    let mut widths: Vec<usize> = header
        .iter()
        .enumerate()
        .map(|(column, title)| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
            cells.chain([title.chars().count()]).max().unwrap_or(0)
        })
        .collect();
    if let Some(width) = width {
        narrow(header, &mut widths, width);
    }
    let mut lines = Vec::new();
    let titles: Vec<Vec<String>> =
        header.iter().zip(&widths).map(|(title, width)| wrapped(title, *width)).collect();
    add(&titles, &widths, &|_| style::TITLE, &mut lines);
    lines.push("-".repeat(total(&widths)));
    for row in rows {
        let cells: Vec<Vec<String>> =
            row.iter().zip(&widths).map(|(cell, width)| wrapped(cell, *width)).collect();
        let style = |column: usize| style_of(column, &row[column]);
        add(&cells, &widths, &style, &mut lines);
    }
    lines
}

fn total(widths: &[usize]) -> usize {
    let shown = widths.iter().filter(|width| **width > 0);
    (shown.clone().sum::<usize>() + GAP * shown.count()).saturating_sub(GAP)
}

/// Narrows the widest columns until the table fits, or no column can be narrowed further.
fn narrow(header: &[&str], widths: &mut [usize], width: usize) {
    while total(widths) > width {
        let least = |column: usize| {
            let words = header[column].split(' ').map(|word| word.chars().count());
            words.max().unwrap_or(0).max(NARROW)
        };
        let can_give = (0..widths.len()).filter(|column| widths[*column] > least(*column));
        match can_give.max_by_key(|column| widths[*column]) {
            Some(widest) => widths[widest] -= 1,
            None => break,
        }
    }
}

/// Wraps a cell. Lines are broken after a space if possible, otherwise after a punctuation character within a
/// name, otherwise anywhere.
fn wrapped(cell: &str, width: usize) -> Vec<String> {
    let mut left: Vec<char> = cell.chars().collect();
    let mut lines = Vec::new();
    while left.len() > width.max(1) {
        let after = |is_break: &dyn Fn(char) -> bool| {
            // Breaks are only in the second half of the width, so that no line is too short.
            (width / 2..width).rev().find(|index| is_break(left[*index])).map(|index| index + 1)
        };
        let fits = if left[width] == ' ' { Some(width) } else { after(&|one| one == ' ') };
        let end = fits.or_else(|| after(&|one| ":/.,;-_".contains(one))).unwrap_or(width);
        let rest = left.split_off(end);
        lines.push(left.iter().collect::<String>().trim_end().to_owned());
        left = rest.into_iter().skip_while(|one| *one == ' ').collect();
    }
    lines.push(left.into_iter().collect());
    lines
}

fn add(cells: &[Vec<String>], widths: &[usize], style_of: &dyn Fn(usize) -> Style, lines: &mut Vec<String>) {
    for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
        let mut text = String::new();
        let mut pending = 0;
        for (column, width) in widths.iter().enumerate().filter(|(_, width)| **width > 0) {
            let part = cells.get(column).and_then(|cell| cell.get(line)).map_or("", String::as_str);
            if !part.is_empty() {
                text.push_str(&" ".repeat(pending));
                pending = 0;
                text.push_str(&style::styled(style_of(column), part));
            }
            pending += width.saturating_sub(part.chars().count()) + GAP;
        }
        lines.push(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(header: &[&str], rows: &[&[&str]], width: Option<usize>) -> Vec<String> {
        let rows: Vec<Vec<String>> =
            rows.iter().map(|row| row.iter().map(|cell| (*cell).to_owned()).collect()).collect();
        let lines = lines(header, &rows, width, |_, _| style::PLAIN);
        lines.into_iter().map(|line| console_less(&line)).collect()
    }

    /// Returns a line without colour codes.
    fn console_less(line: &str) -> String {
        anstream::adapter::strip_str(line).to_string()
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_where_that_fits() {
        let expected = ["name    items", "-------------", "a       1", "longer  1000"];
        assert_eq!(
            plain(&["name", "items", ""], &[&["a", "1", ""], &["longer", "1000", ""]], Some(80)),
            expected
        );
    }

    #[test]
    fn a_table_that_is_too_wide_is_narrowed_and_nothing_of_it_is_lost() {
        let (name, reason) = (
            "http://matcher-0.matchers.vigie.svc.cluster.local:7750",
            "loading: at change 1200 of 5000 as of now",
        );
        let rows: &[&[&str]] = &[&["0 of 2", name, "12", reason], &["1 of 2", "http://a:1", "3", ""]];
        let header = &["shard", "matcher", "lag", "reason"];
        for width in [80, 60, 40] {
            let lines = plain(header, rows, Some(width));
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}: {lines:#?}");
            let letters = |text: &str| text.chars().filter(|one| !one.is_whitespace()).count();
            let shown: usize =
                lines.iter().filter(|line| !line.starts_with('-')).map(|line| letters(line)).sum();
            let all: usize = rows.concat().iter().chain(header).map(|cell| letters(cell)).sum();
            assert_eq!(shown, all, "{lines:#?}");
        }
        assert_eq!(plain(header, rows, None).len(), 4);
    }

    #[test]
    fn a_cell_is_broken_after_words_and_then_after_the_parts_of_names() {
        assert_eq!(wrapped("loading the state", 9), ["loading", "the state"]);
        assert_eq!(wrapped("matcher-0.matchers:7750", 12), ["matcher-0.", "matchers:", "7750"]);
        assert_eq!(wrapped("aaaaaaaaaa", 4), ["aaaa", "aaaa", "aa"]);
        assert_eq!(wrapped("", 4), [""]);
    }
}
