//! Tests of failures that stop write-back, of those that do not, and of the alarms for a person.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::bed::{BOTH, Bed, lost, stages};
use super::own::OwnChange::{Add, Hold, Remove, Restore};
use super::taking::{Spoiled, Taking, write_back};
use crate::asking::request::{Method, Response, Target};
use crate::cursor::OutPlace;
use crate::following::alarm::{Alarm, Failure};
use crate::tests::model::Model;
use crate::tests::servers::Programme;

#[tokio::test(start_paused = true)]
async fn nothing_is_stored_or_sent_without_news() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.run().await;
        assert!(bed.bank.only().cursor.is_empty());
        bed.change(&stages()[0]);
        bed.run().await;
        let (cursor, writes) = (bed.bank.only().cursor, bed.bank.lock().parts.len());
        // The log continues with changes of other banks.
        bed.bank.lock().own.head += 50;
        let app = bed.app();
        let (done, _) = write_back(&bed.bank, &app, 0, false).await.unwrap();
        assert_eq!((done.submitted, *app.requests.lock().unwrap()), (0, 0), "{programme:?}");
        assert_eq!((bed.bank.only().cursor, bed.bank.lock().parts.len()), (cursor, writes));
    }
}

#[tokio::test(start_paused = true)]
async fn a_busy_programme_is_waited_for_and_a_refused_credential_stops_write_back() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&stages()[0]);
        let answer = |count: u64| match count {
            0 => Some(Response { retry_after: Some(Duration::from_secs(30)), ..Response::of_status(429) }),
            1 => Some(Response::of_status(503)),
            _ => None,
        };
        let fetch = Taking::new(programme, "111", &bed.given, move |count, _| {
            answer(count).map(|answer| Spoiled::Before(Ok(answer)))
        });
        let began = Instant::now();
        let (done, _) = write_back(&bed.bank, &fetch, 3, false).await.unwrap();
        assert_eq!((done.retries, done.submitted), (2, 6), "{programme:?}");
        assert!((30..=35).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
        bed.check("after a pause");

        bed.change(&[Remove(0)]);
        for (status, is_alarm) in [(503, false), (401, true)] {
            let fetch = Taking::new(programme, "111", &bed.given, move |_, _| {
                Some(Spoiled::Before(Ok(Response::of_status(status))))
            });
            let failure = write_back(&bed.bank, &fetch, 1, false).await.unwrap_err();
            assert_eq!(failure == Failure::Alarm(Alarm::Credentials(401)), is_alarm, "{failure:?}");
            assert_eq!(matches!(failure, Failure::Passing(..)), !is_alarm, "{failure:?}");
        }
        bed.run().await;
        bed.check("after a refusal");
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_not_there_is_an_alarm_and_loses_no_withdrawal() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&stages()[0]);
        bed.run().await;
        bed.change(&[Remove(0), Remove(1)]);
        for status in [404, 410] {
            let fetch = Taking::new(programme, "111", &bed.given, move |_, _| {
                Some(Spoiled::Before(Ok(Response::of_status(status))))
            });
            let failure = write_back(&bed.bank, &fetch, 0, false).await.unwrap_err();
            assert_eq!(failure, Failure::Alarm(Alarm::Refused(status)), "{programme:?}");
        }
        assert_eq!(bed.run().await, None);
        bed.check("once it is there");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refused_item_is_named_and_tried_again_and_holds_nobody_up() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.given.lock().unwrap().refuses.insert(3);
        bed.change(&stages()[0]);
        let (done, left_over) = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap();
        assert_eq!((done.submitted, done.refused), (5, 1), "{programme:?}");
        assert_eq!(left_over, Some(Alarm::LeftOver { refused: vec![2], unsent: vec![], more: 0 }));
        assert_eq!(bed.submitted(), BTreeSet::from([1, 2, 4, 5, 6, 7]));
        assert!(!left_over.unwrap().to_string().contains(&Model::hash(3).to_text()));
        // As long as the item is refused, the alarm names it. It is counted once.
        let (done, left_over) = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap();
        assert_eq!((done.refused, left_over.is_some()), (0, true));
        bed.given.lock().unwrap().refuses.clear();
        let (done, left_over) = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap();
        assert_eq!((done.submitted, left_over), (1, None));
        bed.check("taken at last");
        // An item that is removed is no longer submitted.
        bed.given.lock().unwrap().refuses.insert(20);
        bed.change(&[Add(vec![20])]);
        assert!(bed.run().await.is_some());
        bed.change(&[Remove(7)]);
        assert_eq!(bed.run().await, None);
        bed.check("removed");
    }
}

