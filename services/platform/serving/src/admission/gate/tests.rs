use super::*;
use crate::admission::limit::Aim;
use crate::admission::simulation::{Cost, Server, Source, run};
use crate::authorization::identity::ClientIdentity;

fn named(name: &str) -> Client {
    Client::Named(ClientIdentity(name.into()))
}

const NOW: Duration = Duration::from_secs(1);

fn adaptive(least: usize, most: usize) -> Limit {
    let latency_target = Duration::from_millis(5);
    let aim = Aim { limit_min: least, limit_max: most, limit_initial: least, latency_target };
    Limit::adaptive(aim, NOW)
}

fn admission(limit: usize, waiting_max: usize) -> Gate<&'static str> {
    Gate::new(adaptive(limit, limit), limit, waiting_max)
}

fn fill(admission: &mut Gate<&'static str>, client: &str, priority: Priority) -> Vec<Held> {
    std::iter::from_fn(|| admission.admit(NOW, named(client), priority).ok()).collect()
}

#[test]
fn bulk_leaves_a_quarter_for_interactive_calls() {
    let mut admission = admission(16, 0);
    let bulk = fill(&mut admission, "a", Priority::Bulk);
    assert_eq!(bulk.len(), 12);
    assert_eq!(admission.admit(NOW, named("a"), Priority::Bulk).unwrap_err(), Refusal::Bulk);
    let interactive = fill(&mut admission, "a", Priority::Interactive);
    assert_eq!(interactive.len(), 4);
    assert_eq!(admission.admit(NOW, named("a"), Priority::Interactive).unwrap_err(), Refusal::Full);
    assert!(admission.overload() > 1.0);
}

#[test]
fn a_single_place_serves_both_priorities() {
    for priority in [Priority::Bulk, Priority::Interactive] {
        assert_eq!(fill(&mut admission(1, 0), "a", priority).len(), 1);
    }
}

#[test]
fn a_client_within_its_share_finds_room_though_another_took_all() {
    let mut admission = Gate::<()>::new(adaptive(12, 100), 100, 0);
    let greedy: Vec<_> =
        std::iter::from_fn(|| admission.admit(NOW, named("greedy"), Priority::Interactive).ok()).collect();
    assert_eq!(greedy.len(), 12);
    for _ in 0..200 {
        assert!(admission.admit(NOW, named("greedy"), Priority::Interactive).is_err());
    }
    let modest: Vec<_> =
        std::iter::from_fn(|| admission.admit(NOW, named("modest"), Priority::Interactive).ok()).collect();
    assert_eq!(modest.len(), 6, "in all half the limit more");
    assert_eq!(admission.admit(NOW, named("modest"), Priority::Interactive).unwrap_err(), Refusal::Full);
    assert_eq!(admission.admit(NOW, named("greedy"), Priority::Interactive).unwrap_err(), Refusal::Share);
    for held in greedy {
        assert!(admission.admit(NOW, named("greedy"), Priority::Interactive).is_err());
        admission.leave(NOW, held, None);
        if admission.in_flight() < 12 {
            break;
        }
    }
    assert!(admission.admit(NOW, named("greedy"), Priority::Interactive).is_ok(), "what is left");
}

#[test]
fn the_hard_limit_holds_for_everybody() {
    let mut admission = admission(8, 0);
    let mut held = fill(&mut admission, "a", Priority::Interactive);
    for client in ["b", "c", "d"] {
        held.extend(fill(&mut admission, client, Priority::Interactive));
    }
    assert_eq!(held.len(), 8);
}

