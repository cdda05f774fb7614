//! Measures the cost of checking a call's credentials.

use std::time::Instant;

use serde_json::Value;

use crate::calls::Server;
use crate::issuer::{NOW, config, issuers, now};

/// `cargo test --release -p vigie-credentials --test it -- --ignored --nocapture cost`
#[tokio::test]
#[ignore = "it measures, which a debug build does for nothing"]
async fn the_cost_of_each_credential() {
    const CALLS: u32 = 20_000;
    let server = Server::new();
    let mut rows = Vec::new();
    for (name, value) in [("API key", server.bearer()), ("Basic", "Basic x".to_owned())] {
        let begun = Instant::now();
        for _ in 0..CALLS {
            let _ = std::hint::black_box(server.verify(None, &[&value]).await);
        }
        rows.push((name.to_owned(), begun.elapsed() / CALLS));
    }
    let tokens: Value = serde_json::from_str(include_str!("../../testdata/tokens.json")).unwrap();
    assert_eq!(tokens["now"], NOW);
    let issuers = issuers(config(serde_json::json!({})), Some(tokens["jwks"].to_string().into_bytes()));
    for (name, token) in tokens["good"].as_object().unwrap() {
        let begun = Instant::now();
        for _ in 0..CALLS / 10 {
            issuers.verify(token.as_str().unwrap(), now()).await.unwrap();
        }
        rows.push((format!("token: {name}"), begun.elapsed() / (CALLS / 10)));
    }
    for (name, each) in rows {
        println!("{name:32} {each:?}");
    }
}
