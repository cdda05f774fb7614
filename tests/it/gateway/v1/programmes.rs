//! Opinions of a programme's members, and opinions sent to it: a cluster with members that follows a
//! programme on loopback.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use vigie_clients::{Bearer, Deadline, ExchangeClient, IdempotencyKey, Network, NewExchange};
use vigie_consortium::ExchangeConfig;

use super::md5;
use super::members::{principal, team, turned_on};
use crate::gateway::client::{Http, cluster_with};

/// The time limit of a round, including the interval at which the exchange process reads its list of
/// exchanges.
const FETCHED_WITHIN: Duration = Duration::from_secs(30);

/// A stand-in of StopNCII with one hash, which records the feedback it gets.
#[derive(Debug, Clone, Default)]
struct Programme {
    /// The opinions of its platforms.
    says: Arc<Mutex<Vec<&'static str>>>,
    heard: Arc<Mutex<Vec<(String, String)>>>,
}

impl Programme {
    /// Serves until the runtime of the test ends.
    async fn serve(self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(self.clone().answer(stream));
            }
        });
        origin
    }

    /// Answers one request of a connection, and closes it.
    async fn answer(self, mut stream: TcpStream) {
        let mut request = Vec::new();
        let (head, length) = loop {
            if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                return;
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let Some((head, _)) = text.split_once("\r\n\r\n") else { continue };
            let lengths = head.lines().filter_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
            });
            break (head.to_owned(), lengths.sum::<usize>());
        };
        let body_at = head.len() + 4;
        while request.len() < body_at + length {
            stream.read_buf(&mut request).await.unwrap();
        }
        let answer = if head.starts_with("GET /v1/FetchHashes") {
            self.page()
        } else {
            assert!(head.starts_with("POST /v1/SubmitFeedback"), "{head}");
            let sent: Value = serde_json::from_slice(&request[body_at..]).unwrap();
            let sent = &sent["hashFeedbacks"][0];
            let words = ["hashValue", "feedbackValue"].map(|name| sent[name].as_str().unwrap().to_owned());
            self.heard.lock().unwrap().push(words.into());
            json!({})
        };
        let body = answer.to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    }

    fn page(&self) -> Value {
        let feedback = |(at, word): (usize, &&str)| json!({ "source": format!("Platform {at}"), "feedbackValue": word, "tags": [] });
        let feedback: Vec<Value> = self.says.lock().unwrap().iter().enumerate().map(feedback).collect();
        json!({ "count": 1, "nextPageToken": null, "nextSetTimestamp": 10, "hasMoreRecords": false, "hashRecords": [
            { "lastModtimestamp": 20, "signalType": "VideoMD5", "hashValue": md5(7), "hashStatus": "Active",
              "caseNumbers": { "case": "Active" }, "CSPFeedbacks": feedback }
        ] })
    }
}

