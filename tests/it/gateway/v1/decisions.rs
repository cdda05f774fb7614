//! Records of decisions over our own REST API, and the description of all paths of cases and decisions.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::members::{principal, team, turned_on, until_found};
use super::{lookup, md5};
use crate::gateway::client::{Http, cluster};

/// The time limit for the frontends to follow the directory, and for a record to reach the bank.
const WITHIN: Duration = Duration::from_secs(30);

/// Makes a decision on the digest of equal bytes, once the frontend has the charter and the policy; returns
/// its id.
async fn decided(http: &Http, byte: u8) -> String {
    let begun = Instant::now();
    loop {
        let mut asked = lookup(byte);
        asked["surface"] = json!("avatar");
        let answer = http.post("/v1/match", &asked).await.body(200);
        let decision = &answer["results"][0]["decision"];
        if let (Some(id), Some("near")) = (decision["decision_id"].as_str(), decision["rule"].as_str()) {
            return id.to_owned();
        }
        assert!(begun.elapsed() < WITHIN, "{answer}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Returns the record of a decision, once the bank has it.
async fn recorded(http: &Http, id: &str) -> Value {
    let begun = Instant::now();
    loop {
        let answer = http.get(&format!("/v1/decisions/{id}")).await;
        if answer.status == 200 {
            return answer.body(200);
        }
        answer.problem(404, "NOT_FOUND");
        assert!(begun.elapsed() < WITHIN, "the decision is not recorded");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_explained_compared_and_its_outcome_set() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (acme, worker) = team(&operator, "acme").await;
    let (umbra, _) = team(&operator, "umbra").await;
    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let mut charter = acme.get("/v1/banks/known/charter").await.body(200)["charter"].clone();
    charter["match_record_days"] = json!(30);
    acme.put("/v1/banks/known/charter", &charter).await.body(200);
    let condition = "matches.size() > 0";
    let policy = json!({ "rule": [{ "name": "near", "when": condition, "verdict": "BLOCK" }] });
    acme.put("/v1/policy", &policy).await.body(200);
    let items = json!({ "items": [{
        "hashes": [{ "type": "md5", "hash": md5(1) }],
        "details": { "classification": [{ "taxonomy": "iwf", "dimension": "category", "value": "A" }] }
    }] });
    let item = worker.post("/v1/banks/known/items", &items).await.body(201)["item_ids"][0].clone();
    until_found(&worker, 1, 1).await;

    let first = decided(&worker, 1).await;
    let shown = recorded(&worker, &first).await;
    assert_eq!((&shown["decision_id"], &shown["rule_condition"]), (&json!(first), &json!(condition)));
    assert_eq!((&shown["kind"], &shown["surface"]), (&json!("hashes"), &json!("avatar")));
    let decision = &shown["decision"];
    assert_eq!((&decision["verdict"], &decision["rule"]), (&json!("BLOCK"), &json!("near")));
    assert_eq!((&decision["policy_version"], &decision["decision_id"]), (&json!(1), &json!(first)));
    let found = &shown["matches"][0];
    assert_eq!(
        (&found["item_id"], &found["bank"], &found["hash_type"]),
        (&item, &json!("known"), &json!("md5"))
    );
    assert_eq!(found["facts"]["classes"], json!(["iwf/category=A"]));
    assert_eq!((&shown["outcome"], shown.get("same_query")), (&Value::Null, None));
    // A record contains no hash.
    assert!(!shown.to_string().contains(&md5(1)), "{shown}");

    // A query's hashes are sent in a body for comparison with a record.
    let compare = format!("/v1/decisions/{first}/compare");
    let hash = |byte: u8| json!({ "type": "md5", "hash": md5(byte) });
    for (hashes, same_query) in [(json!([hash(2), hash(1)]), true), (json!([hash(2)]), false)] {
        let compared = worker.post(&compare, &json!({ "hashes": hashes })).await.body(200);
        assert_eq!(compared, json!({ "decision_id": first, "same_query": same_query }));
    }

    // Another member and a matcher do not see the decision; an invalid decision or hash is refused.
    let (matcher, _) = principal(&acme, json!({ "roles": ["matcher"] })).await;
    let path = format!("/v1/decisions/{first}");
    let outcome = format!("{path}/outcome");
    let removed =
        json!({ "action": "removed", "person_looked": true, "hosted_since_unix_ms": 1_795_000_000_000_u64 });
    umbra.get(&path).await.problem(404, "NOT_FOUND");
    umbra.post(&compare, &json!({ "hashes": [hash(1)] })).await.problem(404, "NOT_FOUND");
    umbra.put(&outcome, &removed).await.problem(404, "NOT_FOUND");
    assert_eq!(umbra.get("/v1/decisions").await.body(200)["decisions"], json!([]));
    for path in [path.as_str(), "/v1/decisions"] {
        matcher.get(path).await.problem(403, "PERMISSION_DENIED");
    }
    matcher.put(&outcome, &removed).await.problem(403, "PERMISSION_DENIED");
    worker.get(&format!("/v1/decisions/{}", "0f".repeat(16))).await.problem(404, "NOT_FOUND");
    for (asked, field) in [
        (json!({}), "hashes"),
        (json!({ "hashes": [] }), "hashes"),
        (json!({ "hashes": vec![hash(1); 17] }), "hashes"),
        (json!({ "hashes": [hash(1), { "type": "md5", "hash": &md5(1)[..30] }] }), "hashes[1].hash"),
    ] {
        let answer = worker.post(&compare, &asked).await;
        assert!(!answer.body.to_string().contains(&md5(1)[..16]), "{}", answer.body);
        assert_eq!(answer.problem(400, "INVALID_ARGUMENT").as_deref(), Some(field));
    }
    for (asked, field) in [
        (json!({}), "action"),
        (json!({ "action": "forgotten" }), "action"),
        (json!({ "action": null, "basis": "hearsay" }), "basis"),
        (json!({ "action": null, "hosted_since_unix_ms": u64::MAX }), "hosted_since_unix_ms"),
    ] {
        let refused = worker.put(&outcome, &asked).await.problem(400, "INVALID_ARGUMENT");
        assert_eq!(refused.as_deref(), Some(field), "{asked}");
    }
    for (path, field) in [
        ("/v1/decisions/0f", "decision_id"),
        ("/v1/decisions?after=x", "after"),
        ("/v1/decisions?limit=0", "limit"),
        ("/v1/decisions?from_unix_ms=x", "from_unix_ms"),
        ("/v1/decisions?before_unix_ms=0", "before_unix_ms"),
    ] {
        let refused = worker.get(path).await.problem(400, "INVALID_ARGUMENT");
        assert_eq!(refused.as_deref(), Some(field), "{path}");
    }

    // The outcome is set as a whole. An upheld complaint is an opinion, which no later outcome withdraws.
    assert_eq!(worker.put(&outcome, &removed).await.body(200)["opinions_put"], 0);
    let mut upheld = removed.clone();
    upheld["complaint"] = json!("upheld");
    upheld["review"] = json!("overturned");
    let set = worker.put(&outcome, &upheld).await.body(200);
    assert_eq!((&set["decision_id"], &set["opinions_put"]), (&json!(first), &json!(1)));
    let facts = |item: Value| item["facts"]["negatives"].clone();
    let of_item = format!("/v1/items/{item}");
    assert_eq!(facts(worker.get(&of_item).await.body(200)), 1);
    let shown = worker.get(&path).await.body(200);
    for (field, value) in upheld.as_object().unwrap() {
        assert_eq!(&shown["outcome"][field], value, "{field}");
    }
    assert_eq!((&shown["outcome"]["basis"], &shown["person_looked"]), (&Value::Null, &json!(true)));
    assert!(
        shown["outcome"]["acted_at_unix_ms"].is_u64() && shown["matches"][0]["counts"] == true,
        "{shown}"
    );
    // Another person has set it since.
    let mut late = upheld.clone();
    late["expected_set_at_unix_ms"] = json!(0);
    worker.put(&outcome, &late).await.problem(409, "FAILED_PRECONDITION");
    let rejected = json!({ "action": "labelled", "complaint": "rejected" });
    worker.put(&outcome, &rejected).await.body(200);
    let shown = worker.get(&path).await.body(200);
    assert_eq!(
        (&shown["outcome"]["action"], &shown["outcome"]["review"]),
        (&json!("labelled"), &Value::Null)
    );
    assert_eq!(facts(worker.get(&of_item).await.body(200)), 1);

    // Lists by time, in pages that together contain all.
    let second = decided(&worker, 1).await;
    let at = recorded(&worker, &second).await["decided_at_unix_ms"].as_u64().unwrap();
    let (mut ids, mut after) = (Vec::new(), String::new());
    loop {
        let page = worker.get(&format!("/v1/decisions?limit=1{after}")).await.body(200);
        let decisions = page["decisions"].as_array().unwrap();
        ids.extend(decisions.iter().map(|one| one["decision_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_after"].as_str() else { break };
        after = format!("&after={next}");
    }
    // Other lookups of the test, made while it waited, are recorded too.
    let place = |id: &String| ids.iter().position(|one| one == id).unwrap();
    assert!(place(&first) < place(&second), "{ids:?}");
    for (query, is_there) in [
        (format!("from_unix_ms={at}"), true),
        (format!("from_unix_ms={}", at + 1), false),
        (format!("before_unix_ms={}", at + 1), true),
        (format!("before_unix_ms={at}"), false),
    ] {
        let listed = worker.get(&format!("/v1/decisions?{query}")).await.body(200).to_string();
        assert_eq!(listed.contains(&second), is_there, "{query}");
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn each_path_of_cases_and_decisions_is_described() {
    let cluster = cluster().await;
    let document = Http::new(&cluster).get("/v1/openapi.json").await.body(200);
    for (path, methods, options) in [
        ("/v1/reports", &["get", "post"][..], &["after", "limit", "waiting"][..]),
        ("/v1/reports/{number}", &["get"], &[]),
        ("/v1/reports/{number}/review", &["post"], &[]),
        ("/v1/referrals", &["get", "post"], &["after", "limit", "open", "overdue"]),
        ("/v1/referrals/{number}/outcome", &["put"], &[]),
        ("/v1/incidents", &["get", "post"], &["after", "limit"]),
        ("/v1/incidents/{number}/close", &["post"], &[]),
        ("/v1/incident-subscription", &["put"], &[]),
        ("/v1/decisions", &["get"], &["after", "before_unix_ms", "from_unix_ms", "limit"]),
        ("/v1/decisions/{decision_id}", &["get"], &[]),
        ("/v1/decisions/{decision_id}/compare", &["post"], &[]),
        ("/v1/decisions/{decision_id}/outcome", &["put"], &[]),
    ] {
        let described = document["paths"][path].as_object().unwrap_or_else(|| panic!("{path}"));
        let mut known: Vec<&str> = described.keys().map(String::as_str).collect();
        known.sort_unstable();
        assert_eq!(known, methods, "{path}");
        for (method, operation) in described {
            let answers = operation["responses"].as_object().unwrap();
            let [body] =
                &answers.iter().filter(|(status, _)| status.starts_with('2')).collect::<Vec<_>>()[..]
            else {
                panic!("{method} {path}")
            };
            assert!(body.1["content"]["application/json"]["schema"].is_object(), "{method} {path}");
            assert_eq!(operation["requestBody"].is_object(), method != "get", "{method} {path}");
        }
        let parameters = described.get("get").and_then(|get| get["parameters"].as_array());
        let names = parameters.into_iter().flatten().filter(|one| one["in"] == "query");
        let mut names: Vec<&str> = names.map(|one| one["name"].as_str().unwrap()).collect();
        names.retain(|name| *name != "timeout_ms");
        names.sort_unstable();
        assert_eq!(names, options, "{path}");
    }
    let schemas = &document["components"]["schemas"];
    assert_eq!(schemas["OutcomeAsked"]["required"], json!(["action"]));
    for closed in
        ["ReportAsked", "ReviewAsked", "ReferralAsked", "MeasureAsked", "OutcomeAsked", "CompareAsked"]
    {
        assert_eq!(schemas[closed]["additionalProperties"], false, "{closed}");
    }
    cluster.stop().await.unwrap();
}
