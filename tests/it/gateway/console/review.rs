//! The review queue: decisions, disputes, held items, and the settings of a person.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;
use vigie_harness::in_process::Cluster;

use crate::gateway::client::{Http, cluster};
use crate::gateway::console::browser::{Browser, Shown};

/// The time limit for the frontends to follow the directory, and for a record to reach the bank.
const WITHIN: Duration = Duration::from_secs(30);

/// A principal with its key.
#[derive(Debug, Clone)]
pub(super) struct Person {
    pub(super) http: Http,
    key: String,
}

impl Person {
    /// Creates a principal.
    pub(super) async fn creates(&self, asked: Value) -> Self {
        Self::made(&self.http, &asked).await
    }

    async fn made(by: &Http, asked: &Value) -> Self {
        let made = by.post("/v1/principals", asked).await.body(201);
        let key = made["api_key"].as_str().unwrap().to_owned();
        let person = Self { http: by.with_key(&key), key };
        let begun = Instant::now();
        while person.http.get("/v1/whoami").await.status != 200 {
            assert!(begun.elapsed() < WITHIN, "the key of {asked} is not known");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        person
    }

    /// The first operator, which turns members on.
    pub(super) async fn operator(cluster: &Cluster) -> Self {
        Self::made(&Http::new(cluster), &json!({ "roles": ["operator"], "turn_on": true })).await
    }

    /// Creates a member's administrator, and its worker: contributor, reviewer and matcher.
    pub(super) async fn team(&self, member: &str) -> (Self, Self) {
        self.http.post("/v1/members", &json!({ "name": member })).await.body(201);
        let administrator = self.creates(json!({ "member": member, "roles": ["administrator"] })).await;
        let roles = json!(["contributor", "reviewer", "matcher"]);
        let worker = administrator.creates(json!({ "roles": roles })).await;
        (administrator, worker)
    }

    pub(super) async fn browser(&self, cluster: &Cluster) -> Browser {
        Browser::signed_in(cluster, &self.key).await
    }

    /// Changes the charter of the bank `known`.
    pub(super) async fn charter(&self, fields: Value) {
        let path = "/v1/banks/known/charter";
        let mut charter = self.http.get(path).await.body(200)["charter"].clone();
        for (field, value) in fields.as_object().unwrap() {
            charter[field] = value.clone();
        }
        self.http.put(path, &charter).await.body(200);
    }

    /// Adds an item with the digest of equal bytes to the bank `known`. Returns its id.
    pub(super) async fn adds(&self, byte: u8, with: Value) -> u64 {
        let mut item = json!({ "hashes": [{ "type": "md5", "hash": md5(byte) }] });
        for (field, value) in with.as_object().unwrap() {
            item[field] = value.clone();
        }
        let added = self.http.post("/v1/banks/known/items", &json!({ "items": [item] })).await.body(201);
        added["item_ids"][0].as_u64().unwrap()
    }

    /// Looks a digest up until `count` decisions wait. Returns their ids, oldest first, once the bank has
    /// them all.
    async fn decisions(&self, byte: u8, count: usize) -> Vec<String> {
        let begun = Instant::now();
        let asked = json!({
            "queries": [{ "hashes": [{ "type": "md5", "hash": md5(byte) }] }], "surface": "<i>avatar</i>"
        });
        let mut taken = 0;
        // Decisions are recorded only once the frontend has the charter and the policy.
        while taken < count {
            let answer = self.http.post("/v1/match", &asked).await.body(200);
            let decision = &answer["results"][0]["decision"];
            if decision["verdict"] == "REVIEW" && decision["decision_id"].is_string() {
                taken += 1;
            } else {
                assert!(begun.elapsed() < WITHIN, "{answer}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        loop {
            let listed = self.http.get("/v1/decisions").await.body(200);
            let decisions = listed["decisions"].as_array().unwrap().iter();
            let waiting = decisions.filter(|one| one["decision"]["verdict"] == "REVIEW");
            let ids: Vec<String> =
                waiting.map(|one| one["decision_id"].as_str().unwrap().to_owned()).collect();
            if ids.len() >= count {
                return ids;
            }
            assert!(begun.elapsed() < WITHIN, "{listed}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The MD5 digest of equal bytes.
fn md5(byte: u8) -> String {
    format!("{byte:02x}").repeat(16)
}

fn decision(id: &str) -> String {
    format!("/console/review/decisions/{id}")
}

/// The id of the decision shown on a page.
fn shown_decision(page: &Shown) -> &str {
    let rest =
        page.path.strip_prefix("/console/review/decisions/").unwrap_or_else(|| panic!("{}", page.path));
    &rest[..32]
}

#[tokio::test(flavor = "multi_thread")]
async fn deciding_leads_from_one_match_to_the_next_and_is_recorded() {
    let cluster = cluster().await;
    let operator = Person::operator(&cluster).await;
    let (acme, worker) = operator.team("acme").await;
    let (_, umbra) = operator.team("umbra").await;
    acme.http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    acme.charter(json!({ "match_record_days": 30 })).await;
    let condition = "matches.exists(m, m.distance < 9)";
    let policy = json!({ "rule": [{ "name": "near", "when": condition, "verdict": "REVIEW" }] });
    acme.http.put("/v1/policy", &policy).await.body(200);
    let label = "<script>alert(1)</script>";
    let with = json!({ "labels": [label], "details": { "note": "a <b>note</b>" } });
    let item = worker.adds(1, with).await;
    let ids = worker.decisions(1, 4).await;
    let all = ids.len();

    // The queue: the waiting entries of each kind, and the link to the oldest.
    let mut browser = worker.browser(&cluster).await;
    let queue = browser.get("/console/review").await.ok();
    let text = queue.text();
    assert!(text.contains(&format!("Matches to decide on {all}")), "{text}");
    assert!(text.contains("Disputes 0") && text.contains("Begin with the oldest"), "{text}");
    assert!(queue.links().contains(&decision(&ids[0])), "{:?}", queue.links());
    assert!(queue.html.contains(r#"data-key="b""#) && !queue.html.contains("<i>avatar"), "{}", queue.html);
    assert!(text.contains("<i>avatar</i>"), "{text}");

    // One decision: its match, its rule, the opinions, and other people's text escaped.
    let page = browser.get(&decision(&ids[0])).await.ok();
    let text = page.text();
    for part in [
        "matched an item of the bank known by md5: 0 bits differ",
        condition,
        "near",
        label,
        "a <b>note</b>",
        "Vigie keeps no picture. Without one, what this page says of the item is enough",
        "No member has said anything of it.",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!page.html.contains("<script>alert") && !page.html.contains("<b>note"), "{}", page.html);
    assert!(!page.html.contains(&md5(1)), "a record has no hash");
    for key in ["r", "c", "f", "n"] {
        assert!(page.html.contains(&format!("data-key=\"{key}\"")), "{key}");
    }

    // An unknown button decides nothing, and the entered text is kept.
    let path = decision(&ids[0]);
    let again = browser.send(&page, &path, &[("looked", "1"), ("reason", "poor-hash")]).await.ok();
    assert!(again.text().contains("Press one of the buttons"), "{}", again.text());
    assert!(again.html.contains(r#"value="poor-hash" selected"#), "{}", again.html);

    // A false positive is an outcome and an opinion, and redirects to the next decision.
    let fields =
        [("outcome", "wrong"), ("looked", "1"), ("opine", "1"), ("reason", "poor-hash"), ("disputes", "1")];
    let next = browser.send(&again, &path, &fields).await.ok();
    assert_eq!(shown_decision(&next), ids[1], "{}", next.path);
    assert!(next.text().contains("The decision is recorded, and said of the item."), "{}", next.text());
    assert!(next.links().contains(&path), "the way back to what was just decided");
    let outcome = worker.http.get(&format!("/v1/decisions/{}", ids[0])).await.body(200)["outcome"].clone();
    let said = (&outcome["review"], &outcome["person_looked"], &outcome["action"]);
    assert_eq!(said, (&json!("overturned"), &json!(true), &Value::Null));
    let facts = worker.http.get(&format!("/v1/items/{item}")).await.body(200)["facts"].clone();
    assert_eq!((&facts["negatives"], &facts["dispute_open"]), (&json!(1), &json!(true)));
    assert!(next.text().contains("1 member says that it is wrong"), "{}", next.text());
    let text = browser.get("/console/review").await.ok().text();
    assert!(
        text.contains(&format!("Matches to decide on {}", all - 1)) && text.contains("Disputes 1"),
        "{text}"
    );

    // Known and removed, without an opinion on the item.
    let next = browser.send(&next, &decision(&ids[1]), &[("outcome", "removed")]).await.ok();
    assert_eq!(shown_decision(&next), ids[2]);
    assert!(next.text().contains("The decision is recorded."), "{}", next.text());
    let outcome = worker.http.get(&format!("/v1/decisions/{}", ids[1])).await.body(200)["outcome"].clone();
    assert_eq!((&outcome["review"], &outcome["action"]), (&json!("confirmed"), &json!("removed")));
    assert_eq!(outcome["person_looked"], Value::Null);
    let facts = worker.http.get(&format!("/v1/items/{item}")).await.body(200)["facts"].clone();
    assert_eq!(facts["positives"], 0);

    // Skipped, and back at the oldest after the last.
    let skip = next.links().into_iter().find(|link| link.contains("/next?")).unwrap();
    let skipped = browser.get(&skip).await.ok();
    assert_eq!(shown_decision(&skipped), ids[3]);
    // Another person decides first.
    let mut other = worker.browser(&cluster).await;
    let late = other.get(&decision(&ids[2])).await.ok();
    browser.send(&next, &decision(&ids[2]), &[("outcome", "right"), ("action", "labelled")]).await.ok();
    let refused = other.send(&late, &decision(&ids[2]), &[("outcome", "wrong")]).await.ok();
    assert!(refused.text().contains("Somebody else has decided this"), "{}", refused.text());
    let outcome = worker.http.get(&format!("/v1/decisions/{}", ids[2])).await.body(200)["outcome"].clone();
    assert_eq!((&outcome["review"], &outcome["action"]), (&json!("confirmed"), &json!("labelled")));
    // The others, until the queue is empty.
    let mut page = browser.get(&decision(&ids[3])).await.ok();
    for _ in 3..all {
        let path = decision(shown_decision(&page));
        page = browser.send(&page, &path, &[("outcome", "right")]).await.ok();
    }
    assert!(page.path.starts_with("/console/review?"), "{}", page.path);
    assert!(page.text().contains("No match waits for a decision."), "{}", page.text());

    // An auditor reads but cannot decide. For other roles and other members the decision is not found.
    let auditor = acme.creates(json!({ "roles": ["auditor"] })).await;
    let mut auditing = auditor.browser(&cluster).await;
    let page = auditing.get(&path).await.ok();
    assert!(page.text().contains("This was decided already: false positive.") && !page.has_form(&path));
    let matcher = acme.creates(json!({ "roles": ["matcher"] })).await;
    let mut matching = matcher.browser(&cluster).await;
    let mut strange = umbra.browser(&cluster).await;
    let missing = decision(&"0f".repeat(16));
    let nothing = strange.get(&missing).await;
    for hidden in [path.as_str(), "/console/review", "/console/review/settings"] {
        let shown = matching.get(hidden).await;
        assert_eq!((shown.status, shown.text()), (StatusCode::NOT_FOUND, nothing.text()), "{hidden}");
    }
    let (of_item, of_dispute) =
        (format!("/console/items/{item}/opinion"), format!("/console/review/disputes/{item}"));
    for hidden in [path.as_str(), "/console/review/decisions/x", &of_item, &of_dispute] {
        let shown = strange.get(hidden).await;
        assert_eq!((shown.status, shown.text()), (StatusCode::NOT_FOUND, nothing.text()), "{hidden}");
    }
    let queue = strange.get("/console/review").await.ok();
    assert!(queue.text().contains("Matches to decide on 0"), "{}", queue.text());
    // A form of another page cannot decide for another member.
    let own = strange.get("/console/review/settings").await.ok();
    let csrf = own.html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("csrf={csrf}&set_at=0&outcome=wrong");
    let form = [("content-type", "application/x-www-form-urlencoded")];
    assert_eq!(strange.post(&path, &form, body).await.status, StatusCode::NOT_FOUND);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_answers_disputes_and_lifts_what_is_held() {
    let cluster = cluster().await;
    let operator = Person::operator(&cluster).await;
    let (acme, owner) = operator.team("acme").await;
    let (_, reviewer) = operator.team("umbra").await;
    acme.http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    acme.charter(json!({ "dispute_days": 3, "confirmations_min": 2 })).await;
    let allow = json!({ "capabilities": ["match", "see-hashes", "see-details", "opine"] });
    acme.http.put("/v1/banks/known/grants/umbra", &allow).await.body(200);
    let class = json!({ "classification": [{ "taxonomy": "iwf", "dimension": "category", "value": "A" }] });
    let mut items = Vec::new();
    for byte in 1..=3 {
        let item = owner.adds(byte, json!({ "details": class })).await;
        let asked = json!({ "kind": "negative", "reason": "out-of-scope", "dispute": true });
        reviewer.http.put(&format!("/v1/items/{item}/opinion"), &asked).await.body(200);
        items.push(item);
    }
    let [first, second, third] = items[..] else { panic!() };
    let dispute = |item: u64| format!("/console/review/disputes/{item}");

    let mut browser = owner.browser(&cluster).await;
    let queue = browser.get("/console/review?kind=disputes").await.ok();
    assert!(queue.text().contains("Disputes 3") && !queue.text().contains("Overdue"), "{}", queue.text());
    assert!(queue.links().contains(&dispute(first)), "{:?}", queue.links());
    // The person who asked waits for the owner, and has no buttons.
    let mut asking = reviewer.browser(&cluster).await;
    let queue = asking.get("/console/review?kind=disputes").await.ok();
    assert!(queue.text().contains("Disputes 0") && queue.text().contains("Waits for the bank's owner"));
    let page = asking.get(&dispute(first)).await.ok();
    assert!(page.text().contains("The owner of the bank answers") && !page.has_form(&dispute(first)));

    // A resolution redirects to the next dispute.
    let page = browser.get(&dispute(first)).await.ok();
    let text = page.text();
    assert!(
        text.contains("iwf/category=A") && text.contains("The same content, which does not belong"),
        "{text}"
    );
    assert!(text.contains("a member that is not named"), "{text}");
    let next = browser.send(&page, &dispute(first), &[("resolution", "kept")]).await.ok();
    assert!(next.path.starts_with(&dispute(second)), "{}", next.path);
    assert!(next.text().contains("The dispute is resolved: the item stays."), "{}", next.text());
    let open = owner.http.get("/v1/disputes").await.body(200);
    assert_eq!(open["disputes"].as_array().unwrap().len(), 2, "{open}");
    let again = browser.send(&page, &dispute(first), &[("resolution", "kept")]).await;
    // A repeated form is one write.
    assert_eq!(again.status, StatusCode::OK, "{}", again.text());

    // Other classes: a wrong one is reported and the entered text kept.
    let wrong = [("resolution", "reclassified"), ("classes", "iwf/category=Z")];
    let page = browser.send(&next, &dispute(second), &wrong).await.ok();
    assert!(page.text().contains("Each line needs a class") && page.html.contains("iwf/category=Z"));
    let page = browser.send(&page, &dispute(second), &[("resolution", "perhaps")]).await.ok();
    assert!(page.text().contains("Press one of the buttons: keep, remove"), "{}", page.text());
    let good = [("resolution", "reclassified"), ("classes", "iwf/category=B")];
    let page = browser.send(&page, &dispute(second), &good).await.ok();
    assert!(page.path.starts_with(&dispute(third)), "{}", page.path);
    let item = owner.http.get(&format!("/v1/items/{second}")).await.body(200);
    assert_eq!(item["details"]["classification"][0]["value"], "B");
    let page = browser.send(&page, &dispute(third), &[("resolution", "removed")]).await.ok();
    assert!(
        page.path.contains("kind=disputes") && page.text().contains("No dispute is open."),
        "{}",
        page.text()
    );
    owner.http.get(&format!("/v1/items/{third}")).await.problem(404, "NOT_FOUND");
    assert_eq!(browser.get(&dispute(third)).await.status, StatusCode::NOT_FOUND);
    let text = browser.get(&dispute(first)).await.ok().text();
    assert!(text.contains("No dispute about this item is open."), "{text}");

    // Items in probation: one confirmation is missing.
    let text = browser.get("/console/review?kind=probation").await.ok().text();
    assert!(text.contains("asks that 2 members confirm"), "{text}");
    assert!(text.contains("2 items of the bank were searched"), "{text}");

    // Held for one member only, and lifted from the queue.
    reviewer.http.put(&format!("/v1/items/{first}/hold/here"), &json!({})).await.body(200);
    let queue = asking.get("/console/review?kind=held").await.ok();
    assert!(
        queue.text().contains("acme/known") && queue.text().contains("by your member"),
        "{}",
        queue.text()
    );
    let lift = format!("/console/items/{first}/lift-here");
    let lifted = asking.send(&queue, &lift, &[]).await.ok();
    assert!(lifted.text().contains("The item matches again") && lifted.text().contains("No item is held"));
    assert_eq!(reviewer.http.get("/v1/held-here").await.body(200)["items"], json!([]));
    // An invalid cursor, and an unknown bank.
    for wrong in [
        "kind=disputes&after=x",
        "kind=decisions&after=0",
        "kind=probation&bank=nowhere",
        "kind=probation&bank=a%2F%2Fb",
    ] {
        let shown = browser.get(&format!("/console/review?{wrong}")).await;
        assert_eq!(shown.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sets_how_pictures_are_shown_and_when_a_break_is_suggested() {
    const COOKIE: &str = "vigie-wellbeing";
    let cluster = cluster().await;
    let mut browser = Browser::new(&cluster);
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let person = Person { http, key: String::new() };
    person.charter(json!({ "dispute_days": 3 })).await;
    let item = person.adds(1, json!({})).await;
    let case = format!("/console/review/disputes/{item}");
    let path = "/console/review/settings";
    let default = r#"class="compare" data-blur data-grey data-size="small""#;

    let page = browser.get(&case).await.ok();
    assert!(page.html.contains(default) && page.html.contains(r#"data-minutes="45""#), "{}", page.html);
    // The picture's field has no name, so no form sends it.
    let field = page.html.split("id=\"f-own-picture\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(!field.contains("name="), "{field}");

    let page = browser.get(path).await.ok();
    for wrong in [("huge", "30"), ("large", "7"), ("large", "")] {
        let shown = browser.send(&page, path, &[("size", wrong.0), ("minutes", wrong.1)]).await.ok();
        assert!(shown.text().contains("Choose a size and a time"), "{wrong:?}");
        assert!(!browser.cookies.contains_key(COOKIE));
    }
    let kept = browser.send(&page, path, &[("grey", "1"), ("size", "large"), ("minutes", "0")]).await.ok();
    assert!(kept.path.starts_with("/console/review?") && kept.text().contains("The settings are kept"));
    let page = browser.get(&case).await.ok();
    assert!(page.html.contains(r#"class="compare" data-grey data-size="large""#), "{}", page.html);
    assert!(!page.html.contains("<dialog"));
    for nonsense in ["b9.g1.large.0", "\"><script>", "b0.g0.large.44", ""] {
        browser.cookies.insert(COOKIE.to_owned(), nonsense.to_owned());
        let page = browser.get(&case).await.ok();
        assert!(page.html.contains(default) && page.html.contains(r#"data-minutes="45""#), "{nonsense}");
    }
    cluster.stop().await.unwrap();
}
