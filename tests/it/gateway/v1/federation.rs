//! Two deployments: one follows a bank of the other by its published list, with the key of a member that may
//! see the bank's hashes.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vigie_clients::{Deadline, ExchangeClient, IdempotencyKey, Network, NewExchange};
use vigie_consortium::ExchangeConfig;
use vigie_harness::in_process::Cluster;

use super::md5;
use super::members::{principal, team, turned_on};
use crate::gateway::client::{Http, cluster, cluster_with};

/// The time limit of a round, including the interval at which the exchange process reads its list of
/// exchanges.
const FETCHED_WITHIN: Duration = Duration::from_secs(30);

fn soon() -> Deadline {
    Deadline::now() + Duration::from_secs(10)
}

/// A client of a cluster's exchanges.
struct Exchanges(ExchangeClient);

impl Exchanges {
    fn of(cluster: &Cluster) -> Self {
        Self(ExchangeClient::among(&[cluster.bank_url()], &Network::tcp()).unwrap())
    }

    async fn add(&self, name: &str, bank: &str, settings: &Value) {
        let config = ExchangeConfig::new(&settings.to_string()).unwrap();
        let (name, api) = (name.parse().unwrap(), "vigie".parse().unwrap());
        let new = NewExchange { name, api, config, interval_seconds: 3_600 };
        let bank: vigie_model::BankRef = bank.parse().unwrap();
        self.0.add_exchange(&new, &bank, IdempotencyKey::random(), soon()).await.unwrap();
    }

    /// Requests a round, and waits for its end; returns its alarm, empty for none.
    async fn fetch(&self, name: &str) -> String {
        let name = name.parse().unwrap();
        let asked = self.0.fetch_exchange_now(&name, IdempotencyKey::random(), soon()).await.unwrap();
        let begun = Instant::now();
        loop {
            let status = self.0.get_exchange(&name, soon()).await.unwrap().exchange.status;
            if status.answered_rounds >= asked.value.exchange.requested_rounds {
                return status.alarm.to_string();
            }
            assert!(begun.elapsed() < FETCHED_WITHIN, "no round of {name} has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Starts a cluster that follows other deployments, with the credentials in a folder.
async fn following(folder: &std::path::Path, origins: &[String]) -> Cluster {
    cluster_with(|config| {
        config.exchange = Some(vigie_exchange::Config {
            credentials_folder: Some(folder.to_owned()),
            origins: origins.to_vec(),
            list_ms: 100,
            ..vigie_exchange::Config::default()
        });
    })
    .await
}

async fn digests(http: &Http, bank: &str) -> Vec<String> {
    let items = http.get(&format!("/v1/banks/{bank}/items?limit=100")).await.body(200);
    let items = items["items"].as_array().unwrap();
    let mut digests: Vec<String> =
        items.iter().map(|item| item["hashes"][0]["hash"].as_str().unwrap().to_owned()).collect();
    digests.sort();
    digests
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_with_the_right_to_hashes_follows_a_bank_and_nothing_else() {
    let sharing = cluster().await;
    let operator = turned_on(&Http::new(&sharing)).await;
    let (acme, acme_work) = team(&operator, "acme").await;
    let (_, umbra_work) = team(&operator, "umbra").await;
    for bank in ["list", "other"] {
        acme.post("/v1/banks", &json!({ "name": bank })).await.body(201);
    }
    let item = |byte: u8| json!({ "hashes": [{ "type": "md5", "hash": md5(byte) }], "labels": ["l"] });
    let mut of_programme = item(3);
    of_programme["origin"] = json!({ "programme": "ncmec", "key": "3" });
    let items = json!({ "items": [item(1), item(2), of_programme] });
    let ids = acme_work.post("/v1/banks/list/items", &items).await.body(201)["item_ids"].clone();
    acme_work.post("/v1/banks/other/items", &json!({ "items": [item(9)] })).await.body(201);

    // A member that may match but not see hashes cannot follow.
    let grant = |capabilities: Value| json!({ "capabilities": capabilities });
    acme.put("/v1/banks/list/grants/umbra", &grant(json!(["match", "see-details"]))).await.body(200);
    umbra_work.get("/v1/banks/acme%2Flist/list").await.problem(403, "PERMISSION_DENIED");
    acme.put("/v1/banks/list/grants/umbra", &grant(json!(["see-hashes"]))).await.body(200);
    let page = umbra_work.get("/v1/banks/acme%2Flist/list").await.body(200);
    assert_eq!((&page["head"], &page["items"], &page["has_more"]), (&json!(2), &json!(2), &json!(false)));
    umbra_work.get("/v1/banks/acme%2Fother/list").await.problem(404, "NOT_FOUND");
    let other = format!("/v1/banks/acme%2Flist/list?after=1&chain={}", "0".repeat(64));
    umbra_work.get(&other).await.problem(410, "OUT_OF_RANGE");

    let folder = tempfile::tempdir().unwrap();
    let url = sharing.http_url().unwrap();
    let umbra = json!({ "roles": ["contributor"], "note": "federation", "member": "umbra" });
    let (administrator, _) =
        principal(&operator, json!({ "member": "umbra", "roles": ["administrator"] })).await;
    let made = administrator.post("/v1/principals", &umbra).await.body(201);
    let key = made["api_key"].as_str().unwrap();
    std::fs::write(folder.path().join("vigie"), format!("key={key}\n")).unwrap();

    let followed = following(folder.path(), std::slice::from_ref(&url)).await;
    let http = Http::new(&followed);
    for bank in ["from-acme", "nothing"] {
        http.post("/v1/banks", &json!({ "name": bank })).await.body(201);
    }
    let exchanges = Exchanges::of(&followed);
    exchanges.add("acme", "from-acme", &json!({ "base_url": url, "bank": "acme/list" })).await;
    exchanges.add("hidden", "nothing", &json!({ "base_url": url, "bank": "acme/other" })).await;
    assert_eq!(exchanges.fetch("acme").await, "");
    assert_eq!(digests(&http, "from-acme").await, [md5(1), md5(2)]);
    let alarm = exchanges.fetch("hidden").await;
    assert!(alarm.contains("status 404"), "{alarm}");
    assert!(digests(&http, "nothing").await.is_empty());

    // Changes in the followed bank are applied here, and removed items are no longer found.
    acme_work.delete(&format!("/v1/items/{}", ids[0])).await.body(200);
    acme_work.post("/v1/banks/list/items", &json!({ "items": [item(4)] })).await.body(201);
    assert_eq!(exchanges.fetch("acme").await, "");
    assert_eq!(digests(&http, "from-acme").await, [md5(2), md5(4)]);

    // Followed items are not published again.
    let back = http.get("/v1/banks/from-acme/list").await.body(200);
    assert_eq!((&back["head"], &back["items"]), (&json!(0), &json!(0)));
    // Without the grant the exchange stops, and keeps the items that it has.
    acme.delete("/v1/banks/list/grants/umbra").await.body(200);
    let alarm = exchanges.fetch("acme").await;
    assert!(alarm.contains("status 404"), "{alarm}");
    assert_eq!(digests(&http, "from-acme").await, [md5(2), md5(4)]);
    followed.stop().await.unwrap();
    sharing.stop().await.unwrap();
}
