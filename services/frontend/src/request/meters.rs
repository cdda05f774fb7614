//! Counts the parts of their quotas that members have spent in this process, and the matches there. Each
//! frontend counts separately.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::Status;
use vigie_consortium::quotas::Near;
use vigie_consortium::{Meter, Spent};
use vigie_model::MemberId;
use vigie_rpc::details;

use crate::request::alarms::RaiseAlarm;
use crate::request::floods::Floods;

/// The meters of all members, the receiver of their alarms, and the counters of their matches.
#[derive(Debug, Clone)]
pub(crate) struct Meters {
    begun: Instant,
    /// Members are few, and bounded by the directory.
    held: Arc<Mutex<HashMap<MemberId, OfMember>>>,
    pub(crate) alarms: Arc<dyn RaiseAlarm>,
    pub(super) floods: Floods,
}

#[derive(Debug, Default)]
struct OfMember {
    meter: Meter,
    near: Arc<Near>,
}

impl Meters {
    pub(crate) fn new(alarms: Arc<dyn RaiseAlarm>, floods: Floods) -> Self {
        Self { begun: Instant::now(), held: Arc::default(), alarms, floods }
    }

    /// Returns the time since the meters began.
    pub(crate) fn now(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Counts a use of a member's quota. Returns the member's near queries, which have a separate lock.
    pub(crate) fn spend(
        &self,
        member: MemberId,
        spend: impl FnOnce(&mut Meter, Duration) -> Result<(), Spent>,
    ) -> Result<Arc<Near>, Status> {
        let now = self.now();
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let of_member = held.entry(member).or_default();
        spend(&mut of_member.meter, now).map_err(spent)?;
        Ok(Arc::clone(&of_member.near))
    }
}

/// Returns the status of a spent quota.
fn spent(spent: Spent) -> Status {
    match spent {
        Spent::Until { retry_after, .. } => details::resource_exhausted(spent.to_string(), retry_after),
        Spent::TooMuch { .. } => Status::invalid_argument(spent.to_string()),
    }
}
