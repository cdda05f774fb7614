//! HMA's API, with requests in the form that its clients send.

mod bounds;
mod content;
mod lookups;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::gateway::client::{Answer, Http, cluster};

/// Returns a PDQ hash with this number of ones.
fn pdq(ones: usize) -> String {
    let bits: String = (0..256).map(|at| if at < ones { '1' } else { '0' }).collect();
    let digit = |four: &[u8]| {
        let number = four.iter().fold(0, |number, bit| 2 * number + u32::from(bit - b'0'));
        char::from_digit(number, 16).unwrap()
    };
    bits.as_bytes().chunks(4).map(digit).collect()
}

/// Creates a bank.
async fn bank(http: &Http, name: &str) {
    http.post("/c/banks", &json!({ "name": name })).await.body(201);
}

/// Adds a hash to a bank, and returns its id.
async fn add(http: &Http, bank: &str, pdq: &str) -> u64 {
    let added = http.post(&format!("/c/bank/{bank}/signal"), &json!({ "pdq": pdq })).await.body(200);
    assert_eq!(added["signals"], json!({ "pdq": pdq }));
    added["id"].as_u64().unwrap()
}

/// Returns the matching ids, regardless of the ratios.
async fn raw(http: &Http, pdq: &str) -> Value {
    http.get(&format!("/m/raw_lookup?signal_type=pdq&signal={pdq}")).await.body(200)["matches"].clone()
}

impl Answer {
    /// Checks the status of a failure, and returns its message.
    #[track_caller]
    fn message(self, status: u16) -> String {
        assert_eq!(self.headers["content-type"], "application/json", "{:?}", self.status);
        self.body(status)["message"].as_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_lives_as_coop_and_the_ruby_client_expect() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    assert_eq!(http.get("/c/banks").await.body(200), json!([]));
    // A base URL that ends in a slash, and a ratio given as a string.
    let coop = json!({ "name": "COOP_ACME_KNOWN", "enabled_ratio": "1" });
    let shown = json!({ "name": "COOP_ACME_KNOWN", "matching_enabled_ratio": 1.0 });
    let made = http.post("//c/banks", &coop).await.body(201);
    assert_eq!(made, shown);
    assert!(made.to_string().contains("1.0"), "a strict client wants a decimal point: {made}");
    assert!(http.post("/c/banks", &coop).await.message(403).contains("already exists"));
    assert_eq!(http.get("//c/bank/COOP_ACME_KNOWN").await.body(200), shown);
    let inner = http.get("/c//bank/COOP_ACME_KNOWN").await;
    assert_eq!(inner.status, StatusCode::PERMANENT_REDIRECT);
    assert_eq!(inner.headers["location"], "/c/bank/COOP_ACME_KNOWN");

    let half = http.put("/c/bank/COOP_ACME_KNOWN", &json!({ "enabled_ratio": 0.5 })).await.body(200);
    assert_eq!(half["matching_enabled_ratio"], 0.5);
    let off = http.put("/c/bank/COOP_ACME_KNOWN", &json!({ "enabled": false })).await.body(200);
    assert_eq!(off["matching_enabled_ratio"].to_string(), "0");
    let renamed = http.put("/c/bank/COOP_ACME_KNOWN", &json!({ "name": "COOP_ACME" })).await.body(200);
    assert_eq!(renamed["name"], "COOP_ACME");
    http.get("/c/bank/COOP_ACME_KNOWN").await.message(404);
    bank(&http, "OTHER").await;
    let taken = http.put("/c/bank/OTHER", &json!({ "name": "COOP_ACME" })).await;
    assert!(taken.message(403).contains("already exists"));

    for (body, status) in [
        (json!({ "name": "lower" }), 400),
        (json!({ "name": "A", "enabled_ratio": 7.5 }), 400),
        (json!({ "enabled": true }), 422),
        (json!([]), 422),
    ] {
        assert_eq!(http.post("/c/banks", &body).await.status.as_u16(), status, "{body}");
    }
    for _ in 0..2 {
        assert_eq!(http.delete("/c/bank/COOP_ACME").await.body(200), json!({ "message": "Done" }));
    }
    assert_eq!(http.get("/c/bank/OTHER/").await.status, StatusCode::NOT_FOUND);
    assert_eq!(http.send(Method::PATCH, "/c/banks", &[], "").await.status, StatusCode::METHOD_NOT_ALLOWED);
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_is_described_for_programs() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    assert_eq!(http.get("/openapi/openapi.json").await.body(200)["info"]["title"], "Open Media Match API");
    let types = http.get("/c/signal_type").await.body(200);
    assert_eq!(types[0], json!({ "name": "pdq", "enabled_ratio": 1.0 }));
    assert_eq!((&types[1]["name"], &types[2]["name"]), (&json!("video_md5"), &json!("vpdq")));
    assert_eq!(http.get("/c/content_type").await.body(200)[1], json!({ "name": "video", "enabled": true }));
    let same = json!({ "pdq": [pdq(0), pdq(31)] });
    assert_eq!(http.post("/m/compare", &same).await.body(200), json!({ "pdq": [true, { "distance": 31 }] }));
    let frames = json!([format!("{},100,0.0", pdq(0)), format!("{},100,1.0", pdq(100))]).to_string();
    let video = json!({ "vpdq": [json!([format!("{},50,0.0", pdq(31))]).to_string(), frames] });
    let shares = json!({ "query_match_percent": 100.0, "compared_match_percent": 50.0 });
    assert_eq!(http.post("/m/compare", &video).await.body(200), json!({ "vpdq": [true, shares] }));
    assert_eq!(http.send(Method::POST, "/m/compare", &[], "{}").await.status.as_u16(), 415);
    let map = http.get("/site-map").await.body(200);
    let paths: Vec<&str> = map.as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(paths.is_sorted() && paths.contains(&"/m/raw_lookup"));
    assert_eq!(http.get("/").await.headers["location"], "/status");
    cluster.stop().await.unwrap();
}
