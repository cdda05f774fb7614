//! Opinions on an item, by the forms of its page.

use http::StatusCode;
use serde_json::json;

use crate::gateway::client::cluster;
use crate::gateway::console::review::Person;

#[tokio::test(flavor = "multi_thread")]
async fn a_member_says_what_it_thinks_of_an_item_and_takes_it_back() {
    let cluster = cluster().await;
    let operator = Person::operator(&cluster).await;
    let (acme, owner) = operator.team("acme").await;
    let (_, reviewer) = operator.team("umbra").await;
    acme.http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let allow = json!({ "capabilities": ["match", "see-hashes", "see-details", "opine"] });
    acme.http.put("/v1/banks/known/grants/umbra", &allow).await.body(200);
    let item = owner.adds(7, json!({})).await;
    let path = format!("/console/items/{item}/opinion");

    let mut browser = reviewer.browser(&cluster).await;
    let page = browser.get(&path).await.ok();
    assert!(page.text().contains("No member has said anything of it."), "{}", page.text());
    // Each invalid field is reported, and the entered text is kept.
    for (fields, fault) in [
        (vec![], "Choose an opinion"),
        (
            vec![("opinion", "positive"), ("opinion_reason", "duplicate")],
            "A reason goes with a negative opinion",
        ),
        (vec![("opinion", "negative"), ("opinion_reason", "ugly")], "Choose a reason"),
        (vec![("opinion", "negative"), ("opinion_proposed", "iwf/<i>category=A")], "This is no class"),
    ] {
        let again = browser.send(&page, &path, &fields).await.ok();
        assert!(again.text().contains(fault), "{fault}: {}", again.text());
        assert!(again.html.contains("aria-invalid=\"true\""), "{}", again.html);
        assert!(!again.html.contains("iwf/<i>") && !again.has_form(&format!("{path}/withdraw")));
    }
    assert_eq!(owner.http.get(&format!("/v1/items/{item}")).await.body(200)["facts"], json!(null));

    let fields = [
        ("opinion", "dispute"),
        ("opinion_reason", "wrong-classification"),
        ("opinion_proposed", "iwf/category=B"),
    ];
    browser.send(&page, &path, &fields).await;
    let facts = owner.http.get(&format!("/v1/items/{item}")).await.body(200)["facts"].clone();
    assert_eq!((&facts["negatives"], &facts["dispute_open"]), (&json!(1), &json!(true)));
    let listed = owner.http.get("/v1/banks/known/opinions").await.body(200)["opinions"].clone();
    assert_eq!(
        (&listed[0]["reason"], &listed[0]["proposed"]["value"]),
        (&json!("wrong-classification"), &json!("B"))
    );

    // The owner sees who holds each opinion, but no names of people who did not agree to it; words of
    // programmes are escaped.
    let asked = json!({ "kind": "positive", "foreign_value": "<b>HELPFUL</b>" });
    owner.http.put(&format!("/v1/items/{item}/opinion"), &asked).await.body(200);
    let mut owning = owner.browser(&cluster).await;
    let shown = owning.get(&path).await.ok();
    let text = shown.text();
    for part in [
        "1 member says that it is right · 1 member says that it is wrong",
        "a member that is not named",
        "Belongs there, under another class",
        "iwf/category=B",
        "<b>HELPFUL</b>",
        "Your member says: Right",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!shown.html.contains("<b>HELPFUL"), "{}", shown.html);
    // Another member sees only its own opinions.
    let page = browser.get(&path).await.ok();
    assert!(page.text().contains("umbra") && !page.text().contains("HELPFUL"), "{}", page.text());

    // Withdrawn.
    let withdraw = format!("{path}/withdraw");
    browser.send(&page, &withdraw, &[]).await;
    let facts = owner.http.get(&format!("/v1/items/{item}")).await.body(200)["facts"].clone();
    assert_eq!(facts["negatives"], 0);
    let page = browser.get(&path).await.ok();
    assert!(page.text().contains("Withdrawn") && !page.has_form(&withdraw), "{}", page.text());

    // Held for the person's member only, and lifted.
    let hold = format!("/console/items/{item}/hold-here");
    browser.send(&page, &hold, &[]).await;
    let held = reviewer.http.get("/v1/held-here").await.body(200);
    assert_eq!(held["items"][0]["item_id"], json!(item));
    let page = browser.get(&path).await.ok();
    assert!(page.text().contains("Held by your member") && !page.has_form(&hold), "{}", page.text());
    browser.send(&page, &format!("/console/items/{item}/lift-here"), &[]).await;
    assert_eq!(reviewer.http.get("/v1/held-here").await.body(200)["items"], json!([]));

    // An administrator cannot put opinions but can read them. An invalid item is not found.
    let mut administering = acme.browser(&cluster).await;
    let page = administering.get(&path).await.ok();
    assert!(
        !page.has_form(&path) && page.text().contains("Belongs there") || page.text().contains("Withdrawn")
    );
    for wrong in ["/console/items/9999/opinion", "/console/items/0/opinion", "/console/items/x/opinion"] {
        assert_eq!(browser.get(wrong).await.status, StatusCode::NOT_FOUND, "{wrong}");
    }
    cluster.stop().await.unwrap();
}
