//! Checks our notes, checkpoints, stored hashes and proofs with Go's own libraries, and Go's with ours.
//!
//! The Go program is `peers/main.go`, with `golang.org/x/mod` at the version of `peers/go.mod`. Go fetches
//! that module once.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{Log, ORIGIN, key, known, log_key, witness_key};
use crate::checkpoint::Checkpoint;
use crate::note::{KeyKind, KnownKeys, Note, SignerKey, UnixSeconds, VerifierKey, VerifyError};
use crate::tree::*;
use crate::witness::Witness;

/// The size of the log, and the size up to which every proof is checked (`PROOFS`).
const ENTRIES: usize = 300;
const PROOFS: usize = 33;
const AT: UnixSeconds = UnixSeconds(1_795_000_000);

/// Runs Go in the folder of the program; `None`, with a line that explains what to do, if Go is missing.
fn go(arguments: &[&str], input: &str) -> Option<Output> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
    let mut command = Command::new("go");
    command.args(arguments).current_dir(folder).env("GOFLAGS", "-mod=readonly -buildvcs=false");
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match started {
        Ok(child) => child,
        Err(error) => {
            skipped(&format!(
                "`go` does not start ({error}); install Go 1.26 or later from https://go.dev/dl/ and put it on the PATH"
            ));
            return None;
        }
    };
    // A program that ends before it has read all input reports the reason at its end.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    Some(child.wait_with_output().unwrap())
}

fn skipped(why: &str) {
    eprintln!("SKIPPED: the audit was not checked by Go's sumdb/note and sumdb/tlog: {why}");
}

/// Returns whether Go and the module are available. A module that cannot be fetched is a fault in CI, and a
/// reason to skip elsewhere.
fn is_there() -> bool {
    let Some(output) = go(&["build", "-o", "/dev/null", "."], "") else { return false };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() || std::env::var_os("CI").is_none(),
        "go does not build peers/main.go: {said}"
    );
    if !output.status.success() {
        skipped(&format!(
            "go does not build peers/main.go; with a network, `go mod download` fetches what it needs:\n{said}"
        ));
    }
    output.status.success()
}

fn other_key() -> SignerKey {
    key(ORIGIN, KeyKind::Log, 3)
}

/// Returns the log's signed and cosigned checkpoint.
fn cosigned(log: &Log) -> String {
    let checkpoint = Checkpoint::new(ORIGIN, log.head(), &["an extension".to_owned()]).unwrap();
    let note = checkpoint.sign(&[&log_key(), &other_key()]).unwrap().to_string();
    let witness = Witness::new(witness_key(), ORIGIN, known(&[&log_key(), &other_key()])).unwrap();
    witness.cosign(None, note.as_bytes(), &[], AT).unwrap().note.to_string()
}

/// Returns the note with one byte changed, removed or inserted, at every place; and variants on which readers
/// tend to differ.
fn notes(right: &str) -> Vec<Vec<u8>> {
    let mut notes = vec![right.as_bytes().to_vec()];
    for at in 0..right.len() {
        for byte in [b'A', b'\n', b' ', b'+', b'=', 0x00, 0xa0] {
            let mut note = right.as_bytes().to_vec();
            note[at] = byte;
            notes.push(note.clone());
            note[at] = right.as_bytes()[at];
            note.insert(at, byte);
            notes.push(note);
        }
        let mut note = right.as_bytes().to_vec();
        note.remove(at);
        notes.push(note);
        notes.push(right.as_bytes()[..at].to_vec());
    }
    let (text, lines) = right.rsplit_once("\n\n").unwrap();
    let unknown = "\u{2014} x.example AAAAAAA=\n";
    for tail in [
        format!("\n\n{lines}"),
        format!("\n\n\n{lines}"),
        format!("\n\n{lines}\n"),
        format!("\n\n{unknown}{lines}"),
        format!("\n\n{lines}{unknown}{unknown}"),
        format!("\n\n{lines}{lines}"),
        format!("\n\n{lines}{}", unknown.repeat(97)),
        format!("\n\n{lines}{}", unknown.repeat(98)),
        "\n\n\u{2014} x.example AAAAAA==\n".to_owned(),
        "\n\n\u{2014} x.example AAAAAAB=\n".to_owned(),
        "\n\n\u{2014} x.example AAAAAAA\n".to_owned(),
        "\n\n\u{2014} x\u{2028}y AAAAAAA=\n".to_owned(),
        "\n\n\u{2014} x\u{200b}y AAAAAAA=\n".to_owned(),
        "\n\n\u{2014}\u{a0}x AAAAAAA=\n".to_owned(),
        "\n\n- x AAAAAAA=\n".to_owned(),
    ] {
        notes.push(format!("{text}{tail}").into_bytes());
    }
    notes
}

