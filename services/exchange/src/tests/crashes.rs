//! Tests that after a crash between any two requests or writes, the bank ends with what the programme shares.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::memory::{Failing, MemoryBank};
use super::model::{Change, Model};
use super::playing::{Played, clock, round};
use super::servers::Programme;
use crate::asking::fetch::FetchError;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}

/// A number that no request reaches.
const NEVER: u64 = u64::MAX / 2;

/// Follows a model through changes between rounds. Each round crashes at the given request and the given
/// write.
async fn follow(
    programme: Programme,
    stages: &[Vec<Change>],
    request: u64,
    write: Option<(u64, Failing)>,
) -> u64 {
    let model = Arc::new(Mutex::new(Model::default()));
    let clock = clock(&model);
    let bank = MemoryBank::with(programme.api(), programme.config());
    let requests = Arc::new(Mutex::new(0_u64));
    let crash_at = Arc::new(Mutex::new(u64::MAX));
    let (counted, crashed) = (Arc::clone(&requests), Arc::clone(&crash_at));
    let fetch = Played::new(programme, &model, move |_, answer| {
        let mut count = counted.lock().unwrap();
        *count += 1;
        if *count == *crashed.lock().unwrap() {
            return Err(FetchError::Connection("crashed".to_owned()));
        }
        Ok(answer)
    });
    for changes in stages {
        model.lock().unwrap().change(changes);
        model.lock().unwrap().settle();
        *crash_at.lock().unwrap() = *requests.lock().unwrap() + request + 1;
        bank.lock().fail = write;
        let mut rounds = 0;
        while let Err(failure) = round(&bank, &fetch, &clock, 0).await {
            rounds += 1;
            assert!(rounds < 5, "{programme:?}: {failure:?}");
        }
        bank.lock().fail = None;
        let (expected, found) = (programme.living(&model.lock().unwrap()), bank.records("programme"));
        assert_eq!(found, expected, "{programme:?}, request {request}, write {write:?}");
    }
    *requests.lock().unwrap()
}

/// Returns three stages. The second changes and removes, and the third removes all but one.
fn stages() -> Vec<Vec<Change>> {
    let puts = (0..10).flat_map(|number| [Change::Put(number), Change::Wait(u8::from(number % 3 == 0))]);
    let changes = [
        Change::Put(3),
        Change::Withdraw(4),
        Change::Wait(1),
        Change::Withdraw(0),
        Change::Put(20),
        Change::Put(0),
        Change::Withdraw(9),
        Change::Put(21),
    ];
    let withdrawals = (1..30).map(Change::Withdraw);
    vec![puts.collect(), changes.to_vec(), withdrawals.collect()]
}

#[test]
fn a_crash_at_any_request_or_write_changes_nothing_in_the_end() {
    for programme in Programme::ALL {
        block_on(async {
            let requests = follow(programme, &stages(), NEVER, None).await;
            for request in 0..requests {
                follow(programme, &stages(), request, None).await;
            }
            for write in 0..12 {
                for failing in [Failing::Before, Failing::After] {
                    follow(programme, &stages(), NEVER, Some((write, failing))).await;
                    follow(programme, &stages(), 1, Some((write, failing))).await;
                }
            }
        });
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (0_u8..25).prop_map(Change::Put),
        2 => (0_u8..25).prop_map(Change::Withdraw),
        2 => (0_u8..4).prop_map(Change::Wait),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_history_with_any_crash_ends_with_what_is_shared(
        programme in proptest::sample::select(Programme::ALL.to_vec()),
        stages in proptest::collection::vec(proptest::collection::vec(change(), 0..30), 1..5),
        request in 0_u64..10,
        write in 0_u64..10,
        before: bool,
    ) {
        let failing = if before { Failing::Before } else { Failing::After };
        block_on(follow(programme, &stages, request, Some((write, failing))));
    }
}

#[test]
fn a_follower_from_scratch_and_one_that_followed_have_the_same() {
    for programme in Programme::ALL {
        let model = Arc::new(Mutex::new(Model::default()));
        let (clock, fetch) = (clock(&model), Played::new(programme, &model, |_, answer| Ok(answer)));
        let followed = MemoryBank::with(programme.api(), programme.config());
        for changes in stages() {
            model.lock().unwrap().change(&changes);
            model.lock().unwrap().settle();
            block_on(round(&followed, &fetch, &clock, 0)).unwrap();
        }
        let fresh = MemoryBank::with(programme.api(), programme.config());
        block_on(round(&fresh, &fetch, &clock, 0)).unwrap();
        assert_eq!(fresh.records("programme"), followed.records("programme"), "{programme:?}");
        assert_eq!(fresh.records("programme").len(), 1);
    }
}

#[test]
fn a_round_without_news_stores_no_record_anew() {
    // If a programme's positions are times, it sends again whatever is as new as the position.
    for (programme, sent_again) in
        [(Programme::Ncmec, 0), (Programme::Tat, 0), (Programme::HttpFile, 0), (Programme::ThreatExchange, 1)]
    {
        let model = Model::of(&[Change::Put(1), Change::Wait(5), Change::Put(2), Change::Wait(20)]);
        let model = Arc::new(Mutex::new(model));
        let (clock, fetch) = (clock(&model), Played::new(programme, &model, |_, answer| Ok(answer)));
        let bank = MemoryBank::with(programme.api(), programme.config());
        assert_eq!(block_on(round(&bank, &fetch, &clock, 0)).unwrap().puts, 2, "{programme:?}");
        model.lock().unwrap().settle();
        assert_eq!(block_on(round(&bank, &fetch, &clock, 0)).unwrap().puts, sent_again, "{programme:?}");
    }
}
