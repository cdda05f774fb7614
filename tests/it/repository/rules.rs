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
        // A frontend may be its own coordinator.
        let others =
            services.into_iter().filter(|other| (service, *other) != ("vigie-frontend", "vigie-coordinator"));
        for other in others {
            assert!(!members[service].contains(other), "{service} depends on {other}");
        }
    }
}

#[test]
fn the_core_knows_no_network() {
    let members = members();
    for core in ["vigie-model", "vigie-media", "vigie-index", "vigie-pictures"] {
        for network in ["tokio", "tonic", "prost", "vigie-proto", "vigie-clients"] {
            assert!(!members[core].contains(network), "{core} depends on {network}");
        }
    }
    assert!(!members["vigie-telemetry"].contains("vigie-model"), "telemetry knows the domain");
}

/// How urgent a call is goes with it through every service; of the rest of the domain a server knows nothing.
#[test]
fn serving_knows_of_the_domain_only_how_urgent_a_call_is() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for file in std::fs::read_dir(root.join("services/platform/serving/src")).unwrap() {
        let path = file.unwrap().path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).unwrap();
            let mut known = text.split("vigie_model::").skip(1);
            assert!(known.all(|rest| rest.starts_with("Priority")), "{}", path.display());
        }
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
