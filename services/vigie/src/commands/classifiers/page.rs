//! Prints a model card as a page for a person.

use serde_json::{Value, json};
use vigie_classifiers::card::{InputForm, Source};
use vigie_classifiers::scores::OutputClass;
use vigie_classifiers::threshold::Chosen;
use vigie_classifiers::{ChooseError, ClassTable, Estimate, Kind, Mode, ModelCard, Rate, choose};
use vigie_model::UnixMillis;
use vigie_proto::consortium::{at_most_one_in, kind_word, mode_word, state_word};

use crate::commands::date::date;
use crate::output::{Output, Printed};

/// Each N of the rates 1 in N for which a page shows the threshold.
const RATES: [u32; 6] = [10, 100, 1_000, 10_000, 100_000, 1_000_000];

/// Returns the word for the card's mode.
pub(super) fn mode(card: &ModelCard) -> &'static str {
    mode_word(card.mode())
}

/// Returns the word for the card's state.
pub(super) fn state(card: &ModelCard) -> &'static str {
    state_word(card.state())
}

/// Returns the chosen thresholds as JSON, for scripts.
pub(super) fn threshold_objects(card: &ModelCard) -> Vec<Value> {
    let object = |class: &OutputClass| {
        let chosen = card.threshold(&class.name)?;
        Some(json!({
            "class": class.name.as_str(), "threshold": chosen.measured.threshold,
            "at_most_one_in": at_most_one_in(chosen.rate.share()),
        }))
    };
    card.output().classes().iter().filter_map(object).collect()
}

/// Describes a threshold, with the rates that were measured at it.
pub(super) fn describe_threshold(chosen: &Chosen) -> String {
    let measured = &chosen.measured;
    format!(
        "scores from {} on: at most {} false positives; measured {} false positives, {} true positives",
        measured.threshold,
        chosen.rate,
        estimate(&measured.false_positives),
        estimate(&measured.true_positives)
    )
}

/// Formats a rate with its 95 % interval.
fn estimate(estimate: &Estimate) -> String {
    let Estimate { count, of, low, high } = estimate;
    match estimate.share() {
        Some(share) => {
            format!("{} ({count} of {of}; 95 %: {} to {})", percent(share), percent(*low), percent(*high))
        }
        None => "unknown (none were measured)".to_owned(),
    }
}

/// Formats a share in per cent, with about three significant digits.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let decimals = match percent {
        percent if percent == 0.0 || percent >= 10.0 => 1,
        percent if percent >= 1.0 => 2,
        percent if percent >= 0.1 => 3,
        percent if percent >= 0.01 => 4,
        _ => 6,
    };
    format!("{percent:.decimals$} %")
}

/// Prints a card.
pub(super) fn show(card: &ModelCard, newest_version: u32, output: &mut Output) -> Printed {
    let newest = if card.version() == newest_version {
        "the newest".to_owned()
    } else {
        format!("of {newest_version}")
    };
    output.say(format!("{}, version {} ({newest})", card.name(), card.version()))?;
    let mode = match card.mode() {
        Mode::Shadow => "shadow: scores are counted, and returned to nobody",
        Mode::Active => "active: scores are answered",
    };
    let state = if state(card) == "retired" { "retired: the model is not run" } else { "in use" };
    for (what, words) in [
        ("input", input(card)),
        ("model", source(card)),
        ("mode", mode.to_owned()),
        ("state", state.to_owned()),
        ("licence", card.licence().to_owned()),
        ("approved", format!("by {}, {} UTC", card.approved_by(), date(UnixMillis(card.approved_at())))),
        ("note", card.note().to_owned()),
        ("calibration", calibration(card)),
    ] {
        if !words.is_empty() {
            output.say(format!("  {what:<12}{words}"))?;
        }
    }
    let rows: Vec<Vec<String>> = card.output().classes().iter().map(|class| row(card, class)).collect();
    output.table(
        &["class", "stands for", "threshold", "at most", "false positives (95 %)", "true positives (95 %)"],
        &rows,
    )?;
    for table in card.calibration().into_iter().flat_map(|calibration| calibration.classes()) {
        print_thresholds(table, output)?;
    }
    Ok(())
}

