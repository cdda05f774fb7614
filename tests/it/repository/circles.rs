//! No file imports one that imports it back, directly or through others.
//!
//! An import is a path that begins with `crate`, `super` or `self`, in a `use` or inline. A declaration
//! `mod child;` does not count. Test modules are left out.

use std::collections::{BTreeMap, BTreeSet};

use crate::repository::source::{files, members};

/// The accepted cycles, each with a reason. The list is exact: a cycle that no longer exists fails too.
const CIRCLES: [(&[&str], &str); 2] = [
    (
        &[
            "services/core/index/src/search/signature.rs",
            "services/core/index/src/search/signature/avx2.rs",
            "services/core/index/src/search/signature/avx512.rs",
        ],
        "the dispatch to a kernel by processor, and the kernels",
    ),
    (
        &[
            "services/bank/src/store.rs",
            "services/bank/src/store/postgres.rs",
            "services/bank/src/store/postgres/documents.rs",
            "services/bank/src/store/postgres/exchanges.rs",
            "services/bank/src/store/postgres/insert.rs",
            "services/bank/src/store/postgres/lead.rs",
            "services/bank/src/store/postgres/published.rs",
            "services/bank/src/store/postgres/purges.rs",
            "services/bank/src/store/postgres/touched.rs",
            "services/bank/src/store/postgres/writer.rs",
            "services/bank/src/store/sql/audit.rs",
            "services/bank/src/store/sql/changes.rs",
            "services/bank/src/store/sql/documents.rs",
            "services/bank/src/store/sql/exchanges.rs",
            "services/bank/src/store/sql/find.rs",
            "services/bank/src/store/sql/published.rs",
            "services/bank/src/store/sql/purges.rs",
            "services/bank/src/store/sql/read.rs",
            "services/bank/src/store/sql/rechain.rs",
            "services/bank/src/store/sql/records.rs",
            "services/bank/src/store/sql/rows.rs",
            "services/bank/src/store/sqlite.rs",
        ],
        "the trait of stores, its two implementations, and the reading that they share",
    ),
];

#[test]
fn no_files_import_each_other() {
    let found: BTreeSet<Vec<String>> =
        crates().iter().flat_map(|(root, files)| circles(root, files)).collect();
    let allowed = CIRCLES.iter().map(|(files, _)| files.iter().map(|&file| file.to_owned()).collect());
    assert_eq!(found, allowed.collect());
    assert!(CIRCLES.len() <= 3, "too many circles are allowed");
}

/// Returns the source files of each crate, by the folder of its root.
fn crates() -> BTreeMap<String, BTreeMap<String, String>> {
    let mut folders: Vec<String> = members().iter().map(|member| format!("{member}/src")).collect();
    folders.extend(["tests/it", "tests/sim"].map(str::to_owned));
    folders.into_iter().map(|folder| (folder.clone(), files(&folder))).collect()
}

/// Returns the files of each import cycle of one crate.
fn circles(root: &str, files: &BTreeMap<String, String>) -> Vec<Vec<String>> {
    let modules: BTreeMap<Vec<&str>, &str> =
        files.keys().filter_map(|path| Some((module_of(root, path)?, path.as_str()))).collect();
    let imports: BTreeMap<&str, BTreeSet<&str>> = modules
        .iter()
        .map(|(module, &path)| {
            let paths = paths(&without_tests(&files[path]));
            let found = paths.iter().filter_map(|path| resolve(&modules, module, path));
            (path, found.filter(|found| *found != path).collect())
        })
        .collect();
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        imports.keys().map(|&path| (path, reached_from(path, &imports))).collect();
    let mut circles = BTreeSet::new();
    for (&path, others) in &reached {
        let circle: BTreeSet<&str> =
            others.iter().copied().filter(|other| reached[other].contains(path)).collect();
        if circle.len() > 1 {
            circles.insert(circle.into_iter().map(str::to_owned).collect());
        }
    }
    circles.into_iter().collect()
}

/// Returns the module of a file; `None` for tests and for separate programs.
fn module_of<'a>(root: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let inner = path.strip_prefix(root)?.trim_start_matches('/').strip_suffix(".rs")?;
    let mut module: Vec<&str> = inner.split('/').collect();
    if module == ["lib"] || module == ["main"] {
        return Some(Vec::new());
    }
    if module.first() == Some(&"bin") || module.contains(&"tests") {
        return None;
    }
    if module.last() == Some(&"mod") {
        module.pop();
    }
    Some(module)
}

