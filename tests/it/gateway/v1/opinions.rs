//! Opinions, disputes and holds for one member over our own REST API.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::members::{team, turned_on};
use super::{lookup, md5};
use crate::gateway::client::{Http, cluster};

/// The time limit for the matchers and the frontends to follow.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn members_say_what_is_wrong_and_the_owner_answers() {
    let cluster = cluster().await;
    let nobody = Http::new(&cluster);
    let operator = turned_on(&nobody).await;
    let (acme, owner) = team(&operator, "acme").await;
    let (_, reviewer) = team(&operator, "other").await;
    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let mut charter = acme.get("/v1/banks/known/charter").await.body(200)["charter"].clone();
    charter["hold_on_negatives"] = json!(2);
    charter["dispute_days"] = json!(3);
    acme.put("/v1/banks/known/charter", &charter).await.body(200);
    let allow = json!({ "capabilities": ["match", "see-hashes", "see-details", "opine"] });
    acme.put("/v1/banks/known/grants/other", &allow).await.body(200);
    let added = owner
        .post(
            "/v1/banks/known/items",
            &json!({ "items": [{ "hashes": [{ "type": "md5", "hash": md5(7) }] }] }),
        )
        .await
        .body(201);
    let id = added["item_ids"][0].as_u64().unwrap();
    let opinion = format!("/v1/items/{id}/opinion");

    // Missing permissions, and mistakes in an opinion.
    acme.put(&opinion, &json!({ "kind": "positive" })).await.problem(403, "PERMISSION_DENIED");
    reviewer.put("/v1/items/9999/opinion", &json!({ "kind": "positive" })).await.problem(404, "NOT_FOUND");
    let field = reviewer.put(&opinion, &json!({ "kind": "positive", "dispute": true })).await;
    assert_eq!(field.problem(400, "INVALID_ARGUMENT").as_deref(), Some("dispute"));

    let negative = json!({ "kind": "negative", "reason": "poor-hash", "dispute": true, "hash": { "type": "md5", "hash": md5(7) } });
    assert_eq!(reviewer.put(&opinion, &negative).await.body(200)["changed"], true);
    assert_eq!(reviewer.put(&opinion, &negative).await.body(200)["changed"], false);
    let shown = owner.get(&format!("/v1/items/{id}")).await.body(200);
    assert_eq!((&shown["facts"]["negatives"], &shown["facts"]["dispute_open"]), (&json!(1), &json!(true)));
    assert!(shown["dispute"]["due_at_unix_ms"].as_u64() > shown["dispute"]["opened_at_unix_ms"].as_u64());
    let page = owner.get("/v1/banks/known/opinions?limit=1000").await.body(200);
    let listed = &page["opinions"][0];
    assert_eq!(
        (&listed["reason"], &listed["hash"], &listed["member"]),
        (&json!("poor-hash"), &json!(0), &json!(""))
    );
    operator.patch("/v1/members/other", &json!({ "is_named": true })).await.body(200);
    assert_eq!(operator.get("/v1/members/other").await.body(200)["member"]["is_named"], true);
    assert_eq!(owner.get("/v1/banks/known/opinions").await.body(200)["opinions"][0]["member"], "other");
    let mine = reviewer.get("/v1/banks/acme%2Fknown/opinions?mine=true").await.body(200);
    assert_eq!(mine["opinions"].as_array().unwrap().len(), 1);

    // A match contains the number of opinions on its item.
    let begun = Instant::now();
    loop {
        let answer = owner.post("/v1/match", &lookup(7)).await.body(200);
        if answer["results"][0]["matches"][0]["facts"]["negatives"] == 1 {
            break;
        }
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let disputes = owner.get("/v1/disputes").await.body(200);
    assert_eq!((&disputes["disputes"][0]["item_id"], &disputes["next_after"]), (&json!(id), &json!(null)));
    let first = owner.get("/v1/disputes?limit=1").await.body(200);
    let next = first["next_after"].as_str().unwrap();
    let rest = owner.get(&format!("/v1/disputes?limit=1&after={next}")).await.body(200);
    assert_eq!(rest["disputes"], json!([]));
    let resolution = format!("/v1/disputes/{id}/resolution");
    let kept = json!({ "resolution": "kept" });
    reviewer.post(&resolution, &kept).await.problem(403, "PERMISSION_DENIED");
    let wrong = owner.post(&resolution, &json!({ "resolution": "reclassified" })).await;
    assert_eq!(wrong.problem(400, "INVALID_ARGUMENT").as_deref(), Some("classification"));
    assert_eq!(owner.post(&resolution, &kept).await.body(200)["resolution"], "kept");
    owner.post(&resolution, &kept).await.problem(409, "FAILED_PRECONDITION");
    let resolved = reviewer.get("/v1/disputes?resolved=true").await.body(200);
    assert_eq!(
        (&resolved["disputes"][0]["bank"], &resolved["disputes"][0]["resolution"]),
        (&json!("acme/known"), &json!("kept"))
    );

    // Held for one member, and lifted again.
    let here = format!("/v1/items/{id}/hold/here");
    assert_eq!(reviewer.put(&here, &json!({})).await.body(200)["held_here"], true);
    let held = reviewer.get("/v1/held-here").await.body(200);
    assert_eq!((&held["items"][0]["bank"], &held["next_after"]), (&json!("acme/known"), &json!(id)));
    assert_eq!(owner.get("/v1/held-here").await.body(200)["items"], json!([]));
    reviewer.delete(&here).await.body(200);
    assert_eq!(reviewer.get("/v1/held-here").await.body(200)["items"], json!([]));
    assert_eq!(reviewer.delete(&opinion).await.body(200)["changed"], true);
    assert_eq!(owner.get("/v1/banks/known/opinions").await.body(200)["opinions"][0]["kind"], json!(null));
    assert_eq!(owner.get(&format!("/v1/items/{id}")).await.body(200)["facts"], json!(null));
    cluster.stop().await.unwrap();
}
