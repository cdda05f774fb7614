//! Measures the time and the stack of decisions. The figures are for a release build:
//! `cargo test --release -- --ignored speed`.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use cel::Program;
use vigie_consortium::Verdict;

use super::oracle::context;
use super::support::{Numbers, compiled, random_match};
use crate::door::{self, STACK_BYTES, TREE_DEPTH_MAX};
use crate::{Budget, CompiledPolicy, MatchFacts, QueryFacts};

/// Ten typical rules. None is true for the matches below, so all are evaluated completely.
const RULES: [&str; 10] = [
    "matches.exists(m, m.distance <= 10 && m.positives >= 200 && !m.disputed)",
    r#"matches.exists(m, m.owner == "nobody" && m.classification.exists(c, c in ["A1", "A2"]))"#,
    r#"query.surface == "nowhere" && matches.size() > 0"#,
    "matches.filter(m, m.exact && m.positives > 9).size() > 2",
    r#"matches.exists(m, m.labels.exists(l, l == "nothing"))"#,
    "matches.exists_one(m, m.distance == 0 && m.age_days > 100000)",
    r#"matches.exists(m, m.mine == "neither")"#,
    "matches.all(m, m.held || m.probation)",
    "has(query.quality) && query.quality > 100 && matches.exists(m, m.contributors > 3)",
    "matches.exists(m, m.bank.startsWith('nobody/') && m.negatives == 0)",
];

fn matches(count: usize) -> Vec<MatchFacts> {
    let mut numbers = Numbers(7);
    let ordinary = |_| {
        let mut facts = random_match(&mut numbers);
        (facts.shadow, facts.held, facts.probation, facts.age_days) = (false, false, false, 30);
        facts.suppresses = [].into();
        facts
    };
    (0..count).map(ordinary).collect()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn timed(mut call: impl FnMut()) -> Duration {
    let start = Instant::now();
    call();
    start.elapsed()
}

#[test]
#[ignore = "a benchmark"]
fn speed_of_a_decision() {
    let names: Vec<_> = (0..10).map(|number| format!("rule-{number}")).collect();
    let rules: Vec<_> =
        names.iter().zip(RULES).map(|(name, rule)| (name.as_str(), rule, Verdict::Block)).collect();
    let policy = compiled(&rules);
    let query = QueryFacts { quality: Some(90), kind: "image", ..QueryFacts::default() };
    for count in [0, 8, 64] {
        let matches = matches(count);
        let decision = policy.decide(&matches, &query, Budget::UNLIMITED);
        assert_eq!((&*decision.rule, decision.failure), (if count == 0 { "rule-7" } else { "" }, None));
        let start = Instant::now();
        let deadline = || start.elapsed() > Duration::from_secs(3_600);
        let decide = || drop(black_box(policy.decide(black_box(&matches), &query, Budget::until(&deadline))));
        let times = (0..20_000).map(|_| timed(decide)).collect();
        println!("10 rules over {count} matches: median {:?}", median(times));
    }
    let programs: Vec<_> = RULES.iter().map(|source| Program::compile(source).unwrap()).collect();
    let matches = matches(8);
    let matches: Vec<_> = matches.iter().collect();
    let interpret = || {
        let context = context(&matches, &query);
        programs.iter().for_each(|program| drop(black_box(program.execute(&context))));
    };
    println!(
        "the interpreter of cel, 8 matches: median {:?}",
        median((0..2_000).map(|_| timed(interpret)).collect())
    );
    let interpreted = context(&matches, &query);
    let interpret = || programs.iter().for_each(|program| drop(black_box(program.execute(&interpreted))));
    println!(
        "the same, its context built before: median {:?}",
        median((0..2_000).map(|_| timed(interpret)).collect())
    );
}

#[test]
#[ignore = "a benchmark"]
fn speed_of_the_costliest_policy() {
    for part in [
        "matches.exists(a, matches.exists(b, a.bank.contains(b.owner)))",
        "matches.exists(a, matches.exists(b, a.distance * b.distance + a.seen - b.seen > 100000))",
        "matches.exists(a, matches.exists(b, a.labels[0] == b.labels[0] && a.bank != a.bank))",
        "matches.exists(a, a.labels.exists(b, b.contains('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaab')))",
        "matches.exists(a, matches.exists(b, a.bank.size() + b.bank.size() < a.distance / (b.distance + 1)))",
        "matches.map(a, a.labels.map(b, b.size()).size()).size() > 100",
    ] {
        // As many parts as fit into the source and the steps. A rule in shadow makes two passes necessary.
        let (steps, per_rule) = thread::scope(|scope| {
            let read = || {
                let read =
                    |count: &usize| door::read(&vec![part; *count].join(" || ")).map(|tree| tree.steps_max);
                (read(&1).unwrap(), (1..).take_while(|count| read(count).is_ok()).last().unwrap())
            };
            thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, read).unwrap().join().unwrap()
        });
        let rules_max = 15;
        let count = usize::try_from(CompiledPolicy::STEPS_MAX / steps).unwrap().min(rules_max * per_rule);
        let parts: Vec<_> = (0..count).map(|_| part).collect();
        let sources: Vec<_> = parts.chunks(per_rule).map(|parts| parts.join(" || ")).collect();
        let names: Vec<_> = (0..sources.len()).map(|number| format!("rule-{number}")).collect();
        let mut rules: Vec<_> = names
            .iter()
            .zip(&sources)
            .map(|(name, rule)| (name.as_str(), rule.as_str(), Verdict::Block))
            .collect();
        rules.push(("shadow", "false", Verdict::Block));
        let policy = compiled(&rules);
        let mut matches = matches(64);
        for facts in &mut matches {
            facts.labels = vec!["a".repeat(128).into(); 64];
            facts.bank = "b".repeat(288).into();
            facts.owner = "b".repeat(32).replace("bb", "bc").into();
        }
        let decide = || drop(black_box(policy.decide(&matches, &QueryFacts::default(), Budget::UNLIMITED)));
        let time = median((0..30).map(|_| timed(decide)).collect());
        println!("{count} times {part} ({steps} steps): median {time:?}");
        assert!(cfg!(debug_assertions) || time < Duration::from_millis(50));
    }
}

/// Evaluates the deepest condition on a small stack. A stack that is too small would end the process.
#[test]
fn an_evaluation_needs_little_stack() {
    let sum = format!("{} > 0", vec!["1"; TREE_DEPTH_MAX - 1].join(" + "));
    let nots = format!("{}true{}", "!(".repeat(15), ")".repeat(15));
    let policy = compiled(&[("sum", &sum, Verdict::Log), ("nots", &nots, Verdict::Log)]);
    let decide = move || policy.decide(&[], &QueryFacts::default(), Budget::UNLIMITED);
    let decision = thread::Builder::new().stack_size(128 << 10).spawn(decide).unwrap().join().unwrap();
    assert_eq!(&*decision.rule, "sum");
}
