//! Members, their limits, and their keys.

use std::time::Duration;

use http::StatusCode;
use serde_json::json;
use tokio::time::Instant;
use vigie_harness::in_process::Cluster;

use crate::gateway::client::{Http, cluster};
use crate::gateway::console::browser::{Browser, Shown};

/// The time limit for the gateway to follow the directory.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);
const FORM: [(&str, &str); 1] = [("content-type", "application/x-www-form-urlencoded")];

/// The key shown on a page.
#[track_caller]
pub(super) fn key_of(page: &Shown) -> String {
    let shown = page.html.split("id=\"new-key\"").nth(1).unwrap_or_else(|| panic!("no key: {}", page.html));
    let key = shown.split('>').nth(1).unwrap().split('<').next().unwrap();
    assert!(key.starts_with("vgk_") && key.len() == 79, "{key}");
    key.to_owned()
}

/// The CSRF token of a page.
pub(super) fn csrf_of(page: &Shown) -> String {
    page.html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

/// A client with a key, once the gateway knows the key.
pub(super) async fn http(cluster: &Cluster, key: &str) -> Http {
    let http = Http::new(cluster).with_key(key);
    let begun = Instant::now();
    while http.get("/v1/whoami").await.status != 200 {
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "a key is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    http
}

/// A browser signed in with a key.
pub(super) async fn person(cluster: &Cluster, key: &str) -> Browser {
    http(cluster, key).await;
    Browser::signed_in(cluster, key).await
}

/// Turns members on with the first key, an operator's.
pub(super) async fn operator(cluster: &Cluster) -> Browser {
    let mut nobody = Browser::new(cluster);
    let keys = nobody.get("/console/keys").await.ok();
    let first = [("roles", "operator"), ("turn_on", "yes")];
    let made = nobody.send(&keys, "/console/keys", &first).await.ok();
    person(cluster, &key_of(&made)).await
}

/// Invites a member, and signs in its administrator.
pub(super) async fn invited(cluster: &Cluster, operator: &mut Browser, name: &str) -> Browser {
    let members = operator.get("/console/members").await.ok();
    let made = operator.send(&members, "/console/members", &[("name", name)]).await.ok();
    person(cluster, &key_of(&made)).await
}

/// Creates a key with these roles for the person's member.
pub(super) async fn new_key(administrator: &mut Browser, roles: &[&str]) -> String {
    let keys = administrator.get("/console/keys").await.ok();
    let roles: Vec<(&str, &str)> = roles.iter().map(|role| ("roles", *role)).collect();
    key_of(&administrator.send(&keys, "/console/keys", &roles).await.ok())
}

/// Waits until a key is refused.
async fn until_refused(http: &Http) {
    let begun = Instant::now();
    while http.get("/v1/whoami").await.status != 401 {
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "a key still works");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The ids of the keys on a page.
fn key_ids(page: &Shown) -> Vec<String> {
    let codes = page.html.split("<code class=\"digits\">").skip(1);
    codes.map(|rest| rest.split('<').next().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_shows_a_key_once_and_the_key_signs_in() {
    let cluster = cluster().await;
    let mut nobody = Browser::new(&cluster);
    let members = nobody.get("/console/members").await.ok();
    assert!(members.text().contains("There are no members yet"), "{}", members.text());
    assert!(!members.has_form("/console/members"));
    // The first key turns members on, so the page asks for confirmation.
    let keys = nobody.get("/console/keys").await.ok();
    let refused = nobody.send(&keys, "/console/keys", &[("roles", "operator")]).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.text().contains("turns members on"), "{}", refused.text());
    nobody.get("/console/members").await.ok();

    let mut operator = operator(&cluster).await;
    let members = operator.get("/console/members").await.ok();
    for (name, status) in [("No Name", StatusCode::BAD_REQUEST), ("local", StatusCode::CONFLICT)] {
        let fields = [("name", name), ("display_name", "Kept \"as\" entered")];
        let refused = operator.send(&members, "/console/members", &fields).await;
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(refused.html.contains(&format!("value=\"{name}\"")), "{}", refused.html);
        assert!(refused.html.contains("Kept &quot;as&quot; entered"), "{}", refused.html);
        assert!(!refused.html.contains("vgk_"));
    }
    let fields = [("name", "acme"), ("display_name", "<b>Acme</b>"), ("jurisdictions", "fr, be")];
    let members = operator.get("/console/members").await.ok();
    let made = operator.send(&members, "/console/members", &fields).await.ok();
    let key = key_of(&made);
    assert_eq!(
        (made.path.as_str(), made.headers["cache-control"].to_str().unwrap()),
        ("/console/members", "no-store")
    );
    assert!(made.text().contains("shows it once"), "{}", made.text());

    // A reloaded page sends the same form again.
    let again = operator.send(&members, "/console/members", &fields).await.ok();
    assert!(!again.html.contains(&key[30..]) && !again.html.contains("new-key"), "{}", again.html);
    assert!(again.text().contains("cannot be shown again"), "{}", again.text());
    let keys = operator.get("/console/keys?member=acme").await.ok();
    assert_eq!(key_ids(&keys).len(), 1, "{}", keys.text());
    assert!(!keys.html.contains(&key[30..]));

    let mut acme = person(&cluster, &key).await;
    let own = acme.get("/console/members").await.ok();
    assert!(own.html.contains("&lt;b&gt;Acme&lt;/b&gt;") && !own.html.contains("<b>Acme"), "{}", own.html);
    assert!(own.text().contains("BE, FR") && !own.text().contains("local active"), "{}", own.text());
    assert!(!own.has_form("/console/members"));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_changed_of_a_member_is_so_and_what_does_not_fit_is_kept_in_the_form() {
    let cluster = cluster().await;
    let mut operator = operator(&cluster).await;
    let mut acme = invited(&cluster, &mut operator, "acme").await;
    let api = http(&cluster, &new_key(&mut acme, &["administrator", "matcher"]).await).await;
    let member = |answer: serde_json::Value| answer["member"].clone();

    let page = acme.get("/console/members/acme").await.ok();
    for hidden in ["limits", "state", "issuers"] {
        assert!(!page.has_form(&format!("/console/members/acme/{hidden}")), "{hidden}");
    }
    let words = [("display_name", "Acme <i>Inc</i>"), ("jurisdictions", "DE"), ("is_named", "yes")];
    let changed = acme.send(&page, "/console/members/acme/words", &words).await.ok();
    assert!(changed.text().contains("The member was changed."), "{}", changed.text());
    assert!(changed.html.contains("<h1>Acme &lt;i&gt;Inc&lt;/i&gt; (acme)</h1>"), "{}", changed.html);
    let read = member(api.get("/v1/members/acme").await.body(200));
    assert_eq!((&read["jurisdictions"], &read["is_named"]), (&json!(["DE"]), &json!(true)));
    let wrong = [("display_name", "Other"), ("jurisdictions", "Germany")];
    let refused = acme.send(&changed, "/console/members/acme/words", &wrong).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    assert!(refused.html.contains("value=\"Germany\"") && refused.html.contains("value=\"Other\""));
    assert_eq!(member(api.get("/v1/members/acme").await.body(200))["display_name"], "Acme <i>Inc</i>");

    let page = operator.get("/console/members/acme").await.ok();
    let limits = "/console/members/acme/limits";
    let mut fields = vec![
        ("units_per_second", "100"),
        ("units_burst", ""),
        ("units_per_day", "5000"),
        ("items_matched_per_day", ""),
        ("items_added_per_day", "7"),
        ("near_queries_per_item_day", "9"),
        ("images_only", "yes"),
    ];
    let set = operator.send(&page, limits, &fields).await.ok();
    assert!(set.html.contains("value=\"5000\""), "{}", set.html);
    let quota = api.get("/v1/members/acme/quota").await.body(200)["quota"].clone();
    assert_eq!(
        quota,
        json!({
            "units_per_second": 100, "units_burst": 0, "units_per_day": 5_000, "items_matched_per_day": 0,
            "items_added_per_day": 7, "near_queries_per_item_day": 9, "images_only": true,
        })
    );
    // An invalid number, a number that is too large, and an omitted field, which would lift its limit.
    for (at, wrong) in [(2, "many"), (2, "300000000000000"), (5, "70000")] {
        let mut fields = fields.clone();
        fields[at].1 = wrong;
        let refused = operator.send(&set, limits, &fields).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{wrong}");
        assert!(refused.html.contains(&format!("value=\"{wrong}\"")), "{wrong}");
    }
    fields.remove(0);
    assert_eq!(operator.send(&set, limits, &fields).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(api.get("/v1/members/acme/quota").await.body(200)["quota"], quota);
    let seen = acme.get("/console/members/acme").await.ok();
    assert!(seen.text().contains("Units a day 5,000"), "{}", seen.text());

    let issuers = [("token_issuers", "https://login.example/a\r\n\r\nhttps://login.example/b")];
    let set = operator.send(&set, "/console/members/acme/issuers", &issuers).await.ok();
    let read = member(api.get("/v1/members/acme").await.body(200));
    assert_eq!(read["token_issuers"], json!(["https://login.example/a", "https://login.example/b"]));
    let suspended = operator.send(&set, "/console/members/acme/state", &[("state", "suspended")]).await.ok();
    assert!(suspended.text().contains("Suspended: its people"), "{}", suspended.text());
    let begun = Instant::now();
    while api.get("/v1/whoami").await.status == 200 {
        assert!(begun.elapsed() < FOLLOWED_WITHIN, "a suspended member still calls");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn another_member_is_not_there() {
    let cluster = cluster().await;
    let mut operator = operator(&cluster).await;
    let mut acme = invited(&cluster, &mut operator, "acme").await;
    let mut umbra = invited(&cluster, &mut operator, "umbra").await;
    let umbra_keys = umbra.get("/console/keys").await.ok();
    let rotate = umbra_keys.links().into_iter().find(|link| link.ends_with("/rotate")).unwrap();
    let id = rotate.split('/').nth(3).unwrap().to_owned();

    let own = acme.get("/console/keys").await.ok();
    let token = csrf_of(&own);
    let body = format!("csrf={token}&display_name=x&overlap=0&roles=auditor&member=umbra&name=umbra");
    let missing = acme.get("/console/nothing").await;
    for (hidden, never) in [
        ("/console/members/umbra".to_owned(), "/console/members/never".to_owned()),
        ("/console/keys?member=umbra".to_owned(), "/console/keys?member=never".to_owned()),
        (format!("/console/keys/{id}/rotate"), "/console/keys/999/rotate".to_owned()),
        (format!("/console/keys/{id}/revoke"), "/console/keys/999/revoke".to_owned()),
        (
            format!("/console/keys/{id}/revoke?member=umbra"),
            "/console/keys/999/revoke?member=umbra".to_owned(),
        ),
    ] {
        let [one, other] = [acme.get(&hidden).await, acme.get(&never).await];
        assert_eq!((one.status, other.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND), "{hidden}");
        assert_eq!(one.text(), other.text(), "{hidden}");
        assert_eq!(one.text(), missing.text(), "{hidden}");
    }
    for (hidden, never) in [
        ("/console/members/umbra/words".to_owned(), "/console/members/never/words"),
        // Pages for which the role has no right.
        ("/console/members/umbra/limits".to_owned(), "/console/members/acme/limits"),
        ("/console/members/umbra/state".to_owned(), "/console/members"),
        (format!("/console/keys/{id}/rotate"), "/console/keys/999/rotate"),
        (format!("/console/keys/{id}/revoke"), "/console/keys/999/revoke"),
        ("/console/keys".to_owned(), "/console/nothing"),
    ] {
        let [one, other] =
            [acme.post(&hidden, &FORM, body.clone()).await, acme.post(never, &FORM, body.clone()).await];
        assert_eq!((one.status, other.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND), "{hidden}");
        assert_eq!(one.text(), other.text(), "{hidden}");
    }
    // Nothing has changed.
    assert_eq!(key_ids(&umbra.get("/console/keys").await.ok()), key_ids(&umbra_keys));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_made_rotated_and_ended() {
    let cluster = cluster().await;
    let mut operator = operator(&cluster).await;
    let mut acme = invited(&cluster, &mut operator, "acme").await;
    let keys = acme.get("/console/keys").await.ok();
    assert!(keys.html.contains("value=\"reviewer\"") && !keys.html.contains("value=\"operator\""));
    let fields = [("roles", "reviewer"), ("roles", "matcher"), ("note", "<script>alert(1)</script>")];
    let made = acme.send(&keys, "/console/keys", &fields).await.ok();
    let key = key_of(&made);
    assert!(!acme.send(&keys, "/console/keys", &fields).await.ok().html.contains("new-key"));
    let worker = http(&cluster, &key).await;
    assert_eq!(
        worker.get("/v1/whoami").await.body(200)["principal"]["roles"],
        json!(["matcher", "reviewer"])
    );

    let listed = acme.get("/console/keys").await.ok();
    assert_eq!(key_ids(&listed).len(), 2, "{}", listed.text());
    assert!(listed.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{}", listed.html);
    assert!(!listed.html.contains("<script>alert"));

    // Invalid input is refused in the form.
    let fields =
        |name: &'static str, value: &'static str| [("roles", "matcher"), (name, value), ("note", "kept")];
    for (name, value, words) in [
        ("expires", "2020-01-01", "not after today"),
        ("expires", "soon", "no day"),
        ("kind", "token", "1 to 256 bytes"),
        ("kind", "certificate", "SPIFFE ID"),
        ("roles", "operator", "may not manage principals with these roles"),
        ("roles", "king", "at least one role"),
    ] {
        let refused = acme.send(&listed, "/console/keys", &fields(name, value)).await;
        assert!(
            refused.status.is_client_error() && refused.text().contains(words),
            "{value}: {}",
            refused.text()
        );
        assert!(refused.html.contains("value=\"kept\""), "{}", refused.html);
    }
    assert_eq!(key_ids(&acme.get("/console/keys").await.ok()).len(), 2);

    let rotate = listed.links().into_iter().filter(|link| link.ends_with("/rotate")).nth(1).unwrap();
    let page = acme.get(&rotate).await.ok();
    let rotated = acme.send(&page, &rotate, &[("overlap", "0")]).await.ok();
    let new = key_of(&rotated);
    assert_ne!(new, key);
    let again = acme.send(&page, &rotate, &[("overlap", "0")]).await.ok();
    assert!(again.text().contains("cannot be shown again") && !again.html.contains(&new[30..]));
    let worker_again = http(&cluster, &new).await;
    until_refused(&worker).await;
    worker_again.get("/v1/whoami").await.body(200);

    let end = rotate.replace("/rotate", "/revoke");
    let page = acme.get(&end).await.ok();
    assert!(page.text().contains("is refused, everywhere, within seconds"), "{}", page.text());
    let ended = acme.send(&page, &end, &[]).await.ok();
    assert_eq!(key_ids(&ended).len(), 1, "{}", ended.text());
    until_refused(&worker_again).await;
    assert_eq!(acme.get(&end).await.status, StatusCode::NOT_FOUND);
    cluster.stop().await.unwrap();
}
