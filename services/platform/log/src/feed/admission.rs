//! One that loads the state in order to follow the log afterwards.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use crate::application::Application;
use crate::error::FollowError;
use crate::feed::claims::Claim;
use crate::feed::shared::Feed;
use crate::position::Sequence;

/// One that loads the state in order to follow the log afterwards: it counts as a follower, and has a claim on the log.
#[derive(Debug)]
pub struct Admission<A: Application> {
    feed: Arc<Feed<A>>,
    claim: Option<Claim>,
    _permit: OwnedSemaphorePermit,
}

impl<A: Application> Feed<A> {
    /// Admits one that loads the state, in order to follow the log afterwards.
    pub fn admit(self: &Arc<Self>) -> Result<Admission<A>, FollowError> {
        Ok(Admission { feed: Arc::clone(self), claim: None, _permit: self.permit()? })
    }
}

impl<A: Application> Admission<A> {
    /// Claims the log from the present head on: what follows it is not cut.
    pub fn claim(&mut self) {
        self.claim = Some(self.feed.claims.join(self.feed.head()));
    }

    /// Moves the claim to the sequence that the state was read at.
    pub fn advance(&mut self, reached: Sequence) {
        if let Some(claim) = &mut self.claim {
            claim.advance(reached);
        }
    }

    /// How many entries one message holds at most, and their bytes.
    #[must_use]
    pub fn page_max(&self) -> (usize, usize) {
        self.feed.page_max()
    }

    /// Waits for a turn to read from the store.
    pub async fn turn_to_read(&self) -> Option<SemaphorePermit<'_>> {
        self.feed.turn_to_read().await
    }
}
