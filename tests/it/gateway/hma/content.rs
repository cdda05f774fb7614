//! Contents that are added, changed and removed.

use serde_json::{Value, json};

use super::{add, bank, pdq, raw};
use crate::gateway::client::{Http, cluster};

#[tokio::test(flavor = "multi_thread")]
async fn content_matches_when_it_is_added_and_no_more_when_it_is_disabled_or_removed() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    bank(&http, "A").await;
    let hash = pdq(256);
    assert_eq!(raw(&http, &hash).await, json!([]));
    // A hash that is added twice gets two ids.
    let (first, second) = (add(&http, "A", &hash).await, add(&http, "A", &hash).await);
    assert_eq!(raw(&http, &hash).await, json!([first, second]));

    let path = format!("/c/bank/A/content/{first}");
    let off = http.put(&path, &json!({ "disable_until_ts": 0 })).await.body(200);
    assert_eq!(off["disable_until_ts"], 0);
    assert_eq!(raw(&http, &hash).await, json!([second]));
    let in_a_year = cluster_seconds() + 365 * 86_400;
    let until = http.put(&path, &json!({ "disable_until_ts": in_a_year.to_string() })).await.body(200);
    assert_eq!(until["disable_until_ts"], in_a_year);
    http.put(&path, &json!({ "disable_until_ts": 1 })).await.body(200);
    assert_eq!(http.get(&path).await.body(200)["disable_until_ts"], 1);
    assert_eq!(raw(&http, &hash).await, json!([first, second]));
    http.put(&path, &json!({ "disable_until_ts": 9_999_999_999_u64 })).await.message(400);

    assert_eq!(http.delete(&path).await.body(200), json!({ "deleted": 1 }));
    assert_eq!(raw(&http, &hash).await, json!([second]));
    assert_eq!(http.delete(&path).await.body(200), json!({ "deleted": 0 }));
    http.get(&path).await.message(404);
    cluster.stop().await.unwrap();
}

fn cluster_seconds() -> u64 {
    std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

#[tokio::test(flavor = "multi_thread")]
async fn content_is_read_and_changed_by_its_own_bank_only() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    bank(&http, "A").await;
    bank(&http, "B").await;
    let id = add(&http, "A", &pdq(9)).await;
    let through_b = format!("/c/bank/B/content/{id}");
    http.get(&through_b).await.message(404);
    http.put(&through_b, &json!({ "note": "x" })).await.message(404);
    assert_eq!(http.delete(&through_b).await.body(200), json!({ "deleted": 0 }));
    assert_eq!(raw(&http, &pdq(9)).await, json!([id]));
    http.get("/c/bank/NONE/content/1").await.message(404);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn notes_and_metadata_are_given_back_and_absent_ones_are_left_out() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    bank(&http, "A").await;
    let id = http.post("/c/bank/A/signal", &json!({ "pdq": pdq(1), "note": "seen" })).await.body(200)["id"]
        .clone();
    let path = format!("/c/bank/A/content/{id}");
    let shown = http.get(&format!("{path}?include_signals=true")).await.body(200);
    assert_eq!((&shown["note"], &shown["signals"]), (&json!("seen"), &json!({ "pdq": pdq(1) })));
    http.put(&path, &json!({ "note": "n".repeat(256) })).await.message(400);
    let cleared = http.put(&path, &json!({ "note": "" })).await.body(200);
    assert_eq!((&cleared["note"], &cleared["user_metadata"]), (&Value::Null, &Value::Null));
    let bare = http.get(&path).await.body(200);
    for left_out in ["note", "signals", "metadata"] {
        assert!(bare.get(left_out).is_none(), "{left_out}: {bare}");
    }

    let boundary = "X";
    let part = |head: &str, body: &str| {
        format!("--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{body}\r\n")
    };
    let form = |metadata: &str| {
        [
            part("name=\"video\"; filename=\"v.mp4\"", "not really a video"),
            part("name=\"metadata\"", metadata),
            format!("--{boundary}--\r\n"),
        ]
        .concat()
    };
    let kind = [("content-type", "multipart/form-data; boundary=X")];
    let send = |metadata: &'static str| {
        let (http, body) = (http.clone(), form(metadata));
        async move { http.send(http::Method::POST, "/c/bank/A/content", &kind, body).await }
    };
    let added = send(r#"{"content_id":"c-1","json":{"a":[1]},"collab":"dropped"}"#).await.body(200);
    assert_eq!(added["signals"]["video_md5"].as_str().map(str::len), Some(32));
    let shown = http.get(&format!("/c/bank/A/content/{}", added["id"])).await.body(200);
    let expected = json!({ "collab": null, "content_id": "c-1", "content_uri": null, "json": { "a": [1] } });
    assert_eq!(shown["metadata"], expected);
    send(r#"{"unknown":1}"#).await.message(400);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_that_are_none_are_refused_and_nothing_is_banked() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    bank(&http, "A").await;
    for body in [
        json!({}),
        json!({ "pdq": "zz" }),
        json!({ "nope": pdq(1) }),
        json!({ "pdq": 5 }),
        json!({ "metadata": {} }),
    ] {
        http.post("/c/bank/A/signal", &body).await.message(400);
    }
    http.post("/c/bank/NONE/signal", &json!({ "pdq": pdq(1) })).await.message(404);
    let listed = http.get("/v1/banks/A").await.body(200);
    assert_eq!(listed["items"], 0);
    cluster.stop().await.unwrap();
}
