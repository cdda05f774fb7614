//! Lookups: by hash, by file, in banks with different ratios, and with more matches than fit into one answer.

use http::Method;
use serde_json::{Value, json};
use vigie_clients::{Deadline, IdempotencyKey};
use vigie_model::{BankName, Hash, HashType, ItemContent, ItemDraft};

use vigie_pictures::{RgbImage, draw, encode_png};

use super::{add, bank, pdq, raw};
use crate::gateway::client::{Http, cluster};

fn lookup(pdq: &str) -> String {
    format!("/m/lookup?signal_type=pdq&signal={pdq}")
}

#[tokio::test(flavor = "multi_thread")]
async fn matches_are_by_bank_with_distances_as_texts() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    bank(&http, "A").await;
    bank(&http, "B").await;
    let (near, far, beyond) =
        (add(&http, "A", &pdq(0)).await, add(&http, "B", &pdq(31)).await, add(&http, "B", &pdq(32)).await);
    let of = |id: u64, distance: &str| json!({ "bank_content_id": id, "distance": distance });
    let both = json!({ "A": [of(near, "0")], "B": [of(far, "31")] });
    assert_eq!(http.get(&lookup(&pdq(0))).await.body(200), both);
    // Upper case and spaces are accepted.
    let signal = format!("%20{}%20", pdq(0).to_uppercase());
    assert_eq!(http.get(&lookup(&signal)).await.body(200), both);
    assert_eq!(
        http.get(&format!("{}&banks=B,NONE", lookup(&pdq(0)))).await.body(200),
        json!({ "B": [of(far, "31")] })
    );
    assert_eq!(http.get(&format!("{}&banks=NONE", lookup(&pdq(0)))).await.body(200), json!({}));
    assert_eq!(http.get(&format!("{}&banks=", lookup(&pdq(0)))).await.body(200), both);
    assert_eq!(http.get(&lookup(&pdq(200))).await.body(200), json!({}));
    let raw_path = format!("/m/raw_lookup?signal_type=pdq&signal={}&include_distance=true", pdq(0));
    assert_eq!(http.get(&raw_path).await.body(200)["matches"], json!([of(near, "0"), of(far, "31")]));

    for (path, status) in [
        ("/m/lookup".to_owned(), 400),
        ("/m/lookup?signal_type=pdq&signal=".to_owned(), 400),
        ("/m/lookup?signal_type=pdq&signal=zz".to_owned(), 400),
        (format!("/m/lookup?signal_type=nope&signal={}", pdq(0)), 400),
        ("/m/raw_lookup?signal_type=pdq".to_owned(), 422),
        (format!("/m/raw_lookup?signal_type=pdq&signal={}&include_distance=maybe", pdq(0)), 422),
    ] {
        assert_eq!(http.get(&path).await.status.as_u16(), status, "{path}");
    }

    // Features beyond HMA, on request.
    let wide = http
        .get(&format!("{}&max_distance=32&numeric_distance=true&include_coverage=true", lookup(&pdq(0))))
        .await;
    assert_eq!(wide.headers["x-vigie-coverage"], "1");
    assert!(wide.headers["x-vigie-sequence"].to_str().unwrap().parse::<u64>().unwrap() > 0);
    let wide = wide.body(200);
    assert_eq!(
        wide["B"],
        json!([{ "bank_content_id": far, "distance": 31 }, { "bank_content_id": beyond, "distance": 32 }])
    );
    let signals = [pdq(0), pdq(200)].map(|signal| json!({ "signal_type": "pdq", "signal": signal }));
    let many = http.post("/m/lookup", &json!({ "signals": signals })).await.body(200);
    assert_eq!(many["results"], json!([both, {}]));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ratio_of_a_bank_decides_in_which_lookups_it_takes_part() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    http.post("/c/banks", &json!({ "name": "HALF", "enabled_ratio": 0.5 })).await.body(201);
    http.post("/c/banks", &json!({ "name": "NEVER", "enabled_ratio": 0.0 })).await.body(201);
    let ids = [add(&http, "HALF", &pdq(3)).await, add(&http, "NEVER", &pdq(3)).await];
    let (mut in_half, seeds) = (0, 60);
    for seed in 0..seeds {
        let path = format!("{}&seed={seed}", lookup(&pdq(3)));
        let drawn = http.get(&path).await.body(200);
        assert_eq!(http.get(&path).await.body(200), drawn, "the same seed decides the same");
        assert!(drawn.get("NEVER").is_none());
        in_half += usize::from(drawn.get("HALF").is_some());
    }
    assert!((10..50).contains(&in_half), "{in_half} of {seeds}");
    let all = http.get(&format!("{}&bypass_coinflip=true", lookup(&pdq(3)))).await.body(200);
    assert_eq!(all.as_object().map(serde_json::Map::len), Some(2));
    assert_eq!(raw(&http, &pdq(3)).await, json!(ids));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_is_not_missing_because_another_fills_the_answer() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    bank(&http, "FULL").await;
    bank(&http, "ALSO").await;
    let client = cluster.bank_client().unwrap();
    let name: BankName = "FULL".parse().unwrap();
    let item = || {
        let hashes = vec![Hash::from_text(HashType::PDQ, &pdq(0)).unwrap()];
        ItemContent::try_from(ItemDraft { hashes, ..ItemDraft::default() }).unwrap()
    };
    let deadline = || Deadline::now() + std::time::Duration::from_secs(60);
    for _ in 0..2 {
        let items = (0..600).map(|_| item()).collect();
        client.add_items(&name, items, IdempotencyKey::random(), deadline()).await.unwrap();
    }
    // More distant than each of the 1,200 others, and still found.
    let id = add(&http, "ALSO", &pdq(5)).await;
    let found = http.get(&lookup(&pdq(0))).await.body(200);
    assert_eq!(found["FULL"].as_array().map(Vec::len), Some(1_000));
    assert_eq!(found["ALSO"], json!([{ "bank_content_id": id, "distance": "5" }]));
    cluster.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_is_hashed_banked_and_found_and_a_flat_one_says_so() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    bank(&http, "A").await;
    let send = |path: &str, file: Vec<u8>| {
        let (http, path) = (http.clone(), path.to_owned());
        let head = b"--X\r\nContent-Disposition: form-data; name=\"photo\"; filename=\"p.png\"\r\n\r\n";
        let body = [head.as_slice(), &file, b"\r\n--X--\r\n"].concat();
        async move {
            http.send(Method::POST, &path, &[("content-type", "multipart/form-data; boundary=X")], body).await
        }
    };
    let picture = encode_png(&draw(7, 256, 256));
    let hashed = send("/h/hash", picture.clone()).await.body(200);
    let added = send("/c/bank/A/content", picture.clone()).await.body(200);
    assert_eq!(added["signals"], hashed);
    let found = send("/m/lookup", picture).await.body(200);
    assert_eq!(found, json!({ "pdq": { "A": [{ "bank_content_id": added["id"], "distance": "0" }] } }));

    let flat = encode_png(&RgbImage::new(64, 64));
    assert_eq!(send("/h/hash", flat.clone()).await.body(200), json!({ "pdq": "" }));
    for path in ["/m/lookup", "/c/bank/A/content"] {
        assert!(send(path, flat.clone()).await.message(400).contains("too little detail"));
    }
    send("/h/hash", b"no picture".to_vec()).await.message(400);
    assert_eq!(http.post("/h/hash", &Value::Null).await.status.as_u16(), 400);
    cluster.stop().await.unwrap();
}
