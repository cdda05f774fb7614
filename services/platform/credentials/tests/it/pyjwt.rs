//! Tokens made by PyJWT, which shares no code with Vigie: those in `testdata`, and new ones if Python has it.
//!
//! With `VIGIE_REQUIRE_PYJWT` set, its absence is a failure. `VIGIE_PYTHON` names another interpreter than
//! `python3`.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use serde_json::{Value, json};
use vigie_credentials::Rejected;

use crate::issuer::{ISSUER, config, issuers};

#[derive(Deserialize)]
struct Tokens {
    made_by: String,
    now: u64,
    jwks: Value,
    good: BTreeMap<String, String>,
    bad: BTreeMap<String, Bad>,
}

#[derive(Deserialize)]
struct Bad {
    token: String,
    reason: String,
}

async fn check(text: &[u8]) {
    let tokens: Tokens = serde_json::from_slice(text).unwrap();
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(tokens.now);
    let issuers = issuers(config(json!({})), Some(tokens.jwks.to_string().into_bytes()));
    for (name, token) in &tokens.good {
        let verified = issuers.verify(token, now).await;
        let verified = verified.unwrap_or_else(|refused| panic!("{}: {name}: {refused}", tokens.made_by));
        assert_eq!((verified.issuer(), verified.subject()), (ISSUER, "uploads@acme"), "{name}");
        assert_eq!(verified.groups(), ["matchers"], "{name}");
    }
    for (name, bad) in &tokens.bad {
        let refused = issuers.verify(&bad.token, now).await.map_err(Rejected::from);
        let reason = refused.as_ref().map_err(Rejected::reason);
        assert_eq!(reason.err(), Some(bad.reason.as_str()), "{}: {name}: {refused:?}", tokens.made_by);
    }
    assert!(tokens.good.len() >= 7 && tokens.bad.len() >= 22);
}

fn testdata(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

#[tokio::test]
async fn tokens_of_one_run_of_pyjwt_are_taken_and_its_attacks_are_not() {
    check(&std::fs::read(testdata("tokens.json")).unwrap()).await;
}

#[tokio::test]
async fn tokens_that_pyjwt_makes_now_are_taken_and_its_attacks_are_not() {
    let named = env::var("VIGIE_PYTHON").ok();
    let interpreters = named.as_deref().map_or(vec!["python3", "/usr/bin/python3"], |named| vec![named]);
    for python in interpreters {
        let output = Command::new(python).arg(testdata("tokens.py")).output();
        if let Ok(output) = output
            && output.status.success()
        {
            check(&output.stdout).await;
            return;
        }
    }
    let absence = "no Python with PyJWT and cryptography was found";
    assert!(env::var_os("VIGIE_REQUIRE_PYJWT").is_none(), "{absence}, and VIGIE_REQUIRE_PYJWT is set");
    eprintln!("skipped: {absence}");
}
