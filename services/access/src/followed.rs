//! The directory of a server other than a bank: read from the bank repeatedly, and used only while it is
//! proven to be fresh.
//!
//! The age of a directory counts from the sending of the request that confirmed it. So a revocation that was
//! acknowledged takes effect here within [`DirectoryConfig::age_ms_max`], whatever the network does, or every
//! call is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tonic::{Code, Status};
use vigie_clients::{DirectoryClient, EndpointError, Network};
use vigie_consortium::{Directory, View};
use vigie_model::UnixMillis;
use vigie_proto::consortium::{DirectoryAt, DirectoryPart, DirectoryRequest};
use vigie_rpc::details;

use crate::directories::Directories;
use crate::vectors::hash_types::HashTypes;
use crate::wall_clock::WallClock;

/// The most banks that one server may list.
const BANKS_MAX: usize = 64;
/// The time that the bank waits for a newer directory before it answers that there is none.
const WAIT: Duration = Duration::from_secs(1);
/// The time that an answer may take beyond that. With the default age, one lost answer does not make the
/// directory too old.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// The pause after a failure.
const PAUSE: Duration = Duration::from_millis(200);
/// The time after which a refused caller should retry: about as long as a failover takes.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// Marks that nothing was read yet.
const NEVER: u64 = u64::MAX;

/// The source of the directory of members, and its greatest age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DirectoryConfig {
    /// The endpoints of the banks, such as `http://127.0.0.1:7742`, at most 64, of which one serves. Without
    /// any, this server knows no members and answers every caller; a deployment with members does not serve
    /// it.
    #[schemars(length(max = BANKS_MAX), extend("x-value" = "URL"))]
    pub bank: Vec<String>,
    /// The greatest age of the directory, in milliseconds since the request that confirmed it. With an older
    /// one every call is refused with `UNAVAILABLE`, so that nothing revoked works longer than this. Without
    /// members there is no such limit.
    #[schemars(range(min = 1_000, max = 60_000))]
    pub age_ms_max: u64,
}

impl Default for DirectoryConfig {
    fn default() -> Self {
        Self { bank: Vec::new(), age_ms_max: 5_000 }
    }
}

impl DirectoryConfig {
    /// Returns every fault of the values, each beginning with its key.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if self.bank.len() > BANKS_MAX {
            faults.push(format!("bank: has {} endpoints; it may have at most {BANKS_MAX}", self.bank.len()));
        }
        let checked = self.bank.iter().map(|endpoint| DirectoryClient::new_on(&[endpoint], &Network::tcp()));
        faults.extend(checked.filter_map(Result::err).map(|error| format!("bank: {error}")));
        if !(1_000..=60_000).contains(&self.age_ms_max) {
            faults.push(format!("age_ms_max: is {}; it must be 1000 to 60000", self.age_ms_max));
        }
        faults
    }
}

/// The directory as it was last read from the bank.
#[derive(Debug)]
pub struct FollowedDirectory {
    view: ArcSwapOption<View>,
    /// The time at which the request that confirmed the view was sent, in milliseconds since `begun`.
    confirmed: AtomicU64,
    begun: Instant,
    age_max: Duration,
    clock: WallClock,
}

impl FollowedDirectory {
    /// Makes a directory that was not read yet, whose rights expire by `clock`.
    #[must_use]
    pub fn new(config: &DirectoryConfig, clock: WallClock) -> Arc<Self> {
        Arc::new(Self {
            view: ArcSwapOption::empty(),
            confirmed: AtomicU64::new(NEVER),
            begun: Instant::now(),
            age_max: Duration::from_millis(config.age_ms_max),
            clock,
        })
    }

