//! The time until items are searched, as matchers measure it and the statistics report it.

use std::time::Duration;

use time::OffsetDateTime;
use tokio::time::Instant;
use vigie_clients::{IdempotencyKey, StatisticsClient, StatisticsFormat};
use vigie_harness::in_process::{Cluster, as_of, soon};
use vigie_model::Hash;
use vigie_tests::material::{hashed, item};

/// The time limit for matchers to report.
const REPORTED_WITHIN: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn matchers_report_how_long_additions_and_removals_take() {
    let cluster = Cluster::start_with(|config| config.shard_count = 2).await.unwrap();
    let bank = cluster.create_bank("known").await.unwrap();
    let probe = || hashed([Hash::md5([7; 16])]);
    // Matchers that answer are ready, and measure the changes from now on.
    let (_, first) = cluster.add(&bank, vec![item([Hash::md5([255; 16])]).unwrap()]).await.unwrap();
    assert!(cluster.ask_one(probe(), as_of(first)).await.unwrap().found.matches.is_empty());
    let begun = Instant::now();
    let items = (0..40).map(|number| item([Hash::md5([number; 16])]).unwrap()).collect();
    let (ids, added) = cluster.add(&bank, items).await.unwrap();
    // Both shards have applied the items.
    assert_eq!(cluster.ask_one(probe(), as_of(added)).await.unwrap().found.matches.len(), 1);
    let removed =
        cluster.bank.remove_items(&ids[..30], IdempotencyKey::random(), soon()).await.unwrap().sequence;
    assert!(cluster.ask_one(probe(), as_of(removed)).await.unwrap().found.matches.is_empty());
    let took_max = u64::try_from(begun.elapsed().as_millis()).unwrap();

    let client = StatisticsClient::among(&[cluster.bank_url()], cluster.callers()).unwrap();
    let year = OffsetDateTime::now_utc().year();
    let (from, to) = (format!("{year}-01"), format!("{}-12", year + 1));
    let of_period = async |name: &str, percentile: &str| {
        let text = client.get_statistics((&from, &to), StatisticsFormat::Csv, false, soon()).await.unwrap();
        let begin = format!("latency,{name},all,{percentile},,shown,");
        text.lines().find_map(|line| line.strip_prefix(&begin)).map(|found| found.parse::<u64>().unwrap())
    };
    let reported = Instant::now();
    for name in ["add_to_matchable", "removal_to_gone"] {
        let p99 = loop {
            if let Some(p99) = of_period(name, "p99_ms").await {
                break p99;
            }
            assert!(reported.elapsed() < REPORTED_WITHIN, "{name} is not reported");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        // A value is reported as the middle of its bucket, at most a sixteenth above the measured one.
        assert!(p99 <= took_max + took_max / 16 + 1, "{name}: {p99} of {took_max} ms");
        assert!(of_period(name, "p50_ms").await <= Some(p99));
    }
    cluster.stop().await.unwrap();
}
