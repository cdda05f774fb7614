//! Tests of exchanges: their settings, their lease, and pages of a randomly changing source, with a store
//! that fails between any two writes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use tonic::Code;
use vigie_proto::pb::bank::v1::exchange_service_client::ExchangeServiceClient;

use super::*;
use crate::store::memory::{CommitFate, Disk, MemoryStore};
use crate::tests::beside::statistics::own;

on_both_stores! {
    an_exchange_is_added_paused_fetched_and_removed,
    the_bank_has_what_the_sources_have_whatever_they_send,
    an_item_goes_with_the_last_of_many_records_that_have_it,
    a_page_is_applied_once_and_only_after_its_cursor,
    keys_are_listed_page_by_page,
    a_record_whose_item_was_brought_back_is_withdrawn,
    what_a_page_adds_is_counted_once,
}

impl Served {
    fn exchanges(&self) -> ExchangeServiceClient<Channel> {
        ExchangeServiceClient::new(self.channel.clone())
    }

    pub(super) async fn add_exchange(&self, name: &str, bank: &str) -> pb::Exchange {
        let request = pb::AddExchangeRequest {
            name: name.into(),
            api: "ncmec".into(),
            bank: bank.into(),
            ..Default::default()
        };
        self.exchanges().add_exchange(request).await.unwrap().into_inner().exchange.unwrap()
    }

    async fn lease(&self) -> u64 {
        let request = pb::AcquireExchangeLeaseRequest { holder: "test".into(), ttl_ms: 600_000 };
        self.exchanges().acquire_exchange_lease(request).await.unwrap().into_inner().token
    }

    pub(super) async fn apply(
        &self,
        exchange: &pb::Exchange,
        (expected, new): (&str, &str),
        puts: Vec<pb::ExchangeRecordPut>,
        withdrawn: &[&str],
    ) -> Result<pb::ApplyExchangePageResponse, Status> {
        let request = pb::ApplyExchangePageRequest {
            exchange_id: exchange.id,
            lease_token: self.lease().await,
            expected_cursor: expected.into(),
            new_cursor: new.into(),
            puts,
            withdrawn_keys: withdrawn.iter().map(|key| (*key).to_owned()).collect(),
            fetched_items: 1,
            ..Default::default()
        };
        Ok(self.exchanges().apply_exchange_page(request).await?.into_inner())
    }

    async fn exchange(&self, name: &str) -> Result<pb::Exchange, Status> {
        let request = pb::GetExchangeRequest { name: name.into() };
        Ok(self.exchanges().get_exchange(request).await?.into_inner().exchange.unwrap())
    }
}

pub(super) fn put(key: &str, number: u64) -> pb::ExchangeRecordPut {
    let foreign_json = format!("{{\"key\": {number}}}");
    pb::ExchangeRecordPut {
        key: key.into(),
        content: Some(item(number)),
        foreign_json,
        foreign_opinion: None,
    }
}

async fn keys_are_listed_page_by_page(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let (exchange, other) = (served.add_exchange("one", "a").await, served.add_exchange("two", "a").await);
    let keys: Vec<String> = (0..7).map(|number| format!("key-{number}")).collect();
    let puts = (0_u64..).zip(&keys).map(|(number, key)| put(key, number)).collect();
    served.apply(&exchange, ("", "1"), puts, &[]).await.unwrap();
    served.apply(&other, ("", "1"), vec![put("of another", 1)], &[]).await.unwrap();
    served.apply(&exchange, ("1", "2"), vec![], &["key-3"]).await.unwrap();
    let list_with = async |exchange_id, after, page_size, with_foreign| {
        let request = pb::ListExchangeRecordsRequest { exchange_id, after, page_size, with_foreign };
        served.exchanges().list_exchange_records(request).await.map(tonic::Response::into_inner)
    };
    let list = async |exchange_id, after, page_size| list_with(exchange_id, after, page_size, false).await;
    let mut found = Vec::new();
    let mut after = Vec::new();
    loop {
        let page = list(exchange.id, after, 2).await.unwrap();
        assert!(page.keys.len() <= 2);
        found.extend(page.keys);
        after = page.next_after;
        if after.is_empty() {
            break;
        }
    }
    found.sort();
    let expected: Vec<String> = keys.into_iter().filter(|key| key != "key-3").collect();
    assert_eq!(found, expected);
    // A page with the programmes' opinions has at most 3 MiB: 1,000 records of 4 KiB take two pages.
    let long = format!("{{\"x\": \"{}\"}}", "y".repeat(4_000));
    let many = (0..1_000).map(|number| pb::ExchangeRecordPut {
        foreign_json: long.clone(),
        ..put(&format!("many-{number}"), number)
    });
    served.apply(&other, ("1", "2"), many.collect(), &[]).await.unwrap();
    let page = list_with(other.id, vec![], 1_000, true).await.unwrap();
    assert!(page.keys.len() == page.foreign_json.len() && page.keys.len() > 700 && page.keys.len() < 800);
    let rest = list_with(other.id, page.next_after, 1_000, true).await.unwrap();
    assert!(page.keys.len() + rest.keys.len() == 1_001 && rest.next_after.is_empty());
    assert_eq!(rest.foreign_json.iter().chain(&page.foreign_json).filter(|one| **one == long).count(), 1_000);
    refused(list(exchange.id, vec![1], 2).await, Code::InvalidArgument, "after");
    refused(list(999, vec![], 2).await, Code::NotFound, "999");
    served.stop().await;
}

