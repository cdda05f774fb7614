//! Model cards over our own REST API.

use serde_json::{Value, json};
use vigie_clients::{IdempotencyKey, ModelCardClient, Network};
use vigie_harness::in_process::{Cluster, soon};

use crate::gateway::client::{Http, cluster};

/// The card of a model of pictures, under a licence.
fn card(licence: &str) -> Value {
    let image = json!({
        "width": 16, "height": 16, "resize": "stretch", "filter": "bilinear", "order": "rgb", "mean": [0, 0, 0], "scale": [1, 1, 1],
        "layout": "nchw", "element": "f32"
    });
    json!({
        "name": "blue", "version": 1, "server_version": "7",
        "input": { "tensor": "in", "form": { "image": image } },
        "output": { "tensor": "out", "length": 1, "activation": "none", "classes": [
            { "name": "blue", "index": 0, "stands_for": "local/kind=blue" }] },
        "licence": licence, "approved_by": "A. Reviewer", "approved_at": 1,
        "test_vector": { "input": { "drawn": { "seed": 1, "width": 8, "height": 8 } }, "expected": [{ "class": "blue", "score": 0.5 }] }
    })
}

async fn put(cluster: &Cluster, card: &Value) -> u32 {
    let client = ModelCardClient::among(&[cluster.bank_url()], &Network::tcp()).unwrap();
    client.put(&card.to_string(), None, IdempotencyKey::random(), soon()).await.unwrap().value
}

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_listed_and_each_version_is_shown() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    let none = http.get("/v1/classifiers").await.body(200);
    assert_eq!(none["classifiers"], json!([]));
    http.get("/v1/classifiers/blue").await.problem(404, "NOT_FOUND");
    for (version, licence) in [(1, "MIT"), (2, "Apache-2.0")] {
        assert_eq!(put(&cluster, &card(licence)).await, version);
    }
    let listed = http.get("/v1/classifiers").await.body(200);
    let class = json!({ "class": "blue", "stands_for": "local/kind=blue", "threshold": null, "at_most_one_in": null });
    let expected = json!([
        { "name": "blue", "version": 2, "kind": "image", "mode": "shadow", "state": "in_use", "classes": [class] }
    ]);
    assert_eq!(listed["classifiers"], expected);
    let newest = http.get("/v1/classifiers/blue").await.body(200);
    assert_eq!((&newest["version"], &newest["card"]["licence"]), (&json!(2), &json!("Apache-2.0")));
    let older = http.get("/v1/classifiers/blue?version=1").await.body(200);
    assert_eq!((&older["version"], &older["newest_version"]), (&json!(1), &json!(2)));
    assert_eq!(older["card"]["licence"], "MIT");
    http.get("/v1/classifiers/blue?version=3").await.problem(404, "NOT_FOUND");
    http.get("/v1/classifiers/blue?versions=1").await.problem(400, "INVALID_ARGUMENT");
    cluster.stop().await.unwrap();
}
