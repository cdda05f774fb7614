//! The repository's own files, read for its rules.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Returns cargo's metadata of the workspace.
pub(super) fn metadata() -> serde_json::Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Returns the folders of the workspace's members, in the order of the list.
pub(super) fn members() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let listed = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    let entries = listed.lines().map(|line| line.trim().trim_matches([',', '"']));
    entries.filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// Returns every Rust source file below a folder, by its path from the root of the repository. Generated
/// files are in `target` and are left out.
pub(super) fn files(folder: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                let from_root = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                found.insert(from_root, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}
