//! Compares samples and tables with brute force.

use proptest::prelude::*;

use super::*;
use crate::histogram::Histogram;
use crate::name::Sha256;

/// Returns the digest of the content with this number.
fn content(number: usize) -> ContentDigest {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    Sha256(digest)
}

fn table(negatives: &[f32], positives: &[f32]) -> ClassTable {
    let mut sample = Sample::new("class".parse().unwrap());
    let labelled = negatives.iter().map(|score| (Label::Negative, *score));
    let labelled = labelled.chain(positives.iter().map(|score| (Label::Positive, *score)));
    labelled
        .enumerate()
        .for_each(|(number, (label, score))| sample.add(content(number), label, score).unwrap());
    sample.table().unwrap()
}

/// Generates scores on a grid, so that many are equal and both ends occur.
fn scores(len: std::ops::Range<usize>) -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec((0_u8..=20).prop_map(|step| f32::from(step) / 20.0), len)
}

proptest! {
    #[test]
    fn each_count_of_false_positives_has_its_best_threshold(negatives in scores(1..40), positives in scores(0..40)) {
        let table = table(&negatives, &positives);
        prop_assert_eq!(table.negatives(), u64::try_from(negatives.len()).unwrap());
        let count = |scores: &[f32], threshold: f32| u64::try_from(scores.iter().filter(|score| **score >= threshold).count()).unwrap();
        // Brute force over every relevant threshold: each score, and the one above all.
        let mut candidates: Vec<f32> = [&negatives[..], &positives[..]].concat();
        candidates.extend(negatives.iter().map(|score| score.next_up()).filter(|score| *score <= 1.0));
        let mut best: std::collections::BTreeMap<u64, u64> = std::collections::BTreeMap::new();
        for threshold in candidates {
            let most = best.entry(count(&negatives, threshold)).or_default();
            *most = count(&positives, threshold).max(*most);
        }
        let found: std::collections::BTreeMap<u64, u64> =
            table.rows().iter().map(|row| (row.false_positives, row.true_positives)).collect();
        prop_assert_eq!(found, best);
        for row in table.rows() {
            prop_assert_eq!(row.false_positives, count(&negatives, row.threshold));
            prop_assert_eq!(row.true_positives, count(&positives, row.threshold));
        }
        // The table passes the checks of a table that is read.
        let text = serde_json::to_string(&table).unwrap();
        prop_assert_eq!(serde_json::from_str::<ClassTable>(&text).unwrap(), table);
    }
}

#[test]
fn a_long_table_keeps_its_low_end_in_full_and_both_ends() {
    let negatives: Vec<f32> = (0..5_000_u16).map(|number| f32::from(number) / 5_000.0).collect();
    let table = table(&negatives, &[0.5]);
    let counts: Vec<u64> = table.rows().iter().rev().map(|row| row.false_positives).collect();
    assert!(counts.len() <= ClassTable::ROWS_MAX && counts.len() > 500, "{}", counts.len());
    assert_eq!(counts[..256], (0..256).collect::<Vec<u64>>());
    assert_eq!(counts.last(), Some(&5_000));
    // Beyond these, no step is more than 3 %: 5,001 / 256 to the power of 1 / 256 is 1.0117, and ranks are
    // whole.
    assert!(counts[256..].is_sorted_by(|low, high| (*high as f64) < *low as f64 * 1.03));
}

#[test]
fn content_counts_once_and_has_one_label_and_one_score() {
    let mut sample = Sample::new("class".parse().unwrap());
    sample.add(content(1), Label::Negative, 0.5).unwrap();
    sample.add(content(1), Label::Negative, 0.500_05).unwrap();
    assert_eq!(sample.add(content(1), Label::Positive, 0.5), Err(SampleError::BothLabels(content(1))));
    assert_eq!(sample.add(content(1), Label::Negative, 0.6), Err(SampleError::TwoScores(content(1))));
    for score in [f32::NAN, -0.1, 1.1] {
        assert_eq!(sample.add(content(2), Label::Negative, score), Err(SampleError::Score(content(2))));
    }
    assert_eq!(format!("{sample:?}"), "Sample(1 of class)");
    let table = sample.table().unwrap();
    assert_eq!((table.negatives(), table.positives(), table.histogram().total()), (1, 0, 1));
    let mut positives = Sample::new("class".parse().unwrap());
    positives.add(content(1), Label::Positive, 0.5).unwrap();
    assert_eq!(positives.table(), Err(SampleError::NoNegatives));
}