/// Requests a round, and waits for its end; returns its alarm, empty for none.
async fn fetch(exchanges: &ExchangeClient, name: &str) -> String {
    let soon = || Deadline::now() + Duration::from_secs(10);
    let name = name.parse().unwrap();
    let asked = exchanges.fetch_exchange_now(&name, IdempotencyKey::random(), soon()).await.unwrap();
    let begun = Instant::now();
    loop {
        let status = exchanges.get_exchange(&name, soon()).await.unwrap().exchange.status;
        if status.answered_rounds >= asked.value.exchange.requested_rounds {
            return status.alarm.to_string();
        }
        assert!(begun.elapsed() < FETCHED_WITHIN, "no round of {name} has ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_programmes_members_are_one_voice_and_hear_what_the_owner_thinks() {
    let programme = Programme::default();
    programme.says.lock().unwrap().extend(["NotBlocked", "NotBlocked", "PendingReview"]);
    let origin = programme.clone().serve().await;
    let folder = tempfile::tempdir().unwrap();
    let (credentials_folder, origins) = (Some(folder.path().to_owned()), vec![origin.clone()]);
    let cluster = cluster_with(|config| {
        config.exchange = Some(vigie_exchange::Config {
            credentials_folder,
            origins,
            list_ms: 100,
            ..vigie_exchange::Config::default()
        });
    })
    .await;
    let operator = turned_on(&Http::new(&cluster)).await;
    let (acme, work) = team(&operator, "acme").await;
    let (other, _) = team(&operator, "other").await;
    acme.post("/v1/banks", &json!({ "name": "stop" })).await.body(201);
    // Another member's bank with the same name.
    other.post("/v1/banks", &json!({ "name": "stop" })).await.body(201);
    let mut charter = acme.get("/v1/banks/stop/charter").await.body(200)["charter"].clone();
    charter["hold_on_negatives"] = json!(2);
    acme.put("/v1/banks/stop/charter", &charter).await.body(200);
    let key_of = async |by: &Http, role: &str| {
        let made = by.post("/v1/principals", &json!({ "roles": [role], "note": role })).await.body(201);
        made["api_key"].as_str().unwrap().to_owned()
    };
    let credentials = |bank_key: &str| {
        let fields = format!("fetch_key=f\nsubscription_key=s\nfeedback_key=b\nbank_key={bank_key}\n");
        std::fs::create_dir_all(folder.path().join("acme")).unwrap();
        std::fs::write(folder.path().join("acme/stop"), fields).unwrap();
    };
    credentials(&key_of(&other, "reviewer").await);

    let administrator = Bearer::new(&key_of(&acme, "administrator").await, "key").unwrap();
    let exchanges = ExchangeClient::among(&[cluster.bank_url()], &Network::tcp()).unwrap();
    let exchanges = exchanges.bearing(Some(administrator));
    let settings = json!({ "base_url": format!("{origin}/v1"), "feedback": {} });
    let config = ExchangeConfig::new(&settings.to_string()).unwrap();
    let (name, api) = ("stop".parse().unwrap(), "stop_ncii".parse().unwrap());
    let new = NewExchange { name, api, config, interval_seconds: 3_600 };
    let deadline = Deadline::now() + Duration::from_secs(10);
    let bank: vigie_model::BankRef = "stop".parse().unwrap();
    exchanges.add_exchange(&new, &bank, IdempotencyKey::random(), deadline).await.unwrap();

    // With another member's key nothing is sent: its bank with this name is a different one.
    let alarm = fetch(&exchanges, "stop").await;
    assert!(alarm.contains("bank_key") && alarm.contains("another one"), "{alarm}");
    credentials(&key_of(&acme, "reviewer").await);
    assert_eq!(fetch(&exchanges, "stop").await, "");

    // Two platforms with a negative opinion count as one, and hold nothing where the charter requires two.
    let items = work.get("/v1/banks/stop/items").await.body(200);
    let id = items["items"][0]["item_id"].as_u64().unwrap();
    let item = work.get(&format!("/v1/items/{id}")).await.body(200);
    assert_eq!((&item["facts"]["negatives"], &item["facts"]["seen"]), (&json!(1), &json!(0)));
    assert_eq!(item["holds"], json!([]));
    let lookup = format!("/m/raw_lookup?signal_type=video_md5&signal={}", md5(7));
    let (reader, _) = principal(&acme, json!({ "roles": ["matcher", "reviewer"] })).await;
    let begun = Instant::now();
    while reader.get(&lookup).await.body != json!({ "matches": [id] }) {
        assert!(begun.elapsed() < FETCHED_WITHIN, "the item does not match");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = reader.get(&format!("{lookup}&include_opinions=true")).await.body;
    let opinions =
        json!({ "positives": 0, "negatives": 1, "seen": 0, "mine": "negative", "dispute_open": false });
    assert_eq!(found["matches"][0]["opinions"], opinions, "{found}");
    let said = &item["submissions"][0]["foreign_opinion"];
    assert_eq!(*said, json!({ "kind": "negative", "reason": "other", "foreign_value": "NotBlocked" }));
    let opinions = work.get("/v1/banks/stop/opinions").await.body(200)["opinions"].clone();
    assert_eq!((&opinions[0]["of_programme"], &opinions[0]["member"]), (&json!(true), &json!("acme")));
    assert!(programme.heard.lock().unwrap().is_empty(), "what came from the programme went back");

    // A person's opinion counts, and is sent to the programme; so is its withdrawal.
    let opinion = format!("/v1/items/{id}/opinion");
    work.put(&opinion, &json!({ "kind": "positive" })).await.body(200);
    assert_eq!(fetch(&exchanges, "stop").await, "");
    let item = work.get(&format!("/v1/items/{id}")).await.body(200);
    assert_eq!((&item["facts"]["positives"], &item["facts"]["negatives"]), (&json!(1), &json!(0)));
    let sent = |word: &str| (md5(7), word.to_owned());
    assert_eq!(*programme.heard.lock().unwrap(), [sent("Blocked")]);
    work.delete(&opinion).await.body(200);
    assert_eq!(fetch(&exchanges, "stop").await, "");
    assert_eq!(*programme.heard.lock().unwrap(), [sent("Blocked"), sent("Withdrawn")]);

    // An opinion that the programme no longer has is removed here. Without changes nothing is sent.
    programme.says.lock().unwrap().clear();
    assert_eq!(fetch(&exchanges, "stop").await, "");
    assert_eq!(work.get(&format!("/v1/items/{id}")).await.body(200)["facts"], Value::Null);
    assert_eq!(programme.heard.lock().unwrap().len(), 2);
    let opinions = reader.get("/v1/banks/stop/opinions").await.body(200)["opinions"].clone();
    assert!(opinions.as_array().unwrap().iter().all(|one| one["kind"] == Value::Null), "{opinions}");
    cluster.stop().await.unwrap();
}