#[test]
fn waiting_work_goes_on_in_turn_and_those_who_have_little_first() {
    let mut admission = admission(4, 3);
    let mut held = fill(&mut admission, "a", Priority::Bulk);
    assert_eq!(held.len(), 3);
    for (client, waiter) in [("a", "a1"), ("b", "b1"), ("a", "a2")] {
        assert!(matches!(admission.ask(NOW, named(client), Want::ONE, waiter), Ok(Asked::Later(_))));
    }
    assert_eq!(admission.ask(NOW, named("a"), Want::ONE, "a3").unwrap_err(), Refusal::Waiting);
    assert!(admission.next(NOW).is_none());

    let mut delivered = Vec::new();
    while let Some(one) = held.pop() {
        admission.leave(NOW, one, None);
        while let Some((waiter, one)) = admission.next(NOW) {
            delivered.push(waiter);
            held.insert(0, one);
        }
    }
    assert_eq!(delivered, ["b1", "a1", "a2"]);
    assert_eq!((admission.in_flight(), admission.waiting()), (0, 0));
}

#[test]
fn a_waiter_that_gives_up_gets_no_slot() {
    let mut admission = admission(1, 3);
    let held = fill(&mut admission, "a", Priority::Bulk);
    let numbers: Vec<_> = ["x", "y", "z"]
        .into_iter()
        .map(|waiter| match admission.ask(NOW, named("a"), Want::ONE, waiter).unwrap() {
            Asked::Later(number) => number,
            Asked::Now(_) => panic!("there is no slot"),
        })
        .collect();
    admission.give_up(numbers[0]);
    admission.give_up(numbers[0]);
    admission.give_up(99);
    for one in held {
        admission.leave(NOW, one, None);
    }
    assert_eq!(admission.next(NOW).unwrap().0, "y");
}

#[test]
fn bulk_calls_overtake_bulk_work_that_waits_only_where_their_client_has_less() {
    let mut admission = admission(8, 3);
    let mut held = fill(&mut admission, "a", Priority::Bulk);
    assert!(matches!(admission.ask(NOW, named("a"), Want::ONE, "stream"), Ok(Asked::Later(_))));
    admission.leave(NOW, held.pop().unwrap(), None);
    assert!(admission.admit(NOW, named("a"), Priority::Bulk).is_err());
    let other = admission.admit(NOW, named("b"), Priority::Bulk).unwrap();
    assert!(admission.next(NOW).is_none(), "there was one slot");
    admission.leave(NOW, other, None);
    assert!(matches!(admission.ask(NOW, named("b"), Want::ONE, "another"), Ok(Asked::Now(_))));
    admission.leave(NOW, held.pop().unwrap(), None);
    assert_eq!(admission.next(NOW).unwrap().0, "stream");
}

#[test]
fn a_greedy_client_does_not_starve_a_modest_one() {
    // Twice what the server can do, ten parts of it from one client and one part from the other.
    let sources = [Source::interactive("greedy", 20.0 / 11.0), Source::interactive("modest", 2.0 / 11.0)];
    for (workers, cost) in [
        (4, Cost::Exponential(0.010)),
        (2, Cost::Fixed(0.005)),
        (16, Cost::LogNormal(0.010, 1.5)),
        (8, Cost::Mixed(0.001, 0.05, 0.1, true)),
    ] {
        let report = run(&Server::new(workers, cost, 60.0), &sources, 3);
        let (greedy, modest) = (&report.outcomes[0], &report.outcomes[1]);
        let context = format!(
            "{cost:?}: modest {:.4}, greedy {:.3}, goodput {:.3}, limit {}",
            modest.accepted_share(),
            greedy.accepted_share(),
            report.goodput,
            report.limit
        );
        println!("{context}");
        assert!(modest.accepted_share() >= 0.99, "{context}");
        assert!(greedy.accepted_share() < 0.6 && report.goodput > 0.9, "{context}");
    }
}

