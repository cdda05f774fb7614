//! Tests of retention: the log is cut only where no follower needs it.

use std::time::Duration;

use vigie_log::{Cursor, Sequence, Shutdown, Slice};
use vigie_model::LogHead;

use crate::log::Follower;
use crate::tests::writes::{BareLog, create, in_a_minute};
use crate::tests::*;

on_both_stores! {
    a_change_is_kept_for_its_time,
    the_newest_changes_are_kept_however_old,
    what_a_follower_needs_is_never_cut,
    a_follower_that_has_gone_finds_its_place_for_a_while,
    a_cursor_before_the_floor_is_sent_to_load_the_state,
    a_page_that_was_cut_under_its_reader_is_refused,
}

/// A log of ten batches of one change, one a second, and the settings of a bank that keeps two hours of it.
struct Old {
    _bed: Bed,
    config: Config,
    store: Arc<dyn Store>,
    bare: BareLog,
}

impl Old {
    async fn new(bed: Bed, config: impl FnOnce(Config) -> Config) -> Self {
        let config = config(Config { log_hours: 2, log_changes: 1, sweep_rows_max: 3, ..bed.config() });
        let store = open(&config).await;
        let bare = BareLog::start(&store, &config);
        for number in 0..10 {
            bare.log.write(create(&format!("bank-{number}")), None, in_a_minute()).await.unwrap();
            bare.clock.0.fetch_add(1_000, Ordering::Relaxed);
        }
        Self { _bed: bed, config, store, bare }
    }

    /// Sweeps when the beginning of the log has this age, in milliseconds.
    async fn swept_at(&self, milliseconds: u64) -> LogHead {
        self.bare.clock.0.store(NOW + milliseconds, Ordering::Relaxed);
        let sweeper = self.bare.sweeper(&self.store, &self.config);
        while sweeper.step().await.unwrap() {}
        self.store.head_row().await.unwrap().into()
    }

    async fn follow(&self, after: u64) -> Result<Follower, crate::error::Error> {
        let cursor = Cursor { log: self.store.log_id(), sequence: Sequence(after), chain: None };
        let watched = self.bare.feed.watch(Some(cursor), Slice::ALL, Shutdown::new()).await;
        watched.map_err(Into::into)
    }

    async fn proven(self) {
        self.bare.stop().await;
        self.store.close().await;
        drop(self.store);
        crate::verify(&self.config).await.unwrap();
    }
}

const TWO_HOURS: u64 = 7_200_000;

async fn a_change_is_kept_for_its_time(bed: Bed) {
    let old = Old::new(bed, |config| config).await;
    assert_eq!(old.swept_at(TWO_HOURS).await.floor.0, (0));
    assert_eq!(old.swept_at(TWO_HOURS + 1).await.floor.0, (1));
    assert_eq!(old.swept_at(TWO_HOURS + 5_500).await.floor.0, (6));
    assert_eq!(old.store.batches(Sequence(0), 100).await.unwrap().len(), 5);
    // The newest change is kept, however old.
    assert_eq!(old.swept_at(9 * TWO_HOURS).await.floor.0, (9));
    old.proven().await;
}

async fn the_newest_changes_are_kept_however_old(bed: Bed) {
    let old = Old::new(bed, |config| Config { log_changes: 7, ..config }).await;
    assert_eq!(old.swept_at(9 * TWO_HOURS).await.floor.0, (3));
    old.proven().await;
}

async fn what_a_follower_needs_is_never_cut(bed: Bed) {
    let old = Old::new(bed, |config| config).await;
    let mut slow = old.follow(4).await.unwrap();
    assert_eq!(old.swept_at(9 * TWO_HOURS).await.floor.0, (4));
    slow.next().await.unwrap();
    // The next range was sent to it, but it may not have received it.
    assert_eq!(slow.next().await.unwrap().unwrap().through, Sequence(10));
    assert_eq!(old.swept_at(9 * TWO_HOURS).await.floor.0, (4));
    slow.next().await.unwrap();
    assert_eq!(old.swept_at(9 * TWO_HOURS).await.floor.0, (9));
    drop(slow);
    old.proven().await;
}

async fn a_follower_that_has_gone_finds_its_place_for_a_while(bed: Bed) {
    let old = Old::new(bed, |config| Config { follower_minutes: 1, ..config }).await;
    drop(old.follow(4).await.unwrap());
    assert_eq!(old.swept_at(9 * TWO_HOURS).await.floor.0, (4));
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(61)).await;
    tokio::time::resume();
    assert_eq!(old.swept_at(9 * TWO_HOURS).await.floor.0, (9));
    old.proven().await;
}

async fn a_cursor_before_the_floor_is_sent_to_load_the_state(bed: Bed) {
    let old = Old::new(bed, |config| config).await;
    old.swept_at(TWO_HOURS + 5_500).await;
    for cursor in [0, 5] {
        let refusal = old.follow(cursor).await.map(drop).unwrap_err();
        assert_eq!(refusal.code(), Code::OutOfRange);
        assert!(refusal.to_string().contains("keeps only the changes after 6"), "{refusal}");
    }
    let mut followed = old.follow(6).await.unwrap();
    followed.next().await.unwrap();
    assert_eq!(followed.next().await.unwrap().unwrap().changes.len(), 4);
    old.proven().await;
}

async fn a_page_that_was_cut_under_its_reader_is_refused(bed: Bed) {
    let old = Old::new(bed, |config| Config { recent_changes_max: 0, ..config }).await;
    let mut follower = old.follow(2).await.unwrap();
    follower.next().await.unwrap();
    // As if the sweeper had looked for followers just before this one arrived.
    while old.store.cut(Sequence(5), 3).await.unwrap() {}
    // Heartbeats may come first, while the store is read.
    let refusal = loop {
        match follower.next().await {
            Ok(range) => assert!(range.unwrap().changes.is_empty()),
            Err(refusal) => break crate::error::Error::from(refusal),
        }
    };
    assert_eq!(refusal.code(), Code::OutOfRange, "{refusal}");
    old.proven().await;
}
