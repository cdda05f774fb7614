//! Tests that after any changes, and wherever rounds end, the programme has the bank's own living items.

use std::sync::Arc;

use proptest::prelude::*;

use super::bed::{BOTH, Bed, block_on, lost, stages};
use super::own::OwnChange::{
    self, Add, AddCanary, AddOfProgramme, Claim, Hold, Lift, Remove, Restore, Touch,
};
use super::taking::{Spoiled, Taking, write_back};
use crate::tests::memory::Failing;
use crate::tests::servers::Programme;

/// Follows a bank through its stages. In each stage, it crashes at the given request, before or after the
/// programme has carried it out, and at the given write. Returns the number of requests.
async fn follow(
    programme: Programme,
    stages: &[Vec<OwnChange>],
    request: Option<(u64, bool)>,
    write: Option<(u64, Failing)>,
) -> u64 {
    let bed = Bed::new(programme);
    let mut requests = 0;
    for (number, stage) in stages.iter().enumerate() {
        bed.change(stage);
        bed.wait(600);
        let mut crash = request;
        let fetch = Taking::new(programme, "111", &bed.given, move |count, _| match crash {
            Some((at, is_done)) if at == count => {
                crash = None;
                Some(if is_done { Spoiled::After(lost()) } else { Spoiled::Before(Err(lost())) })
            }
            Some(_) | None => None,
        });
        bed.bank.lock().fail = write;
        let mut rounds = 0;
        loop {
            match write_back(&bed.bank, &fetch, 0, false).await {
                Ok((_, left_over)) => break assert_eq!(left_over, None),
                Err(failure) => assert!(rounds < 5, "{programme:?}: {failure:?}"),
            }
            rounds += 1;
        }
        bed.bank.lock().fail = None;
        bed.check(&format!("stage {number}, request {request:?}, write {write:?}"));
        requests = requests.max(*fetch.requests.lock().unwrap());
    }
    requests
}

#[test]
fn a_crash_at_any_request_or_write_changes_nothing_in_the_end() {
    for programme in BOTH {
        block_on(async {
            let requests = follow(programme, &stages(), None, None).await;
            for request in 0..requests {
                for is_done in [false, true] {
                    follow(programme, &stages(), Some((request, is_done)), None).await;
                }
            }
            for write in 0..12 {
                for failing in [Failing::Before, Failing::After] {
                    follow(programme, &stages(), None, Some((write, failing))).await;
                    follow(programme, &stages(), Some((2, true)), Some((write, failing))).await;
                }
            }
        });
    }
}

fn change(of_programmes: bool) -> impl Strategy<Value = OwnChange> {
    let number = 0..12_u8;
    let item = 0..20_usize;
    let own = prop_oneof![
        4 => proptest::collection::vec(number.clone(), 1..3).prop_map(Add),
        3 => item.clone().prop_map(Remove),
        1 => item.clone().prop_map(Restore),
        1 => item.clone().prop_map(Hold),
        1 => item.clone().prop_map(Lift),
        1 => item.clone().prop_map(Touch),
        1 => (200..205_u8).prop_map(AddCanary),
    ];
    if of_programmes {
        let claim = (item, any::<bool>()).prop_map(|(item, is_own)| Claim(item, is_own));
        prop_oneof![4 => own, 1 => number.prop_map(AddOfProgramme), 1 => claim].boxed()
    } else {
        own.boxed()
    }
}

fn history(of_programmes: bool) -> impl Strategy<Value = Vec<Vec<OwnChange>>> {
    proptest::collection::vec(proptest::collection::vec(change(of_programmes), 0..15), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_history_with_any_crash_ends_with_the_banks_own_living_items(
        (programme, stages) in proptest::sample::select(BOTH.to_vec()).prop_flat_map(|programme| {
            (Just(programme), history(true))
        }),
        request in proptest::option::of((0_u64..12, any::<bool>())),
        write in proptest::option::of((0_u64..8, any::<bool>())),
    ) {
        let failing = |before| if before { Failing::Before } else { Failing::After };
        let write = write.map(|(at, before)| (at, failing(before)));
        block_on(follow(programme, &stages, request, write));
    }
}

/// Runs rounds in which the bank changes between two requests, each followed by one without changes.
async fn follow_meanwhile(programme: Programme, stages: &[Vec<OwnChange>], request: u64) {
    let bed = Bed::new(programme);
    for pair in stages.chunks(2) {
        bed.change(&pair[0]);
        let (bank, given) = (bed.bank.clone(), Arc::clone(&bed.given));
        let mut meanwhile = pair.get(1).cloned().unwrap_or_default();
        let fetch = Taking::new(programme, "111", &bed.given, move |count, _| {
            if count == request {
                let now = given.lock().unwrap().model.lock().unwrap().now;
                std::mem::take(&mut meanwhile).iter().for_each(|change| bank.lock().own.change(change, now));
            }
            None
        });
        for _ in 0..2 {
            write_back(&bed.bank, &fetch, 0, false).await.unwrap();
        }
        bed.check(&format!("changes meanwhile, at request {request}"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn changes_while_a_round_runs_are_not_missed(
        (programme, stages) in proptest::sample::select(BOTH.to_vec()).prop_flat_map(|programme| {
            (Just(programme), history(true))
        }),
        request in 0_u64..10,
    ) {
        block_on(follow_meanwhile(programme, &stages, request));
    }
}
