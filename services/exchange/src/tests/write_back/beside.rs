//! Tests of write-back together with following, round after round: a failure of one does not stop the other.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;
use vigie_serving::Shutdown;
use vigie_telemetry::Telemetry;

use super::own::OwnChange::Add;
use super::taking::{Given, Spoiled, Taking, config};
use crate::asking::request::Response;
use crate::bank::Report;
use crate::tests::memory::MemoryBank;
use crate::tests::model::Change;
use crate::tests::playing::clock;
use crate::tests::servers::Programme;
use crate::{Config, Vault, run_on};

async fn report(bank: &MemoryBank, fits: impl Fn(&Report) -> bool) -> Report {
    for _ in 0..100_000 {
        if let Some(report) = bank.last_report("programme").filter(&fits) {
            return report;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    panic!("no such report; the last is {:?}", bank.last_report("programme"));
}

#[tokio::test(start_paused = true)]
async fn following_and_write_back_stop_apart_and_both_are_reported() {
    let bank = MemoryBank::with("stop_ncii", config(Programme::StopNcii));
    let given: Arc<Mutex<Given>> = Arc::default();
    let model = Arc::clone(&given.lock().unwrap().model);
    model.lock().unwrap().change(&[Change::Put(100)]);
    bank.lock().own.change(&Add(vec![1]), 5);
    bank.lock().own.change(&Add(vec![2]), 5);
    given.lock().unwrap().refuses.insert(2);
    // Whether pages are cut off, and whether submissions are answered with a pause of a day.
    let torn = Arc::new(Mutex::new(false));
    let paused = Arc::new(Mutex::new(false));
    let (is_torn, is_paused) = (Arc::clone(&torn), Arc::clone(&paused));
    let fetch = Taking::new(Programme::StopNcii, "111", &given, move |_, request| {
        let is_page = request.method == crate::asking::request::Method::Get;
        let page = || Spoiled::Before(Ok(Response::ok("{")));
        let pause = || {
            let retry_after = Some(Duration::from_secs(24 * 3_600));
            Spoiled::Before(Ok(Response { retry_after, ..Response::of_status(429) }))
        };
        if is_page { is_torn.lock().unwrap().then(page) } else { is_paused.lock().unwrap().then(pause) }
    });
    let keys: Mutex<BTreeMap<String, String>> = Mutex::default();
    let environment = Arc::new(keys);
    let set = |name: &str, value: &str| {
        let name = format!("VIGIE_EXCHANGE_STOP_NCII_{name}");
        environment.lock().unwrap().insert(name, value.to_owned());
    };
    set("FETCH_KEY", "fetch_key");
    set("SUBSCRIPTION_KEY", "subscription_key");
    let variables = Arc::clone(&environment);
    let vault = Vault::new(None, move |name| variables.lock().unwrap().get(name).cloned());
    let (telemetry, shutdown) = (Telemetry::default(), Shutdown::new());
    let (of_bank, own_telemetry, stop, clock) =
        (bank.clone(), telemetry.clone(), shutdown.clone(), clock(&model));
    let process = Config { retries_max: 0, ..Config::default() };
    let running = tokio::spawn(async move {
        run_on(&process, of_bank, fetch, vault, clock, stop, &own_telemetry).await.unwrap();
    });

    // Without the keys of write-back, the exchange follows, and reports which key is missing.
    let missing = report(&bank, |report| report.alarm.contains("submit_key")).await;
    assert_eq!((missing.succeeded, bank.records("programme").len()), (Some(false), 1));
    assert_eq!(given.lock().unwrap().owners.len(), 0);

    // With the keys, the alarm names a refused item, and the round succeeds.
    set("SUBMIT_KEY", "submit_key");
    set("FEEDBACK_KEY", "feedback_key");
    let named = report(&bank, |report| report.succeeded == Some(true)).await;
    assert!(named.alarm.contains("refuses items 2"), "{}", named.alarm);
    assert!(given.lock().unwrap().of("111").contains(&1));
    let metrics = telemetry.exposition().unwrap();
    for line in [
        "vigie_exchange_submitted_items_total{exchange=\"programme\"} 1",
        "vigie_exchange_withdrawn_items_total{exchange=\"programme\"} 0",
        "vigie_exchange_refused_items_total{exchange=\"programme\"} 1",
        "vigie_exchange_alarmed{exchange=\"programme\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }

    // Pages that cannot be read stop following, but write-back continues.
    given.lock().unwrap().refuses.clear();
    *torn.lock().unwrap() = true;
    let stopped = report(&bank, |report| report.succeeded == Some(false)).await;
    assert!(stopped.alarm.contains("nothing was skipped"), "{}", stopped.alarm);
    assert!(given.lock().unwrap().of("111").contains(&2));
    *torn.lock().unwrap() = false;
    report(&bank, |report| report.succeeded == Some(true) && report.alarm.is_empty()).await;

    // While the programme requests a pause of submissions, it is still followed. After the pause it accepts
    // what has waited.
    *paused.lock().unwrap() = true;
    bank.lock().own.change(&Add(vec![3]), 5);
    report(&bank, |report| report.succeeded == Some(false)).await;
    let asked_at = Instant::now();
    *paused.lock().unwrap() = false;
    model.lock().unwrap().change(&[Change::Put(101)]);
    while bank.records("programme").len() < 2 {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    assert!(asked_at.elapsed() < Duration::from_secs(3_600), "{:?}", asked_at.elapsed());
    while !given.lock().unwrap().of("111").contains(&3) {
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    let waited = asked_at.elapsed().as_secs();
    assert!((86_000..93_000).contains(&waited), "{waited} s");
    shutdown.cancel();
    running.await.unwrap();
}
