//! Incidents, referrals and reports on pages, for the host and for a member.

use http::StatusCode;
use serde_json::{Value, json};

use crate::gateway::client::{Http, cluster};
use crate::gateway::console::people::person;
use crate::gateway::v1::members::{team, turned_on};

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_is_opened_followed_and_closed() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (mut host, http) = person(&cluster, &operator, json!({ "roles": ["administrator"] })).await;
    let (acme, _) = team(&operator, "acme").await;
    let (mut member, _) = person(&cluster, &acme, json!({ "roles": ["administrator"] })).await;
    let (mut matcher, _) = person(&cluster, &acme, json!({ "roles": ["matcher"] })).await;

    let page = member.get("/console/cases").await.ok();
    assert!(!page.has_form("/console/cases/incidents"), "{}", page.html);
    let types = [("types", "crisis-protocol, other")];
    let subscribed = member.send(&page, "/console/cases/subscription", &types).await.ok();
    assert!(
        subscribed.text().contains("searches the banks of incidents of these types: crisis-protocol, other.")
    );
    let wrong = member.send(&page, "/console/cases/subscription", &[("types", "A b")]).await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);

    let page = host.get("/console/cases?kind=incidents").await.ok();
    let wrong = [("type", "A b"), ("title", "a title"), ("reason", "")];
    let refused = host.send(&page, "/console/cases/incidents", &wrong).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("a type of incidents is 1 to 64"), "{}", refused.text());
    assert!(refused.html.contains("value=\"a title\""), "{}", refused.html);
    let words = [("type", "crisis-protocol"), ("title", "<b>x</b>"), ("reason", "<script>r</script>")];
    let opened = host.send(&page, "/console/cases/incidents", &words).await.ok();
    assert!(opened.text().contains("The incident is open."), "{}", opened.text());
    assert!(opened.text().contains("<b>x</b>") && !opened.html.contains("<b>x"), "{}", opened.html);
    assert!(!opened.html.contains("<script>r"), "{}", opened.html);
    let listed = http.get("/v1/incidents").await.body(200)["incidents"][0].clone();
    let number = listed["incident"].as_u64().unwrap();
    assert_eq!((&listed["title"], &listed["closed_at_unix_ms"]), (&json!("<b>x</b>"), &Value::Null));
    assert!(member.get("/console/cases").await.ok().text().contains("crisis-protocol"));
    let seen = matcher.get("/console/cases?kind=incidents").await.ok();
    assert!(!seen.html.contains("<form method=\"post\" action=\"/console/cases"), "{}", seen.html);

    let page = host.get(&format!("/console/cases?kind=incidents&close={number}")).await.ok();
    let close = format!("/console/cases/incidents/{number}/close");
    let many = host.send(&page, &close, &[("reason", "over"), ("keep_days", "366")]).await;
    assert_eq!(many.status, StatusCode::BAD_REQUEST);
    assert!(
        many.text().contains("is at most 365") && many.html.contains("value=\"over\""),
        "{}",
        many.text()
    );
    let closed = host.send(&page, &close, &[("reason", "over"), ("keep_days", "7")]).await.ok();
    assert!(closed.text().contains("The incident is closed."), "{}", closed.text());
    let listed = http.get("/v1/incidents").await.body(200)["incidents"][0].clone();
    assert_eq!(listed["closed_reason"], "over");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_order_is_overdue_first_until_each_member_says_what_it_did() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (host, _) =
        crate::gateway::v1::members::principal(&operator, json!({ "roles": ["administrator"] })).await;
    let (mut reviewer, http) = person(&cluster, &host, json!({ "roles": ["reviewer"] })).await;
    let (acme, _) = team(&operator, "acme").await;
    let (mut member, _) = person(&cluster, &acme, json!({ "roles": ["reviewer"] })).await;
    let (mut matcher, _) = person(&cluster, &acme, json!({ "roles": ["matcher"] })).await;

    let page = reviewer.get("/console/cases?kind=referrals").await.ok();
    let order = |state, member| {
        [
            ("body", "An <i>authority</i>"),
            ("url", "https://example.test/<secret>"),
            ("reference", "FR-7"),
            ("received_at", "2026-01-02T03:04"),
            ("issuing_state", state),
            ("members", member),
            ("priority", "urgent"),
        ]
    };
    for (fields, fault) in [
        (order("", "acme"), "is required of a removal order"),
        (order("fr", "acme"), "a member state is two letters"),
        (order("FR", "nobody"), "There is no such member."),
    ] {
        let refused = reviewer.send(&page, "/console/cases/referrals", &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{fault}");
        assert!(
            refused.text().contains(fault) && refused.html.contains("value=\"FR-7\""),
            "{}",
            refused.text()
        );
    }
    let added = reviewer.send(&page, "/console/cases/referrals", &order("FR", "acme")).await.ok();
    assert!(
        added.text().contains("The referral is added.") && !added.path.contains("secret"),
        "{}",
        added.path
    );
    let plain = [("body", "IRU"), ("hash_type", "md5"), ("hash", &"07".repeat(16)[..])];
    let page = reviewer.send(&added, "/console/cases/referrals", &plain).await.ok();
    let text = page.text();
    assert!(text.contains("1 removal order is overdue.") && text.contains("order FR-7 of FR"), "{text}");
    assert!(text.find("FR-7").unwrap() < text.find("IRU").unwrap(), "{text}");
    assert!(!page.html.contains("<i>authority") && !page.html.contains("<secret>"), "{}", page.html);
    // The URL of a referral is not a link.
    assert!(!page.html.contains("href=\"https://example.test"), "{}", page.html);

    let listed = http.get("/v1/referrals?overdue=true").await.body(200);
    let number = listed["referrals"][0]["referral"].as_u64().unwrap();
    let own = member.get("/console/cases?kind=referrals").await.ok();
    let set = format!("/console/cases?kind=referrals&set={number}");
    assert!(own.links().contains(&set), "{:?}", own.links());
    let form = member.get(&set).await.ok();
    let path = format!("/console/cases/referrals/{number}/outcome");
    let refused = member.send(&form, &path, &[("outcome", "not-possible"), ("details", "a detail")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(
        refused.text().contains("goes with the outcome not-possible") && refused.html.contains("a detail")
    );
    let fields = [("outcome", "not-possible"), ("ground", "force-majeure"), ("details", "<b>d</b>")];
    let done = member.send(&form, &path, &fields).await.ok();
    assert!(done.text().contains("not possible") && done.text().contains("force majeure"), "{}", done.text());
    assert!(!done.html.contains("<b>d"), "{}", done.html);
    let listed = http.get("/v1/referrals?overdue=true").await.body(200);
    assert_eq!(listed["referrals"], json!([]));
    assert_eq!(matcher.get("/console/cases?kind=referrals").await.status, StatusCode::NOT_FOUND);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_sent_decided_on_and_its_outcome_is_read() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (host, _) =
        crate::gateway::v1::members::principal(&operator, json!({ "roles": ["administrator"] })).await;
    let (mut reviewer, _) = person(&cluster, &host, json!({ "roles": ["reviewer"] })).await;
    let (acme, _) = team(&operator, "acme").await;
    let (umbra, _) = team(&operator, "umbra").await;
    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let (mut member, http) = person(&cluster, &acme, json!({ "roles": ["reviewer"] })).await;
    let (mut stranger, _) = person(&cluster, &umbra, json!({ "roles": ["reviewer"] })).await;

    let page = member.get("/console/cases?kind=reports").await.ok();
    let report = |bank, class| {
        [
            ("bank", bank),
            ("classification", class),
            ("hash_type", "pdq"),
            ("distance", "4"),
            ("verdict", "block"),
            ("person_looked", "yes"),
            ("urgent", "yes"),
            ("note", "<b>note</b>"),
        ]
    };
    for (fields, fault) in [
        (report("known", "iwf/category=Z"), "classification"),
        (report("nowhere", "iwf/category=A"), "There is no such bank."),
        (report("", "iwf/category=A"), "is required"),
    ] {
        let refused = member.send(&page, "/console/cases/reports", &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{fault}");
        assert!(
            refused.html.contains("&lt;b&gt;note") && refused.html.contains("class=\"fault\""),
            "{fault}"
        );
    }
    let sent = member.send(&page, "/console/cases/reports", &report("known", "iwf/category=A")).await.ok();
    let number: u64 = sent.path.split(['/', '?']).nth(4).unwrap().parse().unwrap();
    let path = format!("/console/cases/reports/{number}");
    for words in [
        "waiting",
        "urgent",
        "iwf/category=A",
        "pdq at distance 4",
        "block",
        "a person looked",
        "<b>note</b>",
    ] {
        assert!(sent.text().contains(words), "{words}: {}", sent.text());
    }
    assert!(!sent.html.contains("<b>note") && !sent.has_form(&path), "{}", sent.html);
    let read = http.get(&format!("/v1/reports/{number}")).await.body(200);
    assert_eq!(
        (&read["distance"], &read["urgent"], &read["person_looked"]),
        (&json!(4), &json!(true), &json!(true))
    );

    // Another member's report is answered as not found.
    let hidden = stranger.get(&path).await;
    let nothing = stranger.get("/console/cases/reports/99999").await;
    assert_eq!((hidden.status, hidden.text()), (StatusCode::NOT_FOUND, nothing.text()));

    let list = reviewer.get("/console/cases?kind=reports").await.ok();
    assert!(list.links().contains(&path), "{:?}", list.links());
    let page = reviewer.get(&path).await.ok();
    let refused = reviewer.send(&page, &path, &[("outcome", "unfounded")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("is required where a report is unfounded"), "{}", refused.text());
    let fields =
        [("outcome", "unfounded"), ("reason", "<i>why</i>"), ("opinion_reason", "different-content")];
    let decided = reviewer.send(&page, &path, &fields).await.ok();
    assert!(decided.text().contains("The decision is made"), "{}", decided.text());
    let read = member.get(&path).await.ok();
    assert!(read.text().contains("unfounded") && read.text().contains("<i>why</i>"), "{}", read.text());
    assert!(!read.html.contains("<i>why"), "{}", read.html);
    assert!(member.get("/console/cases?kind=reports").await.ok().text().contains("No report waits."));
    assert!(member.get("/console/cases?kind=reports&all=yes").await.ok().links().contains(&path));
    cluster.stop().await.unwrap();
}
