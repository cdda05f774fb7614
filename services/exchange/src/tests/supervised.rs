//! Tests of exchanges that are followed round after round, under a lease.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use vigie_serving::Shutdown;
use vigie_telemetry::{Condition, Telemetry};

use super::memory::MemoryBank;
use super::model::{Change, Model};
use super::playing::{Played, clock};
use super::servers::Programme;
use crate::asking::request::Response;
use crate::bank::Report;
use crate::{Config, Vault, run_on};

/// A process that follows the exchanges of a bank.
struct Process {
    bank: MemoryBank,
    model: Arc<Mutex<Model>>,
    environment: Arc<Mutex<BTreeMap<String, String>>>,
    /// The number of requests so far, and the status that the programme answers with instead of pages.
    requests: Arc<Mutex<(u64, Option<u16>)>>,
    telemetry: Telemetry,
    shutdown: Shutdown,
    running: JoinHandle<()>,
}

fn start(bank: &MemoryBank) -> Process {
    let model = Arc::new(Mutex::new(Model::of(&[Change::Put(1), Change::Put(2)])));
    let clock = clock(&model);
    let requests = Arc::new(Mutex::new((0, None)));
    let counted = Arc::clone(&requests);
    let fetch = Played::new(Programme::StopNcii, &model, move |_, answer| {
        let mut counted = counted.lock().unwrap();
        counted.0 += 1;
        Ok(counted.1.map_or(answer, Response::of_status))
    });
    let keys = [("FETCH_KEY", "fetch_key"), ("SUBSCRIPTION_KEY", "subscription_key")];
    let keys = keys.map(|(name, value)| (format!("VIGIE_EXCHANGE_STOP_NCII_{name}"), value.to_owned()));
    let environment = Arc::new(Mutex::new(BTreeMap::from(keys)));
    let variables = Arc::clone(&environment);
    let vault = Vault::new(None, move |name| variables.lock().unwrap().get(name).cloned());
    let config = Config { retries_max: 0, ..Config::default() };
    let (telemetry, shutdown) = (Telemetry::default(), Shutdown::new());
    let (of_bank, own_telemetry, stop) = (bank.clone(), telemetry.clone(), shutdown.clone());
    let running = tokio::spawn(async move {
        run_on(&config, of_bank, fetch, vault, clock, stop, &own_telemetry).await.unwrap();
    });
    Process { bank: bank.clone(), model, environment, requests, telemetry, shutdown, running }
}

