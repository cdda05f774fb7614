//! Reports, referrals and incidents over our own REST API.

use std::time::{SystemTime, UNIX_EPOCH};

use http::Method;
use serde_json::{Value, json};

use super::md5;
use super::members::{principal, team, turned_on, until_found};
use crate::gateway::client::{Http, cluster};

const HOUR_MS: u64 = 60 * 60 * 1_000;

/// Returns the present time in milliseconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

/// Creates an administrator of the host, and a reviewer.
async fn host(operator: &Http) -> (Http, Http) {
    let (administrator, _) = principal(operator, json!({ "roles": ["administrator"] })).await;
    let (reviewer, _) = principal(&administrator, json!({ "roles": ["reviewer"] })).await;
    (administrator, reviewer)
}

/// Returns the numbers of the cases of a list, in its order, read in pages of one.
async fn numbers(http: &Http, list: &str, of: &str, number: &str) -> Vec<u64> {
    let (mut numbers, mut after) = (Vec::new(), String::new());
    loop {
        let page = http.get(&format!("{list}limit=1{after}")).await.body(200);
        numbers.extend(page[of].as_array().unwrap().iter().map(|one| one[number].as_u64().unwrap()));
        let Some(next) = page["next_after"].as_str() else { return numbers };
        after = format!("&after={next}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_sent_and_its_outcome_is_read() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (administrator, reviewer) = host(&operator).await;
    let (acme, worker) = team(&operator, "acme").await;
    let (_, stranger) = team(&operator, "umbra").await;
    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let items = json!({ "items": [{ "hashes": [{ "type": "md5", "hash": md5(1) }] }] });
    let item = worker.post("/v1/banks/known/items", &items).await.body(201)["item_ids"][0].clone();
    acme.put("/v1/banks/known/grants/local", &json!({ "capabilities": ["opine"] })).await.body(200);

    // Sent twice with the same key, it is one report.
    let contents = json!({
        "item_id": item, "decision_id": "0f".repeat(16), "decided_at_unix_ms": 1_795_000_000_000_u64,
        "classification": ["iwf/category=A"], "hash_type": "md5", "distance": 0, "verdict": "block",
        "person_looked": true, "urgent": false, "legal_basis": "own initiative",
        "third_country_reference": "CT-1", "note": "a note", "adds_to": null,
    });
    let mut report = contents.clone();
    report["bank"] = json!("known");
    let headers = [("content-type", "application/json"), ("idempotency-key", "report-1")];
    let sent = worker.send(Method::POST, "/v1/reports", &headers, report.to_string()).await;
    let location = sent.headers["location"].to_str().unwrap().to_owned();
    let sent = sent.body(201);
    let first = sent["report"].as_u64().unwrap();
    assert_eq!((&sent["bank"], location), (&json!("known"), format!("/v1/reports/{first}")));
    let again = worker.send(Method::POST, "/v1/reports", &headers, report.to_string()).await.body(201);
    assert_eq!(again, sent);
    let urgent = json!({ "bank": "known", "urgent": true });
    let second = worker.post("/v1/reports", &urgent).await.body(201)["report"].as_u64().unwrap();

    // Its member and the host read it, in pages with urgent ones first; another member does not.
    let shown = worker.get(&format!("/v1/reports/{first}")).await.body(200);
    for (field, value) in contents.as_object().unwrap() {
        assert_eq!(&shown[field], value, "{field}");
    }
    assert_eq!((&shown["member"], &shown["bank"]), (&json!("acme"), &json!("known")));
    assert_eq!(numbers(&reviewer, "/v1/reports?waiting=true&", "reports", "report").await, [second, first]);
    assert_eq!(stranger.get("/v1/reports").await.body(200)["reports"], json!([]));
    let hidden = stranger.get(&format!("/v1/reports/{first}")).await;
    hidden.problem(404, "NOT_FOUND");

    // The bank checks permissions and values.
    let review = format!("/v1/reports/{first}/review");
    let unfounded =
        json!({ "outcome": "unfounded", "reason": "another picture", "opinion_reason": "different-content" });
    worker.post(&review, &unfounded).await.problem(403, "PERMISSION_DENIED");
    administrator.post(&review, &unfounded).await.problem(403, "PERMISSION_DENIED");
    operator.post("/v1/reports", &json!({ "bank": "known" })).await.problem(403, "PERMISSION_DENIED");
    stranger.post("/v1/reports", &json!({ "bank": "acme/known" })).await.problem(404, "NOT_FOUND");
    let foreign = json!({ "bank": "known", "adds_to": 99_999 });
    worker.post("/v1/reports", &foreign).await.problem(404, "NOT_FOUND");
    reviewer.post("/v1/reports/99999/review", &unfounded).await.problem(404, "NOT_FOUND");
    let far = now() + 551 * 24 * HOUR_MS;
    for (http, path, asked, field) in [
        (&worker, "/v1/reports", json!({}), "bank"),
        (&worker, "/v1/reports", json!({ "bank": "known", "decision_id": "0f" }), "decision_id"),
        (&worker, "/v1/reports", json!({ "bank": "known", "distance": 3 }), "distance"),
        (&worker, "/v1/reports", json!({ "bank": "known", "content": "x" }), "content"),
        (&worker, "/v1/reports", json!({ "bank": "known", "note": "x".repeat(513) }), "note"),
        (&reviewer, &review, json!({ "outcome": "unfounded" }), "reason"),
        (
            &reviewer,
            &review,
            json!({ "outcome": "founded", "do_not_remove_until_unix_ms": far }),
            "do_not_remove_until_unix_ms",
        ),
    ] {
        let refused = http.post(path, &asked).await.problem(400, "INVALID_ARGUMENT");
        assert_eq!(refused.as_deref(), Some(field), "{asked}");
    }
    for (path, field) in [
        ("/v1/reports?after=x", "after"),
        ("/v1/reports?limit=101", "limit"),
        ("/v1/reports?waiting=perhaps", "waiting"),
        ("/v1/reports/0", "number"),
    ] {
        let refused = worker.get(path).await.problem(400, "INVALID_ARGUMENT");
        assert_eq!(refused.as_deref(), Some(field), "{path}");
    }

    // An unfounded report becomes an opinion of the host; a decision's demands are returned with it.
    let decided = reviewer.post(&review, &unfounded).await.body(200);
    assert_eq!((&decided["outcome"], &decided["opinion_put"]), (&json!("unfounded"), &json!(true)));
    let shown = worker.get(&format!("/v1/items/{item}")).await.body(200);
    assert_eq!(shown["facts"]["negatives"], 1);
    let until = now() + 24 * HOUR_MS;
    let forwarded = json!({ "outcome": "forwarded", "do_not_tell_until_unix_ms": until });
    let decided = reviewer.post(&format!("/v1/reports/{second}/review"), &forwarded).await.body(200);
    assert_eq!(decided["opinion_put"], false);
    let [first, second] = [first, second].map(|number| format!("/v1/reports/{number}"));
    let read = worker.get(&first).await.body(200)["review"].clone();
    assert_eq!(
        (&read["outcome"], &read["reason"], &read["opinion_reason"], &read["do_not_tell_until_unix_ms"]),
        (&json!("unfounded"), &json!("another picture"), &json!("different-content"), &Value::Null)
    );
    assert_eq!(worker.get(&second).await.body(200)["review"]["do_not_tell_until_unix_ms"], until);
    assert_eq!(worker.get("/v1/reports?waiting=true").await.body(200)["reports"], json!([]));
    assert_eq!(numbers(&worker, "/v1/reports?", "reports", "report").await.len(), 2);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_referral_is_tracked_to_the_outcome_of_each_member() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (_, reviewer) = host(&operator).await;
    let (acme, worker) = team(&operator, "acme").await;
    let (_, umbra) = team(&operator, "umbra").await;
    let (_, stranger) = team(&operator, "other").await;

    let secret = "https://example.test/secret";
    let received = now() - 2 * HOUR_MS;
    let mut order = json!({
        "body": "an authority", "url": secret, "legal_basis": "2021/784", "priority": "urgent", "members": ["acme", "umbra"],
        "removal_order": { "reference": "FR-7", "received_at_unix_ms": received, "issuing_state": "FR" },
    });
    let added = reviewer.post("/v1/referrals", &order).await.body(201);
    let number = added["referral"].as_u64().unwrap();
    assert_eq!(added["deadline_unix_ms"], received + HOUR_MS);
    let hash = json!({ "hash_type": "md5", "hash": md5(7) });
    let referral = json!({ "body": "IRU", "hash": hash });
    let added = reviewer.post("/v1/referrals", &referral).await.body(201);
    let (plain, deadline) = (added["referral"].as_u64().unwrap(), &added["deadline_unix_ms"]);
    assert_eq!(deadline, &Value::Null);

    // The host sees the outcomes of all members, a member sees its own, and others see nothing.
    let all = reviewer.get("/v1/referrals?overdue=true").await.body(200);
    let [shown] = &all["referrals"].as_array().unwrap()[..] else { panic!("{all}") };
    assert_eq!(shown["members"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&shown["url"], &shown["hash"], &shown["overdue"]),
        (&json!(secret), &Value::Null, &json!(true))
    );
    let shown = &shown["removal_order"];
    assert_eq!((&shown["reference"], &shown["issuing_state"]), (&json!("FR-7"), &json!("FR")));
    let own = worker.get("/v1/referrals?open=true").await.body(200);
    let [shown, other] = &own["referrals"].as_array().unwrap()[..] else { panic!("{own}") };
    let pending = json!({ "member": "acme", "outcome": "pending", "ground": null, "details": null, "taken_at_unix_ms": null });
    assert_eq!((&shown["members"], &shown["url"]), (&json!([pending]), &json!(secret)));
    assert_eq!((&other["url"], &other["hash"], &other["priority"]), (&Value::Null, &hash, &json!("normal")));
    assert_eq!(numbers(&stranger, "/v1/referrals?", "referrals", "referral").await, [plain]);

    // Missing permissions, unknown referrals, and invalid values. No answer repeats the URL.
    let outcome = format!("/v1/referrals/{number}/outcome");
    let (contributor, _) = principal(&acme, json!({ "roles": ["contributor"] })).await;
    contributor.put(&outcome, &json!({ "outcome": "removed" })).await.problem(403, "PERMISSION_DENIED");
    stranger.put(&outcome, &json!({ "outcome": "removed" })).await.problem(404, "NOT_FOUND");
    let declined = json!({ "outcome": "declined", "details": "allowed here" });
    worker.put(&outcome, &declined).await.problem(409, "FAILED_PRECONDITION");
    for (asked, field) in [
        (json!({ "outcome": "pending" }), "outcome"),
        (json!({ "outcome": "not-possible" }), "ground"),
        (json!({ "outcome": "declined" }), "details"),
        (json!({ "outcome": "removed", "taken_at_unix_ms": now() + HOUR_MS }), "taken_at_unix_ms"),
    ] {
        let refused = worker.put(&outcome, &asked).await.problem(400, "INVALID_ARGUMENT");
        assert_eq!(refused.as_deref(), Some(field), "{asked}");
    }
    worker.post("/v1/referrals", &order).await.problem(403, "PERMISSION_DENIED");
    for (field, value, at) in [
        ("url", json!(null), "url"),
        ("url", json!(format!("{secret}\n")), "url"),
        ("url", json!([secret]), "url"),
        ("hash", hash.clone(), "hash"),
        ("priority", json!(secret), "priority"),
        ("members", json!([secret]), "members[0]"),
        (secret, json!(1), "..."),
        (
            "removal_order",
            json!({ "reference": "FR-7", "received_at_unix_ms": now() + HOUR_MS, "issuing_state": "FR" }),
            "removal_order.received_at_unix_ms",
        ),
        (
            "removal_order",
            json!({ "reference": "FR-7", "issuing_state": "FR" }),
            "removal_order.received_at_unix_ms",
        ),
    ] {
        let mut wrong = order.clone();
        wrong[field] = value;
        let answer = reviewer.post("/v1/referrals", &wrong).await;
        assert!(!answer.body.to_string().contains("secret"), "{}", answer.body);
        assert_eq!(answer.problem(400, "INVALID_ARGUMENT").as_deref(), Some(at), "{field}");
    }
    order["members"] = json!(["nobody"]);
    let unknown = reviewer.post("/v1/referrals", &order).await;
    assert!(!unknown.body.to_string().contains("secret"), "{}", unknown.body);
    unknown.problem(404, "NOT_FOUND");

    // Once each member has an outcome, the order is closed.
    let taken = json!({ "outcome": "disabled", "details": "done", "taken_at_unix_ms": received + 1 });
    assert_eq!(worker.put(&outcome, &taken).await.body(200)["outcome"], "disabled");
    let ground = json!({ "outcome": "not-possible", "ground": "manifest-errors" });
    umbra.put(&outcome, &ground).await.body(200);
    assert_eq!(numbers(&reviewer, "/v1/referrals?open=true&", "referrals", "referral").await, [plain]);
    assert_eq!(numbers(&reviewer, "/v1/referrals?overdue=true&", "referrals", "referral").await, [0; 0]);
    let all = reviewer.get("/v1/referrals").await.body(200);
    let of_order = all["referrals"].as_array().unwrap().iter().find(|one| one["referral"] == number).unwrap();
    let of_acme = json!({
        "member": "acme", "outcome": "disabled", "ground": null, "details": "done", "taken_at_unix_ms": received + 1
    });
    assert_eq!((&of_order["members"][0], &of_order["overdue"]), (&of_acme, &json!(false)));
    assert_eq!(of_order["members"][1]["ground"], "manifest-errors");
    // The audit has each change, without the URL.
    let audit = operator.get("/v1/audit?limit=1000").await.body(200).to_string();
    assert!(audit.contains("/AddReferral") && !audit.contains("secret"), "{audit}");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_searched_by_its_subscribers_until_it_is_closed() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (administrator, reviewer) = host(&operator).await;
    let (contributor, _) = principal(&administrator, json!({ "roles": ["contributor"] })).await;
    let (acme, worker) = team(&operator, "acme").await;
    let (umbra, other) = team(&operator, "umbra").await;

    let subscription = "/v1/incident-subscription";
    let set = acme.put(subscription, &json!({ "types": ["perpetrator-content"] })).await.body(200);
    let subscribed = json!({ "types": ["perpetrator-content"], "every_type": false });
    assert_eq!((&set["subscribed"], &set["open_incidents"]), (&subscribed, &json!(0)));
    let asked = json!({ "type": "perpetrator-content", "title": "an attack", "reason": "now" });
    let opened = administrator.post("/v1/incidents", &asked).await.body(201);
    let number = opened["incident"].as_u64().unwrap();
    let bank = format!("incident-{number}");
    assert_eq!((&opened["bank"], &opened["members"]), (&json!(bank), &json!(1)));
    let items = json!({ "items": [{ "hashes": [{ "type": "md5", "hash": md5(9) }] }] });
    contributor.post(&format!("/v1/banks/{bank}/items"), &items).await.body(201);
    until_found(&worker, 9, 1).await;
    until_found(&other, 9, 0).await;
    let every = umbra.put(subscription, &json!({ "every_type": true })).await.body(200);
    let subscribed = json!({ "types": [], "every_type": true });
    assert_eq!((&every["subscribed"], &every["open_incidents"]), (&subscribed, &json!(1)));
    until_found(&other, 9, 1).await;

    // Missing permissions, existing incidents, and invalid values.
    acme.post("/v1/incidents", &asked).await.problem(403, "PERMISSION_DENIED");
    reviewer.post("/v1/incidents", &asked).await.problem(403, "PERMISSION_DENIED");
    worker.put(subscription, &json!({ "every_type": true })).await.problem(403, "PERMISSION_DENIED");
    let same = json!({ "type": "crisis-protocol", "bank": bank });
    administrator.post("/v1/incidents", &same).await.problem(409, "ALREADY_EXISTS");
    let close = format!("/v1/incidents/{number}/close");
    acme.post(&close, &json!({})).await.problem(403, "PERMISSION_DENIED");
    for (method, path, asked, field) in [
        (Method::POST, "/v1/incidents", json!({ "title": "x" }), "type"),
        (Method::POST, "/v1/incidents", json!({ "type": "Two words" }), "type"),
        (Method::POST, "/v1/incidents", json!({ "type": "a", "bank": "a b" }), "bank"),
        (Method::POST, &close, json!({ "keep_days": 366 }), "keep_days"),
        (Method::POST, "/v1/incidents/x/close", json!({}), "number"),
        (Method::PUT, subscription, json!({}), "types"),
        (Method::PUT, subscription, json!({ "types": vec!["a"; 33] }), "types"),
    ] {
        let refused = administrator.json(method, path, &asked).await.problem(400, "INVALID_ARGUMENT");
        assert_eq!(refused.as_deref(), Some(field), "{path} {asked}");
    }

    let listed = worker.get("/v1/incidents").await.body(200);
    let shown = &listed["incidents"][0];
    assert_eq!((&shown["type"], &shown["title"]), (&json!("perpetrator-content"), &json!("an attack")));
    assert_eq!((&shown["bank"], &shown["items"]), (&json!(format!("local/{bank}")), &json!(1)));
    assert_eq!(
        (&shown["closed_at_unix_ms"], &listed["subscribed"]["every_type"]),
        (&Value::Null, &json!(false))
    );

    // Another is opened, so that the list has pages; then the first is closed.
    let more = json!({ "type": "crisis-protocol", "bank": "crisis" });
    let second = administrator.post("/v1/incidents", &more).await.body(201)["incident"].as_u64().unwrap();
    let closed = administrator.post(&close, &json!({ "reason": "over", "keep_days": 7 })).await.body(200);
    assert_eq!(closed["keep_days"], 7);
    administrator.post(&close, &json!({})).await.problem(404, "NOT_FOUND");
    until_found(&worker, 9, 0).await;
    until_found(&other, 9, 0).await;
    assert_eq!(numbers(&worker, "/v1/incidents?", "incidents", "incident").await, [second, number]);
    let listed = administrator.get("/v1/incidents").await.body(200);
    let shown = &listed["incidents"][1];
    assert_eq!((&shown["closed_reason"], &shown["bank_deleted"]), (&json!("over"), &json!(false)));
    let kept = shown["bank_until_unix_ms"].as_u64().unwrap() - shown["closed_at_unix_ms"].as_u64().unwrap();
    assert_eq!(kept, 7 * 24 * HOUR_MS);
    let none = umbra.put(subscription, &json!({ "types": [] })).await.body(200);
    assert_eq!(none["subscribed"], json!({ "types": [], "every_type": false }));
    cluster.stop().await.unwrap();
}
