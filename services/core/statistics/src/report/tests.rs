//! Compares statistics with sums over the counters, and checks what a reader may learn.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;
use vigie_consortium::Text;
use vigie_model::{BankId, MemberId};

use super::*;
use crate::cell::{CellKey, Counts, Measure};
use crate::latency::{Histogram, LatencyKind};
use crate::month::{Month, Period};
use crate::suppress::{Cell, Rule};

fn month(number: u16) -> Month {
    Month::new(2026, 1).and_then(|first| Month::from_number(first.number() + number)).unwrap()
}

pub(crate) fn counts() -> impl Strategy<Value = Counts> {
    let classes = select(vec!["", "iwf/category/A", "ncmec/classification/A1"]);
    let verdicts = prop::option::of(select(vec!["block", "review"]));
    let measures = select(vec![Measure::ItemsAdded, Measure::ReportsFounded, Measure::ReportsUnfounded]);
    let ids = (prop::option::weighted(0.9, 1_u32..6), prop::option::weighted(0.8, 1_u32..4));
    let key = (0_u16..5, ids, classes, verdicts, measures).prop_map(
        |(at, (member, bank), class, verdict, what)| CellKey {
            month: month(at),
            member: member.map(MemberId),
            bank: bank.map(BankId),
            class: Text::new(class).unwrap(),
            verdict: verdict.map(|verdict| Text::new(verdict).unwrap()),
            what,
        },
    );
    prop::collection::vec((key, prop_oneof![0_u64..10, 0_u64..300]), 0..80)
        .prop_map(|all| all.into_iter().collect())
}

