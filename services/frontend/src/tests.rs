//! The hashing pool under load. The tests of clusters cover calls through a whole cluster.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prometheus_client::registry::Registry;
use tokio::time::Instant;
use vigie_clients::decoder::{DecoderMetrics, DecoderSettings, Hashing};
use vigie_media::{Limits, Ways};
use vigie_model::DecodeFailureKind;
use vigie_rpc::Priority;
use vigie_sandbox::Requirement;

use crate::error::HashingError;
use crate::hashing::{HashingMetrics, HashingPool, Images};

/// Returns a grey picture of 2000 x 2000 pixels: some milliseconds of work.
fn slow_image() -> Bytes {
    grey(2_000)
}

/// Returns a grey square with this side, a multiple of 4 pixels, uncompressed.
fn grey(side: u32) -> Bytes {
    let (data_at, data_len) = (54_u32, side * side * 3);
    let mut file = Vec::new();
    file.extend(b"BM");
    file.extend((data_at + data_len).to_le_bytes());
    file.extend([0; 4]);
    file.extend(data_at.to_le_bytes());
    file.extend(40_u32.to_le_bytes());
    file.extend(side.to_le_bytes());
    file.extend(side.to_le_bytes());
    file.extend(1_u16.to_le_bytes());
    file.extend(24_u16.to_le_bytes());
    file.extend([0; 24]);
    file.resize(usize::try_from(data_at + data_len).unwrap(), 128);
    file.into()
}

fn pool(queue_max: usize) -> (HashingPool<Images>, Registry) {
    let mut registry = Registry::default();
    let metrics = HashingMetrics::register::<Images>(&mut registry);
    let limits = Limits::default();
    // Hashes in this process, because its own program is that of a test.
    let settings = DecoderSettings { requirement: Requirement::Off, ..DecoderSettings::for_limits(&limits) };
    let hashing = Hashing::prepare(settings, DecoderMetrics::default()).unwrap();
    let work = Images { hashing, limits, ways: Ways::default() };
    (HashingPool::start(1, queue_max, &work, &metrics).unwrap(), registry)
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(30)
}

fn text(registry: &Registry) -> String {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry).unwrap();
    text
}

#[tokio::test]
async fn one_image_more_than_the_queue_holds_is_refused_at_once_with_a_time_to_retry() {
    let (pool, _registry) = pool(2);
    let image = slow_image();
    let calls: Vec<_> = (0..40)
        .map(|_| {
            let (pool, image) = (pool.clone(), image.clone());
            tokio::spawn(async move { pool.hash(image, Arc::default(), Priority::Interactive, soon()).await })
        })
        .collect();
    let mut refused = 0;
    let mut hashed = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(image) => {
                let picture = image.hashes.unwrap().fingerprint;
                assert_eq!((picture.width, picture.height), (2_000, 2_000));
                hashed += 1;
            }
            Err(HashingError::QueueFull { retry_after, .. }) => {
                assert!(retry_after >= Duration::from_millis(10));
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(hashed >= 2 && refused > 0, "{hashed} hashed, {refused} refused");
    assert!(
        pool.hash(image, Arc::default(), Priority::Interactive, soon()).await.is_ok(),
        "the pool goes on"
    );
}

#[tokio::test]
async fn an_image_whose_time_is_up_is_not_hashed() {
    let (pool, registry) = pool(8);
    let outcome = pool.hash(slow_image(), Arc::default(), Priority::Interactive, Instant::now()).await;
    assert_eq!(outcome.unwrap_err(), HashingError::OutOfTime);
    assert!(text(&registry).contains("vigie_images_hashed_total 0"), "{}", text(&registry));
}

#[tokio::test]
async fn an_image_that_waits_too_long_has_its_digests_while_there_is_time_to_search_them() {
    let (pool, registry) = pool(64);
    let image = grey(1_000);
    // These images are hashed before the bulk one, and together take several times as long as it may wait.
    let before: Vec<_> = (0..40)
        .map(|_| {
            let (pool, image) = (pool.clone(), image.clone());
            tokio::spawn(async move { pool.hash(image, Arc::default(), Priority::Interactive, soon()).await })
        })
        .collect();
    tokio::task::yield_now().await;
    let deadline = Instant::now() + Duration::from_millis(200);
    let late = pool.hash_for_search(image.clone(), Arc::default(), Priority::Bulk, deadline).await.unwrap();
    assert_eq!(late.hashes.unwrap_err().kind, DecodeFailureKind::Unavailable);
    assert_eq!(late.digests, vigie_media::digest::digests(&image));
    assert!(text(&registry).contains("{kind=\"unavailable\"} 1"), "{}", text(&registry));
    for call in before {
        call.abort();
    }
    let hashed = pool.hash_for_search(image, Arc::default(), Priority::Bulk, soon()).await.unwrap();
    assert!(hashed.hashes.is_ok(), "the pool goes on");
}

#[tokio::test]
async fn failures_are_counted_by_kind() {
    let (pool, registry) = pool(8);
    for content in [&b""[..], b"no image", b"GIF89a"] {
        let image =
            pool.hash(Bytes::from_static(content), Arc::default(), Priority::Bulk, soon()).await.unwrap();
        assert!(image.hashes.is_err());
        assert_eq!(
            image.digests,
            vigie_media::digest::digests(content),
            "what cannot be decoded has digests"
        );
    }
    let counted = text(&registry);
    for kind in ["empty", "unknown_format", "truncated"] {
        assert!(counted.contains(&format!("{{kind=\"{kind}\"}} 1")), "{kind}: {counted}");
    }
}

#[tokio::test]
async fn interactive_images_go_before_bulk_ones_that_came_first() {
    let (pool, _registry) = pool(16);
    let (sender, mut ended) = tokio::sync::mpsc::unbounded_channel();
    // The first image keeps the thread busy while the others queue.
    for priority in [Priority::Bulk, Priority::Bulk, Priority::Bulk, Priority::Interactive] {
        let (pool, sender) = (pool.clone(), sender.clone());
        tokio::spawn(async move {
            let later = Instant::now() + Duration::from_secs(300);
            pool.hash(slow_image(), Arc::default(), priority, later).await.unwrap();
            sender.send(priority).unwrap();
        });
    }
    drop(sender);
    let mut order = Vec::new();
    while let Some(priority) = ended.recv().await {
        order.push(priority);
    }
    let at = order.iter().position(|priority| *priority == Priority::Interactive);
    assert!(order.len() == 4 && at < Some(2), "{order:?}");
}