#[test]
fn interactive_calls_find_room_beside_bulk_streams_without_end() {
    let streams = Source { client: "a", priority: Priority::Bulk, load: 0.0, streams: 64 };
    for cost in [Cost::Exponential(0.010), Cost::Mixed(0.001, 0.1, 0.1, true)] {
        let sources = [Source::interactive("a", 0.2), streams.clone()];
        let report = run(&Server::new(8, cost, 60.0), &sources, 5);
        let interactive = &report.outcomes[0];
        let context = format!(
            "{cost:?}: accepted {:.4}, bulk ended {}, goodput {:.3}, limit {}",
            interactive.accepted_share(),
            report.outcomes[1].latencies.len(),
            report.goodput,
            report.limit
        );
        println!("{context}");
        assert!(interactive.accepted_share() >= 0.99, "{context}");
        // The remaining capacity is used.
        assert!(report.goodput > 0.9, "{context}");
    }
}

/// Interactive calls of one client, calls of two clients, and bulk work: never more than the limit, and it
/// stays.
#[test]
fn a_fixed_limit_is_kept_to_the_call_whatever_calls_take() {
    let mut gate = Gate::<&'static str>::new(Limit::fixed(12), 512, 2);
    let mut held = fill(&mut gate, "a", Priority::Interactive);
    assert_eq!(held.len(), 12);
    assert_eq!(gate.admit(NOW, named("a"), Priority::Interactive).unwrap_err(), Refusal::Full);
    // A client with less than its share may exceed a learned limit, which corrects itself, but not a fixed
    // one.
    assert_eq!(gate.admit(NOW, named("b"), Priority::Interactive).unwrap_err(), Refusal::Full);
    assert!(matches!(gate.ask(NOW, named("b"), Want::ONE, "b1"), Ok(Asked::Later(_))));
    assert!(matches!(gate.ask(NOW, named("b"), Want::ONE, "b2"), Ok(Asked::Later(_))));
    assert_eq!(gate.ask(NOW, named("b"), Want::ONE, "b3").unwrap_err(), Refusal::Waiting);

    // Calls that take ever longer, and refusals all the time, for ten minutes.
    let mut now = NOW;
    for call in 0..60_000_u32 {
        now += Duration::from_millis(10);
        gate.leave(now, held.remove(0), Some((Class(call % 7), Duration::from_millis(u64::from(call)))));
        held.push(gate.admit(now, named("a"), Priority::Interactive).unwrap());
        assert_eq!((gate.limit(), gate.in_flight()), (12, 12));
        assert!(gate.admit(now, named("a"), Priority::Interactive).is_err());
    }
    // Bulk work may have nine of twelve slots.
    for one in held.drain(..4) {
        gate.leave(now, one, None);
    }
    assert_eq!(gate.next(now).unwrap().0, "b1");
    assert!(gate.next(now).is_none());
}

#[test]
fn a_fixed_limit_under_overload_never_moves() {
    let server = Server { fixed: Some(24), ..Server::new(4, Cost::Exponential(0.010), 30.0) };
    let report = run(&server, &[Source::interactive("a", 3.0)], 11);
    assert_eq!((report.limit, report.limit_least), (24, 24));
    assert!(report.goodput > 0.9, "{}", report.goodput);
}

fn costly(slots: usize) -> Want {
    Want { slots, has_one: true }
}

#[test]
fn a_costly_call_takes_several_slots_and_leaves_those_of_interactive_calls() {
    let mut admission = admission(16, 8);
    let mut call = || {
        let held = admission.admit(NOW, named("a"), Priority::Interactive).unwrap();
        (held, admission.ask(NOW, named("a"), costly(100), "a").unwrap())
    };
    let (first, second, third) = (call(), call(), call());
    assert!(matches!((&first.1, &second.1), (Asked::Now(_), Asked::Now(_))));
    assert!(matches!(third.1, Asked::Later(_)), "bulk work has twelve slots, and each costly call six");
    assert_eq!(admission.in_flight(), 12, "the one that waits has none");
    assert_eq!(fill(&mut admission, "a", Priority::Interactive).len(), 4);
    assert!(admission.next(NOW).is_none());
    let Asked::Now(more) = first.1 else { panic!("it was admitted") };
    admission.leave(NOW, more, None);
    admission.leave(NOW, first.0, None);
    assert!(admission.next(NOW).is_none(), "the interactive calls have taken their place");
}

