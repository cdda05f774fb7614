//! Policies and verdicts over our own REST API.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{lookup, md5};
use crate::gateway::client::{Http, cluster};

/// The time limit for the frontend to follow the directory.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);

/// Returns the decision on a query, once the frontend decides by this version of the policy.
async fn decision(http: &Http, asked: &Value, version: u64) -> Value {
    let begun = Instant::now();
    loop {
        let answer = http.post("/v1/match", asked).await.body(200);
        let decision = answer["results"][0]["decision"].clone();
        if decision["policy_version"] == version {
            return decision;
        }
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_set_shown_tried_and_decides() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let item = json!({ "items": [{ "hashes": [{ "type": "md5", "hash": md5(1) }], "labels": ["l"] }] });
    http.post("/v1/banks/known/items", &item).await.body(201);
    http.get("/v1/policy").await.problem(404, "NOT_FOUND");
    let before = http.post("/v1/match", &lookup(1)).await.body(200);
    assert_eq!(before["results"][0].get("decision"), None);

    let policy = json!({
        "bank": [{ "bank": "known", "max_distance": 10 }],
        "rule": [{ "name": "avatar", "when": "query.surface == 'avatar' && matches.size() > 0", "verdict": "BLOCK" }],
    });
    let set = http.put("/v1/policy?expected_version=0", &policy).await.body(200);
    assert_eq!((&set["version"], &set["trial"]), (&json!(1), &json!(false)));
    let mut avatar = lookup(1);
    avatar["surface"] = json!("avatar");
    let decided = decision(&http, &avatar, 1).await;
    assert_eq!((&decided["verdict"], &decided["rule"]), (&json!("BLOCK"), &json!("avatar")));
    let decided = decision(&http, &lookup(1), 1).await;
    assert_eq!((&decided["verdict"], &decided["rule"]), (&json!("REVIEW"), &Value::Null));
    assert_eq!(decision(&http, &lookup(2), 1).await["verdict"], "ALLOW");

    // The returned policy can be set again, and a stale write changes nothing.
    let shown = http.get("/v1/policy").await.body(200);
    assert_eq!((&shown["version"], &shown["current_version"]), (&json!(1), &json!(1)));
    assert_eq!(shown["policy"]["rule"][0]["name"], "avatar");
    http.put("/v1/policy?expected_version=0", &shown["policy"]).await.problem(409, "FAILED_PRECONDITION");
    let tried = http.put("/v1/policy?trial=true", &shown["policy"]).await.body(200);
    assert_eq!((&tried["version"], &tried["trial"]), (&json!(2), &json!(true)));
    let shown = http.get("/v1/policy?version=2").await.body(200);
    assert_eq!((&shown["current_version"], &shown["trial_version"]), (&json!(1), &json!(2)));
    let again = http.put("/v1/policy?from_version=1", &json!({})).await.body(200);
    assert_eq!(again["version"], 3);
    let both = http.put("/v1/policy?from_version=1", &policy).await;
    assert_eq!(both.problem(400, "INVALID_ARGUMENT").as_deref(), Some("from_version"));
    http.put("/v1/policy?from_version=9", &json!({})).await.problem(404, "NOT_FOUND");

    // A rule that does not compile is named in the error, and nothing is set.
    let wrong =
        json!({ "rule": [{ "name": "wrong", "when": "matches.size() > nothing", "verdict": "LOG" }] });
    let refused = http.put("/v1/policy", &wrong).await;
    assert!(refused.body["detail"].as_str().unwrap().contains("rule wrong"), "{}", refused.body);
    assert_eq!(refused.problem(400, "INVALID_ARGUMENT").as_deref(), Some("rule[0].when"));
    assert_eq!(http.get("/v1/policy").await.body(200)["newest_version"], 3);

    // Matches from an answer can be tried unchanged.
    let answer = http.post("/v1/match", &lookup(1)).await.body(200);
    let matches = &answer["results"][0]["matches"];
    let query = json!({ "kind": "hashes", "surface": "avatar" });
    let tried = http.post("/v1/policy/try", &json!({ "matches": matches, "query": query })).await.body(200);
    assert_eq!(tried["decision"]["verdict"], "BLOCK");
    assert_eq!(tried["trace"], json!(["rule avatar: holds, BLOCK"]));
    // So can the matches of vectors and of videos, which have more fields.
    let mut of_video = matches[0].clone();
    of_video["metric_distance"] = json!(0.25);
    of_video["video"] = json!({ "frames": 3 });
    let scores = json!([{ "model": "nsfw", "class": "nude", "score": 0.5 }]);
    let asked = json!({ "matches": [of_video], "query": query, "scores": scores });
    let tried = http.post("/v1/policy/try", &asked).await.body(200);
    assert_eq!(tried["decision"]["verdict"], "BLOCK");
    let asked = json!({ "matches": matches, "query": query, "policy": wrong });
    let refused = http.post("/v1/policy/try", &asked).await;
    assert_eq!(refused.problem(400, "INVALID_ARGUMENT").as_deref(), Some("policy.rule[0].when"));
    cluster.stop().await.unwrap();
}
