//! Tests of requests that need two people, on a store whose commits fail.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use vigie_proto::pb::consortium::v1 as members;

use crate::simulated::{CommitFate, Disk};
use crate::store::memory::MemoryStore;
use crate::tests::members::Consortium;
use crate::tests::*;

/// Starts a consortium on a store in memory that refuses commits while the flag is set.
async fn consortium() -> (Consortium, Arc<AtomicBool>) {
    let refuses = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&refuses);
    let fate = move || match asked.load(Ordering::Relaxed) {
        true => CommitFate::Refused,
        false => CommitFate::Done(Duration::ZERO),
    };
    let store = Arc::new(MemoryStore::open(Disk::new([7; 16], Box::new(fate))));
    let config = Config {
        heartbeat_ms: 20,
        serving: vigie_serving::ServingConfig::default().without_lame_duck(),
        ..Config::default()
    };
    (Consortium::on(Served::start_on(config, store).await).await, refuses)
}

#[tokio::test]
async fn a_request_that_was_not_committed_is_not_noted() {
    let (consortium, refuses) = consortium().await;
    let Consortium { administrator, contributor, auditor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let second = administrator.principal("", members::Role::Contributor).await;
    let added = contributor.add("known", items(0..4)).await.unwrap();
    administrator.two_people("known", 3).await.unwrap();

    refuses.store(true, Ordering::Relaxed);
    refused(contributor.remove(added.clone()).await, Code::Unavailable, "");
    refuses.store(false, Ordering::Relaxed);
    // The audit has no such request either.
    let asked = async || {
        let entries = auditor.entries().await;
        entries.iter().filter(|entry| entry.code == Code::FailedPrecondition as i32).count()
    };
    assert_eq!(asked().await, 0);
    refused(second.remove(added.clone()).await, Code::FailedPrecondition, "two people");
    assert_eq!(asked().await, 1);

    // A second person's request that is not committed keeps the note of the first one.
    refuses.store(true, Ordering::Relaxed);
    refused(contributor.remove(added.clone()).await, Code::Unavailable, "");
    refuses.store(false, Ordering::Relaxed);
    contributor.remove(added).await.unwrap();
    consortium.served.stop().await;
}

#[tokio::test]
async fn a_removal_that_was_not_committed_is_not_added_up() {
    let (consortium, refuses) = consortium().await;
    let Consortium { administrator, contributor, .. } = &consortium;
    administrator.create_bank("known").await.unwrap();
    let added = contributor.add("known", items(0..4)).await.unwrap();
    administrator.two_people("known", 3).await.unwrap();
    refuses.store(true, Ordering::Relaxed);
    for _ in 0..3 {
        refused(contributor.remove(added[..2].to_vec()).await, Code::Unavailable, "");
    }
    refuses.store(false, Ordering::Relaxed);
    contributor.remove(added[..2].to_vec()).await.unwrap();
    refused(contributor.remove(vec![added[2]]).await, Code::FailedPrecondition, "two people");
    consortium.served.stop().await;
}

#[tokio::test]
async fn two_people_lower_a_bar_once() {
    let (consortium, _) = consortium().await;
    let Consortium { administrator, .. } = &consortium;
    let other = administrator.principal("", members::Role::Administrator).await;
    administrator.create_bank("known").await.unwrap();
    administrator.two_people("known", 3).await.unwrap();
    refused(administrator.two_people("known", 0).await, Code::FailedPrecondition, "two people");
    other.two_people("known", 0).await.unwrap();
    // The limit is restored, and the earlier requests do not lower it again.
    other.two_people("known", 3).await.unwrap();
    refused(other.two_people("known", 0).await, Code::FailedPrecondition, "two people");
    administrator.two_people("known", 0).await.unwrap();
    consortium.served.stop().await;
}
