//! Our own REST API: the work of a member or a curator, with requests that a script could send.

mod federation;
mod lookups;
pub(crate) mod members;
mod policies;
mod classifiers;
mod programmes;
mod opinions;
mod cases;
mod decisions;
mod refused;

use http::Method;
use serde_json::{Value, json};

use crate::gateway::client::{Http, cluster};

/// Returns a lookup of one MD5 digest of equal bytes.
fn lookup(byte: u8) -> Value {
    json!({ "queries": [{ "hashes": [{ "type": "md5", "hash": md5(byte) }] }] })
}

/// Returns the MD5 digest of equal bytes, as hexadecimal digits.
fn md5(byte: u8) -> String {
    format!("{byte:02x}").repeat(16)
}

/// Returns the ids of the items that a caller finds by a digest.
async fn found(http: &Http, byte: u8) -> Vec<u64> {
    let answer = http.post("/v1/match", &lookup(byte)).await.body(200);
    let matches = answer["results"][0]["matches"].as_array().unwrap();
    matches.iter().map(|one| one["item_id"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_is_created_changed_and_deleted() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    let made = http.post("/v1/banks", &json!({ "name": "known", "match_ratio": 0.25 })).await;
    assert_eq!(made.headers["location"], "/v1/banks/known");
    let made = made.body(201);
    assert_eq!(
        (&made["bank"], &made["enabled"], &made["match_ratio"]),
        (&json!("known"), &json!(true), &json!(0.25))
    );
    http.post("/v1/banks", &json!({ "name": "other" })).await.body(201);

    // Pages with one bank each list all of them.
    let first = http.get("/v1/banks?limit=1").await.body(200);
    assert_eq!(first["banks"][0]["bank"], "known");
    let rest = http.get(&format!("/v1/banks?limit=1&after={}", first["next_after"])).await.body(200);
    assert_eq!(rest["banks"][0]["bank"], "other");
    assert_eq!(http.get("/v1/banks?limit=2&after=9").await.body(200)["next_after"], Value::Null);

    let item = json!({ "items": [{ "hashes": [{ "type": "md5", "hash": md5(1) }] }] });
    http.post("/v1/banks/known/items", &item).await.body(201);
    assert_eq!(found(&http, 1).await.len(), 1);
    let off = http.patch("/v1/banks/known", &json!({ "enabled": false })).await.body(200);
    assert_eq!((&off["enabled"], &off["items"]), (&json!(false), &json!(1)));
    assert_eq!(found(&http, 1).await.len(), 0);
    let all = json!({ "enabled": true, "match_ratio": 1.0, "name": "renamed" });
    let on = http.patch("/v1/banks/known", &all).await.body(200);
    assert_eq!(
        (&on["bank"], &on["enabled"], &on["match_ratio"]),
        (&json!("renamed"), &json!(true), &json!(1.0))
    );
    assert_eq!(found(&http, 1).await.len(), 1);
    // A change without fields is a read.
    assert_eq!(
        http.patch("/v1/banks/renamed", &json!({})).await.body(200),
        http.get("/v1/banks/renamed").await.body(200)
    );
    http.get("/v1/banks/known").await.problem(404, "NOT_FOUND");

    let gone = http.delete("/v1/banks/renamed").await.body(200);
    assert_eq!((&gone["bank"], &gone["items"]), (&json!("renamed"), &json!(1)));
    http.get("/v1/banks/renamed").await.problem(404, "NOT_FOUND");
    assert_eq!(found(&http, 1).await.len(), 0);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_added_found_changed_held_removed_and_restored() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let items = json!({ "items": [
        {
            "hashes": [{ "type": "md5", "hash": md5(1) }, { "hash_type": "sha256", "hash": "05".repeat(32) }],
            "labels": ["a", "b"], "external_reference": "case-7", "origin": { "programme": "p", "key": "k" },
            "details": { "note": "n", "classification": [{ "taxonomy": "iwf", "dimension": "category", "value": "A" }] }
        },
        { "hashes": [{ "type": "md5", "hash": md5(2) }] }
    ] });
    let added = http.post("/v1/banks/known/items", &items).await.body(201);
    let [id, other] = [0, 1].map(|at| added["item_ids"][at].as_u64().unwrap());
    assert_eq!((found(&http, 1).await, found(&http, 2).await), (vec![id], vec![other]));
    // The same origin again adds no item.
    let again = json!({ "items": [items["items"][0]] });
    let again = http.post("/v1/banks/known/items", &again).await.body(201);
    assert_eq!((&again["item_ids"], &again["known"]), (&json!([id]), &json!(1)));

    let shown = http.get(&format!("/v1/items/{id}")).await.body(200);
    assert_eq!(
        (&shown["bank"], &shown["external_reference"], &shown["labels"]),
        (&json!("known"), &json!("case-7"), &json!(["a", "b"]))
    );
    assert_eq!(shown["hashes"][0], json!({ "hash_type": "md5", "hash": md5(1) }));
    assert_eq!(shown["submissions"][0]["programme"], "p");
    assert_eq!(
        (&shown["details"]["note"], &shown["details"]["classification"][0]["value"]),
        (&json!("n"), &json!("A"))
    );

    // A change of one detail keeps the others.
    let patch = json!({ "metadata": "{\"k\":1}", "jurisdictions": ["FR"] });
    http.patch(&format!("/v1/items/{id}"), &patch).await.body(200);
    let details = &http.get(&format!("/v1/items/{id}")).await.body(200)["details"];
    assert_eq!(
        (&details["note"], &details["metadata"], &details["jurisdictions"]),
        (&json!("n"), &json!("{\"k\":1}"), &json!(["FR"]))
    );

    // Labels can be changed alone or with details; matches as of that change have the new labels.
    let patch = json!({ "labels": ["b", "new"] });
    let changed = http.patch(&format!("/v1/items/{id}"), &patch).await.body(200);
    let asked = json!({
        "queries": [{ "hashes": [{ "type": "md5", "hash": md5(1) }] }], "min_sequence": changed["sequence"]
    });
    let answer = http.post("/v1/match", &asked).await.body(200);
    assert_eq!(answer["results"][0]["matches"][0]["labels"], json!(["b", "new"]), "{answer}");
    let shown = http.get(&format!("/v1/items/{id}")).await.body(200);
    assert_eq!((&shown["labels"], &shown["details"]["note"]), (&json!(["b", "new"]), &json!("n")));
    let patch = json!({ "labels": ["b"], "note": "m" });
    http.patch(&format!("/v1/items/{id}"), &patch).await.body(200);
    let shown = http.get(&format!("/v1/items/{id}")).await.body(200);
    assert_eq!((&shown["labels"], &shown["details"]["note"]), (&json!(["b"]), &json!("m")));
    for labels in [json!([""]), json!(["a\tb"]), json!(vec!["x"; 33])] {
        let refused = http.patch(&format!("/v1/items/{id}"), &json!({ "labels": labels })).await;
        refused.problem(400, "INVALID_ARGUMENT");
    }
    let canary = http.patch(&format!("/v1/items/{id}"), &json!({ "labels": ["vigie:canary"] })).await;
    canary.problem(400, "INVALID_ARGUMENT");

    // Lists, and searches by hash, reference and label.
    let page = http.get("/v1/banks/known/items?limit=1").await.body(200);
    assert_eq!((&page["items"][0]["item_id"], &page["next_after"]), (&json!(id), &json!(id)));
    let rest = http.get(&format!("/v1/banks/known/items?after={id}")).await.body(200);
    assert_eq!((&rest["items"][0]["item_id"], &rest["next_after"]), (&json!(other), &Value::Null));
    for (search, expected) in [
        (json!({ "text": "case-7" }), json!(id)),
        (json!({ "text": "b", "bank": "known" }), json!(id)),
        (json!({ "hashes": [{ "type": "md5", "hash": md5(2) }] }), json!(other)),
    ] {
        let found = http.post("/v1/items/find", &search).await.body(200);
        assert_eq!(found["items"][0]["item_id"], expected, "{search}");
    }

    // A held item matches for nobody; holds are put on one item and on several.
    let held = http.send(Method::POST, &format!("/v1/items/{id}/hold"), &[], "").await.body(200);
    assert_eq!((&held["held"], &held["until_unix_ms"]), (&json!([id]), &Value::Null));
    assert_eq!(found(&http, 1).await.len(), 0);
    assert_eq!(http.get(&format!("/v1/items/{id}")).await.body(200)["holds"][0]["by"], "owner");
    http.delete(&format!("/v1/items/{id}/hold")).await.body(200);
    assert_eq!(found(&http, 1).await, [id]);
    let until = json!({ "items": [other, id], "until_unix_ms": 4_102_444_800_000_u64 });
    assert_eq!(http.post("/v1/items/hold", &until).await.body(200)["held"], json!([id, other]));
    assert_eq!(found(&http, 2).await.len(), 0);
    let lifted = http.post("/v1/items/lift", &json!({ "items": [id, other] })).await.body(200);
    assert_eq!((&lifted["lifted"], &lifted["still_held"]), (&json!([id, other]), &json!(0)));
    assert_eq!(found(&http, 2).await, [other]);

    // Removed and restored.
    http.delete(&format!("/v1/items/{other}")).await.body(200);
    http.post("/v1/items/remove", &json!({ "items": [id] })).await.body(200);
    assert_eq!((found(&http, 1).await.len(), found(&http, 2).await.len()), (0, 0));
    http.get(&format!("/v1/items/{id}")).await.problem(404, "NOT_FOUND");
    let removed = http.get("/v1/banks/known/removed").await.body(200);
    let ids: Vec<&Value> = removed["items"].as_array().unwrap().iter().map(|one| &one["item_id"]).collect();
    assert_eq!(ids, [&json!(id), &json!(other)]);
    let restored = http.post("/v1/items/restore", &json!({ "items": [other] })).await.body(200);
    let back = restored["restored"][0]["item_id"].as_u64().unwrap();
    assert_eq!(restored["restored"][0]["restored"], other);
    assert_eq!(found(&http, 2).await, [back]);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_with_a_key_is_done_once() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let item = json!({ "items": [{ "hashes": [{ "type": "md5", "hash": md5(1) }] }] }).to_string();
    let mut answers = Vec::new();
    for key in ["import-1", "import-1", "import-2"] {
        let headers = [("content-type", "application/json"), ("idempotency-key", key)];
        let added = http.send(Method::POST, "/v1/banks/known/items", &headers, item.clone()).await.body(201);
        answers.push(added["item_ids"].clone());
    }
    assert_eq!(answers[0], answers[1]);
    assert_ne!(answers[0], answers[2]);
    let headers = [("content-type", "application/json"), ("idempotency-key", "both")];
    let patch = json!({ "enabled": false, "match_ratio": 0.5, "name": "other" }).to_string();
    for _ in 0..2 {
        let changed = http.send(Method::PATCH, "/v1/banks/known", &headers, patch.clone()).await.body(200);
        assert_eq!((&changed["bank"], &changed["match_ratio"]), (&json!("other"), &json!(0.5)));
    }
    cluster.stop().await.unwrap();
}
