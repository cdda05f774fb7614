//! One matcher as the coordinator deals with it: the way to it, and what it costs.

use std::sync::Arc;

use tokio::time::Instant;
use vigie_clients::load::{CallEnd, Load};
use vigie_clients::{CallError, MatcherClient, Network, TargetError};
use vigie_model::{Sequence, ShardAnswer};

use crate::lane::{Ask, Lane, LaneLimits};

/// See the module.
#[derive(Debug)]
pub(crate) struct Replica {
    pub(crate) endpoint: Arc<str>,
    pub(crate) load: Load,
    lane: Lane,
    network: Network,
}

impl Replica {
    pub(crate) fn new(endpoint: Arc<str>, network: Network, limits: LaneLimits) -> Result<Self, TargetError> {
        let client = MatcherClient::new_on(&endpoint, &network)?;
        Ok(Self { lane: Lane::new(client, limits), endpoint, load: Load::default(), network })
    }

    /// Its client as it is now.
    pub(crate) fn client(&self) -> Arc<MatcherClient> {
        self.lane.client()
    }

    /// Gives up a connection on which nothing comes any more: a new one may get through at once, where the old one would
    /// only be found dead in time.
    pub(crate) fn reconnect(&self) {
        match MatcherClient::new_on(&self.endpoint, &self.network) {
            Ok(client) => self.lane.reconnect(client),
            // It was an endpoint before.
            Err(error) => tracing::error!(endpoint = %self.endpoint, %error, "cannot reconnect"),
        }
    }

    /// Searches it once. Dropping the future withdraws the search.
    pub(crate) async fn search(&self, ask: Ask) -> Result<ShardAnswer, CallError> {
        if ask.options.min_sequence > Sequence::ZERO {
            // It waits for a change to come, which says nothing of what the replica costs.
            return self.lane.search(ask).await;
        }
        let call = self.load.begin(Instant::now());
        let ended = self.lane.search(ask).await;
        call.end(ended.as_ref().map_or_else(CallError::call_end, |_| CallEnd::Answered), Instant::now());
        ended
    }
}
