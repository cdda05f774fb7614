//! Rules of the repository that a reviewer would otherwise have to remember.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// The names of each member's dependencies within the workspace, and of all its direct ones.
fn members() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let normal = dependencies.filter(|one| one["kind"].is_null());
            let names = normal.map(|one| one["name"].as_str().unwrap().to_owned()).collect();
            (package["name"].as_str().unwrap().to_owned(), names)
        })
        .collect()
}

#[test]
fn no_service_depends_on_a_service() {
    let services = ["vigie-bank", "vigie-matcher", "vigie-coordinator", "vigie-frontend"];
    let members = members();
    for service in services {
        for other in services {
            assert!(!members[service].contains(other), "{service} depends on {other}");
        }
    }
}

#[test]
fn the_core_knows_no_network() {
    let members = members();
    for core in ["vigie-model", "vigie-hashing", "vigie-index", "vigie-pictures"] {
        for network in ["tokio", "tonic", "prost", "vigie-proto", "vigie-clients"] {
            assert!(!members[core].contains(network), "{core} depends on {network}");
        }
    }
    for shared in ["vigie-serving", "vigie-telemetry"] {
        assert!(!members[shared].contains("vigie-model"), "{shared} knows the domain");
    }
}

#[test]
fn every_member_keeps_the_workspace_lints() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let manifest = std::fs::read_to_string(root.join("Cargo.toml")).unwrap();
    let folders = manifest.split("members = [").nth(1).unwrap().split(']').next().unwrap();
    for folder in
        folders.lines().map(|line| line.trim().trim_matches([',', '"'])).filter(|line| !line.is_empty())
    {
        let member = std::fs::read_to_string(root.join(folder).join("Cargo.toml")).unwrap();
        assert!(member.contains("[lints]\nworkspace = true"), "{folder}");
        assert!(member.contains("publish.workspace = true"), "{folder}");
    }
}
