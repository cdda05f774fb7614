//! The files of `compose.yaml`: each is there, and the binary understands those that are its own.

use std::path::Path;

use crate::repository::chart::understood;
use crate::repository::source::root;

#[tokio::test]
async fn the_binary_understands_the_files_of_compose() {
    for role in ["bank", "matcher", "coordinator", "frontend"] {
        let file = std::fs::read_to_string(root().join(format!("deploy/compose/{role}.toml"))).unwrap();
        let table: toml::Table = file.parse().unwrap();
        assert_eq!(understood(role, &table).0, Vec::<String>::new(), "{role}");
    }
}

#[test]
fn every_file_that_compose_names_is_there() {
    let compose = std::fs::read_to_string(root().join("compose.yaml")).unwrap();
    let files: Vec<_> =
        compose.split("{file: ").skip(1).map(|rest| rest.split('}').next().unwrap()).collect();
    assert!(files.len() >= 9);
    assert!(files.iter().all(|file| Path::new(&root().join(file)).is_file()), "{files:?}");
}
