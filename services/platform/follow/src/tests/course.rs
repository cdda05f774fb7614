//! Tests of the course alone, driven directly.

use std::time::Duration;

use super::fake::{LOG, place, sign, stretch};
use crate::course::{Course, Decision, Failure, Proof, Reason};
use crate::pauses::Growth;
use crate::place::{Disjoint, Position};
use crate::progress::{Progress, Unready};

const LOST: Growth = Growth { first: Duration::from_secs(1), bound_max: Duration::from_secs(4) };
const REBUILDS: Growth = Growth { first: Duration::from_secs(10), bound_max: Duration::from_secs(40) };

fn course() -> Course {
    Course::new(LOST, REBUILDS, || 1.0)
}

/// Returns a course whose feed is open from a position.
fn opened(from: u64, settled: u64) -> Course {
    let mut course = course();
    course.begin(place(from));
    course.opened(place(from), Position(settled));
    course
}

/// Passes a stretch to the course. Returns whether the state became ready.
fn take(course: &mut Course, after: u64, through: u64, head: u64, proof: Proof) -> bool {
    let stretch = stretch(LOG, after, through, head);
    course.received(&stretch).unwrap();
    course.applied(&stretch, proof)
}

#[test]
fn a_state_is_ready_once_it_has_what_the_source_had_and_a_digest_proved_it() {
    let mut course = opened(3, 0);
    assert_eq!(course.progress().unready(), Some(Unready::Unheard));
    // The source had 9 when the feed opened; later changes are not waited for.
    assert!(!take(&mut course, 3, 6, 9, Proof::Equal), "proven before it had everything");
    let behind = Unready::Behind { applied: Position(6), head: Position(9) };
    assert_eq!(course.progress().unready(), Some(behind));
    assert!(!take(&mut course, 6, 9, 9, Proof::None), "has everything and is not proven");
    assert_eq!(course.progress().unready(), Some(Unready::Unproven));
    assert!(course.progress().level);
    assert!(take(&mut course, 9, 10, 12, Proof::Equal));
    let expected = Progress { applied: Position(10), head: Position(12), ready: true, level: false };
    assert_eq!(course.progress(), expected);
    assert!(!take(&mut course, 10, 12, 12, Proof::None), "it was ready before");
    assert!(course.progress().ready);
}

#[test]
fn a_digest_proves_nothing_before_the_state_is_settled() {
    let mut course = opened(3, 8);
    assert!(!take(&mut course, 3, 7, 7, Proof::Equal));
    assert!(take(&mut course, 7, 8, 8, Proof::Equal));
}

#[test]
fn a_stretch_that_does_not_join_is_not_taken_note_of() {
    let mut course = opened(3, 0);
    let gap = Disjoint::Gap { after: Position(4), reached: Position(3) };
    assert_eq!(course.received(&stretch(LOG, 4, 5, 5)), Err(gap));
    assert!(take(&mut course, 3, 5, 5, Proof::Equal));
}

#[test]
fn a_stalled_state_is_not_ready_until_it_goes_on() {
    let mut course = opened(0, 0);
    assert!(take(&mut course, 0, 5, 5, Proof::Equal));
    course.received(&stretch(LOG, 5, 6, 6)).unwrap();
    course.stalled();
    assert!(!course.progress().ready && !course.progress().level);
    assert!(course.applied(&stretch(LOG, 5, 6, 6), Proof::None), "it was proven, and is level again");
}

#[test]
fn a_ready_state_stays_ready_while_the_source_is_lost() {
    let mut course = opened(0, 0);
    assert!(take(&mut course, 0, 5, 5, Proof::Equal));
    let decision = course.failed(Failure::Lost);
    assert_eq!(decision, Decision { drops: None, pause: LOST.first });
    assert!(course.progress().ready);
    // A later feed proves the state again, which changes nothing.
    course.begin(place(5));
    course.opened(place(5), Position::ZERO);
    assert!(!take(&mut course, 5, 7, 9, Proof::None));
    assert!(course.progress().ready);
}

#[test]
fn pauses_grow_until_an_attempt_comes_further() {
    let mut course = course();
    let mut lost = |from: u64, to: u64| {
        course.begin(place(from));
        course.opened(place(from), Position::ZERO);
        if to > from {
            take(&mut course, from, to, to + 1, Proof::None);
        }
        course.failed(Failure::Lost).pause.as_secs()
    };
    assert_eq!([lost(1, 1), lost(1, 1), lost(1, 1), lost(1, 1)], [1, 2, 4, 4]);
    assert_eq!([lost(1, 2), lost(2, 2)], [1, 2]);
}

#[test]
fn a_loaded_state_is_progress_even_if_no_feed_opens() {
    let mut course = course();
    let mut lost = |loads: bool| {
        course.begin(None);
        if loads {
            course.loading(Position(4));
            course.loaded(place(4));
        }
        course.failed(Failure::Lost).pause.as_secs()
    };
    assert_eq!([lost(false), lost(false), lost(true)], [1, 2, 1]);
}

#[test]
fn a_state_that_is_dropped_again_and_again_is_loaded_ever_more_rarely() {
    let mut course = course();
    let mut dropped = |proof: Proof, failure: Failure| {
        course.begin(None);
        course.loading(Position(4));
        course.loaded(place(4));
        course.opened(place(4), Position(4));
        course.received(&sign(4)).unwrap();
        course.applied(&sign(4), proof);
        let decision = course.failed(failure);
        let is_kept = decision.drops.is_none();
        assert!(is_kept || course.progress() == Progress::default());
        (decision.drops, decision.pause.as_secs())
    };
    let reasons = [Reason::Log, Reason::Change, Reason::Digest];
    let pauses = reasons.map(|reason| dropped(Proof::None, Failure::Unusable(reason)));
    assert_eq!(pauses, [(Some(Reason::Log), 10), (Some(Reason::Change), 20), (Some(Reason::Digest), 40)]);
    assert_eq!(dropped(Proof::None, Failure::NotLoaded), (None, 40));
    // The state was ready once.
    assert_eq!(dropped(Proof::Equal, Failure::Unusable(Reason::Digest)), (Some(Reason::Digest), 10));
    assert_eq!(dropped(Proof::None, Failure::Unusable(Reason::Digest)), (Some(Reason::Digest), 20));
}

#[test]
fn an_attempt_that_hears_nothing_does_not_call_the_state_level() {
    let mut course = opened(0, 0);
    take(&mut course, 0, 4, 4, Proof::Equal);
    assert!(course.progress().level);
    course.failed(Failure::Lost);
    course.begin(place(4));
    course.loaded(place(4));
    assert!(
        course.progress().ready && !course.progress().level,
        "the lag must grow while the source is away"
    );
}
