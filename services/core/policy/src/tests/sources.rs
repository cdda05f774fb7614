//! Generates conditions from numbers: well-typed ones and others.

use super::support::Numbers;

/// Returns a well-typed CEL condition.
pub(super) fn typed(numbers: &mut Numbers) -> String {
    let depth = numbers.small(6) + 1;
    bool(numbers, depth, &mut Vec::new())
}

/// Returns a condition that is valid, invalid, deep or long.
pub(super) fn any(numbers: &mut Numbers) -> String {
    let source = typed(numbers);
    match numbers.below(12) {
        0 => mutated(numbers, &source),
        1 => {
            let count = numbers.small(40) + 1;
            vec![source.as_str(); usize::try_from(count).unwrap()]
                .join(numbers.pick(&[" && ", " || ", " == "]))
        }
        2 => {
            let deep = usize::try_from(numbers.below(24)).unwrap();
            format!("{}{source}{}", "(".repeat(deep), ")".repeat(deep))
        }
        3 => numbers
            .pick(&["", "1", "matches", "query", "\"", "true ?", "'x' == \"x\"", "null", "[]"])
            .to_owned(),
        _ => source,
    }
}

/// Returns the source with a few characters replaced, removed or repeated.
fn mutated(numbers: &mut Numbers, source: &str) -> String {
    let mut source: Vec<char> = source.chars().collect();
    for _ in 0..=numbers.below(3) {
        if source.is_empty() {
            break;
        }
        let at = usize::try_from(numbers.below(source.len() as u64)).unwrap();
        match numbers.below(3) {
            0 => drop(source.remove(at)),
            1 => source.insert(at, char::from(b' ' + u8::try_from(numbers.below(95)).unwrap())),
            _ => source[at] = char::from(b' ' + u8::try_from(numbers.below(95)).unwrap()),
        }
    }
    source.into_iter().collect()
}

/// The variables in scope, and whether each is a match (otherwise a text).
type Scope = Vec<(String, bool)>;

fn bool(numbers: &mut Numbers, depth: u32, scope: &mut Scope) -> String {
    if depth == 0 {
        return match found(numbers, scope) {
            Some(found) if numbers.one_in(2) => {
                format!("{found}.{}", numbers.pick(&["exact", "disputed", "held", "probation"]))
            }
            _ => numbers.pick(&["true", "false", "has(query.quality)"]).to_owned(),
        };
    }
    let depth = depth - 1;
    match numbers.below(14) {
        0 | 1 => format!("({} && {})", bool(numbers, depth, scope), bool(numbers, depth, scope)),
        2 | 3 => format!("({} || {})", bool(numbers, depth, scope), bool(numbers, depth, scope)),
        4 => format!("!({})", bool(numbers, depth, scope)),
        5 => {
            let condition = bool(numbers, depth, scope);
            format!("({condition} ? {} : {})", bool(numbers, depth, scope), bool(numbers, depth, scope))
        }
        6 => {
            let operator = numbers.pick(&["<", "<=", ">", ">=", "==", "!="]);
            format!("{} {operator} {}", int(numbers, depth, scope), int(numbers, depth, scope))
        }
        7 => {
            let operator = numbers.pick(&["==", "!=", "<", ">="]);
            format!("{} {operator} {}", text(numbers, scope), text(numbers, scope))
        }
        8 => {
            let test = numbers.pick(&["contains", "startsWith", "endsWith"]);
            format!("{}.{test}({})", text(numbers, scope), text(numbers, scope))
        }
        9 => format!("{} in {}", text(numbers, scope), texts(numbers, scope)),
        10 => format!("{} in [1, 2, 31, -4]", int(numbers, depth, scope)),
        _ if scope.len() < 2 => {
            let quantifier = numbers.pick(&["exists", "exists", "all", "exists_one"]);
            looped(numbers, scope, |numbers, scope, range, name| {
                format!("{range}.{quantifier}({name}, {})", bool(numbers, depth, scope))
            })
        }
        _ => bool(numbers, 0, scope),
    }
}

fn looped(
    numbers: &mut Numbers,
    scope: &mut Scope,
    then: impl FnOnce(&mut Numbers, &mut Scope, &str, &str) -> String,
) -> String {
    let is_match = scope.is_empty() || numbers.one_in(2);
    let range = if is_match { "matches".to_owned() } else { texts(numbers, scope) };
    let name = format!("v{}", scope.len());
    scope.push((name.clone(), is_match));
    let source = then(numbers, scope, &range, &name);
    scope.pop();
    source
}

fn int(numbers: &mut Numbers, depth: u32, scope: &mut Scope) -> String {
    let field = numbers.pick(&[
        "distance",
        "query_share",
        "item_share",
        "positives",
        "negatives",
        "seen",
        "age_days",
        "contributors",
    ]);
    match numbers.below(12) {
        0 if depth > 0 => {
            let operator = numbers.pick(&["+", "-", "*", "/", "%"]);
            format!("({} {operator} {})", int(numbers, depth - 1, scope), int(numbers, depth - 1, scope))
        }
        1 if depth > 0 => format!("-({})", int(numbers, depth - 1, scope)),
        2 => "matches.size()".to_owned(),
        3 => format!("size({})", text(numbers, scope)),
        4 => numbers.pick(&["query.quality", "query.size"]).to_owned(),
        5 => format!("matches[{}].{field}", numbers.below(4)),
        6 if depth > 0 && scope.len() < 2 => {
            looped(numbers, scope, |numbers, scope, range, name| match numbers.below(3) {
                0 => format!("{range}.filter({name}, {}).size()", bool(numbers, depth - 1, scope)),
                1 => format!("size({range}.map({name}, {}))", int(numbers, depth - 1, scope)),
                _ => {
                    let guard = bool(numbers, depth - 1, scope);
                    format!("{range}.map({name}, {guard}, {})[0]", int(numbers, depth - 1, scope))
                }
            })
        }
        7 => numbers.pick(&["9223372036854775807", "0", "-1", "0x10"]).to_owned(),
        8 => numbers.below(40).to_string(),
        _ => match found(numbers, scope) {
            Some(found) => format!("{found}.{field}"),
            None => numbers.below(5).to_string(),
        },
    }
}

fn text(numbers: &mut Numbers, scope: &Scope) -> String {
    if let Some((name, _)) = scope.iter().find(|(_, is_match)| !is_match)
        && numbers.one_in(2)
    {
        return name.clone();
    }
    let field = numbers.pick(&["bank", "owner", "alias", "hash_type", "variant", "mine"]);
    match (numbers.below(4), found(numbers, scope)) {
        (0, _) => numbers.pick(&["query.kind", "query.surface"]).to_owned(),
        (1 | 2, Some(found)) => format!("{found}.{field}"),
        _ => numbers.pick(&["\"ncmec\"", "'A1'", "''", "\"ümläut\"", "'avatar'", "\"a\\\"b\""]).to_owned(),
    }
}

fn texts(numbers: &mut Numbers, scope: &Scope) -> String {
    match found(numbers, scope) {
        Some(found) if !numbers.one_in(3) => {
            format!("{found}.{}", numbers.pick(&["labels", "classification"]))
        }
        _ => numbers.pick(&["['A1', 'A2']", "[\"flag\"]"]).to_owned(),
    }
}

fn found(numbers: &mut Numbers, scope: &Scope) -> Option<String> {
    let of_scope = scope.iter().rev().find(|(_, is_match)| *is_match).map(|(name, _)| name.clone());
    of_scope.or_else(|| numbers.one_in(2).then(|| format!("matches[{}]", numbers.below(3))))
}
