//! Disputes that nobody resolves in time.

use pb_model::OpinionKind::Negative;

use crate::tests::opinions::people::{DAY_MS, People, disputing, is_held};
use crate::tests::*;
use crate::verify;

on_both_stores! {
    a_dispute_that_is_not_resolved_in_time_holds_its_item,
    a_dispute_that_falls_due_while_no_bank_runs_holds_its_item,
}

async fn a_dispute_that_is_not_resolved_in_time_holds_its_item(bed: Bed) {
    for (hold_on_negatives, negatives, is_held_in_time, is_held_then) in [
        (0, 1, false, true),
        (1, 1, true, true),
        (2, 1, false, false),
        (5, 1, false, false),
        (5, 2, false, true),
    ] {
        let bed = bed.another();
        let people = People::start(bed.config()).await;
        people.charter(0, hold_on_negatives).await;
        let ids = people.add(0..2).await;
        people.others[0].put(vec![disputing(ids[0])]).await.unwrap();
        if negatives == 2 {
            people.others[1].says(ids[0], Negative).await;
        }
        // A negative opinion that opens no dispute never becomes overdue.
        if hold_on_negatives != 1 {
            people.others[0].says(ids[1], Negative).await;
        }
        people.later(14 * DAY_MS - 1);
        People::settle().await;
        let case = (hold_on_negatives, negatives);
        assert_eq!(is_held(&people.owner.item(ids[0]).await.unwrap()), is_held_in_time, "{case:?}");
        people.later(14 * DAY_MS);
        if is_held_then {
            people.until(ids[0], is_held).await;
        } else {
            People::settle().await;
            assert!(!is_held(&people.owner.item(ids[0]).await.unwrap()), "{case:?}");
        }
        assert!(!is_held(&people.owner.item(ids[1]).await.unwrap()), "{case:?}");
        // The dispute is still open, and its resolution ends the hold.
        assert_eq!(people.owner.disputes(false).await.len(), 1);
        people.owner.resolve(ids[0], pb_model::Resolution::Kept).await.unwrap();
        assert!(!is_held(&people.owner.item(ids[0]).await.unwrap()));
        assert_eq!(people.owner.disputes(false).await, []);
        people.consortium.served.stop().await;
        verify(&bed.config()).await.unwrap();
    }
}

async fn a_dispute_that_falls_due_while_no_bank_runs_holds_its_item(bed: Bed) {
    let people = People::start(bed.config()).await;
    let item = people.add(0..1).await[0];
    people.others[0].put(vec![disputing(item)]).await.unwrap();
    let owner = people.owner.1.clone();
    people.consortium.served.stop().await;
    let served = Served::start(bed.config()).await;
    served.clock.0.store(NOW + 20 * DAY_MS, Ordering::Relaxed);
    let by = crate::tests::members::By(served.channel.clone(), owner);
    let begun = std::time::Instant::now();
    while !is_held(&by.item(item).await.unwrap()) {
        assert!(begun.elapsed() < std::time::Duration::from_secs(30));
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    served.stop().await;
    verify(&bed.config()).await.unwrap();
}
