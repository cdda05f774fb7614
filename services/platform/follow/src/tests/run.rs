//! Tests of the task with a fake state and a fake source.

use std::sync::Arc;
use std::time::Duration;

use super::fake::{FakeSource, FakeState, Listener, PANIC, Part, Range, SLOW, Script, WRONG, parts, range};
use crate::course::Reason;
use crate::place::Position;
use crate::run::{Limits, follow};
use crate::user::Event::{self, Applied, Dropping, Loading, Lost, NotLoaded, Ready, Stalled};
use crate::user::{SourceError, State as _};

const LIMITS: Limits = Limits::new(Duration::from_secs(3_600), Duration::from_secs(1), || 0.5);

fn lost(text: &str) -> Event {
    Lost(text.to_owned())
}

fn dropping(reason: Reason, text: &str) -> Event {
    Dropping(reason, text.to_owned())
}

fn out_of_range<T>() -> Script<T> {
    Err(SourceError::OutOfRange("no longer kept".to_owned()))
}

/// A follower that plays these feeds and states.
struct Played {
    state: Arc<FakeState>,
    source: FakeSource,
    listener: Listener,
}

impl Played {
    fn new(states: Vec<Script<Part>>, feeds: Vec<Script<Range>>) -> Self {
        let (state, source) = (Arc::new(FakeState::default()), FakeSource::default());
        source.states.lock().unwrap().extend(states);
        source.feeds.lock().unwrap().extend(feeds);
        let listener = Listener { state: Arc::clone(&state), ..Listener::default() };
        Self { state, source, listener }
    }

    /// Follows until as many events as expected have occurred, and compares them.
    #[track_caller]
    fn check(&mut self, limits: Limits, expected: &[Event]) {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let heard = Arc::clone(&self.listener.heard);
        runtime.block_on(async {
            let enough = async {
                while heard.lock().unwrap().len() < expected.len() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            follow(Arc::clone(&self.state), self.source.clone(), &mut self.listener, limits, enough).await;
        });
        assert_eq!(heard.lock().unwrap()[..expected.len()], *expected);
    }
}

/// Runs a follower that first loads the numbers 1 and 2 as of position 4, and then follows these feeds.
/// Checks the events, and the positions at which it opens the feeds.
#[track_caller]
fn check(states: Vec<Script<Part>>, feeds: Vec<Script<Range>>, expected: &[Event], asked: &[u64]) -> Played {
    let mut all = vec![Ok(parts(4, &[1, 2]))];
    all.extend(states);
    let mut played = Played::new(all, feeds);
    let mut events = vec![Loading(Position(4))];
    events.extend_from_slice(expected);
    played.check(LIMITS, &events);
    assert_eq!(*played.source.asked.lock().unwrap(), asked);
    played
}

#[test]
fn a_state_is_loaded_and_follows_from_there() {
    let feed = vec![range(4, &[], 3), range(4, &[5, 6], None)];
    let expected = [Ready(Position(4)), Applied(Position(4)), Applied(Position(6)), lost("ended")];
    let played = check(vec![], vec![Ok(feed)], &expected, &[4]);
    assert_eq!(played.state.held().sum, 14);
    assert_eq!(played.state.clears(), 0);
    assert!(played.state.standing().now().ready, "it stays ready while the source is away");
}

#[test]
fn a_feed_that_is_lost_is_opened_after_the_last_change() {
    let feeds = vec![Ok(vec![range(4, &[5], None)]), Ok(vec![range(5, &[6], 14)])];
    let expected =
        [Applied(Position(5)), lost("ended"), Ready(Position(6)), Applied(Position(6)), lost("ended")];
    check(vec![], feeds, &expected, &[4, 5]);
}

#[test]
fn a_gap_is_not_stepped_over() {
    let feeds = vec![Ok(vec![range(4, &[5], None), range(6, &[7], None)]), Ok(vec![range(5, &[6, 7], 21)])];
    let gap = "the feed continues after 6, but 5 was reached";
    let expected = [Applied(Position(5)), lost(gap), Ready(Position(7)), Applied(Position(7))];
    let played = check(vec![], feeds, &expected, &[4, 5]);
    assert_eq!(played.state.clears(), 0);
}

#[test]
fn what_the_source_does_not_continue_is_loaded_anew() {
    let other = Range { log: 8, ..range(4, &[5], None) };
    let text = "the feed is of the log 00000000000000000000000000000008, and the state is of \
                00000000000000000000000000000007";
    for (feed, text) in [(Ok(vec![other]), text), (out_of_range(), "no longer kept")] {
        let expected = [
            dropping(Reason::Log, text),
            Loading(Position(9)),
            Ready(Position(9)),
            Applied(Position(9)),
            lost("ended"),
        ];
        let states = vec![Ok(parts(9, &[4]))];
        let played = check(states, vec![feed, Ok(vec![range(9, &[], 4)])], &expected, &[4, 9]);
        assert_eq!((played.state.clears(), played.state.held().sum), (1, 4));
    }
}

#[test]
fn what_contradicts_the_state_drops_it() {
    let panic = "applying a change failed: task ";
    for (wrong, reason, text) in [
        (range(4, &[], 99), Reason::Digest, "another sum"),
        (range(4, &[WRONG], None), Reason::Change, "no such number"),
        (range(4, &[PANIC], None), Reason::Change, panic),
    ] {
        let feeds = vec![Ok(vec![range(4, &[], 3), wrong]), Ok(vec![range(4, &[], 3)])];
        let mut played = Played::new(vec![Ok(parts(4, &[1, 2])), Ok(parts(4, &[1, 2]))], feeds);
        let once = [Loading(Position(4)), Ready(Position(4)), Applied(Position(4))];
        let heard = Arc::clone(&played.listener.heard);
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let enough = async {
                while heard.lock().unwrap().len() < 7 {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            let state = Arc::clone(&played.state);
            follow(state, played.source.clone(), &mut played.listener, LIMITS, enough).await;
        });
        let ready = played.listener.ready.lock().unwrap();
        assert_eq!(ready[..7], [false, true, true, false, false, true, true]);
        let heard = heard.lock().unwrap();
        assert_eq!(heard[..3], once);
        assert!(
            matches!(&heard[3], Dropping(received, why) if *received == reason && why.starts_with(text)),
            "{heard:?}"
        );
        assert_eq!(heard[4..7], once);
        assert_eq!(played.state.clears(), 1);
    }
}

#[test]
fn a_state_that_is_found_damaged_is_loaded_anew() {
    let mut played = Played::new(
        vec![Ok(parts(9, &[4]))],
        vec![Ok(vec![range(6, &[1], None)]), Ok(vec![range(9, &[], 4)])],
    );
    played.state.begin(6, 9);
    played.state.damage.send_replace(Some("a bit flipped".to_owned()));
    let expected = [dropping(Reason::Damage, "a bit flipped"), Loading(Position(9)), Ready(Position(9))];
    played.check(LIMITS, &expected);
    assert_eq!((played.state.clears(), played.state.held().sum), (1, 4), "nothing was applied to it");
}

#[test]
fn a_state_that_is_not_whole_is_asked_for_again() {
    let broken = parts(4, &[1, 2])[..2].to_vec();
    let refused = Err(SourceError::Lost("no such stream".to_owned()));
    let damaged = Err(SourceError::Damaged("item 5 is damaged".to_owned()));
    let states = vec![
        refused,
        damaged,
        Ok(broken),
        Ok(parts(5, &[WRONG])),
        Ok(parts(6, &[PANIC])),
        Ok(parts(7, &[1])),
    ];
    let mut played = Played::new(states, vec![Ok(vec![range(7, &[], 1)])]);
    let heard = Arc::clone(&played.listener.heard);
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut watched = played.state.standing().watch();
        let ready = async {
            assert_eq!(watched.wait_for(|now| now.ready).await.unwrap().applied, Position(7));
        };
        follow(played.state.clone(), played.source.clone(), &mut played.listener, LIMITS, ready).await;
    });
    let heard = heard.lock().unwrap();
    let expected = [
        lost("no such stream"),
        NotLoaded("item 5 is damaged".to_owned()),
        Loading(Position(4)),
        lost("ended"),
        Loading(Position(5)),
        NotLoaded("no such number".to_owned()),
        Loading(Position(6)),
    ];
    assert_eq!(heard[..7], expected);
    assert!(matches!(&heard[7], NotLoaded(why) if why.starts_with("loading it failed: ")), "{heard:?}");
    assert_eq!(heard[8], Loading(Position(7)));
    assert_eq!(played.state.clears(), 0);
}