impl Process {
    /// Waits for a report that fits, and returns it.
    async fn report(&self, fits: impl Fn(&Report) -> bool) -> Report {
        for _ in 0..100_000 {
            if let Some(report) = self.bank.last_report("programme").filter(&fits) {
                return report;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("no such report; the last is {:?}", self.bank.last_report("programme"));
    }

    fn requests(&self) -> u64 {
        self.requests.lock().unwrap().0
    }

    fn answer_with(&self, status: Option<u16>) {
        self.requests.lock().unwrap().1 = status;
    }

    async fn condition(&self, fits: impl Fn(&Condition) -> bool) {
        for _ in 0..1_000 {
            if fits(&self.telemetry.condition()) {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        panic!("{:?}", self.telemetry.condition());
    }

    async fn stop(self) {
        self.shutdown.cancel();
        self.running.await.unwrap();
    }
}

fn bank() -> MemoryBank {
    MemoryBank::with("stop_ncii", "{}")
}

#[tokio::test(start_paused = true)]
async fn an_exchange_is_followed_round_after_round_and_at_once_when_asked() {
    let process = start(&bank());
    let first = process.report(|report| report.succeeded == Some(true)).await;
    assert_eq!((first.alarm.as_str(), first.running_since), ("", None));
    assert!(first.ended_at.is_some());
    // The beginning of the first round was reported.
    let began = process.bank.lock().exchanges["programme"].reports[0].clone();
    assert!(began.running_since.is_some() && began.succeeded.is_none());
    process.condition(|condition| *condition == Condition::Ready).await;
    process.model.lock().unwrap().change(&[Change::Wait(100), Change::Put(3)]);
    let began = tokio::time::Instant::now();
    process.report(|report| report.ended_at > first.ended_at).await;
    assert!((500..=700).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(process.bank.records("programme").len(), 3);
    // A person requests a round. It begins within the interval of listing.
    process.bank.lock().exchanges.get_mut("programme").unwrap().exchange.fetch_requests = 1;
    let began = tokio::time::Instant::now();
    process.report(|report| report.fetch_request == 1).await;
    assert!(began.elapsed().as_secs() <= 4, "{:?}", began.elapsed());
    let metrics = process.telemetry.exposition().unwrap();
    for line in [
        "vigie_exchange_rounds_total{exchange=\"programme\",outcome=\"complete\"} 3",
        "vigie_exchange_alarmed{exchange=\"programme\"} 0",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_not_shown_again_until_they_change() {
    let process = start(&bank());
    process.report(|report| report.succeeded == Some(true)).await;
    process.environment.lock().unwrap().insert("VIGIE_EXCHANGE_STOP_NCII_FETCH_KEY".into(), "old".into());
    let refused = process.report(|report| report.succeeded == Some(false)).await;
    assert!(refused.alarm.contains("refuses the credentials"), "{}", refused.alarm);
    let requests = process.requests();
    tokio::time::sleep(Duration::from_secs(24 * 3_600)).await;
    assert_eq!(process.requests(), requests);
    process.environment.lock().unwrap().remove("VIGIE_EXCHANGE_STOP_NCII_FETCH_KEY");
    let missing = process.report(|report| report.alarm.contains("no credential")).await;
    assert!(missing.alarm.contains("VIGIE_EXCHANGE_PROGRAMME_FETCH_KEY"), "{}", missing.alarm);
    process
        .environment
        .lock()
        .unwrap()
        .insert("VIGIE_EXCHANGE_PROGRAMME_FETCH_KEY".into(), "fetch_key".into());
    let good = process.report(|report| report.succeeded == Some(true)).await;
    assert_eq!(good.alarm, "");
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_programme_that_is_away_is_an_alarm_after_three_rounds() {
    let process = start(&bank());
    process.report(|report| report.succeeded == Some(true)).await;
    process.answer_with(Some(503));
    let early = process.report(|report| report.succeeded == Some(false)).await;
    assert_eq!(early.alarm, "");
    let alarmed = process.report(|report| !report.alarm.is_empty()).await;
    assert_eq!(alarmed.alarm, "3 rounds in a row ended early: the programme answers with status 503");
    process.answer_with(Some(418));
    process.report(|report| report.alarm.contains("418")).await;
    let metrics = process.telemetry.exposition().unwrap();
    assert!(metrics.contains("vigie_exchange_alarmed{exchange=\"programme\"} 1"), "{metrics}");
    process.answer_with(None);
    process.report(|report| report.succeeded == Some(true) && report.alarm.is_empty()).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn only_the_process_with_the_lease_follows() {
    let bank = bank();
    bank.lock().is_leased_elsewhere = true;
    let process = start(&bank);
    process.condition(|condition| matches!(condition, Condition::Standby(_))).await;
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(process.requests(), 0);
    bank.lock().is_leased_elsewhere = false;
    process.report(|report| report.succeeded == Some(true)).await;
    process.condition(|condition| *condition == Condition::Ready).await;
    // Another process takes over, and this one sends no more requests.
    bank.lock().is_leased_elsewhere = true;
    process.condition(|condition| matches!(condition, Condition::Standby(_))).await;
    let requests = process.requests();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(process.requests(), requests);
    // The other process reports the state of the exchange now, but the counters stay.
    let metrics = process.telemetry.exposition().unwrap();
    assert!(metrics.contains("vigie_exchange_rounds_total{exchange=\"programme\",outcome=\"complete\"} 1"));
    for gauge in ["alarmed", "completed_timestamp_seconds", "checkpoint_timestamp_seconds"] {
        assert!(!metrics.contains(&format!("vigie_exchange_{gauge}{{")), "{metrics}");
    }
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_renewed_by_another_name_is_used_from_then_on() {
    let bank = bank();
    let process = start(&bank);
    let first = process.report(|report| report.succeeded == Some(true)).await;
    bank.lock().lease = 2;
    process.model.lock().unwrap().change(&[Change::Wait(100), Change::Put(3)]);
    process.report(|report| report.ended_at > first.ended_at && report.succeeded == Some(true)).await;
    assert_eq!(bank.records("programme").len(), 3);
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn exchanges_that_are_paused_removed_and_added_are_followed_accordingly() {
    let bank = bank();
    let process = start(&bank);
    process.report(|report| report.succeeded == Some(true)).await;
    bank.lock().exchanges.get_mut("programme").unwrap().exchange.enabled = false;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let requests = process.requests();
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(process.requests(), requests);
    bank.add("another", "stop_ncii", "{}");
    bank.add("broken", "stop_ncii", "{\"later\": 1}");
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bank.records("another").len(), 2);
    assert!(bank.last_report("broken").unwrap().alarm.starts_with("settings:"));
    bank.lock().exchanges.remove("another");
    bank.lock().exchanges.get_mut("programme").unwrap().exchange.enabled = true;
    process.report(|report| report.succeeded == Some(true)).await;
    process.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bank_that_is_away_is_borne() {
    let bank = bank();
    bank.lock().is_away = true;
    let process = start(&bank);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(matches!(process.telemetry.condition(), Condition::Starting(_)));
    bank.lock().is_away = false;
    process.report(|report| report.succeeded == Some(true)).await;
    process.condition(|condition| *condition == Condition::Ready).await;
    bank.lock().is_away = true;
    process.condition(|condition| matches!(condition, Condition::Unready(_))).await;
    bank.lock().is_away = false;
    process.condition(|condition| *condition == Condition::Ready).await;
    process.stop().await;
}
