//! Renders statistics and reads them back.

use proptest::prelude::*;
use vigie_model::MemberId;

use super::*;
use crate::cell::{Counts, Measure};
use crate::fields::{REPORTS, Source};
use crate::report::{Reader, Statistics, tests};

fn read(csv: &str) -> Vec<Vec<String>> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(csv.as_bytes());
    reader.records().map(|line| line.unwrap().iter().map(str::to_owned).collect()).collect()
}

/// Returns the shown numbers of measures, in the order of the lines.
fn numbers(statistics: &Statistics) -> Vec<Option<u64>> {
    let mut all = Vec::new();
    for one in statistics.numbers.iter().chain(&statistics.own) {
        all.extend([one.total.shown(), Some(one.cumulative)]);
        all.extend(one.by_month.iter().map(|cell| cell.shown()));
        for row in &one.by_member {
            all.push(row.total.shown());
            all.extend(row.by_month.iter().map(|cell| cell.shown()));
        }
        all.extend(
            one.by_bank.iter().chain(&one.by_class).chain(&one.by_verdict).map(|part| part.count.shown()),
        );
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20, ..ProptestConfig::default() })]

    #[test]
    fn csv_holds_the_numbers_and_no_formula(counts in tests::counts()) {
        let statistics = tests::of(&counts, Reader::Member(MemberId(1)));
        let csv = to_csv(&statistics);
        prop_assert!(csv.ends_with("\r\n") && csv.replace("\r\n", "").find(['\r', '\n']).is_none());
        let lines = read(&csv);
        prop_assert_eq!(&lines[0], &CSV_COLUMNS);
        prop_assert!(lines.iter().all(|line| line.len() == CSV_COLUMNS.len()));
        prop_assert!(lines.iter().flatten().all(|text| !text.starts_with(['=', '+', '-', '@'])));
        let read: Vec<Option<u64>> = lines
            .iter()
            .filter(|line| ["across_members", "own"].contains(&line[0].as_str()))
            .map(|line| { assert_eq!(line[5] == "suppressed", line[6].is_empty()); line[6].parse().ok() })
            .collect();
        prop_assert_eq!(read, numbers(&statistics));
    }

    #[test]
    fn the_uses_of_classifiers_are_in_every_rendering(scores in tests::scores()) {
        let statistics = tests::of(&scores, Reader::Member(MemberId(1)));
        let lines = read(&to_csv(&statistics));
        let json = to_json(&statistics).unwrap();
        let page = to_markdown(&statistics);
        for (section, uses) in [("classifiers", &statistics.classifiers), ("own_classifiers", &statistics.own_classifiers)] {
            let of = |line: &&Vec<String>| line[0] == section;
            let expected: usize = uses.iter().flat_map(|one| &one.measures)
                .map(|one| (1 + one.by_member.len()) * (1 + one.by_month.len())).sum();
            prop_assert_eq!(lines.iter().filter(of).count(), expected);
            for (at, one) in uses.iter().enumerate() {
                let name = format!("{}/{}/{}", one.model, one.version, one.class);
                prop_assert_eq!(&json[section][at]["class"], &one.class);
                for (row, measure) in one.measures.iter().enumerate() {
                    prop_assert_eq!(&json[section][at]["measures"][row]["total"], &serde_json::json!(measure.total.shown()));
                    let total = |line: &&Vec<String>| of(line) && line[1] == measure.measure && line[2] == "all" && line[3] == name && line[4].is_empty();
                    let found: Vec<_> = lines.iter().filter(total).map(|line| line[6].parse().ok()).collect();
                    prop_assert_eq!(found, [measure.total.shown()]);
                }
                let row = format!("| {} | {} | {} |", one.model, one.version, one.class);
                prop_assert!(page.contains(&row), "{} lacks {}", page, row);
            }
        }
        prop_assert_eq!(page.contains("No classifier was used."), statistics.classifiers.is_empty());
    }

    #[test]
    fn markdown_explains_each_measure_and_its_tables_are_whole(counts in tests::counts()) {
        let statistics = tests::of(&counts, Reader::Public);
        let page = to_markdown(&statistics);
        let mut columns = 0;
        let bars = |line: &str| line.replace("\\|", "").matches('|').count();
        for line in page.lines() {
            if line.starts_with('|') {
                columns = if columns == 0 { bars(line) } else { columns };
                prop_assert_eq!(bars(line), columns, "{}", line);
            } else {
                columns = 0;
            }
        }
        for measure in Measure::general() {
            let row = format!("| {} | ", measure.name());
            prop_assert!(page.contains(&row) && page.contains(measure.about()));
        }
    }
}

#[test]
fn every_rendering_has_every_field_of_every_report() {
    let statistics = tests::of(&Counts::default(), Reader::Public);
    let (page, lines, json) =
        (to_markdown(&statistics), read(&to_csv(&statistics)), to_json(&statistics).unwrap());
    assert_eq!(json["version"], JSON_VERSION);
    for (at, report) in REPORTS.iter().enumerate() {
        assert!(page.contains(&format!("\n## {}\n", report.title)));
        for (row, field) in report.fields.iter().enumerate() {
            let value = &json["reports"][at]["fields"][row];
            assert_eq!(value["field"], field.name);
            assert!(lines.iter().any(|line| line[1] == report.name && line[3] == field.name));
            match field.source {
                Source::LeftOut(reason) => {
                    assert_eq!((&value["status"], &value["value"]), (&"left_out".into(), &reason.into()));
                    assert!(page.contains(&format!("| {} | no source: {reason} |", field.name)));
                }
                // Nothing was counted: zero is suppressed across members.
                Source::Counted(_) | Source::Precision | Source::MembersSilent => {
                    assert_eq!(value["status"], "suppressed")
                }
                Source::Cumulative(_) | Source::Members => assert_eq!(value["status"], "count"),
                Source::Sentence(_) => assert_eq!(value["status"], "sentence"),
            }
        }
    }
    // In a member's own report, zero is shown as zero.
    let own = to_json(&tests::of(&Counts::default(), Reader::Member(MemberId(1)))).unwrap();
    assert_eq!(own["reports"][0]["fields"][2]["value"], 0);
}

/// Programs read the published files, and a changed name would break them.
#[test]
fn the_names_of_json_are_stable() {
    let json = to_json(&tests::of(&Counts::default(), Reader::Member(MemberId(1)))).unwrap();
    let names =
        |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        names(&json),
        "classifiers latencies members members_min members_silent months numbers own own_classifiers own_member precisions reports threshold version"
    );
    assert_eq!(
        names(&json["numbers"][0]),
        "about by_bank by_class by_member by_month by_verdict cumulative measure total"
    );
    assert_eq!(names(&json["numbers"][0]["by_member"][0]), "by_month member total");
    assert_eq!(names(&json["numbers"][0]["by_bank"][0]), "count name");
    assert_eq!(names(&json["latencies"][0]), "about latency month p50_ms p99_ms");
    assert_eq!(names(&json["precisions"][0]), "confirmed name of precision reviewed scope");
    assert_eq!(names(&json["reports"][0]), "fields report title");
    assert_eq!((&json["months"][0], &json["own_member"]), (&"2026-02".into(), &"=acme-1".into()));
}