/// Returns statistics of months 1 to 3 of the five with counters, for a deployment of four named members and
/// two named banks.
pub(crate) fn of(counts: &Counts, reader: Reader) -> Statistics {
    let mut histogram = Histogram::default();
    (0..50).for_each(|latency| histogram.record(latency * 10));
    Statistics::new(&Input {
        period: Period::new(month(1), month(3)).unwrap(),
        reader,
        counts,
        latencies: &[((month(2), LatencyKind::AddToMatchable), histogram)].into_iter().collect(),
        members: &(1..=4).map(|member| (MemberId(member), format!("=acme-{member}"))).collect(),
        banks: &(1..=2).map(|bank| (BankId(bank), format!("bank | {bank}"))).collect(),
        own_banks: &[(BankId(3), "bank | 3".to_owned())].into_iter().collect(),
        rule: Rule::default(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The oracle sums the counters that a predicate chooses.
    #[test]
    fn shown_numbers_are_sums_of_counters(counts in counts()) {
        let statistics = of(&counts, Reader::Member(MemberId(2)));
        let sum = |passes: &dyn Fn(&CellKey) -> bool| counts.iter().filter(|(key, _)| passes(key)).map(|(_, count)| count).sum::<u64>();
        let is_in = |key: &CellKey| (month(1)..=month(3)).contains(&key.month);
        let same = |cell: Cell, expected: u64, is_own: bool| match cell {
            Cell::Shown(number) => assert!(number == expected && (is_own || number >= 10), "{number} for {expected}"),
            Cell::Suppressed => assert!(!is_own),
        };
        let tables = [(&statistics.numbers, false), (&statistics.own, true)];
        for (numbers, is_own, one) in tables.iter().flat_map(|(numbers, is_own)| numbers.iter().map(move |one| (numbers, *is_own, one))) {
            prop_assert_eq!(numbers.len(), Measure::general().count());
            let counted = |key: &CellKey| key.what.name() == one.measure && (!is_own || key.member == Some(MemberId(2)));
            same(one.total, sum(&|key| counted(key) && is_in(key)), is_own);
            let cumulative = sum(&|key| counted(key) && key.month <= month(3));
            prop_assert_eq!(one.cumulative, if is_own { cumulative } else { cumulative / 100 * 100 });
            for (at, cell) in (1..).zip(&one.by_month) {
                same(*cell, sum(&|key| counted(key) && key.month == month(at)), is_own);
            }
            for part in &one.by_bank {
                let named = |key: &CellKey| match key.bank {
                    None => "no bank".to_owned(),
                    Some(BankId(bank)) if (bank == 3) == is_own => format!("bank | {bank}"),
                    Some(_) => "other banks".to_owned(),
                };
                same(part.count, sum(&|key| counted(key) && is_in(key) && named(key) == part.name), is_own);
            }
            for part in &one.by_class {
                let class = part.name.replace("none", "");
                same(part.count, sum(&|key| counted(key) && is_in(key) && key.class.as_str() == class), is_own);
            }
            let members: BTreeMap<String, Option<MemberId>> =
                (1..=4).map(|member| (format!("=acme-{member}"), Some(MemberId(member)))).chain([("member 5".to_owned(), Some(MemberId(5))), ("no member".to_owned(), None)]).collect();
            for row in &one.by_member {
                same(row.total, sum(&|key| counted(key) && is_in(key) && key.member == members[&row.member]), false);
            }
        }
    }

    /// The public numbers do not depend on the reader, and the parts of a suppressed total cannot be added
    /// up.
    #[test]
    fn numbers_across_members_are_the_same_for_all_and_sums_stay_closed(counts in counts()) {
        let public = of(&counts, Reader::Public);
        prop_assert_eq!(&public.numbers, &of(&counts, Reader::Member(MemberId(1))).numbers);
        prop_assert!(public.own.is_empty());
        for one in &public.numbers {
            for parts in [&one.by_bank, &one.by_class, &one.by_verdict] {
                let hidden = parts.iter().filter(|part| part.count.is_suppressed()).count();
                prop_assert!(one.total.shown().map_or(hidden == parts.len(), |_| hidden != 1 || parts.len() == 1));
            }
        }
    }

    /// A precision reveals no number that the tables hide.
    #[test]
    fn a_precision_gives_no_suppressed_number(counts in counts()) {
        let public = of(&counts, Reader::Public);
        let find = |measure: Measure| public.numbers.iter().find(|one| one.measure == measure.name()).unwrap();
        let (founded, unfounded) = (find(Measure::ReportsFounded), find(Measure::ReportsUnfounded));
        for one in public.precisions.iter().filter(|one| one.of == Reviewed::Reports) {
            let total = |numbers: &MeasureNumbers| match one.scope {
                Scope::All => numbers.total,
                Scope::Member => numbers.by_member.iter().find(|row| row.member == one.name).unwrap().total,
                Scope::Bank => numbers.by_bank.iter().find(|part| part.name == one.name).unwrap().count,
            };
            match (total(founded), total(unfounded)) {
                (Cell::Shown(confirmed), Cell::Shown(rejected)) => {
                    let expected = confirmed as f64 / (confirmed + rejected) as f64;
                    prop_assert!((one.precision.unwrap() - expected).abs() < 0.000_1);
                }
                (Cell::Suppressed, _) | (_, Cell::Suppressed) => {
                    prop_assert_eq!((one.precision, one.confirmed, one.reviewed), (None, Cell::Suppressed, Cell::Suppressed));
                }
            }
        }
    }
}

/// Generates counters of classifiers, for few models and members.
pub(crate) fn scores() -> impl Strategy<Value = Counts> {
    let classes = select(vec!["nsfw/1/nude", "nsfw/2/nude", "nsfw/2/gore", "talk/1/grooming", ""]);
    let measures = select(Measure::OF_CLASSIFIERS.to_vec());
    let key = (0_u16..5, 1_u32..6, classes, measures).prop_map(|(at, member, class, what)| CellKey {
        month: month(at),
        member: Some(MemberId(member)),
        bank: None,
        class: Text::new(class).unwrap(),
        verdict: None,
        what,
    });
    prop::collection::vec((key, prop_oneof![0_u64..10, 0_u64..300]), 0..60)
        .prop_map(|all| all.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The oracle sums the counters of a class.
    #[test]
    fn uses_of_classifiers_are_sums_of_counters_and_change_no_other_number(counts in counts(), scores in scores()) {
        let mut both = counts.clone();
        both.merge(&scores);
        let statistics = of(&both, Reader::Member(MemberId(2)));
        let alone = of(&counts, Reader::Member(MemberId(2)));
        let parts = |all: &Statistics| all.numbers.iter().map(|one| (one.by_bank.clone(), one.by_class.clone())).collect::<Vec<_>>();
        prop_assert_eq!(parts(&statistics), parts(&alone));
        prop_assert!(alone.classifiers.is_empty() && alone.own_classifiers.is_empty());
        let is_in = |key: &CellKey| (month(1)..=month(3)).contains(&key.month);
        let mut classes: Vec<String> = scores.iter().filter(|(key, _)| is_in(key)).map(|(key, _)| key.class.to_string()).collect();
        classes.sort();
        classes.dedup();
        let shown = |one: &ClassifierNumbers| if one.model == "others" { String::new() } else { format!("{}/{}/{}", one.model, one.version, one.class) };
        let mut found: Vec<String> = statistics.classifiers.iter().map(shown).collect();
        found.sort();
        prop_assert_eq!(found, classes);
        for (all, is_own) in [(&statistics.classifiers, false), (&statistics.own_classifiers, true)] {
            for (one, numbers) in all.iter().flat_map(|one| one.measures.iter().map(move |numbers| (one, numbers))) {
                let sum = |passes: &dyn Fn(&CellKey) -> bool| {
                    let is_it = |key: &CellKey| key.what.name() == numbers.measure && key.class.as_str() == shown(one) && passes(key);
                    scores.iter().filter(|(key, _)| is_it(key) && (!is_own || key.member == Some(MemberId(2)))).map(|(_, count)| count).sum::<u64>()
                };
                let same = |cell: Cell, expected: u64| match cell {
                    Cell::Shown(number) => assert!(number == expected && (is_own || number >= 10), "{number} for {expected}"),
                    Cell::Suppressed => assert!(!is_own),
                };
                same(numbers.total, sum(&is_in));
                for (at, cell) in (1..).zip(&numbers.by_month) {
                    same(*cell, sum(&|key| key.month == month(at)));
                }
                for row in &numbers.by_member {
                    let of_row = |key: &CellKey| key.member.is_some_and(|MemberId(id)| row.member == format!("=acme-{id}") || row.member == format!("member {id}"));
                    same(row.total, sum(&|key| is_in(key) && of_row(key)));
                }
                let members: std::collections::BTreeSet<_> = scores.iter()
                    .filter(|(key, _)| is_in(key) && key.what.name() == numbers.measure && key.class.as_str() == shown(one))
                    .map(|(key, _)| key.member).collect();
                prop_assert!(is_own || numbers.total.is_suppressed() || members.len() >= 3);
            }
        }
    }
}

#[test]
fn silent_members_are_counted_from_three_on() {
    let check = |members: u32, active: u32| {
        let key = |member| CellKey {
            month: month(0),
            member: Some(MemberId(member)),
            bank: None,
            class: Text::default(),
            verdict: None,
            what: Measure::Lookups,
        };
        let counts: Counts = (1..=active).map(|member| (key(member), 1)).collect();
        let names: BTreeMap<MemberId, String> =
            (1..=members).map(|member| (MemberId(member), member.to_string())).collect();
        let input = Input {
            period: Period::new(month(0), month(0)).unwrap(),
            reader: Reader::Public,
            counts: &counts,
            latencies: &BTreeMap::new(),
            members: &names,
            banks: &BTreeMap::new(),
            own_banks: &BTreeMap::new(),
            rule: Rule::default(),
        };
        Statistics::new(&input).members_silent
    };
    assert_eq!(check(6, 3), Cell::Shown(3));
    assert_eq!(
        (check(6, 4), check(6, 2), check(0, 0)),
        (Cell::Suppressed, Cell::Suppressed, Cell::Suppressed)
    );
}

#[test]
fn latencies_are_shown_from_the_threshold_on() {
    let shown = of(&Counts::default(), Reader::Public).latencies;
    let found: Vec<bool> = shown.iter().map(|one| one.p50_ms.is_some() && one.p99_ms.is_some()).collect();
    assert_eq!(found, [false, true, false, true, false, false, false, false]);
}
