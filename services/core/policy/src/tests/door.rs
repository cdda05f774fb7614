//! Tests each bound of the door with a condition just within it and one just beyond.

use super::support::compile;
use crate::CompiledPolicy;
use crate::door::{
    LINKS_MAX, LITERALS_MAX, NODES_MAX, PARSER_DEPTH_MAX, SOURCE_BYTES_MAX, TEXT_LITERAL_BYTES_MAX,
    TREE_DEPTH_MAX, read, read_all,
};

fn check(within: &str, beyond: &str, reason: &str) {
    if let Err(error) = compile(within) {
        panic!("{within}: {error}");
    }
    refuse(beyond, reason);
}

fn refuse(condition: &str, reason: &str) {
    let error = compile(condition).map(drop).expect_err(condition);
    assert_eq!(error.field, "rules[0].condition", "{condition}");
    assert!(error.reason.contains(reason), "{condition}: {}", error.reason);
}

#[test]
fn the_source_has_a_length() {
    let padded = |len: usize| format!("true{}", " ".repeat(len - 4));
    compile(&padded(SOURCE_BYTES_MAX)).unwrap();
    let (index, refusal) = read_all(&["true", &padded(SOURCE_BYTES_MAX + 1)]).map(drop).unwrap_err();
    assert_eq!(index, 1);
    assert_eq!(refusal.to_string(), "a condition has at most 4096 bytes, not 4097");
}

#[test]
fn the_parser_s_nesting_is_bounded() {
    let nested = |depth: usize| format!("{}true{}", "(".repeat(depth), ")".repeat(depth));
    let depth = usize::from(PARSER_DEPTH_MAX);
    check(&nested(depth), &nested(depth + 1), "nested at most 16 deep");
}

#[test]
fn chains_are_counted_before_they_are_parsed() {
    // Each `-` counts as a link, and an even number of them has no effect on the value.
    let chain = |links: usize| format!("query.size == {}1", "-".repeat(links - 3));
    check(&chain(LINKS_MAX - 1), &chain(LINKS_MAX + 1), "at most 512 characters of operators");
    // Texts, comments, commas and underscores do not count.
    compile(&format!("'{}' == '' // {}", ".".repeat(200), "+".repeat(1_000))).unwrap();
}

#[test]
fn the_tree_s_depth_is_bounded() {
    // The depth is the comparison plus a sum, which nests once for each term.
    let sum = |terms: usize| format!("{} > 0", vec!["1"; terms].join(" + "));
    check(&sum(TREE_DEPTH_MAX - 1), &sum(TREE_DEPTH_MAX), "nested at most 32 deep");
    // `&&` and `||` are balanced.
    compile(&vec!["true"; 100].join(" && ")).unwrap();
}

#[test]
fn the_tree_s_size_is_bounded() {
    // `a || b || ...` has a node for each side and one for each operator.
    let sides = |sides: usize| vec!["true"; sides].join("||");
    let within = NODES_MAX / 2;
    check(&sides(within), &sides(within + 1), "at most 512 ");
    let lists = |count: usize| {
        format!("1 in [{}] || 2 in [{}]", vec!["1"; 200].join(","), vec!["2"; count].join(","))
    };
    check(&lists(256), &lists(257), "256 elements");
    let lists = |count: usize| {
        format!("1 in [{}] || 2 in [{}]", vec!["1"; 256].join(","), vec!["2"; count].join(","))
    };
    // There are seven nodes besides the elements.
    check(&lists(249), &lists(250), "at most 512 parts");
}

#[test]
fn literals_are_bounded() {
    let list = |len: usize| format!("1 in [{}]", vec!["1"; len].join(", "));
    check(&list(LITERALS_MAX), &list(LITERALS_MAX + 1), "1 to 256 elements");
    let text = |len: usize| format!("query.surface == '{}'", "x".repeat(len));
    check(&text(TEXT_LITERAL_BYTES_MAX), &text(TEXT_LITERAL_BYTES_MAX + 1), "at most 256 bytes");
    refuse("1 in []", "1 to 256 elements");
}

