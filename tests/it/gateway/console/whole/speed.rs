//! The server's time for each page, with many items and members.
#![allow(clippy::print_stdout, reason = "a measurement prints its table")]

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use http::Method;

use crate::gateway::console::browser::Browser;
use crate::gateway::console::whole::site::Site;
use crate::gateway::filled::Filled;

/// The median and the 99th percentile of a page's times.
fn middle_and_worst(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort_unstable();
    (times[times.len() / 2], times[(times.len() * 99).div_ceil(100) - 1])
}

/// Requests every page `rounds` times in sequence. Returns the pages whose median time exceeds `within`.
async fn slow_pages(filled: &Filled, rounds: usize, within: Duration) -> Vec<String> {
    let mut times: BTreeMap<(&str, String), (Vec<Duration>, usize)> = BTreeMap::new();
    let people = [("member", &filled.everything), ("host", &filled.host), ("operator", &filled.operator)];
    for (who, person) in people {
        let mut browser = Browser::signed_in(&filled.cluster, &person.key).await;
        let site = Site::of(&mut browser).await;
        let mut paths: Vec<String> = site.pages.iter().map(|shown| shown.path.clone()).collect();
        paths.sort();
        paths.dedup();
        for path in paths {
            let (all, bytes) = times.entry((who, path.clone())).or_default();
            for _ in 0..rounds {
                let begun = Instant::now();
                let shown = browser.ask_once(Method::GET, &path).await;
                all.push(begun.elapsed());
                *bytes = shown.html.len();
                assert!(
                    shown.status.is_success() || shown.status.is_redirection(),
                    "{path}: {}",
                    shown.status
                );
            }
            assert!(*bytes < 200_000, "{path}: {bytes} bytes");
        }
    }
    let mut slow = Vec::new();
    println!("{:>9} {:>9} {:>9}  page", "median", "p99", "bytes");
    for ((who, path), (all, bytes)) in times {
        let (middle, worst) = middle_and_worst(all);
        println!("{middle:>9.1?} {worst:>9.1?} {bytes:>9}  {path} ({who})");
        if middle > within {
            slow.push(format!("{path} ({who}): {middle:.0?}"));
        }
    }
    slow
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_takes_long_with_lists_of_many_pages() {
    let filled = Filled::with("", 1_500).await;
    filled.crowd(20, 40).await;
    // Test machines are busy, and test builds are not optimised.
    let slow = slow_pages(&filled, 3, Duration::from_secs(2)).await;
    assert_eq!(slow, [""; 0]);
    filled.cluster.stop().await.unwrap();
}

/// The target applies to a release build on an idle machine.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes; asks for a release build and an idle machine"]
async fn each_page_takes_less_than_a_tenth_of_a_second_with_100_000_items() {
    let filled = Filled::with("", 100_000).await;
    filled.crowd(200, 300).await;
    let slow = slow_pages(&filled, 100, Duration::from_millis(100)).await;
    assert_eq!(slow, [""; 0]);
    filled.cluster.stop().await.unwrap();
}
