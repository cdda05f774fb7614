//! Tests commands that need no cluster, as scripts and people use them.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as tests do")]

use std::path::Path;
use std::process::{Command, Output};

/// Runs the program with `environment`, and without any `VIGIE_` and colour variables of the test run.
fn vigie(args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigie"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VIGIE_") || name.contains("COLOR"))
    {
        command.env_remove(name);
    }
    command.args(args).envs(environment.iter().copied()).output().unwrap()
}

fn done(args: &[&str]) -> String {
    let output = vigie(args, &[]);
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_of_the_configuration_is_what_the_binary_shows() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../CONFIGURATION.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, tables) = page.split_once("<!-- vigie config show --markdown -->\n\n").unwrap();
    assert!(
        tables == done(&["config", "show", "--markdown"]),
        "the tables of CONFIGURATION.md are not those of the code: replace them by what `vigie config show --markdown` prints"
    );
}

#[test]
fn a_shown_file_has_no_faults_and_neither_have_all_its_defaults() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("shown.toml");
    for role in ["bank", "matcher", "coordinator", "frontend"] {
        let shown = done(&["config", "show", role]);
        assert!(shown.lines().all(|line| line.chars().count() <= 80 || !line.starts_with("# ")), "{shown}");
        let mut is_unset = false;
        let mut is_tls = false;
        let mut set = String::new();
        for line in shown.lines() {
            is_tls = if line.contains('[') && line.ends_with(']') && !line.contains(" = ") {
                line.ends_with("[tls]")
            } else {
                is_tls
            };
            let bare = line.strip_prefix('#').filter(|bare| !bare.starts_with(' '));
            set.push_str(if is_unset || is_tls { line } else { bare.unwrap_or(line) });
            set.push('\n');
            is_unset = line.ends_with("Not set by default.");
        }
        for text in [&shown, &set] {
            // A coordinator without matchers is not valid.
            let text = text.replace("matchers = []", "matchers = ['http://127.0.0.1:7750']");
            let text = if role == "coordinator" { text.replace("#matchers", "matchers") } else { text };
            std::fs::write(&file, text).unwrap();
            assert!(done(&["config", "check", file.to_str().unwrap()]).contains("no faults"), "{role}");
        }
        assert_ne!(set, shown);
    }
}

#[test]
fn keys_and_schemas_are_printed_for_scripts() {
    let lines = done(&["--json", "config", "show", "matcher"]);
    let keys: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let shard_count = keys.iter().find(|key| key["key"] == "matcher.shard_count").unwrap();
    assert_eq!(shard_count["default"], "1");
    assert_eq!(
        (shard_count["unit"].as_str(), shard_count["accepts"].as_str()),
        (Some("shards"), Some("1 to 256"))
    );
    assert!(keys.iter().all(|key| !key["key"].as_str().unwrap().starts_with("frontend.")));
    let schema: serde_json::Value = serde_json::from_str(&done(&["config", "schema", "bank"])).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["listen", "bank"]));
    assert_eq!(done(&["config", "show", "bank", "--schema"]), done(&["config", "schema", "bank"]));
}

#[test]
fn every_fault_is_reported_with_what_set_the_value_and_what_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("frontend.toml");
    std::fs::write(&file, "[frontend]\nquality_floor = 101\ncoordinator = 'http://10.0.0.1'\n").unwrap();
    let args = ["config", "check", file.to_str().unwrap(), "--set", "frontend.hashing_queue_max=0"];
    let environment = [("VIGIE__FRONTEND__SERVING__DRAIN_MS_MAX", "long"), ("VIGIE__LISTEN", "7740")];
    let output = vigie(&args, &environment);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for expected in [
        format!("{}: frontend.quality_floor: ", file.display()),
        format!("{}: frontend.coordinator: `http://10.0.0.1` is no endpoint", file.display()),
        "VIGIE__FRONTEND__SERVING__DRAIN_MS_MAX: frontend.serving.drain_ms_max: ".to_owned(),
        "VIGIE__LISTEN: listen: 7740 is not an address with a port".to_owned(),
        "--set frontend.hashing_queue_max: frontend.hashing_queue_max: must be at least 1".to_owned(),
    ] {
        assert!(said.lines().any(|line| line.starts_with(&expected)), "{expected} in {said}");
    }
    assert!(said.contains("expected a number (accepts at least 0)"), "{said}");
    let of_all = vigie(&[&["--json"][..], &args].concat(), &environment);
    let object: serde_json::Value = serde_json::from_slice(&of_all.stdout).unwrap();
    let faults = object["faults"].as_array().unwrap();
    assert_eq!(faults.len() + 1, said.lines().count(), "{said}");
    assert!(faults.iter().any(|fault| fault["source"] == "VIGIE__LISTEN" && fault["key"] == "listen"));
}

#[test]
fn shells_complete_every_command_and_man_has_a_page_of_each() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = done(&["completions", shell]);
        assert!(script.contains("config") && script.contains("telemetry-listen"), "{shell}");
    }
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    done(&["man", pages.to_str().unwrap()]);
    for (page, expected) in [
        ("vigie.1", "Exit codes"),
        ("vigie-up.1", "telemetry\\-listen"),
        ("vigie-config-check.1", "vigie\\-config\\-check"),
        ("vigie-bank-backup.1", "embedded"),
    ] {
        let text = std::fs::read_to_string(pages.join(page)).unwrap();
        assert!(text.contains(expected) && text.contains(".TH"), "{page}: {text}");
    }
}

#[test]
fn colours_are_where_a_person_wants_them() {
    let coloured = |environment: &[(&str, &str)]| {
        let output = vigie(&["config", "check", "/no/such/file"], environment);
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap().contains('\x1b')
    };
    assert!(!coloured(&[]), "no terminal");
    assert!(coloured(&[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[("NO_COLOR", "1")]));
}

/// Faults of certificates and addresses remain until somebody corrects them, so they are not retried.
#[test]
fn what_trying_again_cannot_mend_exits_with_1() {
    let nowhere = "https://127.0.0.1:1";
    for args in [
        &["bank", "list", "--bank-url", nowhere, "--ca", "/no/such/ca.crt"][..],
        &["bank", "list", "--bank-url", "http://127.0.0.1"],
        &["bank", "--set", "bank.store=nonsense", "--listen", "127.0.0.1:0"],
        &["matcher", "--set", "matcher.shard=x", "--listen", "127.0.0.1:0"],
        &["match", "/bin/true", "--frontend", nowhere, "--ca", "/no/such/ca.crt"],
    ] {
        let output = vigie(args, &[]);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let unreachable =
        vigie(&["bank", "list", "--bank-url", "http://127.0.0.1:1", "--timeout-ms", "300"], &[]);
    assert_eq!(unreachable.status.code(), Some(4));
}
