//! Tests of refusals, pauses and opinions of other origin.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use vigie_model::OpinionKind::{Negative, Positive};

use super::hearing::{Bed, HEARERS, Spoiled};
use super::said::Says::{Add, Back, Item, Touch};
use crate::asking::request::{Method, Response};
use crate::cursor::OutPlace;
use crate::following::alarm::{Alarm, Failure};
use crate::tests::servers::Programme;
use crate::tests::write_back::block_on;

#[test]
fn a_refused_opinion_is_named_and_holds_nobody_up() {
    for programme in HEARERS {
        let bed = Bed::new(programme);
        let all: Vec<_> = (1..8).flat_map(|number| [Add(number), Item(number, Positive)]).collect();
        bed.change(&all);
        bed.heard.lock().unwrap().refuses.extend([2, 5]);
        let (done, alarm) = block_on(bed.round(false)).unwrap();
        let ids = [2, 5].map(|number| bed.bank.lock().said.id_of(number));
        assert_eq!((done.opinions_sent, done.opinions_refused), (5, 2), "{programme:?}");
        assert_eq!(alarm, Some(Alarm::Unsaid { refused: ids.to_vec(), more: 0 }), "{programme:?}");
        let text = alarm.unwrap().to_string();
        assert!(text.contains(&format!("items {}, {};", ids[0], ids[1])), "{text}");
        // The opinion is not sent again without a reason, and the alarm still names the item.
        let requests = bed.heard.lock().unwrap().requests;
        let (_, alarm) = block_on(bed.round(false)).unwrap();
        assert!(alarm.is_some() && bed.heard.lock().unwrap().requests == requests);
        // When something of the item changes, its opinion is sent again. The other one is sent when a person
        // requests a round.
        bed.heard.lock().unwrap().refuses.clear();
        bed.change(&[Touch(2)]);
        let (_, alarm) = block_on(bed.round(false)).unwrap();
        assert_eq!(alarm, Some(Alarm::Unsaid { refused: vec![ids[1]], more: 0 }), "{programme:?}");
        assert_eq!(block_on(bed.round(true)).unwrap().1, None);
        bed.check("after a round that was asked for");
    }
}

#[test]
fn more_refusals_than_are_kept_are_counted_and_sent_again_when_somebody_asks() {
    let bed = Bed::new(Programme::StopNcii);
    let all: Vec<_> = (1..60).flat_map(|number| [Add(number), Item(number, Negative)]).collect();
    bed.change(&all);
    bed.heard.lock().unwrap().refuses.extend(1..31);
    let (done, alarm) = block_on(bed.round(false)).unwrap();
    assert_eq!((done.opinions_sent, done.opinions_refused), (29, 30));
    let Some(Alarm::Unsaid { refused, more }) = &alarm else { panic!("{alarm:?}") };
    assert_eq!((refused.len(), *more), (OutPlace::IDS_MAX, 10));
    assert!(alarm.as_ref().unwrap().to_string().contains("and 10 more"), "{alarm:?}");
    bed.heard.lock().unwrap().refuses.clear();
    assert_eq!(block_on(bed.round(true)).unwrap().1, None);
    bed.check("all of them");
}

#[test]
fn what_a_programme_no_longer_has_needs_no_opinion() {
    // StopNCII has one call for all hashes, and never reports that a hash is gone.
    for programme in [Programme::Ncmec, Programme::ThreatExchange] {
        let bed = Bed::new(programme);
        bed.change(&[Add(1), Add(2), Item(1, Positive), Item(2, Negative)]);
        bed.heard.lock().unwrap().gone.insert(1);
        let (_, alarm) = block_on(bed.round(false)).unwrap();
        assert_eq!(alarm, None, "{programme:?}");
        assert_eq!(bed.heard.lock().unwrap().words.keys().copied().collect::<Vec<_>>(), [2]);
    }
    // A descriptor is deleted between the search and the reaction.
    let bed = Bed::with(Programme::ThreatExchange, |count, request| {
        let is_first_reaction = matches!(request.method, Method::Form(_)) && count == 1;
        is_first_reaction.then(|| Spoiled::Before(Ok(Response::of_status(404))))
    });
    bed.change(&[Add(1), Add(2), Item(1, Positive), Item(2, Negative)]);
    assert_eq!(block_on(bed.round(false)).unwrap().1, None);
    assert_eq!(bed.heard.lock().unwrap().words.keys().copied().collect::<Vec<_>>(), [2]);
}