/// Returns all files that a file imports, directly or through others; including itself, if there is a cycle.
fn reached_from<'a>(path: &'a str, imports: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![path];
    while let Some(path) = next.pop() {
        next.extend(imports.get(path).into_iter().flatten().copied().filter(|path| reached.insert(*path)));
    }
    reached
}

/// Returns the file of the innermost module in a path.
fn resolve<'a>(modules: &BTreeMap<Vec<&str>, &'a str>, of: &[&str], path: &[String]) -> Option<&'a str> {
    let mut full: Vec<&str> = Vec::new();
    let mut rest = path.iter().map(String::as_str).peekable();
    match rest.next()? {
        "crate" => {}
        "self" => full.extend(of),
        _ => {
            full.extend(of.split_last()?.1);
            while rest.next_if_eq(&"super").is_some() {
                full.pop();
            }
        }
    }
    full.extend(rest);
    (0..=full.len()).rev().find_map(|length| modules.get(&full[..length]).copied())
}

/// Returns the text without comments, and without the test module at its end.
fn without_tests(text: &str) -> String {
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut parts = text.split("#[cfg(test)]\n");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // There may be attributes in between.
        let item = part.lines().find(|line| !line.trim_start().starts_with("#[")).unwrap_or_default();
        let is_inline_module = item.contains("mod ") && item.ends_with('{');
        if is_inline_module {
            break;
        }
        kept.push_str(part);
    }
    kept
}

/// Returns all paths within the crate in a text.
fn paths(text: &str) -> Vec<Vec<String>> {
    let is_word = |one: char| one.is_alphanumeric() || one == '_';
    let mut found = Vec::new();
    for keyword in ["crate", "super", "self"] {
        for (at, _) in text.match_indices(&format!("{keyword}::")) {
            let before = text[..at].chars().next_back();
            let is_begin = !before.is_some_and(|one| is_word(one) || one == ':');
            if is_begin {
                expand(Vec::new(), &text[at..], &mut found);
            }
        }
    }
    found
}

/// Parses a path at the start of a text, which may end in braces with further paths; returns the remaining
/// text.
fn expand<'a>(mut prefix: Vec<String>, mut text: &'a str, found: &mut Vec<Vec<String>>) -> &'a str {
    loop {
        text = text.trim_start();
        if let Some(mut inner) = text.strip_prefix('{') {
            loop {
                inner = inner.trim_start();
                if let Some(rest) = inner.strip_prefix('}') {
                    return rest;
                }
                let rest = expand(prefix.clone(), inner, found);
                // Skips a name after `as`, and the comma.
                let end = rest.find([',', '}']).unwrap_or(rest.len());
                inner = rest[end..].trim_start_matches(',');
                if inner.is_empty() {
                    return inner;
                }
            }
        }
        let end = text.find(|one: char| !one.is_alphanumeric() && one != '_').unwrap_or(text.len());
        if end == 0 {
            break;
        }
        prefix.push(text[..end].to_owned());
        text = &text[end..];
        match text.strip_prefix("::") {
            Some(rest) => text = rest,
            None => break,
        }
    }
    found.push(prefix);
    text
}

#[test]
fn imports_are_read_in_all_their_forms() {
    let text = "use crate::a::{self, b::{C, d as e}, F};\nuse super::super::g;\nfn f() { crate::h::i(self::j::K) }\nuse std::crate_like::x;\n// use crate::no;\n#[cfg(test)]\nmod tests {\n use crate::never;\n}\n";
    let paths: BTreeSet<String> =
        paths(&without_tests(text)).into_iter().map(|path| path.join("::")).collect();
    let expected = [
        "crate::a::self",
        "crate::a::b::C",
        "crate::a::b::d",
        "crate::a::F",
        "super::super::g",
        "crate::h::i",
        "self::j::K",
    ];
    assert_eq!(paths, expected.map(str::to_owned).into());
}

#[test]
fn a_circle_of_three_files_is_found_and_a_line_is_not() {
    let files = |texts: [&str; 4]| {
        let names = ["lib", "a", "b", "b/c"].map(|name| format!("x/src/{name}.rs"));
        names.into_iter().zip(texts.map(str::to_owned)).collect::<BTreeMap<_, _>>()
    };
    let circle =
        files(["mod a; mod b;", "use crate::b::Thing;", "mod c;\nuse self::c::Other;", "use crate::a;"]);
    assert_eq!(circles("x/src", &circle), [["x/src/a.rs", "x/src/b.rs", "x/src/b/c.rs"].map(str::to_owned)]);
    let line = files(["use crate::a::run;", "use crate::b::Thing;", "mod c;\nuse self::c::Other;", ""]);
    assert!(circles("x/src", &line).is_empty());
}