async fn an_exchange_is_added_paused_fetched_and_removed(bed: Bed) {
    let config = bed.config();
    let served = Served::start(config.clone()).await;
    served.create_bank("a").await.unwrap();
    let mut client = served.exchanges();
    let add = |name: &str, bank: &str, config_json: &str| pb::AddExchangeRequest {
        name: name.into(),
        api: "ncmec".into(),
        bank: bank.into(),
        config_json: config_json.into(),
        interval_seconds: 600,
        ..Default::default()
    };
    refused(client.add_exchange(add("x", "b", "")).await, Code::NotFound, "b");
    refused(client.add_exchange(add("-", "a", "")).await, Code::InvalidArgument, "name");
    let secret = add("x", "a", r#"{"api_token": "hush"}"#);
    let status = refused(client.add_exchange(secret).await, Code::InvalidArgument, "config_json");
    assert!(!status.message().contains("hush"));
    let added = client.add_exchange(add("_X", "a", r#"{"environment": "e"}"#)).await.unwrap().into_inner();
    let exchange = added.exchange.unwrap();
    assert_eq!((exchange.id, exchange.bank.as_str(), exchange.enabled), (2, "a", true));
    refused(client.add_exchange(add("_X", "a", "")).await, Code::AlreadyExists, "_X");

    let pause = pb::SetExchangeEnabledRequest { name: "_X".into(), ..Default::default() };
    assert!(
        !client.set_exchange_enabled(pause.clone()).await.unwrap().into_inner().exchange.unwrap().enabled
    );
    let fetch = pb::FetchExchangeNowRequest { name: "_X".into(), ..Default::default() };
    refused(client.fetch_exchange_now(fetch.clone()).await, Code::FailedPrecondition, "paused");
    refused(
        served.apply(&exchange, ("", "1"), vec![put("k", 1)], &[]).await,
        Code::FailedPrecondition,
        "paused",
    );
    let go_on = pb::SetExchangeEnabledRequest { enabled: true, ..pause };
    client.set_exchange_enabled(go_on).await.unwrap();
    let fetched = client.fetch_exchange_now(fetch).await.unwrap().into_inner().exchange.unwrap();
    assert_eq!(fetched.requested_rounds, 1);

    // Without the lease the call is refused.
    let report = |lease_token| pb::ReportExchangeRequest {
        exchange_id: exchange.id,
        lease_token,
        status: Some(pb::ExchangeStatus {
            succeeded: Some(true),
            answered_rounds: 1,
            alarm: "look".into(),
            ..Default::default()
        }),
    };
    refused(client.report_exchange(report(9)).await, Code::FailedPrecondition, "lease_token");
    client.report_exchange(report(served.lease().await)).await.unwrap();
    let other = pb::AcquireExchangeLeaseRequest { holder: "other".into(), ttl_ms: 1_000 };
    let other = client.acquire_exchange_lease(other).await.unwrap().into_inner();
    assert_eq!((other.token, other.holder.as_str()), (0, "test"));
    served.apply(&exchange, ("", "1"), vec![put("k", 1)], &[]).await.unwrap();
    served.stop().await;

    // Everything is kept across a restart; the exchange's items stay when the exchange is removed.
    let served = Served::start(config).await;
    let found = served.exchange("_X").await.unwrap();
    let status = found.status.clone().unwrap();
    assert_eq!((found.cursor.as_slice(), found.requested_rounds, status.answered_rounds), (&b"1"[..], 1, 1));
    assert_eq!((status.fetched_items, status.alarm.as_str()), (1, "look"));
    let list = pb::ListExchangesRequest { after_id: 0, page_size: 1 };
    let listed = served.exchanges().list_exchanges(list).await.unwrap().into_inner();
    assert_eq!((listed.exchanges, listed.has_more), (vec![found.clone()], false));
    let remove = pb::RemoveExchangeRequest { name: "_X".into(), ..Default::default() };
    served.exchanges().remove_exchange(remove).await.unwrap();
    refused(served.exchange("_X").await, Code::NotFound, "_X");
    refused(served.apply(&found, ("1", "2"), vec![], &[]).await, Code::NotFound, "2");
    assert_eq!(served.list_items("a").await.unwrap().len(), 1);
    for _ in 0..1_000 {
        if bed.rows("SELECT CAST(count(*) AS TEXT) FROM exchange_records").await == ["0"] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(bed.rows("SELECT CAST(count(*) AS TEXT) FROM exchange_records").await, ["0"]);
    // An exchange is removed with its bank.
    served.add_exchange("Y", "a").await;
    served.delete_bank("a").await.unwrap();
    refused(served.exchange("Y").await, Code::NotFound, "Y");
    served.stop().await;
}

/// The opinion of a programme's members on a record: none, one of the three kinds, or disagreement.
type Voice = Option<i32>;

/// A simulated source of a programme: keys with their content and opinions.
#[derive(Debug, Default)]
struct Source {
    live: BTreeMap<String, (u64, Voice)>,
    cursor: u32,
}

impl Source {
    /// Changes the source at random; returns the page that describes the changes.
    fn page(&mut self, random: &mut StdRng) -> (Vec<pb::ExchangeRecordPut>, Vec<String>) {
        let (mut puts, mut withdrawn) = (Vec::new(), Vec::new());
        for _ in 0..random.random_range(0..8) {
            // Few keys and little content, so that records share items, move and overflow.
            let key = format!("k{}", random.random_range(0..25));
            if random.random_bool(0.4) {
                self.live.remove(&key);
                // Withdrawals are applied first: a key that is put in the same page exists afterwards.
                puts.retain(|put: &pb::ExchangeRecordPut| put.key != key);
                withdrawn.push(key);
            } else {
                let content = *[1, 1, 1, 2, 3, 4].choose(random).unwrap();
                let voice = *[None, None, Some(0), Some(1), Some(2), Some(3)].choose(random).unwrap();
                self.live.insert(key.clone(), (content, voice));
                puts.push(pb::ExchangeRecordPut { foreign_opinion: voice.map(said), ..put(&key, content) });
            }
        }
        self.cursor += 1;
        (puts, withdrawn)
    }
}

/// Returns an opinion of a programme's members, with a value of its kind.
fn said(kind: i32) -> pb::ForeignOpinion {
    pb::ForeignOpinion { kind, reason: if kind == 2 { 7 } else { 0 }, foreign_value: format!("word {kind}") }
}

/// Compares the stored opinions of programmes with those of the sources, and the owner's opinion with both.
async fn check_voices(served: &Served, sources: &[(pb::Exchange, Source)]) {
    for item in served.list_items("a").await.unwrap() {
        let found = served.item(item.id).await.unwrap().item.unwrap();
        let mut kinds = BTreeSet::new();
        for submission in &found.submissions {
            let origin = submission.origin.clone().unwrap();
            let (_, source) = sources.iter().find(|(one, _)| one.name == origin.programme).unwrap();
            let (_, voice) = source.live[&origin.key];
            assert_eq!(submission.foreign_opinion, voice.map(said), "{}", origin.key);
            kinds.extend(voice);
        }
        let expected = match &kinds {
            // Both wrong and right give no opinion.
            kinds if kinds.contains(&0) || kinds.contains(&1) && kinds.contains(&2) => 0,
            kinds => [1, 2, 3].into_iter().find(|kind| kinds.contains(kind)).unwrap_or(0),
        };
        let facts = found.facts.unwrap_or_default();
        assert_eq!(facts.mine, expected, "{kinds:?}");
        let counts = [facts.positives, facts.negatives, facts.seen];
        assert_eq!(counts, [1, 2, 3].map(|kind| u32::from(kind == expected)), "{kinds:?}");
    }
}

/// Returns the content that a bank has, by its external reference.
async fn contents(served: &Served) -> BTreeSet<String> {
    let items = served.list_items("a").await.unwrap();
    let count = items.len();
    let references: BTreeSet<String> =
        items.into_iter().map(|item| item.content.unwrap().external_reference).collect();
    assert_eq!(references.len(), count, "some content is there twice");
    references
}

/// Applies pages of two sources until each is committed, despite failing calls.
async fn follow_sources(served: &Served, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    served_anew(async || served.create_bank("a").await).await;
    let mut sources = Vec::new();
    for name in ["X", "Y"] {
        let mut client = served.exchanges();
        let exchange = loop {
            let request = pb::AddExchangeRequest {
                name: name.into(),
                api: "ncmec".into(),
                bank: "a".into(),
                ..Default::default()
            };
            drop(client.add_exchange(request).await);
            if let Ok(exchange) = served.exchange(name).await {
                break exchange;
            }
        };
        sources.push((exchange, Source::default()));
    }
    for _ in 0..40 {
        let at = random.random_range(0..2);
        let (exchange, source) = &mut sources[at];
        let before = source.cursor;
        let (puts, withdrawn) = source.page(&mut random);
        let withdrawn: Vec<&str> = withdrawn.iter().map(String::as_str).collect();
        let cursors = (before.to_string(), source.cursor.to_string());
        let expected = if before == 0 { "" } else { &cursors.0 };
        // The exchange process too repeats a page until it is answered.
        for attempt in 0.. {
            match served.apply(exchange, (expected, &cursors.1), puts.clone(), &withdrawn).await {
                Ok(_) => break,
                Err(status) => assert!(
                    matches!(status.code(), Code::Unavailable | Code::Aborted) && attempt < 200,
                    "{status:?}"
                ),
            }
        }
        let live = sources.iter().flat_map(|(_, source)| source.live.values());
        let live: BTreeSet<String> = live.map(|(content, _)| format!("case-{content}")).collect();
        assert_eq!(contents(served).await, live, "seed {seed}");
        check_voices(served, &sources).await;
    }
}

/// Repeats a call until the bank has done it.
async fn served_anew<T, F: Future<Output = Result<T, Status>>>(call: impl Fn() -> F) {
    for _ in 0..200 {
        match call().await {
            Ok(_) => return,
            Err(status) if status.code() == Code::AlreadyExists => return,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status:?}"),
        }
    }
    panic!("the bank does not do it");
}

async fn the_bank_has_what_the_sources_have_whatever_they_send(bed: Bed) {
    for seed in 0..3 {
        let bed = bed.another();
        let served = Served::start(bed.config()).await;
        follow_sources(&served, seed).await;
        served.stop().await;
    }
}

/// Commits are refused, lost, or done without an answer, repeatedly.
#[tokio::test]
async fn the_bank_has_what_the_sources_have_whatever_becomes_of_commits() {
    for seed in 0..8 {
        let (_folder, config) = on_file();
        let mut random = StdRng::seed_from_u64(seed);
        let fates = Box::new(move || match random.random_range(0..8) {
            0 | 1 => CommitFate::Refused,
            2 => CommitFate::DoneUnseen,
            3 => CommitFate::NotDoneUnseen,
            _ => CommitFate::Done(Duration::ZERO),
        });
        let store = MemoryStore::open(Disk::new([1; 16], fates));
        let served = Served::start_on(config, Arc::new(store)).await;
        follow_sources(&served, 100 + seed).await;
        served.stop().await;
    }
}

/// An item keeps 8 submissions of a member; records beyond that are still stored.
async fn an_item_goes_with_the_last_of_many_records_that_have_it(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let exchange = served.add_exchange("X", "a").await;
    let keys: Vec<String> = (0..30).map(|number| format!("k{number}")).collect();
    let puts = keys.iter().map(|key| put(key, 1)).collect();
    let added = served.apply(&exchange, ("", "0"), puts, &[]).await.unwrap();
    assert_eq!((added.added_count, added.removed_count), (1, 0));
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(served.list_items("a").await.unwrap().len(), 1, "before {key} is withdrawn");
        let cursors = (number.to_string(), (number + 1).to_string());
        served.apply(&exchange, (&cursors.0, &cursors.1), vec![], &[key]).await.unwrap();
    }
    assert!(served.list_items("a").await.unwrap().is_empty());
    served.stop().await;
}

async fn a_page_is_applied_once_and_only_after_its_cursor(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let exchange = served.add_exchange("X", "a").await;
    let first = served.apply(&exchange, ("", "1"), vec![put("k", 1)], &[]).await.unwrap();
    let head = served.head().await.sequence;
    let again = served.apply(&exchange, ("", "1"), vec![put("k", 1)], &[]).await.unwrap();
    assert!(!first.was_applied && again.was_applied);
    assert_eq!(served.head().await.sequence, head);
    refused(served.apply(&exchange, ("", "2"), vec![], &["k"]).await, Code::Aborted, "expected_cursor");
    refused(served.apply(&exchange, ("2", "3"), vec![], &["k"]).await, Code::Aborted, "expected_cursor");
    // The record moves to other content, and its former item is removed, because no other record has it. A
    // key is withdrawn before it is put.
    let moved = served.apply(&exchange, ("1", "2"), vec![put("k", 2)], &["k"]).await.unwrap();
    assert_eq!((moved.added_count, moved.removed_count), (1, 1));
    assert_eq!(contents(&served).await, BTreeSet::from(["case-2".to_owned()]));
    // Classes follow the source without a new item; a note does not belong to the source.
    let mut classed = put("k", 2);
    let class = pb_model::Class { taxonomy: "t".into(), dimension: "d".into(), value: "v".into() };
    let details = pb::ItemDetails { classification: vec![class], note: "new".into(), ..Default::default() };
    classed.content.as_mut().unwrap().details = Some(details.clone());
    let changed = served.apply(&exchange, ("2", "3"), vec![classed], &[]).await.unwrap();
    assert_eq!((changed.added_count, changed.removed_count), (0, 0));
    let items = served.list_items("a").await.unwrap();
    let content = items[0].content.clone().unwrap();
    let origin = content.origin.unwrap();
    let classes = pb::ItemDetails { note: String::new(), ..details.clone() };
    assert_eq!((content.details.unwrap(), origin.programme, origin.key), (classes, "X".into(), "k".into()));
    // A class that the source no longer has is removed; a note that a person wrote stays.
    let update = pb::UpdateItemRequest { item_id: items[0].id, details: Some(details), ..Default::default() };
    served.bank.clone().update_item(update).await.unwrap();
    served.apply(&exchange, ("3", "4"), vec![put("k", 2)], &[]).await.unwrap();
    let items = served.list_items("a").await.unwrap();
    let noted = pb::ItemDetails { note: "new".into(), ..Default::default() };
    assert_eq!(items[0].content.clone().unwrap().details.unwrap(), noted);
    served.stop().await;
}

async fn a_record_whose_item_was_brought_back_is_withdrawn(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let exchange = served.add_exchange("X", "a").await;
    served.apply(&exchange, ("", "1"), vec![put("k", 1)], &[]).await.unwrap();
    let id = served.list_items("a").await.unwrap()[0].id;
    served.remove(vec![id]).await.unwrap();
    let restore = pb::RestoreItemsRequest { item_ids: vec![id], ..Default::default() };
    let restored = served.bank.clone().restore_items(restore).await.unwrap().into_inner().item_ids;
    assert_ne!(restored, [id]);
    let page = served.apply(&exchange, ("1", "2"), vec![], &["k"]).await.unwrap();
    assert_eq!(page.removed_count, 1);
    assert!(served.list_items("a").await.unwrap().is_empty());
    served.stop().await;
}

async fn what_a_page_adds_is_counted_once(bed: Bed) {
    let served = Served::start(bed.config()).await;
    served.create_bank("a").await.unwrap();
    let exchange = served.add_exchange("X", "a").await;
    let figures = async || {
        let mut figures = Vec::new();
        for measure in ["items_added", "hashes_added", "items_removed"] {
            figures.push(own(&served, measure).await.unwrap_or(0));
        }
        figures
    };
    let hashes = items(1..4).iter().map(|item| item.hashes.len() as u64).sum::<u64>();
    // Two records of one content are one item.
    let puts = vec![put("k", 1), put("l", 2), put("m", 3), put("n", 3)];
    for _ in 0..2 {
        served.apply(&exchange, ("", "1"), puts.clone(), &[]).await.unwrap();
    }
    assert_eq!(figures().await, [3, hashes, 0]);
    served.apply(&exchange, ("1", "2"), puts, &["l"]).await.unwrap();
    assert_eq!(figures().await, [3, hashes, 0], "they are there");
    served.apply(&exchange, ("2", "3"), vec![], &["k"]).await.unwrap();
    assert_eq!(figures().await, [3, hashes, 1]);
    // A restored item is not counted as new.
    let id = served.list_items("a").await.unwrap()[0].id;
    served.remove(vec![id]).await.unwrap();
    let restore = pb::RestoreItemsRequest { item_ids: vec![id], ..Default::default() };
    served.bank.clone().restore_items(restore).await.unwrap();
    assert_eq!(figures().await, [3, hashes, 2]);
    served.apply(&exchange, ("3", "4"), vec![put("k", 9)], &[]).await.unwrap();
    assert_eq!(figures().await, [4, hashes + item(9).hashes.len() as u64, 2]);
    served.stop().await;
}