#[test]
fn a_costly_call_that_is_given_up_has_its_own_slot_back() {
    let mut admission = admission(8, 8);
    let held = fill(&mut admission, "a", Priority::Interactive);
    assert_eq!(held.len(), 8);
    let Ok(Asked::Later(number)) = admission.ask(NOW, named("a"), costly(3), "a") else { panic!("it waits") };
    assert_eq!(admission.in_flight(), 7);
    admission.give_up(number);
    assert_eq!(admission.in_flight(), 8);
    held.into_iter().for_each(|one| admission.leave(NOW, one, None));
    assert_eq!(admission.in_flight(), 0);
}

#[test]
fn costly_calls_of_one_client_wait_behind_those_of_another() {
    let mut admission = admission(16, 8);
    let mut ask = |client: &'static str| {
        let held = admission.admit(NOW, named(client), Priority::Interactive).unwrap();
        (held, admission.ask(NOW, named(client), costly(6), client).unwrap())
    };
    let (first, _second) = (ask("greedy"), ask("greedy"));
    let (_third, _fourth) = (ask("greedy"), ask("modest"));
    let Asked::Now(more) = first.1 else { panic!("it was admitted") };
    admission.leave(NOW, more, None);
    admission.leave(NOW, first.0, None);
    assert_eq!(admission.next(NOW).map(|(client, _)| client), Some("modest"));
}

#[test]
fn bulk_work_that_outlasts_a_larger_limit_leaves_a_quarter_of_the_smaller_one() {
    let latency_target = Duration::from_millis(5);
    let aim = Aim { limit_min: 4, limit_max: 64, limit_initial: 64, latency_target };
    let mut gate = Gate::<&'static str>::new(Limit::adaptive(aim, NOW), 64, 8);
    let bulk = fill(&mut gate, "greedy", Priority::Bulk);
    assert_eq!(bulk.len(), 48);
    // Calls that take ever longer: the limit shrinks nearly to its minimum.
    let mut now = NOW;
    for call in 0..20_000_u64 {
        now += Duration::from_millis(10);
        if let Ok(held) = gate.admit(now, named("greedy"), Priority::Interactive) {
            gate.leave(now, held, Some((Class(0), Duration::from_millis(1 + call))));
        }
        if gate.limit() <= 8 {
            break;
        }
        assert!(gate.admit(now, named("greedy"), Priority::Bulk).is_err());
    }
    assert_eq!(gate.in_flight(), 48);
    assert!(gate.limit() <= 8, "{}", gate.limit());
    now += Duration::from_secs(30);
    let held = gate.admit(now, named("quiet"), Priority::Interactive).unwrap();
    gate.leave(now, held, None);
    bulk.into_iter().for_each(|held| gate.leave(now, held, None));
    assert_eq!((gate.in_flight(), gate.bulk_in_flight), (0, 0));
}

/// Probes of the limit hold back clients that ask for much. A few calls of the modest client are refused,
/// because its calls overlap now and then, and such a call has one before it.
#[test]
fn a_client_with_nothing_in_flight_is_never_refused_for_what_another_has() {
    let sources = [Source::interactive("greedy", 3.0), Source::interactive("modest", 0.01)];
    for (workers, cost) in [(4, Cost::Exponential(0.010)), (8, Cost::Mixed(0.001, 0.05, 0.1, true))] {
        let report = run(&Server::new(workers, cost, 600.0), &sources, 7);
        let (greedy, modest) = (&report.outcomes[0], &report.outcomes[1]);
        let context =
            format!("{cost:?}: {:.5}, greedy {:.3}", modest.accepted_share(), greedy.accepted_share());
        println!("{context}");
        assert!(modest.accepted_share() >= 0.999, "{context}");
    }
}
