//! Compares conditions with the interpreter of `cel`, which is independent of this crate's evaluation.

use std::collections::HashMap;
use std::sync::Arc;
use std::thread;

use cel::{Context, Program, Value};

use super::sources;
use super::support::{Numbers, random_matches, random_query};
use crate::door::{self, STACK_BYTES};
use crate::evaluate::{Meter, holds};
use crate::fields::{MATCH_FIELDS, QUERY_FIELDS, TEXTS_FIELDS};
use crate::values::Scalar;
use crate::{MatchFacts, QueryFacts};

fn value(scalar: Scalar<'_>) -> Value {
    match scalar {
        Scalar::Bool(value) => Value::Bool(value),
        Scalar::Int(value) => Value::Int(value),
        Scalar::Text(text) => Value::String(Arc::new(text.to_owned())),
        Scalar::Match(facts) => match_value(facts),
    }
}

fn match_value(facts: &MatchFacts) -> Value {
    let mut map: HashMap<String, Value> =
        MATCH_FIELDS.iter().map(|field| (field.name.to_owned(), value((field.of)(facts)))).collect();
    for field in &TEXTS_FIELDS {
        let texts: Vec<Value> = (field.of)(facts).iter().map(|text| value(Scalar::Text(text))).collect();
        map.insert(field.name.to_owned(), texts.into());
    }
    map.into()
}

/// Returns the variables of a condition for the interpreter of `cel`.
pub(super) fn context(matches: &[&MatchFacts], query: &QueryFacts) -> Context<'static, 'static> {
    let mut context = Context::default();
    let matches: Vec<Value> = matches.iter().map(|facts| match_value(facts)).collect();
    context.add_variable_from_value("matches", matches);
    let query: HashMap<String, Value> = QUERY_FIELDS
        .iter()
        .filter_map(|field| Some((field.name.to_owned(), value((field.of)(query)?))))
        .collect();
    context.add_variable_from_value("query", query);
    context
}

#[derive(Debug, PartialEq)]
enum Result {
    Bool(bool),
    Failure,
}

/// Compares the conditions of these seeds, and returns how many were true, were false, and failed.
fn compare(seeds: std::ops::Range<u64>) -> [u32; 3] {
    let mut counts = [0; 3];
    for seed in seeds {
        let mut numbers = Numbers(seed);
        let source = sources::typed(&mut numbers);
        let matches = random_matches(&mut numbers);
        let matches: Vec<_> = matches.iter().take(8).collect();
        let query = random_query(&mut numbers);
        let Ok(tree) = door::read(&source) else { continue };
        let mut meter = Meter::new(tree.steps_max, None);
        let ours = match holds(&tree, &matches, &query, &mut meter) {
            Ok(value) => Result::Bool(value),
            Err(failure) => {
                assert!(failure.is_of_a_value(), "seed {seed}: {source}: {failure}");
                Result::Failure
            }
        };
        let program = Program::compile(&source).unwrap();
        let theirs = match program.execute(&context(&matches, &query)) {
            Ok(Value::Bool(value)) => Result::Bool(value),
            Ok(other) => panic!("seed {seed}: {source}: {other:?}"),
            Err(_) => Result::Failure,
        };
        assert_eq!(ours, theirs, "seed {seed}: {source}: {:?}", program.execute(&context(&matches, &query)));
        counts[match ours {
            Result::Bool(true) => 0,
            Result::Bool(false) => 1,
            Result::Failure => 2,
        }] += 1;
    }
    counts
}

fn compare_on_a_large_stack(seeds: std::ops::Range<u64>) -> [u32; 3] {
    let compare = move || compare(seeds);
    thread::Builder::new().stack_size(4 * STACK_BYTES).spawn(compare).unwrap().join().unwrap()
}

#[test]
fn conditions_mean_what_they_mean_to_cel() {
    let counts = compare_on_a_large_stack(0..2_000);
    // Each outcome occurs often.
    assert!(counts.iter().all(|count| *count > 100), "{counts:?}");
}

#[test]
#[ignore = "200,000 conditions: a minute in a release build"]
fn many_conditions_mean_what_they_mean_to_cel() {
    println!("held, did not hold, failed: {:?}", compare_on_a_large_stack(1_000_000..1_200_000));
}
