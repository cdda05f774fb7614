//! Tests that after a crash at any request or write, the programme has received the bank's opinions and
//! nothing else.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use vigie_model::OpinionKind::{self, Negative, Positive, Seen};

use super::hearing::{Bed, HEARERS, Spoiled};
use super::said::Says::{self, Add, AddOther, Back, Hash, Item, Remove, Touch};
use crate::asking::fetch::FetchError;
use crate::following::alarm::Failure;
use crate::tests::memory::Failing;
use crate::tests::servers::Programme;
use crate::tests::write_back::block_on;

/// Returns whether the programme has a word for the change. NCMEC has none for seen and withdrawn opinions.
fn is_heard(programme: Programme, change: &Says) -> bool {
    let is_kind = |kind: OpinionKind| kind != Seen;
    programme != Programme::Ncmec
        || match change {
            Item(_, kind) | Hash(_, kind) => is_kind(*kind),
            Back(_) => false,
            Add(_) | AddOther(_) | Touch(_) | Remove(_) => true,
        }
}

/// The places of a crash: at a request, counted from the beginning of a stage, with or without its effect at
/// the programme, and at a write.
#[derive(Debug, Clone, Copy, Default)]
struct Crash {
    request: Option<(u64, bool)>,
    write: Option<(u64, Failing)>,
}

/// Sends the changes of each stage to a programme, with a crash in each. Returns the number of all requests.
fn send_stages(programme: Programme, stages: &[Vec<Says>], crash: Crash) -> u64 {
    let crash_at: Arc<Mutex<Option<(u64, bool)>>> = Arc::default();
    let at = Arc::clone(&crash_at);
    let bed = Bed::with(programme, move |count, _| {
        let mut at = at.lock().unwrap();
        let (_, is_heard) = at.filter(|(request, _)| *request == count)?;
        *at = None;
        let lost = || FetchError::Connection("crashed".to_owned());
        Some(if is_heard { Spoiled::After } else { Spoiled::Before(Err(lost())) })
    });
    for stage in stages {
        let heard: Vec<Says> = stage.iter().filter(|change| is_heard(programme, change)).copied().collect();
        bed.change(&heard);
        let requests = bed.heard.lock().unwrap().requests;
        *crash_at.lock().unwrap() = crash.request.map(|(request, is_heard)| (requests + request, is_heard));
        bed.bank.lock().fail = crash.write;
        let mut rounds = 0;
        loop {
            match block_on(bed.round(false)) {
                Ok((_, alarm)) => {
                    assert_eq!(alarm, None);
                    break;
                }
                Err(Failure::Alarm(alarm)) => panic!("{alarm}"),
                Err(_) => rounds += 1,
            }
            assert!(rounds < 5, "{programme:?}, {crash:?}");
        }
        bed.bank.lock().fail = None;
        *crash_at.lock().unwrap() = None;
        bed.check(&format!("{crash:?}"));
    }
    let requests = bed.heard.lock().unwrap().requests;
    // Without news, nothing is sent again, and nothing is stored.
    let before = bed.bank.lock().parts.len();
    block_on(bed.round(false)).unwrap();
    assert_eq!((bed.heard.lock().unwrap().requests, bed.bank.lock().parts.len()), (requests, before));
    requests
}

fn stages() -> Vec<Vec<Says>> {
    vec![
        vec![
            Add(1),
            Add(2),
            AddOther(3),
            Add(4),
            Add(5),
            Item(1, Positive),
            Item(2, Negative),
            Item(3, Negative),
            Hash(4, Seen),
        ],
        vec![Item(1, Negative), Back(2), Touch(4), Hash(5, Positive), Item(5, Negative), Add(6), Add(7)],
        vec![
            Item(6, Positive),
            Item(7, Seen),
            Item(7, Positive),
            Back(5),
            Touch(1),
            Remove(4),
            Item(2, Seen),
        ],
        vec![Back(1), Back(7), Back(6), Touch(2), Item(6, Negative)],
    ]
}

#[test]
fn a_crash_at_any_request_or_write_changes_nothing_in_the_end() {
    for programme in HEARERS {
        let requests = send_stages(programme, &stages(), Crash::default());
        assert!(requests > 3, "{programme:?}");
        for request in 0..requests {
            for is_heard in [false, true] {
                send_stages(programme, &stages(), Crash { request: Some((request, is_heard)), write: None });
            }
        }
        for write in 0..6 {
            for failing in [Failing::Before, Failing::After] {
                for request in [None, Some((0, true)), Some((1, false))] {
                    send_stages(programme, &stages(), Crash { request, write: Some((write, failing)) });
                }
            }
        }
    }
}

/// Changes something at each request of a round: every change is sent in this round or in the next one.
#[test]
fn changes_while_a_round_runs_are_not_missed() {
    for programme in HEARERS {
        let requests = send_stages(programme, &stages(), Crash::default());
        for at in 0..requests {
            let bank: Arc<Mutex<Option<crate::tests::memory::MemoryBank>>> = Arc::default();
            let changed = Arc::clone(&bank);
            let bed = Bed::with(programme, move |count, _| {
                if count == at {
                    let changed = changed.lock().unwrap();
                    let mut state = changed.as_ref().unwrap().lock();
                    // The items that were read, that are being read, and that still have to be read.
                    let changes =
                        [Item(1, Negative), Touch(2), Touch(5), Item(5, Positive), Item(8, Negative)];
                    changes.into_iter().for_each(|change| state.said.change(change));
                }
                None
            });
            *bank.lock().unwrap() = Some(bed.bank.clone());
            let all: Vec<Says> = (1..9).flat_map(|number| [Add(number), Item(number, Positive)]).collect();
            bed.change(&all);
            for _ in 0..2 {
                block_on(bed.round(false)).unwrap();
            }
            bed.check(&format!("changed at request {at}"));
        }
    }
}

fn change() -> impl Strategy<Value = Says> {
    let kind = || proptest::sample::select(vec![Positive, Negative, Seen]);
    prop_oneof![
        3 => (0_u8..9).prop_map(Add),
        1 => (20_u8..22).prop_map(AddOther),
        4 => (0_u8..9, kind()).prop_map(|(number, kind)| Item(number, kind)),
        2 => (0_u8..9, kind()).prop_map(|(number, kind)| Hash(number, kind)),
        2 => (0_u8..9).prop_map(Back),
        1 => (0_u8..9).prop_map(Touch),
        1 => (0_u8..9).prop_map(Remove),
        1 => (20_u8..22, kind()).prop_map(|(number, kind)| Item(number, kind)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_history_with_any_crash_ends_with_what_is_said(
        programme in proptest::sample::select(HEARERS.to_vec()),
        stages in proptest::collection::vec(proptest::collection::vec(change(), 0..25), 1..5),
        request in proptest::option::of((0_u64..12, any::<bool>())),
        write in proptest::option::of((0_u64..6, any::<bool>())),
    ) {
        let write = write.map(|(at, is_before)| (at, if is_before { Failing::Before } else { Failing::After }));
        // An opinion that was withdrawn before the first round was never sent.
        let mut stages = stages;
        stages.insert(0, Vec::new());
        send_stages(programme, &stages, Crash { request, write });
    }
}
