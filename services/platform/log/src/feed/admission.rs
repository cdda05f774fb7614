//! A reader that loads the state in order to follow the log afterwards.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, SemaphorePermit};

use crate::application::Application;
use crate::error::FollowError;
use crate::feed::claims::Claim;
use crate::feed::shared::Feed;
use crate::position::Sequence;

/// A reader that loads the state in order to follow the log. It counts as a follower, and has a claim on the
/// log.
#[derive(Debug)]
pub struct Admission<A: Application> {
    feed: Arc<Feed<A>>,
    claim: Option<Claim>,
    _permit: OwnedSemaphorePermit,
}

impl<A: Application> Feed<A> {
    /// Admits a reader that loads the state in order to follow the log afterwards.
    pub fn admit(self: &Arc<Self>) -> Result<Admission<A>, FollowError> {
        Ok(Admission { feed: Arc::clone(self), claim: None, _permit: self.permit()? })
    }
}

impl<A: Application> Admission<A> {
    /// Claims the log from the present head on: the changes after it are not cut.
    pub fn claim(&mut self) {
        self.claim = Some(self.feed.claims.join(self.feed.head()));
    }

    /// Moves the claim to the sequence at which the state was read.
    pub fn advance(&mut self, reached: Sequence) {
        if let Some(claim) = &mut self.claim {
            claim.advance(reached);
        }
    }

    /// Returns the most entries in one message, and the most bytes of them.
    #[must_use]
    pub fn page_max(&self) -> (usize, usize) {
        self.feed.page_max()
    }

    /// Waits for a permit to read from the store.
    pub async fn turn_to_read(&self) -> Option<SemaphorePermit<'_>> {
        self.feed.turn_to_read().await
    }
}