#[test]
fn an_endpoint_that_is_not_there_is_an_alarm_and_loses_no_opinion() {
    for programme in [Programme::StopNcii, Programme::ThreatExchange] {
        let status = Arc::new(Mutex::new(Some(404)));
        let answered = Arc::clone(&status);
        let bed = Bed::with(programme, move |_, _| {
            let status = (*answered.lock().unwrap())?;
            Some(Spoiled::Before(Ok(Response::of_status(status))))
        });
        let all: Vec<_> = (1..6).flat_map(|number| [Add(number), Item(number, Positive)]).collect();
        bed.change(&all);
        for not_there in [404, 410] {
            *status.lock().unwrap() = Some(not_there);
            for is_asked in [false, true] {
                let stopped = block_on(bed.round(is_asked)).unwrap_err();
                assert_eq!(stopped, Failure::Alarm(Alarm::Refused(not_there)), "{programme:?}");
                assert_eq!((bed.place().after, bed.place().known), (0, 0), "{programme:?}");
            }
        }
        // Each round sends one request: a request for many is not split into requests for one.
        assert_eq!(bed.heard.lock().unwrap().requests, 4, "{programme:?}");
        *status.lock().unwrap() = None;
        let (done, alarm) = block_on(bed.round(false)).unwrap();
        assert_eq!((done.opinions_sent, alarm), (5, None), "{programme:?}");
        bed.check("once it is there");
    }
}

#[test]
fn an_item_that_changes_otherwise_is_not_sent_again() {
    for programme in HEARERS {
        let bed = Bed::new(programme);
        bed.change(&[Add(1), Add(2), Item(1, Positive), Item(2, Negative)]);
        block_on(bed.round(false)).unwrap();
        let requests = bed.heard.lock().unwrap().requests;
        bed.change(&[Touch(1), Touch(2)]);
        let (done, _) = block_on(bed.round(false)).unwrap();
        assert_eq!((done.opinions_sent, bed.heard.lock().unwrap().requests), (0, requests), "{programme:?}");
        // A new opinion is sent, once.
        bed.change(&[Item(1, Negative), Touch(2)]);
        assert_eq!(block_on(bed.round(false)).unwrap().0.opinions_sent, 1, "{programme:?}");
        bed.check("a new opinion");
        bed.change(&[Touch(1)]);
        assert_eq!(block_on(bed.round(false)).unwrap().0.opinions_sent, 0, "{programme:?}");
    }
}

#[test]
fn an_opinion_taken_back_before_the_first_round_is_never_sent() {
    for programme in [Programme::StopNcii, Programme::ThreatExchange] {
        let bed = Bed::new(programme);
        bed.change(&[Add(1), Item(1, Positive), Back(1)]);
        block_on(bed.round(false)).unwrap();
        assert_eq!((bed.heard.lock().unwrap().requests, bed.place().since), (0, 3), "{programme:?}");
        bed.change(&[Item(1, Negative)]);
        block_on(bed.round(false)).unwrap();
        bed.change(&[Back(1)]);
        block_on(bed.round(false)).unwrap();
        bed.check("taken back");
    }
}

#[test]
fn a_busy_programme_is_waited_for_and_refused_credentials_are_an_alarm() {
    for programme in HEARERS {
        let status = Arc::new(Mutex::new(Some(429)));
        let answered = Arc::clone(&status);
        let bed = Bed::with(programme, move |_, _| {
            let status = (*answered.lock().unwrap())?;
            let retry_after = (status == 429).then(|| Duration::from_secs(3_600));
            Some(Spoiled::Before(Ok(Response { retry_after, ..Response::of_status(status) })))
        });
        bed.change(&[Add(1), Item(1, Positive)]);
        let busy = block_on(bed.round(false)).unwrap_err();
        let asked = Some(Duration::from_secs(3_600));
        assert!(matches!(&busy, Failure::Passing(_, pause) if *pause == asked), "{busy:?}");
        *status.lock().unwrap() = Some(401);
        let refused = block_on(bed.round(false)).unwrap_err();
        assert_eq!(refused, Failure::Alarm(Alarm::Credentials(401)), "{programme:?}");
        *status.lock().unwrap() = Some(418);
        let stopped = block_on(bed.round(false)).unwrap_err();
        assert_eq!(stopped, Failure::Alarm(Alarm::Refused(418)), "{programme:?}");
        *status.lock().unwrap() = None;
        block_on(bed.round(false)).unwrap();
        bed.check("in the end");
    }
}
