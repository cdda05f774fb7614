//! Feeds of a bank that has items of its own and of programmes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::client::{Http, cluster_with};

fn md5(byte: u8) -> String {
    format!("{byte:02x}").repeat(16)
}

fn item(byte: u8, origin: Value) -> Value {
    json!({ "hashes": [{ "type": "md5", "hash": md5(byte) }], "origin": origin })
}

/// Returns the records of StopNCII's feed since a time, as value and status, and the time for the next
/// request.
async fn feed_records(http: &Http, since: u64) -> (Vec<(String, String)>, u64) {
    let path = format!("/feeds/stop_ncii/known/FetchHashes?startTimestamp={since}&pageSize=100");
    let page = http.get(&path).await.body(200);
    assert_eq!(page["hasMoreRecords"], false);
    let word = |record: &Value, name: &str| record[name].as_str().unwrap().to_owned();
    let records = page["hashRecords"].as_array().unwrap();
    let mut listed: Vec<_> =
        records.iter().map(|record| (word(record, "hashValue"), word(record, "hashStatus"))).collect();
    listed.sort();
    (listed, page["nextSetTimestamp"].as_u64().unwrap())
}

/// Returns the records once there are `count` of them.
async fn until_listed(http: &Http, since: u64, count: usize) -> Vec<(String, String)> {
    let begun = Instant::now();
    loop {
        let (listed, _) = feed_records(http, since).await;
        if listed.len() == count {
            return listed;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{listed:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn of(byte: u8, status: &str) -> (String, String) {
    (md5(byte), status.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_has_the_banks_own_items_and_withdraws_what_stops_being_that() {
    let cluster = cluster_with(|_| {}).await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    let (own, programme) = (json!({ "case": "c" }), json!({ "programme": "ncmec", "key": "k" }));
    let of_nobody = |byte: u8| json!({ "hashes": [{ "type": "md5", "hash": md5(byte) }] });
    // The first hash is from the bank and from the programme, the second twice so, the third only from the
    // programme, the fourth twice from the bank.
    let items = json!({ "items": [
        item(1, own.clone()), item(1, programme.clone()), of_nobody(2), item(2, programme.clone()), item(3, programme), of_nobody(4),
        of_nobody(4),
    ] });
    let ids = http.post("/v1/banks/known/items", &items).await.body(201)["item_ids"].clone();
    assert_eq!(ids[0], ids[1]);
    let first = until_listed(&http, 10, 4).await;
    assert_eq!(first, [of(1, "Active"), of(2, "Active"), of(4, "Active"), of(4, "Active")]);
    // Waits for a checkpoint in a second that is over and in which nothing was added, because the feed
    // repeats the first second.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() - 1;
    tokio::time::sleep(Duration::from_millis(1_100)).await;

    let own_word = json!({ "items": [ids[0]], "origin": own });
    http.post("/v1/items/remove", &own_word).await.body(200);
    for id in [&ids[2], &ids[5]] {
        http.delete(&format!("/v1/items/{id}")).await.body(200);
    }
    // A hash that only a programme still has is withdrawn; one that the bank has a second time is not.
    assert_eq!(until_listed(&http, since, 2).await, [of(1, "Withdrawn"), of(2, "Withdrawn")]);
    // When the programme removes its own item, the feed reports nothing.
    http.delete(&format!("/v1/items/{}", ids[4])).await.body(200);
    assert_eq!(feed_records(&http, since).await.0, [of(1, "Withdrawn"), of(2, "Withdrawn")]);
    cluster.stop().await.unwrap();

    // A gateway that passes on the items of programmes reports all of them.
    let cluster = cluster_with(|config| config.gateway.feeds_pass_on = true).await;
    let http = Http::new(&cluster);
    http.post("/v1/banks", &json!({ "name": "known" })).await.body(201);
    http.post("/v1/banks/known/items", &items).await.body(201);
    let all = until_listed(&http, 10, 6).await;
    assert!(all.contains(&of(3, "Active")), "{all:?}");
    cluster.stop().await.unwrap();
}
