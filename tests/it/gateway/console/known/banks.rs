//! Banks: created, changed and deleted by forms, and visible to persons with the right.

use http::StatusCode;
use serde_json::{Value, json};

use crate::gateway::client::{Http, cluster};
use crate::gateway::console::browser::{Browser, Shown};
use crate::gateway::v1::members::{team, turned_on};

async fn banks(http: &Http) -> Vec<Value> {
    http.get("/v1/banks").await.body(200)["banks"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_is_created_changed_and_deleted_by_forms() {
    let cluster = cluster().await;
    let (http, mut browser) = (Http::new(&cluster), Browser::new(&cluster));
    let list = browser.get("/console/banks").await.ok();
    assert!(list.text().contains("There is no bank"), "{}", list.text());

    // The form is sent twice, and is one write.
    let fields = [("name", "known"), ("ratio", "0,5")];
    for _ in 0..2 {
        let made = browser.send(&list, "/console/banks", &fields).await.ok();
        assert!(made.path.starts_with("/console/banks/known?"), "{}", made.path);
        assert!(made.text().contains("The bank was created."), "{}", made.text());
    }
    let all = banks(&http).await;
    assert_eq!((all.len(), &all[0]["match_ratio"]), (1, &json!(0.5)));

    // The form shows the fault and keeps the entered text, and no bank is created.
    for (name, ratio, why) in [("known", "1", "known"), ("a b", "1", "a b"), ("other", "2", "2")] {
        let refused =
            browser.send(&list, "/console/banks", &[("name", name), ("ratio", ratio), ("once", "")]).await;
        assert!(
            matches!(refused.status, StatusCode::BAD_REQUEST | StatusCode::CONFLICT),
            "{}",
            refused.status
        );
        assert!(refused.html.contains(&format!("value=\"{why}\"")), "{}", refused.html);
    }
    assert_eq!(banks(&http).await.len(), 1);

    let path = "/console/banks/known/settings";
    let settings = browser.get(path).await.ok();
    let change = async |browser: &mut Browser, page: &Shown, fields: &[(&str, &str)]| {
        let mut fields = fields.to_vec();
        fields.push(("once", "another1"));
        let once = format!("once{}", fields[0].1);
        fields.last_mut().unwrap().1 = &once;
        browser.send(page, path, &fields).await
    };
    change(&mut browser, &settings, &[("do", "disable")]).await.ok();
    change(&mut browser, &settings, &[("do", "ratio"), ("ratio", "0.25")]).await.ok();
    let one = &banks(&http).await[0];
    assert_eq!((&one["enabled"], &one["match_ratio"]), (&json!(false), &json!(0.25)));
    change(&mut browser, &settings, &[("do", "enable")]).await.ok();
    assert_eq!(banks(&http).await[0]["enabled"], true);

    // Without the bank's name, or with another name, the bank is not deleted.
    for confirm in ["", "Known", "other"] {
        let kept = change(&mut browser, &settings, &[("do", "delete"), ("confirm", confirm)]).await;
        assert_eq!(kept.status, StatusCode::BAD_REQUEST);
    }
    let renamed = change(&mut browser, &settings, &[("do", "rename"), ("name", "renamed")]).await.ok();
    assert!(renamed.text().contains("The bank was renamed."));
    assert_eq!(banks(&http).await[0]["bank"], "renamed");
    assert_eq!(browser.get(path).await.status, StatusCode::NOT_FOUND);
    let path = "/console/banks/renamed/settings";
    let gone = browser.send(&renamed, path, &[("do", "delete"), ("confirm", "renamed")]).await.ok();
    assert!(gone.text().contains("The bank was deleted with its items."), "{}", gone.text());
    assert!(banks(&http).await.is_empty());
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_of_another_member_is_one_that_does_not_exist() {
    let cluster = cluster().await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (acme, _) = team(&operator, "acme").await;
    let (umbra, worker) = team(&operator, "umbra").await;
    acme.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let mut of_acme = Browser::signed_in(&cluster, acme.key()).await;
    assert!(of_acme.get("/console/banks").await.ok().text().contains("known"));

    for key in [umbra.key(), worker.key()] {
        let mut other = Browser::signed_in(&cluster, key).await;
        assert!(!other.get("/console/banks").await.ok().html.contains("known</a>"));
        for end in ["", "/settings", "/removed", "/add", "/import", "/export", "/export/file"] {
            let hidden = other.get(&format!("/console/banks/acme%2Fknown{end}")).await;
            let never = other.get(&format!("/console/banks/acme%2Fnever{end}")).await;
            assert_eq!(
                (hidden.status, never.status),
                (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND),
                "{end}"
            );
            assert_eq!(hidden.text(), never.text(), "{end}");
        }
    }
    // A form of a valid page, sent for a bank that does not exist.
    let mut other = Browser::signed_in(&cluster, umbra.key()).await;
    umbra.post("/v1/banks", &json!({ "name": "own" })).await.body(201);
    let own = other.get("/console/banks/own/settings").await.ok();
    let csrf = own
        .html
        .split("x-csrf\":\"")
        .nth(1)
        .or_else(|| own.html.split("x-csrf&quot;:&quot;").nth(1))
        .unwrap();
    let csrf = csrf.split(['"', '&']).next().unwrap();
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("x-csrf", csrf)];
    let mut answers = Vec::new();
    for name in ["known", "never"] {
        let fields = format!("do=delete&confirm=acme%2F{name}");
        let sent = other.post(&format!("/console/banks/acme%2F{name}/settings"), &headers, fields).await;
        assert_eq!(sent.status, StatusCode::NOT_FOUND, "{}", sent.text());
        answers.push(sent.text());
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(banks(&acme).await.len(), 1);
    cluster.stop().await.unwrap();
}
