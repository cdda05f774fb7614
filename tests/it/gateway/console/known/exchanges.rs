//! Exchanges on pages: added, failing, paused and removed; and hidden from persons without the right.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::time::Instant;

use crate::gateway::client::{Http, cluster, cluster_with};
use crate::gateway::console::browser::{Browser, Shown};
use crate::gateway::console::people::person;
use crate::gateway::v1::members::{team, turned_on};

/// The time limit for a round, including the exchange process's next reading of the list.
const FETCHED_WITHIN: Duration = Duration::from_secs(30);

/// Returns the page once it has this text.
async fn until(browser: &mut Browser, path: &str, words: &str) -> Shown {
    let begun = Instant::now();
    loop {
        let page = browser.get(path).await.ok();
        if page.text().contains(words) {
            return page;
        }
        assert!(begun.elapsed() < FETCHED_WITHIN, "no {words:?}: {}", page.text());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exchange_is_added_and_its_error_is_read_and_it_is_paused_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let credentials_folder = Some(folder.path().to_owned());
    let cluster = cluster_with(|config| {
        config.exchange = Some(vigie_exchange::Config {
            credentials_folder,
            list_ms: 100,
            ..vigie_exchange::Config::default()
        });
    })
    .await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let mut browser = Browser::new(&cluster);
    let empty = browser.get("/console/exchanges").await.ok();
    assert!(empty.text().contains("No exchange is followed."), "{}", empty.text());
    assert_eq!(browser.get("/console/exchanges/none").await.status, StatusCode::NOT_FOUND);

    // The form has the settings of the programme, and an invalid one is reported beside its field.
    let form = browser.get("/console/exchanges?api=fb_threatexchange").await.ok();
    assert!(form.text().contains("Number of the privacy group"), "{}", form.text());
    let wrong = |group, bank, settings| {
        [
            ("name", "group"),
            ("bank", bank),
            ("setting-privacy_group", group),
            ("interval", "3600"),
            ("settings", settings),
        ]
    };
    for (fields, status, fault) in [
        (wrong("x", "known", ""), StatusCode::BAD_REQUEST, "does not fit"),
        (wrong("", "known", ""), StatusCode::BAD_REQUEST, "is required"),
        (wrong("12", "nowhere", ""), StatusCode::BAD_REQUEST, "There is no such bank."),
        (wrong("12", "known", "[]"), StatusCode::BAD_REQUEST, "is no object of JSON"),
        (wrong("12", "known", r#"{"api_token":"x"}"#), StatusCode::BAD_REQUEST, "looks like a credential"),
    ] {
        let refused = browser.send(&form, "/console/exchanges", &fields).await;
        assert_eq!(refused.status, status, "{fields:?}");
        let text = refused.text();
        assert!(text.contains("The exchange was not added.") && text.contains(fault), "{fault}: {text}");
        // The form keeps the entered text.
        assert!(refused.html.contains("value=\"group\""), "{}", refused.html);
    }
    let added = browser.send(&form, "/console/exchanges", &wrong("12", "known", "")).await.ok();
    assert_eq!(added.path, "/console/exchanges/group?done=exchanges.add");
    assert!(added.text().contains("ThreatExchange (Meta)"), "{}", added.text());
    // A new form makes another exchange; a repeated form would make the same one.
    let form = browser.get("/console/exchanges?api=fb_threatexchange").await.ok();
    let taken = browser.send(&form, "/console/exchanges", &wrong("12", "known", "")).await;
    assert!(taken.text().contains("There is an exchange of this name already."), "{}", taken.text());

    // Two clicks from the start page: the error in words, with advice.
    until(&mut browser, "/console/exchanges", "1 exchange needs attention").await;
    let start = browser.get("/console/").await.ok();
    assert!(start.links().contains(&"/console/exchanges".to_owned()), "{:?}", start.links());
    let list = browser.get("/console/exchanges").await.ok();
    assert!(list.text().contains("no credential token"), "{}", list.text());
    assert!(list.links().contains(&"/console/exchanges/group".to_owned()), "{:?}", list.links());
    let page = browser.get("/console/exchanges/group").await.ok();
    for words in
        ["This exchange needs attention", "no credential token", "What to do: put the missing credentials"]
    {
        assert!(page.text().contains(words), "{}", page.text());
    }

    // Each button has its effect.
    let page = browser.send(&page, "/console/exchanges/group", &[("do", "pause")]).await.ok();
    assert!(page.text().contains("The exchange is paused."), "{}", page.text());
    assert_eq!(http.get("/c/exchange/group").await.body(200)["enabled"], false);
    let page = browser.send(&page, "/console/exchanges/group", &[("do", "resume")]).await.ok();
    assert_eq!(http.get("/c/exchange/group").await.body(200)["enabled"], true);
    let page = browser.send(&page, "/console/exchanges/group", &[("do", "fetch")]).await.ok();
    assert!(page.text().contains("A fetch is asked for."), "{}", page.text());
    let unsure = browser.send(&page, "/console/exchanges/group", &[("do", "remove")]).await;
    assert_eq!(unsure.status, StatusCode::BAD_REQUEST);
    let gone =
        browser.send(&page, "/console/exchanges/group", &[("do", "remove"), ("sure", "yes")]).await.ok();
    assert!(gone.text().contains("The exchange is removed."), "{}", gone.text());
    assert_eq!(browser.get("/console/exchanges/group").await.status, StatusCode::NOT_FOUND);

    // Text entered by a person is escaped.
    let form = browser.get("/console/exchanges?api=local_file").await.ok();
    let fields = [("name", "file"), ("bank", "known"), ("setting-path", "<b>x</b>")];
    let page = browser.send(&form, "/console/exchanges", &fields).await.ok();
    assert!(page.text().contains("<b>x</b>") && !page.html.contains("<b>x"), "{}", page.html);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn exchanges_are_there_for_the_roles_that_may_read_them() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (acme, _) = team(&operator, "acme").await;
    let (other, _) = team(&operator, "other").await;
    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let (mut owner, _) = person(&cluster, &acme, json!({ "roles": ["administrator"] })).await;
    let (mut contributor, _) = person(&cluster, &acme, json!({ "roles": ["contributor"] })).await;
    let (mut matcher, _) = person(&cluster, &acme, json!({ "roles": ["matcher"] })).await;
    let (mut stranger, _) = person(&cluster, &other, json!({ "roles": ["administrator"] })).await;

    let form = owner.get("/console/exchanges?api=sample").await.ok();
    owner.send(&form, "/console/exchanges", &[("name", "examples"), ("bank", "known")]).await.ok();
    let page = owner.get("/console/exchanges/examples").await.ok();

    // A contributor may request a fetch and nothing else.
    assert!(!contributor.get("/console/exchanges").await.ok().text().contains("Add an exchange"));
    let seen = contributor.get("/console/exchanges/examples").await.ok();
    assert!(
        seen.text().contains("Fetch now") && !seen.text().contains("Remove the exchange"),
        "{}",
        seen.text()
    );
    contributor.send(&seen, "/console/exchanges/examples", &[("do", "fetch")]).await.ok();
    let refused = contributor.send(&seen, "/console/exchanges/examples", &[("do", "pause")]).await;
    assert_eq!(refused.status, StatusCode::NOT_FOUND);
    assert!(!owner.get("/console/exchanges/examples").await.ok().text().contains("Go on"));

    // For others, the exchange is answered exactly as one that does not exist.
    for browser in [&mut matcher, &mut stranger] {
        let hidden = browser.get("/console/exchanges/examples").await;
        let nothing = browser.get("/console/exchanges/nothing").await;
        assert_eq!((hidden.status, hidden.text()), (StatusCode::NOT_FOUND, nothing.text()));
        let form = [("content-type", "application/x-www-form-urlencoded")];
        let csrf = browser.get("/console/").await.ok().html;
        let csrf = csrf.split("x-csrf&quot;:&quot;").nth(1).unwrap().split('&').next().unwrap();
        let sent = browser.post("/console/exchanges/examples", &form, format!("csrf={csrf}&do=pause")).await;
        assert_eq!(sent.status, StatusCode::NOT_FOUND, "{}", sent.text());
    }
    assert_eq!(matcher.get("/console/exchanges").await.status, StatusCode::NOT_FOUND);
    assert!(!stranger.get("/console/exchanges").await.ok().text().contains("examples"));
    assert!(page.text().contains("Pause"), "{}", page.text());
    cluster.stop().await.unwrap();
}
