use proptest::prelude::*;

use super::*;
use crate::ClientIdentity;

const NOW: Duration = Duration::from_secs(1);

fn named(name: &str) -> Client {
    Client::Named(ClientIdentity(name.into()))
}

/// Returns a ledger of 900 bytes, of which 600 are open to all; a message has at most 100.
fn ledger() -> Ledger<u32> {
    Ledger::new(Sizes::of_requests(900, 100))
}

#[test]
fn there_is_room_for_messages_however_little_is_configured() {
    let parts = |total, message_max| {
        let Sizes { open, within_share, message_max, .. } = Sizes::of_requests(total, message_max);
        (open, within_share, message_max)
    };
    assert_eq!(parts(900, 100), (600, 800, 100));
    assert_eq!(parts(10, 100), (100, 200, 100));
    assert_eq!(parts(0, 0), (1, 2, 1));
    assert_eq!(Sizes::of_requests(900, 100).countable(1_000), 100);
}

#[test]
fn a_client_within_its_share_is_not_refused_though_another_has_taken_all_it_could() {
    let mut ledger = ledger();
    let mut taken = 0;
    while ledger.take(NOW, &named("greedy"), 50).is_ok() {
        taken += 50;
    }
    assert_eq!(taken, 600, "one that is alone has the open part");
    assert!(ledger.take(NOW, &named("modest"), 100).is_ok());
    assert_eq!(ledger.take(NOW, &named("greedy"), 1).unwrap_err(), Shortage::Share);
    assert!(ledger.take(NOW, &named("modest"), 100).is_ok());
    assert_eq!(ledger.take(NOW, &named("modest"), 1).unwrap_err(), Shortage::Share, "no more than all");
}

#[test]
fn what_is_announced_and_not_sent_counts_against_its_own_client_alone() {
    let mut ledger = ledger();
    for _ in 0..6 {
        ledger.announce(NOW, &named("stalled"), 100).unwrap();
    }
    assert_eq!(ledger.announce(NOW, &named("stalled"), 100).unwrap_err(), Shortage::Full);
    for _ in 0..3 {
        ledger.announce(NOW, &named("modest"), 100).unwrap();
        ledger.take(NOW, &named("modest"), 100).unwrap();
    }
    ledger.forget(&named("stalled"), 600);
    assert!(!ledger.announced.contains_key(&named("stalled")));
}

#[test]
fn messages_that_hold_all_bytes_and_wait_for_more_finish_one_after_the_other() {
    let mut ledger = ledger();
    let streams: Vec<_> = (0..8).map(|number| named(&number.to_string())).collect();
    // Each stream has 75 of its 100 bytes.
    let mut held: Vec<_> = streams.iter().map(|client| ledger.take(NOW, client, 75).unwrap()).collect();
    let mut finished = Vec::new();
    let mut waiting = 0;
    for (number, client) in (0..).zip(&streams) {
        match ledger.ask(NOW, client, 100, false, number) {
            Asked::Now(portion) => finished.push(portion),
            Asked::Later(_) => waiting += 1,
        }
    }
    assert!(waiting > 1, "{waiting}");
    let mut delivered = 0;
    while let Some(portion) = finished.pop().or_else(|| held.pop()) {
        ledger.leave(&portion);
        while let Some((_, portion)) = ledger.next(NOW) {
            finished.push(portion);
            delivered += 1;
        }
        assert!(ledger.in_use + ledger.overdrawn <= 900);
    }
    assert_eq!(delivered, waiting);
    assert_eq!((ledger.in_use, ledger.overdrawn, ledger.waiting.len()), (0, 0, 0));
}

#[derive(Debug, Clone)]
enum Step {
    Take(u8, usize),
    Ask(u8, usize),
    Leave(usize),
    Split(usize),
    GiveUp(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u8..4, 1_usize..=100).prop_map(|(client, bytes)| Step::Take(client, bytes)),
        (0_u8..4, 1_usize..=100).prop_map(|(client, bytes)| Step::Ask(client, bytes)),
        (0_usize..64).prop_map(Step::Leave),
        (0_usize..64).prop_map(Step::Split),
        (0_u64..64).prop_map(Step::GiveUp),
    ]
}