fn input(card: &ModelCard) -> String {
    match card.input() {
        InputForm::Image(image) => {
            format!("{} of {} x {} pixels", kind_word(Kind::Image), image.width, image.height)
        }
        InputForm::Conversation(form) => {
            format!("{} of at most {} bytes", kind_word(Kind::Conversation), form.bytes_max)
        }
    }
}

fn source(card: &ModelCard) -> String {
    match card.source() {
        Source::File(digest) => format!("the file with the SHA-256 {digest}"),
        Source::Server(version) => format!("version {version} of an external server"),
    }
}

fn calibration(card: &ModelCard) -> String {
    let words = |calibration: &vigie_classifiers::Calibration| {
        format!("{}, measured {} UTC", calibration.source(), date(UnixMillis(calibration.at())))
    };
    card.calibration().map_or_else(|| "none: no threshold can be chosen".to_owned(), words)
}

fn row(card: &ModelCard, class: &OutputClass) -> Vec<String> {
    let stands_for = class.stands_for.as_ref().map(ToString::to_string).unwrap_or_default();
    let mut row = vec![class.name.to_string(), stands_for];
    match card.threshold(&class.name) {
        Some(Chosen { rate, measured, .. }) => row.extend([
            measured.threshold.to_string(),
            rate.to_string(),
            estimate(&measured.false_positives),
            estimate(&measured.true_positives),
        ]),
        None => row.extend(std::iter::repeat_n(String::new(), 4)),
    }
    row
}

/// Prints the thresholds of a table for a few rates, and the reason for each rate that has none.
pub(super) fn print_thresholds(table: &ClassTable, output: &mut Output) -> Printed {
    output.say(format!(
        "calibration of {}: {} contents not of the class, {} of the class",
        table.class(),
        table.negatives(),
        table.positives()
    ))?;
    let rows: Vec<Vec<String>> = RATES
        .into_iter()
        .filter_map(|one_in| Rate::one_in(one_in).ok())
        .map(|rate| match choose(table, rate) {
            Ok(chosen) => vec![
                rate.to_string(),
                chosen.measured.threshold.to_string(),
                estimate(&chosen.measured.false_positives),
                estimate(&chosen.measured.true_positives),
            ],
            Err(error) => vec![rate.to_string(), "none".to_owned(), reason(&error), String::new()],
        })
        .collect();
    output.table(&["at most", "threshold", "false positives (95 %)", "true positives (95 %)"], &rows)
}

/// Returns a short reason, for a cell of a table, why a rate has no threshold.
fn reason(error: &ChooseError) -> String {
    match error {
        ChooseError::SampleTooSmall { negatives, needed, .. } => {
            format!("the sample has {negatives} contents not of the class, and needs {needed}")
        }
        ChooseError::TooManyFalsePositives { best: Some(best), .. } => {
            format!("the lowest rate that it supports is {best}")
        }
        ChooseError::TooManyFalsePositives { best: None, .. } => "the sample supports no rate".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_says_in_short_why_a_rate_has_no_threshold() {
        let rate = |one_in| Rate::one_in(one_in).unwrap();
        let small = ChooseError::SampleTooSmall { rate: rate(100), negatives: 70, needed: 299 };
        assert_eq!(reason(&small), "the sample has 70 contents not of the class, and needs 299");
        let poor = |best| reason(&ChooseError::TooManyFalsePositives { rate: rate(100), best });
        assert_eq!(poor(Some(rate(20))), "the lowest rate that it supports is 1 in 20");
        assert_eq!(poor(None), "the sample supports no rate");
    }

    #[test]
    fn shares_have_about_three_significant_digits() {
        for (share, expected) in [
            (0.0, "0.0 %"),
            (1.0, "100.0 %"),
            (0.12345, "12.3 %"),
            (0.012_345, "1.23 %"),
            (0.001_234_5, "0.123 %"),
            (0.000_123_45, "0.0123 %"),
            (0.000_001_234, "0.000123 %"),
        ] {
            assert_eq!(percent(share), expected);
        }
        assert_eq!(estimate(&Estimate::new(0, 0).unwrap()), "unknown (none were measured)");
        let few = Estimate::new(10, 100).unwrap();
        assert_eq!(estimate(&few), "10.0 % (10 of 100; 95 %: 4.90 % to 17.6 %)");
    }
}
