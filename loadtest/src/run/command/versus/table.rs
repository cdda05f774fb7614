//! The comparison as text for a terminal of 80 columns.

use std::fmt::{self, Write as _};

use crate::cli::VersusArguments;
use crate::report::text::wrapped;
use crate::run::command::versus::turn::{Loop, Row, Turn};

/// Returns the figures of both targets with every loop, and their ratios.
pub(super) fn text(rows: &[Row], arguments: &VersusArguments) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut text, rows, arguments);
    text
}

fn write(text: &mut String, rows: &[Row], arguments: &VersusArguments) -> fmt::Result {
    let VersusArguments { hashes, shape, call, rounds, duration, .. } = arguments;
    let about = format!(
        "{hashes} hashes of the shape {shape}; GET {call}; medians of {rounds} rounds of {duration}; on each connection, a lookup is sent \
         when the one before is answered"
    );
    text.push_str(&wrapped("", &about));
    let mut letters = ['A', 'B'].into_iter();
    for pair in rows.chunks(2).take(1) {
        for (row, letter) in pair.iter().zip(letters.by_ref()) {
            writeln!(text, "  {letter}: {}", row.target)?;
        }
    }
    writeln!(
        text,
        "{:<18}{:<4}{:>10}{:>9}{:>9}{:>8}{:>7}{:>7}{:>8}",
        "", "", "rate/s", "p50 ms", "p99 ms", "refused", "failed", "wrong", "missed"
    )?;
    for pair in rows.chunks(2) {
        let [a, b] = pair else { continue };
        line(text, Some(a.of), "A", a)?;
        line(text, None, "B", b)?;
        let ratio = |figure: fn(&Turn) -> Option<f64>| Some(b.median(figure)? / a.median(figure)?);
        let shown = |ratio: Option<f64>, digits: usize| {
            let ratio = ratio.filter(|ratio| ratio.is_finite());
            ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.digits$}x"))
        };
        let rate = shown(ratio(|turn| Some(turn.answered_per_s)), 1);
        let (p50, p99) = (shown(ratio(|turn| turn.p50_ms), 3), shown(ratio(|turn| turn.p99_ms), 3));
        writeln!(text, "{:<18}{:<4}{rate:>10}{p50:>9}{p99:>9}", "", "B/A")?;
    }
    let late = rows.iter().flat_map(|row| &row.turns).filter(|turn| turn.ran_late).count();
    if late > 0 {
        let turns = if late == 1 { "TURN" } else { "TURNS" };
        text.push_str(&wrapped(
            "",
            &format!("IN {late} {turns} THE GENERATOR RAN LATE: these times are not reliable"),
        ));
    }
    Ok(())
}

fn line(text: &mut String, of: Option<Loop>, letter: &str, row: &Row) -> fmt::Result {
    let name = of.map_or(String::new(), |of| of.to_string());
    let figure = |figure: Option<f64>, digits: usize| {
        figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}"))
    };
    writeln!(
        text,
        "{name:<18}{letter:<4}{:>10}{:>9}{:>9}{:>8}{:>7}{:>7}{:>8}",
        figure(row.median(|turn| Some(turn.answered_per_s)), 1),
        figure(row.median(|turn| turn.p50_ms), 2),
        figure(row.median(|turn| turn.p99_ms), 2),
        row.sum(|turn| turn.refused),
        row.sum(|turn| turn.failed),
        row.sum(|turn| turn.wrong),
        row.sum(|turn| turn.missed),
    )
}