#[tokio::test(start_paused = true)]
async fn too_many_refusals_stop_write_back_where_it_is() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.given.lock().unwrap().refuses.extend(0..30);
        bed.change(&(0..30).map(|number| Add(vec![number])).collect::<Vec<_>>());
        let failure = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap_err();
        assert!(matches!(failure, Failure::Alarm(Alarm::ManyRefused { status: 400, .. })), "{failure:?}");
        assert_eq!((bed.out().after, bed.out().refused.len()), (18, 18));
        bed.given.lock().unwrap().refuses.clear();
        assert_eq!(bed.run().await, None);
        bed.check("all are taken");
    }
}

#[tokio::test(start_paused = true)]
async fn a_removal_whose_hashes_are_purged_is_named_until_somebody_asks_for_a_round() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&[Add(vec![1]), Add(vec![2]), Remove(0)]);
        // The item was removed and purged before anything was ever read. Nothing was submitted, so no person
        // is needed.
        bed.bank.lock().own.purge();
        bed.wait(100 * 3_600);
        assert_eq!(bed.run().await, None);
        // The item was brought back as another item. The bank has no hashes of the former one, however long
        // ago it was removed.
        bed.change(&[Remove(0), Restore(0)]);
        bed.bank.lock().own.purge();
        bed.wait(100 * 3_600);
        assert_eq!(bed.run().await, None);
        bed.check("brought back");
        bed.change(&[Remove(0)]);
        bed.bank.lock().own.purge();
        bed.wait(100 * 3_600);
        let named = Some(Alarm::LeftOver { refused: vec![], unsent: vec![5], more: 0 });
        assert_eq!(bed.run().await, named, "{programme:?}");
        assert_eq!(bed.run().await, named, "it stays");
        assert_eq!(write_back(&bed.bank, &bed.app(), 0, true).await.unwrap().1, None);
        assert_eq!(bed.run().await, None);
    }
}

#[tokio::test(start_paused = true)]
async fn removals_from_before_write_back_began_concern_nobody() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&(1..9).map(|number| Add(vec![number])).collect::<Vec<_>>());
        bed.change(&[Remove(0), Remove(0)]);
        bed.bank.lock().own.purge();
        bed.change(&[Remove(0)]);
        bed.wait(100 * 3_600);
        // The first pass ends early, and another round continues it.
        let fetch = Taking::new(programme, "111", &bed.given, |count, request| {
            let is_withdrawal = matches!(&request.target, Target::Url(url) if !url.path().ends_with("/"))
                && !matches!(&request.target, Target::Url(url) if url.path().ends_with("SubmitHashes"));
            assert!(!is_withdrawal, "nothing was submitted before");
            (count == 1).then(|| Spoiled::After(lost()))
        });
        write_back(&bed.bank, &fetch, 0, false).await.unwrap_err();
        assert_eq!(write_back(&bed.bank, &fetch, 0, false).await.unwrap().1, None, "{programme:?}");
        bed.check("first pass");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hash_is_withdrawn_although_an_item_that_was_never_submitted_had_it_for_a_while() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&[Add(vec![1])]);
        bed.run().await;
        // The other item with the hash is in the next page, and is removed before that page is read.
        bed.change(&[Remove(0), Add(vec![5]), Add(vec![6]), Add(vec![1])]);
        let bank = bed.bank.clone();
        let mut is_removed = false;
        let fetch = Taking::new(programme, "111", &bed.given, move |_, request| {
            if matches!(request.method, Method::Form(_) | Method::Json(_))
                && !std::mem::replace(&mut is_removed, true)
            {
                bank.lock().own.change(&Remove(2), 9);
            }
            None
        });
        write_back(&bed.bank, &fetch, 0, false).await.unwrap();
        bed.run().await;
        bed.check("removed meanwhile");
    }
}

