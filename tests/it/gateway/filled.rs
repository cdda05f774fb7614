//! A consortium with content on every console page: two members and their host, banks, opinions, cases, a
//! policy, and a failing exchange.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use vigie_clients::{Bearer, Deadline, ExchangeClient, IdempotencyKey, Network, NewExchange};
use vigie_consortium::ExchangeConfig;
use vigie_harness::in_process::Cluster;

use super::client::{Http, cluster_with};

/// The time limit for the gateway to follow the directory, and for the exchange process to end a round.
const WITHIN: Duration = Duration::from_secs(30);
/// A day in milliseconds.
const DAY_MS: u64 = 24 * 3_600_000;

/// Text that changes `window.ran` if a page does not escape it. Short, because some texts have at most 64
/// bytes.
pub(crate) const HOSTILE: &str = "\"'><img src=x onerror=window.ran=1><b>";
/// The same for longer texts.
const LONG: &str = "<script>window.ran=2</script> javascript:window.ran=3";

/// A principal with a key.
#[derive(Debug, Clone)]
pub(crate) struct Person {
    /// The client with the key.
    pub(crate) http: Http,
    /// The key.
    pub(crate) key: String,
}

/// The cluster and its principals.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) cluster: Cluster,
    /// The operator of the deployment.
    pub(crate) operator: Person,
    /// A principal of the host with every role except operator.
    pub(crate) host: Person,
    /// A principal of `acme` with every role of a member.
    pub(crate) everything: Person,
    /// Principals of `acme` with one role each.
    pub(crate) of_member: Vec<(&'static str, Person)>,
    /// Principals of the host with one role each.
    pub(crate) of_host: Vec<(&'static str, Person)>,
    /// A principal of `umbra` with every role of a member.
    pub(crate) umbra: Person,
    /// The items of `acme/known`, in the order of their digests.
    pub(crate) items: Vec<u64>,
}

/// The roles that a member's principal can have.
pub(crate) const ROLES: [&str; 5] = ["matcher", "contributor", "reviewer", "administrator", "auditor"];

/// The MD5 digest of an item: number 0 is the first item of `acme/known`.
pub(crate) fn md5(number: usize) -> String {
    format!("{number:032x}")
}

/// The PDQ hash of an item, distant from those of all others.
fn pdq(number: usize) -> String {
    // SplitMix64 (Steele, Lea and Flood, 2014).
    let mut state = number as u64;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        format!("{:016x}", mixed ^ (mixed >> 31))
    };
    (0..4).map(|_| next()).collect()
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    u64::try_from(now.as_millis()).unwrap()
}

