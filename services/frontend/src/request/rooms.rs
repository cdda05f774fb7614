//! The room for the answer to one request, taken before anything is searched and held until the answer has
//! been sent; and the slots of a costly one.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;
use vigie_model::Cost;
use vigie_serving::{AnswerRoom, Answers, Call, Turn, Weight};

/// A shorter wait is none.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// The room of one request.
#[derive(Debug)]
pub(crate) struct Rooms {
    answers: Answers,
    call: Call,
    held: AnswerRoom,
    bytes: usize,
    /// Whether the request waited for room, or was costly: then its latency says nothing of the load of
    /// others.
    pub(crate) has_waited: bool,
}

impl Rooms {
    /// None yet.
    pub(crate) fn new(answers: Answers, call: Call) -> Self {
        Self { answers, call, held: AnswerRoom::default(), bytes: 0, has_waited: false }
    }

    /// Has room for so many bytes at least. Waits for it if it has less, and has none meanwhile: those who
    /// wait for more never keep one another from it.
    pub(crate) async fn take(&mut self, bytes: usize, deadline: Instant) -> Result<(), Status> {
        if bytes <= self.bytes {
            return Ok(());
        }
        self.held = AnswerRoom::default();
        self.bytes = 0;
        let begun = Instant::now();
        let _not_load = self.call.waiting();
        self.held = self.answers.room(bytes, deadline).await?;
        self.bytes = bytes;
        self.has_waited |= begun.elapsed() >= WAIT_MIN;
        Ok(())
    }

    /// The slots of a request of this cost, which have to be held while it is searched.
    pub(crate) async fn weigh(&mut self, cost: Cost, deadline: Instant) -> Result<Weight, Status> {
        let _not_load = self.call.waiting();
        self.has_waited |= cost.slots() > 1;
        self.call.weigh(cost.slots(), deadline).await
    }

    /// The turn of a request with a large answer, which has to be held until that has been put together.
    pub(crate) async fn turn(&self, cost: Cost) -> Turn {
        let _not_load = self.call.waiting();
        self.answers.turn(cost.slots()).await
    }

    /// Waits for something that says nothing of the load.
    pub(crate) async fn wait_for<T>(&mut self, what: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let _not_load = self.call.waiting();
        let ended = what.await;
        self.has_waited |= begun.elapsed() >= WAIT_MIN;
        ended
    }

    /// Keeps no more than so many bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.held.shrink(bytes);
        self.bytes = self.bytes.min(bytes);
    }

    /// The answer is what the call sends next.
    pub(crate) fn send(self) {
        self.answers.send(self.held);
    }
}
