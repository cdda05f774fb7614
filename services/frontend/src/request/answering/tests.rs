//! The two forms of an answer. The tests of clusters cover the whole path of a request.

use proptest::collection::vec;
use proptest::prelude::*;
use vigie_model::{
    BankId, Coverage, Decided, Distance, HashType, HashTypeSearch, ItemId, Match, Matched, Quality,
    QueryMatches, Rendition, Source, Variant, Verdict,
};

use super::*;
use crate::matching::SearchedQueries;

fn found(item: u64) -> Match {
    Match {
        item: ItemId(item),
        bank: BankId(1),
        bank_name: "known".parse().unwrap(),
        external_reference: None,
        labels: Box::default(),
        hash_type: HashType::PDQ,
        distance: Distance(3),
        variant: Variant::Original,
        exact: true,
        other_matches: 0,
        rendition: Rendition::default(),
        added_at: None,
        facts: None,
        video: None,
        item_time_ms: None,
    }
}

fn matched(found: QueryMatches) -> Matched {
    let search =
        HashTypeSearch { hash_type: HashType::PDQ, max_distance: Distance(31), exact: true, skipped: None };
    Matched {
        found,
        searches: vec![search],
        pdq_quality: None,
        quality_floor: Quality::FLOOR_DEFAULT,
        source: Source::Hashed,
        near_budget_spent: false,
        decision: None,
        classifications: Vec::new(),
    }
}

fn decided(verdict: Verdict) -> Decided {
    Decided {
        verdict,
        rule: "near".into(),
        policy_version: 4,
        shadow_verdict: None,
        failure: None,
        suppressed: 0,
        id: None,
        by_score: false,
    }
}

fn answer(results: Vec<Result<Matched, Status>>) -> Answer {
    let coverage = Coverage { shards_total: 2, shards_answered: 2, ..Coverage::default() };
    let queries = SearchedQueries::default();
    Answer { results, coverage, results_omitted: false, queries, said: Vec::new() }
}

/// A result: the items that match, whether there are more, and the verdict; or a failure.
type Drawn = Option<(Vec<u64>, bool, Option<bool>)>;

fn result(drawn: Drawn) -> Result<Matched, Status> {
    let (items, limit_reached, verdict) = drawn.ok_or_else(|| Status::unavailable("lost"))?;
    let matches = items.into_iter().map(found).collect();
    let decision = verdict.map(|review| decided(if review { Verdict::Review } else { Verdict::Allow }));
    let found = QueryMatches { matches, limit_reached, ..QueryMatches::default() };
    Ok(Matched { decision, ..matched(found) })
}

proptest! {
    #[test]
    fn both_forms_of_an_answer_are_the_same_answer(
        drawn in vec(
            prop_oneof![
                1 => Just(None),
                4 => Just(Some((vec![], false, Some(false)))),
                2 => (vec(0_u64..3, 0..3), any::<bool>(), any::<Option<bool>>()).prop_map(Some),
            ],
            1..40,
        ),
    ) {
        let of = |form| {
            let results = drawn.iter().cloned().map(result).collect();
            response(answer(results), form, Some(Sequence(7)))
        };
        let (plain, packed) = (of(Form::Plain), of(Form::Packed));
        prop_assert_eq!((plain.query_count, plain.results.len()), (0, drawn.len()));
        prop_assert_eq!(matches(&packed), matches(&plain));
        prop_assert_eq!(packed.expanded().unwrap(), plain);
    }
}

/// A query that matches only what its caller may not see is not named as different.
#[test]
fn the_packed_form_shows_no_query_that_matches_only_what_is_set_aside() {
    let set_aside = QueryMatches { set_aside: true, ..QueryMatches::default() };
    let results = [QueryMatches::default(), set_aside, QueryMatches::default()];
    let packed = response(answer(results.map(|found| Ok(matched(found))).into()), Form::Packed, None);
    assert_eq!((packed.query_count, packed.results.len(), packed.result_queries.len()), (3, 0, 0));
}
