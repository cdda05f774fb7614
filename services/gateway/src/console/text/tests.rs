use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use http::HeaderValue;

use super::*;

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console")
}

/// Returns the texts of a language, each with the names that are filled in.
fn names(language: Language) -> BTreeMap<String, BTreeSet<String>> {
    let of = |text: &String| {
        text.split('{')
            .skip(1)
            .map(|rest| rest.split_once('}').expect("a brace is closed").0.to_owned())
            .collect()
    };
    TEXTS[language as usize].iter().map(|(key, text)| (key.clone(), of(text))).collect()
}

/// Finds the sources of the console without its tests.
fn sources(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && path.file_stem().unwrap() != "tests" {
            found.push((path.clone(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_file_is_read_in_every_language() {
    for (at, language) in Language::ALL.into_iter().enumerate() {
        let mut files: Vec<String> = std::fs::read_dir(here().join("text").join(language.code()))
            .unwrap()
            .map(|file| file.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        files.sort();
        let mut listed: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        listed.sort_unstable();
        assert_eq!(files, listed, "{}", language.code());
        for (name, texts) in FILES {
            let table = texts[at].parse::<Table>();
            assert!(table.is_ok_and(|table| !table.is_empty()), "{}/{name}", language.code());
        }
    }
}

#[test]
fn the_languages_have_the_same_texts_with_the_same_names() {
    let (english, french) = (names(Language::English), names(Language::French));
    for (key, names) in &english {
        assert_eq!(french.get(key), Some(names), "{key}");
    }
    for key in french.keys() {
        assert!(english.contains_key(key), "{key} is in French alone");
    }
}

/// The sources contain each key, or its beginning if the rest is computed: `"done.{key}"`.
#[test]
fn pages_use_texts_that_exist_and_all_of_them() {
    let mut found = Vec::new();
    sources(&here(), &mut found);
    let known: BTreeSet<&str> = FILES.iter().map(|(name, _)| *name).collect();
    let mut used: BTreeSet<String> = BTreeSet::new();
    let texts = names(Language::English);
    for (path, source) in &found {
        for literal in source.split('"').skip(1).step_by(1) {
            // Names of scripts look like keys.
            let is_key = !literal.ends_with(".js")
                && literal.split_once('.').is_some_and(|(file, _)| known.contains(file))
                && literal.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._{}".contains(&byte));
            if !is_key {
                continue;
            }
            let fixed = literal.split('{').next().unwrap();
            let is_whole = fixed == literal;
            let hit: Vec<&String> = texts
                .keys()
                .filter(|key| match is_whole {
                    true => {
                        *key == literal
                            || *key == &format!("{literal}.one")
                            || *key == &format!("{literal}.other")
                    }
                    false => key.starts_with(fixed),
                })
                .collect();
            assert!(!hit.is_empty(), "{}: no text for {literal}", path.display());
            used.extend(hit.into_iter().cloned());
        }
    }
    let unused: Vec<&String> = texts.keys().filter(|key| !used.contains(*key)).collect();
    assert!(unused.is_empty(), "no page uses {unused:?}");
}

/// A form that was carried out redirects to a page that shows the result.
#[test]
fn what_is_done_is_said() {
    let mut found = Vec::new();
    sources(&here(), &mut found);
    let mut count = 0;
    for (path, source) in &found {
        for call in source.split("Done::saying(").skip(1) {
            // The key is the literal that follows the path's: the second argument.
            let arguments = call.split(';').next().unwrap();
            let second = arguments.split_once(", ").map_or("", |(_, rest)| rest.trim_start());
            let Some(key) = second.strip_prefix('"').and_then(|rest| rest.split('"').next()) else {
                continue;
            };
            count += 1;
            assert!(Language::English.has(&format!("done.{key}")), "{}: {key}", path.display());
        }
    }
    assert!(count >= 5, "{count} calls are understood");
}

#[test]
fn a_browser_gets_the_language_that_it_prefers() {
    let of = |header: &str| {
        Language::of(&HeaderMap::from_iter([(
            header::ACCEPT_LANGUAGE,
            HeaderValue::from_str(header).unwrap(),
        )]))
    };
    assert_eq!(of("fr-CA, en;q=0.5"), Language::French);
    assert_eq!(of("de, en-GB;q=0.3, fr;q=0.9"), Language::French);
    assert_eq!(of("de"), Language::English);
    assert_eq!(of("fr;q=0, en;q=0.1"), Language::English);
    assert_eq!(of("fr;q=x"), Language::English);
    let mut chosen = HeaderMap::new();
    chosen.insert(header::COOKIE, HeaderValue::from_static("a=b; vigie-language=fr"));
    assert_eq!(Language::of(&chosen), Language::French);
}

#[test]
fn numbers_are_written_as_the_language_has_it() {
    assert_eq!(Language::English.number(1_234_567), "1,234,567");
    assert_eq!(Language::French.number(1_234), "1\u{202f}234");
    assert_eq!(Language::English.number(999), "999");
}