    /// Reads the directory from these banks repeatedly, for as long as it is polled.
    ///
    /// # Errors
    ///
    /// An endpoint is invalid.
    pub fn follow(
        self: &Arc<Self>,
        config: &DirectoryConfig,
        network: &Network,
    ) -> Result<impl Future<Output = ()> + Send + use<>, EndpointError> {
        let client = DirectoryClient::new_on(&config.bank, network)?;
        let this = Arc::clone(self);
        Ok(async move { this.rounds(client).await })
    }

    /// Returns why no call can be answered, if none can.
    #[must_use]
    pub fn unready_reason(&self) -> Option<&'static str> {
        self.view.load().is_none().then_some("waiting for the directory of members, which the bank has")
    }

    async fn rounds(&self, bank: impl Bank) {
        let (mut held, mut is_lost) = (None::<(Directory, DirectoryAt)>, false);
        let mut hash_types = HashTypes::default();
        loop {
            let asked = Instant::now();
            let have = held.as_ref().map(|(_, at)| *at);
            // After a failure the age has grown, so the bank's present state is needed at once.
            let wait = if have.is_some() && !is_lost { WAIT } else { Duration::ZERO };
            let parts = bank.read(DirectoryRequest { have, wait }, asked + wait + ANSWER_MAX).await;
            let lead = |parts| {
                let fault = || "the bank's directory is not what its digest says".to_owned();
                apply(held.take(), parts).ok_or_else(fault)
            };
            match parts.and_then(lead) {
                Ok((directory, at)) => {
                    if have != Some(at) {
                        hash_types.register(&directory);
                        self.view.store(Some(Arc::new(View::from(directory.clone()))));
                    }
                    held = Some((directory, at));
                    // Stored after the view: a reader of this time has a view that is at least as new.
                    let asked = asked.saturating_duration_since(self.begun).as_millis();
                    self.confirmed.store(u64::try_from(asked).unwrap_or(NEVER - 1), Ordering::Release);
                    if std::mem::take(&mut is_lost) {
                        tracing::info!("the directory of members is read again");
                    }
                }
                Err(error) => {
                    if !std::mem::replace(&mut is_lost, true) {
                        tracing::warn!(%error, "the directory of members cannot be read");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// The source of the directory.
trait Bank: Send + Sync {
    /// Reads the parts that lead from the request's state to the bank's state at some time after the call; or
    /// returns why that failed.
    fn read(
        &self,
        request: DirectoryRequest,
        deadline: Instant,
    ) -> impl Future<Output = Result<Vec<DirectoryPart>, String>> + Send;
}

impl Bank for DirectoryClient {
    async fn read(&self, request: DirectoryRequest, deadline: Instant) -> Result<Vec<DirectoryPart>, String> {
        Self::read(self, request, deadline).await.map_err(|error| error.to_string())
    }
}

/// Applies these parts; `None` if they do not lead to the state that they name.
fn apply(
    held: Option<(Directory, DirectoryAt)>,
    parts: Vec<DirectoryPart>,
) -> Option<(Directory, DirectoryAt)> {
    let mut directory = held.map(|(directory, _)| directory);
    let mut completed = None;
    for part in parts {
        let DirectoryPart { begins, rows, completes } = part;
        if begins {
            directory = Some(Directory::new());
        }
        let directory = directory.as_mut()?;
        rows.gone.into_iter().for_each(|key| directory.take_row(key));
        rows.set.into_iter().for_each(|row| directory.set_row(row));
        completed = completes;
    }
    let at = completed?;
    Some((directory?.proven(at.sequence, at.digest)?, at))
}

impl Directories for FollowedDirectory {
    fn view(&self) -> Result<Arc<View>, Status> {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let unavailable = |text: String| details::with_retry_after(Code::Unavailable, text, RETRY_AFTER);
        let Some(view) = self.view.load_full().filter(|_| confirmed != NEVER) else {
            let text = "the directory of members has not been read from the bank yet; try again";
            return Err(unavailable(text.to_owned()));
        };
        let age = self.begun.elapsed().saturating_sub(Duration::from_millis(confirmed));
        if view.directory().is_on() && age > self.age_max {
            let (age, max) = (age.as_millis(), self.age_max.as_millis());
            return Err(unavailable(format!(
                "the directory of members is {age} ms old; at most {max} ms are allowed: the bank does not answer; try again"
            )));
        }
        Ok(view)
    }

    fn now(&self) -> UnixMillis {
        self.clock.now()
    }
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests {
    use vigie_consortium::{Member, Row};
    use vigie_model::change::LogId;

    use super::*;

    fn at(directory: &Directory) -> DirectoryAt {
        DirectoryAt { log: LogId([1; 16]), sequence: directory.sequence(), digest: directory.digest() }
    }

    fn changed(directory: &Directory, name: &str) -> Directory {
        let mut changed = directory.clone();
        let member = Member { name: name.parse().unwrap(), ..Member::local() };
        changed.set_row(Row::Member(Arc::new(member)));
        changed
    }

    #[test]
    fn parts_lead_to_the_state_that_they_name_or_to_none() {
        let old = changed(&Directory::new(), "old");
        let new = changed(&old, "new");
        let whole = |directory: &Directory| {
            let completes = Some(at(directory));
            DirectoryPart { begins: true, rows: directory.all(), completes }
        };
        let step =
            DirectoryPart { begins: false, rows: new.difference_from(&old), completes: Some(at(&new)) };
        let held = || Some((old.clone(), at(&old)));
        let digest =
            |applied: Option<(Directory, DirectoryAt)>| applied.map(|(directory, _)| directory.digest());
        assert_eq!(digest(apply(None, vec![whole(&old)])), Some(old.digest()));
        assert_eq!(digest(apply(held(), vec![step.clone()])), Some(new.digest()));
        assert_eq!(digest(apply(held(), vec![whole(&new)])), Some(new.digest()));
        // A step without its base, another digest, no last part, no parts.
        assert_eq!(digest(apply(None, vec![step.clone()])), None);
        let forged = DirectoryPart { completes: Some(at(&old)), ..step.clone() };
        assert_eq!(digest(apply(held(), vec![forged])), None);
        assert_eq!(digest(apply(held(), vec![DirectoryPart { completes: None, ..step }])), None);
        assert_eq!(digest(apply(held(), Vec::new())), None);
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_directory_is_used_only_where_there_are_no_members() {
        let followed = FollowedDirectory::new(&DirectoryConfig::default(), WallClock::system());
        assert_eq!(followed.view().unwrap_err().code(), Code::Unavailable);
        let read = |directory: Directory| {
            followed.view.store(Some(Arc::new(View::from(directory))));
            let now = followed.begun.elapsed().as_millis();
            followed.confirmed.store(u64::try_from(now).unwrap(), Ordering::Release);
        };
        read(Directory::new());
        tokio::time::advance(Duration::from_secs(3_600)).await;
        assert!(followed.view().is_ok());
        let mut on = Directory::new();
        on.set_row(Row::Used { principal: vigie_consortium::PrincipalId(1), bank: vigie_model::BankId(0) });
        read(on);
        tokio::time::advance(Duration::from_millis(5_000)).await;
        assert!(followed.view().is_ok());
        tokio::time::advance(Duration::from_millis(1)).await;
        let refused = followed.view().unwrap_err();
        assert_eq!(refused.code(), Code::Unavailable);
        let text = "the directory of members is 5001 ms old; at most 5000 ms are allowed";
        assert!(refused.message().starts_with(text), "{refused}");
    }

    #[test]
    fn every_fault_is_named() {
        assert_eq!(DirectoryConfig::default().faults(), Vec::<String>::new());
        let config = DirectoryConfig { bank: vec!["no address".to_owned()], age_ms_max: 10 };
        let faults = config.faults();
        assert!(faults[0].starts_with("bank: ") && faults[1].starts_with("age_ms_max: is 10"), "{faults:?}");
    }
}
