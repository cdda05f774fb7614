//! Tests that the program starts and prints its help. Because of this file, `cargo test --workspace` builds
//! the program, which the tests of the whole cluster use.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::process::Command;

fn output(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_vigie")).args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_help_names_every_command_and_exit_code() {
    let help = output(&["--help"]);
    let begins = |word: &str| help.lines().any(|line| line.trim_start().starts_with(word));
    let roles = ["bank ", "matcher ", "coordinator ", "frontend "];
    for command in [
        "demo ",
        "up ",
        "match ",
        "hash ",
        "item ",
        "opinion ",
        "dispute ",
        "status ",
        "whoami ",
        "member ",
        "principal ",
        "grant ",
        "quota ",
        "policy ",
        "audit ",
        "config ",
        "tls ",
    ]
    .into_iter()
    .chain(roles)
    {
        assert!(begins(command), "{command} in {help}");
    }
    for code in ["0 ", "1 ", "2 ", "3 ", "4 ", "10 "] {
        assert!(begins(code), "exit code {code} in {help}");
    }
    assert!(output(&["match", "--help"]).contains("Global options:"));
}

#[test]
fn the_help_of_files_names_every_format_and_what_protects_a_bank() {
    let add = output(&["item", "add", "--help"]);
    let sync = output(&["bank", "sync", "--help"]);
    let export = output(&["bank", "export", "--help"]);
    let both = [
        "csv",
        "tsv",
        "semicolon",
        "jsonl",
        "list",
        "named",
        "sums",
        "threatexchange",
        "tx",
        "tx-dataset",
        "hma",
        "stopncii",
        "ncmec",
    ];
    for format in both.into_iter().chain(["pdq", "pdq-details"]) {
        assert!(add.contains(format) && sync.contains(format), "{format} in {add}{sync}");
        assert_eq!(
            export.contains(&format!("{format},")) || export.contains(&format!("{format}]")),
            both.contains(&format),
            "{format} in {export}"
        );
    }
    for option in ["--type", "--columns", "--ignore-unknown", "--rejects", "--dry-run"] {
        assert!(add.contains(option) && sync.contains(option), "{option} in {add}{sync}");
    }
    assert!(sync.contains("--remove-max") && sync.contains("10%") && sync.contains("--ignore-bad"), "{sync}");
}

#[test]
fn the_version_is_that_of_the_package() {
    assert_eq!(output(&["--version"]).trim(), concat!("vigie ", env!("CARGO_PKG_VERSION")));
}
