//! Tests of waiting for a state, and of its lag.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::place::Position;
use crate::progress::{Progress, Unready};
use crate::standing::{NotThere, Standing};

#[tokio::test(start_paused = true)]
async fn a_reader_waits_for_a_position_within_its_deadline() {
    let standing = Arc::new(Standing::default());
    let deadline = Instant::now() + Duration::from_secs(5);
    let unheard = NotThere::NotReady(Unready::Unheard);
    assert_eq!(standing.at_least(Position(1), deadline).await, Err(unheard));
    standing.show(Progress::ready_at(Position(4)));
    assert_eq!(standing.at_least(Position(4), deadline).await, Ok(Progress::ready_at(Position(4))));
    let late = standing.at_least(Position(5), deadline).await;
    assert_eq!(late, Err(NotThere::Behind { reached: Position(4) }));
    assert_eq!(Instant::now(), deadline);

    let waiting = {
        let standing = Arc::clone(&standing);
        let deadline = Instant::now() + Duration::from_secs(5);
        tokio::spawn(async move { standing.at_least(Position(6), deadline).await })
    };
    tokio::task::yield_now().await;
    standing.show(Progress::ready_at(Position(7)));
    assert_eq!(waiting.await.unwrap(), Ok(Progress::ready_at(Position(7))));

    let waiting = standing.at_least(Position(9), Instant::now() + Duration::from_secs(5));
    let dropping = async {
        tokio::task::yield_now().await;
        standing.show(Progress::default());
    };
    assert_eq!(tokio::join!(waiting, dropping).0, Err(unheard), "a dropped state is not waited for");
}

#[tokio::test(start_paused = true)]
async fn the_lag_grows_while_nothing_says_that_the_state_is_level() {
    let standing = Standing::default();
    let lag = || (standing.lag().changes, standing.lag().time.as_secs());
    tokio::time::advance(Duration::from_secs(3)).await;
    assert_eq!(lag(), (0, 3));
    standing.show(Progress::ready_at(Position(4)));
    assert_eq!(lag(), (0, 0));
    tokio::time::advance(Duration::from_secs(2)).await;
    standing.show(Progress { head: Position(9), level: false, ..Progress::ready_at(Position(4)) });
    assert_eq!(lag(), (5, 2));
    standing.show(Progress::default());
    assert_eq!(lag(), (0, 2), "a dropped state holds nothing");
}