#[test]
fn a_model_that_says_1_of_a_negative_has_no_threshold_without_false_positives() {
    let counts =
        |table: &ClassTable| -> Vec<u64> { table.rows().iter().map(|row| row.false_positives).collect() };
    assert_eq!(counts(&table(&[1.0, 0.0], &[])), [2, 1]);
    assert_eq!(counts(&table(&[0.9, 0.0], &[])), [2, 1, 0]);
}

#[test]
fn rates_have_the_intervals_of_their_counts() {
    let table = table(&[0.1, 0.2, 0.3, 0.9], &[0.8, 0.95]);
    let row = table.rows().iter().find(|row| row.false_positives == 1).unwrap();
    let measured = table.rates(row).unwrap();
    assert_eq!(measured.threshold, 0.8);
    assert_eq!(Some(measured.false_positives), Estimate::new(1, 4));
    assert_eq!(Some(measured.true_positives), Estimate::new(2, 2));
    let other = Row { false_positives: 5, ..*row };
    assert_eq!(table.rates(&other), None);
}

#[test]
fn tables_that_are_read_are_checked() {
    let row = |threshold, false_positives, true_positives| Row { threshold, false_positives, true_positives };
    let good = ClassTableDraft {
        rows: vec![row(0.1, 2, 2), row(0.5, 0, 2)],
        ..table(&[0.1, 0.2], &[0.5, 0.5]).into()
    };
    assert!(ClassTable::try_from(good.clone()).is_ok());
    let fault = |draft: ClassTableDraft| ClassTable::try_from(draft).unwrap_err().to_string();
    let order = "rows: thresholds ascend, false positives descend, and true positives do not ascend";
    for rows in [
        vec![row(0.5, 2, 2), row(0.5, 0, 2)],
        vec![row(0.1, 1, 2), row(0.5, 1, 2)],
        vec![row(0.1, 2, 1), row(0.5, 0, 2)],
    ] {
        assert_eq!(fault(ClassTableDraft { rows, ..good.clone() }), order);
    }
    let count = "rows: a threshold is from 0 to 1, and no count is more than there are";
    for rows in [vec![row(1.1, 0, 0)], vec![row(f32::NAN, 0, 0)], vec![row(0.1, 3, 0)], vec![row(0.1, 0, 3)]]
    {
        assert_eq!(fault(ClassTableDraft { rows, ..good.clone() }), count);
    }
    assert_eq!(
        fault(ClassTableDraft { rows: vec![], ..good.clone() }),
        "rows: a table has 1 to 512 rows, not 0"
    );
    let lone = ClassTableDraft { histogram: Histogram::EMPTY, ..good.clone() };
    assert_eq!(fault(lone), "histogram: it counts 0 scores and not the 2 negatives");
    let none =
        ClassTableDraft { negatives: 0, rows: vec![row(0.5, 0, 0)], histogram: Histogram::EMPTY, ..good };
    assert_eq!(fault(none), "negatives: 0 is not from 1 to 10000000");
}

#[test]
fn a_calibration_has_a_source_and_one_table_a_class() {
    let classes = vec![table(&[0.1], &[])];
    let draft = CalibrationDraft { source: "5,000 pictures, labelled by two people".into(), at: 1, classes };
    let calibration = Calibration::try_from(draft.clone()).unwrap();
    assert_eq!((calibration.source(), calibration.at()), (draft.source.as_str(), 1));
    assert_eq!(calibration.class(&"class".parse().unwrap()), Some(&calibration.classes()[0]));
    assert_eq!(calibration.class(&"other".parse().unwrap()), None);
    assert_eq!(CalibrationDraft::from(calibration), draft);
    let twice = CalibrationDraft {
        source: "\n".into(),
        classes: [&draft.classes[..], &draft.classes[..]].concat(),
        at: 1,
    };
    assert_eq!(
        Calibration::try_from(twice).unwrap_err().to_string(),
        "source: 1 to 256 bytes without control characters\nclasses: a class has one table"
    );
    let empty = Calibration::try_from(CalibrationDraft::default()).unwrap_err();
    assert!(empty.to_string().contains("classes: a calibration has 1 to 64 classes, not 0"));
}
