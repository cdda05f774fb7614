//! A gateway that cannot answer completely reports that, and pages of other sites cannot use it.

use std::time::Duration;

use http::{Method, StatusCode};
use serde_json::json;

use super::{add, bank, pdq};
use crate::gateway::client::{Http, cluster_with};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_shard_is_503_and_never_not_known() {
    let mut cluster = cluster_with(|config| config.gateway.status_age_ms_max = 1_000).await;
    let http = Http::new(&cluster);
    bank(&http, "A").await;
    add(&http, "A", &pdq(8)).await;
    assert_eq!(http.get("/status").await.status, StatusCode::OK);
    cluster.stop_matcher(1).await.unwrap();
    for path in ["/m/lookup", "/m/raw_lookup"] {
        let answer = http.get(&format!("{path}?signal_type=pdq&signal={}", pdq(8))).await;
        assert!(answer.headers.contains_key("retry-after"));
        assert!(answer.message(503).contains("index not yet ready"));
    }
    let until = tokio::time::Instant::now() + Duration::from_secs(30);
    while http.get("/status").await.status != StatusCode::SERVICE_UNAVAILABLE {
        assert!(tokio::time::Instant::now() < until, "the status stays good");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(http.get("/status/live").await.status, StatusCode::OK);
    // Requests that need no shard are answered.
    assert_eq!(http.get("/c/bank/A").await.body(200)["name"], "A");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_of_another_site_uses_a_gateway_without_credentials() {
    let cluster = cluster_with(|config| config.gateway.hosts = vec!["match.example".to_owned()]).await;
    let http = Http::new(&cluster);
    let own = http.authority().to_owned();
    let origin = format!("http://{own}");
    let create = json!({ "name": "A" }).to_string();
    for headers in [
        [("origin", "https://evil.example"), ("content-type", "text/plain")],
        [("origin", "null"), ("content-type", "application/json")],
        [("sec-fetch-site", "cross-site"), ("content-type", "application/json")],
        [("sec-fetch-site", "same-site"), ("content-type", "application/json")],
        [("host", "evil.example"), ("content-type", "application/json")],
        [("host", "127.0.0.1.evil.example"), ("content-type", "application/json")],
    ] {
        let refused = http.send(Method::POST, "/c/banks", &headers, create.clone()).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    // It cannot read either: the loading of an image would reveal whether a hash is known.
    let path = format!("/m/raw_lookup?signal_type=pdq&signal={}", pdq(1));
    let image = http.send(Method::GET, &path, &[("sec-fetch-site", "cross-site")], "").await;
    assert_eq!(image.status, StatusCode::FORBIDDEN);
    assert_eq!(http.get("/c/banks").await.body(200), json!([]));
    let ours = [
        ("origin", origin.as_str()),
        ("sec-fetch-site", "same-origin"),
        ("content-type", "application/json"),
    ];
    assert_eq!(http.send(Method::POST, "/c/banks", &ours, create).await.status, StatusCode::CREATED);
    assert_eq!(
        http.send(Method::GET, "/status", &[("host", "match.example")], "").await.status,
        StatusCode::OK
    );
    // A preflight request of another site is refused.
    let preflight = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    let answer = http.send(Method::OPTIONS, "/c/banks", &preflight, "").await;
    assert!(!answer.status.is_success() && !answer.headers.contains_key("access-control-allow-origin"));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_beyond_their_bound_are_refused() {
    let cluster = cluster_with(|config| {
        config.gateway.body_bytes_max = 65_536;
        config.gateway.bodies_bytes_max = 4 * 65_536;
    })
    .await;
    let http = Http::new(&cluster);
    bank(&http, "A").await;
    let head = "--X\r\nContent-Disposition: form-data; name=\"video\"; filename=\"v\"\r\n\r\n";
    let body = |bytes: usize| format!("{head}{}\r\n--X--\r\n", "v".repeat(bytes));
    let kind = [("content-type", "multipart/form-data; boundary=X")];
    http.send(Method::POST, "/h/hash", &kind, body(60_000)).await.body(200);
    http.send(Method::POST, "/h/hash", &kind, body(70_000)).await.message(413);
    cluster.stop().await.unwrap();
}
