//! Tests that a large video reaches the matchers.

use std::time::Duration;

use tokio::net::TcpListener;
use tokio::time::Instant;
use vigie_clients::{CoordinatorClient, Network, Priority};
use vigie_model::{Frame, Hash, Query, QueryHash, SearchOptions, Variant};
use vigie_serving::Shutdown;
use vigie_telemetry::Telemetry;

use super::fake_matcher::{FakeMatcher, query};
use super::over;
use crate::server::run_with;

#[tokio::test]
async fn the_longest_video_in_all_variants_reaches_every_matcher() {
    let matchers = [FakeMatcher::start(0, 2).await, FakeMatcher::start(1, 2).await];
    let config = over(&[&matchers[0], &matchers[1]]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = CoordinatorClient::new(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let ends = Shutdown::new();
    let stop = ends.clone();
    let serving = tokio::spawn(async move {
        run_with(config, listener, stop, &Network::tcp(), &Telemetry::default()).await
    });
    let list = |variant: Variant| {
        let frame = |at: u32| {
            let mut pdq = [0; 32];
            pdq[..4].copy_from_slice(&at.to_le_bytes());
            pdq[4] = variant as u8;
            Frame { pdq, quality: 100, time_ms: 1_000 * at }
        };
        let frames: Vec<Frame> = (0..4_096).map(frame).collect();
        QueryHash { hash: Hash::of_frames(&frames).unwrap(), variant }
    };
    // The fake matcher finds an item by its first hash only.
    let videos = Variant::ALL.into_iter().map(list);
    let asked = Query { hashes: query(5).hashes.into_iter().chain(videos).collect() };
    assert_eq!(asked.frames(), Query::FRAMES_MAX);
    let begun = Instant::now();
    loop {
        let deadline = begun + Duration::from_secs(20);
        let options = SearchOptions::default();
        match client.search(std::slice::from_ref(&asked), &options, Priority::Interactive, deadline).await {
            Ok(answer) => {
                assert!(answer.coverage.is_full());
                assert_eq!(answer.results[0].matches[0].item.0, 5);
                break;
            }
            // The coordinator has not heard all matchers yet.
            Err(error) => {
                assert!(
                    error.code() == vigie_clients::Code::Unavailable && Instant::now() < deadline,
                    "{error}"
                );
            }
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(matchers.iter().all(|one| one.calls() == 1));
    ends.cancel();
    serving.await.unwrap().unwrap();
    for matcher in matchers {
        matcher.stop().await;
    }
}
