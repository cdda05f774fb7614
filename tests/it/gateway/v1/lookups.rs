//! Lookups over our own REST API: by hashes, by images, and with a part of the cluster missing.

use http::Method;
use serde_json::{Value, json};
use vigie_pictures::{draw, encode_jpeg};

use super::{lookup, md5};
use crate::gateway::client::{Http, cluster};

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_query_by_query_with_what_was_searched() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    for bank in ["known", "other"] {
        http.post("/v1/banks", &json!({ "name": bank })).await.body(201);
    }
    let pdq = "0f".repeat(32);
    let item = json!({ "items": [{ "hashes": [{ "type": "pdq", "hash": pdq }], "labels": ["l"], "external_reference": "r" }] });
    let added = http.post("/v1/banks/known/items", &item).await.body(201);
    http.post("/v1/banks/other/items", &item).await.body(201);
    // Three bits from the banked hash.
    let near = format!("{}08", "0f".repeat(31));
    let query = |quality: u8| json!({ "hashes": [{ "type": "pdq", "hash": near, "variant": "flip-x" }], "pdq_quality": quality });
    let asked = json!({
        "queries": [query(80), query(20), { "hashes": [{ "type": "md5", "hash": md5(9) }] }],
        "banks": ["known"], "max_distance": { "pdq": 3 }
    });
    let answer = http.post("/v1/match", &asked).await;
    assert_eq!(answer.headers["x-vigie-coverage"], "1");
    let sequence: u64 = answer.headers["x-vigie-sequence"].to_str().unwrap().parse().unwrap();
    assert!(sequence > added["sequence"].as_u64().unwrap(), "the newest write of the gateway is asked for");
    let answer = answer.body(200);
    assert_eq!((&answer["sequence"], &answer["truncated"]), (&json!(sequence), &json!(false)));
    assert_eq!(
        (&answer["coverage"]["shards_answered"], &answer["coverage"]["shards_total"]),
        (&json!(2), &json!(2))
    );
    let [near, poor, none] = &answer["results"].as_array().unwrap()[..] else { panic!("{answer}") };
    let expected = json!([{
        "item_id": added["item_ids"][0], "bank": "known", "bank_id": 1, "external_reference": "r", "labels": ["l"],
        "hash_type": "pdq", "distance": 3, "variant": "flip-x", "exact": true, "other_matches": 0, "frame": 0, "way": "plain",
        "facts": null
    }]);
    assert_eq!(near["matches"], expected);
    assert_eq!(near["searches"], json!([{ "hash_type": "pdq", "max_distance": 3, "exact": true }]));
    assert_eq!((&poor["matches"], &poor["searches"]), (&json!([]), &json!([])));
    assert_eq!(poor["skipped"], json!([{ "hash_type": "pdq", "reason": "quality_below_floor" }]));
    assert_eq!((&none["matches"], &none["limit_reached"]), (&json!([]), &json!(false)));

    // A smaller distance, and a limit.
    let mut asked = json!({ "queries": [query(80)], "max_distance": { "pdq": 2 } });
    assert_eq!(http.post("/v1/match", &asked).await.body(200)["results"][0]["matches"], json!([]));
    asked["max_distance"] = json!({ "pdq": 3 });
    asked["limit"] = json!(1);
    let cut = http.post("/v1/match", &asked).await.body(200);
    assert_eq!((&cut["results"][0]["limit_reached"], &cut["truncated"]), (&json!(true), &json!(true)));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_hashed_and_found_as_a_body_and_as_a_form() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let jpeg = encode_jpeg(&draw(3, 640, 480), 90);
    let raw = [("content-type", "image/jpeg")];
    let hashed = http.send(Method::POST, "/v1/hash", &raw, jpeg.clone()).await.body(200);
    assert_eq!((&hashed["width"], &hashed["height"]), (&json!(640), &json!(480)));
    assert!(hashed["quality"].as_u64().unwrap() >= 50 && hashed["md5"].is_string(), "{hashed}");
    let item = json!({ "items": [{ "hashes": [{ "type": "pdq", "hash": hashed["pdq"] }] }] });
    let added = http.post("/v1/banks/known/items", &item).await.body(201);

    let form = [
        b"--X\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jpg\"\r\n\r\n".as_slice(),
        &jpeg,
        b"\r\n--X--\r\n",
    ];
    let of_form = [("content-type", "multipart/form-data; boundary=X")];
    for (headers, body) in [(&raw, jpeg.clone()), (&of_form, form.concat())] {
        let path = "/v1/match/image?banks=known&max_distance=pdq:10&limit=5";
        let answer = http.send(Method::POST, path, headers, body).await.body(200);
        let [result] = &answer["results"].as_array().unwrap()[..] else { panic!("{answer}") };
        assert_eq!(result["matches"][0]["item_id"], added["item_ids"][0]);
        assert_eq!((&result["matches"][0]["distance"], &result["frames"]["seen"]), (&json!(0), &json!(1)));
    }
    // An undecodable image is looked up by its digests, and the answer reports the failure.
    let answer = http.send(Method::POST, "/v1/match/image", &raw, "no image").await.body(200);
    assert_eq!(answer["results"][0]["decode_failure"]["code"], "unknown_format");
    http.send(Method::POST, "/v1/hash", &raw, "no image").await.problem(400, "INVALID_ARGUMENT");
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_that_covers_too_little_fails_with_what_was_found() {
    let mut cluster = cluster().await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let items: Vec<Value> =
        (0..20).map(|byte| json!({ "hashes": [{ "type": "md5", "hash": md5(byte) }] })).collect();
    http.post("/v1/banks/known/items", &json!({ "items": items })).await.body(201);
    let queries: Vec<Value> = (0..20).map(|byte| lookup(byte)["queries"][0].clone()).collect();
    let asked = json!({ "queries": queries });
    let matches = |answer: &Value| -> usize {
        let results = answer["results"].as_array().unwrap();
        results.iter().filter(|one| one["matches"].as_array().is_some_and(|all| !all.is_empty())).count()
    };
    assert_eq!(matches(&http.post("/v1/match", &asked).await.body(200)), 20);

    cluster.stop_matcher(1).await.unwrap();
    let failed = http.post("/v1/match", &asked).await;
    assert_eq!(failed.headers["x-vigie-coverage"], "0.5");
    assert!(failed.headers.contains_key("retry-after"));
    let partial = failed.body["partial"].clone();
    failed.problem(503, "UNAVAILABLE");
    assert_eq!(partial["coverage"]["shards_answered"], 1);
    assert!((1..20).contains(&matches(&partial)), "{partial}");
    // A caller that accepts a lower coverage gets the answer.
    let mut less = asked.clone();
    less["min_coverage"] = json!(0.5);
    let answer = http.post("/v1/match", &less).await.body(200);
    assert_eq!((matches(&answer), &answer["coverage"]["shards_answered"]), (matches(&partial), &json!(1)));
    cluster.stop().await.unwrap();
}
