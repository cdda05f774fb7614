//! People of a consortium, each with a browser.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vigie_harness::in_process::Cluster;

use crate::gateway::client::Http;
use crate::gateway::console::browser::Browser;

/// The time limit for the gateway to learn a new key.
const KNOWN_WITHIN: Duration = Duration::from_secs(20);

/// A new principal: a browser signed in with its key, and an HTTP client with the same key.
pub(super) async fn person(cluster: &Cluster, by: &Http, asked: Value) -> (Browser, Http) {
    let made = by.post("/v1/principals", &asked).await.body(201);
    let key = made["api_key"].as_str().unwrap();
    let http = by.with_key(key);
    let begun = Instant::now();
    while http.get("/v1/whoami").await.status != 200 {
        assert!(begun.elapsed() < KNOWN_WITHIN, "the key is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (Browser::signed_in(cluster, key).await, http)
}
