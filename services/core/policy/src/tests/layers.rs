//! Compares the first two layers with a slow reference.

use std::sync::Arc;

use proptest::prelude::*;
use vigie_consortium::{BankRule, Verdict};

use super::support::{
    Numbers, bank, compiled, found, policy, random_bank_rules, random_matches, random_query,
};
use crate::bank_rules::drawn;
use crate::{Budget, CompiledPolicy, Decision, MatchFacts, QueryFacts};

/// Whether a rule's name means the bank of a match, letter by letter.
fn names(rule: &BankRule, facts: &MatchFacts) -> bool {
    let name = rule.bank.to_string();
    name == *facts.bank || name == *facts.alias || name == facts.bank_ref.to_string()
}

/// Returns the matches that count and the number of suppressed ones, by a scan of everything for each match.
fn reference(
    rules: &[BankRule],
    matches: &[MatchFacts],
    query: &QueryFacts,
    with_shadow: bool,
) -> (Vec<usize>, usize) {
    let is_present = |facts: &MatchFacts| {
        let own = || rules.iter().filter(|rule| names(rule, facts));
        let is_dropped = own().any(|rule| {
            rule.ignored
                || (facts.is_in_bits && rule.max_distance.is_some_and(|max| facts.distance > u32::from(max)))
                || facts.positives < rule.positives_min
                || (rule.ignore_disputed && facts.disputed)
                || drawn(query.digest, &facts.bank) >= rule.ratio.get()
        });
        let is_shadow = facts.shadow || own().any(|rule| rule.shadow);
        !is_dropped && (with_shadow || !is_shadow)
    };
    let present: Vec<usize> = (0..matches.len()).filter(|index| is_present(&matches[*index])).collect();
    let ordinary = || present.iter().copied().filter(|index| matches[*index].suppresses.is_empty());
    let is_taken = |index: &usize| {
        present.iter().any(|other| matches[*other].suppresses.contains(&matches[*index].bank_id))
    };
    let mut counted: Vec<usize> = ordinary().filter(|index| !is_taken(index)).collect();
    let in_order = |facts: &MatchFacts| {
        // In the order of matches, a thousandth of a vector's metric equals one bit.
        u64::from(facts.distance) * if facts.is_in_bits { 1_000 } else { 1 }
    };
    counted.sort_by_key(|index| (in_order(&matches[*index]), *index));
    (counted, ordinary().filter(is_taken).count())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_layers_are_the_reference(seed in any::<u64>()) {
        let mut numbers = Numbers(seed);
        let rules = random_bank_rules(&mut numbers);
        let (matches, query) = (random_matches(&mut numbers), random_query(&mut numbers));
        let decision = CompiledPolicy::compile(&policy(rules.clone(), &[])).unwrap()
            .decide(&matches, &query, Budget::UNLIMITED);
        let (counted, suppressed_count) = reference(&rules, &matches, &query, false);
        let (in_shadow, _) = reference(&rules, &matches, &query, true);
        let verdict_of = |counted: &[usize]| {
            if counted.is_empty() && !query.is_cut { Verdict::Allow } else { Verdict::Review }
        };
        prop_assert_eq!(decision.verdict, verdict_of(&counted));
        prop_assert_eq!(decision.failure.is_some(), query.is_cut || counted.len() > 64);
        prop_assert_eq!(&decision.counted, &counted);
        prop_assert_eq!(decision.suppressed_count, suppressed_count);
        if let Some(verdict) = decision.shadow_verdict {
            prop_assert_eq!(verdict, verdict_of(&in_shadow));
        } else {
            prop_assert_eq!(in_shadow, counted);
        }
    }
}

#[test]
fn an_allow_list_takes_away_what_it_names_and_is_no_reason_itself() {
    let mut allowed = found("good/allowed", 3);
    allowed.suppresses = Arc::from([0]);
    let matches = [found("acme/known", 1), found("acme/other", 9), allowed.clone()];
    let always = compiled(&[
        ("two", "matches.size() == 2", Verdict::Block),
        ("one", "matches.size() == 1", Verdict::Log),
    ]);
    let decision = always.decide(&matches, &QueryFacts::default(), Budget::UNLIMITED);
    assert_eq!((&*decision.rule, decision.counted, decision.suppressed_count), ("one", vec![1], 1));
    // A match of the allow-list alone does not count, for members with and without a policy.
    let decision = Decision::default_of(&[allowed.clone()], false);
    assert_eq!((decision.verdict, decision.shadow_verdict), (Verdict::Allow, None));
    assert_eq!(Decision::default_of(&matches, false).verdict, Verdict::Review);
    assert_eq!(Decision::default_of(&[], true).verdict, Verdict::Review);
    // An allow-list in shadow suppresses only in the shadow verdict.
    allowed.shadow = true;
    let decision = Decision::default_of(&[matches[0].clone(), allowed], false);
    assert_eq!((decision.verdict, decision.shadow_verdict), (Verdict::Review, Some(Verdict::Allow)));
}

#[test]
fn a_share_of_queries_is_the_share_and_the_same_for_a_picture() {
    let mut rule = BankRule::of(bank("acme/known"));
    rule.ratio = 0.25.try_into().unwrap();
    let policy = CompiledPolicy::compile(&policy(vec![rule], &[])).unwrap();
    let counts = |digest| {
        let query = QueryFacts { digest, ..QueryFacts::default() };
        policy.decide(&[found("acme/known", 0)], &query, Budget::UNLIMITED).verdict == Verdict::Review
    };
    let counted = (0..10_000).filter(|digest| counts(*digest)).count();
    assert!((2_300..2_700).contains(&counted), "{counted}");
    assert!((0..100).all(|digest| counts(digest) == counts(digest)));
    // The numbers must not change between versions, or a picture would get another decision after an upgrade.
    assert_eq!(format!("{:.6}", drawn(0, "acme/known")), "0.156683");
    // Another bank draws other numbers.
    assert!((0..100).any(|digest| (drawn(digest, "a/b") < 0.5) != (drawn(digest, "a/c") < 0.5)));
}

#[test]
fn a_bank_is_found_by_each_of_its_names() {
    for name in ["acme/known", "main", "known"] {
        let mut rule = BankRule::of(bank(name));
        rule.ignored = true;
        let policy = CompiledPolicy::compile(&policy(vec![rule], &[])).unwrap();
        let mut facts = found("acme/known", 0);
        facts.alias = "main".into();
        facts.bank_ref = bank("known");
        let decision =
            policy.decide(&[facts, found("acme/other", 0)], &QueryFacts::default(), Budget::UNLIMITED);
        assert_eq!(decision.counted, [1], "{name}");
    }
}
