//! Sessions, languages, and requests that are refused before a page is shown.

use http::StatusCode;

use crate::gateway::client::cluster;
use crate::gateway::console::browser::Browser;

#[tokio::test(flavor = "multi_thread")]
async fn a_form_without_the_token_of_its_session_changes_nothing() {
    let cluster = cluster().await;
    let mut browser = Browser::new(&cluster);
    let page = browser.get("/console/").await.ok();
    let french = browser.send(&page, "/console/language", &[("language", "fr")]).await.ok();
    assert!(french.html.contains("<html lang=\"fr\">"), "{}", french.html);

    let form = [("content-type", "application/x-www-form-urlencoded")];
    let mut other = Browser::new(&cluster);
    other.get("/console/").await.ok();
    for body in ["language=fr", "language=fr&csrf=", "language=fr&csrf=AAAA"] {
        let refused = other.post("/console/language", &form, body).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{body}");
        assert!(!refused.headers.contains_key("set-cookie"));
    }
    // A token of another session is refused.
    let stolen = other.send(&page, "/console/language", &[("language", "fr")]).await;
    assert_eq!(stolen.status, StatusCode::FORBIDDEN);
    assert!(other.get("/console/").await.ok().html.contains("<html lang=\"en\">"));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_page_is_one_page_and_every_page_keeps_others_out() {
    let cluster = cluster().await;
    let mut browser = Browser::new(&cluster);
    for path in ["/console/nothing", "/console/nothing/at/all", "/console/sign-in/x"] {
        let shown = browser.get(path).await;
        assert_eq!(shown.status, StatusCode::NOT_FOUND, "{path}");
        let policy = shown.headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(shown.headers["x-frame-options"], "DENY");
        assert_eq!(shown.headers["cache-control"], "no-store");
    }
    cluster.stop().await.unwrap();
}
