//! Figures that a release build has to reach; not part of a usual run.
//!
//! ```text
//! cargo test --release --package vigie-tests --test it -- figures --ignored --nocapture
//! ```

use std::time::{Duration, Instant};

use rand::RngExt as _;
use serde_json::json;
use vigie_clients::IdempotencyKey;
use vigie_harness::in_process::{as_of, soon};
use vigie_model::Hash;
use vigie_tests::material::{generator, item, pdq, random_pdq};

use crate::gateway::client::{Http, cluster};

/// Writes per second that go on during the measurement.
const WRITES: u64 = 1_000;
/// Number of tasks that write, one item per call; half of the writes are removals.
const WRITERS: u64 = 20;
const PROBES: usize = 500;

/// Measures the time from the call that adds or removes an item to an answer of all shards that includes the
/// change, during 1,000 writes a second; by gRPC, and by the gateway as clients of HMA call it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn adds_and_removals_show_on_all_shards() {
    let cluster = cluster().await;
    let http = Http::new(&cluster);
    let name = cluster.create_bank("KNOWN").await.unwrap();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (bank, name, stopped) = (cluster.bank.clone(), name.clone(), stopped.clone());
            tokio::spawn(async move {
                let mut rng = generator(writer);
                let mut ticks = tokio::time::interval(Duration::from_millis(1_000 * WRITERS / WRITES));
                let (mut writes, mut ids) = (0_u64, Vec::new());
                while !*stopped.borrow() {
                    ticks.tick().await;
                    if ids.len() > 10 && rng.random_bool(0.5) {
                        let id = ids.swap_remove(rng.random_range(0..ids.len()));
                        bank.remove_items(&[id], IdempotencyKey::random(), soon()).await.unwrap();
                    } else {
                        let new = item([Hash::pdq(random_pdq(&mut rng))]).unwrap();
                        let added = bank.add_items(&name, vec![new], IdempotencyKey::random(), soon()).await;
                        ids.extend(added.unwrap().value);
                    }
                    writes += 1;
                }
                writes
            })
        })
        .collect();
    let (mut rng, began) = (generator(99), Instant::now());
    let (mut adds, mut removals, mut posts) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..PROBES {
        let hash = random_pdq(&mut rng);
        let sent = Instant::now();
        let (ids, sequence) = cluster.add(&name, vec![item([Hash::pdq(hash)]).unwrap()]).await.unwrap();
        let found = cluster.ask_one(pdq(hash), as_of(sequence)).await.unwrap();
        adds.push(sent.elapsed());
        assert_eq!(found.found.matches.len(), 1);
        let sent = Instant::now();
        let removed = cluster.bank.remove_items(&ids, IdempotencyKey::random(), soon()).await.unwrap();
        let found = cluster.ask_one(pdq(hash), as_of(removed.sequence)).await.unwrap();
        removals.push(sent.elapsed());
        assert!(found.found.matches.is_empty());

        let hash: String = random_pdq(&mut rng).iter().map(|byte| format!("{byte:02x}")).collect();
        let lookup = format!("/m/raw_lookup?signal_type=pdq&signal={hash}");
        let sent = Instant::now();
        let added = http.post("/c/bank/KNOWN/signal", &json!({ "pdq": hash })).await.body(200);
        while http.get(&lookup).await.body(200)["matches"] != json!([added["id"]]) {}
        posts.push(sent.elapsed());
    }
    let took = began.elapsed();
    stop.send_replace(true);
    let mut writes = 0;
    for writer in writers {
        writes += writer.await.unwrap();
    }
    println!("{:.0} writes a second beside it", writes as f64 / took.as_secs_f64());
    let measured = [
        ("add to matchable", adds),
        ("remove to gone", removals),
        ("add to matchable by the gateway", posts),
    ];
    for (what, mut times) in measured {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() - 1) * percent / 100];
        println!("{what}: median {:.1?}, p99 {:.1?}, greatest {:.1?}", at(50), at(99), at(100));
    }
    cluster.stop().await.unwrap();
}
