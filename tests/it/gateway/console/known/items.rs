//! Items: found, read, held, removed and restored.

use http::StatusCode;
use serde_json::{Value, json};

use crate::gateway::client::{Http, cluster};
use crate::gateway::console::browser::{Browser, Shown};
use crate::gateway::v1::members::{team, turned_on};

/// Markup that a page has to escape.
const MARKUP: &str = "<b onclick=x>\"&'</b>";

fn md5(byte: u8) -> String {
    format!("{byte:02x}").repeat(16)
}

/// Adds an item, and returns its id.
async fn add(http: &Http, bank: &str, byte: u8, label: &str) -> u64 {
    let item = json!({ "items": [{
        "hashes": [{ "type": "md5", "hash": md5(byte) }], "labels": [label], "external_reference": format!("ref {label}"),
    }] });
    let added = http.post(&format!("/v1/banks/{bank}/items"), &item).await.body(201);
    added["item_ids"][0].as_u64().unwrap()
}

async fn item(http: &Http, id: u64) -> Value {
    http.get(&format!("/v1/items/{id}")).await.body(200)
}

/// The id of the item whose page is shown.
fn id_of(shown: &Shown) -> u64 {
    shown.path.split(['/', '?']).nth(3).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_found_held_removed_and_each_is_undone() {
    let cluster = cluster().await;
    let (http, mut browser) = (Http::new(&cluster), Browser::new(&cluster));
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let id = add(&http, "known", 7, "label one").await;
    let other = add(&http, "known", 8, "label two").await;

    // Found by hash in each format, by reference, label and id; not found by a part of these.
    let base64 = "BwcHBwcHBwcHBwcHBwcHBw%3D%3D";
    for what in [
        &*md5(7),
        &md5(7).to_uppercase(),
        &format!("md5%3A{}", md5(7)),
        base64,
        "ref+label+one",
        "label+one",
        &id.to_string(),
    ] {
        let found = browser.get(&format!("/console/items?q={what}")).await.ok();
        assert!(found.text().contains("1 item on this page."), "{what}: {}", found.text());
        assert!(found.links().contains(&format!("/console/items/{id}")), "{what}");
        assert!(found.has_form(&format!("/console/items/{id}/hold")), "{what}");
    }
    let none = browser.get("/console/items?q=label").await.ok();
    assert!(none.text().contains("No item that you may see is this."), "{}", none.text());
    // Filtered by bank, by day and by an unknown contributor.
    let of_day = async |browser: &mut Browser, query: &str| {
        browser.get(&format!("/console/items?bank=known&{query}")).await.ok().text()
    };
    assert!(of_day(&mut browser, "from=2020-01-01").await.contains("2 items on this page."));
    assert!(of_day(&mut browser, "from=2100-01-01").await.contains("0 items on this page."));
    assert!(of_day(&mut browser, "to=2020-01-01").await.contains("0 items on this page."));
    let wrong = browser.get("/console/items?bank=known&from=yesterday").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);

    // Held by a form that is sent twice, and lifted by the undo of the next page.
    let hold = format!("/console/items/{id}/hold");
    let page = browser.get(&format!("/console/items?q={}", md5(7))).await.ok();
    browser.send(&page, &hold, &[]).await.ok();
    let held = browser.send(&page, &hold, &[]).await.ok();
    assert!(
        held.text().contains("The item is held") && held.text().contains("Held by the bank's owner"),
        "{}",
        held.text()
    );
    assert_eq!(item(&http, id).await["holds"].as_array().unwrap().len(), 1);
    assert_eq!(item(&http, other).await["holds"], json!([]));
    assert!(held.html.contains("data-key=\"u\""), "{}", held.html);
    let lifted = browser.send(&held, &format!("/console/items/{id}/lift"), &[]).await.ok();
    assert!(lifted.text().contains("The hold was lifted"), "{}", lifted.text());
    assert_eq!(item(&http, id).await["holds"], json!([]));
    let until = "4102444800000";
    let held = browser.send(&lifted, &hold, &[("until", until)]).await.ok();
    assert_eq!(item(&http, id).await["holds"][0]["until_unix_ms"], 4_102_444_800_000_u64);

    // Removed, and restored with another id.
    let removed = browser.send(&held, &format!("/console/items/{id}/remove"), &[]).await.ok();
    assert!(removed.text().contains("This item was removed"), "{}", removed.text());
    assert_eq!(http.get(&format!("/v1/items/{id}")).await.status, StatusCode::NOT_FOUND);
    // The removed item is also found without the name of its bank, and is in the bank's list.
    assert!(browser.get(&format!("/console/items/{id}")).await.ok().text().contains("This item was removed"));
    let listed = browser.get("/console/banks/known/removed").await.ok();
    assert!(listed.has_form(&format!("/console/items/{id}/restore")));
    let restore = format!("/console/items/{id}/restore");
    let back = browser.send(&removed, &restore, &[]).await.ok();
    let again = browser.send(&removed, &restore, &[]).await.ok();
    assert_eq!(id_of(&back), id_of(&again));
    let restored = item(&http, id_of(&back)).await;
    assert_eq!(restored["labels"], json!(["label one"]));
    assert_eq!(http.get("/v1/banks/known").await.body(200)["items"], 2);
    // An item that never existed is not found and cannot be held.
    assert_eq!(browser.get("/console/items/999999").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get("/console/items/none").await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.get(&hold).await.status, StatusCode::NOT_FOUND);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_an_item_is_edited_and_shown_as_text() {
    let cluster = cluster().await;
    let (http, mut browser) = (Http::new(&cluster), Browser::new(&cluster));
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let id = add(&http, "known", 7, MARKUP).await;
    let edit = format!("/console/items/{id}/edit");
    let page = browser.get(&edit).await.ok();
    let fields = [
        ("classes", "iwf/category=A"),
        ("countries", "fr, be"),
        ("note", MARKUP),
        ("metadata", "{\"k\":\"<i>\"}"),
    ];
    let changed = browser.send(&page, &edit, &fields).await.ok();
    assert!(changed.text().contains("was changed"), "{}", changed.text());
    let details = &item(&http, id).await["details"];
    assert_eq!((&details["note"], &details["jurisdictions"]), (&json!(MARKUP), &json!(["BE", "FR"])));
    assert_eq!(details["classification"][0]["value"], "A");

    // Markup is escaped everywhere.
    let search = format!("/console/items?q={}", "%3Cb+onclick%3Dx%3E%22%26%27%3C%2Fb%3E");
    for path in [&*changed.path, &edit, &search, "/console/banks/known"] {
        let shown = browser.get(path).await.ok();
        assert!(!shown.html.contains("<b onclick") && !shown.html.contains("<i>"), "{path}: {}", shown.html);
        assert!(shown.html.contains("&lt;b onclick"), "{path}: {}", shown.html);
    }
    // The labels stay with an edit of other fields; a label a line replaces them.
    assert_eq!(item(&http, id).await["labels"], json!([MARKUP]));
    let page = browser.get(&edit).await.ok();
    let labels = [("labels", "one, with a comma\r\n  two \r\n\r\n"), ("note", MARKUP)];
    browser.send(&page, &edit, &labels).await.ok();
    // Sent twice, it is one edit.
    browser.send(&page, &edit, &labels).await.ok();
    assert_eq!(item(&http, id).await["labels"], json!(["one, with a comma", "two"]));
    let found = browser.get("/console/items?q=two").await.ok();
    assert!(found.text().contains("1 item on this page."), "{}", found.text());
    let page = browser.get(&edit).await.ok();
    assert!(page.html.contains("one, with a comma\ntwo"), "{}", page.html);
    browser.send(&page, &edit, &[("note", MARKUP)]).await.ok();
    // Sent as they were shown, they change nothing of what another person makes of them meanwhile.
    let page = browser.get(&edit).await.ok();
    let others = json!({ "labels": ["two", "three"] });
    http.patch(&format!("/v1/items/{id}"), &others).await.body(200);
    let shown = ("labels", "one, with a comma\r\ntwo");
    browser.send(&page, &edit, &[shown, ("note", MARKUP)]).await.ok();
    assert_eq!(item(&http, id).await["labels"], json!(["two", "three"]));
    let asked = json!({ "queries": [{ "hashes": [{ "type": "md5", "hash": md5(7) }] }] });
    let answer = http.post("/v1/match", &asked).await.body(200);
    assert_eq!(answer["results"][0]["matches"][0]["labels"], json!(["two", "three"]));
    // A canary is none that an edit makes.
    let refused = browser.send(&page, &edit, &[("labels", "vigie:canary")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("the label of a canary"), "{}", refused.text());
    // The fault is shown at its field, the entered text is kept, and nothing is changed.
    let long = "x".repeat(129);
    for (field, wrong) in
        [("classes", "iwf/category=Z"), ("countries", "France"), ("metadata", "[1]"), ("labels", &*long)]
    {
        let refused = browser.send(&page, &edit, &[(field, wrong), ("note", "lost")]).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert!(
            refused.html.contains(&format!("id=\"f-{field}-fault\"")) && refused.html.contains(wrong),
            "{}",
            refused.html
        );
    }
    assert_eq!(item(&http, id).await["details"]["note"], MARKUP);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_of_another_member_is_one_that_was_never_there() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (acme, acme_work) = team(&operator, "acme").await;
    let (umbra, umbra_work) = team(&operator, "umbra").await;
    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    umbra.post("/v1/banks", &json!({ "name": "own" })).await.body(201);
    let hidden = add(&acme_work, "known", 7, "secret").await;
    let own = add(&umbra_work, "own", 8, "ours").await;
    let shown = |text: &str| text.replace(&hidden.to_string(), "N").replace("999999", "N");

    for key in [umbra.key(), umbra_work.key()] {
        let mut browser = Browser::signed_in(&cluster, key).await;
        for end in ["", "/edit", "?bank=acme%2Fknown"] {
            let other = browser.get(&format!("/console/items/{hidden}{end}")).await;
            let never = browser.get(&format!("/console/items/999999{end}")).await;
            assert_eq!((other.status, shown(&other.text())), (never.status, shown(&never.text())), "{end}");
            assert_eq!(other.status, StatusCode::NOT_FOUND);
        }
        for what in [&*md5(7), "secret", &hidden.to_string()] {
            let found = browser.get(&format!("/console/items?q={what}")).await.ok();
            assert!(found.text().contains("No item that you may see is this."), "{}", found.text());
        }
    }
    // Forms of an own item, sent for the hidden one.
    let mut browser = Browser::signed_in(&cluster, umbra.key()).await;
    let page = browser.get(&format!("/console/items/{own}")).await.ok();
    let csrf = page.html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-csrf", csrf)];
    for what in ["hold", "lift", "remove", "restore", "edit"] {
        let other = browser.post(&format!("/console/items/{hidden}/{what}"), &headers, "").await;
        let never = browser.post(&format!("/console/items/999999/{what}"), &headers, "").await;
        assert_eq!((other.status, shown(&other.text())), (never.status, shown(&never.text())), "{what}");
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{what}");
    }
    let there = item(&acme, hidden).await;
    assert_eq!((&there["holds"], &there["labels"]), (&json!([]), &json!(["secret"])));

    // The history shows the principals of calls to persons who may read them.
    let mut of_acme = Browser::signed_in(&cluster, acme.key()).await;
    let page = of_acme.get(&format!("/console/items/{hidden}")).await.ok();
    of_acme.send(&page, &format!("/console/items/{hidden}/hold"), &[]).await.ok();
    let history = of_acme.get(&format!("/console/items/{hidden}/history")).await;
    if history.status == StatusCode::OK {
        let text = history.text();
        assert!(
            text.contains("Added") && text.contains("Held, or a hold lifted") && text.contains("acme"),
            "{text}"
        );
    }
    let mut of_operator = Browser::signed_in(&cluster, operator.key()).await;
    let text = of_operator.get(&format!("/console/items/{hidden}/history")).await.ok().text();
    assert!(text.contains("Held, or a hold lifted") && text.contains("acme (key"), "{text}");
    cluster.stop().await.unwrap();
}
