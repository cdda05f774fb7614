//! Health: the page while all is well, while a part is unavailable, and by role.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::gateway::client::{Http, cluster};
use crate::gateway::console::browser::{Browser, Shown};

const PATH: &str = "/console/health";
/// The time limit for services to notice a change.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);

/// Returns the page once it has this text.
async fn until_said(browser: &mut Browser, path: &str, text: &str) -> Shown {
    let begun = Instant::now();
    loop {
        let shown = browser.get(path).await.ok();
        if shown.text().contains(text) {
            return shown;
        }
        assert!(begun.elapsed() < NOTICED_WITHIN, "{text}: {}", shown.text());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_state_is_a_sentence_with_what_stands_behind_it() {
    let mut cluster = cluster().await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let item = json!({ "items": [{ "hashes": [{ "type": "md5", "hash": "01".repeat(16) }] }] });
    http.post("/v1/banks/known/items", &item).await.body(201);
    let mut browser = Browser::new(&cluster);
    let shown = until_said(&mut browser, PATH, "md5 1 Exact").await;
    let text = shown.text();
    for one in [
        "All is well All 2 parts of the list are searched, as of",
        "Newest change 2",
        "The list has 2 parts. 2 replicas answer searches.",
        "Version of Vigie",
        "/metrics",
    ] {
        assert!(text.contains(one), "{one}: {text}");
    }
    // The part of the page that is refreshed regularly.
    assert!(shown.html.contains("hx-get=\"/console/health/now\""), "{}", shown.html);
    let now = browser.get("/console/health/now").await.ok();
    assert!(
        now.html.contains("id=\"health-now\"") && !now.text().contains("replicas answer"),
        "{}",
        now.html
    );

    cluster.stop_matcher(1).await.unwrap();
    let away = until_said(&mut browser, PATH, "Does not answer").await;
    let sentence = "Out of order 1 of 2 parts of the list does not answer: part 1. Answers are not complete.";
    assert!(away.text().contains(sentence), "{}", away.text());
    assert!(!away.text().contains("All is well"), "{}", away.text());
    cluster.stop_matcher(0).await.unwrap();
    until_said(&mut browser, "/console/health/now", "No part of the list answers. Nothing can be checked.")
        .await;
    cluster.stop().await.unwrap();
}

/// A browser signed in as a new principal with these roles.
async fn person(cluster: &vigie_harness::in_process::Cluster, by: &Http, asked: Value) -> (Browser, Http) {
    let made = by.post("/v1/principals", &asked).await.body(201);
    let key = made["api_key"].as_str().unwrap();
    let http = Http::new(cluster).with_key(key);
    let begun = Instant::now();
    while http.get("/v1/whoami").await.status != StatusCode::OK {
        assert!(begun.elapsed() < NOTICED_WITHIN, "the key is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (Browser::signed_in(cluster, key).await, http)
}

#[tokio::test(flavor = "multi_thread")]
async fn machines_are_shown_to_operators_alone_and_checking_to_those_who_may() {
    let cluster = cluster().await;
    let nobody = Http::new(&cluster);
    let first = json!({ "roles": ["operator", "auditor"], "turn_on": true });
    let (mut operator, by) = person(&cluster, &nobody, first).await;
    by.post("/v1/members", &json!({ "name": "acme" })).await.body(201);
    let (mut administrator, by_acme) =
        person(&cluster, &by, json!({ "member": "acme", "roles": ["administrator"] })).await;
    let (mut matcher, _) = person(&cluster, &by_acme, json!({ "roles": ["matcher"] })).await;

    let sentence = "All 2 parts of the list are searched, as of";
    let shown = until_said(&mut operator, PATH, sentence).await;
    assert!(
        shown.text().contains("http://127.0.0.1:") && shown.text().contains("Changes behind"),
        "{}",
        shown.text()
    );
    for browser in [&mut administrator, &mut matcher] {
        let shown = until_said(browser, PATH, sentence).await;
        let text = shown.text();
        assert!(!text.contains("127.0.0.1") && !text.contains("Changes behind"), "{text}");
        assert!(text.contains("Newest change"), "{text}");
    }
    // A person without the right to check finds no such page, and the navigation has no link to it.
    for browser in [&mut operator, &mut administrator] {
        let shown = browser.get("/console/check").await;
        let never = browser.get("/console/never").await;
        assert_eq!((shown.status, never.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
        assert_eq!(shown.text(), never.text());
        assert!(!never.links().contains(&"/console/check".to_owned()), "{:?}", never.links());
    }
    let page = matcher.get("/console/check").await.ok();
    assert!(page.has_form("/console/check") && page.links().contains(&"/console/check".to_owned()));
    let checked = matcher.send(&page, "/console/check", &[("hashes", &"01".repeat(16))]).await.ok();
    assert!(checked.text().contains("Answers: 1 not known"), "{}", checked.text());
    let mut stranger = Browser::new(&cluster);
    assert!(stranger.get(PATH).await.path.starts_with("/console/sign-in"));
    cluster.stop().await.unwrap();
}
