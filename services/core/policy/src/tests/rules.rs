//! Verdict rules: order, failures, shadow, bounds and traces.

use std::cell::Cell;

use vigie_consortium::{BankRule, Verdict};

use super::support::{bank, compiled, found, policy};
use crate::{Budget, CompiledPolicy, Decision, MatchFacts, QueryFacts};

fn decide(rules: &[(&str, &str, Verdict)], distances: &[u32]) -> Decision {
    let matches: Vec<_> = distances.iter().map(|distance| found("acme/known", *distance)).collect();
    compiled(rules).decide(&matches, &QueryFacts::default(), Budget::UNLIMITED)
}

#[test]
fn the_examples_of_the_documentation_compile_and_decide() {
    let rules = [
        ("sure", "matches.exists(m, m.distance <= 10 && m.positives >= 2 && !m.disputed)", Verdict::Block),
        (
            "grave",
            r#"matches.exists(m, m.classification in ["A1", "A2"] && m.owner == "ncmec")"#,
            Verdict::Escalate,
        ),
        ("avatar", r#"query.surface == "avatar" && matches.size() > 0"#, Verdict::Review),
    ];
    // `in` needs a text on its left side; a list of classes is searched with `exists`.
    let error = CompiledPolicy::compile(&policy(vec![], &rules)).unwrap_err();
    assert_eq!(error.field, "rules[1].condition");
    let grave = r#"matches.exists(m, m.owner == "ncmec" && m.classification.exists(c, c in ["A1", "A2"]))"#;
    let policy = compiled(&[rules[0], ("grave", grave, Verdict::Escalate), rules[2]]);
    let mut facts = found("ncmec/list", 12);
    facts.classification = vec!["B1".into(), "A2".into()];
    let decision = policy.decide(&[facts.clone()], &QueryFacts::default(), Budget::UNLIMITED);
    assert_eq!((decision.verdict, &*decision.rule), (Verdict::Escalate, "grave"));
    (facts.distance, facts.positives) = (10, 2);
    let decision = policy.decide(&[facts], &QueryFacts::default(), Budget::UNLIMITED);
    assert_eq!((decision.verdict, &*decision.rule), (Verdict::Block, "sure"));
    let decision = policy.decide(&[], &QueryFacts::default(), Budget::UNLIMITED);
    assert_eq!((decision.verdict, &*decision.rule, decision.failure), (Verdict::Allow, "", None));
}

#[test]
fn the_first_rule_that_holds_wins_and_without_one_matches_are_reviewed() {
    let near = ("near", "matches.exists(m, m.distance < 5)", Verdict::Block);
    let always = ("always", "", Verdict::Log);
    assert_eq!(decide(&[near, always], &[9, 3]).verdict, Verdict::Block);
    assert_eq!(decide(&[near, always], &[9]).verdict, Verdict::Log);
    assert_eq!(decide(&[always, near], &[3]).verdict, Verdict::Log);
    assert_eq!(decide(&[near], &[9]).verdict, Verdict::Review);
    assert_eq!(decide(&[near], &[]).verdict, Verdict::Allow);
}

#[test]
fn a_rule_that_fails_gives_review_whatever_the_others_say() {
    let rules = |first| [("first", first, Verdict::Block), ("then", "", Verdict::Allow)];
    for (condition, reason) in [
        ("1 / matches.size() == 0", "a division by zero"),
        ("matches[0].exact", "an index is out of bounds"),
        ("matches[-1].exact", "an index is out of bounds"),
        ("query.quality > 10", "the query has no such value"),
        ("query.size + 9223372036854775807 + 1 > 0", "a number is too large"),
    ] {
        let decision = decide(&rules(condition), &[]);
        assert_eq!((decision.verdict, &*decision.rule), (Verdict::Review, "first"), "{condition}");
        assert_eq!(decision.failure.unwrap(), format!("rule first: {reason}").into());
    }
    // An expression that does not need the failing value does not fail.
    for condition in
        ["true || matches[9].exact", "matches[9].exact || true", "has(query.quality) && query.quality > 3"]
    {
        assert_eq!(decide(&rules(condition), &[1]).failure, None, "{condition}");
    }
    // A failing rule in shadow affects only the shadow verdict.
    let decision =
        decide(&[("shadow", "matches[9].exact", Verdict::Block), ("then", "", Verdict::Allow)], &[1]);
    assert_eq!((decision.verdict, decision.shadow_verdict), (Verdict::Allow, Some(Verdict::Review)));
    assert_eq!(decision.failure, None);
}

#[test]
fn a_spent_budget_and_a_panic_give_review() {
    let policy = compiled(&[("first", "matches.size() > 5", Verdict::Block), ("then", "", Verdict::Allow)]);
    for matches in [vec![], vec![found("acme/known", 1)]] {
        let decision = policy.decide(&matches, &QueryFacts::default(), Budget::until(&|| true));
        assert_eq!(decision.verdict, Verdict::Review);
        assert_eq!(decision.failure.unwrap(), "rule first: the time of the answer is over".into());
        let decision =
            policy.decide(&matches, &QueryFacts::default(), Budget::until(&|| panic!("a test of a panic")));
        assert_eq!(decision.verdict, Verdict::Review);
        assert_eq!(decision.failure.unwrap(), "the evaluation of the rules panicked".into());
    }
    // The budget also applies within one rule, and `||` cannot ignore a spent budget.
    let slow = "matches.all(a, matches.all(b, a.bank == b.bank)) || true";
    let policy = compiled(&[("slow", slow, Verdict::Allow)]);
    let matches = vec![found("acme/known", 1); 64];
    let calls = Cell::new(0);
    let is_spent = || calls.replace(calls.get() + 1) > 3;
    let decision = policy.decide(&matches, &QueryFacts::default(), Budget::until(&is_spent));
    assert_eq!((decision.verdict, calls.get()), (Verdict::Review, 5));
}

#[test]
fn facts_beyond_the_estimate_end_an_evaluation() {
    let policy = compiled(&[("labels", "matches.all(m, m.labels.all(l, l != 'x'))", Verdict::Allow)]);
    let mut facts = found("acme/known", 1);
    facts.labels = vec!["y".into(); 10_000];
    let decision = policy.decide(&[facts], &QueryFacts::default(), Budget::UNLIMITED);
    assert_eq!(decision.verdict, Verdict::Review);
    assert!(decision.failure.unwrap().contains("too many steps"));
}

#[test]
fn more_matches_than_rules_see_are_at_least_reviewed() {
    let distances: Vec<u32> = (0..65).rev().collect();
    let far =
        |verdict| [("far", "matches.exists(m, m.distance >= 64)", Verdict::Block), ("then", "", verdict)];
    let decision = decide(&far(Verdict::Allow), &distances);
    // The rules do not see the farthest of 65 matches, and their verdict is raised.
    assert_eq!((decision.verdict, &*decision.rule), (Verdict::Review, "then"));
    assert_eq!(decision.failure.unwrap(), "more matches than the rules can see".into());
    assert_eq!((decision.counted.len(), decision.counted[0]), (65, 64));
    assert_eq!(decide(&far(Verdict::Escalate), &distances).verdict, Verdict::Escalate);
    assert_eq!(decide(&far(Verdict::Allow), &distances[1..]).failure, None);
    let query = QueryFacts { is_cut: true, ..QueryFacts::default() };
    let decision = compiled(&[("then", "", Verdict::Log)]).decide(&[], &query, Budget::UNLIMITED);
    assert_eq!(
        (decision.verdict, decision.failure.unwrap()),
        (Verdict::Review, "the answer lacks matches".into())
    );
}

#[test]
fn shadow_shows_what_would_be() {
    let rules = [("shadow-block", "matches.size() > 1", Verdict::Block), ("then", "", Verdict::Log)];
    let decision = decide(&rules, &[1, 2]);
    assert_eq!((decision.verdict, decision.shadow_verdict), (Verdict::Log, Some(Verdict::Block)));
    assert_eq!(decide(&rules[1..], &[1, 2]).shadow_verdict, None);
    let mut rule = BankRule::of(bank("acme/known"));
    rule.shadow = true;
    let policy = CompiledPolicy::compile(&policy(vec![rule], &[])).unwrap();
    let decision = policy.decide(&[found("acme/known", 1)], &QueryFacts::default(), Budget::UNLIMITED);
    assert_eq!((decision.verdict, decision.shadow_verdict), (Verdict::Allow, Some(Verdict::Review)));
    assert_eq!(decision.counted, Vec::<usize>::new());
}

#[test]
fn a_largest_distance_in_bits_drops_no_vector() {
    let mut rule = BankRule::of(bank("acme/known"));
    rule.max_distance = Some(31);
    let rules =
        [("near", "matches.exists(m, m.hash_type == 'clip' && m.distance <= 200000)", Verdict::Block)];
    let policy = CompiledPolicy::compile(&policy(vec![rule], &rules)).unwrap();
    let vector =
        |distance, is_in_bits| MatchFacts { is_in_bits, hash_type: "clip", ..found("acme/known", distance) };
    let decide = |facts| policy.decide(&[facts], &QueryFacts::default(), Budget::UNLIMITED);
    let decision = decide(vector(183_204, false));
    assert_eq!((decision.verdict, &decision.counted[..]), (Verdict::Block, &[0][..]));
    assert_eq!(decide(vector(200_001, false)).verdict, Verdict::Review);
    // If the distance were in bits, the match would be too far.
    assert_eq!(decide(vector(183_204, true)).counted, Vec::<usize>::new());
}

#[test]
fn a_thousandth_of_a_vector_stands_where_a_bit_does() {
    let policy = CompiledPolicy::compile(&policy(vec![], &[])).unwrap();
    let vector = |distance| MatchFacts { is_in_bits: false, ..found("acme/known", distance) };
    let matches = [vector(3_001), found("acme/known", 3), vector(2_999), vector(3_000)];
    let decision = policy.decide(&matches, &QueryFacts::default(), Budget::UNLIMITED);
    assert_eq!(decision.counted, [2, 1, 3, 0]);
}

#[test]
fn a_trace_has_a_line_for_each_step() {
    let mut rule = BankRule::of(bank("acme/known"));
    rule.max_distance = Some(5);
    let rules = [("far", "matches[0].distance > 7", Verdict::Block), ("shadow-all", "", Verdict::Escalate)];
    let policy = CompiledPolicy::compile(&policy(vec![rule], &rules)).unwrap();
    let matches = [found("acme/known", 6), found("acme/other", 7)];
    let (decision, lines) = policy.try_with_trace(&matches, &QueryFacts::default(), Budget::UNLIMITED);
    assert_eq!(decision, policy.decide(&matches, &QueryFacts::default(), Budget::UNLIMITED));
    assert_eq!(
        lines,
        [
            "match 0 of acme/known: dropped, it is too far",
            "rule far: does not hold",
            "no rule holds: REVIEW",
            "with what is in shadow:",
            "rule far: does not hold",
            "rule shadow-all: holds, ESCALATE",
        ]
    );
}
