//! Rules of the repository that a reviewer would otherwise have to remember.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::repository::source::{members as folders, metadata, root};

/// A crate of the workspace.
struct Member {
    layer: Layer,
    /// The names of its direct dependencies.
    dependencies: BTreeSet<String>,
    /// The names of dependencies that only its tests have.
    for_tests: BTreeSet<String>,
}

/// The layer of a crate, which its folder determines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layer {
    Core,
    Platform,
    Proto,
    Clients,
    /// The authentication of callers, and their rights.
    Access,
    Service,
    /// The one binary, which combines the services.
    Binary,
    /// Test data, some of which the binary's demonstration shows.
    Fixture,
    /// The load test and the tests of whole clusters.
    Outside,
}

impl Layer {
    fn of(folder: &Path) -> Self {
        let parts: Vec<_> = folder.iter().map(|part| part.to_str().unwrap()).collect();
        match parts[..] {
            ["services", "core", _] => Self::Core,
            ["services", "platform", _] => Self::Platform,
            ["proto"] => Self::Proto,
            ["services", "clients"] => Self::Clients,
            ["services", "access"] => Self::Access,
            ["services", "vigie"] => Self::Binary,
            ["services", _] => Self::Service,
            ["tests", "pictures" | "test-postgres"] => Self::Fixture,
            ["loadtest" | "tests"] | ["tests", _] => Self::Outside,
            _ => panic!("{} is in no layer: say here in which", folder.display()),
        }
    }

    /// Returns the layers that a crate of this layer may depend on.
    const fn below(self) -> &'static [Self] {
        use Layer::{Access, Binary, Clients, Core, Fixture, Outside, Platform, Proto, Service};
        match self {
            Core => &[Core],
            Platform => &[Platform],
            Fixture => &[Fixture],
            Proto => &[Core, Platform],
            Clients => &[Core, Platform, Proto],
            Access => &[Core, Platform, Proto, Clients],
            Service => &[Core, Platform, Proto, Clients, Access],
            Binary => &[Core, Platform, Proto, Clients, Access, Service, Fixture],
            Outside => &[Core, Platform, Proto, Clients, Access, Service, Binary, Fixture, Outside],
        }
    }
}

fn members() -> BTreeMap<String, Member> {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap().iter();
    packages
        .map(|package| {
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let folder = manifest.parent().unwrap().strip_prefix(root().canonicalize().unwrap()).unwrap();
            let names = |for_tests: bool| {
                let all = package["dependencies"].as_array().unwrap().iter();
                let some = all.filter(|one| (one["kind"] == "dev") == for_tests);
                some.map(|one| one["name"].as_str().unwrap().to_owned()).collect()
            };
            let (dependencies, for_tests) = (names(false), names(true));
            let member = Member { layer: Layer::of(folder), dependencies, for_tests };
            (package["name"].as_str().unwrap().to_owned(), member)
        })
        .collect()
}

/// `core <- proto <- clients <- access <- services <- the binary <- loadtest, tests`, and `platform` beside
/// `core`, knowing no domain.
#[test]
fn dependencies_point_one_way() {
    // A frontend may have an embedded coordinator.
    let exceptions = [("vigie-frontend", "vigie-coordinator")];
    let members = members();
    for (name, member) in &members {
        for dependency in &member.dependencies {
            let Some(other) = members.get(dependency) else { continue };
            assert!(
                member.layer.below().contains(&other.layer)
                    || exceptions.contains(&(name.as_str(), dependency.as_str())),
                "{name} ({:?}) depends on {dependency} ({:?})",
                member.layer,
                other.layer
            );
        }
    }
    // The tests of the platform must not depend on a domain either.
    let platform = members.iter().filter(|(_, member)| member.layer == Layer::Platform);
    for (name, member) in platform.clone() {
        let of_the_domain =
            |other: &&String| members.get(*other).is_some_and(|one| one.layer != Layer::Platform);
        assert_eq!(member.for_tests.iter().find(of_the_domain), None, "of the tests of {name}");
    }
    assert!(platform.count() >= 5);
}

#[test]
fn the_core_knows_no_network() {
    for (name, member) in members() {
        if matches!(member.layer, Layer::Core | Layer::Fixture) && name != "vigie-test-postgres" {
            for network in ["tokio", "tonic", "prost"] {
                assert!(!member.dependencies.contains(network), "{name} depends on {network}");
            }
        }
    }
}

#[test]
fn every_member_keeps_the_workspace_lints() {
    for folder in folders() {
        let member = std::fs::read_to_string(root().join(&folder).join("Cargo.toml")).unwrap();
        assert!(member.contains("[lints]\nworkspace = true"), "{folder}");
        assert!(member.contains("publish.workspace = true"), "{folder}");
    }
}
