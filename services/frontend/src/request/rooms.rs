//! The memory for the answer to one request, reserved before the search and held until the answer has been
//! sent; and the slots of a costly request.

use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;
use vigie_model::Cost;
use vigie_serving::{AnswerRoom, Answers, Call, Turn, Weight};

/// The shortest wait that counts.
const WAIT_MIN: Duration = Duration::from_millis(1);

/// The reserved memory of one request.
#[derive(Debug)]
pub(crate) struct Rooms {
    answers: Answers,
    call: Call,
    held: AnswerRoom,
    bytes: usize,
    /// Whether the request waited for memory, or was costly: then its latency does not indicate the load by
    /// other requests.
    pub(crate) has_waited: bool,
}

impl Rooms {
    /// Creates an account without reserved memory.
    pub(crate) fn new(answers: Answers, call: Call) -> Self {
        Self { answers, call, held: AnswerRoom::default(), bytes: 0, has_waited: false }
    }

    /// Reserves at least `bytes` bytes. If less is reserved, it releases that and waits: so requests that
    /// wait for more memory never block one another.
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

    /// Takes the slots of a request of this cost, which have to be held during its search.
    pub(crate) async fn weigh(&mut self, cost: Cost, deadline: Instant) -> Result<Weight, Status> {
        let _not_load = self.call.waiting();
        self.has_waited |= cost.slots() > 1;
        self.call.weigh(cost.slots(), deadline).await
    }

    /// Waits for the permit of a request with a large answer. The permit has to be held until the answer is
    /// assembled.
    pub(crate) async fn turn(&self, cost: Cost) -> Turn {
        let _not_load = self.call.waiting();
        self.answers.turn(cost.slots()).await
    }

    /// Waits for a future whose duration does not indicate the load.
    pub(crate) async fn wait_for<T>(&mut self, what: impl Future<Output = T>) -> T {
        let begun = Instant::now();
        let _not_load = self.call.waiting();
        let ended = what.await;
        self.has_waited |= begun.elapsed() >= WAIT_MIN;
        ended
    }

    /// Releases the reserved memory beyond `bytes` bytes.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.held.shrink(bytes);
        self.bytes = self.bytes.min(bytes);
    }

    /// Hands the memory to the answer that the call sends next.
    pub(crate) fn send(self) {
        self.answers.send(self.held);
    }
}