/// A principal with the key from an answer, once the gateway knows the key.
async fn person(nobody: &Http, made: &Value) -> Person {
    let key = made["api_key"].as_str().unwrap_or_else(|| panic!("no key: {made}")).to_owned();
    let http = nobody.with_key(&key);
    let begun = Instant::now();
    while http.get("/v1/whoami").await.status != 200 {
        assert!(begun.elapsed() < WITHIN, "a new key is not known");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Person { http, key }
}

/// Creates a principal.
async fn principal(by: &Person, asked: Value) -> Person {
    let made = by.http.post("/v1/principals", &asked).await.body(201);
    person(&by.http, &made).await
}

impl Filled {
    /// Creates a consortium without hostile text.
    pub(crate) async fn plain() -> Self {
        Self::with("", 30).await
    }

    /// Creates a consortium with this number of items. Every free text ends in `word`.
    pub(crate) async fn with(word: &str, items: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let credentials_folder = Some(folder.path().to_owned());
        let edit = |config: &mut vigie::local_cluster::LocalClusterConfig| {
            let origins = vec!["http://127.0.0.1:9".to_owned()];
            config.exchange = Some(vigie_exchange::Config {
                credentials_folder,
                origins,
                list_ms: 100,
                ..vigie_exchange::Config::default()
            });
        };
        let cluster = cluster_with(edit).await;
        let nobody = Http::new(&cluster);
        let first = json!({ "roles": ["operator", "auditor"], "turn_on": true, "note": "operator" });
        let operator = person(&nobody, &nobody.post("/v1/principals", &first).await.body(201)).await;
        let say = |text: &str| if word.is_empty() { text.to_owned() } else { format!("{text} {word}") };

        let keeper =
            principal(&operator, json!({ "roles": ["administrator"], "note": "host's keeper" })).await;
        let host = principal(&keeper, json!({ "roles": ROLES, "note": say("host") })).await;
        let alone = json!({ "roles": ["operator"], "note": "operator alone" });
        let mut of_host = vec![("operator", principal(&operator, alone).await)];
        for role in ROLES {
            let note = say(&format!("host's {role}"));
            of_host.push((role, principal(&keeper, json!({ "roles": [role], "note": note })).await));
        }
        let mut keepers = Vec::new();
        for member in ["acme", "umbra"] {
            operator.http.post("/v1/members", &json!({ "name": member })).await.body(201);
            let words = json!({ "display_name": say(member), "jurisdictions": ["FR"], "is_named": true });
            operator.http.patch(&format!("/v1/members/{member}"), &words).await.body(200);
            let asked = json!({ "member": member, "roles": ["administrator"], "note": "keeper" });
            keepers.push(principal(&operator, asked).await);
        }
        let everything = principal(&keepers[0], json!({ "roles": ROLES, "note": say("everything") })).await;
        let mut of_member = Vec::new();
        for role in ROLES {
            let asked = json!({ "roles": [role], "note": say(role) });
            of_member.push((role, principal(&keepers[0], asked).await));
        }
        let umbra = principal(&keepers[1], json!({ "roles": ROLES, "note": say("umbra's") })).await;

        let items_of = Vec::new();
        let mut filled =
            Self { cluster, operator, host, everything, of_member, of_host, umbra, items: items_of };
        filled.fill_banks(&say, items).await;
        filled.say_opinions().await;
        filled.open_cases(&say).await;
        filled.decide(&say).await;
        filled.follow_what_fails().await;
        filled
    }

    /// Pages of items that concern a person of `acme`: a held one, a removed one, and one with an opinion.
    pub(crate) fn special_pages(&self) -> [String; 3] {
        let item = |at: usize| format!("/console/items/{}", self.items[at]);
        [item(1), format!("{}?bank=known", item(2)), item(5)]
    }

    /// Creates banks of both members, shared with each other, with held and removed items.
    async fn fill_banks(&mut self, say: &impl Fn(&str) -> String, items: usize) {
        let (acme, umbra) = (&self.everything, &self.umbra);
        for (by, bank) in [(acme, "known"), (acme, "shadow"), (umbra, "theirs"), (&self.host, "common")] {
            by.http.post("/v1/banks", &json!({ "name": bank })).await.body(201);
        }
        let mut charter = acme.http.get("/v1/banks/known/charter").await.body(200)["charter"].clone();
        charter["dispute_days"] = json!(3);
        charter["match_record_days"] = json!(30);
        acme.http.put("/v1/banks/known/charter", &charter).await.body(200);
        let all = json!({ "capabilities": ["match", "see-hashes", "see-details", "opine", "contribute"] });
        for (by, path) in [
            (acme, "/v1/banks/known/grants/umbra"),
            (acme, "/v1/banks/known/grants/local"),
            (umbra, "/v1/banks/theirs/grants/acme"),
        ] {
            by.http.put(path, &all).await.body(200);
        }
        let is_plain = say("").is_empty();
        let long = |text: &str| if is_plain { text.to_owned() } else { say(&format!("{text} {LONG}")) };
        let item = |number: usize| {
            json!({
                "hashes": [{ "type": "md5", "hash": md5(number) }, { "type": "pdq", "hash": pdq(number) }],
                "labels": [long("label"), "terror"], "external_reference": long(&format!("case-{number}")),
                "details": {
                    "classification": [{ "taxonomy": "iwf", "dimension": "category", "value": "A" }],
                    "note": long("a note"), "metadata": json!({ "word": say("x") }).to_string(),
                },
            })
        };
        let numbers: Vec<usize> = (0..items).collect();
        for batch in numbers.chunks(1_000) {
            let batch: Vec<Value> = batch.iter().map(|number| item(*number)).collect();
            let added = acme.http.post("/v1/banks/known/items", &json!({ "items": batch })).await.body(201);
            let ids = added["item_ids"].as_array().unwrap();
            self.items.extend(ids.iter().map(|id| id.as_u64().unwrap()));
        }
        let of_others = json!({ "items": [item(9_000_001), item(9_000_002)] });
        umbra.http.post("/v1/banks/theirs/items", &of_others).await.body(201);
        self.host.http.post("/v1/banks/common/items", &json!({ "items": [item(9_000_003)] })).await.body(201);
        let held = format!("/v1/items/{}/hold", self.items[1]);
        acme.http.post(&held, &json!({})).await.body(200);
        acme.http.delete(&format!("/v1/items/{}", self.items[2])).await.body(200);
    }

    /// Adds opinions of both members, and disputes.
    async fn say_opinions(&self) {
        let opinion = |at: usize| format!("/v1/items/{}/opinion", self.items[at]);
        let negative = json!({ "kind": "negative", "reason": "poor-hash", "dispute": true });
        for at in [3, 4] {
            self.umbra.http.put(&opinion(at), &negative).await.body(200);
        }
        self.everything.http.put(&opinion(5), &json!({ "kind": "positive" })).await.body(200);
        let kept = json!({ "resolution": "kept" });
        let resolution = format!("/v1/disputes/{}/resolution", self.items[4]);
        self.everything.http.post(&resolution, &kept).await.body(200);
        let here = format!("/v1/items/{}/hold/here", self.items[6]);
        self.everything.http.put(&here, &json!({})).await.body(200);
    }

    /// Opens reports, a referral, a removal order and incidents.
    async fn open_cases(&self, say: &impl Fn(&str) -> String) {
        let report = json!({
            "bank": "known", "item_id": self.items[0], "classification": ["iwf/category=A"], "hash_type": "md5", "distance": 0,
            "verdict": "block", "person_looked": true, "urgent": true, "legal_basis": say("own initiative"), "note": say("a note"),
        });
        let first = self.everything.http.post("/v1/reports", &report).await.body(201);
        let mut second = report;
        second["urgent"] = json!(false);
        self.everything.http.post("/v1/reports", &second).await.body(201);
        let review = json!({ "outcome": "founded", "reason": say("it is") });
        self.host.http.post(&format!("/v1/reports/{}/review", first["report"]), &review).await.body(200);
        let order = json!({
            "body": say("an authority"), "url": "https://example.test/page", "legal_basis": say("2021/784"), "priority": "urgent",
            "members": ["acme", "umbra"],
            "removal_order": { "reference": say("FR-7"), "received_at_unix_ms": now() - DAY_MS, "issuing_state": "FR" },
        });
        self.host.http.post("/v1/referrals", &order).await.body(201);
        let hash = json!({ "hash_type": "md5", "hash": md5(0) });
        self.host.http.post("/v1/referrals", &json!({ "body": say("IRU"), "hash": hash })).await.body(201);
        let every = json!({ "every_type": true });
        self.everything.http.put("/v1/incident-subscription", &every).await.body(200);
        let incident = json!({ "type": "crisis-protocol", "title": say("an attack"), "reason": say("now") });
        self.host.http.post("/v1/incidents", &incident).await.body(201);
        let over = json!({ "type": "other", "title": say("over"), "reason": say("now") });
        let over = self.host.http.post("/v1/incidents", &over).await.body(201)["incident"].clone();
        let closed = json!({ "reason": say("over"), "keep_days": 7 });
        self.host.http.post(&format!("/v1/incidents/{over}/close"), &closed).await.body(200);
    }

    /// Sets a policy with a trial, and makes matches that wait for a person.
    async fn decide(&self, say: &impl Fn(&str) -> String) {
        let acme = &self.everything.http;
        let rule = |name: &str, verdict: &str| json!({ "name": name, "when": "matches.size() > 0", "verdict": verdict });
        acme.put("/v1/policy", &json!({ "rule": [rule("near", "REVIEW")] })).await.body(200);
        acme.put("/v1/policy?trial=true", &json!({ "rule": [rule("all", "BLOCK")] })).await.body(200);
        let query = json!({ "hashes": [{ "type": "md5", "hash": md5(0) }] });
        let asked =
            json!({ "queries": [query], "surface": say("avatar").chars().take(32).collect::<String>() });
        let begun = Instant::now();
        loop {
            let answer = acme.post("/v1/match", &asked).await;
            if answer.body["results"][0]["decision"]["verdict"] == "REVIEW" {
                break;
            }
            assert!(begun.elapsed() < WITHIN, "nothing is to be reviewed: {}", answer.body);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        while acme.get("/v1/decisions").await.body["decisions"][0].is_null() {
            assert!(begun.elapsed() < WITHIN, "no decision is recorded");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Adds an exchange of `acme` that has no credentials for its programme.
    async fn follow_what_fails(&self) {
        let bearer = Bearer::new(&self.everything.key, "key").unwrap();
        let exchanges = ExchangeClient::among(&[self.cluster.bank_url()], &Network::tcp()).unwrap();
        let exchanges = exchanges.bearing(Some(bearer));
        let config =
            ExchangeConfig::new(&json!({ "base_url": "http://127.0.0.1:9/v1" }).to_string()).unwrap();
        let name = || "stop".parse().unwrap();
        let new =
            NewExchange { name: name(), api: "stop_ncii".parse().unwrap(), config, interval_seconds: 3_600 };
        let bank: vigie_model::BankRef = "shadow".parse().unwrap();
        let soon = || Deadline::now() + Duration::from_secs(10);
        exchanges.add_exchange(&new, &bank, IdempotencyKey::random(), soon()).await.unwrap();
        let asked = exchanges.fetch_exchange_now(&name(), IdempotencyKey::random(), soon()).await.unwrap();
        let begun = Instant::now();
        loop {
            let status = exchanges.get_exchange(&name(), soon()).await.unwrap().exchange.status;
            if status.answered_rounds >= asked.value.exchange.requested_rounds {
                assert!(!status.alarm.to_string().is_empty(), "an exchange without credentials has fetched");
                return;
            }
            assert!(begun.elapsed() < WITHIN, "no round has ended");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Adds members, each with a principal, and cases of every kind that waits for a person, for lists of
    /// several pages.
    pub(crate) async fn crowd(&self, members: usize, cases: usize) {
        for number in 0..members {
            let name = format!("member-{number}");
            self.operator.http.post("/v1/members", &json!({ "name": name })).await.body(201);
            let asked = json!({ "member": name, "roles": ["administrator"], "note": "keeper" });
            self.operator.http.post("/v1/principals", &asked).await.body(201);
            // A member has at most 100 principals.
            if number < 80 {
                let asked = json!({ "roles": ["reviewer"], "note": format!("reviewer {number}") });
                self.everything.http.post("/v1/principals", &asked).await.body(201);
            }
        }
        let negative = json!({ "kind": "negative", "reason": "other", "dispute": true });
        let order =
            json!({ "body": "an authority", "url": "https://example.test/page", "members": ["acme"] });
        let query = json!({ "hashes": [{ "type": "md5", "hash": md5(0) }] });
        for item in self.items.iter().skip(10).take(cases) {
            self.umbra.http.put(&format!("/v1/items/{item}/opinion"), &negative).await.body(200);
            let report = json!({ "bank": "known", "item_id": item });
            self.everything.http.post("/v1/reports", &report).await.body(201);
            self.host.http.post("/v1/referrals", &order).await.body(201);
            self.everything.http.post("/v1/match", &json!({ "queries": [query] })).await.body(200);
            let held = format!("/v1/items/{item}/hold/here");
            self.everything.http.put(&held, &json!({})).await.body(200);
        }
    }
}
