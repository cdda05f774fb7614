//! Requests to our own REST API that are refused, each with its status, its code and the field at fault.

use http::Method;
use serde_json::{Value, json};
use vigie_harness::in_process::Cluster;

use super::{lookup, md5};
use crate::gateway::client::{Http, cluster_with};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn cluster() -> (Cluster, Http) {
    let cluster = cluster_with(|config| {
        config.gateway.body_bytes_max = 65_536;
        config.gateway.bodies_bytes_max = 1 << 20;
    });
    let cluster = cluster.await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    (cluster, http)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_is_refused_by_its_field_and_repeats_no_hash() {
    let (cluster, http) = cluster().await;
    let hash = md5(7);
    let many = |count: usize, one: Value| vec![one; count];
    let query = &lookup(7)["queries"][0];
    let item = json!({ "hashes": [{ "type": "md5", "hash": hash }] });
    for (path, body, field) in [
        ("/v1/match", json!({}), "queries"),
        ("/v1/match", json!({ "queries": many(257, json!({ "hashes": [] })) }), "queries"),
        ("/v1/match", json!({ "queries": [query], "bank": "known" }), "bank"),
        (
            "/v1/match",
            json!({ "queries": [{ "hashes": [{ "type": "md5", "hash": &hash[..30] }] }] }),
            "queries[0].hashes[0].hash",
        ),
        (
            "/v1/match",
            json!({ "queries": [{ "hashes": [{ "type": hash, "hash": "x" }] }] }),
            "queries[0].hashes[0].hash_type",
        ),
        ("/v1/match", json!({ "queries": [query], "limit": hash }), "limit"),
        ("/v1/match", json!({ "queries": [query], "max_distance": { "md5": 1 } }), "max_distance"),
        ("/v1/match?timeout_ms=0", lookup(7), "timeout_ms"),
        ("/v1/match?limit=5", lookup(7), "limit"),
        ("/v1/banks", json!({ "name": "a b" }), "name"),
        ("/v1/banks", json!({ "name": "a", "match_ratio": 7.5 }), "match_ratio"),
        ("/v1/banks/known/items", json!({ "items": [] }), "items"),
        ("/v1/banks/known/items", json!({ "items": many(1_001, json!({ "hashes": [] })) }), "items"),
        ("/v1/banks/known/items", json!({ "items": [item, { "hashes": [] }] }), "items[1].hashes"),
        ("/v1/items/remove", json!({ "items": many(1_001, json!(1)) }), "items"),
        ("/v1/items/hold", json!({ "items": [1], "until_unix_ms": 0 }), "until_unix_ms"),
        ("/v1/items/0/hold", json!({}), "item_id"),
        ("/v1/members", json!({ "name": "UPPER" }), "name"),
        ("/v1/principals", json!({ "roles": ["king"] }), "roles"),
        ("/v1/match", json!({ "queries": [query], "surface": "x".repeat(65) }), "surface"),
        ("/v1/policy/try", json!({ "matches": many(1_001, json!({})) }), "matches"),
        (
            "/v1/policy/try",
            json!({ "matches": [{ "bank": "a", "hash_type": hash }] }),
            "matches[0].hash_type",
        ),
        ("/v1/policy/try", json!({ "matches": [], "policy": { "rules": [] } }), "policy.rules"),
        (
            "/v1/policy/try",
            json!({ "matches": [], "scores": [{ "model": "a", "class": "b", "score": 2.0 }], "policy": {} }),
            "scores[0].score",
        ),
    ] {
        let answer = http.post(path, &body).await;
        assert!(!answer.body.to_string().contains(&hash[..16]), "{}", answer.body);
        assert_eq!(answer.problem(400, "INVALID_ARGUMENT").as_deref(), Some(field), "{path}");
    }
    for (path, field) in [
        ("/v1/banks?limit=0", "limit"),
        ("/v1/banks?after=x", "after"),
        ("/v1/banks/a%20b", "bank"),
        ("/v1/items/x", "item_id"),
    ] {
        assert_eq!(http.get(path).await.problem(400, "INVALID_ARGUMENT").as_deref(), Some(field), "{path}");
    }
    // None of these requests changed anything.
    assert_eq!(http.get("/v1/banks").await.body(200)["banks"].as_array().unwrap().len(), 1);
    assert_eq!(http.get("/v1/banks/known").await.body(200)["items"], 0);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_taken_or_does_not_fit_has_its_own_status() {
    let (cluster, http) = cluster().await;
    for path in [
        "/v1/banks/none",
        "/v1/banks/acme%2Fnone",
        "/v1/banks/none/items",
        "/v1/items/999",
        "/v1/members/none",
        "/v1/nothing",
    ] {
        http.get(path).await.problem(404, "NOT_FOUND");
    }
    let mut unknown = lookup(7);
    unknown["banks"] = json!(["none"]);
    http.post("/v1/match", &unknown).await.problem(404, "NOT_FOUND");
    http.post("/v1/banks", &json!({ "name": "known" })).await.problem(409, "ALREADY_EXISTS");
    http.put("/v1/banks", &json!({})).await.problem(405, "UNIMPLEMENTED");
    let lookup = lookup(7).to_string();
    http.send(Method::POST, "/v1/match", &[], lookup.clone()).await.problem(415, "INVALID_ARGUMENT");
    for path in ["/v1/hash", "/v1/match/image"] {
        http.send(Method::POST, path, &[JSON], "{}").await.problem(415, "INVALID_ARGUMENT");
        http.send(Method::POST, path, &[], "").await.problem(400, "INVALID_ARGUMENT");
    }
    http.send(Method::POST, "/v1/match", &[JSON], lookup[..20].to_owned())
        .await
        .problem(400, "INVALID_ARGUMENT");
    http.send(Method::POST, "/v1/match", &[JSON], vec![b' '; 65_537]).await.problem(413, "INVALID_ARGUMENT");
    // A page of another site cannot use a gateway that requires no credential.
    let foreign = [JSON, ("origin", "https://evil.example")];
    http.send(Method::POST, "/v1/match", &foreign, lookup.clone()).await.problem(403, "PERMISSION_DENIED");
    let key = [JSON, ("idempotency-key", "")];
    let refused = http.send(Method::POST, "/v1/banks", &key, json!({ "name": "b" }).to_string()).await;
    assert_eq!(refused.problem(400, "INVALID_ARGUMENT").as_deref(), Some("Idempotency-Key"));
    cluster.stop().await.unwrap();
}