#[test]
fn a_state_may_begin_with_something_else_than_the_sources() {
    let mut played = Played::new(vec![], vec![Ok(vec![range(6, &[1], 10)])]);
    played.listener.kept = Some((6, 9));
    played.check(LIMITS, &[Ready(Position(7)), Applied(Position(7)), lost("ended")]);
    assert_eq!(*played.source.asked.lock().unwrap(), [6]);
}

#[test]
fn a_state_that_takes_long_to_apply_is_not_ready_meanwhile() {
    let mut played = Played::new(vec![], vec![Ok(vec![range(6, &[], 9), range(6, &[SLOW], None)])]);
    played.state.begin(6, 9);
    *played.state.fault.lock().unwrap() = Some("no space".to_owned());
    let fault = Some("no space".to_owned());
    // In real time: a paused clock does not advance while a thread is busy.
    let limits = Limits { apply_max: Duration::from_millis(20), ..LIMITS };
    let heard = Arc::clone(&played.listener.heard);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let mut watched = played.state.standing().watch();
        let readiness = async {
            watched.wait_for(|now| now.ready).await.unwrap();
            watched.wait_for(|now| !now.ready).await.unwrap();
            watched.wait_for(|now| now.ready).await.unwrap();
        };
        follow(played.state.clone(), played.source.clone(), &mut played.listener, limits, readiness).await;
    });
    let first = [Event::Fault(fault.clone()), Ready(Position(6)), Applied(Position(6)), Stalled(fault)];
    assert_eq!(heard.lock().unwrap()[..4], first);
}

#[test]
fn nothing_works_on_a_state_that_is_no_longer_followed() {
    let mut played = Played::new(vec![], vec![Ok(vec![range(6, &[SLOW], None)])]);
    played.state.begin(6, 9);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let stop = tokio::time::sleep(Duration::from_millis(20));
        follow(played.state.clone(), played.source.clone(), &mut played.listener, LIMITS, stop).await;
    });
    // The range was applied to its end, and no further range followed.
    assert_eq!(played.state.held().sum, 9 + SLOW);
    assert!(played.listener.heard.lock().unwrap().is_empty());
    drop(played.listener);
    assert!(Arc::into_inner(played.state).is_some());
}