#[test]
fn comprehensions_are_nested_two_deep() {
    check(
        "matches.exists(a, matches.exists(b, a.distance < b.distance))",
        "matches.exists(a, matches.exists(b, b.labels.exists(c, c == a.bank)))",
        "nested at most 2 deep",
    );
    check(
        "matches.filter(m, m.exact).size() > 0",
        "matches.filter(m, m.exact).exists(m, m.held)",
        "does not go through the result of filter or map",
    );
    refuse("matches.map(m, m.bank).filter(b, b == 'x').size() > 0", "does not go through the result");
    check(
        "matches.exists(a, a.labels.filter(l, l == 'x').size() > 1)",
        "matches.exists(a, matches.exists(a, a.exact))",
        "has the name of something else",
    );
    refuse("matches.exists(query, query.exact)", "has the name of something else");
}

#[test]
fn the_steps_of_a_policy_are_bounded() {
    let part = "matches.exists(a, matches.exists(b, a.bank.contains(b.owner) && b.bank.contains(a.owner)))";
    let of = |parts: usize| vec![part; parts].join(" || ");
    let steps = read(part).map(|tree| tree.steps_max).unwrap();
    let within = usize::try_from(CompiledPolicy::STEPS_MAX / steps).unwrap();
    assert!(within < 20, "{within} fit into the source");
    check(&of(within), &of(within + 1), "take at most 2000000 steps");
}

#[test]
fn only_what_is_known_is_let_through() {
    for (condition, reason) in [
        ("", ""),
        ("matches.exists(m, m.bank + 'x' == 'y')", "this is a string, and an int is needed"),
        ("[1] + [2] == [3]", "a list cannot be used here"),
        ("matches.size() + 'x'", "this is a string, and an int is needed"),
        ("matches.size()", "this is an int, and a bool is needed"),
        ("matches", "a list cannot be used here"),
        ("1 == 'a'", "this is a string, and an int is needed"),
        ("1 == 1.0", "only true, false, whole numbers and texts"),
        ("1u == 1u", "only true, false, whole numbers and texts"),
        ("query.quality == null", "only true, false, whole numbers and texts"),
        ("b'x' == b'x'", "raw texts and bytes"),
        ("r'x' == 'x'", "raw texts and bytes"),
        ("'''x''' == 'x'", "texts of several lines"),
        ("'x", "a text has no end"),
        ("ü == 1", "outside of ASCII"),
        ("{'a': 1}.size() == 1", "maps and messages"),
        ("matches.exists(m, m.hash == 'x')", "a match has no field hash"),
        ("query.digest == 1", "a query has no field digest"),
        ("query == query", "`query` is used with a field"),
        ("other == 1", "other is not known"),
        ("type(1) == int", "the function type is not allowed"),
        ("'a'.matches('(a+)+')", "the function matches is not allowed"),
        ("string(1) == '1'", "the function string is not allowed"),
        ("duration('1s') == duration('1s')", "the function duration is not allowed"),
        ("optional.of(1).hasValue()", "not allowed"),
        ("matches[?0].exact", "CEL"),
        ("matches.?x", "CEL"),
        ("matches.exists_two(m, m.exact)", "the function exists_two is not allowed"),
        ("matches.existsOne(m, m.exact)", "the function existsOne is not allowed"),
        ("matches.exists(1, true)", "a variable is a simple name"),
        ("matches.exists(m, m == matches[0])", "matches are compared by their fields"),
        ("matches[0] in matches", "`in` looks for"),
        ("has(matches[0].bank)", "has() takes a field of `query`"),
        ("true &&", "the condition is no expression of CEL"),
        ("x.y.z", "x is not known"),
        ("1 in [1, 'a']", "texts alone or whole numbers alone"),
        ("1 in [1 + 1]", "written out"),
        ("a{b: 1} == a{b: 1}", "maps and messages"),
    ] {
        if condition.is_empty() {
            compile(condition).unwrap();
        } else {
            refuse(condition, reason);
        }
    }
}

#[test]
fn a_refusal_names_the_place() {
    let error = compile("query.size > 0 &&\n  matches.exists(m, m.other)").unwrap_err();
    assert!(error.reason.starts_with("a match has no field other (line 2, column "), "{}", error.reason);
}
