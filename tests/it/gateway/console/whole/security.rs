//! Attacks by other sites, hostile text and stolen cookies, tried on every page and every form.

use http::{Method, StatusCode};
use serde_json::Value;
use url::form_urlencoded;

use crate::gateway::console::browser::Browser;
use crate::gateway::console::whole::site::{Site, fields, routes};
use crate::gateway::filled::{Filled, HOSTILE};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// The newest sequence of the bank's log, which includes every change.
async fn newest(filled: &Filled) -> Value {
    filled.operator.http.get("/v1/log").await.body(200)["sequence"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_send_no_form_show_no_page_and_begin_no_session() {
    let filled = Filled::plain().await;
    no_form_is_taken_without_the_token_of_its_session(&filled).await;
    a_page_of_another_site_sends_no_form_even_with_a_token(&filled).await;
    every_page_keeps_frames_scripts_and_other_sites_out(&filled).await;
    a_cookie_from_before_the_sign_in_is_worth_nothing_after_it(&filled).await;
    filled.cluster.stop().await.unwrap();
}

async fn no_form_is_taken_without_the_token_of_its_session(filled: &Filled) {
    let mut browser = Browser::signed_in(&filled.cluster, &filled.everything.key).await;
    let site = Site::of(&mut browser).await;
    let mut other = Browser::signed_in(&filled.cluster, &filled.everything.key).await;
    let page = other.get("/console/").await.ok();
    let token = page.html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let stolen = format!("csrf={token}");
    let before = newest(filled).await;
    let mut forms = 0;
    for route in routes() {
        let path = site.path(route.path);
        for body in ["", "csrf=", "csrf=AAAA", &stolen] {
            let shown = browser.clone().post(&path, &[FORM], body.to_owned()).await;
            if shown.status == StatusCode::NOT_FOUND {
                // The page has no form.
                break;
            }
            assert_eq!(shown.status, StatusCode::FORBIDDEN, "{path} took {body:?}");
            forms += usize::from(body.is_empty());
        }
        let multipart = ("content-type", "multipart/form-data; boundary=XX");
        let shown = browser.clone().post(&path, &[multipart], "--XX--\r\n").await;
        assert!(shown.status.is_client_error(), "{path}: {}", shown.status);
    }
    assert!(forms > 2, "{forms} forms");
    assert_eq!(newest(filled).await, before, "a form without a token has changed something");
}

async fn a_page_of_another_site_sends_no_form_even_with_a_token(filled: &Filled) {
    let mut browser = Browser::signed_in(&filled.cluster, &filled.everything.key).await;
    let page = browser.get("/console/").await.ok();
    let token = page.html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let body = format!("csrf={token}&language=fr");
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let shown = browser.post("/console/language", &[FORM, (name, value)], body.clone()).await;
        assert_eq!(shown.status, StatusCode::FORBIDDEN, "{name}: {value}");
    }
    assert!(browser.get("/console/").await.ok().html.contains("<html lang=\"en\">"));
    // The same request without these headers is accepted.
    let shown = browser.post("/console/language", &[FORM], body).await.ok();
    assert!(shown.html.contains("<html lang=\"fr\">"));
}

async fn every_page_keeps_frames_scripts_and_other_sites_out(filled: &Filled) {
    let mut site = Site::default();
    for person in [&filled.everything, &filled.host, &filled.operator] {
        site.extend(&mut Browser::signed_in(&filled.cluster, &person.key).await).await;
    }
    for shown in &site.pages {
        let of = |name: &str| shown.headers.get(name).map_or("", |value| value.to_str().unwrap());
        let path = &shown.path;
        assert_eq!(of("cache-control"), "no-store", "{path}");
        assert_eq!(of("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(of("x-frame-options"), "DENY", "{path}");
        assert_eq!(of("cross-origin-opener-policy"), "same-origin", "{path}");
        assert_eq!(of("cross-origin-resource-policy"), "same-origin", "{path}");
        assert_eq!(of("referrer-policy"), "same-origin", "{path}");
        let policy = of("content-security-policy");
        for rule in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "frame-ancestors 'none'",
            "form-action 'self'",
            "base-uri 'none'",
        ] {
            assert!(policy.contains(rule), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{path}: {policy}");
        if !of("content-type").starts_with("text/html") {
            let disposition = of("content-disposition");
            assert!(disposition.starts_with("attachment"), "{path}: {} {disposition}", of("content-type"));
            continue;
        }
        for (what, is_there) in [
            ("an inline script", shown.html.contains("<script>")),
            ("an inline style", shown.html.contains(" style=\"") || shown.html.contains("<style")),
            ("a frame", shown.html.contains("<iframe") || shown.html.contains("<object")),
            (
                "something of another site",
                shown.html.contains("src=\"http") || shown.html.contains("src=\"//"),
            ),
        ] {
            assert!(!is_there, "{path} has {what}");
        }
        assert!(shown.html.len() < 200_000, "{path}: {} bytes", shown.html.len());
    }
}

async fn a_cookie_from_before_the_sign_in_is_worth_nothing_after_it(filled: &Filled) {
    let mut attacker = Browser::new(&filled.cluster);
    attacker.get("/console/sign-in").await.ok();
    assert_eq!(attacker.cookies.len(), 1, "{:?}", attacker.cookies);
    // An attacker makes the person sign in with the attacker's cookie.
    let mut person = attacker.clone();
    let page = person.get("/console/sign-in").await.ok();
    let shown = person.send(&page, "/console/sign-in", &[("key", &filled.everything.key)]).await.ok();
    assert_eq!(shown.path, "/console/");
    assert_ne!(person.cookies, attacker.cookies);
    assert_eq!(attacker.get("/console/").await.path, "/console/sign-in?next=%2Fconsole%2F");
    // A token from before the sign-in is refused too.
    let shown = person.send(&page, "/console/language", &[("language", "fr")]).await;
    assert_eq!(shown.status, StatusCode::FORBIDDEN);

    // Signing out ends the session in this browser, and no later answer restores it.
    let page = person.get("/console/").await.ok();
    let signed_in = person.clone();
    let shown = person.send(&page, "/console/sign-out", &[]).await.ok();
    assert_eq!(shown.path, "/console/sign-in");
    assert_ne!(person.cookies, signed_in.cookies);
    assert!(person.get("/console/").await.path.starts_with("/console/sign-in"));
    let token = shown.html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(!page.html.contains(token), "the token stays the same");
    // A wrong key does not sign in, and the page does not repeat it.
    let shown = person.send(&shown, "/console/sign-in", &[("key", "vgk_wrong")]).await;
    assert_eq!(shown.status, StatusCode::UNAUTHORIZED);
    assert!(!shown.html.contains("vgk_wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_text_is_text_wherever_it_comes_from() {
    let filled = Filled::with(HOSTILE, 20).await;
    let mut shown_as_text = 0;
    let is_markup = |html: &str| {
        let links = html
            .split("href=\"")
            .skip(1)
            .any(|rest| rest.trim_start().to_ascii_lowercase().starts_with("javascript:"));
        links || html.contains("<img src=x") || html.contains("<script>window") || html.contains("<b>")
    };
    for person in [&filled.everything, &filled.host, &filled.operator] {
        let mut browser = Browser::signed_in(&filled.cluster, &person.key).await;
        let site = Site::of(&mut browser).await;
        for shown in &site.pages {
            let is_page = shown.headers["content-type"].to_str().unwrap().starts_with("text/html");
            assert!(!is_page || !is_markup(&shown.html), "{}: {}", shown.path, shown.html);
            shown_as_text += usize::from(shown.html.contains("&lt;img src=x"));
            // The query of a link is shown escaped, ignored, or refused.
            let path = shown.path.split('?').next().unwrap();
            let mut names = fields(&shown.html);
            names.extend(["done", "next", "after"].map(str::to_owned));
            for name in names {
                let query =
                    form_urlencoded::Serializer::new(String::new()).append_pair(&name, HOSTILE).finish();
                let asked = browser.ask_once(Method::GET, &format!("{path}?{query}")).await;
                assert!(!asked.status.is_server_error(), "{path}?{name}: {}", asked.status);
                let is_page = asked
                    .headers
                    .get("content-type")
                    .is_some_and(|kind| kind.to_str().unwrap().starts_with("text/html"));
                assert!(!is_page || !is_markup(&asked.html), "{path}?{name}: {}", asked.html);
            }
        }
    }
    assert!(shown_as_text > 0, "no page shows the text");
    filled.cluster.stop().await.unwrap();
}