fn verdict(note: &[u8], keys: &KnownKeys) -> &'static str {
    match Note::parse(note).map(|note| note.verify(keys).map(|_| ())) {
        Err(_) => "malformed",
        Ok(Ok(())) => "accepted",
        Ok(Err(VerifyError::NoKnownKey)) => "unverified",
        Ok(Err(VerifyError::Forged { .. })) => "forged",
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn texts(hashes: &[NodeHash]) -> Vec<String> {
    hashes.iter().map(ToString::to_string).collect()
}

fn case(log: &mut Log, notes: &[Vec<u8>]) -> Value {
    let (mut inclusions, mut consistencies) = (Vec::new(), Vec::new());
    for size in (1..=PROOFS).chain([64, 100, 255, 256, ENTRIES]) {
        for index in (0..size).step_by(1 + size / PROOFS) {
            let path = texts(&log.inclusion(index, size));
            inclusions.push(json!({ "size": size, "index": index, "path": path }));
            // Go proves from 1 entry on.
            let path = texts(&log.consistency(index + 1, size));
            consistencies.push(json!({ "size": size, "index": index + 1, "path": path }));
        }
    }
    let roots: Vec<NodeHash> = (0..=ENTRIES).map(|size| log.head_at(size).root).collect();
    json!({
        "entries": log.entries.iter().map(|entry| encoded(entry)).collect::<Vec<_>>(),
        "stored": texts(&log.stored),
        "roots": texts(&roots),
        "inclusions": inclusions,
        "consistencies": consistencies,
        "private_key": log_key().to_secret_text(),
        "public_key": log_key().public().to_string(),
        "other_key": other_key().public().to_string(),
        "witness_name": witness_key().public().name(),
        "witness_seed": encoded(&[2; 32]),
        "witness_time": AT.0,
        "cosigned": cosigned(log),
        "notes": notes.iter().map(|note| encoded(note)).collect::<Vec<_>>(),
    })
}

#[test]
fn go_agrees() {
    if !is_there() {
        return;
    }
    let mut log = Log::of_size(ENTRIES);
    let notes = notes(&cosigned(&log));
    let output = go(&["run", "."], &case(&mut log, &notes).to_string()).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |name: &str| answer[name].as_str().unwrap();

    // Both implementations judge each note alike.
    let keys = known(&[&log_key(), &witness_key()]);
    let verdicts = answer["verdicts"].as_array().unwrap();
    assert_eq!(verdicts.len(), notes.len());
    for (note, by_go) in notes.iter().zip(verdicts) {
        assert_eq!(verdict(note, &keys), by_go.as_str().unwrap(), "{}", String::from_utf8_lossy(note));
    }
    for expected in ["accepted", "unverified", "forged", "malformed"] {
        assert!(verdicts.iter().any(|verdict| verdict == expected), "no note is {expected}");
    }

    // Text that Go has written is read here.
    let private: SignerKey = text("private_key").parse().unwrap();
    let public: VerifierKey = text("public_key").parse().unwrap();
    assert_eq!((private.public(), private.to_secret_text().as_str()), (&public, text("private_key")));
    let keys = KnownKeys::new([public, log_key().public().clone(), witness_key().public().clone()]).unwrap();
    let opened = Checkpoint::open(text("note").as_bytes(), "go.example/log", &keys).unwrap();
    assert_eq!((opened.checkpoint.tree(), opened.cosignatures[0].at), (&log.head(), AT));
    // Ed25519 signatures are deterministic: both implementations make the same bytes.
    let mut again = Note::sign(opened.checkpoint.to_string(), &[&private, &log_key()]).unwrap();
    assert_eq!(again.add_signatures(text("cosignature"), &keys).unwrap(), 1);
    assert_eq!(again.to_string(), text("note"));
    eprintln!("Go checked {} hashes and proofs, and {} notes", answer["checked"], notes.len());
}
