//! Tests of sending opinions together with following, round after round.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vigie_model::OpinionKind::{Negative, Positive};
use vigie_serving::Shutdown;
use vigie_telemetry::Telemetry;

use super::hearing::Bed;
use super::said::Says::{Add, AddOther, Item};
use crate::bank::Report;
use crate::tests::memory::MemoryBank;
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
async fn opinions_are_sent_in_the_rounds_of_the_exchange_and_refusals_are_reported() {
    let bed = Bed::new(Programme::StopNcii);
    let (bank, heard) = (bed.bank.clone(), Arc::clone(&bed.heard));
    bed.change(&[Add(1), Add(2), AddOther(3), Item(1, Positive), Item(2, Negative), Item(3, Negative)]);
    heard.lock().unwrap().refuses.insert(2);
    let environment: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
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
        (bank.clone(), telemetry.clone(), shutdown.clone(), clock(&Arc::default()));
    let process = Config { retries_max: 0, ..Config::default() };
    let running = tokio::spawn(async move {
        run_on(&process, of_bank, bed, vault, clock, stop, &own_telemetry).await.unwrap();
    });

    // Without the key for opinions, the exchange follows, and reports which key is missing.
    let missing = report(&bank, |report| report.alarm.contains("feedback_key")).await;
    assert_eq!((missing.succeeded, heard.lock().unwrap().words.len()), (Some(false), 0));

    // With the key, the accepted opinions are sent, and the round succeeds.
    set("FEEDBACK_KEY", "feedback_key");
    let named = report(&bank, |report| report.succeeded == Some(true)).await;
    assert!(named.alarm.contains("refuses the opinion on items 2;"), "{}", named.alarm);
    assert_eq!(heard.lock().unwrap().words, BTreeMap::from([(1, "Blocked".to_owned())]));
    let metrics = telemetry.exposition().unwrap();
    for line in [
        "vigie_exchange_told_opinions_total{exchange=\"programme\"} 1",
        "vigie_exchange_refused_opinions_total{exchange=\"programme\"} 1",
        "vigie_exchange_alarmed{exchange=\"programme\"} 1",
    ] {
        assert!(metrics.contains(line), "{metrics}");
    }

    // If a person requests a round, the refused opinion is sent again.
    heard.lock().unwrap().refuses.clear();
    bank.lock().exchanges.get_mut("programme").unwrap().exchange.fetch_requests += 1;
    report(&bank, |report| report.succeeded == Some(true) && report.alarm.is_empty()).await;
    assert_eq!(heard.lock().unwrap().words[&2], "NotBlocked");
    shutdown.cancel();
    running.await.unwrap();
}
