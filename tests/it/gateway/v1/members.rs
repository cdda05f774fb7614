//! Members over our own REST API: keys, rights, limits and the audit.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{found, lookup, md5};
use crate::gateway::client::{Http, cluster};

/// The time limit for the gateway and the frontends to follow the directory.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);

/// Returns a caller with the key in an answer, once the gateway knows the key.
async fn caller(nobody: &Http, made: &Value) -> Http {
    let http = nobody.with_key(made["api_key"].as_str().unwrap());
    let begun = Instant::now();
    while http.get("/v1/whoami").await.status != 200 {
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "the key of {} is not known", made["principal"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    http
}

/// Creates a principal; returns a caller with its key, and its id.
pub(crate) async fn principal(by: &Http, asked: Value) -> (Http, u64) {
    let made = by.post("/v1/principals", &asked).await.body(201);
    (caller(by, &made).await, made["principal"]["principal_id"].as_u64().unwrap())
}

/// Creates a member; returns its administrator, and a worker who contributes, reviews and matches.
pub(crate) async fn team(operator: &Http, member: &str) -> (Http, Http) {
    operator.post("/v1/members", &json!({ "name": member })).await.body(201);
    let (administrator, _) =
        principal(operator, json!({ "member": member, "roles": ["administrator"] })).await;
    let roles = json!(["contributor", "reviewer", "matcher"]);
    let (worker, _) = principal(&administrator, json!({ "roles": roles, "note": "worker" })).await;
    (administrator, worker)
}

/// Turns members on by creating the first principal, an operator.
pub(crate) async fn turned_on(http: &Http) -> Http {
    let first = json!({ "roles": ["operator", "auditor"] });
    http.post("/v1/principals", &first).await.problem(409, "FAILED_PRECONDITION");
    assert_eq!(http.get("/v1/whoami").await.body(200)["principal"], Value::Null);
    let made = http
        .post("/v1/principals", &json!({ "roles": ["operator", "auditor"], "turn_on": true }))
        .await
        .body(201);
    caller(http, &made).await
}

/// Waits until a lookup finds `count` items.
pub(crate) async fn until_found(http: &Http, byte: u8, count: usize) {
    let begun = Instant::now();
    while found(http, byte).await.len() != count {
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "{count} items are not found");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_member_may_not_see_does_not_exist_for_it() {
    let cluster = cluster().await;
    let nobody = Http::new(&cluster);
    let operator = turned_on(&nobody).await;
    let (acme, acme_work) = team(&operator, "acme").await;
    let (umbra, umbra_work) = team(&operator, "umbra").await;

    // Without a key, with a wrong one, and with the key of another role.
    for path in ["/v1/whoami", "/v1/banks", "/v1/cluster", "/v1/openapi.json/x"] {
        let wrong = nobody.with_key("no-key").get(path).await;
        assert_eq!(wrong.headers["www-authenticate"], "Bearer");
        wrong.problem(401, "UNAUTHENTICATED");
    }
    for path in ["/v1/whoami", "/v1/banks", "/v1/cluster", "/v1/hash-types", "/v1/classifiers", "/v1/log"] {
        nobody.get(path).await.problem(401, "UNAUTHENTICATED");
    }
    nobody.post("/v1/match", &lookup(1)).await.problem(401, "UNAUTHENTICATED");
    nobody.get("/v1/openapi.json").await.body(200);
    acme.post("/v1/match", &lookup(1)).await.problem(403, "PERMISSION_DENIED");
    acme_work.post("/v1/banks", &json!({ "name": "mine" })).await.problem(403, "PERMISSION_DENIED");

    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let item = json!({ "items": [{ "hashes": [{ "type": "md5", "hash": md5(1) }], "labels": ["l"] }] });
    let added = acme_work.post("/v1/banks/known/items", &item).await.body(201);
    let id = added["item_ids"][0].as_u64().unwrap();
    until_found(&acme_work, 1, 1).await;
    // A hidden bank and one that never existed get the same answer.
    for (hidden, never) in [
        ("/v1/banks/acme%2Fknown", "/v1/banks/acme%2Fnever"),
        ("/v1/banks/acme%2Fknown/items", "/v1/banks/acme%2Fnever/items"),
        (&format!("/v1/items/{id}"), "/v1/items/999"),
    ] {
        let [hidden, never] = [umbra_work.get(hidden).await, umbra_work.get(never).await];
        let shown =
            |answer: &Value| answer.to_string().replace("never", "known").replace("999", &id.to_string());
        assert_eq!(shown(&hidden.body), shown(&never.body));
        hidden.problem(404, "NOT_FOUND");
    }
    assert_eq!(umbra_work.get("/v1/banks").await.body(200)["banks"], json!([]));
    assert_eq!(found(&umbra_work, 1).await.len(), 0);

    // A shared bank is visible by its owner's name and by an alias; after the grant ends it is not.
    let grant = json!({ "capabilities": ["match", "see-details"] });
    let put = acme.put("/v1/banks/known/grants/umbra", &grant).await.body(200);
    assert_eq!(put["grant"]["capabilities"], json!(["match", "see-details"]));
    assert_eq!(acme.get("/v1/banks/known/grants").await.body(200)["grants"][0]["member"], "umbra");
    until_found(&umbra_work, 1, 1).await;
    let of_umbra = umbra_work.post("/v1/match", &lookup(1)).await.body(200);
    assert_eq!(of_umbra["results"][0]["matches"][0]["bank"], "acme/known");
    assert_eq!(umbra_work.get("/v1/banks/acme%2Fknown").await.body(200)["owner"], "acme");
    umbra.put("/v1/banks/acme%2Fknown/alias", &json!({ "alias": "theirs" })).await.body(200);
    assert_eq!(umbra.get("/v1/grants").await.body(200)["grants"][0]["alias"], "theirs");
    assert_eq!(umbra_work.get("/v1/banks/theirs").await.body(200)["bank"], "theirs");
    umbra.delete("/v1/banks/theirs/alias").await.body(200);
    acme.delete("/v1/banks/known/grants/umbra").await.body(200);
    until_found(&umbra_work, 1, 0).await;
    umbra_work.get("/v1/banks/acme%2Fknown").await.problem(404, "NOT_FOUND");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn members_keys_limits_and_charters_are_kept_by_those_who_may() {
    let cluster = cluster().await;
    let nobody = Http::new(&cluster);
    let operator = turned_on(&nobody).await;
    let (acme, worker) = team(&operator, "acme").await;

    let words = json!({ "display_name": "Acme", "jurisdictions": ["FR", "BE"] });
    let changed = operator.patch("/v1/members/acme", &words).await.body(200);
    assert_eq!(
        (&changed["member"]["display_name"], &changed["member"]["jurisdictions"]),
        (&json!("Acme"), &json!(["BE", "FR"]))
    );
    let one = operator.patch("/v1/members/acme", &json!({ "display_name": "Acme Inc" })).await.body(200);
    assert_eq!(one["member"]["jurisdictions"], json!(["BE", "FR"]));
    let names = operator.get("/v1/members").await.body(200);
    let names: Vec<_> =
        names["members"].as_array().unwrap().iter().map(|one| one["member"].as_str().unwrap()).collect();
    assert_eq!(names, ["local", "acme"]);

    // Limits are set all together.
    let mut quota = operator.get("/v1/members/acme/quota").await.body(200)["quota"].clone();
    quota["units_per_day"] = json!(1_000);
    acme.put("/v1/members/acme/quota", &quota).await.problem(403, "PERMISSION_DENIED");
    operator.put("/v1/members/acme/quota", &quota).await.body(200);
    assert_eq!(worker.get("/v1/whoami").await.body(200)["quota"]["units_per_day"], 1_000);
    let missing = operator.put("/v1/members/acme/quota", &json!({ "units_per_day": 5 })).await;
    assert!(missing.problem(400, "INVALID_ARGUMENT").is_some());

    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let charter = json!({
        "taxonomies": ["iwf"], "two_person_items": 0, "purge_hours": 24, "confirmations_min": 2,
        "hold_on_negatives": 3, "shadow": false, "suppresses_bank_ids": [], "dispute_days": 7,
        "match_record_days": 30, "frames_answer_images": true, "images_answer_videos": false,
    });
    assert_eq!(acme.put("/v1/banks/known/charter", &charter).await.body(200)["charter"], charter);
    assert_eq!(acme.get("/v1/banks/known/charter").await.body(200)["charter"], charter);

    // A rotated key, after which the old one is refused, and the revocation of a principal.
    let listed = acme.get("/v1/principals").await.body(200);
    let of_worker =
        listed["principals"].as_array().unwrap().iter().find(|one| one["note"] == "worker").unwrap();
    let id = of_worker["principal_id"].as_u64().unwrap();
    let rotated =
        acme.post(&format!("/v1/principals/{id}/rotate"), &json!({ "overlap_seconds": 0 })).await.body(200);
    let new = caller(&nobody, &rotated).await;
    worker.get("/v1/whoami").await.problem(401, "UNAUTHENTICATED");
    acme.delete(&format!("/v1/principals/{id}")).await.body(200);
    let begun = Instant::now();
    while new.get("/v1/whoami").await.status == 200 {
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "a revoked key works");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    new.get("/v1/whoami").await.problem(401, "UNAUTHENTICATED");

    // The audit contains all this, with proofs, for principals that may read it.
    let page = operator.get("/v1/audit?limit=1000").await.body(200);
    let entries = page["entries"].as_array().unwrap();
    let revoked =
        entries.iter().find(|one| one["action"].as_str().unwrap().ends_with("/RevokePrincipal")).unwrap();
    assert_eq!((&revoked["code"], &revoked["member_id"]), (&json!("OK"), &json!(2)));
    let of_acme = operator.get("/v1/audit?member=acme").await.body(200);
    assert!(of_acme["entries"].as_array().unwrap().iter().all(|one| one["member_id"] == 2));
    // A caller that is not an auditor of the host reads only the entries of its own member.
    let own = acme.get("/v1/audit").await.body(200);
    assert_eq!(own["entries"], of_acme["entries"]);
    let checkpoint = operator.get("/v1/audit/checkpoint").await.body(200);
    assert!(checkpoint["checkpoint"].as_str().unwrap().lines().count() >= 5, "{checkpoint}");
    let proof = operator.get("/v1/audit/entries/0/proof").await.body(200);
    assert_eq!(proof["leaf_hash"], entries[0]["leaf_hash"]);
    let size = proof["tree_size"].as_u64().unwrap();
    let same =
        operator.get(&format!("/v1/audit/consistency?old_size={size}&new_size={size}")).await.body(200);
    assert_eq!((&same["new_size"], &same["path"]), (&json!(size), &json!([])));

    // The state of the deployment.
    let log = operator.get("/v1/log").await.body(200);
    assert_eq!((&log["banks"], log["chain"].as_str().unwrap().len()), (&json!(1), 64));
    // The gateway checks the cluster once a second.
    let begun = Instant::now();
    let seen = loop {
        let seen = operator.get("/v1/cluster").await.body(200);
        if seen["state"] == "ready" {
            break seen;
        }
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "{seen}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert_eq!((&seen["shards"], &seen["replicas_ready"]), (&json!(2), &json!(2)));
    let types = operator.get("/v1/hash-types").await.body(200);
    let pdq = json!({ "name": "pdq", "number": 1, "metric": "hamming", "distance_default": 31, "distance_max": 64 });
    assert_eq!(types["hash_types"][0], pdq);
    cluster.stop().await.unwrap();
}