proptest! {
    #[test]
    fn the_total_is_bounded_and_all_of_it_comes_back(steps in prop::collection::vec(step(), 0..300)) {
        let mut ledger = ledger();
        let mut held: Vec<Portion> = Vec::new();
        for step in steps {
            match step {
                Step::Take(client, bytes) => {
                    held.extend(ledger.take(NOW, &named(&client.to_string()), bytes));
                }
                Step::Ask(client, bytes) => {
                    if let Asked::Now(portion) = ledger.ask(NOW, &named(&client.to_string()), bytes, false, 0) {
                        held.push(portion);
                    }
                }
                Step::Leave(at) if !held.is_empty() => {
                    let portion = held.remove(at % held.len());
                    ledger.leave(&portion);
                }
                Step::Split(at) if !held.is_empty() => {
                    let at = at % held.len();
                    let half = held[at].bytes() / 2;
                    let part = held[at].split(half).unwrap();
                    held.push(part);
                }
                Step::GiveUp(number) => ledger.give_up(number),
                Step::Leave(_) | Step::Split(_) => {}
            }
            while let Some((_, portion)) = ledger.next(NOW) {
                held.push(portion);
            }
            let total: usize = held.iter().map(Portion::bytes).sum();
            prop_assert_eq!(total, ledger.in_use + ledger.overdrawn);
            prop_assert!(total <= 900, "{}", total);
            // A waiter waits for a message that has overdrawn, and that message does not wait.
            prop_assert!(ledger.waiting.is_empty() || ledger.overdrawn > 0);
        }
        held.iter().for_each(|portion| ledger.leave(portion));
        while let Some((_, portion)) = ledger.next(NOW) {
            ledger.leave(&portion);
        }
        prop_assert_eq!((ledger.in_use, ledger.overdrawn, ledger.waiting.len()), (0, 0, 0));
    }
}

/// Reserves answers of `bytes` until one is refused. Returns their sum in bytes.
fn answers_of(ledger: &mut Ledger<u32>, client: &str, bytes: usize) -> usize {
    (0..).take_while(|_| ledger.take(NOW, &named(client), bytes).is_ok()).count() * bytes
}

#[test]
fn clients_that_read_no_answers_always_leave_as_much_to_the_next() {
    let mut ledger = Ledger::<u32>::new(Sizes::of_answers(6_400));
    let taken = ["first", "second", "third", "fourth"].map(|client| answers_of(&mut ledger, client, 10));
    assert_eq!(taken[0], 3_200, "half");
    assert_eq!(taken[1], 1_600, "half of what was left");
    assert_eq!(taken[2], 800);
    assert_eq!(taken[3], 400);
    assert!(ledger.take(NOW, &named("late"), 10).is_ok());
}

#[test]
fn large_answers_leave_room_for_small_ones_of_the_same_client_and_of_others() {
    let mut ledger = Ledger::<u32>::new(Sizes::of_answers(6_400));
    let large = answers_of(&mut ledger, "a", 1_000);
    assert_eq!(large, 2_000);
    assert!(answers_of(&mut ledger, "a", 100) >= 400);
    assert_eq!(answers_of(&mut ledger, "b", 1_600), 1_600, "the largest answer of another client");
    assert!(answers_of(&mut ledger, "c", 100) >= 400);
    assert!(ledger.take(NOW, &named("d"), 100).is_ok());
}

#[test]
fn whoever_waits_with_much_hides_no_other_client_that_waits() {
    let mut ledger = Ledger::<u32>::new(Sizes::of_answers(6_400));
    let mut held = Vec::new();
    while let Ok(one) = ledger.take(NOW, &named("greedy"), 1_000) {
        held.push(one);
    }
    let mut waiting = |client: &str, bytes, waiter| {
        matches!(ledger.ask(NOW, &named(client), bytes, false, waiter), Asked::Later(_))
    };
    assert!((0..3 * 64).all(|waiter| waiting("greedy", 1_600, waiter)));
    assert!(!waiting("modest", 1_600, 1_000));
    assert!(waiting("modest", 150, 1_001));
    ledger.leave(&held.pop().unwrap());
    assert_eq!(ledger.next(NOW).map(|(waiter, _)| waiter), Some(1_001));
    assert!(ledger.next(NOW).is_none());
}