#[tokio::test(start_paused = true)]
async fn many_purged_removals_are_named_by_as_many_as_fit_and_none_is_lost() {
    let bed = Bed::new(Programme::StopNcii);
    bed.change(&(0..50).map(|number| Add(vec![number])).collect::<Vec<_>>());
    bed.run().await;
    bed.change(&vec![Remove(0); 50]);
    bed.bank.lock().own.purge();
    bed.wait(100 * 3_600);
    let mut named = BTreeSet::new();
    for (is_asked, is_over) in [(false, false), (false, false), (true, false), (true, true)] {
        let ended = write_back(&bed.bank, &bed.app(), 0, is_asked).await;
        assert_eq!(ended.is_ok(), is_over, "{ended:?}");
        if let Err(failure) = ended {
            let full = bed.out().unsent;
            assert_eq!(failure, Failure::Alarm(Alarm::ManyUnsent(full.clone())));
            assert_eq!(full.len(), OutPlace::IDS_MAX);
        }
        named.extend(bed.out().unsent);
    }
    assert_eq!(named.len(), 50);
}

#[tokio::test(start_paused = true)]
async fn another_bank_of_the_same_name_stops_write_back() {
    let bed = Bed::new(Programme::StopNcii);
    bed.change(&[Add(vec![1])]);
    bed.run().await;
    bed.bank.lock().own_bank = 9;
    let failure = write_back(&bed.bank, &bed.app(), 0, false).await.unwrap_err();
    assert_eq!(failure, Failure::Alarm(Alarm::OtherBank));
}

#[tokio::test(start_paused = true)]
async fn what_was_brought_back_and_goes_before_the_next_round_is_withdrawn() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&[Add(vec![1]), Add(vec![2])]);
        assert_eq!(bed.run().await, None);
        // The new item was never submitted, but its hash was.
        bed.change(&[Remove(0), Restore(0), Remove(1)]);
        assert_eq!(bed.run().await, None);
        bed.check("removed");
        bed.change(&[Remove(0), Restore(1), Hold(0)]);
        assert_eq!(bed.run().await, None);
        bed.check("held");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_withdrawals_are_named_and_hold_nobody_up() {
    for programme in BOTH {
        let bed = Bed::new(programme);
        bed.change(&(0..30).map(|number| Add(vec![number])).collect::<Vec<_>>());
        assert_eq!(bed.run().await, None);
        bed.change(&vec![Remove(0); 30]);
        let refusing = Taking::new(programme, "111", &bed.given, |_, _| {
            Some(Spoiled::Before(Ok(Response::of_status(400))))
        });
        let (done, left_over) = write_back(&bed.bank, &refusing, 0, false).await.unwrap();
        let named = Alarm::LeftOver { refused: vec![], unsent: (1..=20).collect(), more: 10 };
        assert_eq!((done.taken_back, left_over), (0, Some(named)), "{programme:?}");
        // The rest continues. A person who has read the alarm ends it by requesting a round.
        bed.change(&[Add(vec![40])]);
        assert!(bed.run().await.is_some());
        assert!(bed.submitted().contains(&40));
        assert_eq!(write_back(&bed.bank, &bed.app(), 0, true).await.unwrap().1, None);
    }
}
