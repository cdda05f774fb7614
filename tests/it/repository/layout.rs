//! The sizes of files and folders, and the order of the workspace's members.
//!
//! The lists of exceptions are exact: one that is no longer needed fails too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::repository::source::{files, members, metadata, root};

/// The most lines of a source file; a longer one probably has two subjects.
const LINES_MAX: usize = 500;
/// The most files in a folder; one with more should have subfolders that name its parts.
const FILES_MAX: usize = 14;

/// Files that may be longer.
const LONG_FILES: [&str; 0] = [];
/// Folders that may have more files.
const FULL_FOLDERS: [&str; 0] = [];

#[test]
fn no_source_file_is_too_long() {
    let all = files("");
    let long = all.iter().filter(|(_, text)| text.lines().count() > LINES_MAX).map(|(path, _)| path.as_str());
    assert_eq!(long.collect::<BTreeSet<_>>(), LONG_FILES.into(), "of more than {LINES_MAX} lines");
}

#[test]
fn no_comment_is_wider_than_code_may_be() {
    let settings: toml::Table =
        std::fs::read_to_string(root().join("rustfmt.toml")).unwrap().parse().unwrap();
    let width = usize::try_from(settings["max_width"].as_integer().unwrap()).unwrap();
    let files = files("");
    let is_wide = |line: &&str| {
        let comment = line.trim_start();
        // A link cannot be broken.
        let has_spaces = comment.trim_start_matches(['/', '!']).trim().contains(' ');
        comment.starts_with("//") && has_spaces && line.chars().count() > width
    };
    let wide: Vec<String> = files
        .iter()
        .flat_map(|(path, text)| text.lines().filter(is_wide).map(move |line| format!("{path}: {line}")))
        .collect();
    assert!(wide.is_empty(), "{} lines, such as {:#?}", wide.len(), &wide[..wide.len().min(10)]);
    assert!(files.len() > 1_000, "{} files were read", files.len());
}

#[test]
fn no_folder_has_too_many_source_files() {
    let all = files("");
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for path in all.keys() {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        *counts.entry(folder).or_default() += 1;
    }
    let full = counts.into_iter().filter(|(_, count)| *count > FILES_MAX).map(|(folder, _)| folder);
    assert_eq!(full.collect::<BTreeSet<_>>(), FULL_FOLDERS.into(), "of more than {FILES_MAX} source files");
}

/// The list is a map: read from top to bottom, every crate comes after its dependencies.
#[test]
fn members_are_listed_in_dependency_order() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let names: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    let mut above = BTreeSet::new();
    for folder in members() {
        let manifest = root().join(folder).join("Cargo.toml").canonicalize().unwrap();
        let is_it =
            |package: &&serde_json::Value| manifest == Path::new(package["manifest_path"].as_str().unwrap());
        let package = packages.iter().find(is_it).unwrap();
        let name = text(&package["name"]);
        for dependency in package["dependencies"].as_array().unwrap() {
            let other = text(&dependency["name"]);
            assert!(
                !names.contains(&other) || above.contains(&other),
                "{name} is listed above {other}, on which it depends"
            );
        }
        above.insert(name);
    }
    assert_eq!(above, names);
}
